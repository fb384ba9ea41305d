"""From the network's map to deposits: where they are, how long, how sure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from nodescan.domain.classification import ITC_LIMIT_UM
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit
from nodescan.domain.geometry import Feret
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Limits, Micrometers, Spacing, SquareMicrometers, check_limits
from nodescan.imaging.components import window_of
from nodescan.imaging.outlines import Focus, trace_foci
from nodescan.imaging.sizing import (
    corrected,
    deposit_of,
    filled,
    greatest_diameter,
    joined,
    numbered,
    offset_inward,
    united,
    within,
)

COARSEST_GRID_UM = 4.0
"""A map is interpolated to this or finer before its outline is drawn (clinical-rules 8)."""

GRID_SHARE = 0.15
"""Grid part of a size's uncertainty, in cells: the largest bias of planted discs of 60 to 400 um on 15.55 um cells is
2.2 um, their scatter over sub-pixel offsets 0.7 um; together 0.15 cells."""

MOST_DROPPED_UM2 = 3000.0
"""A row of the map's cells (15.55 um), 0.2 mm long, has 3,110 um2. Anything longer than isolated tumour cells is kept
anyway, however thin it is."""

LARGEST_CELL_UM = 50.0
"""Of tumour cells. A larger smallest diameter would be the size of isolated cells: from 200 um on, of a class above."""

_Group = tuple[int, ...]
"""Foci that are one deposit, by their place in FoundFoci."""

_Sized = tuple[BaseGeometry, Feret]
"""The corrected outline of foci that are one deposit, and its corrected diameter."""

_ANGLES = np.deg2rad(np.arange(0, 180, 2))
_EVERY_SECOND_DEGREE = np.stack((np.cos(_ANGLES), np.sin(_ANGLES)))


@dataclass(frozen=True, slots=True)
class SegmentationSettings:
    """All settings of finding and measuring deposits, except the model's own decision rule.

    joining_gap_um: outlines at most this far apart are one deposit (0: only what touches; clinical-rules 2).
    smallest_area_um2: a smaller area is no deposit, unless it is longer than isolated tumour cells.
    smallest_diameter_um: the size correction takes no diameter below this. fill_holes: a deposit's area and outline
    include what it encloses, other foci too. grid_um: the map is interpolated to this spacing or finer, at most 4 um.
    """

    joining_gap_um: Annotated[Micrometers, Limits(0, 500)]
    smallest_area_um2: Annotated[SquareMicrometers, Limits(0, MOST_DROPPED_UM2)]
    smallest_diameter_um: Annotated[Micrometers, Limits(5, LARGEST_CELL_UM)]
    fill_holes: bool
    grid_um: Annotated[Micrometers, Limits(0.5, COARSEST_GRID_UM)]

    def __post_init__(self) -> None:
        check_limits(self)


def find_deposits(
    probability: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings
) -> tuple[Deposit, ...]:
    """The deposits on the map, the largest first.

    The map is smoothed by the rule's Gaussian over examined cells only. Deposits are outlined at rule.threshold, and
    kept if a cell reaches rule.seed_threshold. The size is the maximum Feret diameter F of the sub-pixel outline (holes
    play no part), less the rule's excess; outline, area and endpoints are corrected by the same length (clinical-rules
    2, 8).

    diameter_uncertainty_um = rule.coverage_factor sqrt(grid^2 + rule^2 + threshold^2), with grid = 0.15 cells, rule =
    rule.size_uncertainty_um, and threshold = (F at the threshold - 0.1 less F at the threshold + 0.1) / 2, seen up to
    2 cells outside the deposit.

    Outlines end at probability.bounds, and the part within is measured. A deposit that ends where cells were not
    examined may go on there: see `touches_unexamined`.
    """
    return find_foci(probability, rule, settings).deposits()


def find_foci(probability: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings) -> "FoundFoci":
    """The contiguous foci on the map, before any are joined: several joining gaps can be tried on one tracing."""
    if not np.isfinite(probability.values).all():
        raise ValueError("the map holds values that are not numbers: they must never read as no tumour")
    return FoundFoci(smoothed_values(probability, rule.smoothing_um), probability, rule=rule, settings=settings)


class FoundFoci:
    """Foci of one map; each group of them is measured at most once, whatever gaps are tried."""

    def __init__(
        self,
        smoothed: NDArray[np.float32],
        probability: ProbabilityMap,
        *,
        rule: DecisionRule,
        settings: SegmentationSettings,
        foci: tuple[Focus, ...] | None = None,
    ) -> None:
        """smoothed : float32 (H, W), the map smoothed by the rule. foci: traced on it already; None: to be traced."""
        self.probability, self.smoothed, self.rule, self.settings = probability, smoothed, rule, settings
        self._traced = trace_foci(smoothed, probability, rule, grid_um=settings.grid_um) if foci is None else foci
        self._foci = _without_holes(self._traced) if settings.fill_holes else self._traced
        self._sized: dict[_Group, _Sized] = {}
        self._deposits: dict[_Group, Deposit] = {}

    def deposits(self, joining_gap_um: Micrometers | None = None) -> tuple[Deposit, ...]:
        """The deposits, the largest first, where foci at most this far apart are one; None: by the settings' gap."""
        gap_um = self.settings.joining_gap_um if joining_gap_um is None else joining_gap_um
        return numbered([self._deposit(group) for group in self._groups(gap_um) if self._counts(group)])

    def at(self, threshold: float) -> "FoundFoci":
        """The foci of the same map at another threshold."""
        rule = replace(self.rule, threshold=threshold)
        return FoundFoci(self.smoothed, self.probability, rule=rule, settings=self.settings)

    def of_seeds(self, seed_threshold: float, *, smallest_area_um2: SquareMicrometers) -> "FoundFoci":
        """The foci for another seed threshold, at least as high, and another least area, without tracing again."""
        foci = tuple(focus for focus in self._traced if focus.reaches(seed_threshold))
        rule = replace(self.rule, seed_threshold=seed_threshold)
        settings = replace(self.settings, smallest_area_um2=smallest_area_um2)
        found = FoundFoci(self.smoothed, self.probability, rule=rule, settings=settings, foci=foci)
        if len(foci) == len(self._traced):  # then they have the same groups, and no size hangs on either
            found._sized, found._deposits = self._sized, self._deposits
        return found

    def _counts(self, group: _Group) -> bool:
        """Whether it is large enough for a deposit, or too long to be left out.

        A row of cells that hardly reach the threshold is a thread with nearly no area.
        """
        area_um2 = sum(self._foci[index].shape.area for index in group)
        return area_um2 >= self.settings.smallest_area_um2 or self._size(group)[1].diameter_um > ITC_LIMIT_UM

    def _groups(self, gap_um: Micrometers) -> Sequence[_Group]:
        """Foci that make one deposit. The gap is between corrected outlines: they may touch where those found don't."""
        if not self._foci:
            return []
        return joined([self._size((index,))[0] for index in range(len(self._foci))], gap_um)

    def _deposit(self, group: _Group) -> Deposit:
        if group not in self._deposits:
            foci, grid_um = [self._foci[index] for index in group], GRID_SHARE * self.probability.spacing.mean
            self._deposits[group] = _deposit_from(foci, self._size(group), self.rule, grid_um=grid_um)
        return self._deposits[group]

    def _size(self, group: _Group) -> _Sized:
        if group not in self._sized:
            sized = _measured([self._foci[index] for index in group], self.rule, self.settings)
            bounds = self.probability.bounds
            self._sized[group] = sized if bounds is None else within(*sized, bounds)
        return self._sized[group]


def smoothed_values(probability: ProbabilityMap, sigma_um: float) -> NDArray[np.float32]:
    """float32 (H, W) in [0, 1], the map's cells: a Gaussian mean over the examined cells; 0 where not examined.

    Weights are normalised over the examined cells, so cells that were not examined have no effect.
    """
    values = np.where(probability.examined, probability.values, np.float32(0))
    smoothed = weighted_mean(values, probability.examined, sigma_um=sigma_um, spacing=probability.spacing)
    return np.clip(smoothed, 0, 1)  # rounding may pass 1 by a hair


def weighted_mean(
    values: NDArray[np.float32], counted: NDArray[np.bool_], *, sigma_um: float, spacing: Spacing
) -> NDArray[np.float32]:
    """float32 (H, W): a Gaussian mean of the values, 0 where not counted, over the counted cells; 0 elsewhere."""
    if sigma_um == 0:
        return values
    mean = np.zeros_like(values)
    if not counted.any():
        return mean
    part = window_of(counted)  # all else is 0 and counts for nothing
    sigma_cells = (sigma_um / spacing.y, sigma_um / spacing.x)
    weighted = ndimage.gaussian_filter(values[part], sigma_cells, mode="constant")
    weights = ndimage.gaussian_filter(counted[part].astype(np.float32), sigma_cells, mode="constant")
    np.divide(weighted, weights, out=mean[part], where=counted[part])
    return mean


def _without_holes(foci: Sequence[Focus]) -> tuple[Focus, ...]:
    """Foci with their holes filled; one that lies in another's hole becomes a part of that."""
    whole = [replace(focus, shape=filled(focus.shape)) for focus in foci]
    if not whole:
        return ()
    shapes = [focus.shape for focus in whole]
    inner, outer = shapely.STRtree(shapes).query(shapes)  # by bounding box; most meet none but their own
    around: dict[int, list[int]] = {}
    for one, other in zip(inner.tolist(), outer.tolist(), strict=True):
        if one != other and shapes[one].covered_by(shapes[other]):  # pyright: ignore[reportUnknownMemberType]  shapely comes half typed
            around.setdefault(one, []).append(other)
    for one, hosts in around.items():
        host = max(hosts, key=lambda index: shapes[index].area)
        whole[host] = _with_answers_of(whole[host], whole[one])
    return tuple(focus for index, focus in enumerate(whole) if index not in around)


def _with_answers_of(focus: Focus, other: Focus) -> Focus:
    return replace(
        focus,
        cells=focus.cells + other.cells,
        probability_sum=focus.probability_sum + other.probability_sum,
        probability_max=max(focus.probability_max, other.probability_max),
        peak=max(focus.peak, other.peak),
    )


def _measured(group: Sequence[Focus], rule: DecisionRule, settings: SegmentationSettings) -> _Sized:
    shape = united([focus.shape for focus in group])
    measured = greatest_diameter(shape)
    true = corrected(measured, rule, smallest_um=settings.smallest_diameter_um)
    return offset_inward(shape, measured, true), true


def _deposit_from(group: Sequence[Focus], sized: _Sized, rule: DecisionRule, *, grid_um: float) -> Deposit:
    shape, size = sized
    wide_um = _longest_um([focus.wide_um for focus in group])
    narrow_um = _longest_um([focus.narrow_um for focus in group])
    # independent of each other, each one standard deviation
    standard_um = math.hypot(grid_um, rule.size_uncertainty_um, (wide_um - narrow_um) / 2)
    cells = sum(focus.cells for focus in group)
    return replace(
        deposit_of(shape, size, Micrometers(rule.coverage_factor * standard_um)),
        probability_mean=sum(focus.probability_sum for focus in group) / cells,
        probability_max=max(focus.probability_max for focus in group),
    )


def _longest_um(outlines_um: Sequence[NDArray[np.float64]]) -> float:
    """The greatest extent of outlines in um over every second degree, 0 where nothing is left of them.

    At most 0.02 % short of the Feret diameter: enough for an uncertainty, and many times as fast.
    """
    points = np.concatenate(outlines_um)
    return float(np.ptp(points @ _EVERY_SECOND_DEGREE, axis=0).max()) if len(points) else 0.0
