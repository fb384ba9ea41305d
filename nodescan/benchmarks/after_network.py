"""How long a large map takes once the network has answered: stitch, segment, label and measure."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit
from nodescan.domain.geometry import TileGeometry, TileGrid
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Spacing
from nodescan.imaging.detections import find_detections
from nodescan.imaging.doubts import gap_readings, larger_at_lower_threshold
from nodescan.imaging.segmentation import FoundFoci, find_foci
from nodescan.imaging.stitching import MapBuilder
from nodescan.scan_settings import ScanSettings

LIMIT_S = 5.0
"""Stitch, segment, label and measure a map of 60 x 25 mm."""

MAP_MM = (60.0, 25.0)
_PIXEL_UM = 0.972
_FOCI_UM = (1900.0, 1400.0, 900.0, *[300.0] * 60, *[150.0] * 300)
"""Diameters planted: a heavily seeded section, without a macrometastasis that would end the question of gaps early."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class MapTimes:
    """Seconds for each step after the network; gaps, wholes: the deposits again, at every other joining gap and at a
    lower threshold, for flags."""

    width_mm: float
    height_mm: float
    cells: int
    deposits: int
    stitch_s: float
    deposits_s: float
    detections_s: float
    gaps_s: float
    wholes_s: float
    limit_s: float = LIMIT_S

    @property
    def total_s(self) -> float:
        return self.stitch_s + self.deposits_s + self.detections_s + self.gaps_s + self.wholes_s


def time_map(
    rule: DecisionRule, geometry: TileGeometry, settings: ScanSettings, *, size_mm: tuple[float, float] = MAP_MM
) -> MapTimes:
    """Time the steps after the network on a map of planted foci in noise, all of it tissue, each step once."""
    answers = planted_answers(geometry, size_mm)
    stitch_s, probability = _timed(lambda: _stitched(answers, geometry))
    deposits_s, (foci, deposits) = _timed(lambda: _segmented(probability, rule, settings))
    detections_s, _ = _timed(lambda: find_detections(probability, settings.detections))
    gaps_s, _ = _timed(lambda: gap_readings(foci, found=deposits))
    wholes_s, _ = _timed(lambda: larger_at_lower_threshold(foci, found=deposits))
    return MapTimes(
        width_mm=size_mm[0],
        height_mm=size_mm[1],
        cells=answers.size,
        deposits=len(deposits),
        stitch_s=stitch_s,
        deposits_s=deposits_s,
        detections_s=detections_s,
        gaps_s=gaps_s,
        wholes_s=wholes_s,
    )


def planted_answers(geometry: TileGeometry, size_mm: tuple[float, float]) -> NDArray[np.float32]:
    """float32 (H, W) in [0, 1], whole cores: discs of _FOCI_UM that the map has room for, in blurred noise."""
    rng = np.random.default_rng(0)
    core_um = geometry.core_px * _PIXEL_UM
    columns, rows = (max(1, round(side_mm * 1000 / core_um)) for side_mm in size_mm)
    shape = rows * geometry.cells, columns * geometry.cells
    cell_um = geometry.stride_px * _PIXEL_UM
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 1.2)
    values = 0.12 + 0.12 * noise / float(noise.std())
    for diameter_um in _FOCI_UM:
        radius = diameter_um / 2 / cell_um
        reach = int(radius) + 2
        if 2 * reach >= min(shape):
            continue
        row, column = (int(rng.integers(reach, side - reach)) for side in shape)
        window = slice(row - reach, row + reach + 1), slice(column - reach, column + reach + 1)
        y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
        values[window] += 1.0 * np.clip(radius + 0.5 - np.hypot(y, x), 0, 1)
    return np.clip(values, 0, 1).astype(np.float32)


def _stitched(answers: NDArray[np.float32], geometry: TileGeometry) -> ProbabilityMap:
    """Every tile's answers put in place, as a scan does it."""
    cells, stride = geometry.cells, geometry.stride_px
    grid = TileGrid(answers.shape[1] * stride, answers.shape[0] * stride, geometry)
    builder = MapBuilder(grid, frame_spacing=Spacing.square(_PIXEL_UM), wanted=np.ones(answers.shape, dtype=np.bool_))
    for row, column in grid:
        builder.place(row, column, answers[row : row + cells, column : column + cells])
    return builder.result()


def _segmented(
    probability: ProbabilityMap, rule: DecisionRule, settings: ScanSettings
) -> tuple[FoundFoci, tuple[Deposit, ...]]:
    foci = find_foci(probability, rule, settings.segmentation)
    return foci, foci.deposits()


def _timed(work: Callable[[], _Result]) -> tuple[float, _Result]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result
