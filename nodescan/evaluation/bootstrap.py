"""Intervals: of independent cases' shares by Wilson's formula, of all else by resampling slides or patients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

RESAMPLES = 1000
"""As the CAMELYON16 evaluation asks for."""

SEED = 20161116
"""Fixed, so that a figure and its interval can be made again."""

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval. n: a share's denominator; for any other figure, the units that were resampled.

    None: not defined, for the data or for every resample; without ends, too, where all resamples give one value, as of
    ten hits in ten: that is no certainty.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


def number_words(found: Estimate, *, places: int = 3, unit: str = "", sign: bool = False) -> str:
    """A figure and its interval: "0.912 (0.850 to 0.961)". sign: + before what is above 0, too."""
    if found.value is None:
        return "not defined"
    form = f"{'+' if sign else ''}.{places}f"
    if found.low is None or found.high is None:
        return f"{found.value:{form}}{unit} (no interval)"
    return f"{found.value:{form}}{unit} ({found.low:{form}} to {found.high:{form}})"


def share_of(hits: int, n: int) -> Estimate:
    """The share of n independent cases that are hits, with Wilson's score interval.

    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212; recommended for small n by Brown, Cai and DasGupta, Stat. Sci.
    16 (2001) 101-133. Resamples of ten hits in ten never hold a miss, and their interval would have no width.
    """
    if n == 0:
        return Estimate(None, None, None, 0)
    interval = binomtest(hits, n).proportion_ci(LEVEL, method="wilson")
    return Estimate(hits / n, float(interval.low), float(interval.high), n)


def estimate(units: int, statistic: Callable[[NDArray[np.intp]], float], *, seed: int = SEED) -> Estimate:
    """The statistic of all units, and the percentile interval over resamples of them.

    statistic is handed intp (units,), which units were drawn, with repeats; it returns NaN where it isn't defined,
    and such resamples are left out. Units are slides, or patients for stages: what varies together is drawn together.
    """
    return estimates(units, lambda drawn: np.array([statistic(drawn)]), seed=seed)[0]


def estimates(
    units: int, statistic: Callable[[NDArray[np.intp]], NDArray[np.float64]], *, seed: int = SEED
) -> tuple[Estimate, ...]:
    """As `estimate`, for a statistic of several figures that share their resamples: float64 (figures,)."""
    whole = np.asarray(statistic(np.arange(units)), dtype=np.float64)
    if units == 0:
        return tuple(Estimate(_number(value), None, None, 0) for value in whole)
    rng = np.random.default_rng(seed)
    drawn = np.stack([statistic(rng.integers(0, units, units)) for _ in range(RESAMPLES)])
    return tuple(_estimate(value, drawn[:, index], units) for index, value in enumerate(whole))


def ratio(parts: NDArray[Any], wholes: NDArray[Any]) -> Callable[[NDArray[np.intp]], float]:
    """The statistic of all that is in the drawn units: their parts over their wholes; NaN where these are none.

    parts, wholes : numbers or bool (units,).
    """
    return lambda drawn: float(parts[drawn].sum() / wholes[drawn].sum()) if wholes[drawn].sum() else float("nan")


def _estimate(value: float, drawn: NDArray[np.float64], units: int) -> Estimate:
    defined = drawn[np.isfinite(drawn)]
    if not len(defined) or not np.isfinite(value):
        return Estimate(_number(value), None, None, units)
    if defined.min() == defined.max():
        return Estimate(float(value), None, None, units)
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(value), float(low), float(high), units)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
