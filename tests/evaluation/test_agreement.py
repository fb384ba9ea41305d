"""Kappa and Bland-Altman against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodescan.domain.classification import Metastasis
from nodescan.domain.staging import CAMELYON17
from nodescan.evaluation.agreement import (
    bland_altman,
    confusion,
    kappa_of_numbers,
    kappa_of_words,
    quadratic_kappa,
)
from nodescan.evaluation.bootstrap import Estimate
from nodescan.evaluation.pairing import LesionMatch
from nodescan.evaluation.plots import bland_altman_plot
from nodescan.evaluation.size_figures import SizeAgreement

STAGES = tuple(rule.category for rule in CAMELYON17.rules)


def test_quadratic_kappa_of_a_table_worked_by_hand() -> None:
    """Rows 5+3, 2+4+1, 0+2+3 of three classes: disagreement 8 where chance gives 23.1."""
    table = np.array([[5, 3, 0], [2, 4, 1], [0, 2, 3]])
    # margins: rows 8, 7, 5, columns 7, 9, 4; n = 20. Observed: 3 + 2 + 1 + 2 = 8.
    # Expected: (8*9 + 7*7 + 7*4 + 5*9 + 4*(8*4 + 5*7)) / 20 = (72 + 49 + 28 + 45 + 268) / 20 = 23.1
    assert quadratic_kappa(table) == pytest.approx(1 - 8 / 23.1)


def test_kappa_of_identity_chance_and_reversal() -> None:
    """Full agreement is 1, independence 0, reversal of two classes -1, and one class alone is not defined."""
    assert quadratic_kappa(np.diag([3, 4, 5])) == 1.0
    assert quadratic_kappa(np.outer([2, 4], [3, 3])) == pytest.approx(0.0)
    assert quadratic_kappa(np.array([[0, 5], [5, 0]])) == pytest.approx(-1.0)
    assert np.isnan(quadratic_kappa(np.diag([7, 0, 0])))
    assert quadratic_kappa(np.array([[0, 1], [0, 0]])) == 0.0  # one pair apart: as far as chance would have it
    assert kappa_of_words([], STAGES) is None


def test_kappa_of_words_is_that_of_their_table() -> None:
    """The table worked by hand above, as pairs of words in the order of rows and columns; one class alone has none."""
    counts = {("low", "low"): 5, ("low", "mid"): 3, ("mid", "low"): 2, ("mid", "mid"): 4, ("mid", "high"): 1}
    counts |= {("high", "mid"): 2, ("high", "high"): 3}
    pairs = [pair for pair, count in counts.items() for _ in range(count)]
    assert confusion(pairs, ("low", "mid", "high")).tolist() == [[5, 3, 0], [2, 4, 1], [0, 2, 3]]
    assert kappa_of_words(pairs, ("low", "mid", "high")) == pytest.approx(1 - 8 / 23.1)
    assert kappa_of_words([("low", "low")] * 7, ("low", "mid", "high")) is None


def test_quadratic_weights_punish_distance() -> None:
    """Calling pN2 pN0 costs sixteen times what calling it pN1 does."""
    right = [(stage, stage) for stage in STAGES] * 4
    # each with its counterpart and a right one more, so that both tables have the same margins
    near = quadratic_kappa(confusion([("pN2", "pN1"), ("pN1", "pN2"), ("pN0", "pN0"), *right], STAGES))
    far = quadratic_kappa(confusion([("pN2", "pN0"), ("pN0", "pN2"), ("pN1", "pN1"), *right], STAGES))
    assert 1 - far == pytest.approx(16 * (1 - near))


def test_kappa_of_numbers_by_hand() -> None:
    """Agreement is 1, reversal -1, and one step off costs less than three."""
    truth = np.array([0, 1, 2, 3])
    assert kappa_of_numbers(truth, truth, classes=4) == 1
    assert kappa_of_numbers(truth, truth[::-1].copy(), classes=4) == -1
    near, far = (kappa_of_numbers(truth, np.array([0, 1, 2, last]), classes=4) for last in (2, 0))
    assert near > far


@given(st.lists(st.tuples(st.sampled_from(STAGES), st.sampled_from(STAGES)), min_size=2, max_size=40))
def test_kappa_is_symmetric_and_at_most_one(pairs: list[tuple[str, str]]) -> None:
    """Which reading is the reference makes no difference."""
    one = kappa_of_words(pairs, STAGES)
    other = kappa_of_words([(b, a) for a, b in pairs], STAGES)
    assert one == pytest.approx(other) if one is not None else other is None
    assert one is None or one <= 1


def test_bland_altman_by_hand() -> None:
    """Differences 10, -10, 30, 10: bias 10, standard deviation sqrt(800/3)."""
    found = bland_altman(np.array([100.0, 200, 300, 400]), np.array([110.0, 190, 330, 410]))
    assert found is not None
    bias_um, lower_um, upper_um = found
    assert bias_um == 10.0
    assert upper_um - bias_um == pytest.approx(1.96 * (800 / 3) ** 0.5)
    assert lower_um == pytest.approx(2 * bias_um - upper_um)
    assert bland_altman(np.array([1.0]), np.array([1.0])) is None


def test_a_points_words_contradict_no_class() -> None:
    """A true 199 um measured as 200.4 is a micrometastasis found for isolated tumour cells, and reads so."""
    near = LesionMatch("s", 199.0, Metastasis.ITC, 200.4, Metastasis.MICRO)
    bias, lower, upper, error = (Estimate(value, None, None, 1) for value in (1.4, 0.0, 3.0, 0.01))
    drawn = bland_altman_plot([near], SizeAgreement(1, bias, lower, upper, error))
    assert "s: 0.20 mm, measured 0.2004 mm" in drawn
