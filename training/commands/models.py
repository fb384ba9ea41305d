"""The commands of python -m training that make a model, choose its decision, and judge its answers."""

import json
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from nodescan.errors import UsageError
from training.commands.output import flat, seed_range, tell
from training.options import TILES512_SPACING_UM, WORK, Json, Model, Seeds, Slides, Tool, Tuned, Work

if TYPE_CHECKING:
    from nodescan.interfaces import TilePredictor
    from training.tuning.known_slides import KnownSlide

_SEEDS, _SLIDES, _SPLIT = "1-60", "*", "valid"
"""Of tune, where they aren't given."""

Only = Annotated[
    Tuned | None,
    typer.Option(
        help="decision: keep the card's temperature and int8 ranges. uncertainty: also keep its thresholds and size "
        'correction, and measure only how wide "±" must be.'
    ),
]
TunedPatches = Annotated[
    Path | None, typer.Option(help="Zip of labelled validation patches. Slides take every second patch.")
]


def export_command(
    checkpoint: Path,
    to: Annotated[Path, typer.Option(help="The model folder to write.")],
    training_data: Annotated[str, typer.Option(help="What the model was trained on, for the card.")] = "not stated",
) -> None:
    """Write a model folder (card and safetensors) from a checkpoint. A tuned model is not replaced."""
    from training.fitting.export import export, model_replaced

    old = model_replaced(to)
    card = export(checkpoint, to, name=to.resolve().name, training_data=training_data)
    made = f"{to}: {card.architecture}, sha256 {card.weights_sha256[:12]}"
    if old is not None:
        made += f", in place of the untuned model {old.weights_sha256[:12]}"
    typer.echo(f"{made}; tune it before use: python -m training tune --model {quote(str(to))}")


def average_command(
    sources: Annotated[list[str], typer.Argument(help="Checkpoints (*.ckpt), or models by name or folder.")],
    to: Annotated[Path, typer.Option(help="The checkpoint to write.")],
) -> None:
    """Average the weights of related networks, such as those of a run and those that the run started from."""
    from training.fitting.averaging import average

    typer.echo(f"{to}: the mean of {len(sources)} {average(sources, to)} networks")


def tune_command(
    model: Annotated[Path, typer.Option(help="The model folder whose card is rewritten.")],
    patches: TunedPatches = None,
    tool: Tool = None,
    seeds: Seeds = _SEEDS,
    only: Only = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Use outlined slides instead: a CSV of data_manifests/.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="With --manifest: folder that holds its slides and outlines.")
    ] = None,
    slides: Slides = _SLIDES,
    split: Annotated[str, typer.Option(help="With --manifest: use the slides of this split.")] = _SPLIT,
    work: Work = WORK,
) -> None:
    """Choose int8 ranges, thresholds and size correction on slides with known deposits, and write them on the card.

    The slides are outlined, or composed from labelled patches. Labelled patches also set the temperature.
    """
    from training.camelyon.manifest import SPLITS
    from training.tuning.card import rewrite_card

    if (patches is None) == (manifest is None):
        raise UsageError("tune needs slides whose deposits are known: --patches ZIP, or --manifest CSV with --data DIR")
    if patches is not None:
        _refuse("--patches", {"--data": data is not None, "--slides": slides != _SLIDES, "--split": split != _SPLIT})
        source = partial(_laid_out, patches, tool, seeds, work)
    elif manifest is None or data is None:
        raise UsageError(
            "--manifest needs --data, the folder below which the manifest's `key` and `annotation_key` lie (public "
            "slides: the one that python -m training download filled)"
        )
    else:
        _refuse("--manifest", {"--tool": tool is not None, "--seeds": seeds != _SEEDS})
        if split not in SPLITS:
            raise UsageError(f"--split {split}: choose from {', '.join(SPLITS)}")
        source = partial(_outlined, manifest, data, slides, split)
    typer.echo(rewrite_card(model, source, only, patches, work))


def know_tissue_command(
    model: Annotated[Path, typer.Option(help="The model folder to write to.")],
    patches: Annotated[list[Path], typer.Option(help="Patches that the model was trained on; may be given again.")],
    valid: Annotated[Path, typer.Option(help="Patches that it was not trained on.")],
) -> None:
    """Measure which tissue a model was taught, so that scans flag other tissue (unlike_training)."""
    from training.tuning.tissue import write_known_tissue

    typer.echo(f"{model}: {write_known_tissue(model, patches, valid)}")


def _refuse(source: str, given: dict[str, bool]) -> None:
    """Raises UsageError for an option that is given and bears on another source of slides: it would be ignored."""
    for option in (name for name, is_given in given.items() if is_given):
        raise UsageError(f"{option} has no meaning with {source}; leave it out")


def evaluate_patches_command(
    path: Path,
    model: Model = None,
    mosaic: Annotated[bool, typer.Option(help="Answer all patches inside one large picture, as on a slide.")] = False,
    mpp: Annotated[
        float | None, typer.Option(help="um/px of the patches.", show_default="that of PatchCamelyon")
    ] = None,
    in_middle: Annotated[
        bool,
        typer.Option(
            "--in-middle", help="The labels describe the middle of the patch. Those of PatchCamelyon lie 6 px off it."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Score a model on labelled patches: a zip, a folder (*/normal, */tumor) or a PCam HDF5 pair (..._x.h5)."""
    from training.patches.labelled import PATCH_SPACING_UM, read_patches
    from training.scoring.patches import check_both_classes, evaluate_patches

    predictor = _reference(model, path, PATCH_SPACING_UM if mpp is None else mpp)
    patches = read_patches([path])
    check_both_classes(patches.tumour, path)
    scores = evaluate_patches(patches, predictor, mosaic=mosaic, in_middle=in_middle)
    tell(flat(scores), as_json=as_json)


def evaluate_masks_command(
    folder: Path,
    mpp: Annotated[float, typer.Option(help="um/px of the pictures.")] = TILES512_SPACING_UM,
    value: Annotated[
        int | None, typer.Option(help="Pixel value that marks tumour. Needed if the masks hold several.")
    ] = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Score a model's outlines on pictures that have a _mask.png beside them."""
    from training.scoring.masks import evaluate_masks, read_masked_images

    predictor = _reference(model, folder, mpp)
    scores = evaluate_masks(read_masked_images(folder, value=value), predictor, spacing_um=mpp)
    tell(flat(scores), as_json=as_json)


def measure_discs_command(model: Model = None, as_json: Json = False) -> None:
    """Measure the bias of a model's sizes on synthetic discs of known diameter. The model was not tuned on them."""
    from nodescan.config import load_config
    from nodescan.inference.card import find_model
    from nodescan.inference.predictor import open_predictor
    from training.tuning.discs import DISC_SEEDS_REPORTED, disc_bias, disc_maps

    predictor = open_predictor(find_model(model), precision="float32")
    discs = disc_maps(predictor, DISC_SEEDS_REPORTED)
    rows = disc_bias(discs, predictor.decision, load_config(None).settings.segmentation)
    if as_json:
        typer.echo(json.dumps([flat(row) for row in rows], allow_nan=False))
        return
    typer.echo("planted um   n  missed  bias before  bias after  spread")
    for row in rows:
        found = row.before_um is not None
        biases = f"{row.before_um:+11.1f}  {row.after_um:+10.1f}  {row.spread_um:6.1f}" if found else "not defined"
        typer.echo(f"{row.diameter_um:10.0f}  {row.n:2d}  {row.missed:6d}  {biases}")


def _laid_out(patches: Path, tool: Path | None, seeds: str, work: Path) -> "tuple[list[KnownSlide], str]":
    """Slides of every second patch, and what they are in words."""
    from training.provenance import COMPOSITES
    from training.tuning.composites import half_of, make_composites
    from training.tuning.known_slides import check_both_kinds

    known = make_composites(tool, half_of(patches, work, half=1), seed_range(seeds), to=work)
    check_both_kinds(known)
    return known, f"{len(known)} {COMPOSITES}, seeds {seeds}"


def _outlined(manifest: Path, data: Path, slides: str, split: str) -> "tuple[list[KnownSlide], str]":
    """Slides of a manifest, and what they are in words."""
    from training.camelyon.manifest import chosen, read_data_manifest
    from training.provenance import OUTLINED
    from training.tuning.annotated_slides import annotated_slides

    rows = [row for row in chosen(read_data_manifest(manifest), slides) if row.split == split]
    known = annotated_slides(rows, data, tell=typer.echo)
    return known, f"{len(known)} {OUTLINED} of split {split} of {manifest.name}"


def _reference(model: str | None, path: Path, mpp: float) -> "TilePredictor":
    """The model in float32. Raises UsageError for a magnification that it wasn't taught: it would answer anyway."""
    from nodescan.inference.card import find_model
    from nodescan.inference.predictor import open_predictor

    predictor = open_predictor(find_model(model), precision="float32")
    finest, coarsest = predictor.spacing_range_um
    if not finest <= mpp <= coarsest:
        raise UsageError(
            f"{path}: --mpp {mpp:g} is not within the model's {finest:g} to {coarsest:g} um/px; resample it"
        )
    return predictor
