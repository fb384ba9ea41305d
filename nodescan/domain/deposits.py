"""A tumour deposit: where it is, how large, how sure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.classification import Metastasis, is_borderline
from nodescan.domain.units import Micrometers, SquareMicrometers


@dataclass(frozen=True, slots=True)
class Polygon:
    """exterior, holes : float64 (n, 2), x and y in um from the canvas' top left; rings aren't closed."""

    exterior: NDArray[np.float64]
    holes: tuple[NDArray[np.float64], ...] = ()


@dataclass(frozen=True, slots=True)
class Deposit:
    """One contiguous deposit of one section (several polygons only where a joining gap above 0 joined them).

    id counts from 1, the largest first. diameter_um is the maximum Feret diameter, corrected for the
    model's dilation; endpoints_um are the two (x, y) that span it. probability_* is None for a deposit that
    was measured from a mask. cells is None where they were not counted.
    """

    id: int
    diameter_um: Micrometers
    diameter_uncertainty_um: Micrometers
    endpoints_um: tuple[tuple[float, float], tuple[float, float]]
    area_um2: SquareMicrometers
    centre_um: tuple[float, float]
    metastasis: Metastasis
    outline: tuple[Polygon, ...]
    probability_mean: float | None = None
    probability_max: float | None = None
    cells: int | None = None

    @property
    def borderline(self) -> bool:
        return is_borderline(self.diameter_um, self.diameter_uncertainty_um)


@dataclass(frozen=True, slots=True)
class Detection:
    """One point for the CAMELYON lesion task: where tumour is likeliest, in um from the canvas' top left."""

    confidence: float
    x_um: float
    y_um: float
