"""Area averages against sums by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodescan.slides.resampling import Axis, resample
from tests.slides.made_files import noise


def test_whole_steps_give_the_mean_of_each_block_with_halves_rounded_up():
    """Four pixels of 0, 1, 1, 0 have the mean 0.5 and become 1; of 3, 3, 3, 4 the mean 3.25 and become 3."""
    source = np.repeat(np.array([[[0], [1], [3], [3]], [[1], [0], [3], [4]]], np.uint8), 3, axis=2)
    assert resample(source, Axis(0, 1, 2.0), Axis(0, 2, 2.0))[0, :, 0].tolist() == [1, 3]


@pytest.mark.parametrize(("down", "across"), [(1, 2), (2, 1), (1, 3), (4, 1), (2, 3)])
def test_whole_steps_that_differ_in_x_and_y_average_each_by_its_own(down: int, across: int):
    """A block of one by two pixels, too."""
    source = noise(6 * across, 5 * down)
    result = resample(source, Axis(0, 5, float(down)), Axis(0, 6, float(across)))
    means = source.reshape(5, down, 6, across, 3).mean(axis=(1, 3))
    assert np.array_equal(result, np.floor(means + 0.5).astype(np.uint8))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40))
def test_blocks_of_white_stay_white_whatever_their_size(step: int):
    """Sums never overflow."""
    source = np.full((step, 2 * step, 3), 255, np.uint8)
    assert (resample(source, Axis(0, 1, float(step)), Axis(0, 2, float(step))) == 255).all()


@settings(max_examples=50, deadline=None)
@given(st.floats(0.92, 9.7), st.floats(0.92, 9.7), st.integers(0, 1000))
def test_the_shares_of_every_pixel_add_up_to_one_and_follow_the_grid(step_y: float, step_x: float, start: int):
    """Each output pixel's value is the integral of the source over exactly its own area."""
    rows, columns = Axis(start, 3, step_y), Axis(start + 7, 4, step_x)
    source = noise(columns.source_count, rows.source_count)
    result = resample(source, rows, columns)
    for row in range(rows.count):
        for column in range(columns.count):
            down = _shares(rows, row)
            across = _shares(columns, column)
            truth = np.einsum("y,x,yxc->c", down, across, source.astype(np.float64))
            assert np.abs(result[row, column] - truth).max() <= 0.51


@settings(max_examples=50, deadline=None)
@given(st.floats(0.92, 9.7), st.integers(0, 255))
def test_a_constant_comes_back_unchanged(step: float, value: int):
    """No step brightens or darkens what it averages."""
    axis = Axis(11, 5, step)
    source = np.full((axis.source_count, axis.source_count, 3), value, np.uint8)
    assert (resample(source, axis, axis) == value).all()


@pytest.mark.parametrize(
    ("axis", "first", "count"),
    [
        (Axis(0, 2, 1.5), 0, 3),
        (Axis(1, 1, 1.5), 1, 2),
        (Axis(3, 2, 1.5), 4, 4),
        (Axis(-1, 1, 1.5), -2, 2),
        (Axis(5, 3, 2.0), 10, 6),
    ],
)
def test_an_axis_touches_each_source_pixel_that_it_covers_a_part_of(axis: Axis, first: int, count: int):
    """Pixel 1 at a step of 1.5 covers 1.5 to 3: source pixels 1 and 2."""
    assert (axis.source_start, axis.source_count) == (first, count)


def test_a_step_of_one_and_a_half_splits_the_middle_pixel():
    """Pixels 0, 90, 30 at a step of 1.5 give (0 + 45) / 1.5 = 30 and (45 + 30) / 1.5 = 50."""
    source = np.repeat(np.array([[[0], [90], [30]]], np.uint8), 3, axis=2)
    assert resample(source, Axis(0, 1, 1.0), Axis(0, 2, 1.5))[0, :, 0].tolist() == [30, 50]


def _shares(axis: Axis, index: int) -> np.ndarray:
    begin, end = (axis.start + index) * axis.step, (axis.start + index + 1) * axis.step
    shares = np.zeros(axis.source_count)
    for pixel in range(math.floor(begin), math.ceil(end)):
        shares[pixel - axis.source_start] = max(0.0, min(end, pixel + 1) - max(begin, pixel)) / axis.step
    assert shares.sum() == pytest.approx(1)
    return shares
