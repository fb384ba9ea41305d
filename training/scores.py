"""Scores of a yes-or-no classifier, with bootstrap intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.evaluation.slide_auc import roc_auc

BINS = 15
"""Bins of the calibration error, of equal width in probability."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval (percentile bootstrap); NaN where it isn't defined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


def auc(probability: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties counting half (Mann-Whitney)."""
    area = roc_auc(probability, truth)
    if not np.isfinite(area):
        raise ValueError("an AUC needs both classes")
    return area


def calibration_error(probability: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Expected calibration error: mean distance of stated probability and observed share, weighted by bin."""
    index = np.minimum((probability * BINS).astype(int), BINS - 1)
    count = np.bincount(index, minlength=BINS)
    stated = np.bincount(index, probability, BINS)
    observed = np.bincount(index, truth, BINS)
    return float(np.abs(stated - observed).sum() / max(count.sum(), 1))


def share(right: NDArray[np.bool_]) -> float:
    """How many of the cases, bool (N,), are right. Raises ValueError where there are none."""
    if not len(right):
        raise ValueError("a share of no cases isn't defined")
    return float(right.mean())


def specificity_at(probability: NDArray[np.float64], truth: NDArray[np.bool_], *, sensitivity: float) -> float:
    """Specificity at the highest threshold that still finds `sensitivity` of the positives.

    Raises ValueError without both classes.
    """
    if truth.all() or not truth.any():
        raise ValueError("a specificity at a sensitivity needs both classes")
    positives = np.sort(probability[truth])[::-1]
    threshold = positives[int(np.ceil(sensitivity * len(positives))) - 1]
    return float((probability[~truth] < threshold).mean())


def bootstrap(
    score: Callable[[NDArray[np.intp]], float], count: int, *, resamples: int = 1000, seed: int = 0
) -> Interval:
    """`score` of all `count` cases, and of resamples of them with replacement; resamples of one class are left out.

    score: raises ValueError where it isn't defined, as an AUC of one class.
    """
    rng = np.random.default_rng(seed)
    try:
        value = score(np.arange(count))
    except ValueError:
        return Interval(float("nan"), float("nan"), float("nan"))
    drawn = []
    for _ in range(resamples):
        try:
            drawn.append(score(rng.integers(0, count, count)))
        except ValueError:
            continue
    low, high = np.percentile(drawn, [2.5, 97.5]) if drawn else (float("nan"), float("nan"))
    return Interval(value, float(low), float(high))
