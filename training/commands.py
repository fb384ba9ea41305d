"""The commands of python -m training beside Lightning's: export a model, tune its decision, judge it."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from nodescan.config import load_config
from nodescan.errors import NodescanError, UsageError
from nodescan.imaging.segmentation import find_deposits
from nodescan.inference.card import Decision, find_model, load_card, save_card
from nodescan.inference.predictor import open_predictor
from training.composites import Composite, SlideScore, half_of, make_composites, score_slide, summarise
from training.discs import disc_bias, disc_maps
from training.export import export
from training.mask_evaluation import evaluate_masks, read_masked_images
from training.patch_evaluation import calibrated, evaluate_patches
from training.patches import read_patches
from training.scores import Interval
from training.slide_commands import add_slide_commands
from training.tuning import probability_map, tune

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
add_slide_commands(app)

_DISC_SEEDS_TUNED, _DISC_SEEDS_REPORTED = (1, 7), (101, 107)

_Model = Annotated[str | None, typer.Option(help="name or folder of a model; default: the released one")]
_Patches = Annotated[Path, typer.Option(help="zip of labelled validation patches")]
_Tool = Annotated[Path, typer.Option(help="the script that lays slides out of patches")]
_Work = Annotated[Path, typer.Option(help="folder for slides and maps, kept for the next time")]
_Json = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]


def run(arguments: list[str]) -> int:
    """Exit code: 0 done, 2 for a mistake of the user's, told in one line."""
    try:
        app(arguments, standalone_mode=True)
    except NodescanError as error:
        typer.echo(f"error: {error}", err=True)
        return 2
    return 0


@app.command("export")
def export_command(
    checkpoint: Path,
    to: Annotated[Path, typer.Option(help="the model folder to write")],
    training_data: Annotated[str, typer.Option(help="what it was trained on, for the card")] = "not stated",
) -> None:
    """Write a model folder, card and safetensors, from a checkpoint."""
    card = export(checkpoint, to, name=to.name, training_data=training_data)
    typer.echo(f"{to}: {card.architecture}, sha256 {card.weights_sha256[:12]}; run it with --model {to}")


@app.command("evaluate-patches")
def evaluate_patches_command(
    path: Path,
    model: _Model = None,
    mosaic: Annotated[bool, typer.Option(help="answer all patches inside one large picture, as on a slide")] = False,
    as_json: _Json = False,
) -> None:
    """Score a model on labelled patches: a zip, a folder (*/normal, */tumor) or a PCam HDF5 pair (..._x.h5)."""
    scores = evaluate_patches(read_patches([path]), open_predictor(find_model(model)), mosaic=mosaic)
    _tell(_flat(scores), as_json=as_json)


@app.command("evaluate-masks")
def evaluate_masks_command(
    folder: Path,
    mpp: Annotated[float, typer.Option(help="um/px of the pictures")] = 0.94,
    model: _Model = None,
    as_json: _Json = False,
) -> None:
    """Score a model's outlines on pictures that have a _mask.png beside them."""
    scores = evaluate_masks(read_masked_images(folder), open_predictor(find_model(model)), spacing_um=mpp)
    _tell(_flat(scores), as_json=as_json)


@app.command("evaluate-composites")
def evaluate_composites_command(
    patches: _Patches,
    tool: _Tool,
    model: _Model = None,
    half: Annotated[int, typer.Option(help="which half of the patches: 1 for tuning, 2 for reporting")] = 2,
    seeds: Annotated[str, typer.Option(help="first-last")] = "101-140",
    work: _Work = Path("runs/composites"),
    as_json: _Json = False,
) -> None:
    """Score a model on slides laid out of real patches with planted deposits: class, false deposits, recall, sizes."""
    predictor = open_predictor(find_model(model))
    settings = load_config(None).settings.segmentation
    composites = make_composites(tool, half_of(patches, work, half=half), _range(seeds), to=work)
    scores = []
    for composite in composites:
        map_ = probability_map(composite.path, predictor, cache=work / "maps")
        scores.append(score_slide(composite, find_deposits(map_, predictor.decision, settings)))
        if not as_json:
            typer.echo(_one_slide(composite, scores[-1]))
    _tell(_flat(summarise(scores)), as_json=as_json)


@app.command("tune")
def tune_command(
    model: Annotated[Path, typer.Option(help="the model folder whose card is rewritten")],
    patches: _Patches,
    tool: _Tool,
    seeds: Annotated[str, typer.Option(help="first-last")] = "1-40",
    work: _Work = Path("runs/composites"),
) -> None:
    """Choose temperature, thresholds and size correction on validation data and write them on the model's card."""
    card = calibrated(load_card(model), open_predictor(model), read_patches([patches]))
    save_card(card, model)
    predictor = open_predictor(model, rough=True)
    settings = load_config(None).settings.segmentation
    composites = make_composites(tool, half_of(patches, work, half=1), _range(seeds), to=work)
    cache = work / f"maps-{card.temperature}"
    maps = [probability_map(composite.path, predictor, cache=cache) for composite in composites]
    trials = tune(composites, maps, settings, discs=disc_maps(predictor, range(*_DISC_SEEDS_TUNED)))
    for trial in trials[:10]:
        typer.echo(f"{trial.worth:.3f}  {trial.rule}  {trial.scores}")
    best = trials[0].rule
    chosen_on = f"{len(composites)} composites of every second validation patch, seeds {seeds}; best of {len(trials)}"
    save_card(card.model_copy(update={"decision": Decision.of(best, chosen_on=chosen_on)}), model)


@app.command("measure-discs")
def measure_discs_command(model: _Model = None, as_json: _Json = False) -> None:
    """Bias of a model's sizes on phantom discs of known diameter, other ones than it was tuned on."""
    predictor = open_predictor(find_model(model))
    discs = disc_maps(predictor, range(*_DISC_SEEDS_REPORTED))
    rows = disc_bias(discs, predictor.decision, load_config(None).settings.segmentation)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(row) for row in rows]))
        return
    typer.echo("planted um   n  missed  bias before  bias after  spread")
    for row in rows:
        biases = f"{row.before_um:+11.1f}  {row.after_um:+10.1f}  {row.spread_um:6.1f}"
        typer.echo(f"{row.diameter_um:10.0f}  {row.n:2d}  {row.missed:6d}  {biases}")


def _one_slide(composite: Composite, score: SlideScore) -> str:
    sizes = ", ".join(
        f"{planted:.0f} -> {'missed' if measured is None else f'{measured:.0f}'} um"
        for planted, measured in zip(score.planted_um, score.measured_um, strict=True)
    )
    right = "right" if score.truth is score.found else "WRONG"
    classes = f"{score.truth.word:8} found {score.found.word:8} {right}"
    return f"seed {composite.seed:3d}  {classes}  {score.false_deposits:3d} false  {sizes}"


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    try:
        return range(int(first), int(last or first) + 1)
    except ValueError as error:
        raise UsageError(f"--seeds {text!r}: expected first-last, as in 1-40") from error


def _flat(scores: object) -> dict[str, object]:
    """The fields of a scores dataclass; an interval becomes its value and, as name_95, its ends."""
    content: dict[str, object] = {}
    for name in scores.__dataclass_fields__:
        value = getattr(scores, name)
        if isinstance(value, Interval):
            content |= {name: value.value, f"{name}_95": [round(value.low, 4), round(value.high, 4)]}
        else:
            content[name] = value
    return content


def _tell(content: dict[str, object], *, as_json: bool) -> None:
    """A flat table of figures, as JSON or as aligned lines."""
    if as_json:
        typer.echo(json.dumps(content))
        return
    width = max(map(len, content))
    for name, value in content.items():
        typer.echo(f"{name:<{width}}  {value:.4f}" if isinstance(value, float) else f"{name:<{width}}  {value}")
