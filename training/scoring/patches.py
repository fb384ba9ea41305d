"""How well a model answers labelled patches: one by one, and laid into one mosaic as on a slide."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from nodescan.domain.geometry import TileGrid
from nodescan.domain.units import Spacing
from nodescan.errors import UsageError
from nodescan.evaluation.bootstrap import Estimate
from nodescan.evaluation.slide_auc import roc_auc
from nodescan.imaging.stitching import MapBuilder
from nodescan.inference.card import MOST_LOG_TEMPERATURE, ModelCard
from nodescan.interfaces import TilePredictor, predict
from training.patches.labelled import LABELLED_PX, Patches, centred
from training.scoring.scores import bootstrap, calibration_error, share_of_some, specificity_at

_BATCH = 64

READ_PX = 64
"""Side of what a patch's answer is read from. Its label speaks of 32 px; tissue beside them is mostly alike, and a scan
decides by a map that is smoothed more than this. AUC on the validation patches, read from 32 px: 0.949."""


@dataclass(frozen=True, slots=True)
class PatchScores:
    """accuracy, sensitivity and specificity at a probability of 0.5; intervals by resampling all patches.

    The n of sensitivity is the number of patches with tumour, that of both specificities the number without.

    calibration_error has none: chance alone makes each bin's part of it positive, and resampling adds that a second
    time. Of made answers whose true error is known, 0 to 92 % of such intervals hold it (300 and 2,907 patches).
    """

    auc: Estimate
    accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate
    specificity_at_sensitivity_090: Estimate
    calibration_error: float
    n: int


def evaluate_patches(patches: Patches, predictor: TilePredictor, *, mosaic: bool, in_middle: bool) -> PatchScores:
    """Scores over all patches. in_middle: their labels speak of their middle, unlike PatchCamelyon's.

    Raises UsageError where their size doesn't suit the model, or a class is missing (first see check_both_classes).
    """
    pixels = patches.pixels if in_middle else centred(patches.pixels)
    return scores_of(probabilities_in_middle(pixels, predictor, mosaic=mosaic), np.asarray(patches.tumour))


def scores_of(probability: NDArray[np.float64], truth: NDArray[np.bool_]) -> PatchScores:
    """Scores of given answers, float64 (N,), against labels, bool (N,). Raises UsageError where a class is missing."""
    check_both_classes(truth, "the labels")
    said = probability >= 0.5

    def interval(score: Callable[[NDArray[np.intp]], float]) -> Estimate:
        return bootstrap(score, len(truth))

    at_090 = interval(lambda index: specificity_at(probability[index], truth[index], sensitivity=0.9))
    return PatchScores(
        auc=interval(lambda index: roc_auc(probability[index], truth[index])),
        accuracy=interval(lambda index: float((said[index] == truth[index]).mean())),
        sensitivity=share_of_some(said, truth),
        specificity=share_of_some(~said, ~truth),
        specificity_at_sensitivity_090=replace(at_090, n=int((~truth).sum())),
        calibration_error=calibration_error(probability, truth),
        n=len(truth),
    )


def check_both_classes(truth: NDArray[np.bool_], source: Path | str) -> None:
    """Raises UsageError, which names the source, where the patches have one label. truth : bool (N,)."""
    if truth.all() or not truth.any():
        label = "tumour" if truth.any() else "normal"
        raise UsageError(
            f"{source}: all {len(truth)} patches are labelled {label}, so nothing can be told apart; name patches of "
            "both labels"
        )


def patch_probabilities(pixels: NDArray[np.uint8], predictor: TilePredictor, *, mosaic: bool) -> NDArray[np.float64]:
    """float64 (N,) in [0, 1]: what each patch's label speaks of (patches.centred) holds tumour."""
    return probabilities_in_middle(centred(pixels), predictor, mosaic=mosaic)


def probabilities_in_middle(
    pixels: NDArray[np.uint8], predictor: TilePredictor, *, mosaic: bool
) -> NDArray[np.float64]:
    """float64 (N,) in [0, 1]: each patch's middle holds tumour; pixels : uint8 (N, S, S, 3).

    The answer is the mean logit of READ_PX around the middle. Alone, a patch that is too small for so many cells is
    mirrored at its edges; in a mosaic it has other patches beside it. Raises UsageError for patches of a size that the
    model can't answer.
    """
    tile, size = predictor.geometry, pixels.shape[1]
    if size % (2 * tile.stride_px) or size < 2 * tile.margin_px + LABELLED_PX or READ_PX % (2 * tile.stride_px):
        raise UsageError(f"patches of {size} px don't suit this model; it answers patches of 96, 128, 160, ... px")
    cells = _in_mosaic(pixels, predictor) if mosaic else _one_by_one(pixels, predictor)
    cells = np.clip(cells.astype(np.float64), 1e-7, 1 - 1e-7)
    return expit(logit(cells).mean(axis=(1, 2)))


def calibrated(card: ModelCard, predictor: TilePredictor, patches: Patches) -> ModelCard:
    """The card with the temperature at which the patches' labels are likeliest (Guo et al., ICML 2017)."""
    probability = np.clip(patch_probabilities(patches.pixels, predictor, mosaic=False), 1e-7, 1 - 1e-7)
    answers = logit(probability) * card.temperature
    truth = np.asarray(patches.tumour)

    def surprise(log_temperature: float) -> float:
        scaled = answers / np.exp(log_temperature)
        return float(np.logaddexp(0, np.where(truth, -scaled, scaled)).mean())

    best = minimize_scalar(surprise, bounds=(-MOST_LOG_TEMPERATURE, MOST_LOG_TEMPERATURE), method="bounded")
    return card.model_copy(update={"temperature": round(float(np.exp(best.x)), 4)})


def _one_by_one(pixels: NDArray[np.uint8], predictor: TilePredictor) -> NDArray[np.float32]:
    """float32 (N, n, n): the cells of READ_PX in each patch's middle, every patch a tile of its own."""
    tile, count = predictor.geometry, READ_PX // predictor.geometry.stride_px
    edge = max(0, READ_PX + 2 * tile.margin_px - pixels.shape[1]) // 2
    answers = [
        predict(predictor, _mirrored(pixels[start : start + _BATCH], edge)) for start in range(0, len(pixels), _BATCH)
    ]
    cells = np.concatenate(answers)
    first = (cells.shape[1] - count) // 2
    return cells[:, first : first + count, first : first + count]


def _mirrored(pixels: NDArray[np.uint8], edge: int) -> NDArray[np.uint8]:
    return np.pad(pixels, ((0, 0), (edge, edge), (edge, edge), (0, 0)), mode="reflect")


def _in_mosaic(pixels: NDArray[np.uint8], predictor: TilePredictor) -> NDArray[np.float32]:
    """float32 (N, n, n): the same cells, read off the map of one large picture that all patches are laid into.

    In a random order: neighbours are of one class no more often than chance has it.
    """
    tile, size = predictor.geometry, pixels.shape[1]
    columns = int(np.ceil(np.sqrt(len(pixels))))
    rows = int(np.ceil(len(pixels) / columns))
    grid = TileGrid(columns * size, rows * size, tile)
    high, wide = (
        -(-length // tile.core_px) * tile.core_px + 2 * tile.margin_px for length in (grid.height, grid.width)
    )
    canvas = np.full((high, wide, 3), 255, np.uint8)
    places = np.random.default_rng(0).permutation(len(pixels))
    for place, patch in zip(places, pixels, strict=True):
        top, left = (tile.margin_px + size * int(step) for step in divmod(place, columns))
        canvas[top : top + size, left : left + size] = patch
    builder = MapBuilder(grid, frame_spacing=Spacing.square(1.0), wanted=np.ones(grid.map_shape, bool))
    for row, column in grid:
        core = grid.core(row, column)
        shown = canvas[core.top : core.top + tile.input_px, core.left : core.left + tile.input_px]
        builder.place(row, column, predict(predictor, np.ascontiguousarray(shown[None]))[0])
    map_ = builder.result().values
    step, count = size // tile.stride_px, READ_PX // tile.stride_px
    first = (step - count) // 2
    corners = step * np.stack(divmod(places, columns), axis=1) + first
    return np.stack([map_[row : row + count, column : column + count] for row, column in corners])
