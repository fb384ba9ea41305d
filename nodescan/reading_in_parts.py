"""Reads an area that can't be read as a whole in parts, and divides damaged parts further."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError
from nodescan.interfaces import Slide


def read_in_parts(
    slide: Slide, box: PixelBox, spacing: Spacing, *, smallest_px: int, worth_it: Callable[[], bool]
) -> Iterator[tuple[PixelBox, NDArray[np.uint8] | None]]:
    """The parts of a box of the frame with their pixels, uint8 (height, width, 3) RGB at `spacing`; None for those of
    smallest_px or less that can't be read.

    worth_it: asked after each read that failed, whether to go on narrowing down what can't be read.
    """
    pixels = None
    with suppress(RegionUnreadableError):
        pixels = slide.read(box, spacing)
    if pixels is not None or not worth_it() or max(box.width, box.height) <= smallest_px:
        yield box, pixels
        return
    for part in _quarters(box, smallest_px):
        yield from read_in_parts(slide, part, spacing, smallest_px=smallest_px, worth_it=worth_it)


def _quarters(box: PixelBox, smallest_px: int) -> Iterator[PixelBox]:
    """The box in parts of half its longer side, rounded up to the smallest part times a power of two."""
    side = smallest_px
    while 2 * side < max(box.width, box.height):
        side *= 2
    for top in range(box.top, box.bottom, side):
        for left in range(box.left, box.right, side):
            yield PixelBox(left, top, min(side, box.right - left), min(side, box.bottom - top))
