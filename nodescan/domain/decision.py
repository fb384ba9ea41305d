"""How a model's map turns into deposits: numbers that belong to the model, kept on its card."""

import math
from dataclasses import dataclass

import numpy as np

NORMAL_FACTOR = 2.0
"""Within so many standard uncertainties lie about 95 % of normally distributed errors whose components are known (JCGM
100:2008, GUM, 6.2 and 6.3)."""

MOST_SMOOTHING_UM = 1000.0
"""With more smoothing a map shows no micrometastasis: a larger value is a mistake of units."""


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """Chosen on validation data only, with the model they belong to.

    smoothing_um: sigma of the Gaussian over the map before both thresholds (0: none).
    threshold: the outline of a deposit is the contour of the smoothed map at this level, in (0, 1).
    seed_threshold: a component counts only where its smoothed map reaches this level (>= threshold).
    size_correction_um: (measured, true) pairs of diameters, both strictly increasing; between them linear,
        outside them the nearest pair's difference is kept. It takes out the label's dilation
        (clinical-rules 8). Empty: no correction.
    size_uncertainty_um: what is left after the correction, one standard deviation.
    coverage_factor: how many standard uncertainties a size's stated one is, so that about 95 % of true sizes lie
        within.
    """

    smoothing_um: float
    threshold: float
    seed_threshold: float
    size_correction_um: tuple[tuple[float, float], ...]
    size_uncertainty_um: float
    coverage_factor: float = NORMAL_FACTOR

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= self.seed_threshold < 1:
            raise ValueError(f"need 0 < threshold <= seed_threshold < 1, not {self.threshold}, {self.seed_threshold}")
        if not 0 <= self.smoothing_um <= MOST_SMOOTHING_UM:
            raise ValueError(f"smoothing_um must be 0 to {MOST_SMOOTHING_UM:g}, not {self.smoothing_um:g}")
        if not 0 <= self.size_uncertainty_um < math.inf:
            raise ValueError("size_uncertainty_um must be finite, and can't be negative")
        if not 1 <= self.coverage_factor < math.inf:
            raise ValueError(f"coverage_factor must be finite, and can't be below 1: {self.coverage_factor}")
        pairs = np.asarray(self.size_correction_um, dtype=np.float64).reshape(-1, 2)
        if not (np.isfinite(pairs).all() and (pairs > 0).all() and (np.diff(pairs, axis=0) > 0).all()):
            raise ValueError("size_correction_um must be positive and increase strictly in both columns")

    def excess_um(self, measured_um: float) -> float:
        """How much too long a measured diameter is (negative: too short)."""
        if not self.size_correction_um:
            return 0.0
        measured, true = zip(*self.size_correction_um, strict=True)
        return float(np.interp(measured_um, measured, np.subtract(measured, true)))
