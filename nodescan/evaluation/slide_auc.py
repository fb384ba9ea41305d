"""The slide task: how well one score a slide tells tumour from normal."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

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


def roc_curve(scores: NDArray[np.float64], tumour: NDArray[np.bool_]) -> RocCurve:
    """Both rates at every score as threshold; slides of equal score are passed together.

    scores : float64 (n,), one a slide; tumour : bool (n,).
    """
    thresholds = np.unique(scores)[::-1]
    true = np.array([(scores[tumour] >= t).sum() for t in thresholds], dtype=np.float64)
    false = np.array([(scores[~tumour] >= t).sum() for t in thresholds], dtype=np.float64)
    positive, negative = max(int(tumour.sum()), 1), max(int((~tumour).sum()), 1)
    return RocCurve(np.concatenate(([0.0], false / negative)), np.concatenate(([0.0], true / positive)))
