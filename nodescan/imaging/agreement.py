"""Whether two magnifications of one slide show the same: their tissue, and their texture."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.maps import CodedBytes, Picture, TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.components import components
from nodescan.imaging.coverage import coverage
from nodescan.imaging.glass import white_in
from nodescan.imaging.morphology import large
from nodescan.imaging.untrusted_areas import DARK, STAINED, PaleSettings

_STAINED_SHARE, _DARK_SHARE, _GLASS_SHARE = 0.9, 0.05, 0.05
"""Shares of a cell's pixels. A cell is tissue if at least the first share is stained and the second is dark: its mean
is too dark for glass at any lower magnification. It is glass if less than the last share is stained: its mean is too
light to be `solid`."""

_SOLID_TIMES = 2.0
"""Multiple of the density from which a pixel is stained. No mean of glass is so dense, even with 5 % of black in it."""

_AROUND_CELLS = 5
"""The overview must contradict a cell in a whole square of this side around it, because levels are shifted by a pixel
of the overview, half a cell, and reduced levels are sharpened or compressed."""

LEAST_UM2 = 12_000.0
"""Contradictions count in connected areas from here on, 50 cells of 15.5 um, a disc of 0.12 mm. 58 sound files had at
most one cell; levels of another slide, mirrored, shifted by 0.3 mm or more, or without a piece of 0.3 to 3 mm, 66 to
18,763, without one of 0.2 mm 99 and more."""

_AWAY_UM = 64.0
"""A tile at this distance from all that the overview shows holds nothing of it."""

_RARE_SHARE, _BETWEEN, _TIMES = 25, 0.15, 1.5
"""The length in bytes of a glass tile: the _RARE_SHARE percentile of tiles that show nothing. A tile may hold tissue if
it is at least _TIMES as long, and longer by _BETWEEN of the difference between glass and tissue."""

_LEAST_CONTRAST = 4.0
"""Standard deviation of grey levels; glass with a camera's noise has 1, averaged."""


@dataclass(frozen=True, slots=True)
class CoarseView:
    """What the overview shows of the map's cells. bool (H, W) each, of cells with all that lies within two of them.

    bare: all was seen, and nothing is darker than glass. solid: all is stained.
    """

    bare: NDArray[np.bool_]
    solid: NDArray[np.bool_]


def coarse_view(
    overview: Picture, tissue: TissueMask, *, shape: tuple[int, int], cell: Spacing, settings: PaleSettings
) -> CoarseView:
    """shape, cell: of the map and its cells. Where `dark` isn't known no cell is bare."""
    stained = overview.pixels[..., 1] <= white_in(1, tissue.glass) * 10 ** (-_SOLID_TIMES * settings.stained_density)
    solid = coverage(stained, overview.spacing, shape=shape, spacing=cell) == 1
    solid = ndimage.minimum_filter(solid.view(np.uint8), _AROUND_CELLS, mode="nearest") > 0
    if tissue.dark is None:
        return CoarseView(np.zeros(shape, dtype=np.bool_), solid)
    shown = tissue.dark if tissue.unseen is None else tissue.dark | tissue.unseen
    something = coverage(shown, tissue.spacing, shape=shape, spacing=cell) > 0
    return CoarseView(ndimage.maximum_filter(something.view(np.uint8), _AROUND_CELLS, mode="nearest") == 0, solid)


def contradicted_um2(
    view: CoarseView, shares: NDArray[np.float16], examined: NDArray[np.bool_], cell: Spacing
) -> tuple[float, float]:
    """Two areas: tissue where the overview shows glass, and glass where the overview shows tissue.

    shares : float16 (H, W, SHARES), what squares.cell_shares says of the cells, 0 where they weren't read; examined :
    bool (H, W). Single cells and small groups don't count.
    """
    tissue = (shares[..., STAINED] >= _STAINED_SHARE) & (shares[..., DARK] >= _DARK_SHARE) & view.bare
    glass = (shares[..., STAINED] < _GLASS_SHARE) & examined & view.solid
    least = LEAST_UM2 / cell.pixel_area_um2
    unseen, lost = (np.count_nonzero(large(mask, least)) * cell.pixel_area_um2 for mask in (tissue, glass))
    return unseen, lost


def unlike_glass(coded: CodedBytes, tissue: TissueMask, most: int) -> list[tuple[int, int]]:
    """(row, column) of pieces that the overview shows as glass, but that take more bytes in the file than glass does.

    One piece for each connected area, its longest; at most `most` areas, those with the most extra bytes first.
    """
    shown = tissue.wanted if tissue.dark is None else tissue.dark  # glass that tissue encloses is wanted, too
    if tissue.unseen is not None:
        shown = shown | tissue.unseen
    share = coverage(shown, tissue.spacing, shape=coded.values.shape, spacing=coded.spacing)
    reach = [2 * int(np.ceil(_AWAY_UM / side)) + 1 for side in (coded.spacing.y, coded.spacing.x)]
    away = (ndimage.maximum_filter(share, reach, mode="nearest") == 0) & (coded.values > 0)
    if not away.any():
        return []
    glass = float(np.percentile(coded.values[away], _RARE_SHARE))
    full = coded.values[share == 1]
    typical = float(np.median(full)) if full.size else glass
    limit = max(_TIMES * glass, glass + _BETWEEN * (typical - glass))
    labels, count = components(away & (coded.values > limit))
    if not count:
        return []
    names = np.arange(1, count + 1)
    beyond = np.bincount(labels.ravel(), weights=coded.values.ravel() - glass)[1:]
    longest = cast("list[tuple[int, int]]", ndimage.maximum_position(coded.values, labels, names))
    order: list[int] = np.argsort(-beyond)[:most].tolist()
    return [(int(longest[at][0]), int(longest[at][1])) for at in order]


def likeness(one: NDArray[np.float32], other: NDArray[np.float32], reach_px: int) -> float | None:
    """The highest correlation of `one` with the middle of `other`, moved by up to reach_px; None where both are flat.

    one, other : float32 (n, n), grey levels of the same place.
    """
    middle = other[reach_px:-reach_px, reach_px:-reach_px]
    if max(float(one.std()), float(middle.std())) < _LEAST_CONTRAST:
        return None
    moved = sliding_window_view(one, middle.shape).reshape(-1, middle.size)
    moved = moved - moved.mean(axis=1, keepdims=True)
    steady = (middle - middle.mean()).ravel()
    lengths = np.sqrt(np.einsum("ij,ij->i", moved, moved) * (steady @ steady))
    return float(np.max(moved @ steady / np.maximum(lengths, 1e-6)))
