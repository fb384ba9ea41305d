"""Intervals by resampling units."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, poisson

from nodescan.evaluation.bootstrap import Estimate, estimate, estimates, rate_of, share_by_unit, share_of, units_of


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


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_a_share_is_scipys(hits_of: tuple[int, int]) -> None:
    """Another implementation of Wilson's formula."""
    hits, n = hits_of
    found, expected = share_of(hits, n), binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == (
        pytest.approx(expected.low, abs=1e-12),
        pytest.approx(expected.high, abs=1e-12),
    )


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30))
def test_cases_that_vary_together_are_never_worth_more_than_as_many_apart(units: list[tuple[int, int]]) -> None:
    """The share is the same; its interval is Wilson's of all cases, or a wider one, and always there."""
    hits, misses = (np.array(one) for one in zip(*units, strict=True))
    found, apart = share_by_unit(hits, hits + misses), share_of(int(hits.sum()), int((hits + misses).sum()))
    assert (found.value, found.n) == (apart.value, apart.n)
    if found.value is not None:
        assert found.low <= apart.low + 1e-12
        assert found.high >= apart.high - 1e-12


def test_units_of_one_case_each_are_independent_cases() -> None:
    """Whether other units have none."""
    assert share_by_unit(np.array([1, 0, 0, 1]), np.array([1, 0, 1, 1])) == share_of(2, 3)


def test_units_that_are_alike_count_as_far_as_they_could_vary_together() -> None:
    """Four units of 3 cases, all hits, are four cases by Kish's number; one of 9 and three of 1 are 12^2 / 84."""
    for cases, effective in (([3, 3, 3, 3], 4), ([9, 1, 1, 1], 144 / 84)):
        found = share_by_unit(np.array(cases), np.array(cases))
        assert found.low == pytest.approx(effective / (effective + 3.8415), abs=1e-4)
        assert (found.high, found.n) == (1.0, 12)
    halves = share_by_unit(np.array([1, 1]), np.array([2, 2]))
    assert (halves.low, halves.high) == (share_of(1, 2).low, share_of(1, 2).high)


def test_the_interval_of_a_rate_is_no_narrower_where_few_units_are_known() -> None:
    """Ten slides of one patient, or two, say no more of others than ten of ten patients."""
    counts = np.array([12.0, 9.0, 5.0, 3.0, 2.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    alone = rate_of(counts)
    assert alone.low is not None
    assert alone.high is not None
    for units in ([0] * 10, [0, 1] * 5):
        found = rate_of(counts, np.array(units))
        assert found.low is not None
        assert found.high is not None
        assert found.low <= alone.low < alone.high <= found.high


@pytest.mark.parametrize(("events", "low", "high"), [(0, 0.0, 0.0922), (1, 0.0006, 0.1393), (8, 0.0863, 0.3941)])
def test_the_rate_of_rare_events_has_the_interval_of_garwood(events: int, low: float, high: float) -> None:
    """Of 40 slides, as tables of the Poisson distribution have it, or what resamples give where that is wider."""
    counts = np.repeat([1.0, 0.0], [events, 40 - events])
    resampled = estimate(40, lambda drawn: float(counts[drawn].mean()))
    found = rate_of(counts)
    assert (found.value, found.n) == (events / 40, 40)
    assert found.low == pytest.approx(min(low, 1.0 if resampled.low is None else resampled.low), abs=1e-4)
    assert found.high == pytest.approx(max(high, resampled.high or 0.0), abs=1e-4)


def test_events_that_come_together_widen_the_interval_of_a_rate() -> None:
    """Twenty on one slide of forty: Poisson's ends are 0.31 and 0.77; resamples lack that slide or hold it thrice."""
    found = rate_of(np.repeat([20.0, 0.0], [1, 39]))
    assert (found.low, found.high) == (0.0, 1.5)


@pytest.mark.parametrize("rate", [0.025, 0.1])
def test_nineteen_of_twenty_intervals_of_a_rate_hold_it(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum of their chances, where percentiles of resamples alone hold 0.025 a slide in 0.63 of sets of 40."""
    monkeypatch.setattr("nodescan.evaluation.bootstrap.RESAMPLES", 40)
    held = 0.0
    for events in range(20):
        found = rate_of(np.repeat([1.0, 0.0], [events, 40 - events]))
        if found.low <= rate <= found.high:
            held += poisson.pmf(events, 40 * rate)
    assert held >= 0.95


def test_cases_of_one_unit_are_drawn_together() -> None:
    """Of three and two cases every resample holds all of a unit or none, as often as it was drawn."""
    units = units_of(["a", "b", "a", "a", "b"])
    assert units is not None
    assert units.tolist() == [0, 1, 0, 0, 1]
    drawn: list[tuple[int, ...]] = []
    found = estimate(5, lambda cases: float(len(drawn.append(tuple(cases)) or cases)), units=units)
    assert {tuple(np.bincount(cases, minlength=5)) for cases in drawn[1:]} == {
        (2, 0, 2, 2, 0),
        (1, 1, 1, 1, 1),
        (0, 2, 0, 0, 2),
    }
    assert (found.value, found.low, found.high, found.n) == (5.0, 4.0, 6.0, 2)
    assert units_of(["a", "b", "c"]) is None
