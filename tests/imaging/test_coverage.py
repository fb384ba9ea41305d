"""A coarse cell is covered by what it touches of a fine mask, whatever the ratio of the two grids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodescan.domain.units import Spacing
from nodescan.imaging.coverage import coverage
from tests.peak_memory import peak_bytes


def test_whole_ratio_gives_block_means() -> None:
    """Cells of 2 x 2 mask pixels hold the mean of their four."""
    mask = np.array([[1, 1, 0, 0], [1, 0, 0, 0]], bool)
    shares = coverage(mask, Spacing.square(8), shape=(1, 2), spacing=Spacing.square(16))
    np.testing.assert_allclose(shares, [[0.75, 0.0]])


@given(st.integers(0, 39), st.integers(0, 29), st.floats(3.0, 40.0))
def test_no_tissue_pixel_falls_between_cells(row: int, column: int, cell_um: float) -> None:
    """Wherever a single pixel of tissue lies, some cell that overlaps it is wanted, and none far from it."""
    mask = np.zeros((40, 30), bool)
    mask[row, column] = True
    fine = Spacing.square(8)
    shape = (int(np.ceil(320 / cell_um)), int(np.ceil(240 / cell_um)))
    wanted = coverage(mask, fine, shape=shape, spacing=Spacing.square(cell_um)) > 0
    assert wanted.any()
    rows, columns = np.nonzero(wanted)
    assert (rows * cell_um < (row + 1) * 8).all()
    assert ((rows + 1) * cell_um > row * 8).all()
    assert (columns * cell_um < (column + 1) * 8).all()
    assert ((columns + 1) * cell_um > column * 8).all()


@given(st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(0, 11), st.integers(0, 11)), st.floats(4.0, 40.0))
def test_a_share_is_that_of_the_pixels_that_a_cell_touches(box: tuple[int, int, int, int], cell_um: float) -> None:
    """Wherever the mask begins and ends, and if it is empty."""
    top, bottom, left, right = box
    mask = np.zeros((11, 11), bool)
    mask[top:bottom, left:right] = np.random.default_rng(0).random((11, 11))[top:bottom, left:right] < 0.5
    shares = coverage(mask, Spacing.square(8), shape=(3, 4), spacing=Spacing.square(cell_um))
    for (row, column), share in np.ndenumerate(shares):
        rows, columns = (
            slice(int(np.floor(n * cell_um / 8 + 1e-6)), int(np.ceil((n + 1) * cell_um / 8 - 1e-6)))
            for n in (row, column)
        )
        touched = mask[rows, columns]
        assert share == np.float32(touched.mean() if touched.size else 0)


@pytest.mark.parametrize(("mask_um", "cell_um"), [((8.0, 8.08), (16.0, 16.16)), ((4.0, 8.0), (16.0, 16.0))])
def test_the_last_pixel_lies_in_the_last_cell_where_x_and_y_differ(
    mask_um: tuple[float, float], cell_um: tuple[float, float]
) -> None:
    """Each axis has its own ratio, at the far end of 20 mm too."""
    fine, coarse, shape = Spacing(*mask_um), Spacing(*cell_um), (1_000, 1_200)
    mask = np.zeros((round(shape[0] * coarse.y / fine.y), round(shape[1] * coarse.x / fine.x)), bool)
    mask[-1, -1] = True
    assert np.argwhere(coverage(mask, fine, shape=shape, spacing=coarse)).tolist() == [[999, 1199]]


def test_on_cells_as_large_as_its_pixels_a_mask_stays_as_it_is() -> None:
    """A cell of one pixel is covered whole or not at all."""
    mask, spacing = np.eye(7, dtype=bool), Spacing.square(8)
    assert np.array_equal(coverage(mask, spacing, shape=(7, 7), spacing=spacing), mask)


def test_cells_beyond_the_mask_are_empty() -> None:
    """A frame that is larger than the mask has no tissue there."""
    shares = coverage(np.ones((2, 2), bool), Spacing.square(8), shape=(3, 3), spacing=Spacing.square(16))
    assert shares[0, 0] == 1
    assert shares[2].max() == 0
    assert shares[:, 2].max() == 0


def test_a_large_glass_slide_is_covered_in_little_memory() -> None:
    """Counts and shares of 4 bytes a cell each: a slide of 100 x 100 mm has 40 million cells."""
    cells = (1500, 1500)
    mask = np.zeros((2 * cells[0], 2 * cells[1]), bool)
    peak = peak_bytes(lambda: coverage(mask, Spacing.square(8), shape=cells, spacing=Spacing.square(16)))
    assert peak < 14 * cells[0] * cells[1]
