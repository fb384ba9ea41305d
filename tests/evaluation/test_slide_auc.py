"""The slide task against counts of pairs."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodescan.evaluation.slide_auc import roc_auc, roc_curve


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
