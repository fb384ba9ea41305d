"""Finds translucent ink over tissue by the light that it takes away: through any tissue some of every colour comes."""

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.maps import Glass
from nodescan.domain.units import Spacing
from nodescan.imaging.density import white_in
from nodescan.imaging.squares import SMALLEST_SQUARE_MM2, Squares, share_of_cells, step_px

_RED, _BLUE = 0, 2
"""Channels that tell. Eosin and haematoxylin take up green most: of real squares some hold next to no light of it."""

_LIGHT_LEVELS, _LEAST_SHARE = (0.6, 0.55), 0.01
"""A pixel is light in red, and in blue, above these shares of the glass; where less than the last share of a square is,
something lies over it. In squares of 250 um of 42 real fields (five centres, two scanner files, 30 tiles) 5 % and more
are light in either; stained 1.5 times as strongly 1.3 %, with folds of three layers 200 um wide 1.4 %. Of 28,681
stained patches of 93 um 27 and 17 hold less than 1 %, most of them a slide's black edge."""

_SQUARE_UM, _LEAST_SEEN = 250.0, 0.5
"""Side of the squares, of which this share at least was seen."""


def colour_shares(core: NDArray[np.uint8], stride_px: int, glass: Glass) -> NDArray[np.float16]:
    """float16 (cells, cells, 2) in [0, 1]: of each cell, the share of pixels that are light in red, and in blue.

    core : uint8 (side, side, 3) RGB at 0.9 to 1.0 um/px, side a multiple of stride_px.
    """
    step = step_px(stride_px)
    cells = len(core) // stride_px
    light = [
        share_of_cells(np.ascontiguousarray(core[::step, ::step, channel]) > level * white_in(channel, glass), cells)
        for channel, level in zip((_RED, _BLUE), _LIGHT_LEVELS, strict=True)
    ]
    return np.stack(light, axis=-1)


def veiled_cells(colours: NDArray[np.float16], seen: NDArray[np.bool_], spacing: Spacing) -> NDArray[np.bool_]:
    """bool (H, W): cells of tissue that something covers which takes away red or blue light.

    colours : float16 (H, W, 2), what colour_shares says of the cells, at `spacing`; seen : bool (H, W), cells of tissue
    that were seen. Blue, green and grey inks take red light away, red and yellow ones blue light.
    """
    squares = Squares(seen, spacing, _SQUARE_UM)
    there, red, blue = squares.means(None, colours[..., 0], colours[..., 1])
    veiled = (there >= _LEAST_SEEN) & (np.minimum(red, blue) < _LEAST_SHARE * there)
    return squares.area(veiled, SMALLEST_SQUARE_MM2)
