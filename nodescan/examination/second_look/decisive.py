"""The cells of a map that can change a slide's report, if each value may be off by a given amount."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.decision import DecisionRule
from nodescan.domain.maps import ProbabilityMap
from nodescan.examination.second_look.fast_map import ROUNDING, TRUNCATE, FastMap, PlaceUm, cell_at, within_reach
from nodescan.imaging.components import components, picked, windows
from nodescan.imaging.detections import DetectionSettings
from nodescan.imaging.doubts import pieces_step
from nodescan.imaging.outlines import PAD, threshold_step
from nodescan.imaging.segmentation import smoothed_values
from nodescan.imaging.whole_map import MOST_ON_GLASS

END_DEVIATIONS = 2.0
"""Of the smoothing, about where a certain deposit's diameter ends: the 91 % of a smoothed value that come from within
hold sizes to 0.003 um (8 deposits of 0.9 to 4.0 mm on composites; to 0.03 um if all answers were off by 0.02 to one
side). All of the smoothing's reach would ask for nearly three times as many cells."""


def decisive_cells(known: FastMap, *, certain: Sequence[PlaceUm]) -> NDArray[np.bool_]:
    """bool (H, W): the cells whose exact values give exactly the deposits that exact values everywhere would.

    Steps 2 and 3 of the argument. certain: places in deposits that are left as they are. A certain deposit, with what
    surely joins it, is no part of a longer one on any map. At a yet lower threshold it can't join into a higher class.
    """
    rule, smoothed, slack = known.rule, known.smoothed, known.slack
    lowered = rule.threshold - threshold_step(rule.threshold)
    seeds = smoothed > rule.seed_threshold - slack
    cells = [cell_at(place, known.probability) for place in certain]
    labels, _ = components(smoothed > rule.threshold - slack)
    open_seeds = _without_certain(seeds, labels, cells)
    if not open_seeds.any():
        return open_seeds
    joined, n_joined = components(smoothed > lowered - slack)
    surely, _ = components(smoothed > lowered + slack)
    held = _holding(joined, n_joined, cells) & _of_one(joined, n_joined, surely, seeds)
    near = picked(joined, _with(joined, n_joined, open_seeds) & ~held)
    near |= _joined_near(labels, joined, open_seeds & ~near)
    deep, n_deep = components(smoothed > rule.threshold - pieces_step(rule.threshold) - slack)
    one_focus, _ = components(smoothed > rule.threshold + slack, corners=False)
    # One deposit isn't pieces of another.
    settled = _holding(deep, n_deep, cells) | _of_one(deep, n_deep, one_focus, seeds)
    near |= picked(deep, _with(deep, n_deep, open_seeds) & ~settled)
    near = ndimage.binary_dilation(near, np.ones((3, 3), np.bool_), iterations=PAD)
    return within_reach(near, known.probability.spacing, known.rule.smoothing_um)


def cells_about(
    places: Sequence[PlaceUm], cells: int, map_: ProbabilityMap, rule: DecisionRule, *, deviations: float = TRUNCATE
) -> NDArray[np.bool_]:
    """bool (H, W): the cells that must be answered exactly to make the smoothed map exact within so many cells of a
    place.

    For steps 5 and 6. deviations: how much of the smoothing counts; see END_DEVIATIONS.
    """
    return within_reach(_around(places, map_, cells), map_.spacing, rule.smoothing_um, deviations=deviations)


def score_cells(probability: ProbabilityMap, settings: DetectionSettings, tolerance: float) -> NDArray[np.float32]:
    """float32 (H, W): above 0 in the cells whose exact values give the exact confidence of the likeliest detection.

    For step 7. That confidence is the smoothed map's highest value if it reaches settings.floor. Where the exact map is
    highest, this map is at most 2 x tolerance below its own highest value. A cell's result is the highest value of such
    a place that the cell affects: the higher, the more the cell matters.
    """
    smoothed = smoothed_values(probability, settings.smoothing_um)
    slack = tolerance + ROUNDING
    lowest = max(float(smoothed.max(initial=0.0)) - 2 * slack, settings.floor - slack)
    near = np.where(smoothed >= max(lowest, ROUNDING), smoothed, np.float32(0))
    return within_reach(near, probability.spacing, settings.smoothing_um)


def doubtful_on_glass(
    probability: ProbabilityMap, glass: NDArray[np.bool_], threshold: float, tolerance: float
) -> NDArray[np.bool_]:
    """bool (H, W): cells whose exact values decide whether tumour lies on glass, and how much.

    For step 7. No cells if the share on glass stays within MOST_ON_GLASS, whichever side of the threshold each is on.
    """
    values = np.where(probability.examined, probability.values, np.float32(0))
    open_ = probability.examined & (np.abs(values - threshold) <= tolerance + ROUNDING)
    sure = probability.examined & (values >= threshold) & ~open_
    on_glass = np.count_nonzero((sure | open_) & glass)
    counted = np.count_nonzero(sure | (open_ & glass))
    decided = counted == 0 or on_glass / counted <= MOST_ON_GLASS
    return np.zeros_like(open_) if decided else open_


def _without_certain(
    seeds: NDArray[np.bool_], labels: NDArray[np.int32], certain: Sequence[tuple[int, int]]
) -> NDArray[np.bool_]:
    """The seeds, bool (H, W), but for those of components that hold a certain deposit's cell and are one deposit.

    labels : int32 (H, W). A component is one deposit if its seeds hang together without corners: outlines may part
    cells there.
    """
    left, where = seeds.copy(), windows(labels)
    for index in {int(labels[cell]) for cell in certain} - {0}:
        component = labels[where[index - 1]] == index
        parts, _ = components(component, corners=False)
        of_seeds = parts[component & seeds[where[index - 1]]]
        if of_seeds.size and (of_seeds == of_seeds[0]).all():
            left[where[index - 1]] &= ~component
    return left


def _joined_near(labels: NDArray[np.int32], joined: NDArray[np.int32], seeds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What joins the components of these seeds, within PAD of the rectangles that hold them; all (H, W)."""
    near = np.zeros_like(seeds)
    if not seeds.any():
        return near
    where = windows(labels)
    for index in np.unique(labels[seeds]).tolist():
        rows, columns = where[index - 1]
        own = joined[rows, columns][labels[rows, columns] == index][0]
        around = _grown(rows, PAD), _grown(columns, PAD)
        near[around] |= joined[around] == own
    return near


def _with(labels: NDArray[np.int32], count: int, cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool (count + 1,): the labels that have one of the cells, bool (H, W)."""
    return np.bincount(labels[cells], minlength=count + 1) > 0


def _holding(labels: NDArray[np.int32], count: int, cells: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """bool (count + 1,): the labels of these cells, each (row, column)."""
    holding = np.zeros(count + 1, dtype=np.bool_)
    holding[[int(labels[cell]) for cell in cells]] = True
    return holding


def _of_one(
    labels: NDArray[np.int32], count: int, parts: NDArray[np.int32], seeds: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """bool (count + 1,): the labels whose seeds all lie in one of the parts. labels, parts, seeds : (H, W)."""
    first, last = np.full(count + 1, np.iinfo(np.int32).max), np.zeros(count + 1, dtype=np.int64)
    np.minimum.at(first, labels[seeds], parts[seeds])
    np.maximum.at(last, labels[seeds], parts[seeds])
    return (first == last) & (last > 0)


def _around(places: Sequence[PlaceUm], probability: ProbabilityMap, cells: int) -> NDArray[np.bool_]:
    """bool (H, W): what lies within so many cells of a place, to each side."""
    near = np.zeros_like(probability.examined)
    for row, column in (cell_at(place, probability) for place in places):
        near[_grown(slice(row, row + 1), cells), _grown(slice(column, column + 1), cells)] = True
    return near


def _grown(span: slice, cells: int) -> slice:
    return slice(max(0, span.start - cells), span.stop + cells)
