"""Areas of tissue where the network's answers can't be trusted: too pale, too dark, or under translucent ink.

For each cell the shares of stained, dark and other pixels are counted. Squares of cells are then judged as wholes.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.maps import Glass
from nodescan.domain.units import Limits, Spacing, check_limits
from nodescan.imaging.components import window_of
from nodescan.imaging.glass import DENSEST, white_in
from nodescan.imaging.morphology import large
from nodescan.imaging.scan_faults import FaultSettings

STAINED, DARK, LIGHT, LIGHT_RED, LIGHT_BLUE = range(5)
"""The shares of a cell, in this order: pixels that show tissue, that are dense in green, that are light in any channel,
in red, and in blue. Eosin and haematoxylin absorb green most, so some real squares hold nearly no green light."""

SHARES = 5

SMALLEST_SQUARE_MM2 = 0.054
"""A single square of 250 um, whose side is an odd number of cells, is 0.055 to 0.07 mm2: at the spacings that the
released model takes, 15 cells of 15.63 to 16 um or 17 of 14.4 to 15.62."""

_STEP_PX = 2  # every second pixel is counted, where a cell's side is even: nuclei are several wide

_LIGHT_LEVELS, _LEAST_SHARE = (0.6, 0.55), 0.01
"""A pixel is light in red, and in blue, above these shares of the glass. If less than the last share of a square is
light, something covers it. In squares of 250 um of 42 real fields (five centres, two scanner files, 30 tiles) 5 % and
more are light in either; stained 1.5 times as strongly 1.3 %, with folds of three layers 200 um wide 1.4 %. Of 28,681
stained patches of 93 um 27 and 17 hold less than 1 %, most of them a slide's black edge."""

_VEIL_UM, _LEAST_SEEN = 250.0, 0.5
"""Side of the squares in which a veil is searched for, and the least share of a square that must have been seen."""


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


def cell_shares(
    core: NDArray[np.uint8], stride_px: int, *, pale: PaleSettings, faults: FaultSettings, glass: Glass
) -> NDArray[np.float16]:
    """float16 (cells, cells, SHARES) in [0, 1]: how much of each cell is STAINED, DARK, LIGHT, LIGHT_RED, LIGHT_BLUE.

    core : uint8 (side, side, 3) RGB at 0.9 to 1.0 um/px, side a multiple of stride_px.
    """
    step = _STEP_PX if stride_px % _STEP_PX == 0 else 1
    red, green, blue = (np.ascontiguousarray(core[::step, ::step, channel]) for channel in range(3))
    white = [white_in(channel, glass) for channel in range(3)]
    there = (
        green <= white[1] * 10**-pale.stained_density,
        green <= white[1] * 10**-pale.dark_density,
        np.maximum(np.maximum(red, green), blue) > faults.light_level * max(white),
        red > _LIGHT_LEVELS[0] * white[0],
        blue > _LIGHT_LEVELS[1] * white[2],
    )
    return np.stack([_share_of_cells(each, len(core) // stride_px) for each in there], axis=-1)


def pale_cells(
    shares: NDArray[np.float16], seen: NDArray[np.bool_], spacing: Spacing, settings: PaleSettings
) -> NDArray[np.bool_]:
    """bool (H, W): cells of tissue too pale to be judged.

    shares : float16 (H, W, SHARES), as cell_shares, at `spacing`; seen : bool (H, W), cells of tissue that were seen.
    Every square of window_um that holds hardly anything dark is pale as a whole.
    """
    squares = _Squares(seen, spacing, settings.window_um)
    stained, dark = squares.mean(shares[..., STAINED]), squares.mean(shares[..., DARK])
    pale = (stained >= settings.min_stained_share) & (dark < settings.min_dark_share * stained)
    return squares.area(pale, settings.min_area_mm2)


def dark_cells(
    shares: NDArray[np.float16], seen: NDArray[np.bool_], spacing: Spacing, settings: FaultSettings
) -> NDArray[np.bool_]:
    """bool (H, W): cells of tissue too dark to be judged; shares, seen: as pale_cells.

    In all tissue light comes through between nuclei and in vessels, so a square without light is dark as a whole.
    """
    squares = _Squares(seen, spacing, settings.window_um)
    there = squares.mean(1)
    dark = (there >= settings.min_seen_share) & (squares.mean(shares[..., LIGHT]) < settings.min_light_share * there)
    return squares.area(dark, settings.min_area_mm2)


def veiled_cells(shares: NDArray[np.float16], seen: NDArray[np.bool_], spacing: Spacing) -> NDArray[np.bool_]:
    """bool (H, W): cells of tissue under something that absorbs red or blue light; shares, seen: as pale_cells.

    Blue, green and grey inks absorb red light, red and yellow inks blue light.
    """
    squares = _Squares(seen, spacing, _VEIL_UM)
    there, least = squares.mean(1), np.minimum(*(squares.mean(shares[..., light]) for light in (LIGHT_RED, LIGHT_BLUE)))
    return squares.area((there >= _LEAST_SEEN) & (least < _LEAST_SHARE * there), SMALLEST_SQUARE_MM2)


def _share_of_cells(there: NDArray[np.bool_], cells: int) -> NDArray[np.float16]:
    """float16 (cells, cells) in [0, 1]: how much of each cell is `there`, bool (side, side)."""
    side = len(there) // cells
    columns = there.view(np.uint8).reshape(cells, side, cells * side).sum(axis=1, dtype=np.uint16)
    return (columns.reshape(cells, cells, side).sum(axis=2, dtype=np.uint32) / side**2).astype(np.float16)


class _Squares:
    """The squares around all cells that were seen, and between them. seen : bool (H, W) at `spacing`."""

    def __init__(self, seen: NDArray[np.bool_], spacing: Spacing, side_um: float) -> None:
        self._seen, self._spacing = seen, spacing
        self._part = window_of(seen)
        self._side = [2 * round((side_um / side - 1) / 2) + 1 for side in (spacing.y, spacing.x)]

    def mean(self, share: NDArray[np.float16] | int) -> NDArray[np.float32]:
        """float32 (h, w): the mean of a share, (H, W), in every square, 0 where nothing was seen. 1: what was seen."""
        of_seen = np.where(self._seen[self._part], share if isinstance(share, int) else share[self._part], 0)
        return ndimage.uniform_filter(of_seen.astype(np.float32), self._side, mode="constant")

    def area(self, squares: NDArray[np.bool_], min_area_mm2: float) -> NDArray[np.bool_]:
        """bool (H, W): everything seen in these squares, bool (h, w), in parts of min_area_mm2 or more.

        So an area ends where the next one begins, and not half a square before.
        """
        found = np.zeros_like(self._seen)
        if squares.any():
            whole = ndimage.maximum_filter(squares.view(np.uint8), self._side, mode="constant") > 0
            found[self._part] = large(whole & self._seen[self._part], min_area_mm2 * 1e6 / self._spacing.pixel_area_um2)
        return found
