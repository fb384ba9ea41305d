"""Where tissue is too blurred to be judged, and whether a slide is stained with haematoxylin and eosin."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.maps import Glass, TissueMask
from nodescan.domain.units import Limits, Spacing, check_limits
from nodescan.imaging.components import components
from nodescan.imaging.glass import DENSEST, WHITE_LEVEL, optical_density, white_in
from nodescan.imaging.morphology import large
from nodescan.imaging.scan_faults import FaultSettings
from nodescan.imaging.untrusted_areas import PaleSettings

_FINE_PX = 2  # every second pixel is read: blur worth catching has lost everything finer
_COARSE_STEPS = 4  # the longer distance compared, 8 px: a lymphocyte's nucleus
_WHITE = (WHITE_LEVEL,) * 3

_LEAST_BLUR_MM2 = 0.01
"""Smaller blurred parts, one or two focus blocks, are ignored: hairs, rims of bubbles and edges of coverslips, and 14
of 8,902 blocks of real tissue. No blurred disc of 300 um or more is as small."""

_MOST_SPECKS_SHARE, _MOST_SPECKS_MM2, _CHANCE_SHARE = 0.02, 0.25, 0.005
"""Specks are more than chance above the first share of the tissue, and above 0.25 mm2, as of other areas that don't
count, or, where that is more, three times the share that real tissue has."""

_MOST_JUDGED = 100_000  # pixels of the stain, evenly taken: a share of 1 % is then known to 0.03 %
_NEARLY_ALL = 0.9  # of a piece's stained pixels


class Stain(Enum):
    """What a slide's stain looks like: H&E, or the first thing that is unlike it."""

    HE = auto()
    DARK_GROUND = auto()
    PALE = auto()
    COLOURLESS = auto()
    BROWN = auto()
    NO_EOSIN = auto()
    NO_HAEMATOXYLIN = auto()


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """When a block is out of focus and when a stain is not H&E.

    max_blur_ratio: a block is blurred where the mean squared step over 2 px is below this share of that over 8 px.
    focus_block_px: side of the blocks that focus is judged on: several nuclei in each.
    min_contrast: root mean squared step over 8 px (grey levels) under which no fine step can be compared with it.
    min_stained_contrast: the same, per grey level that a block is darker than glass (of a dark block: per level that
        its density amounts to), that stained tissue in focus has at least; less is blur so heavy that no coarse step is
        left to compare with.
    min_stain_density: mean optical density from which a pixel says something of its stain.
    min_stained_mm2: area of such pixels below which the stain isn't judged.
    min_dark_density, min_dark_share: of the tissue, if it is that large, this share is at least so dense; less is too
        pale for any network.
    brown_blue_per_green: brown takes up at least this much blue per green (H&E: below 0.95).
    max_brown_fraction: of stained pixels; more is an immunostain.
    eosin_red_per_green: eosin takes up at most this much red per green (haematoxylin: about 0.9).
    min_eosin_fraction: of stained pixels; less is a counterstain without eosin.
    haematoxylin_red_per_green: what holds haematoxylin takes up at least this much red per green (eosin: 0.1 to 0.2).
    min_haematoxylin_fraction: of stained pixels; less is eosin, or another red stain, alone.
    min_colour_ratio: difference between two channels' densities per mean density of a coloured pixel.
    min_coloured_fraction: of stained pixels; less is a greyscale scan.
    pale: when an area beside others is too pale.
    faults: when an area was scanned so badly that it can't be judged.
    """

    focus_block_px: int
    max_blur_ratio: Annotated[float, Limits(0.001, 1)]
    min_contrast: Annotated[float, Limits(0, 255)]
    min_stained_contrast: Annotated[float, Limits(0, 1)]
    min_stain_density: Annotated[float, Limits(0.001, DENSEST)]
    min_stained_mm2: Annotated[float, Limits(0, 100)]
    min_dark_density: Annotated[float, Limits(0.001, DENSEST)]
    min_dark_share: Annotated[float, Limits(0, 1)]
    brown_blue_per_green: Annotated[float, Limits(0.01, 100)]
    max_brown_fraction: Annotated[float, Limits(0, 1)]
    eosin_red_per_green: Annotated[float, Limits(0.01, 100)]
    min_eosin_fraction: Annotated[float, Limits(0, 1)]
    haematoxylin_red_per_green: Annotated[float, Limits(0, 1)]
    min_haematoxylin_fraction: Annotated[float, Limits(0, 1)]
    min_colour_ratio: Annotated[float, Limits(0, 3)]
    min_coloured_fraction: Annotated[float, Limits(0, 1)]
    pale: PaleSettings
    faults: FaultSettings

    def __post_init__(self) -> None:
        check_limits(self)


def cuts_into(block_px: int, side_px: int) -> bool:
    """Whether a side can be cut into blocks that focus is judged on: multiples of 8 px, of 32 px at least."""
    return block_px >= 32 and block_px % 8 == 0 and side_px % block_px == 0


def out_of_focus(
    pixels: NDArray[np.uint8], block_px: int, settings: QualitySettings, glass: Glass
) -> NDArray[np.bool_]:
    """bool (H / block_px, W / block_px): blocks so blurred that they can't be examined.

    pixels : uint8 (H, W, 3) RGB at 0.9 to 1.0 um/px, H and W multiples of block_px. block_px : a multiple
    of 8, at least 32; smaller blocks hold too few nuclei for a sure answer, 64 and more are better.
    Blur removes fine steps and leaves coarse ones, so their ratio shows blur whatever the stain's strength. Heavier
    blur removes both, so very even stain is out of focus, too. Unstained blocks without contrast, such as glass or the
    inside of a fat cell, are not: there is nothing in them to judge. Evenness is measured in density, because in dark
    stain the same step of density is fewer grey levels. Raises ValueError for another height, width or block_px.
    """
    height, width = pixels.shape[:2]
    if not (cuts_into(block_px, height) and cuts_into(block_px, width)):
        raise ValueError(
            f"{width} x {height} px can't be cut into blocks of {block_px} px (a multiple of 8, at least 32)"
        )
    rows, columns = height // block_px, width // block_px
    fine, line = block_px // _FINE_PX, block_px // (2 * _FINE_PX)
    # Profiles along x on every fourth row and along y on every fourth column: enough for a mean, and quick.
    along_x = pixels[:: 2 * _FINE_PX, ::_FINE_PX, 1].astype(np.float32).reshape(rows, line, columns, fine)
    along_y = pixels[::_FINE_PX, :: 2 * _FINE_PX, 1].astype(np.float32).reshape(rows, fine, columns, line)
    short = _mean_square(along_x[..., 1:] - along_x[..., :-1]) + _mean_square(along_y[:, 1:] - along_y[:, :-1])
    step = _COARSE_STEPS
    long = _mean_square(along_x[..., step:] - along_x[..., :-step])
    long += _mean_square(along_y[:, step:] - along_y[:, :-step])
    white = white_in(1, glass)
    level = np.clip(along_x.mean(axis=(1, 3)), 1, white)
    darker = white - level
    stained = darker >= white * (1 - 10**-settings.min_stain_density)
    expected = np.minimum(darker, level * np.log(white / level))
    smooth = (short < settings.max_blur_ratio * long) & (long > 2 * settings.min_contrast**2)
    return smooth | (stained & (long < 2 * (settings.min_stained_contrast * expected) ** 2))


def without_specks(blurred: NDArray[np.bool_], wanted: NDArray[np.bool_], spacing: Spacing) -> NDArray[np.bool_]:
    """bool (H, W): the blurred cells, bool (H, W) at `spacing`, that count as not examined.

    wanted : bool (H, W), cells of tissue. Specks count, too, if there are more of them than by chance.
    """
    there = blurred & wanted
    areas = large(there, _LEAST_BLUR_MM2 * 1e6 / spacing.pixel_area_um2)
    specks = np.count_nonzero(there & ~areas)
    tissue = np.count_nonzero(wanted)
    most = min(
        _MOST_SPECKS_SHARE * tissue,
        max(_MOST_SPECKS_MM2 * 1e6 / spacing.pixel_area_um2, _CHANCE_SHARE * tissue),
    )
    return areas if specks <= most else there


def stain_of(overview: NDArray[np.uint8], mask: TissueMask, settings: QualitySettings) -> Stain:
    """What the slide is stained with; H&E also if too little tissue is seen to tell.

    overview : uint8 (H, W, 3) RGB, the pixels `mask` was found on. Densities refer to the slide's own glass: with white
    instead, a warm tint of the glass would look brown. Ink counts only where there is more of it than of tissue, and
    too little tissue to judge: a bluish counterstain without eosin can look like ink. Brown that lies by itself, as
    glue and brown pens do, is left out where there is enough beside it.
    """
    if _dark_ground(overview, mask.unscanned):
        return Stain.DARK_GROUND
    tissue = mask.tissue if mask.unseen is None else mask.tissue & ~mask.unseen  # white, whatever is there
    ink = np.zeros_like(tissue)
    for area in (mask.hidden, *(area for reason, area in mask.excluded if reason == "pen")):
        if area is not None:
            ink |= area
    said = _unlike_he(overview, tissue, mask, settings)
    if said is None and np.count_nonzero(ink) > np.count_nonzero(tissue):
        said = _unlike_he(overview, tissue | ink, mask, settings)
    if said is Stain.BROWN:
        beside = _unlike_he(overview, tissue & ~_brown_alone(overview, mask, settings), mask, settings)
        said = said if beside is None else beside
    return said or Stain.HE


def _unlike_he(
    overview: NDArray[np.uint8], judged: NDArray[np.bool_], mask: TissueMask, settings: QualitySettings
) -> Stain | None:
    """What the pixels judged, bool (H, W), are stained with; None where they are too few to tell."""
    pixels = overview[judged]
    step = -(-len(pixels) // _MOST_JUDGED) or 1
    density = optical_density(pixels[::step].T, mask.glass or _WHITE)
    mean = density.mean(axis=0)
    least_px = settings.min_stained_mm2 * 1e6 / (step * mask.spacing.pixel_area_um2)
    if mean.size and mean.size >= least_px and (mean >= settings.min_dark_density).mean() < settings.min_dark_share:
        return Stain.PALE
    density = density[:, mean >= settings.min_stain_density]
    if density.shape[1] < least_px:
        return None
    return _unlike_both(density, settings)


def _unlike_both(density: NDArray[np.float32], settings: QualitySettings) -> Stain:
    """What stained pixels are stained with. density : float32 (3, n)."""
    red, green, _ = density
    coloured = _is_coloured(density, settings)
    reasons = (
        (coloured.mean() < settings.min_coloured_fraction, Stain.COLOURLESS),
        ((coloured & _is_brown(density, settings)).mean() > settings.max_brown_fraction, Stain.BROWN),
        (
            (red <= settings.eosin_red_per_green * green).mean() < settings.min_eosin_fraction,
            Stain.NO_EOSIN,
        ),
        (
            (red >= settings.haematoxylin_red_per_green * green).mean() < settings.min_haematoxylin_fraction,
            Stain.NO_HAEMATOXYLIN,
        ),
    )
    return next((reason for is_so, reason in reasons if is_so), Stain.HE)


def _brown_alone(overview: NDArray[np.uint8], mask: TissueMask, settings: QualitySettings) -> NDArray[np.bool_]:
    """bool (H, W): pieces of tissue whose stained pixels are nearly all brown."""
    labels, count = components(mask.tissue, corners=False)
    density = optical_density(overview[mask.tissue].T, mask.glass or _WHITE)
    stained = density.mean(axis=0) >= settings.min_stain_density
    brown = stained & _is_coloured(density, settings) & _is_brown(density, settings)
    of_piece = labels[mask.tissue]
    all_, brown_ = (np.bincount(of_piece[pixels], minlength=count + 1) for pixels in (stained, brown))
    return (brown_ > _NEARLY_ALL * np.maximum(all_, 1))[labels] & mask.tissue


def _is_coloured(density: NDArray[np.float32], settings: QualitySettings) -> NDArray[np.bool_]:
    """bool (n,). Slide edges are dark and slightly warm: only what has colour can be brown."""
    return density.max(axis=0) - density.min(axis=0) >= settings.min_colour_ratio * density.mean(axis=0)


def _is_brown(density: NDArray[np.float32], settings: QualitySettings) -> NDArray[np.bool_]:
    return density[2] >= settings.brown_blue_per_green * density[1]


def _dark_ground(overview: NDArray[np.uint8], unscanned: NDArray[np.bool_] | None) -> bool:
    """Whether most of what was scanned is nearly black; pure black is padding, never scanned."""
    brightest = overview[::4, ::4].max(axis=2)
    scanned = brightest > 4
    if unscanned is not None:
        scanned &= ~unscanned[::4, ::4]
    return bool((scanned & (brightest < 60)).sum() > 0.5 * scanned.sum() > 0)


def _mean_square(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (rows, lines, columns, samples) -> (rows, columns)."""
    return np.einsum("abcd,abcd->ac", steps, steps) / np.float32(steps.shape[1] * steps.shape[3])
