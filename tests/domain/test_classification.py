"""The limits between the classes, exact on both sides (clinical-rules 1)."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodescan.domain.classification import CellCount, Metastasis, classify, is_borderline


@pytest.mark.parametrize(
    ("diameter_um", "expected"),
    [
        (math.nextafter(0, 1), Metastasis.ITC),
        (math.nextafter(200, 0), Metastasis.ITC),
        (200.0, Metastasis.ITC),
        (math.nextafter(200, 300), Metastasis.MICRO),
        (math.nextafter(2000, 0), Metastasis.MICRO),
        (2000.0, Metastasis.MICRO),
        (math.nextafter(2000, 3000), Metastasis.MACRO),
    ],
)
def test_limits_are_exact(diameter_um, expected):
    """Exactly 0.2 mm is ITC, exactly 2.0 mm a micrometastasis, one float above is the next class."""
    assert classify(diameter_um) is expected


@pytest.mark.parametrize(("cells", "expected"), [(200, Metastasis.ITC), (201, Metastasis.MICRO)])
def test_more_than_200_cells_are_micro_however_small(cells, expected):
    """201 cells of a focus of 0.1 mm are a micrometastasis, 200 are not."""
    assert classify(100.0, cells=CellCount(cells)) is expected


@given(diameter_um=st.floats(1e-3, 1e5), cells=st.none() | st.builds(CellCount, st.integers(0, 10**6)))
@settings(deadline=None)
def test_cells_never_downgrade(diameter_um, cells):
    """A cell count can raise the class that size gives, never lower it."""
    assert classify(diameter_um, cells=cells) >= classify(diameter_um)


@given(one=st.floats(1e-3, 1e5), other=st.floats(1e-3, 1e5))
@settings(deadline=None)
def test_larger_is_never_a_lower_class(one, other):
    """The class rises with the diameter."""
    assert classify(min(one, other)) <= classify(max(one, other))


@pytest.mark.parametrize("diameter_um", [0.0, -1.0, math.nan])
def test_no_size_no_class(diameter_um):
    """Nothing, less than nothing and no number have no class."""
    with pytest.raises(ValueError, match="positive diameter"):
        classify(diameter_um)


@pytest.mark.parametrize("limit", [200.0, 2000.0])
def test_borderline_holds_the_limit(limit):
    """A size is borderline exactly while its interval reaches a limit, from either side."""
    assert is_borderline(limit - 5, 5)
    assert is_borderline(limit + 5, 5)
    assert not is_borderline(limit - 5, math.nextafter(5, 0))
    assert not is_borderline(limit + 5, math.nextafter(5, 0))


@pytest.mark.parametrize("limit", [200.0, 2000.0])
def test_a_certain_size_is_never_borderline(limit):
    """Exactly 0.2 mm, as a reader measured it, is isolated tumour cells, and 2 mm a micrometastasis: no doubt."""
    assert not is_borderline(limit, 0.0)
    assert is_borderline(limit, math.nextafter(0, 1))


def test_words_are_those_of_the_reports():
    """The class words are the published ones, in clinical order."""
    assert [metastasis.word for metastasis in sorted(Metastasis)] == ["negative", "itc", "micro", "macro"]
