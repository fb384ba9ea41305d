"""How well a model outlines tumour on pictures with a pixel mask: cells, area, and where the border is drawn."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.decision import DecisionRule
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.naming import few
from nodescan.domain.units import Spacing
from nodescan.errors import UsageError
from nodescan.evaluation.bootstrap import Estimate
from nodescan.evaluation.slide_auc import roc_auc
from nodescan.imaging.segmentation import smoothed_values
from nodescan.interfaces import TilePredictor, predict
from nodescan.mask_images import check_values, read_mask_image
from training.patches.pictures import colours_of
from training.scoring.scores import bootstrap, ratio

_NEAR_UM = 100.0
"""A drawn border farther than this from any true one may be of a false deposit, so the bias is told without it, too."""

_WHITE = 255
"""Tumour where no mask of a folder holds any: no pixel has it."""


@dataclass(frozen=True, slots=True)
class MaskedImage:
    """pixels : uint8 (H, W, 3) RGB; tumour : bool (H, W)."""

    name: str
    pixels: NDArray[np.uint8]
    tumour: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MaskScores:
    """auc: over cells that are wholly in or wholly out, its interval by picture. dice: at the card's threshold, all
    pictures taken together; dice_by_picture: the mean of each one's; dice_of_all_tumour: of calling every pixel tumour.

    boundary_bias_um: mean signed distance of the drawn border from the true one, positive outside the tumour, after the
    card's size correction; boundary_bias_raw_um: before it. Both without the part of the drawn border that lies farther
    than 100 um from any true one, boundary_left_out; boundary_bias_of_all_um: as boundary_bias_um, with that part.
    boundary_distance_um, boundary_distance_of_all_um: mean distances without a sign, before the correction. Estimates
    by picture. n: pictures.
    """

    auc: Estimate
    dice: Estimate
    dice_by_picture: Estimate
    dice_of_all_tumour: Estimate
    boundary_bias_um: Estimate
    boundary_bias_raw_um: Estimate
    boundary_left_out: Estimate
    boundary_bias_of_all_um: Estimate
    boundary_distance_um: Estimate
    boundary_distance_of_all_um: Estimate
    n: int
    cells: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of one picture, and the truth.

    probability, share : float32 (h, w), of each cell, and how much of it is tumour; truth, drawn : bool (H, W), the
    true and the drawn mask of the picture's inner part.
    """

    probability: NDArray[np.float32]
    share: NDArray[np.float32]
    truth: NDArray[np.bool_]
    drawn: NDArray[np.bool_]


def read_masked_images(folder: Path, *, value: int | None = None) -> list[MaskedImage]:
    """Every picture of a folder with a `_mask.png` beside it. value: which pixel value is tumour (None: all but 0).

    Raises UsageError where no mask is there, sizes differ, or which value is tumour would be a guess; AnnotationError
    where a mask can't be used, as `nodescan measure` does.
    """
    files = sorted(folder.glob("*_mask.png")) if folder.is_dir() else []
    if not files:
        raise UsageError(f"{folder}: no pictures with a _mask.png beside them")
    pixels = [_picture_of(file) for file in files]
    masks = [_values_of(file, picked=value is not None) for file in files]
    for file, picture, mask in zip(files, pixels, masks, strict=True):
        if picture.shape[:2] != mask.shape:
            raise UsageError(f"{file}: {mask.shape} px, but its picture has {picture.shape[:2]}")
    tumour = _tumour_value(folder, masks, value)
    return [
        MaskedImage(_stem(file), picture, mask == tumour)
        for file, picture, mask in zip(files, pixels, masks, strict=True)
    ]


def evaluate_masks(images: list[MaskedImage], predictor: TilePredictor, *, spacing_um: float) -> MaskScores:
    """Scores over all pictures, taken as tissue at spacing_um; only cells that see no edge of a picture count."""
    rule = predictor.decision
    answers = [answer(image, predictor, spacing_um=spacing_um, rule=rule) for image in images]
    moved_um = rule.excess_um(1e9) / 2
    everywhere = [border_distances(a, spacing_um) for a in answers]
    near = [part[is_near(part)] for part in everywhere]
    common = np.array([(each.truth & each.drawn).sum() for each in answers])
    tumour = np.array([each.truth.sum() for each in answers])
    both = tumour + np.array([each.drawn.sum() for each in answers])  # Dice: twice the common area per both areas
    pixels = np.array([each.truth.size for each in answers])
    return MaskScores(
        auc=bootstrap(lambda index: _cell_auc([answers[i] for i in index]), len(answers)),
        dice=bootstrap(ratio(2 * common, both), len(answers)),
        dice_by_picture=_mean_of_all(
            [np.array([2 * one / areas] if areas else []) for one, areas in zip(common, both, strict=True)]
        ),
        dice_of_all_tumour=bootstrap(ratio(2 * tumour, tumour + pixels), len(answers)),
        boundary_bias_um=_mean_of_all([part - moved_um for part in near]),
        boundary_bias_raw_um=_mean_of_all(near),
        boundary_left_out=_mean_of_all([1.0 - is_near(part) for part in everywhere]),
        boundary_bias_of_all_um=_mean_of_all([part - moved_um for part in everywhere]),
        boundary_distance_um=_mean_of_all([np.abs(part) for part in near]),
        boundary_distance_of_all_um=_mean_of_all([np.abs(part) for part in everywhere]),
        n=len(answers),
        cells=sum(int(_clear(a).sum()) for a in answers),
    )


def answer(image: MaskedImage, predictor: TilePredictor, *, spacing_um: float, rule: DecisionRule) -> Answer:
    """What the model says of one picture: cells as they are, and the border as it would be drawn on a slide.

    Raises UsageError where it is smaller than a cell and the model's margin.
    """
    tile = predictor.geometry
    height, width = (size - 2 * tile.margin_px for size in image.tumour.shape)
    height, width = height - height % tile.stride_px, width - width % tile.stride_px
    if height < tile.stride_px or width < tile.stride_px:
        raise UsageError(f"{image.name}: too small; the model needs {2 * tile.margin_px + tile.stride_px} px at least")
    shown = image.pixels[: height + 2 * tile.margin_px, : width + 2 * tile.margin_px]
    probability = predict(predictor, np.ascontiguousarray(shown[None]))[0]
    core = (slice(tile.margin_px, tile.margin_px + height), slice(tile.margin_px, tile.margin_px + width))
    truth = image.tumour[core]
    blocks = truth.reshape(height // tile.stride_px, tile.stride_px, width // tile.stride_px, tile.stride_px)
    cell = Spacing.square(spacing_um * tile.stride_px)
    map_ = ProbabilityMap(probability, np.ones(probability.shape, bool), cell)
    fine = _enlarged(smoothed_values(map_, rule.smoothing_um), tile.stride_px)
    return Answer(probability, blocks.mean(axis=(1, 3)).astype(np.float32), truth, fine >= rule.threshold)


def border_distances(answer: Answer, spacing_um: float) -> NDArray[np.float64]:
    """float64 (n,): signed distance, um, of the drawn border's pixels from the nearest true border; positive outside
    the tumour. None where the picture has no true border."""
    if answer.truth.all() or not answer.truth.any():
        return np.zeros(0)
    outside = ndimage.distance_transform_edt(~answer.truth) - 0.5
    inside = ndimage.distance_transform_edt(answer.truth) - 0.5
    signed = np.where(answer.truth, -inside, outside) * spacing_um
    inner = answer.drawn & ~ndimage.binary_erosion(answer.drawn, border_value=1)
    outer = ~answer.drawn & ndimage.binary_dilation(answer.drawn)
    return np.concatenate([signed[inner] + spacing_um / 2, signed[outer] - spacing_um / 2])


def is_near(distances_um: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool (n,): which parts of a drawn border are a misplaced one. distances_um: as of border_distances."""
    return np.abs(distances_um) <= _NEAR_UM


def _mean_of_all(parts: list[NDArray[np.float64]]) -> Estimate:
    """The mean over every picture's values, its interval by picture; not defined where no picture has any."""
    sums, counts = np.array([part.sum() for part in parts]), np.array([len(part) for part in parts])
    return bootstrap(ratio(sums, counts), len(parts))


def _stem(mask: Path) -> str:
    return mask.name.removesuffix("_mask.png")


def _picture_of(mask: Path) -> NDArray[np.uint8]:
    stem = _stem(mask)
    found = [mask.with_name(f"{stem}{suffix}") for suffix in (".png", ".jpg", ".jpeg", ".tif")]
    picture = next((file for file in found if file.is_file()), None)
    if picture is None:
        raise UsageError(f"{mask}: no picture named {stem}.png, .jpg or .tif beside it")
    return colours_of(picture, f"{picture}:")


def _values_of(mask: Path, *, picked: bool) -> NDArray[np.generic]:
    """numeric (H, W), as the file holds them."""
    image = read_mask_image(mask)
    check_values(mask, image, picked=picked)
    return image.values


def _tumour_value(folder: Path, masks: list[NDArray[np.generic]], value: int | None) -> float:
    """Which value is tumour in all masks of a folder: a second one may be tissue, or what nobody annotated."""
    present = sorted({each for mask in masks for each in np.unique(mask).tolist()})
    if value is not None:
        if value not in present:
            raise UsageError(f"{folder}: no pixel of its masks has the value {value}; they hold {few(present, 8)}")
        return value
    others = [each for each in present if each != 0]
    if len(others) > 1:
        raise UsageError(
            f"{folder}: its masks hold the values {few(present, 8)}, and which of them is tumour would be a guess; "
            "name it with --value of evaluate-masks, or save them with 0 and one value for tumour"
        )
    return others[0] if others else _WHITE


def _clear(answer: Answer) -> NDArray[np.bool_]:
    return (answer.share == 0) | (answer.share == 1)


def _cell_auc(answers: list[Answer]) -> float:
    probability = np.concatenate([a.probability[_clear(a)] for a in answers])
    return roc_auc(probability.astype(np.float64), np.concatenate([a.share[_clear(a)] == 1 for a in answers]))


def _enlarged(values: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Linear interpolation between the centres of cells, to pixels; the outermost half cells keep the edge's value."""
    rows, columns = ((np.arange(size * factor) + 0.5) / factor - 0.5 for size in values.shape)
    grid = np.meshgrid(rows, columns, indexing="ij")
    return ndimage.map_coordinates(values, grid, order=1, mode="nearest")
