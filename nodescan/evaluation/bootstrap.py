"""Intervals: of shares by Wilson's formula, of rates by Garwood's, of all else by resampling slides or patients."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

RESAMPLES = 1000
"""As the CAMELYON16 evaluation asks for."""

SEED = 20161116
"""Fixed, so that a figure and its interval can be made again."""

LEVEL = 0.95

NOT_DEFINED = "not defined"
"""Said of a figure without a value."""

_Z2 = float(chi2.ppf(LEVEL, 1))
"""The square of the normal quantile, 1.96."""

_NO_VARIANCE = 1e-12
"""Of a share: what is left of none by rounding."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval. n: a share's denominator; for any other figure, the units that were resampled.

    None: not defined, for the data or for every resample; without ends, too, where all resamples give one value, as a
    kappa of ten classes that are all right: that is no certainty.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


def number_words(found: Estimate, *, places: int = 3, unit: str = "", sign: bool = False) -> str:
    """A figure and its interval: "0.912 (0.850 to 0.961)". sign: + before what is above 0, too."""
    if found.value is None:
        return NOT_DEFINED
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
    return Estimate(hits / n, *_wilson(hits / n, n), n)


def share_by_unit(hits: NDArray[Any], cases: NDArray[Any], units: NDArray[np.intp] | None = None) -> Estimate:
    """The share of cases that are hits, where the cases of one unit vary together; n is the number of cases.

    hits, cases : numbers or bool (n,), of each slide, or of each patient; units: as of `estimate`. Wilson's interval
    with the effective number of cases: p (1 - p) over the variance of a ratio of sums over units, at most all cases.
    Where the units show no variance, as where all or none are hits, it is Kish's for units that vary together wholly,
    (sum m)^2 / sum m^2. Where no unit has two cases, that is `share_of`. After Korn and Graubard, Surv. Methodol. 24
    (1998) 193-201, and Franco et al., J. Surv. Stat. Methodol. 7 (2019) 334-364.
    """
    if units is not None:
        hits, cases = (np.bincount(units, weights=one) for one in (hits, cases))
    n = int(cases.sum())
    if n == 0 or cases.max() <= 1:  # an empty array has no maximum
        return share_of(int(hits.sum()), n)
    share = float(hits.sum()) / n
    there = np.asarray(cases[cases > 0], dtype=np.float64)
    apart = np.asarray(hits[cases > 0], dtype=np.float64) - share * there
    many = len(there)
    variance = many / (many - 1) * float(apart @ apart) / n**2 if many > 1 else 0.0
    kish = n**2 / float(there @ there)
    effective = min(n, share * (1 - share) / variance) if variance > _NO_VARIANCE else kish
    return Estimate(share, *_wilson(share, effective), n)


def _wilson(share: float, n: float) -> tuple[float, float]:
    """Both ends; n may be no whole number. Exactly 0 at a share of 0, and 1 at 1, however the formula rounds."""
    middle = (share + _Z2 / (2 * n)) / (1 + _Z2 / n)
    half = float(np.sqrt(_Z2 * (share * (1 - share) / n + _Z2 / (4 * n**2)))) / (1 + _Z2 / n)
    return (0.0 if share == 0 else middle - half), (1.0 if share == 1 else middle + half)


def rate_of(counts: NDArray[Any], units: NDArray[np.intp] | None = None) -> Estimate:
    """The mean of counts of rare events, with Garwood's exact interval of a Poisson rate, or the bootstrap's if wider.

    counts : numbers (cases,), of each slide; units: as of `estimate`. Resamples of few units may be more alike than
    those of cases: the widest counts. F. Garwood, Biometrika 28 (1936) 437-442. One event in all leaves every third set
    of resamples without any, and none at all says that there may be some.
    """
    total, n = float(counts.sum()), len(counts)
    both = [
        estimate(n, lambda index: float(counts[index].mean()) if len(index) else float("nan"), units=one)
        for one in ((None,) if units is None else (units, None))
    ]
    if n == 0:
        return both[0]
    tail = (1 - LEVEL) / 2
    low = float(chi2.ppf(tail, 2 * total)) / (2 * n) if total else 0.0
    high = float(chi2.ppf(1 - tail, 2 * total + 2)) / (2 * n)
    for drawn in both:
        if drawn.low is not None and drawn.high is not None:
            low, high = min(low, drawn.low), max(high, drawn.high)
    return Estimate(both[0].value, low, high, both[0].n)


def units_of(names: Iterable[Hashable]) -> NDArray[np.intp] | None:
    """intp (cases,), the unit of each case by its name, numbered as they come; None where no two are of one unit."""
    numbers: dict[Hashable, int] = {}
    codes = [numbers.setdefault(name, len(numbers)) for name in names]
    return None if len(numbers) == len(codes) else np.array(codes, dtype=np.intp)


def estimate(
    cases: int,
    statistic: Callable[[NDArray[np.intp]], float],
    *,
    units: NDArray[np.intp] | None = None,
    seed: int = SEED,
) -> Estimate:
    """The statistic of all cases, and the percentile interval over resamples of their units.

    statistic is handed intp (n,), which cases were drawn, with repeats; it returns NaN where it isn't defined, and such
    resamples are left out. units : intp (cases,), the unit of each from 0 up, every number used: cases of one patient
    vary together, and are drawn together; None: each case is one.
    """
    return estimates(cases, lambda drawn: np.array([statistic(drawn)]), units=units, seed=seed)[0]


def estimates(
    cases: int,
    statistic: Callable[[NDArray[np.intp]], NDArray[np.float64]],
    *,
    units: NDArray[np.intp] | None = None,
    seed: int = SEED,
) -> tuple[Estimate, ...]:
    """As `estimate`, for a statistic of several figures that share their resamples: float64 (figures,)."""
    whole = np.asarray(statistic(np.arange(cases)), dtype=np.float64)
    if cases == 0:
        return tuple(Estimate(_number(value), None, None, 0) for value in whole)
    members = None if units is None else _members(units)
    count = cases if members is None else len(members)
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, count, count) for _ in range(RESAMPLES))
    if members is not None:
        draws = (np.concatenate([members[unit] for unit in draw]) for draw in draws)
    drawn = np.stack([statistic(draw) for draw in draws])
    return tuple(_estimate(value, drawn[:, index], count) for index, value in enumerate(whole))


def _members(units: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The cases of each unit."""
    order = np.argsort(units, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(units[order])) + 1)


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
