"""The commands of python -m training on slides laid out of patches: make them, and judge a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.commands.output import flat, seed_range, tell
from training.options import WORK, Half, Json, Model, Patches, Seeds, Tool, Work

if TYPE_CHECKING:
    from nodescan.evaluation.pairing import LesionMatch
    from nodescan.interfaces import TilePredictor
    from training.tuning.known_slides import KnownSlide, SlideScore


def make_composites_command(
    patches: Patches,
    to: Annotated[Path, typer.Option(help="Folder for these slides and their known deposits, and nothing else.")],
    tool: Tool = None,
    half: Half = 2,
    seeds: Seeds = "101-140",
    work: Work = WORK,
) -> None:
    """Write composite slides and their known deposits into a folder, for nodescan run and nodescan evaluate."""
    from nodescan.batch.record import shell_line
    from training.tuning.composites import half_of, linked, make_composites

    composites = make_composites(tool, half_of(patches, work, half=half), seed_range(seeds), to=work)
    linked(composites, to)
    typer.echo(f"{to}: {len(composites)} slides. Next:")
    scans = f"{to}-scan"
    typer.echo(shell_line(["nodescan", "run", str(to), "--out", scans]))
    typer.echo(shell_line(["nodescan", "evaluate", scans, "--reference", str(to)]))


def evaluate_composites_command(
    patches: Patches,
    tool: Tool = None,
    model: Model = None,
    half: Half = 2,
    seeds: Seeds = "101-140",
    work: Work = WORK,
    as_json: Json = False,
) -> None:
    """Score a model on slides composed of real patches with planted deposits.

    The scores are class, false deposits, recall and sizes.
    """
    from nodescan.inference.card import find_model, load_card
    from nodescan.inference.slots import open_in_slot
    from training.camelyon.manifest import digest_of
    from training.tuning.composites import half_of, make_composites
    from training.tuning.kept_maps import maps_of
    from training.tuning.known_slides import as_stated, summarise

    folder = find_model(model)
    predictor, _ = open_in_slot(folder, device="auto", slot=0)  # as a scan opens it
    maps = maps_of(load_card(folder), work)
    composites = make_composites(tool, half_of(patches, work, half=half), seed_range(seeds), to=work)
    scores = []
    for composite in composites:
        scores.append(_score(composite, predictor, maps))
        if not as_json:
            typer.echo(_one_slide(composite, scores[-1]))
    told = flat(as_stated(summarise(scores)))
    if as_json:  # what model-card has to know of the figures
        told |= {
            "weights_sha256": predictor.model.weights_sha256,
            "card_sha256": predictor.model.card_sha256,
            "patches_sha256": digest_of(patches, "sha256"),
            "half": half,
            "seeds": seeds,
        }
    tell(told, as_json=as_json)


def _score(composite: "KnownSlide", predictor: "TilePredictor", maps: Path) -> "SlideScore":
    """What a scan with the default settings finds on one slide, and would name on its page.

    maps: the folder that its map is kept in.
    """
    from nodescan.config import load_config
    from nodescan.imaging.detections import find_detections, likeliest_places
    from nodescan.imaging.segmentation import find_deposits
    from training.tuning.kept_maps import probability_map
    from training.tuning.known_slides import score_slide

    settings = load_config(None).settings
    map_ = probability_map(composite.path, predictor, cache=maps)
    deposits = find_deposits(map_, predictor.decision, settings.segmentation)
    places = likeliest_places(find_detections(map_, settings.detections), deposits)
    return score_slide(composite, deposits, places=places)


def _one_slide(composite: "KnownSlide", score: "SlideScore") -> str:
    sizes = ", ".join(f"{lesion.true_um:.0f} -> {_outcome(lesion)}" for lesion in score.pairing.lesions)
    named = f" ({score.named} of {score.missed} missed named)" if score.missed else ""
    right = "right" if score.truth is score.found else "WRONG"
    classes = f"{score.truth.word:8} found {score.found.word:8} {right}"
    return f"{composite.name}  {classes}  {score.pairing.false_deposits:3d} false  {sizes}{named}"


def _outcome(lesion: "LesionMatch") -> str:
    from nodescan.evaluation.size_figures import found_as

    return found_as(lesion) if lesion.measured_um is None else f"{lesion.measured_um:.0f} um"
