"""Which cells of a map can bear on what is said of a slide, if each value may be off by a given amount."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.decision import DecisionRule
from nodescan.domain.maps import ProbabilityMap, TissueMask
from nodescan.imaging.certain import PlaceUm
from nodescan.imaging.components import components, picked, windows
from nodescan.imaging.coverage import coverage
from nodescan.imaging.detections import DetectionSettings
from nodescan.imaging.lowered import pieces_step
from nodescan.imaging.outlines import PAD, threshold_step
from nodescan.imaging.segmentation import smoothed_values

_Value = TypeVar("_Value", np.bool_, np.float32)

_TRUNCATE = 4.0
"""Standard deviations at which scipy's Gaussian ends."""

_ROUNDING = 1e-5
"""More than float32 loses in smoothing."""

CONSTANT_CELLS, CONSTANT_SPREAD = 100, 1e-4
"""From so many answers on, all of them within that much, the output is called constant."""

GLASS_COVERAGE, MOST_ON_GLASS = 0.25, 0.2
"""A cell with less tissue than the first is glass; more of the tumour on glass than the second is a doubt."""


def decisive_cells(
    probability: ProbabilityMap, rule: DecisionRule, tolerance: float, *, certain: Sequence[PlaceUm] = ()
) -> NDArray[np.bool_]:
    """bool (H, W): the cells whose exact values give exactly the deposits that exact values everywhere would.

    probability: once smoothed, at most `tolerance` from the true values, examined as the true map. certain: places in
    deposits that are left as they are. A deposit of the true map lies in a component of this one above the
    threshold, less the tolerance, that reaches the seed threshold, less the tolerance. Its size hangs on that
    component, its uncertainty on what joins it at the lowered threshold (OutlineLevels) near it, and whether it may be
    a part of a longer one (imaging/lowered.py) on all that joins it there, or yet lower; these, with what they are
    interpolated from and smoothed over, are the cells. What the fast map shows elsewhere stays below the seed threshold
    in both, so it makes no deposit in either. A certain deposit is no such part on any map, nor is what surely joins
    it; and nothing that it may join yet lower has a higher class.
    """
    smoothed = smoothed_values(probability, rule.smoothing_um)
    slack = tolerance + _ROUNDING
    near = np.zeros(smoothed.shape, dtype=np.bool_)
    labels, count = components(smoothed > rule.threshold - slack)
    if count == 0:
        return near
    lowered = rule.threshold - threshold_step(rule.threshold) - slack
    joined, n_joined = components(smoothed > lowered)
    cells = [_cell_at(place, probability) for place in certain]
    settled = {int(labels[cell]) for cell in cells}
    deep, n_deep = components(smoothed > rule.threshold - pieces_step(rule.threshold) - slack)
    whole, deep_whole = (np.zeros(count + 1, dtype=np.bool_) for count in (n_joined, n_deep))
    for index, (rows, columns) in enumerate(windows(labels), start=1):
        own, values = labels[rows, columns] == index, smoothed[rows, columns]
        seeds = own & (values > rule.seed_threshold - slack)
        if not seeds.any() or (index in settled and _is_one_deposit(own, seeds)):
            continue
        around = _grown(rows, smoothed.shape[0]), _grown(columns, smoothed.shape[1])
        own_joined = joined[rows, columns][seeds][0]
        near[around] |= joined[around] == own_joined
        whole[own_joined] = deep_whole[deep[rows, columns][seeds][0]] = True
    if not near.any():
        return near
    every_seed = smoothed > rule.seed_threshold - slack
    surely, _ = components(smoothed > lowered + 2 * slack)
    held = np.isin(np.arange(n_joined + 1), [joined[cell] for cell in cells])
    whole &= ~(held & _of_one(joined, n_joined, surely, every_seed))
    one_focus, _ = components(smoothed > rule.threshold + slack, corners=False)
    deep_whole &= ~_of_one(deep, n_deep, one_focus, every_seed)  # one deposit isn't pieces of another
    deep_whole[[int(deep[cell]) for cell in cells]] = False
    near |= picked(joined, whole) | picked(deep, deep_whole)
    near = ndimage.binary_dilation(near, np.ones((3, 3), np.bool_), iterations=PAD)
    return _within_reach(near, probability, rule.smoothing_um)


def cells_about(probability: ProbabilityMap, rule: DecisionRule, places: Sequence[PlaceUm]) -> NDArray[np.bool_]:
    """bool (H, W): the cells whose exact values give where exactly an outline runs at the places."""
    high, wide = probability.values.shape
    near = np.zeros((high, wide), dtype=np.bool_)
    for place in places:
        row, column = _cell_at(place, probability)
        near[_grown(slice(row, row + 1), high), _grown(slice(column, column + 1), wide)] = True
    return _within_reach(near, probability, rule.smoothing_um)


def score_cells(probability: ProbabilityMap, settings: DetectionSettings, tolerance: float) -> NDArray[np.float32]:
    """float32 (H, W): above 0 in the cells whose exact values give the exact confidence of the likeliest detection.

    That is the smoothed map's highest value if it reaches settings.floor. Wherever the exact map is highest, this one
    is at most 2 x tolerance below its own highest. The value, of the highest such place that the cell bears on, says
    which cells matter most.
    """
    smoothed = smoothed_values(probability, settings.smoothing_um)
    slack = tolerance + _ROUNDING
    lowest = max(float(smoothed.max(initial=0.0)) - 2 * slack, settings.floor - slack)
    near = np.where(smoothed >= max(lowest, _ROUNDING), smoothed, np.float32(0))
    return _within_reach(near, probability, settings.smoothing_um)


def is_constant(probability: ProbabilityMap, *, slack: float = 0.0) -> bool:
    """Whether a network answered the same everywhere; slack: or may have, if the spread is off by so much."""
    values = probability.values[probability.examined]
    return len(values) >= CONSTANT_CELLS and float(np.ptp(values)) < CONSTANT_SPREAD + slack


def glass_cells(tissue: TissueMask, probability: ProbabilityMap) -> NDArray[np.bool_]:
    """bool (H, W): the map's cells with next to no tissue."""
    stained = coverage(tissue.tissue, tissue.spacing, shape=probability.values.shape, spacing=probability.spacing)
    return stained < GLASS_COVERAGE


def doubtful_on_glass(
    probability: ProbabilityMap, glass: NDArray[np.bool_], threshold: float, tolerance: float
) -> NDArray[np.bool_]:
    """bool (H, W): cells whose exact values decide whether, and how much of, what is called tumour lies on glass.

    No cell where the share stays within MOST_ON_GLASS on whichever side of the threshold each of them turns out to be.
    """
    values = np.where(probability.examined, probability.values, np.float32(0))
    open_ = probability.examined & (np.abs(values - threshold) <= tolerance + _ROUNDING)
    sure = probability.examined & (values >= threshold) & ~open_
    on_glass = np.count_nonzero((sure | open_) & glass)
    counted = np.count_nonzero(sure | (open_ & glass))
    decided = counted == 0 or on_glass / counted <= MOST_ON_GLASS
    return np.zeros_like(open_) if decided else open_


def _is_one_deposit(component: NDArray[np.bool_], seeds: NDArray[np.bool_]) -> bool:
    """Whether the component's seeds, all bool (h, w), hang together without corners: outlines may part cells there."""
    parts, _ = components(component, corners=False)
    of_seeds = parts[seeds]
    return bool((of_seeds == of_seeds[0]).all())


def _of_one(
    labels: NDArray[np.int32], count: int, parts: NDArray[np.int32], seeds: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """bool (count + 1,): the labels whose seeds all lie in one of the parts. labels, parts, seeds : (H, W)."""
    first, last = np.full(count + 1, np.iinfo(np.int32).max), np.zeros(count + 1, dtype=np.int64)
    np.minimum.at(first, labels[seeds], parts[seeds])
    np.maximum.at(last, labels[seeds], parts[seeds])
    return (first == last) & (last > 0)


def _cell_at(place_um: PlaceUm, probability: ProbabilityMap) -> tuple[int, int]:
    return int(place_um[1] / probability.spacing.y), int(place_um[0] / probability.spacing.x)


def _within_reach(values: NDArray[_Value], probability: ProbabilityMap, sigma_um: float) -> NDArray[_Value]:
    """The largest value whose smoothing a cell bears on, values >= 0 : (H, W)."""
    spacing = probability.spacing
    reach = [2 * int(_TRUNCATE * sigma_um / side + 0.5) + 1 for side in (spacing.y, spacing.x)]
    return ndimage.maximum_filter(values, size=reach, mode="constant", cval=0)


def _grown(span: slice, limit: int) -> slice:
    return slice(max(0, span.start - PAD), min(limit, span.stop + PAD))
