"""Places in um land on their pixels, and scale bars are round and true."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodescan.domain.maps import Picture
from nodescan.domain.units import Micrometers, MicronsPerPixel, Spacing
from nodescan.reports.drawing import Canvas, round_length_um
from nodescan.reports.palette import Colour, heat_ramp

RED = Colour(255, 0, 0)


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
