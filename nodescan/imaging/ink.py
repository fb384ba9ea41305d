"""Finds pen marks: solid strokes of blue, green, red or black ink on a low-magnification view."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.units import Limits, check_limits
from nodescan.imaging.components import components, picked
from nodescan.imaging.glass import DENSEST
from nodescan.imaging.morphology import closed, dilated, opened

WIDEST_UM = 10_000.0
"""The most that widths of gaps, rims and strokes may be set to: a lymph node is about as wide."""

_DENSE, _DENSE_WIDTH_UM, _DENSE_SHARE = 0.85, 300.0, 0.8
"""Optical density of green that this share of a square so wide has where ink lies over tissue. Tissue adds its own
density to translucent ink, so no ratio tells such ink. A disc fills 78 % of its square: from 0.34 mm on it is told.
Of 35 real regions none is so dense, nor stained 1.3 times as strongly, two at 1.6 times; of a section of 380 mm2
0.09 mm2 at 1.4 times. Of folds of two and three layers of these, 140 and 200 um wide, none, stained 1.3 times as
strongly 3 of 70 (in squares of 80 um 29 % of two layers). Dots of 0.5 mm that let 5 to 20 % of some light through:
210 of 210; at 0.9 red ones over pale tissue are missed."""

_DENSE_GAPS_UM = 80.0
"""Paler spots up to this width belong to such ink: the tissue under it has gaps, vessels and fat cells, of this
width."""


@dataclass(frozen=True, slots=True)
class InkSettings:
    """What tells ink from haematoxylin and eosin, by ratios of optical densities over the glass.

    min_density: mean density of an ink's solid core; paler marks are kept as tissue.
    blue_red_per_green: blue and green inks take up at least this much red per green (haematoxylin: below 1).
    red_blue_per_green, red_max_red_per_green: red and orange inks take up much blue and little red (eosin: little of
        both; red blood cells and dense collagen: more red).
    black_density, black_max_colour_ratio: black inks are dense and colourless.
    stroke_um: a core is solid over at least this width, so that single pixels of tissue are never ink.
    rim_um: paler border of a stroke that is taken with it.
    hiding_um: ink up to this width with tissue on both sides hides tissue. So does all ink that tissue encloses.
    """

    min_density: Annotated[float, Limits(0.01, DENSEST)]
    blue_red_per_green: Annotated[float, Limits(1, 100)]  # below 1, haematoxylin would be ink
    red_blue_per_green: Annotated[float, Limits(0.01, 100)]
    red_max_red_per_green: Annotated[float, Limits(0, 1)]
    black_density: Annotated[float, Limits(0.01, DENSEST)]
    black_max_colour_ratio: Annotated[float, Limits(0, 3)]
    stroke_um: Annotated[float, Limits(1, WIDEST_UM)]
    rim_um: Annotated[float, Limits(0, WIDEST_UM)]
    hiding_um: Annotated[float, Limits(0, WIDEST_UM)]

    def __post_init__(self) -> None:
        check_limits(self)


def find_ink(
    density: NDArray[np.float32], coloured: NDArray[np.bool_], um_per_px: float, settings: InkSettings
) -> NDArray[np.bool_]:
    """bool (H, W): pen marks with their rims.

    density : float32 (3, H, W), optical density of R, G, B over the glass. coloured : bool (H, W), stained pixels, ink
    among them. Black marks that tissue encloses on all sides are kept as tissue, because pigment and folds look like
    that.
    """
    red, green, blue = density
    mean = density.mean(axis=0)
    colour = density.max(axis=0) - density.min(axis=0)
    solid = mean >= settings.min_density
    cool = solid & (red >= settings.blue_red_per_green * green)
    warm = solid & (blue >= settings.red_blue_per_green * green) & (red <= settings.red_max_red_per_green * green)
    black = (mean >= settings.black_density) & (colour <= settings.black_max_colour_ratio * mean)
    size = max(1, round(settings.stroke_um / um_per_px))
    core = opened(cool, size) | opened(warm, size) | _outside_tissue(opened(black, size), coloured & ~black)
    if not core.any():
        return core
    return _with_rim(core, density, um_per_px, settings)


def dense_marks(green: NDArray[np.float32], um_per_px: float) -> NDArray[np.bool_]:
    """bool (H, W): areas that are too dense and too large for tissue: translucent ink over tissue, pigment, wide folds.

    green : float32 (H, W), optical density of green over the glass.
    """
    dense = green >= _DENSE
    side = max(1, round(_DENSE_WIDTH_UM / um_per_px))
    if np.count_nonzero(dense) < _DENSE_SHARE * side**2:  # nearly every slide
        return np.zeros_like(dense)
    share = ndimage.uniform_filter(dense.astype(np.float32), side, mode="constant")
    squares = ndimage.maximum_filter((share >= _DENSE_SHARE).view(np.uint8), side, mode="constant") > 0
    return squares & closed(dense, _DENSE_GAPS_UM, um_per_px)


def _outside_tissue(black: NDArray[np.bool_], coloured: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The black marks that are not enclosed by stained pixels."""
    if not black.any():
        return black
    labels, count = components(black, corners=False)
    ring = ndimage.grey_dilation(labels, size=(5, 5))
    around = (ring > 0) & ~black
    stained = np.bincount(ring[around & coloured], minlength=count + 1)
    length = np.bincount(ring[around], minlength=count + 1)
    return picked(labels, stained < 0.9 * length)


def _with_rim(
    core: NDArray[np.bool_], density: NDArray[np.float32], um_per_px: float, settings: InkSettings
) -> NDArray[np.bool_]:
    """The core and the rest of its stroke within rim_um: pixels in which green isn't the densest channel, as it is in
    H&E."""
    red, green, blue = density
    near = dilated(core, settings.rim_um, um_per_px)
    like_stain = (green > red * 1.05) & (green > blue * 1.3)
    denser = density.max(axis=0) > 0.02
    return core | (near & denser & ~like_stain)
