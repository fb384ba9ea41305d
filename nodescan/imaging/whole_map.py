"""What a map as a whole tells of its network: whether all answers are the same, and which cells lie on glass."""

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.maps import ProbabilityMap, TissueMask
from nodescan.imaging.coverage import coverage

CONSTANT_CELLS, CONSTANT_SPREAD = 100, 1e-4
"""From so many answers on, all of them within that much, the output is called constant."""

GLASS_COVERAGE, MOST_ON_GLASS = 0.25, 0.2
"""A cell with less tissue than the first is glass; more of the tumour on glass than the second is a doubt."""


def is_constant(probability: ProbabilityMap, *, slack: float = 0.0) -> bool:
    """Whether a network answered the same everywhere; slack: or may have, if the spread is off by so much."""
    values = probability.values[probability.examined]
    return len(values) >= CONSTANT_CELLS and float(np.ptp(values)) < CONSTANT_SPREAD + slack


def glass_cells(tissue: TissueMask, probability: ProbabilityMap) -> NDArray[np.bool_]:
    """bool (H, W): the map's cells with next to no tissue."""
    stained = coverage(tissue.tissue, tissue.spacing, shape=probability.values.shape, spacing=probability.spacing)
    return stained < GLASS_COVERAGE
