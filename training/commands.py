"""The commands of python -m training beside Lightning's: export a model, tune its decision, judge it."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Annotated

import typer

from nodescan.config import load_config
from nodescan.errors import NodescanError, UsageError
from nodescan.inference.card import Decision, find_model, load_card, save_card
from nodescan.inference.predictor import open_predictor
from nodescan.interfaces import TilePredictor
from training.averaging import average
from training.card_commands import add_card_commands
from training.composite_commands import add_composite_commands
from training.composites import half_of, make_composites
from training.discs import disc_bias, disc_maps
from training.eight_bits import with_ranges
from training.export import export
from training.mask_evaluation import evaluate_masks, read_masked_images
from training.patch_evaluation import calibrated, evaluate_patches
from training.patches import PATCH_SPACING_UM, read_patches
from training.slide_commands import add_slide_commands
from training.telling import flat, one_line, seed_range, tell
from training.tuning import probability_map, steadiest, tune

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
add_slide_commands(app)
add_composite_commands(app)
add_card_commands(app)

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
        typer.echo(f"error: {one_line(error)}", err=True)
        return 2
    return 0


@app.command("export")
def export_command(
    checkpoint: Path,
    to: Annotated[Path, typer.Option(help="the model folder to write")],
    training_data: Annotated[str, typer.Option(help="what it was trained on, for the card")] = "not stated",
) -> None:
    """Write a model folder, card and safetensors, from a checkpoint."""
    card = export(checkpoint, to, name=to.resolve().name, training_data=training_data)
    typer.echo(f"{to}: {card.architecture}, sha256 {card.weights_sha256[:12]}; run it with --model {to}")


@app.command("average")
def average_command(
    sources: Annotated[list[str], typer.Argument(help="checkpoints (*.ckpt), or models by name or folder")],
    to: Annotated[Path, typer.Option(help="the checkpoint to write")],
) -> None:
    """Average the weights of networks that grew from one another, such as a run's and those it started with."""
    typer.echo(f"{to}: the mean of {len(sources)} {average(sources, to)} networks")


@app.command("evaluate-patches")
def evaluate_patches_command(
    path: Path,
    model: _Model = None,
    mosaic: Annotated[bool, typer.Option(help="answer all patches inside one large picture, as on a slide")] = False,
    mpp: Annotated[float, typer.Option(help="um/px of the patches; PatchCamelyon's by default")] = PATCH_SPACING_UM,
    as_json: _Json = False,
) -> None:
    """Score a model on labelled patches: a zip, a folder (*/normal, */tumor) or a PCam HDF5 pair (..._x.h5)."""
    predictor = open_predictor(find_model(model), precision="float32")
    _check_spacing(path, mpp, predictor)
    scores = evaluate_patches(read_patches([path]), predictor, mosaic=mosaic)
    tell(flat(scores), as_json=as_json)


@app.command("evaluate-masks")
def evaluate_masks_command(
    folder: Path,
    mpp: Annotated[float, typer.Option(help="um/px of the pictures")] = 0.94,
    model: _Model = None,
    as_json: _Json = False,
) -> None:
    """Score a model's outlines on pictures that have a _mask.png beside them."""
    predictor = open_predictor(find_model(model), precision="float32")
    _check_spacing(folder, mpp, predictor)
    scores = evaluate_masks(read_masked_images(folder), predictor, spacing_um=mpp)
    tell(flat(scores), as_json=as_json)


def _check_spacing(path: Path, mpp: float, predictor: TilePredictor) -> None:
    """Raises UsageError for a magnification that the model wasn't taught: it would be answered all the same."""
    finest, coarsest = predictor.spacing_range_um
    if not finest <= mpp <= coarsest:
        raise UsageError(
            f"{path}: --mpp {mpp:g} is not within the model's {finest:g} to {coarsest:g} um/px; resample it"
        )


@app.command("tune")
def tune_command(
    model: Annotated[Path, typer.Option(help="the model folder whose card is rewritten")],
    patches: _Patches,
    tool: _Tool,
    seeds: Annotated[str, typer.Option(help="first-last")] = "1-40",
    work: _Work = Path("runs/composites"),
) -> None:
    """Choose temperature, ranges for int8, thresholds and size correction on validation data, and write them on the
    model's card."""
    card = calibrated(load_card(model), open_predictor(model, precision="float32"), read_patches([patches]))
    save_card(card, model)
    settings = load_config(None).settings.segmentation
    composites = make_composites(tool, half_of(patches, work, half=1), seed_range(seeds), to=work)
    card = with_ranges(model, [composite.path for composite in composites])
    save_card(card, model)
    predictor = open_predictor(model, rough=True)
    cache = work / f"maps-{card.temperature}"
    maps = [probability_map(composite.path, predictor, cache=cache) for composite in composites]
    trials = tune(composites, maps, settings, discs=disc_maps(predictor, range(*_DISC_SEEDS_TUNED)))
    for trial in trials[:10]:
        typer.echo(f"{trial.worth:.3f}  {trial.rule}  {trial.scores}")
    best = steadiest(trials).rule
    slides = f"{len(composites)} composites of every second validation patch, seeds {seeds}"
    chosen_on = f"{slides}; the smoothest within a standard error of the best of {len(trials)}"
    save_card(card.model_copy(update={"decision": Decision.of(best, chosen_on=chosen_on)}), model)


@app.command("measure-discs")
def measure_discs_command(model: _Model = None, as_json: _Json = False) -> None:
    """Bias of a model's sizes on phantom discs of known diameter, other ones than it was tuned on."""
    predictor = open_predictor(find_model(model), precision="float32")
    discs = disc_maps(predictor, range(*_DISC_SEEDS_REPORTED))
    rows = disc_bias(discs, predictor.decision, load_config(None).settings.segmentation)
    if as_json:
        typer.echo(json.dumps([_known(dataclasses.asdict(row)) for row in rows], allow_nan=False))
        return
    typer.echo("planted um   n  missed  bias before  bias after  spread")
    for row in rows:
        biases = f"{row.before_um:+11.1f}  {row.after_um:+10.1f}  {row.spread_um:6.1f}"
        typer.echo(f"{row.diameter_um:10.0f}  {row.n:2d}  {row.missed:6d}  {biases}")


def _known(row: dict[str, float]) -> dict[str, float | None]:
    """What isn't known, since nothing was found, is null."""
    return {name: None if math.isnan(value) else value for name, value in row.items()}
