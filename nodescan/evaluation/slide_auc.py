"""The slide task: how well one score a slide tells tumour from normal."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from nodescan.evaluation.bootstrap import LEVEL, Estimate

_Z = float(norm.ppf((1 + LEVEL) / 2))
_EDGE = 1e-12

SCORE_DEFINITION = (
    "A slide's tumour probability is the confidence of its likeliest detection: the highest value of the network's "
    "map, smoothed as detections are (scan.yaml); 0 without any detection."
)
"""For challenge files the same: the highest confidence of the file.

On the 40 composite slides that settings are tuned on (30 with tumour; the released weights 3c03ccbe5309 in int8) its
AUC is 0.900 (95 % 0.795 to 0.973), as that of the highest cell after the card's smoothing and of the greatest diameter.
Others: the highest cell after smoothing over 64 um 0.907 (0.806 to 0.985), the mean of the largest deposit 0.850, the
highest cell 0.817, the mean of the 20 highest cells 0.813."""


@dataclass(frozen=True, slots=True)
class RocCurve:
    """false_positive, true_positive : float64 (n,) in [0, 1], both rising, from (0, 0) to (1, 1)."""

    false_positive: NDArray[np.float64]
    true_positive: NDArray[np.float64]


def auc_interval(*, by_patient: bool) -> str:
    """How `auc_of` makes the interval, in words. by_patient: whether slides of one patient are drawn together."""
    how, unit = ("Obuchowski's", "patient") if by_patient else ("DeLong's", "slide")
    return (
        f"{how} on the logit scale, by {unit} (Newcombe's, by {unit}, where that has no width or is not defined, as "
        f"where all slides are told apart or one kind has only one {unit})"
    )


def roc_auc(scores: NDArray[np.float64], tumour: NDArray[np.bool_]) -> float:
    """The chance that a tumour slide scores above a normal one, a tie counting half; NaN without both kinds.

    scores : float64 (n,), one a slide; tumour : bool (n,).
    """
    positive = int(tumour.sum())
    negative = len(tumour) - positive
    if positive == 0 or negative == 0:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[tumour].sum() - positive * (positive + 1) / 2) / (positive * negative))


def auc_of(scores: NDArray[np.float64], tumour: NDArray[np.bool_], units: NDArray[np.intp] | None = None) -> Estimate:
    """The AUC with its interval; n is the number of units.

    scores : float64 (n,), one a slide; tumour : bool (n,); units: as of `estimate`. The interval is DeLong's
    (Biometrics 44 (1988) 837-845) on the logit scale, with the variance of Obuchowski (Biometrics 53 (1997) 567-578),
    which is DeLong's where each unit is one slide. Where that is none, as at an AUC of 1 or with one slide of a kind,
    it is Newcombe's score interval of units (Stat. Med. 25 (2006) 559-573).
    In simulations of 5 to 100 slides of a kind they held a true AUC of 0.7 to 0.99 in 92 to 99 of 100 sets.
    """
    units = np.arange(len(scores)) if units is None else units
    value = roc_auc(scores, tumour)
    count = len(np.unique(units))
    if not np.isfinite(value):
        return Estimate(None, None, None, count)
    variance = _auc_variance(scores, tumour, units)
    if 0 < value < 1 and variance > _EDGE:  # what rounding leaves of none is none
        half = _Z * variance**0.5 / (value * (1 - value))
        low, high = expit(logit(value) - half), expit(logit(value) + half)
    else:
        low, high = _score_interval(value, len(np.unique(units[tumour])), len(np.unique(units[~tumour])))
    return Estimate(value, float(low), float(high), count)


def _auc_variance(scores: NDArray[np.float64], tumour: NDArray[np.bool_], units: NDArray[np.intp]) -> float:
    """Obuchowski's; NaN where one kind has fewer than two units. Of each slide: how many of the other kind it is in
    order with, as a share; these are summed by unit, and the sums of both kinds vary together."""
    above, below = scores[tumour], scores[~tumour]
    n_above, n_below = len(above), len(below)
    ranks = rankdata(scores)
    of_tumour = (ranks[tumour] - rankdata(above)) / n_below
    of_normal = 1 - (ranks[~tumour] - rankdata(below)) / n_above
    value = float(of_tumour.mean())
    size = int(units.max()) + 1
    first = np.bincount(units[tumour], of_tumour - value, size) / n_above
    second = np.bincount(units[~tumour], of_normal - value, size) / n_below
    counts = len(np.unique(units[tumour])), len(np.unique(units[~tumour])), len(np.unique(units))
    if min(counts) < 2:
        return float("nan")
    one, other, both = (count / (count - 1) for count in counts)
    return float(one * (first @ first) + other * (second @ second) + 2 * both * (first @ second))


def _score_interval(value: float, n_tumour: int, n_normal: int) -> tuple[float, float]:
    """Both ends: the AUC that is `value` apart by 1.96 of its own standard errors, see Newcombe's method 5."""
    spare = (n_tumour + n_normal) / 2 - 1

    def beyond(auc: float) -> float:
        spread = auc * (1 - auc) * (1 + spare * ((1 - auc) / (2 - auc) + auc / (1 + auc))) / (n_tumour * n_normal)
        return (auc - value) ** 2 - _Z**2 * spread

    inside = min(max(value, _EDGE**0.5), 1 - _EDGE**0.5)
    low = 0.0 if value == 0 else cast("float", brentq(beyond, _EDGE, inside))
    high = 1.0 if value == 1 else cast("float", brentq(beyond, inside, 1 - _EDGE))
    return low, high


def roc_curve(scores: NDArray[np.float64], tumour: NDArray[np.bool_]) -> RocCurve:
    """Both rates at every score as threshold; slides of equal score are passed together.

    scores : float64 (n,), one a slide; tumour : bool (n,).
    """
    thresholds = np.unique(scores)[::-1]
    true = np.array([(scores[tumour] >= t).sum() for t in thresholds], dtype=np.float64)
    false = np.array([(scores[~tumour] >= t).sum() for t in thresholds], dtype=np.float64)
    positive, negative = max(int(tumour.sum()), 1), max(int((~tumour).sum()), 1)
    return RocCurve(np.concatenate(([0.0], false / negative)), np.concatenate(([0.0], true / positive)))
