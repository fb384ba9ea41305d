"""Compares a slide's magnifications: nobody would look for, or examine, tissue that only one of them shows."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nodescan.domain.flags import Flag
from nodescan.domain.geometry import PixelBox
from nodescan.domain.lengths import two_digits
from nodescan.domain.maps import Picture, TissueMask
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError
from nodescan.examination import Examination
from nodescan.examination.tile_plan import Survey
from nodescan.imaging.agreement import CoarseView, coarse_view, contradicted_um2, likeness, unlike_glass
from nodescan.imaging.places import dense_places
from nodescan.imaging.quality import QualitySettings
from nodescan.imaging.untrusted_areas import SHARES, cell_shares
from nodescan.interfaces import Slide
from nodescan.threads import start_in_thread

_SAMPLES, _SAMPLE_PX, _REACH = 56, 4, 4
"""Places are compared in squares of so many samples along a side, 0.2 mm. A sample is the mean over _SAMPLE_PX px, and
places may be shifted by _REACH samples."""

_PLACES, _FEWEST = 8, 4
"""Places that are compared, and the fewest that tell anything."""

LEAST_LIKENESS = 0.4
"""Median of the places' correlations. 58 sound files (composites, regions of five centres, two scanners' slides, levels
sharpened, blurred, picked, recompressed at a quality of 15, 1.08 times as light) have 0.96 and more, and 0.76 where
each level is moved by two of its pixels; levels of another slide, mirrored, or shifted by 0.3 mm or more, 0.19 at
most."""

_NO_PICTURE = "No picture is shown, because it may be of the slide's label."

_MOST_PROBES, _MOST_CELLS, _LEAST_CELLS = 24, 32, 16
"""Probes of a slide, and cells along a side of each: 0.25 to 0.5 mm."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """Results that don't need the examination.

    probed : float16 (H, W, SHARES), as Examination.shares, of the places read at full resolution. like: how similar the
    analysed magnification and the full resolution are where both were seen, in [-1, 1].
    """

    view: CoarseView
    probed: NDArray[np.float16]
    like: float | None


def begin_level_check(
    slide: Slide, overview: Picture, survey: Survey, settings: QualitySettings
) -> Callable[[Examination], tuple[Flag, ...]]:
    """Reads some places at full resolution; returns a function that gives the flags once the slide was examined.

    The examined tiles show whether the overview missed tissue in them. Elsewhere, pieces with many bytes in the file
    show where to look.
    """
    wait = start_in_thread("level-check", _looked, slide, overview, survey, settings)
    return lambda examination: _flags(wait(), examination)


def likeness_of_levels(slide: Slide, overview: Picture, tissue: TissueMask, spacing: Spacing) -> float | None:
    """How similar the magnification at `spacing` and the full resolution are, in [-1, 1]: see LEAST_LIKENESS.

    None if there are too few places to tell.
    """
    found = tuple(_likenesses(slide, overview, tissue, spacing))
    return median(found) if len(found) >= _FEWEST else None


def _likenesses(slide: Slide, overview: Picture, tissue: TissueMask, spacing: Spacing) -> Iterator[float]:
    for box in dense_places(overview, tissue, spacing, side_px=_SAMPLES * _SAMPLE_PX, most=_PLACES):
        with suppress(RegionUnreadableError):
            one = _averaged(_fine(slide, box, spacing), _SAMPLES)[..., 1].astype(np.float32)
            other = _averaged(slide.read(box, spacing), _SAMPLES)[..., 1].astype(np.float32)
            if (like := likeness(one, other, _REACH)) is not None:
                yield like


def _looked(slide: Slide, overview: Picture, survey: Survey, settings: QualitySettings) -> _Looked:
    view = coarse_view(overview, survey.tissue, shape=survey.wanted.shape, cell=survey.cell, settings=settings.pale)
    like = likeness_of_levels(slide, overview, survey.tissue, survey.spacing)
    return _Looked(view, _probed(slide, survey, settings), like)


def _probed(slide: Slide, survey: Survey, settings: QualitySettings) -> NDArray[np.float16]:
    """float16 (H, W, SHARES): see _Looked."""
    stride, cell, tissue = survey.grid.tile.stride_px, survey.cell, survey.tissue
    found = np.zeros((*survey.wanted.shape, SHARES), dtype=np.float16)
    coded = slide.coded_bytes()
    if coded is None:
        return found
    for row, column in unlike_glass(coded, tissue, _MOST_PROBES):
        top, high = _cells(row, coded.spacing.y, cell.y)
        left, wide = _cells(column, coded.spacing.x, cell.x)
        side = max(high, wide)
        box = PixelBox(left * stride, top * stride, side * stride, side * stride)
        with suppress(RegionUnreadableError):
            pixels = _averaged(_fine(slide, box, survey.spacing), side * stride)
            window = found[top : top + side, left : left + side]
            shares = cell_shares(pixels, stride, pale=settings.pale, faults=settings.faults, glass=tissue.glass)
            window[...] = shares[: window.shape[0], : window.shape[1]]
    return found


def _fine(slide: Slide, box: PixelBox, own: Spacing) -> NDArray[np.uint8]:
    """uint8 (h, w, 3): a box of the analysed frame, which is at `own`, as the full resolution has it."""
    finest = slide.info.spacing
    left, right = (round(side * own.x / finest.x) for side in (box.left, box.right))
    top, bottom = (round(side * own.y / finest.y) for side in (box.top, box.bottom))
    return slide.read(PixelBox(left, top, right - left, bottom - top), finest)


def _cells(number: int, piece_um: float, cell_um: float) -> tuple[int, int]:
    """The first cell, and how many, that are looked at of a piece, which is the `number`-th along one axis."""
    count = min(_MOST_CELLS, max(_LEAST_CELLS, round(piece_um / cell_um)))
    return max(0, round((number + 0.5) * piece_um / cell_um - count / 2)), count


def _averaged(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """uint8 (side, side, 3): means over areas."""
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BOX))


def _flags(looked: _Looked, examination: Examination) -> tuple[Flag, ...]:
    cell = examination.probability.spacing
    shares = np.maximum(examination.shares, looked.probed)
    unseen, lost = contradicted_um2(looked.view, shares, examination.probability.examined, cell)
    flags: list[Flag] = []
    if unseen or lost:
        area = f"{two_digits((unseen + lost) / 1e6)} mm2"
        text = (
            f"The slide's zoom levels disagree: {area} shows tissue at one level and glass at another. Tissue may have "
            f"been missed. {_NO_PICTURE} Export the slide again from the scanner or the archive, or read it under the "
            "microscope."
        )
        flags.append(Flag("levels_disagree", text))
    if looked.like is not None and looked.like < LEAST_LIKENESS:
        text = (
            "The zoom level that was analysed shows another picture than the full resolution does, so the findings may "
            f"be those of another slide. {_NO_PICTURE} Export the slide again from the scanner or the archive."
        )
        flags.append(Flag("another_picture", text))
    return tuple(flags)
