"""Finds areas of tissue so pale that the network can't be believed on them: next to nothing in them is dark."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.maps import Glass
from nodescan.domain.units import Limits, Spacing, check_limits
from nodescan.imaging.density import DENSEST, white_in
from nodescan.imaging.squares import Squares, share_of_cells, step_px


@dataclass(frozen=True, slots=True)
class PaleSettings:
    """When an area of tissue is too pale. Densities are optical densities of green (log10) over the slide's own glass.

    window_um: side of the squares that are judged, so large that any tissue has some nuclei or dense fibres in each.
    stained_density: from which a pixel shows tissue, not glass or the inside of a fat cell.
    min_stained_share: of a square; with less, as in fat, there is too little to judge.
    dark_density, min_dark_share: of a square's stained pixels at least this share is so dense; less is too pale.
    min_area_mm2: smaller pale areas are let pass.
    """

    window_um: Annotated[float, Limits(50, 1000)]
    stained_density: Annotated[float, Limits(0.005, DENSEST)]
    min_stained_share: Annotated[float, Limits(0.01, 1)]
    dark_density: Annotated[float, Limits(0.005, DENSEST)]
    min_dark_share: Annotated[float, Limits(0, 1)]
    min_area_mm2: Annotated[float, Limits(0, 100)]

    def __post_init__(self) -> None:
        check_limits(self)
        if self.stained_density > self.dark_density:
            raise ValueError("stained_density can't be above dark_density")


def stain_shares(core: NDArray[np.uint8], stride_px: int, settings: PaleSettings, glass: Glass) -> NDArray[np.float16]:
    """float16 (cells, cells, 2) in [0, 1]: of each cell, the share of pixels that are stained, and that are dark.

    core : uint8 (side, side, 3) RGB at 0.9 to 1.0 um/px, side a multiple of stride_px.
    """
    step = step_px(stride_px)
    green = np.ascontiguousarray(core[::step, ::step, 1])
    white = white_in(1, glass)
    cells = len(core) // stride_px
    densities = (settings.stained_density, settings.dark_density)
    return np.stack([share_of_cells(green <= white * 10**-density, cells) for density in densities], axis=-1)


def pale_cells(
    shares: NDArray[np.float16], seen: NDArray[np.bool_], spacing: Spacing, settings: PaleSettings
) -> NDArray[np.bool_]:
    """bool (H, W): cells of tissue too pale to be judged.

    shares : float16 (H, W, 2), what stain_shares says of the cells, at `spacing`; seen : bool (H, W), cells of tissue
    that were seen. Every square of window_um that holds hardly anything dark is pale as a whole.
    """
    squares = Squares(seen, spacing, settings.window_um)
    stained, dark = squares.means(shares[..., 0], shares[..., 1])
    pale = (stained >= settings.min_stained_share) & (dark < settings.min_dark_share * stained)
    return squares.area(pale, settings.min_area_mm2)
