"""Draws the sub-pixel outline of each component of a map, crop by crop, on a grid finer than the map's cells."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely.geometry.base import BaseGeometry
from skimage.measure import find_contours  # pyright: ignore[reportUnknownVariableType]  scikit-image comes half typed

from nodescan.domain.decision import DecisionRule
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Micrometers, Spacing
from nodescan.imaging.components import components, windows

_THRESHOLD_STEP = 0.1
"""Of probability; less near 0 and 1."""

MOST_FINE_SAMPLES = 16_000_000
"""The largest fine grid of a crop (300 MB of work arrays). Crops above 15 mm in both directions get a coarser grid."""

PAD = 2
"""Padding around a component, in cells: one below the threshold, plus one for the lowered threshold."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Focus:
    """One contiguous component as the map shows it, before any correction.

    shape: its outline in um, with its holes. wide_um, narrow_um : float64 (n, 2), x and y in um, the outline
    at the lowered and at the raised threshold (narrow_um is empty where the component vanishes). The
    probabilities are the network's own, over the component's cells; peak is the highest value of the map it was traced
    on.
    """

    shape: BaseGeometry
    wide_um: Floats
    narrow_um: Floats
    cells: int
    probability_sum: float
    probability_max: float
    peak: float

    def reaches(self, seed_threshold: float) -> bool:
        """Whether it counts: one of its cells is at or above the seed threshold."""
        return self.peak > _just_below(seed_threshold)


def threshold_step(threshold: float) -> float:
    """How far a threshold is moved up and down to see how much a size depends on it; it stays between 0 and 1."""
    return min(_THRESHOLD_STEP, threshold / 2, (1 - threshold) / 2)


def trace_foci(
    smoothed: NDArray[np.float32], probability: ProbabilityMap, rule: DecisionRule, *, grid_um: Micrometers
) -> tuple[Focus, ...]:
    """Every contiguous component of `smoothed` at or above the rule's threshold that reaches its seed threshold.

    smoothed : float32 (H, W), 0 where not examined, on the cells of `probability`; in [0, 1], or slightly outside if it
    is a bound. grid_um: the map is interpolated to this spacing or finer.

    Between cell centres the map is interpolated bilinearly. A bilinear patch is never higher than its corners, so no
    component appears or joins that the cells don't show. Cells that touch at a corner are one component only if the
    fine grid joins them. Planted discs are measured as well as with cubic splines, which may overshoot. Beside a cell
    that was not examined, and at the map's end, an outline goes to the edge of the examined cell.
    """
    level = _just_below(rule.threshold)
    labels, _ = components(smoothed > level)
    values, answers = np.pad(smoothed, PAD), np.pad(probability.values, PAD)
    examined = np.pad(probability.examined, PAD)
    foci: list[Focus] = []
    for index, (rows, columns) in enumerate(windows(labels), start=1):
        own = labels[rows, columns] == index
        if smoothed[rows, columns][own].max() <= _just_below(rule.seed_threshold):
            continue
        grown = slice(rows.start, rows.stop + 2 * PAD), slice(columns.start, columns.stop + 2 * PAD)
        origin = (rows.start - PAD, columns.start - PAD)
        crop = _Crop(values[grown], answers[grown], examined[grown], np.pad(own, PAD), origin)
        grid = _fine_grid(crop, probability.spacing, grid_um)
        foci.extend(focus for focus in _foci_of(crop, grid, rule) if focus.shape.area > 0)
    return tuple(foci)


@dataclass(frozen=True, slots=True)
class _Crop:
    """A component and its surroundings; all arrays (h, w) on the map's cells. origin: (row, column) of the first."""

    values: NDArray[np.float32]
    answers: NDArray[np.float32]
    examined: NDArray[np.bool_]
    component: NDArray[np.bool_]
    origin: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _FineGrid:
    """values : float64, `factors` times as fine, cell centres among them; share : examined, in [0, 1], or None."""

    values: Floats
    share: Floats | None
    factors: tuple[int, int]
    spacing: Spacing
    origin: tuple[int, int]

    def at_level(self, level: float) -> Floats:
        """The values, changed so that contours at `level` are closed at the edges of the examined area and of the crop.

        Beyond the edge of the examined area values are mirrored at `level`, so that the contour runs along the edge.
        """
        fine = self.values.copy()
        if self.share is not None:
            beyond, on_edge = self.share < 0.5, self.share == 0.5
            fine[beyond] = np.minimum(fine[beyond], 2 * level - fine[beyond])
            fine[on_edge] = np.minimum(fine[on_edge], level)
        fine[[0, -1], :] = level - 1
        fine[:, [0, -1]] = level - 1
        return fine

    def to_um(self, points: Floats) -> Floats:
        """points : float64 (n, 2), row and column of fine samples -> float64 (n, 2), x and y in um."""
        rows = (points[:, 0] / self.factors[0] + self.origin[0] + 0.5) * self.spacing.y
        columns = (points[:, 1] / self.factors[1] + self.origin[1] + 0.5) * self.spacing.x
        return np.column_stack((columns, rows))


def _foci_of(crop: _Crop, grid: _FineGrid, rule: DecisionRule) -> Iterator[Focus]:
    """The parts into which the fine grid resolves one 8-connected component of cells; most often one."""
    level = _just_below(rule.threshold)
    fine = grid.at_level(level)
    inside = fine > level
    parts, count = components(inside)
    part_of_cell = parts[:: grid.factors[0], :: grid.factors[1]]
    for part in np.unique(part_of_cell[crop.component]):
        cells = (part_of_cell == part) & crop.component
        if part == 0 or (peak := float(crop.values[cells].max())) <= _just_below(rule.seed_threshold):
            continue
        region = parts == part
        own = fine if count == 1 else np.where(region | ~inside, fine, level - 1)
        answers = crop.answers[cells]
        step = threshold_step(level)
        yield Focus(
            shape=_shape(own, level, grid),
            wide_um=_points_at(grid, level - step, region, within=None),
            narrow_um=_points_at(grid, level + step, region, within=region),
            cells=int(answers.size),
            probability_sum=float(answers.sum(dtype=np.float64)),
            probability_max=float(answers.max()),
            peak=peak,
        )


def _fine_grid(crop: _Crop, spacing: Spacing, grid_um: Micrometers) -> _FineGrid:
    factors = [max(1, int(np.ceil(side / grid_um - 1e-9))) for side in (spacing.y, spacing.x)]
    while max(factors) > 1 and crop.values.size * factors[0] * factors[1] > MOST_FINE_SAMPLES:
        factors = [max(1, factor - 1) for factor in factors]
    values = crop.values.astype(np.float64)
    share = None
    if not crop.examined.all():
        values = _held_to_the_edge(values, crop.examined, spacing)
        share = _interpolated(crop.examined.astype(np.float64), factors)
    return _FineGrid(_interpolated(values, factors), share, (factors[0], factors[1]), spacing, crop.origin)


def _held_to_the_edge(values: Floats, examined: NDArray[np.bool_], spacing: Spacing) -> Floats:
    """Cells beside the examined area take the nearest answer, so that an answer holds up to the edge of its cell.

    values, examined : (h, w) on cells. Of equally near answers the highest counts, so turning a slide changes nothing.
    """
    rows, columns = np.mgrid[-1:2, -1:2]
    distances = np.hypot(rows * spacing.y, columns * spacing.x)
    unknown = -np.inf
    known = np.where(examined, values, unknown)
    held = known
    for distance in np.unique(distances)[1:]:
        nearest = ndimage.maximum_filter(known, footprint=distances == distance, mode="constant", cval=unknown)
        held = np.where(held == unknown, nearest, held)
    return np.where(held == unknown, 0.0, held)


def _interpolated(values: Floats, factors: list[int]) -> Floats:
    """Bilinear, sample by sample between cell centres: (h, w) -> ((h - 1) * factor + 1, (w - 1) * factor + 1)."""
    for factor in factors:  # rows, then, transposed, columns; two transpositions give the first order back
        steps = (np.arange(factor) / factor)[None, :, None]
        between = values[:-1, None, :] + (values[1:] - values[:-1])[:, None, :] * steps
        values = np.concatenate((between.reshape(-1, values.shape[1]), values[-1:])).T
    return np.ascontiguousarray(values)


def _shape(fine: Floats, level: float, grid: _FineGrid) -> BaseGeometry:
    """The outline of the one component in `fine`, with holes; valid, if need be as polygons that touch in a point."""
    contours = cast("list[Floats]", find_contours(fine, level, fully_connected="high"))
    rings = [grid.to_um(ring)[:-1] for ring in contours if len(ring) > 3]
    rings.sort(key=_ring_area, reverse=True)
    shape = shapely.Polygon(rings[0], [ring for ring in rings[1:] if _ring_area(ring) > 0])
    return shape if shape.is_valid else shapely.make_valid(shape, method="structure", keep_collapsed=False)


def _ring_area(ring: Floats) -> float:
    x, y = (ring - ring[0]).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def _points_at(grid: _FineGrid, level: float, region: NDArray[np.bool_], *, within: NDArray[np.bool_] | None) -> Floats:
    """float64 (n, 2) um: where the map crosses `level`, within a region, or around all that joins the region there."""
    fine = grid.at_level(level)
    inside = fine > level
    if within is not None:
        inside &= within
    else:
        parts, count = components(inside)
        if count > 1:
            inside = np.isin(parts, np.unique(parts[region & inside]))
    crossings: list[Floats] = []
    for axis in (0, 1):
        one, other = np.moveaxis(fine, axis, 0)[:-1], np.moveaxis(fine, axis, 0)[1:]
        flips = np.moveaxis(inside, axis, 0)
        along, across = np.nonzero((flips[:-1] != flips[1:]) & ((one > level) != (other > level)))
        low, high = one[along, across], other[along, across]
        position = along + (level - low) / (high - low)
        pair = (position, across.astype(np.float64))
        crossings.append(np.column_stack(pair if axis == 0 else pair[::-1]))
    return grid.to_um(np.concatenate(crossings))


def _just_below(threshold: float) -> float:
    """The largest float32 below the threshold: `above it` is then `at or above the threshold`."""
    return float(np.nextafter(np.float32(threshold), np.float32(0)))
