"""Intervals by resampling units."""

import numpy as np

from nodescan.evaluation.bootstrap import estimate, estimates


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    """Of 400 values the 95 % interval is the mean -+ 1.96 standard errors, within a tenth."""
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    found = estimate(400, lambda drawn: float(values[drawn].mean()))
    half = 1.96 * values.std() / 20
    assert found.value == values.mean()
    assert found.low is not None
    assert found.high is not None
    assert abs(found.low - (values.mean() - half)) < 0.1 * half
    assert abs(found.high - (values.mean() + half)) < 0.1 * half


def test_the_same_data_give_the_same_interval() -> None:
    """A figure can be made again."""
    values = np.arange(20.0)
    one, other = (estimate(20, lambda drawn: float(values[drawn].mean())) for _ in range(2))
    assert one == other
    assert estimate(20, lambda drawn: float(values[drawn].mean()), seed=0) != one


def test_resamples_where_the_figure_is_not_defined_are_left_out() -> None:
    """With one unit of two kinds half of the resamples have none of it; the rest still give an interval."""
    found = estimate(2, lambda drawn: float("nan") if 1 not in drawn else float(drawn.sum()))
    assert (found.low, found.high) == (1.0, 2.0)


def test_a_figure_that_is_never_defined_is_none() -> None:
    """No number is better than a wrong one; also without any unit."""
    assert estimate(3, lambda drawn: float("nan")).value is None
    nothing = estimate(0, lambda drawn: float("nan"))
    assert (nothing.value, nothing.low, nothing.n) == (None, None, 0)


def test_several_figures_share_their_resamples() -> None:
    """A sum and its double have the same interval but for the factor."""
    values = np.arange(9.0)
    one, two = estimates(9, lambda drawn: np.array([values[drawn].sum(), 2 * values[drawn].sum()]))
    assert (two.low, two.high) == (2 * one.low, 2 * one.high)
