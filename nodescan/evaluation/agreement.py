"""Agreement of two readings: of classes (confusion, quadratic kappa) and of sizes (Bland-Altman)."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

LIMITS_SD = 1.96
"""Limits of agreement hold 95 % of differences that are normally distributed (Bland and Altman 1986)."""


def confusion(
    pairs: Iterable[tuple[object, object]], order: Sequence[object], columns: Sequence[object] | None = None
) -> NDArray[np.int64]:
    """int64 (k, columns): how often the reference says row, in `order`, and the reading says column, in `order` too
    where no `columns` are given.

    Raises ValueError on a word that isn't there.
    """
    columns = order if columns is None else columns
    table = np.zeros((len(order), len(columns)), dtype=np.int64)
    for reference, found in pairs:
        table[order.index(reference), columns.index(found)] += 1
    return table


def quadratic_kappa(table: NDArray[np.int64]) -> float:
    """Cohen's kappa with weights (i - j)^2; NaN where chance alone leaves no room to disagree.

    table : int64 (k, k), a confusion matrix. kappa = 1 - sum(w O) / sum(w E), with E the product of the margins
    over n (Cohen 1968).
    """
    total = table.sum()
    if total == 0:
        return float("nan")
    index = np.arange(len(table))
    weights = (index[:, None] - index[None, :]) ** 2
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    chance = float((weights * expected).sum())
    return 1.0 - float((weights * table).sum()) / chance if chance > 0 else float("nan")


def kappa_of_numbers(true: NDArray[np.int_], found: NDArray[np.int_], *, classes: int) -> float:
    """Quadratic kappa of paired classes by number, int (n,) each, from 0 to classes - 1; NaN where it isn't defined."""
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (true, found), 1)
    return quadratic_kappa(table)


def kappa_of_words(pairs: Sequence[tuple[str, str]], order: Sequence[str]) -> float | None:
    """Quadratic kappa of paired words, None where it isn't defined."""
    value = quadratic_kappa(confusion(pairs, order))
    return value if np.isfinite(value) else None


def bland_altman(true_um: NDArray[np.float64], measured_um: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Bias, lower and upper limit of agreement of the differences, measured less true, in um; None for fewer than two.

    Both : float64 (n,), in um, paired.
    """
    if len(true_um) < 2:
        return None
    apart = measured_um - true_um
    bias, spread = float(apart.mean()), float(apart.std(ddof=1))
    return bias, bias - LIMITS_SD * spread, bias + LIMITS_SD * spread
