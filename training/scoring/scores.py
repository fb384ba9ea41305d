"""Scores of a yes-or-no classifier, with bootstrap intervals."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodescan.evaluation.bootstrap import Estimate, estimate

BINS = 15
"""Bins of the calibration error, of equal width in probability."""

_SEED = 0
"""Of every interval of patches and pictures that model cards and tables state."""


def calibration_error(probability: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Expected calibration error: mean distance of stated probability and observed share, weighted by bin.

    probability : float64 (N,) in [0, 1]; truth : bool (N,).
    """
    index = np.minimum((probability * BINS).astype(int), BINS - 1)
    count = np.bincount(index, minlength=BINS)
    stated = np.bincount(index, probability, BINS)
    observed = np.bincount(index, truth, BINS)
    return float(np.abs(stated - observed).sum() / max(count.sum(), 1))


def specificity_at(probability: NDArray[np.float64], truth: NDArray[np.bool_], *, sensitivity: float) -> float:
    """Specificity at the highest threshold that finds `sensitivity` of the positives; NaN without both classes.

    probability : float64 (N,); truth : bool (N,).
    """
    if truth.all() or not truth.any():
        return float("nan")
    positives = np.sort(probability[truth])[::-1]
    threshold = positives[int(np.ceil(sensitivity * len(positives))) - 1]
    return float((probability[~truth] < threshold).mean())


def ratio(parts: NDArray[Any], wholes: NDArray[Any]) -> Callable[[NDArray[np.intp]], float]:
    """The statistic of all that is in the drawn cases: their parts over their wholes; NaN where these are none.

    parts, wholes : numbers or bool (cases,).
    """
    return lambda drawn: float(parts[drawn].sum() / wholes[drawn].sum()) if wholes[drawn].sum() else float("nan")


def bootstrap(score: Callable[[NDArray[np.intp]], float], count: int) -> Estimate:
    """`score` of all `count` cases, and of resamples of them with replacement; see `estimate`."""
    return estimate(count, score, seed=_SEED)


def share_of_some(right: NDArray[np.bool_], counted: NDArray[np.bool_]) -> Estimate:
    """The share of the counted cases that are right, its interval by resampling all cases.

    right, counted : bool (N,), of the same cases. The estimate's n is how many are counted: the denominator.
    """
    found = bootstrap(ratio(right & counted, counted), len(counted))
    return replace(found, n=int(counted.sum()))
