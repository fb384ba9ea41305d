"""Finds what was never scanned by its pure colour, and where tissue runs into it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.maps import Glass
from nodescan.imaging.components import components, picked
from nodescan.imaging.morphology import at_border, enclosed, large

_BLACK, _NEAR_BLACK = 4, 15
"""The lightest that padding is: black, with what JPEG makes of it; and where the slide shows light glass, so that it is
no fluorescence scan, the dark grey that some converters fill with, where that is flat and without colour."""

_FLAT, _MOSTLY, _COLOURLESS = 2, 0.8, 3
"""Grey levels within 3 x 3 pixels; the share of an area's pixels that are so flat; grey levels between channels."""

_DARKEST_FILLING, _BELOW_GLASS = 60, 40
"""Grey levels, and levels below the glass, between which an area of one colourless grey is filling: a decoder that runs
out of data goes on in grey, and converters keep that. Ink is darker."""

_WHITEST_GLASS = 248
"""On a slide whose glass is no lighter than this, pure white is no glass: readers show missing data as pure white."""

_NEAR_WHITE, _PURE = 252, 0.25
"""JPEG rings beside edges, so an area as light as this counts if so much of it is 255 in all channels."""

_BRIGHTER, _GRADUAL = 0.5, 0.2
"""Where more than _GRADUAL of the unstained pixels beside pure white are lighter than _BRIGHTER of the way from glass
to white, it is glass or fat that the camera saturates on: the edge of what was filled in is a step."""

_AROUND = 0.5
"""A gap or the end of a scan meets less than this share of the border of stained tissue."""

_LEAST_NEAR = 50
"""The fewest pixels beside pure white that show what its edge looks like."""

_SHORTEST_UM = 100.0
"""Tissue that runs into nothing for less than this may just touch it. The line that is measured goes on for _WIDE
pixels beyond both ends of the tissue, so at 16 um/px tissue counts from 36 um on; along the border of the view it
ends with the tissue."""

_WIDE = 2
"""Pixels within this distance are beside tissue, because JPEG blurs the line between."""

_SQUARE, _WIDE_SQUARE = np.ones((3, 3), np.bool_), np.ones((2 * _WIDE + 1, 2 * _WIDE + 1), np.bool_)


def unscanned(
    lightest: NDArray[np.uint8],
    darkest: NDArray[np.uint8],
    glass: Glass,
    unstained: NDArray[np.bool_],
    *,
    has_colour: bool,
) -> NDArray[np.bool_]:
    """bool (H, W): padding, black at the border of the view or of one grey, and pure white beside tinted glass.

    lightest, darkest : uint8 (H, W), the highest and lowest channel of each pixel. unstained : bool (H, W), pixels that
    may be glass. White says nothing on a slide whose glass is white, and grey says nothing in a scan without colour.
    """
    black = _at_border(lightest <= _BLACK)
    if glass is not None:
        colourless = lightest - darkest <= _COLOURLESS
        black |= _mostly_flat(_at_border(colourless & (lightest <= _NEAR_BLACK)), lightest)
        if has_colour:
            grey = colourless & (darkest >= _DARKEST_FILLING) & (lightest <= min(glass) - _BELOW_GLASS)
            black |= _filled_grey(lightest, grey)
    # One pixel more: the reduced pixels on its rim are part padding, part glass.
    padding = ndimage.binary_dilation(black, _SQUARE) if black.any() else black
    return padding | _filled_white(darkest, glass, unstained)


def gaps_and_cuts(
    nothing: NDArray[np.bool_], stained: NDArray[np.bool_], um_per_px: float, widest_um: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(gaps, cuts), both bool (H, W), parts of what wasn't scanned.

    nothing, stained : bool (H, W), what wasn't scanned, and stained pixels. gaps: up to widest_um wide, with tissue
    running into them from all around or from two sides: there was tissue. cuts: the pixels beside tissue that runs into
    an unscanned area on one side, or to the border of the view: there may be more tissue. (Glass that a scanner leaves
    out is never close to tissue.)
    """
    ends = _long(_border(stained.shape) & stained, um_per_px)
    beside = beside_tissue(nothing, stained, um_per_px)
    if not beside.any():
        return beside, ends
    between = ndimage.binary_opening(enclosed(nothing, beside, widest_um, um_per_px) & ~beside, _SQUARE)
    gaps = between | (beside & ndimage.binary_dilation(between, _WIDE_SQUARE))
    return gaps, (beside & ~gaps) | ends


def beside_tissue(area: NDArray[np.bool_], stained: NDArray[np.bool_], um_per_px: float) -> NDArray[np.bool_]:
    """What of `area` lies beside stained pixels that run into it for long enough to be no chance; all bool (H, W)."""
    if not area.any():
        return area
    return _long(area & ndimage.binary_dilation(stained, _WIDE_SQUARE), um_per_px)


def _long(line: NDArray[np.bool_], um_per_px: float) -> NDArray[np.bool_]:
    """The parts of a line, bool (H, W), that are _SHORTEST_UM long or longer; it is _WIDE pixels wide."""
    return large(line, _SHORTEST_UM * _WIDE / um_per_px)


def _border(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """bool (H, W): the outermost _WIDE pixels of a view."""
    border = np.ones(shape, dtype=np.bool_)
    border[_WIDE:-_WIDE, _WIDE:-_WIDE] = False
    return border


def _surrounds(white: NDArray[np.bool_], stained: NDArray[np.bool_]) -> bool:
    """Whether stained pixels are mostly surrounded by white: then white is this slide's glass, or a masked
    background."""
    rim = ndimage.binary_dilation(stained, _WIDE_SQUARE) & ~stained
    return bool(np.count_nonzero(rim & white) > _AROUND * np.count_nonzero(rim))


def _at_border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of `mask` that reach the border of the view."""
    if not mask.any():
        return mask
    labels, count = components(mask, corners=False)
    touching = np.zeros(count + 1, dtype=np.bool_)
    touching[at_border(labels)] = True
    return picked(labels, touching)


def _mostly_flat(mask: NDArray[np.bool_], level: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The parts of `mask` that are of one grey, but for their rim."""
    if not mask.any():
        return mask
    flat = ndimage.maximum_filter(level, 3) - ndimage.minimum_filter(level, 3) <= _FLAT
    labels, count = components(mask, corners=False)
    share = np.bincount(labels.ravel(), weights=flat.ravel(), minlength=count + 1)
    share /= np.maximum(np.bincount(labels.ravel(), minlength=count + 1), 1)
    return picked(labels, share >= _MOSTLY)


def _filled_grey(level: NDArray[np.uint8], grey: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The parts of `grey` that are of one level throughout, three pixels and more each way: shade and dust aren't."""
    inner = ndimage.binary_erosion(grey, _SQUARE)
    if not inner.any():  # nearly every slide
        return inner
    highest, lowest = ndimage.maximum_filter(level, 3), ndimage.minimum_filter(level, 3)
    inner &= ndimage.binary_erosion(highest - lowest <= _FLAT, _SQUARE)
    labels, count = components(inner, corners=False)
    parts = np.arange(1, count + 1)
    alike = np.zeros(count + 1, dtype=np.bool_)
    alike[1:] = ndimage.maximum(level, labels, parts) - ndimage.minimum(level, labels, parts) <= _FLAT
    return ndimage.binary_dilation(alike[labels], _SQUARE, iterations=2) & grey


def _filled_white(darkest: NDArray[np.uint8], glass: Glass, unstained: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pure white of three pixels and more each way, on a slide whose glass is tinted."""
    nothing = np.zeros(darkest.shape, dtype=np.bool_)
    if glass is None or min(glass) > _WHITEST_GLASS or not (darkest == 255).any():
        return nothing
    labels, count = components(ndimage.binary_opening(darkest >= _NEAR_WHITE, _SQUARE), corners=False)
    pure = np.bincount(labels[darkest == 255], minlength=count + 1)
    enough = (pure >= _PURE * np.maximum(np.bincount(labels.ravel(), minlength=count + 1), 1)) & (pure > 0)
    white = picked(labels, enough)
    if _surrounds(white, ~unstained):
        return nothing
    near = unstained & ndimage.binary_dilation(white, _SQUARE, iterations=3)
    near &= ~ndimage.binary_dilation(white, _SQUARE)
    lighter = darkest[near] > min(glass) + _BRIGHTER * (255 - min(glass))
    return nothing if len(lighter) >= _LEAST_NEAR and lighter.mean() > _GRADUAL else white
