"""Boxes, grids and the greatest diameter."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nodescan.domain.geometry import PixelBox, TileGeometry, TileGrid, max_feret

coordinates = st.integers(-5_000, 5_000).map(float)
point_sets = st.integers(1, 40).flatmap(lambda count: arrays(np.float64, (count, 2), elements=coordinates))
tiles = st.builds(
    lambda cells, stride, margin: TileGeometry(core_px=cells * stride, margin_px=margin, stride_px=stride),
    st.integers(1, 5),
    st.integers(1, 8),
    st.integers(0, 9),
)


@given(points=point_sets)
@settings(deadline=None)
def test_feret_equals_the_greatest_of_all_pairwise_distances(points):
    """No two points are farther apart than the Feret diameter, and its own ends are that far apart."""
    feret = max_feret(points)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert feret.diameter_um == pytest.approx(apart.max())
    assert math.dist(feret.start_um, feret.end_um) == pytest.approx(feret.diameter_um)
    assert {feret.start_um, feret.end_um} <= {tuple(point) for point in points.tolist()}


@given(points=point_sets, shift=st.tuples(coordinates, coordinates), turns=st.integers(0, 3), factor=st.floats(0.1, 50))
@settings(deadline=None)
def test_feret_is_invariant_under_shift_and_turn_and_scales(points, shift, turns, factor):
    """Moving and turning by quarters keeps the diameter, scaling scales it."""
    turned = points
    for _ in range(turns):
        turned = np.column_stack((-turned[:, 1], turned[:, 0]))
    moved = (turned + np.array(shift)) * factor
    assert max_feret(moved).diameter_um == pytest.approx(max_feret(points).diameter_um * factor)


def test_feret_of_a_large_hull_equals_brute_force():
    """A hull of more corners than one block still gives the greatest of all pairs."""
    angle = np.sort(np.random.default_rng(5).uniform(0, 2 * np.pi, 900))
    points = np.column_stack((1300 * np.cos(angle), 900 * np.sin(angle)))
    brute = max(np.linalg.norm(points - point, axis=1).max() for point in points)
    assert max_feret(points).diameter_um == pytest.approx(brute, rel=1e-12)
    for turn in np.arange(0, np.pi, 0.2):  # whichever block its ends are in
        x, y = points.T
        size = max_feret(np.column_stack((x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn))))
        assert math.dist(size.start_um, size.end_um) == pytest.approx(brute, rel=1e-9)


@pytest.mark.parametrize("turn", np.arange(12) * math.pi / 12)
def test_the_ends_of_a_large_hull_lie_its_diameter_apart(turn):
    """An ellipse of 700 corners, however it is turned: its ends are those of its long axis."""
    angle = np.arange(700) * (2 * math.pi / 700)
    long, short = 1300 * np.cos(angle), 900 * np.sin(angle)
    points = np.column_stack(
        (long * math.cos(turn) - short * math.sin(turn), long * math.sin(turn) + short * math.cos(turn))
    )
    feret = max_feret(points)
    assert feret.diameter_um == pytest.approx(2600, rel=1e-12)
    assert math.dist(feret.start_um, feret.end_um) == pytest.approx(2600, rel=1e-12)
    ends = sorted([feret.start_um, feret.end_um])
    assert np.allclose(ends, sorted(points[[0, 350]].tolist()), rtol=0, atol=1e-9)


def test_feret_of_points_on_a_line_is_the_line():
    """Points without a hull of any area are measured all the same."""
    points = np.column_stack((np.arange(10.0), 2 * np.arange(10.0)))
    assert max_feret(points).diameter_um == pytest.approx(9 * math.sqrt(5))


def test_feret_of_nothing_is_refused():
    """An empty outline has no diameter, so asking for one is an error."""
    with pytest.raises(ValueError, match="no points"):
        max_feret(np.empty((0, 2)))


@given(tile=tiles, width=st.integers(1, 60), height=st.integers(1, 60))
@settings(deadline=None)
def test_cores_partition_the_frame(tile, width, height):
    """Every pixel of the frame lies in exactly one core."""
    grid = TileGrid(width, height, tile)
    times = np.zeros((height, width), dtype=int)
    for row, column in grid:
        core = grid.core(row, column)
        times[core.top : core.bottom, core.left : core.right] += 1
    assert (times == 1).all()


@given(tile=tiles, width=st.integers(1, 60), height=st.integers(1, 60))
@settings(deadline=None)
def test_map_cells_cover_the_frame_and_no_more(tile, width, height):
    """The map's cells reach the frame's far edges, and the last cell of each axis begins inside."""
    rows, columns = TileGrid(width, height, tile).map_shape
    assert (rows - 1) * tile.stride_px < height <= rows * tile.stride_px
    assert (columns - 1) * tile.stride_px < width <= columns * tile.stride_px


@given(tile=tiles, row=st.integers(0, 5), column=st.integers(0, 5))
@settings(deadline=None)
def test_network_sees_the_core_with_the_margin_all_round(tile, row, column):
    """The input box is the core grown by the margin, as large as the network's input."""
    grid = TileGrid(1000, 1000, tile)
    core, seen = grid.core(row, column), grid.input_box(row, column)
    assert (seen.width, seen.height) == (tile.input_px, tile.input_px)
    assert (core.left - seen.left, core.top - seen.top) == (tile.margin_px, tile.margin_px)
    assert (seen.right - core.right, seen.bottom - core.bottom) == (tile.margin_px, tile.margin_px)


def test_box_knows_its_far_edges():
    """Right and bottom are one past the last pixel."""
    box = PixelBox(left=-3, top=5, width=10, height=2)
    assert (box.right, box.bottom) == (7, 7)
    assert box.grown(2) == PixelBox(-5, 3, 14, 6)


boxes = st.builds(PixelBox, st.integers(-40, 40), st.integers(-40, 40), st.integers(1, 40), st.integers(1, 40))


@given(box=boxes, width=st.integers(1, 16), height=st.integers(1, 16))
def test_blocks_lie_on_one_grid_and_partition_the_box(box, width, height):
    """Every pixel of a box lies in one of its blocks, which begin at whole multiples wherever the box does."""
    times = np.zeros((box.height, box.width), dtype=int)
    for block in box.blocks(width, height):
        assert (block.left % width, block.top % height, block.width, block.height) == (0, 0, width, height)
        met = block.common(box)
        assert min(met.width, met.height) > 0
        times[met.within(box)] += 1
    assert (times == 1).all()


@pytest.mark.parametrize(("core", "margin", "stride"), [(10, 0, 3), (0, 0, 1), (8, -1, 4), (8, 0, 0)])
def test_impossible_tiles_are_refused(core, margin, stride):
    """A core that is no multiple of the stride, or a negative margin, would leave pixels unanswered."""
    with pytest.raises(ValueError, match="multiple of the stride"):
        TileGeometry(core, margin, stride)
