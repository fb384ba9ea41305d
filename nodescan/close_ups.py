"""Pictures of a slide's largest deposits, or of its likeliest places if it has none, each with its surroundings."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.deposits import Deposit, Detection
from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import Picture
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError
from nodescan.interfaces import Slide
from nodescan.reading_in_parts import read_in_parts
from nodescan.threads import start_each

_CLOSE_UP_PX, _SMALLEST_UM, _READERS = 512, 300.0, 2
"""The longest side of a picture in px, the least length that it shows in um, and how many are read at a time."""

_PART_PX, _HATCH_PX, _STROKE_PX, _HATCHED_GREY = 32, 16, 3, np.uint8(90)
"""Where not all can be read: the smallest part that is tried, the period of the hatching, its stroke and grey."""

MOST_CLOSE_UPS = 30
"""The largest deposits are shown; all stand in the table."""


def begin_close_ups(slide: Slide, deposits: Sequence[Deposit], spacing: Spacing) -> Callable[[], Mapping[int, Picture]]:
    """Reads each of the largest deposits with its surroundings, at the finest magnification that fits the picture.

    spacing: of the analysis, at which parts are read where the whole can't be read; what is lost then is hatched.
    Returns what waits for the pictures, by deposit: they are read while the flags are worked out.
    """
    largest = deposits[:MOST_CLOSE_UPS]
    wait = _begin(slide, spacing, [(_middle(each), max(1.4 * each.diameter_um, _SMALLEST_UM)) for each in largest])
    return lambda: {each.id: picture for each, picture in zip(largest, wait(), strict=True) if picture is not None}


def begin_place_close_ups(
    slide: Slide, places: Sequence[Detection], spacing: Spacing
) -> Callable[[], tuple[Picture | None, ...]]:
    """Reads the surroundings of each place in the same way. Returns what waits for the pictures, in that order."""
    return _begin(slide, spacing, [((place.x_um, place.y_um), _SMALLEST_UM) for place in places])


def _begin(
    slide: Slide, analysed: Spacing, squares: Sequence[tuple[tuple[float, float], float]]
) -> Callable[[], tuple[Picture | None, ...]]:
    """Reads squares, (middle, side) in um; None for one that can't be read: its deposit is in the report anyway."""
    waits = start_each("close-up", lambda square: _around(slide, analysed, *square), squares, threads=_READERS)
    return lambda: tuple(wait() for wait in waits)


def _around(slide: Slide, analysed: Spacing, middle_um: tuple[float, float], side_um: float) -> Picture | None:
    native = slide.info.spacing
    spacing = native.scaled(max(1, int(np.ceil(side_um / (_CLOSE_UP_PX * native.mean)))))
    box = _square(middle_um, side_um, spacing)
    try:
        pixels = slide.read(box, spacing)
    except RegionUnreadableError:
        spacing = max(spacing, analysed, key=lambda one: one.mean)
        box = _square(middle_um, side_um, spacing)
        pixels = _parts(slide, box, spacing)
    return None if pixels is None else Picture(pixels, box.left * spacing.x, box.top * spacing.y, spacing)


def _square(middle_um: tuple[float, float], side_um: float, spacing: Spacing) -> PixelBox:
    width, height = round(side_um / spacing.x), round(side_um / spacing.y)
    x, y = middle_um
    return PixelBox(round(x / spacing.x - width / 2), round(y / spacing.y - height / 2), width, height)


def _parts(slide: Slide, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8] | None:
    """uint8 (H, W, 3) RGB: what of the box can be read, the rest hatched; None where nothing can be read."""
    y, x = np.ogrid[: box.height, : box.width]
    lines = (x + y) % _HATCH_PX < _STROKE_PX
    pixels = np.where(lines[..., None], _HATCHED_GREY, np.uint8(255)).repeat(3, axis=2)
    any_read = False
    for part, seen in read_in_parts(slide, box, spacing, smallest_px=_PART_PX, worth_it=lambda: True):
        if seen is not None:
            pixels[part.within(box)], any_read = seen, True
    return pixels if any_read else None


def _middle(deposit: Deposit) -> tuple[float, float]:
    """The middle of its outline and ends, in um. (A long tail may lie farther from the centre of gravity than half the
    picture.)"""
    rings = [polygon.exterior for polygon in deposit.outline]
    points = np.concatenate([np.asarray(deposit.endpoints_um, dtype=np.float64), *rings])
    x, y = (points.min(axis=0) + points.max(axis=0)) / 2
    return float(x), float(y)
