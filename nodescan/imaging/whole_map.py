"""Checks of a whole map: whether all answers are the same, and which cells lie on glass."""

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.maps import ProbabilityMap, TissueMask
from nodescan.imaging.coverage import coverage

CONSTANT_CELLS, CONSTANT_SPREAD = 100, 1e-4
"""An output is called constant if there are at least so many answers, all within this range."""

GLASS_COVERAGE, MOST_ON_GLASS = 0.25, 0.2
"""A cell with a smaller share of tissue than the first is glass. A larger share of tumour on glass than the second is a
doubt."""


def is_constant(probability: ProbabilityMap, *, slack: float = 0.0) -> bool:
    """Whether a network answered the same everywhere, or may have, if the spread of its answers is off by `slack`."""
    values = probability.values[probability.examined]
    return len(values) >= CONSTANT_CELLS and float(np.ptp(values)) < CONSTANT_SPREAD + slack


def glass_cells(tissue: TissueMask, probability: ProbabilityMap) -> NDArray[np.bool_]:
    """bool (H, W): the map's cells with next to no tissue."""
    stained = coverage(tissue.tissue, tissue.spacing, shape=probability.values.shape, spacing=probability.spacing)
    return stained < GLASS_COVERAGE
