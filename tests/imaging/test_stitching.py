"""Tiles' answers become one map: assignment, never blending."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodescan.domain.geometry import TileGeometry, TileGrid
from nodescan.domain.units import Spacing
from nodescan.errors import ModelError
from nodescan.imaging.stitching import MapBuilder, fitted_tiles, tiles_with

SPACING = Spacing(0.97, 0.98)

grids = st.builds(
    lambda cells, stride, width, height: TileGrid(width, height, TileGeometry(cells * stride, 3, stride)),
    st.integers(1, 4),
    st.integers(1, 6),
    st.integers(1, 50),
    st.integers(1, 50),
)


def builder(grid: TileGrid, wanted=None) -> MapBuilder:
    every = np.ones(grid.map_shape, dtype=bool)
    return MapBuilder(grid, frame_spacing=SPACING, wanted=every if wanted is None else wanted)


@given(grid=grids, constant=st.floats(0, 1, width=32))
@settings(deadline=None)
def test_stitching_a_constant_returns_it(grid, constant):
    """Where every tile answers c, the map is c everywhere, to the last bit."""
    stitched = builder(grid)
    for row, column in grid:
        stitched.place(row, column, np.full((grid.tile.cells,) * 2, constant, dtype=np.float32))
    result = stitched.result()
    assert (result.values == np.float32(constant)).all()
    assert result.examined.all()


@given(grid=grids, seed=st.integers(0, 1000))
@settings(deadline=None)
def test_each_answer_lands_in_its_own_cell(grid, seed):
    """A picture cut into cores and put together again is the same picture, whatever the order of the tiles."""
    rng = np.random.default_rng(seed)
    cells = grid.tile.cells
    picture = rng.random([-(-side // cells) * cells for side in grid.map_shape], dtype=np.float32)
    stitched = builder(grid)
    tiles = list(grid)
    rng.shuffle(tiles)
    for row, column in tiles:
        answers = picture[row : row + cells, column : column + cells]
        stitched.place(row, column, answers)
    height, width = grid.map_shape
    assert np.array_equal(stitched.result().values, picture[:height, :width])


def test_cells_outside_tissue_are_not_examined():
    """A cell that was not wanted keeps value 0 and is not examined, though the network answered it."""
    grid = TileGrid(40, 40, TileGeometry(20, 0, 10))
    wanted = np.zeros((4, 4), dtype=bool)
    wanted[1, 2] = True
    stitched = builder(grid, wanted)
    assert fitted_tiles(grid, wanted) == ((1, 2),)
    stitched.place(1, 2, np.full((2, 2), 0.9, dtype=np.float32))
    result = stitched.result()
    assert np.array_equal(result.examined, wanted)
    assert result.values.sum() == pytest.approx(0.9)


@given(grid=grids, seed=st.integers(0, 1000), share=st.floats(0, 1))
@settings(deadline=None)
def test_fitted_tiles_answer_every_wanted_cell_once(grid, seed, share):
    """They never overlap, none is idle, and there are no more than side by side; tiles_with finds those of a cell."""
    wanted = np.random.default_rng(seed).random(grid.map_shape) < share
    tiles = fitted_tiles(grid, wanted)
    stitched = builder(grid, wanted)
    for row, column in tiles:
        stitched.place(row, column, np.zeros((grid.tile.cells,) * 2, dtype=np.float32))
    assert np.array_equal(stitched.result().examined, wanted)
    assert list(tiles) == sorted(tiles)
    assert tuple(tiles_with(grid, tiles, wanted)) == tiles
    assert len(tiles) <= sum(1 for _ in tiles_with(grid, grid, np.ones(grid.map_shape, bool)))


def test_fitted_tiles_begin_where_tissue_does():
    """Two cells wide, four columns: a grid would cut the tissue in the middle and need four tiles."""
    grid = TileGrid(40, 40, TileGeometry(20, 0, 10))
    wanted = np.zeros((4, 4), dtype=bool)
    wanted[1:3, 1:3] = True
    assert fitted_tiles(grid, wanted) == ((1, 1),)


def test_unread_and_forgotten_tiles_are_not_examined():
    """A tile marked unread and one never answered are both "not examined", never "no tumour"."""
    grid = TileGrid(30, 10, TileGeometry(10, 0, 10))
    stitched = builder(grid)
    stitched.place(0, 0, np.zeros((1, 1), dtype=np.float32))
    stitched.mark_unread(0, 1)
    assert stitched.result().examined.tolist() == [[True, False, False]]


def test_map_carries_the_spacing_of_a_cell():
    """A cell is stride_px wide, so the map's spacing is the frame's times the stride, x and y apart."""
    grid = TileGrid(32, 32, TileGeometry(16, 0, 16))
    assert builder(grid).result().spacing == Spacing(0.97 * 16, 0.98 * 16)


@pytest.mark.parametrize("wrong", [float("nan"), 1.001, -0.001, float("inf")])
def test_an_answer_that_is_no_probability_is_refused(wrong):
    """NaN would read as "below the threshold": the slide must fail instead."""
    grid = TileGrid(10, 10, TileGeometry(10, 0, 5))
    answers = np.zeros((2, 2), dtype=np.float32)
    answers[1, 0] = wrong
    with pytest.raises(ModelError, match=r"tile \(0, 0\) is not a probability"):
        builder(grid).place(0, 0, answers)


def test_a_tile_is_settled_once():
    """A second answer for a tile, or one after it was marked unread, is a mistake, not an update."""
    grid = TileGrid(10, 10, TileGeometry(10, 0, 10))
    stitched = builder(grid)
    stitched.mark_unread(0, 0)
    with pytest.raises(ValueError, match="already"):
        stitched.place(0, 0, np.zeros((1, 1), dtype=np.float32))


def test_tiles_and_answers_of_the_wrong_shape_are_refused():
    """A tile beyond the grid, an answer of another size and a mask of another map are mistakes of the caller."""
    grid = TileGrid(10, 10, TileGeometry(10, 0, 10))
    with pytest.raises(ValueError, match="outside a map"):
        builder(grid).place(1, 0, np.zeros((1, 1), dtype=np.float32))
    with pytest.raises(ValueError, match="shape"):
        builder(grid).place(0, 0, np.zeros((2, 2), dtype=np.float32))
    with pytest.raises(ValueError, match="shape"):
        builder(grid, np.ones((3, 3), dtype=bool))


def test_result_is_a_copy():
    """A map once handed out does not change when more tiles come."""
    grid = TileGrid(20, 10, TileGeometry(10, 0, 10))
    stitched = builder(grid)
    before = stitched.result()
    stitched.place(0, 0, np.ones((1, 1), dtype=np.float32))
    assert not before.examined.any()
