"""MODEL_CARD.md: what a model was taught and how, what it scores on which data, where it fails, what it is not for."""

import dataclasses
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from scipy.special import logit

from nodescan.config import load_config
from nodescan.domain.geometry import TileGeometry
from nodescan.domain.report import NOT_FOR_CLINICAL_USE
from nodescan.errors import UsageError
from nodescan.evaluation.bootstrap import Estimate, number_words
from nodescan.inference.card import ModelCard, load_card
from nodescan.inference.predictor import load_network, open_predictor
from nodescan.inference.random_model import random_model
from nodescan.interfaces import TilePredictor, predict
from nodescan.machine import temporary_folder
from nodescan.overwrite_checks import check_inputs
from nodescan.whole_files import prepare_folder, write_beside
from training.camelyon.manifest import digest_of
from training.configurations import read_yaml
from training.fitting.rivals import parameters
from training.model_cards.worst_patches import WorstPatch, worst_of, write_sheets
from training.options import TILES512_SPACING_UM
from training.patches.labelled import read_patches
from training.provenance import is_released, ranges_chosen_on, temperature_chosen_on
from training.scoring.masks import MaskScores, evaluate_masks, read_masked_images
from training.scoring.patches import PatchScores, check_both_classes, patch_probabilities, scores_of
from training.tuning.composites import SIZES_UM
from training.tuning.discs import DISC_SEEDS_REPORTED, DiscBias, check_phantoms_fit, disc_bias, disc_maps
from training.tuning.known_slides import SlideScores

_SPEED_TILES, _SPEED_ROUNDS = 4, 5
"""Tiles at a time, at least, and rounds."""


@dataclass(frozen=True, slots=True)
class CardSources:
    """What a card is made from. composites: what evaluate-composites --json printed; None: that section says so.

    pictures: folder for the two contact sheets; None: none are made. recipe: training configurations in order, () where
    they aren't stated; hours: what they took, in words. history: Markdown of what was looked at before the figures were
    final, and what followed; commands: text of what was run, which configurations can't tell (what began with what,
    means of checkpoints).
    """

    model: Path
    patches: Path
    masks: Path
    composites: Path | None
    pictures: Path | None
    recipe: tuple[Path, ...]
    hours: str
    history: Path | None
    commands: Path | None


@dataclass(frozen=True, slots=True)
class Words:
    """What can't be measured. hours: how long training took; history: Markdown, commands: text, see CardSources."""

    hours: str
    history: str = ""
    commands: str = ""


@dataclass(frozen=True, slots=True)
class Speed:
    """Square millimetres of tile cores a second through the network alone, at 1 um/px, in one precision.

    beside_resnet18: times the same of a ResNet-18 at output stride 16, with tiles and margins as large.
    """

    precision: str
    mm2_per_second: float
    beside_resnet18: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All figures of a card. lone, mosaic: the same patches one by one and in one picture; worst: of those, alone."""

    card: ModelCard
    lone: PatchScores
    mosaic: PatchScores
    largest_difference: float
    worst: tuple[WorstPatch, ...]
    masks: MaskScores
    discs: tuple[DiscBias, ...]
    speeds: tuple[Speed, ...]
    device: str
    parameters: int
    megabytes: float


def write_model_card(sources: CardSources, to: Path) -> Measured:
    """Measure, write the pictures where asked for, and write the card to `to`; what was measured.

    Raises UsageError, AnnotationError or ModelError, naming the file, where a source can't be used; OutputError where
    the card or the pictures can't be written. All before anything is measured.
    """
    if to.is_dir():
        raise UsageError(f"{to}: is a folder; name the file to write with --to")
    named = {name: getattr(sources, name) for name in ("patches", "masks", "composites", "history", "commands")}
    check_inputs([(f"--{name}", path) for name, path in named.items()], [to])
    check_inputs([("--recipe", path) for path in sources.recipe], [to])
    for place in (to.parent, sources.pictures):
        if place is not None:
            prepare_folder(place)
    card = load_card(sources.model)
    check_phantoms_fit(card.spacing_um)
    composites = None
    if sources.composites:
        composites = read_composite_scores(sources.composites)
        check_composites(sources.composites, card, sources.patches)
    recipe = [recipe_part(path) for path in sources.recipe]
    check_recipe(recipe, card)
    words = Words(sources.hours, *(_text_of(path) if path else "" for path in (sources.history, sources.commands)))
    patches = read_patches([sources.patches])
    check_both_classes(patches.tumour, sources.patches)
    outlined = read_masked_images(sources.masks)
    predictor = open_predictor(sources.model, precision="float32")
    probability = patch_probabilities(patches.pixels, predictor, mosaic=False)
    together = patch_probabilities(patches.pixels, predictor, mosaic=True)
    answers, rule, settings = logit(probability), predictor.decision, load_config(None).settings.segmentation
    measured = Measured(
        card=card,
        lone=scores_of(probability, np.asarray(patches.tumour)),
        mosaic=scores_of(together, np.asarray(patches.tumour)),
        largest_difference=float(np.abs(probability - together).max()),
        worst=worst_of(patches, answers),
        masks=evaluate_masks(outlined, predictor, spacing_um=TILES512_SPACING_UM),
        discs=tuple(disc_bias(disc_maps(predictor, DISC_SEEDS_REPORTED), rule, settings)),
        speeds=measure_speeds(sources.model, predictor.geometry),
        device=predictor.device,
        parameters=parameters(load_network(card, sources.model)),
        megabytes=(sources.model / card.weights).stat().st_size / 1e6,
    )
    pictures = _links(write_sheets(patches, answers, sources.pictures), to) if sources.pictures else None
    text = render(measured, composites=composites, recipe=recipe, pictures=pictures, words=words)
    write_beside(to, text.encode())
    return measured


def render(
    measured: Measured,
    *,
    composites: Mapping[str, Any] | None,
    recipe: Sequence[Mapping[str, Any]],
    pictures: tuple[str, str] | None,
    words: Words,
) -> str:
    """The card as Markdown. composites: as `read_composite_scores` gives them; pictures: links to the sheets."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    um = partial(figure, places=1, sign=True)
    environment.filters |= {"figure": figure, "um": um, "percent": _percent}
    text = environment.get_template("MODEL_CARD.md.jinja").render(
        notice=NOT_FOR_CLINICAL_USE,
        composites=composites,
        sizes_um=SIZES_UM.values(),
        recipe=recipe,
        pictures=pictures,
        hours=words.hours,
        history=words.history.strip(),
        commands=words.commands.strip(),
        released=is_released(measured.card),
        temperature_chosen_on=temperature_chosen_on(measured.card),
        ranges_chosen_on=ranges_chosen_on(measured.card),
        **{field.name: getattr(measured, field.name) for field in dataclasses.fields(measured)},
    )
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: can't be read as text ({error})") from error


def figure(value: Estimate | float | None, *, places: int = 3, sign: bool = False) -> str:
    """ "0.929 (0.920 to 0.938)", or the number alone; "not defined" for None."""
    if isinstance(value, Estimate):
        return number_words(value, places=places, sign=sign)
    return "not defined" if value is None else f"{value:{'+' if sign else ''}.{places}f}"


def _percent(share: float | None) -> str:
    return figure(None if share is None else 100 * share, places=1)


def read_composite_scores(path: Path) -> Mapping[str, Any]:
    """What evaluate-composites --json printed, as `SlideScores` has it. Raises UsageError where it is something
    else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {field.name: _as_stored(content, field.name) for field in dataclasses.fields(SlideScores)}
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(f"{path}: not what evaluate-composites --json prints ({reason})") from error


def _as_stored(content: Mapping[str, Any], name: str) -> Any:
    """A figure by its name, with its interval where commands/output.py gave it one."""
    if f"{name}_95" not in content:
        return content[name]
    low, high = content[f"{name}_95"]
    return Estimate(content[name], low, high, content[f"{name}_n"])


def check_composites(path: Path, card: ModelCard, patches: Path) -> None:
    """Raises UsageError for composite scores that aren't of this model on the half of these patches that nothing was
    tuned on: the card would vouch for them. path: as of read_composite_scores."""
    content = json.loads(path.read_text(encoding="utf-8"))
    try:
        expected = {
            "weights_sha256": card.weights_sha256,
            "card_sha256": card.sha256(),
            "patches_sha256": digest_of(patches, "sha256"),
            "half": 2,
        }
    except OSError as error:
        raise UsageError(f"{patches}: can't be read ({error.strerror})") from error
    for name, value in expected.items():
        if content.get(name) != value:
            found = "doesn't say its" if name not in content else f"{content[name]!r} is another"
            raise UsageError(
                f"{path}: {found} {name}, so it may be of another model, of other patches, or of those tuned on; run "
                f"evaluate-composites --json with this model and {patches}, half 2"
            )


def measure_speeds(model: Path, tile: TileGeometry) -> tuple[Speed, ...]:
    """Of a model's network in its tiles: in float32 and, where the machine has a faster format, in that."""
    with temporary_folder("nodescan-speed-") as folder:
        rival = random_model(folder, "resnet18", core_px=tile.core_px, margin_px=tile.margin_px)
        exact = _speed(open_predictor(model, precision="float32"), open_predictor(rival, precision="float32"))
        fast = _speed(open_predictor(model, rough=True), open_predictor(rival, rough=True))
    return (exact,) if fast.precision == exact.precision else (exact, fast)


def _speed(predictor: TilePredictor, rival: TilePredictor) -> Speed:
    """Medians over rounds in which both answer tiles of noise in turn, after one that doesn't count."""
    rounds = [(_seconds_per_mm2(predictor), _seconds_per_mm2(rival)) for _ in range(_SPEED_ROUNDS + 1)][1:]
    own = float(np.median([seconds for seconds, _ in rounds]))
    ratio = float(np.median([theirs / ours for ours, theirs in rounds]))
    return Speed(predictor.precision, 1 / own, ratio)


def _seconds_per_mm2(predictor: TilePredictor) -> float:
    tile = predictor.geometry
    count = max(_SPEED_TILES, predictor.batch_size)  # a GPU is as fast as a scan has it with whole batches alone
    shape = (count, tile.input_px, tile.input_px, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    started = time.perf_counter()
    predict(predictor, pixels)
    return (time.perf_counter() - started) / (count * (tile.core_px / 1000) ** 2)


def check_recipe(recipe: Sequence[Mapping[str, Any]], card: ModelCard) -> None:
    """Raises UsageError where the last configuration, which made the model, is of another network than the card's.

    Those before it may have made its teachers.
    """
    if not recipe:
        return
    file, trained = recipe[-1]["path"], recipe[-1]["model"].get("architecture")
    if trained != card.architecture:
        raise UsageError(
            f"{file}: trains a network {trained}, and {card.name} is {card.architecture}; give --recipe the "
            "configurations that it was trained with, the last one last, or leave it out"
        )


def recipe_part(path: Path) -> Mapping[str, Any]:
    """What the card says of one training configuration. Raises UsageError where the file holds none."""
    content = read_yaml(path)
    try:
        model, data, trainer = content["model"], content["data"]["init_args"], content["trainer"]
        averaging = [c["init_args"]["decay"] for c in trainer["callbacks"] if "WeightAveraging" in c["class_path"]]
        return {
            "path": path.as_posix(),
            "model": {"label_smoothing": 0.0, **model},  # TumourModule's own
            "init_from": model.get("init_from"),
            "teachers": model.get("teachers") or [],
            "teacher_share": model.get("teacher_share", 0.5),  # TumourModule's own
            "plan": {"phantom_share": "none", "patch_px": 96, **data["plan"]},  # as slides are sampled
            "augment": data["augment"],
            "epochs": trainer["max_epochs"],
            "precision": trainer["precision"],
            "averaging": averaging[0] if averaging else None,
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a training configuration ({type(error).__name__}: {error})") from error


def _links(files: tuple[Path, Path], card: Path) -> tuple[str, str]:
    """The paths of the two sheets as links from the card."""
    first, second = (Path(os.path.relpath(path, card.parent)).as_posix() for path in files)
    return first, second
