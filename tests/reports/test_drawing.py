"""Places in um land on their pixels, and scale bars are round and true."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodescan.domain.maps import Picture
from nodescan.domain.units import Micrometers, MicronsPerPixel, Spacing
from nodescan.reports.drawing import Canvas, round_length_um
from nodescan.reports.palette import Colour, Stroke, heat_ramp

RED = Colour(255, 0, 0)
STROKES: tuple[Stroke, ...] = ("dotted", "single", "double")


def _white(width: int = 200, height: int = 100, *, spacing: Spacing | None = None) -> Picture:
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    return Picture(pixels, 1000.0, 2000.0, spacing or Spacing.square(10.0))


@given(st.floats(1, 1e5))
def test_a_scale_bar_is_the_longest_round_length_that_fits(wanted: float) -> None:
    """1, 2 or 5 times a power of ten, never longer than asked, never less than 40 % of it."""
    length = round_length_um(Micrometers(wanted))
    digits = f"{length:e}"[0]
    assert digits in "125"
    assert 0.4 * wanted <= length <= wanted * 1.000001


def test_an_outline_is_drawn_where_it_lies() -> None:
    """A square from (1500, 2400) to (1900, 2800) um on 10 um pixels turns red at its edges and nowhere else."""
    canvas = Canvas(_white(), 200, text_px=16)
    ring = np.array([[1500, 2400], [1900, 2400], [1900, 2800], [1500, 2800]], dtype=np.float64)
    canvas.outline_ring(ring, RED, width=1, casing=False)
    drawn = np.asarray(canvas.image())[..., 1] < 200
    rows, columns = np.nonzero(drawn)
    assert (columns.min(), columns.max()) == pytest.approx((50, 90), abs=1)
    assert (rows.min(), rows.max()) == pytest.approx((40, 80), abs=1)
    assert not drawn[45:75, 55:85].any()


@pytest.mark.parametrize(("stroke", "shares"), [("single", (1.0, 0.0)), ("dotted", (0.5, 0.0)), ("double", (0.0, 1.0))])
def test_kinds_of_line_differ_without_colour(stroke: Stroke, shares: tuple[float, float]) -> None:
    """How much of the line is dark, along its middle and 3 px beside it: a dot is as wide as a single line."""
    canvas = Canvas(_grey(400, 400), 400, text_px=32)
    ring = np.array([[1500, 2500], [3500, 2500], [3500, 4500], [1500, 4500]], dtype=np.float64)
    canvas.outline_ring(ring, RED, width=2.4, casing=True, stroke=stroke)
    dark = np.asarray(canvas.image())[..., 1] < 120
    middle, beside = dark[50, 70:230], dark[53, 70:230]
    assert (middle.mean(), beside.mean()) == (pytest.approx(shares[0], abs=0.12), pytest.approx(shares[1], abs=0.12))


def test_a_ring_too_small_for_dots_is_a_line() -> None:
    """Three dots would fill it."""
    drawn = []
    for stroke in STROKES:
        canvas = Canvas(_grey(100, 100), 100, text_px=32)
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        small = np.array([1500, 2500]) + 30 * np.column_stack([np.cos(angles), np.sin(angles)])
        canvas.outline_ring(small, RED, width=2.4, casing=True, stroke=stroke)
        drawn.append(np.asarray(canvas.image()))
    dotted, single, double = drawn
    assert np.array_equal(dotted, single)
    assert not np.array_equal(double, single)


def test_no_label_lies_in_the_ring_of_another_place() -> None:
    """Of two places whose rings overlap, the second one's letter would name the first."""
    rings = [(1500.0, 2500.0), (1400.0, 2600.0)]
    plain, labelled = (Canvas(_white(), 200, text_px=12) for _ in range(2))
    for canvas in (plain, labelled):
        first, second = (canvas.ring_around(at, 20, RED) for at in rings)
    labelled.badge(second, "b", RED)
    labelled.badge(first, "a", RED)
    changed = (np.asarray(plain.image()) != np.asarray(labelled.image())).any(axis=-1)
    y, x = np.mgrid[:100, :200]
    assert changed.any()
    for left, top in ((50, 50), (40, 60)):
        assert not changed[(np.abs(x - left) < 14) & (np.abs(y - top) < 14)].any()


def test_a_label_hides_no_deposit_while_there_is_room() -> None:
    """Though the first place for it lies right over one, and every place over a part of some."""
    canvas = Canvas(_grey(300, 300), 300, text_px=16)
    before = np.asarray(canvas.image())
    for x in range(0, 300, 50):
        canvas.keep_clear(np.array([[x, 0.0], [x + 12, 0.0], [x + 12, 300.0], [x, 300.0]]))
    canvas.keep_clear(np.array([[152.0, 132.0], [176.0, 132.0], [176.0, 156.0], [152.0, 156.0]]))
    canvas.badge((150.0, 150.0), "1", RED)
    changed = (np.asarray(canvas.image()) != before).any(axis=-1)
    assert changed.any()
    assert not changed[136:152, 156:172].any()


def test_uneven_pixels_are_made_square() -> None:
    """A picture of 10 x 20 um pixels comes out twice as high: shapes are not squeezed."""
    spacing = Spacing(MicronsPerPixel(10.0), MicronsPerPixel(20.0))
    canvas = Canvas(_white(100, 100, spacing=spacing), 400, text_px=16)
    assert canvas.size_px == (200, 400)
    assert canvas.um_per_px == 5.0


def test_a_map_is_looked_up_where_the_picture_lies() -> None:
    """The picture starts at (1000, 2000) um, so its first pixel shows the map's cell there; outside the map is 0."""
    values = np.arange(40 * 30).reshape(40, 30)
    sampled = Canvas(_white(), 200, text_px=16).sampled(values, Spacing.square(100.0))
    assert sampled[0, 0] == values[20, 10]
    assert sampled[99, 199] == values[29, 29]
    assert Canvas(_white(400, 100), 400, text_px=16).sampled(values, Spacing.square(100.0))[0, 399] == 0


def test_the_heat_ramp_falls_evenly_in_lightness() -> None:
    """Each quarter of probability is darker than the one before: the order shows in a grey print."""
    grey = heat_ramp().astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(grey[::32]) < -5).all()


@given(st.floats(1100, 2700), st.floats(2100, 2800))
def test_what_is_drawn_elsewhere_moves_no_line(x_um: float, y_um: float) -> None:
    """Only the part that was drawn on is laid over the picture: a line is the same whatever part that is."""
    alone, beside = Canvas(_white(), 201, text_px=8), Canvas(_white(), 201, text_px=8)
    for canvas in (alone, beside):
        canvas.ring_around((x_um, y_um), 4, RED)
    beside.outline_ring(np.array([[1000, 2000], [1010, 2000], [1010, 2010]], np.float64), RED, width=1, casing=False)
    beside.outline_ring(np.array([[2990, 2990], [3000, 2990], [3000, 3000]], np.float64), RED, width=1, casing=False)
    column, row = (round((along - first) / alone.um_per_px) for along, first in ((x_um, 1000.0), (y_um, 2000.0)))
    window = slice(max(row - 3, 0), row + 4), slice(max(column - 3, 0), column + 4)
    assert np.array_equal(np.asarray(alone.image())[window], np.asarray(beside.image())[window])
    assert np.asarray(Canvas(_white(), 201, text_px=8).image()).min() == 255


@pytest.mark.parametrize("width", [60, 112, 400])
def test_a_scale_bar_stays_inside_a_narrow_picture(width: int) -> None:
    """Its plate ends before the picture does; where there is room it is as large as its text."""
    canvas = Canvas(_grey(width, 900), 900, text_px=43)
    canvas.scale_bar()
    drawn = (np.asarray(canvas.image()) != 128).any(axis=-1)
    assert drawn.any()
    assert not drawn[:, -1].any()


def _grey(width: int, height: int) -> Picture:
    return replace(_white(width, height), pixels=np.full((height, width, 3), 128, dtype=np.uint8))
