"""Intervals by resampling units."""

import numpy as np
import pytest

from nodescan.evaluation.bootstrap import Estimate, estimate, estimates, share_of


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


@pytest.mark.parametrize(("hits", "low", "high"), [(10, 0.7225, 1.0), (0, 0.0, 0.2775), (7, 0.3968, 0.8922)])
def test_a_share_of_ten_has_the_interval_of_wilson(hits: int, low: float, high: float) -> None:
    """As tables of the formula have it; ten of ten is no certainty."""
    found = share_of(hits, 10)
    assert (found.value, found.n) == (hits / 10, 10)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_no_interval_of_a_share_leaves_0_to_1() -> None:
    """None of n is exactly 0 at the low end, n of n exactly 1 at the high one, however the formula rounds."""
    for n in range(1, 200):
        assert (share_of(0, n).low, share_of(n, n).high) == (0.0, 1.0)


def test_a_figure_that_no_resample_has_stands_without_an_interval() -> None:
    """One that needs every unit once, which 1,000 resamples of 30 never hold: it is known, its interval isn't."""
    found = estimate(30, lambda drawn: 5.0 if len(set(drawn)) == 30 else float("nan"))
    assert (found.value, found.low, found.high, found.n) == (5.0, None, None, 30)


def test_a_figure_that_resamples_alone_have_is_none() -> None:
    """As limits of agreement, which need two pairs, where there is one: drawn twice it passes for two."""
    found = estimate(3, lambda drawn: float(sum(drawn)) if (drawn == 1).sum() >= 2 else float("nan"))
    assert (found.value, found.low, found.high, found.n) == (None, None, None, 3)


@pytest.mark.parametrize("n", [10, 20])
def test_nineteen_of_twenty_intervals_of_a_share_hold_it(n: int) -> None:
    """Of a true share of 0.95, where bootstrap intervals hold it in half of the samples of ten."""
    hits = np.random.default_rng(5).binomial(n, 0.95, 4000)
    ends = [share_of(int(count), n) for count in hits]
    held = [one.low <= 0.95 <= one.high for one in ends if one.low is not None and one.high is not None]
    assert np.mean(held) > 0.9


def test_where_all_resamples_are_one_value_there_is_no_interval() -> None:
    """Ten values of 1 say little of the next."""
    found = estimate(10, lambda drawn: float(np.ones(10)[drawn].mean()))
    assert (found.value, found.low, found.high) == (1.0, None, None)


def test_a_share_of_nothing_is_not_defined() -> None:
    """And says that it is of none."""
    assert share_of(0, 0) == Estimate(None, None, None, 0)
