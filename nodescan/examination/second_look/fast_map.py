"""The bounds of step 1: how low and how high the true map may be, given the fast answers and the reference's."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.decision import DecisionRule
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Spacing
from nodescan.imaging.segmentation import smoothed_values

_Value = TypeVar("_Value", np.bool_, np.float32)

TRUNCATE = 4.0
"""Standard deviations at which scipy's Gaussian ends."""

ROUNDING = 1e-5
"""More than float32 loses in smoothing."""

PlaceUm = tuple[float, float]
"""x and y of a point, in um from the canvas' top left."""


@dataclass(frozen=True, slots=True)
class FastMap:
    """A map whose smoothed values may be off by at most `tolerance` wherever they depend on a fast answer.

    probability: fast answers, and the reference's; rule: what smooths it. smoothed : float32 (H, W), its smoothed
    values. slack : float32 (H, W), the most that they may be off. Where nothing was examined both are 0.
    """

    probability: ProbabilityMap
    rule: DecisionRule
    tolerance: float
    smoothed: NDArray[np.float32]
    slack: NDArray[np.float32]

    @property
    def lowest(self) -> NDArray[np.float32]:
        """float32 (H, W): the least that the true smoothed values can be; it may be below 0."""
        return self.smoothed - self.slack

    @property
    def highest(self) -> NDArray[np.float32]:
        """float32 (H, W): the most that the true smoothed values can be; it may be above 1."""
        return self.smoothed + self.slack


def fast_map(probability: ProbabilityMap, rule: DecisionRule, tolerance: float, exact: NDArray[np.bool_]) -> FastMap:
    """exact : bool (H, W), the cells that the reference answered. tolerance: of values once smoothed."""
    off = probability.examined
    if exact.any():
        off = within_reach(off & ~exact, probability.spacing, rule.smoothing_um)
    slack = np.where(off, np.float32(tolerance + ROUNDING), np.float32(ROUNDING))
    slack[~probability.examined] = 0
    return FastMap(probability, rule, tolerance, smoothed_values(probability, rule.smoothing_um), slack)


def within_reach(
    values: NDArray[_Value], spacing: Spacing, sigma_um: float, *, deviations: float = TRUNCATE
) -> NDArray[_Value]:
    """The largest value that a cell affects, within so many standard deviations of smoothing. values : (H, W)."""
    reach = [2 * int(deviations * sigma_um / side + 0.5) + 1 for side in (spacing.y, spacing.x)]
    return ndimage.maximum_filter(values, size=reach)


def cell_at(place_um: PlaceUm, probability: ProbabilityMap) -> tuple[int, int]:
    """The (row, column) of the cell that holds the place."""
    return int(place_um[1] / probability.spacing.y), int(place_um[0] / probability.spacing.x)
