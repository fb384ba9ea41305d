"""Finds tissue that a file shows at low magnification, but has no pixels of at the analysed one."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from nodescan.domain.maps import Glass, TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.coverage import coverage

_DARKEST_WHITE, _BELOW_GLASS = 235, 12
"""Tissue whose darkest channel at low magnification is below this, or as far below the glass, can't be blank at a finer
magnification."""

_LUMA, _LIGHTEST_LUMA, _LUMA_BELOW_GLASS = (0.299, 0.587, 0.114), 240.0, 4
"""JPEG's brightness, by R, G and B (ITU-R BT.601); that of glass where none is seen; and how far below it, at least,
lies what is dark. JPEG with halved colour spreads the stain of tissue over glass beside it, but not its brightness."""

_LIGHT, _NEAR_GLASS, _BLACK, _COLOURLESS, _FLAT = 240, 4, 10, 3, 2
"""What stands for missing data: all channels at least as light, or nearly as light as glass, or none lighter than
black, or all nearly alike, and none changing by more in a cell. Readers fill with 255, converters with the colour of
glass or black, a decoder that runs out of data with grey, and JPEG may put that off by one or two."""

_BLOCK = np.ones((3, 3), np.bool_)
"""A cell and the cells around it. Fat cells, cracks and small shifts between levels make one or two cells in a row
white. A lost tile makes more white, because it is seldom less than 60 um wide, four cells."""


def dark_pixels(overview: NDArray[np.uint8], glass: Glass) -> NDArray[np.bool_]:
    """bool (H, W): pixels of an overview, uint8 (H, W, 3) RGB, that no other magnification can show as glass."""
    darkest = np.minimum.reduce([overview[..., channel] for channel in range(3)])  # 10 times as fast as along an axis
    dark = darkest < (_DARKEST_WHITE if glass is None else min(_DARKEST_WHITE, min(glass) - _BELOW_GLASS))
    luma = np.asarray(Image.fromarray(overview).convert("L"))
    of_glass = _LIGHTEST_LUMA if glass is None else float(np.dot(_LUMA, glass))
    return dark & (luma < of_glass - _LUMA_BELOW_GLASS)


BLANK, PURE = 1, 2
"""Results of blank_cells: a cell of one colour that may stand for missing data (BLANK), and one of pure white or black
(PURE)."""


def blank_cells(core: NDArray[np.uint8], stride_px: int, glass: Glass) -> NDArray[np.uint8]:
    """uint8 (cells, cells): BLANK or PURE where a cell is of one colour, as light as glass, or grey or black; else 0.

    core : uint8 (side, side, 3), side a multiple of stride_px. Every reader shows a missing tile as white, as the
    formats say. But it may also be glass that a scanner left out.
    """
    corners = core[::stride_px, ::stride_px]
    light = _LIGHT if glass is None else min(_LIGHT, min(glass) - _NEAR_GLASS)
    blank = np.zeros(corners.shape[:2], dtype=np.uint8)
    # Only these cells can be blank: nearly every tile of tissue has some of them, few tiles have many.
    rows, columns = np.nonzero(_of_one_colour(corners, corners, light))
    if not rows.size:
        return blank
    cells = core.reshape(len(corners), stride_px, len(corners), stride_px, 3)[rows, :, columns]
    lightest, darkest = (reduce(reduce(cells, axis=1), axis=1) for reduce in (np.max, np.min))
    found = _of_one_colour(lightest, darkest, light).astype(np.uint8)
    found += (darkest == 255).all(axis=-1) | (lightest == 0).all(axis=-1)
    blank[rows, columns] = found
    return blank


def _of_one_colour(lightest: NDArray[np.uint8], darkest: NDArray[np.uint8], light: float) -> NDArray[np.bool_]:
    """bool (...): where pixels between these, uint8 (..., 3), are alike, and as light as `light`, or grey, or black."""
    top, bottom = _of_channels(np.maximum, lightest), _of_channels(np.minimum, darkest)
    plain = (bottom >= light) | (top <= _BLACK) | (top - bottom <= _COLOURLESS)
    return plain & (_of_channels(np.maximum, lightest - darkest) <= _FLAT)


def _of_channels(choose: np.ufunc, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (...): the largest or the least of the three, by np.maximum or np.minimum; quicker than along an axis."""
    return choose(choose(pixels[..., 0], pixels[..., 1]), pixels[..., 2])


def missing_cells(blank: NDArray[np.uint8], tissue: TissueMask, spacing: Spacing) -> NDArray[np.bool_]:
    """bool (H, W): cells that are blank although the overview shows stained tissue there, so their data are missing.

    blank : uint8 (H, W), what blank_cells says of the cells at `spacing`. Where `dark` isn't known nothing is missing.
    A cell counts if the 3 x 3 cells around it are blank and the overview shows it all dark. Blank cells joined to it
    that are mostly dark count, too: they are the rest of its tile. Where the overview could not be read, only a pure
    colour counts, because flat glass is common. A cell that is mostly dark gap in the overview is missing whatever its
    own pixels show: no tissue is of one grey at low magnification, only a mark with a camera's noise on it may be.
    """
    missing = np.zeros(blank.shape, dtype=np.bool_)
    for there, where in ((blank >= BLANK, tissue.dark), (blank == PURE, tissue.unseen)):
        if where is not None and there.any():
            share = coverage(where & tissue.tissue, tissue.spacing, shape=blank.shape, spacing=spacing)
            sure = ndimage.binary_erosion(there, _BLOCK, border_value=0) & (share == 1)
            missing |= ndimage.binary_propagation(sure, _BLOCK, mask=there & (share > 0.5))
    if tissue.gaps is not None and tissue.dark is not None:
        missing |= coverage(tissue.gaps & tissue.dark, tissue.spacing, shape=blank.shape, spacing=spacing) > 0.5
    return missing
