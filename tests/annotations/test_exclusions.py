"""What is cut out of an outline leaves neither a sliver along the border that both share, nor takes more than it is."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from nodescan.annotations import exclusions
from nodescan.annotations.exclusions import cut_out_whole, united, without
from nodescan.domain.geometry import max_feret

WHOLE, HUNDREDTHS, EXACT = 0, 2, 12
"""Decimals that programs write."""


def corners(rng: np.random.Generator) -> np.ndarray:
    """A convex outline with slanted borders, on whole pixels, far from the slide's corner."""
    sides = np.array([[0, 0], [14_000, 0], [14_000, 5_000], [0, 5_000]])
    return (sides + rng.integers(-2000, 2000, (4, 2)) + rng.integers(10_000, 50_000, 2)).astype(float)


def many(*rings: np.ndarray) -> shapely.MultiPolygon:
    return united([shapely.Polygon(ring) for ring in rings])


def length(shape: shapely.MultiPolygon) -> float:
    return 0.0 if shape.is_empty else float(max_feret(shapely.get_coordinates(shape)).diameter_um)


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.floats(0.1, 0.9), st.sampled_from([WHOLE, HUNDREDTHS, EXACT]))
def test_an_outline_that_is_excluded_whole_leaves_nothing(seed: int, where: float, decimals: int) -> None:
    """Its exclusion has a vertex more, on a border: nowhere is it off by a pixel."""
    drawn = corners(np.random.default_rng(seed))
    between = np.round(drawn[0] + where * (drawn[1] - drawn[0]), decimals)
    assert without(many(drawn), many(np.insert(drawn, 1, between, axis=0))).is_empty


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.floats(0.3, 0.7), st.sampled_from([WHOLE, HUNDREDTHS, EXACT]))
def test_of_an_outline_that_is_excluded_in_part_the_rest_has_its_own_length(
    seed: int, where: float, decimals: int
) -> None:
    """The line between them ends on two of its borders."""
    a, b, c, d = corners(np.random.default_rng(seed))
    upper, lower = (np.round(one + where * (other - one), decimals) for one, other in ((a, b), (d, c)))
    rest = without(many(np.stack([a, b, c, d])), many(np.stack([upper, b, c, lower])))
    assert length(rest) == pytest.approx(length(many(np.stack([a, upper, lower, d]))), abs=2)


def test_thin_parts_elsewhere_stay() -> None:
    """A spike half a pixel wide, and all that is far from exclusions, to the last digit."""
    spiked = np.array([[0, 0], [300, 0], [300, 100], [900, 100.25], [300, 100.5], [300, 300], [0, 300]], float)
    hole = np.array([[50, 50], [90, 50], [90, 90], [50, 90]], float)
    rest = without(many(spiked), many(hole))
    assert length(rest) == pytest.approx(length(many(spiked)), abs=1e-6)
    assert rest.area == pytest.approx(many(spiked).area - 1600, rel=1e-9)
    far = many(hole + 5000)
    assert without(many(spiked), far).equals(many(spiked))
    assert without(many(spiked), shapely.MultiPolygon()).equals(many(spiked))


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_many_outlines_are_cut_as_few_are(seed: int) -> None:
    """Each with the exclusions that it meets alone, some of which have its own border, leaves what all together do."""
    rng = np.random.default_rng(seed)
    boxes = [shapely.box(x, y, x + 40, y + rng.integers(5, 90)) for x in range(0, 500, 50) for y in range(0, 500, 50)]
    at = rng.integers(0, 500, (60, 2)).tolist()
    cut = united([*(shapely.box(x, y, x + 12, y + 7) for x, y in at), *boxes[::9]])
    drawn = united(boxes)
    at_once = without(drawn, cut)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(exclusions, "_MOST_AT_ONCE", 1)
        each = without(drawn, cut)
    assert len(each.geoms) == len(at_once.geoms)
    assert each.is_valid
    assert each.symmetric_difference(at_once).area < 1e-6


def test_geos_is_given_no_thousands_of_outlines_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thousands in a row it takes minutes: its time grows with the square of their number."""
    given_: list[int] = []
    for name in ("buffer", "union_all"):
        plain = getattr(shapely, name)

        def counted(shapes: object, *words: object, plain: object = plain, **named: object) -> object:
            given_.append(max(map(shapely.get_num_geometries, np.atleast_1d(np.asarray(shapes, dtype=object)))))
            return plain(shapes, *words, **named)  # pyright: ignore[reportCallIssue]

        monkeypatch.setattr(shapely, name, counted)
    drawn = [shapely.box(20 * x, 0, 20 * x + 10, 10) for x in range(1500)]
    cut = united([shapely.box(20 * x + 3, 3, 20 * x + 5, 5) for x in range(1500)])
    assert cut_out_whole("a.xml", [("a", one) for one in drawn], cut) == []
    assert without(united(drawn), cut).area == pytest.approx(1500 * 96)
    assert max(given_) == 1
