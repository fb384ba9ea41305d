"""Scores of a yes-or-no classifier, with bootstrap intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.evaluation.bootstrap import Estimate, estimate

BINS = 15
"""Bins of the calibration error, of equal width in probability."""

_SEED = 0
"""Of every interval that model cards and tables published."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval; NaN where one isn't defined, or an end isn't."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isfinite(self.value) and not np.isfinite(self.low):
            return f"{self.value:.4f} (no interval)"
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


def calibration_error(probability: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Expected calibration error: mean distance of stated probability and observed share, weighted by bin.

    probability : float64 (N,) in [0, 1]; truth : bool (N,).
    """
    index = np.minimum((probability * BINS).astype(int), BINS - 1)
    count = np.bincount(index, minlength=BINS)
    stated = np.bincount(index, probability, BINS)
    observed = np.bincount(index, truth, BINS)
    return float(np.abs(stated - observed).sum() / max(count.sum(), 1))


def share(right: NDArray[np.bool_]) -> float:
    """How many of the cases, bool (N,), are right; NaN where there are none."""
    return float(right.mean()) if len(right) else float("nan")


def specificity_at(probability: NDArray[np.float64], truth: NDArray[np.bool_], *, sensitivity: float) -> float:
    """Specificity at the highest threshold that finds `sensitivity` of the positives; NaN without both classes.

    probability : float64 (N,); truth : bool (N,).
    """
    if truth.all() or not truth.any():
        return float("nan")
    positives = np.sort(probability[truth])[::-1]
    threshold = positives[int(np.ceil(sensitivity * len(positives))) - 1]
    return float((probability[~truth] < threshold).mean())


def bootstrap(score: Callable[[NDArray[np.intp]], float], count: int) -> Interval:
    """`score` of all `count` cases, and of resamples of them with replacement.

    score is handed intp (count,), which cases were drawn; it returns NaN where it isn't defined, as an AUC of one
    class, and such resamples are left out.
    """
    return as_interval(estimate(count, score, seed=_SEED))


def as_interval(found: Estimate) -> Interval:
    """NaN stands for None."""
    return Interval(*(float("nan") if end is None else end for end in (found.value, found.low, found.high)))
