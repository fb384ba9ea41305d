"""Maps with deposits of known outline, as an ideal network would answer: the share of each cell that is tumour."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nodescan.config import load_config
from nodescan.domain.decision import DecisionRule
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Spacing
from nodescan.imaging.segmentation import SegmentationSettings

CELL_UM = 15.55
PLAIN = DecisionRule(
    smoothing_um=0.0, threshold=0.5, seed_threshold=0.5, size_correction_um=(), size_uncertainty_um=0.0
)

Inside = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]


def settings(**changes: float) -> SegmentationSettings:
    """Settings that keep all that is found."""
    kept = {"joining_gap_um": 0.0, "smallest_area_um2": 0.0, "smallest_diameter_um": 10.0, "fill_holes": True}
    return replace(load_config().settings.segmentation, **{**kept, "grid_um": 4.0, **changes})


def coverage(inside: Inside, shape: tuple[int, int], spacing: Spacing) -> ProbabilityMap:
    """A map of the share of each cell in which `inside(x_um, y_um)` holds, from 16 x 16 samples a cell."""
    fine = 16
    y_um = (np.arange(shape[0] * fine) + 0.5) / fine * spacing.y
    x_um = (np.arange(shape[1] * fine) + 0.5) / fine * spacing.x
    drawn = inside(x_um[None, :], y_um[:, None])
    share = drawn.reshape(shape[0], fine, shape[1], fine).mean(axis=(1, 3)).astype(np.float32)
    return ProbabilityMap(share, np.ones(shape, dtype=bool), spacing)


def disc(centre_um: tuple[float, float], diameter_um: float) -> Inside:
    return lambda x, y: (x - centre_um[0]) ** 2 + (y - centre_um[1]) ** 2 <= diameter_um**2 / 4


def either(*shapes: Inside) -> Inside:
    return lambda x, y: np.logical_or.reduce([shape(x, y) for shape in shapes])


def map_of(values: NDArray[np.float32] | list[list[float]], cell_um: float = CELL_UM) -> ProbabilityMap:
    """A fully examined map of these values."""
    array = np.asarray(values, dtype=np.float32)
    return ProbabilityMap(array, np.ones(array.shape, dtype=bool), Spacing.square(cell_um))
