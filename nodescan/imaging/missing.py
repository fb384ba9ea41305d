"""Finds tissue that a file shows at low magnification and has no pixels of at the one that is analysed."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.maps import TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.coverage import coverage

DARKEST_WHITE = 235
"""Tissue whose darkest channel is below this at low magnification can't be pure white at a finer one."""

_BLOCK = np.ones((3, 3), np.bool_)
"""Cells. Fat cells, cracks and slight shifts between levels whiten one or two in a row, a lost tile more: it is seldom
under 60 um wide, four cells."""


def dark_pixels(overview: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """bool (H, W): pixels of an overview, uint8 (H, W, 3) RGB, that no other magnification can show white."""
    return overview.min(axis=2) < DARKEST_WHITE


def white_cells(core: NDArray[np.uint8], stride_px: int) -> NDArray[np.bool_]:
    """bool (cells, cells): cells that are exactly 255 throughout.

    core : uint8 (side, side, 3), side a multiple of stride_px. A file that lacks a tile is read as white by every
    reader, as the format has it: it may as well be glass that a scanner left out.
    """
    corners = (core[::stride_px, ::stride_px] == 255).all(axis=2)
    if not corners.any():  # nearly every tile of tissue
        return corners
    cells = core.shape[0] // stride_px
    return (core.reshape(cells, stride_px, cells, stride_px, 3) == 255).all(axis=(1, 3, 4))


def missing_cells(white: NDArray[np.bool_], tissue: TissueMask, spacing: Spacing) -> NDArray[np.bool_]:
    """bool (H, W): cells that are white although the overview shows stained tissue there, so their data are missing.

    white : bool (H, W), cells at `spacing` that are white throughout. Where `dark` isn't known nothing is missing. A
    cell counts if the 3 x 3 cells around it are white and all that the overview shows in it is dark, and so do the
    white cells joined to it that are dark for the most part: its tile's others.
    """
    if tissue.dark is None or not white.any():
        return np.zeros_like(white)
    dark = coverage(tissue.dark & tissue.tissue, tissue.spacing, shape=white.shape, spacing=spacing)
    sure = ndimage.binary_erosion(white, _BLOCK, border_value=0) & (dark == 1)
    return ndimage.binary_propagation(sure, _BLOCK, mask=white & (dark > 0.5))
