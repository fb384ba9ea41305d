"""Finds where a scanner repeated one line of pixels, with the settings for this and for too little light
(untrusted_areas.py)."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.units import Limits, check_limits

_EVERY_PX = 4  # so many pixels lie between those that are compared: a stuck line is as much alike far off
_BESIDE = np.ones((3, 3), np.bool_)


@dataclass(frozen=True, slots=True)
class FaultSettings:
    """When one line of pixels fills a block, and when an area of tissue is too dark.

    min_line_contrast: standard deviation of green (grey levels) from which a block tells whether its lines are alike.
    min_line_share: of a block's variance at least this share lies along its lines where these are all alike.
    min_line_turns: such a line goes up and down by at least so many times its range; less is an edge or a shade.
    window_um: side of the squares that are judged by their light.
    min_seen_share: of a square; less is too little to judge.
    light_level: a pixel is light where its lightest channel is above this share of the slide's own glass.
    min_light_share: of a square of tissue at least so much is light; less is too dark.
    min_area_mm2: smaller dark areas are let pass.
    """

    min_line_contrast: Annotated[float, Limits(0.1, 255)]
    min_line_share: Annotated[float, Limits(0.5, 1)]
    min_line_turns: Annotated[float, Limits(1, 16)]
    window_um: Annotated[float, Limits(50, 1000)]
    min_seen_share: Annotated[float, Limits(0.01, 1)]
    light_level: Annotated[float, Limits(0.1, 1)]
    min_light_share: Annotated[float, Limits(0, 1)]
    min_area_mm2: Annotated[float, Limits(0, 100)]

    def __post_init__(self) -> None:
        check_limits(self)


def stuck_lines(pixels: NDArray[np.uint8], block_px: int, settings: FaultSettings) -> NDArray[np.bool_]:
    """bool (H / block_px, W / block_px): blocks that one row, or one column, of pixels fills again and again.

    pixels : uint8 (H, W, 3) RGB at 0.9 to 1.0 um/px, H and W multiples of block_px, itself a multiple of 8. No tissue
    is so even in one direction and so uneven in the other. The edge of a slide or of padding may be, but its level
    changes only once, so it counts only beside lines that go up and down more often.
    """
    high, wide = pixels.shape[0] // block_px, pixels.shape[1] // block_px
    line = block_px // _EVERY_PX
    green = pixels[::_EVERY_PX, ::_EVERY_PX, 1].astype(np.float32).reshape(high, line, wide, line)
    all_ = green.var(axis=(1, 3))
    stuck = np.zeros(all_.shape, dtype=np.bool_)
    for along in (green.mean(axis=1), green.mean(axis=3).swapaxes(1, 2)):
        alike = (along.var(axis=2) >= settings.min_line_share * all_) & (all_ >= settings.min_line_contrast**2)
        if alike.any():
            turns = np.abs(np.diff(along, axis=2)).sum(axis=2) >= settings.min_line_turns * np.ptp(along, axis=2)
            stuck |= ndimage.binary_propagation(alike & turns, _BESIDE, mask=alike)
    return stuck
