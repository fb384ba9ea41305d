"""The slide task against counts of pairs."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodescan.evaluation.slide_auc import auc_of, roc_auc, roc_curve


def by_pairs(scores: list[float], tumour: list[bool]) -> float:
    """The definition: the share of tumour-normal pairs in the right order, ties half."""
    pairs = itertools.product(
        [s for s, t in zip(scores, tumour, strict=True) if t], [s for s, t in zip(scores, tumour, strict=True) if not t]
    )
    return float(np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs]))


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.booleans()), min_size=2, max_size=30))
def test_auc_is_the_share_of_pairs_in_order(slides: list[tuple[float, bool]]) -> None:
    """With ties counting half, and not defined without both kinds."""
    scores, tumour = [s for s, _ in slides], [t for _, t in slides]
    found = roc_auc(np.array(scores), np.array(tumour))
    if len(set(tumour)) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(by_pairs(scores, tumour))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=30))
def test_the_area_under_the_drawn_curve_is_the_auc(slides: list[tuple[float, bool]]) -> None:
    """What is drawn and what is printed are one thing."""
    scores, tumour = np.array([s for s, _ in slides]), np.array([t for _, t in slides])
    curve = roc_curve(scores, tumour)
    if tumour.any() and not tumour.all():
        assert np.trapezoid(curve.true_positive, curve.false_positive) == pytest.approx(roc_auc(scores, tumour))
        assert (curve.false_positive[-1], curve.true_positive[-1]) == (1.0, 1.0)


def variance_by_definition(scores: list[float], tumour: list[bool], patients: list[int]) -> float:
    """Obuchowski's variance of the AUC, slide by slide in loops; DeLong's where each slide is a patient of its own."""
    slides = list(zip(scores, tumour, patients, strict=True))
    m, n = sum(tumour), len(tumour) - sum(tumour)
    value = by_pairs(scores, tumour)
    sums = {patient: [0.0, 0.0] for patient in patients}
    for score, kind, patient in slides:
        wins = [float(score > s) + 0.5 * (score == s) for s, k, _ in slides if k is not kind]
        share = sum(wins) / len(wins)
        sums[patient][0 if kind else 1] += (share if kind else 1 - share) - value
    with_tumour, with_normal = ({p for _, k, p in slides if k is kind} for kind in (True, False))
    first = len(with_tumour) / (len(with_tumour) - 1) * sum(a * a for a, _ in sums.values()) / m**2
    second = len(with_normal) / (len(with_normal) - 1) * sum(b * b for _, b in sums.values()) / n**2
    return first + second + 2 * len(sums) / (len(sums) - 1) * sum(a * b for a, b in sums.values()) / (m * n)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.booleans(), st.integers(0, 5)), min_size=4, max_size=24
    )
)
def test_the_interval_of_the_auc_is_that_of_its_variance(slides: list[tuple[float, bool, int]]) -> None:
    """1.96 standard errors on the logit scale, by patient and, where nobody says whose slides they are, by slide."""
    scores, tumour = [s for s, _, _ in slides], [t for _, t, _ in slides]
    codes = np.unique([patient for _, _, patient in slides], return_inverse=True)[1]
    for units in (codes.tolist(), list(range(len(slides)))):
        found = auc_of(np.array(scores), np.array(tumour), np.array(units))
        kinds = [{unit for unit, kind in zip(units, tumour, strict=True) if kind is one} for one in (True, False)]
        if found.value is None or found.value in (0, 1) or min(map(len, kinds)) < 2:
            continue
        variance = variance_by_definition(scores, tumour, units)
        if variance > 1e-9:
            half = 1.959964 * variance**0.5 / (found.value * (1 - found.value))
            middle = np.log(found.value / (1 - found.value))
            ends = 1 / (1 + np.exp(-np.array([middle - half, middle + half])))
            assert (found.low, found.high) == (pytest.approx(ends[0], abs=1e-6), pytest.approx(ends[1], abs=1e-6))


def test_the_auc_of_slides_that_are_all_told_apart_has_an_interval() -> None:
    """One tumour slide above one normal one is one pair of one: Wilson's share of it. Of more slides it begins higher,
    and of more slides of the same patients no higher."""
    low = [auc_of(np.repeat([0.9, 0.1], n), np.repeat([True, False], n)).low for n in (1, 3, 10, 100)]
    assert low[0] == pytest.approx(0.2065, abs=1e-4)
    assert low == sorted(low)
    assert low[-1] > 0.98
    of_two = auc_of(np.repeat([0.9, 0.1], 10), np.repeat([True, False], 10), np.repeat([0, 1], 10))
    assert (of_two.low, of_two.high, of_two.n) == (low[0], 1.0, 2)
    reversed_ = auc_of(np.array([0.1, 0.9]), np.array([True, False]))
    assert (reversed_.low, reversed_.high) == (0.0, pytest.approx(1 - low[0]))


def test_scores_that_are_all_alike_tell_nothing_and_say_so() -> None:
    """Half, with ends that are as far from it; without one kind there is no AUC."""
    found = auc_of(np.full(20, 0.5), np.arange(20) < 10)
    assert (found.value, found.low + found.high) == (0.5, pytest.approx(1.0))
    assert found.low < 0.35
    assert auc_of(np.full(3, 0.5), np.full(3, True)).value is None


def test_nineteen_of_twenty_intervals_of_an_auc_hold_it() -> None:
    """Of 0.95 by 30 tumour and 10 normal slides, where percentiles of resamples held it in 0.88 of sets."""
    rng, apart = np.random.default_rng(7), 1.6449 * 2**0.5
    tumour, held = np.arange(40) < 30, 0
    for _ in range(600):
        found = auc_of(rng.normal(np.where(tumour, apart, 0.0), 1.0), tumour)
        held += found.low <= 0.95 <= found.high
    assert held > 0.93 * 600
