"""Slides of every format that OpenSlide knows."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import BoundsUm, SlideInfo, SlideRef
from nodescan.domain.units import Micrometers, Spacing
from nodescan.errors import NotASlideError, RegionUnreadableError, UnmeasurableError
from nodescan.slides.diagnosis import without_folders
from nodescan.slides.facts import LevelFacts, SlideFacts
from nodescan.slides.files import fingerprint
from nodescan.slides.frame import Pyramid, place_levels, read_frame
from nodescan.slides.openslide_handles import HandlePool
from nodescan.slides.spacing import ChosenSpacing, choose_spacing, stated_spacing
from nodescan.slides.tiff_extent import missing_bytes

READER_NAME = "openslide"

BLOCK_PX = 128
"""Levels that OpenSlide resamples (at 13 Mpx/s, against 60 of plain copying) are fetched in these blocks, always cut at
the same places, so that overlapping boxes agree; small ones fetch little beyond the box."""

SUBPIXEL_FORMATS = frozenset({"mirax", "trestle", "ventana"})
"""Their camera fields overlap by fractions of a pixel, so OpenSlide resamples even where the downsample is whole."""


def recognises(path: Path) -> bool:
    """Whether OpenSlide takes the file for one of its formats, by its contents."""
    try:
        return openslide.OpenSlide.detect_format(path) is not None
    except openslide.OpenSlideError:
        return False


def open_with_openslide(ref: SlideRef) -> "OpenSlideSlide":
    """Raises NotASlideError where OpenSlide declines the file, UnmeasurableError where no spacing can be trusted."""
    handles = HandlePool(ref.path)
    try:
        return OpenSlideSlide(ref, handles)
    except UnmeasurableError:
        handles.close()
        raise


def facts_from_openslide(ref: SlideRef) -> SlideFacts:
    """What the file tells, also where it can't be measured. Raises NotASlideError where OpenSlide declines it."""
    handles = HandlePool(ref.path)
    handles.close()
    properties, chosen, unmeasurable = handles.properties, None, ""
    try:
        chosen = choose_spacing(stated_spacing(properties), ref)
    except UnmeasurableError as error:
        unmeasurable = f"{error.reason}; {error.remedy}"
    size_px = handles.sizes_px[0]
    return SlideFacts(
        format=_format(properties),
        reader=READER_NAME,
        levels=tuple(
            LevelFacts(width, height, downsample)
            for (width, height), downsample in zip(handles.sizes_px, handles.downsamples, strict=True)
        ),
        objective_power=_objective_power(properties),
        spacing=chosen.spacing if chosen else None,
        spacing_source=chosen.source if chosen else None,
        unmeasurable=unmeasurable,
        bounds_um=bounds_um(properties, size_px, chosen.spacing) if chosen else None,
        warnings=(*(chosen.warnings if chosen else ()), *_cut_off(ref.path)),
    )


class OpenSlideSlide:
    """An open slide, an interfaces.Slide.

    The canvas is the whole of level 0; what a scanner calls bounds is only reported. Where a level's
    downsample is not whole (3.9995), OpenSlide can only be asked for level-0 pixels and shifts the level's
    pixels by the remainder, at most half a level-0 pixel; nothing adds up over the slide, because each block
    is asked for by its own place.
    """

    def __init__(self, ref: SlideRef, handles: HandlePool) -> None:
        properties = handles.properties
        chosen = choose_spacing(stated_spacing(properties), ref)
        self._ref = ref
        self._handles = handles
        self._pyramid = Pyramid(ref.path.name, chosen.spacing, place_levels(handles.sizes_px, handles.downsamples))
        self._resampled = tuple(
            not downsample.is_integer() or _format(properties) in SUBPIXEL_FORMATS for downsample in handles.downsamples
        )
        self._info = _slide_info(handles, chosen, warnings=(*chosen.warnings, *_cut_off(ref.path)))

    @property
    def ref(self) -> SlideRef:
        return self._ref

    @property
    def info(self) -> SlideInfo:
        return self._info

    def frame_spacing(self, finest_um: float, coarsest_um: float) -> Spacing:
        """The spacing of the analysis frame for a model that accepts [finest_um, coarsest_um] um/px."""
        return self._pyramid.frame_spacing(finest_um, coarsest_um)

    def frame_size(self, spacing: Spacing) -> tuple[int, int]:
        """(width, height) in px of the frame at `spacing` that covers the whole canvas."""
        return self._pyramid.frame_size(spacing)

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        """uint8 (box.height, box.width, 3) RGB of the frame at `spacing`; white outside and where nothing was scanned.

        Raises RegionUnreadableError where a part of the box can't be decoded; every other box stays readable.
        """
        try:
            return read_frame(self._pyramid, self._fetch, box=box, spacing=spacing)
        except openslide.OpenSlideError as error:
            raise _unreadable(self._ref.path, error, box=box, spacing=spacing) from error

    def fingerprint(self) -> str:
        """sha256 over size and ends of every file that belongs to the slide."""
        try:
            return fingerprint(self._ref.path)
        except OSError as error:
            reason = f"its files can't be read any more ({error.strerror})"
            raise NotASlideError(self._ref.path.name, reason, "check the disk or network drive") from error

    def close(self) -> None:
        """Lets the file go; reading afterwards raises ValueError."""
        self._handles.close()

    def _fetch(self, index: int, box: PixelBox) -> NDArray[np.uint8]:
        """A frame.FetchLevel."""
        level = self._pyramid.levels[index]
        pixels = np.full((box.height, box.width, 3), 255, dtype=np.uint8)
        left, right = max(box.left, 0), min(box.right, level.width_px)
        top, bottom = max(box.top, 0), min(box.bottom, level.height_px)
        if left >= right or top >= bottom:
            return pixels
        inside = PixelBox(left, top, right - left, bottom - top)
        target = pixels[top - box.top : bottom - box.top, left - box.left : right - box.left]
        if not self._resampled[index]:
            target[:] = self._handles.read_level(index, inside)
            return pixels
        for block in _blocks(inside, level.width_px, level.height_px):
            x0, x1 = max(block.left, left), min(block.right, right)
            y0, y1 = max(block.top, top), min(block.bottom, bottom)
            piece = self._handles.read_level(index, block)
            target[y0 - top : y1 - top, x0 - left : x1 - left] = piece[
                y0 - block.top : y1 - block.top, x0 - block.left : x1 - block.left
            ]
        return pixels


def _blocks(inside: PixelBox, width: int, height: int) -> list[PixelBox]:
    """The blocks of the level's fixed grid that meet the box, cut at the level's end."""
    return [
        PixelBox(left, top, min(BLOCK_PX, width - left), min(BLOCK_PX, height - top))
        for top in range(inside.top - inside.top % BLOCK_PX, inside.bottom, BLOCK_PX)
        for left in range(inside.left - inside.left % BLOCK_PX, inside.right, BLOCK_PX)
    ]


def _slide_info(handles: HandlePool, chosen: ChosenSpacing, *, warnings: tuple[tuple[str, str], ...]) -> SlideInfo:
    width_px, height_px = handles.sizes_px[0]
    return SlideInfo(
        format=_format(handles.properties),
        reader=READER_NAME,
        width_px=width_px,
        height_px=height_px,
        spacing=chosen.spacing,
        spacing_source=chosen.source,
        bounds_um=bounds_um(handles.properties, (width_px, height_px), chosen.spacing),
        warnings=warnings,
    )


def _cut_off(path: Path) -> tuple[tuple[str, str], ...]:
    """A warning where a TIFF opens although its end is missing: levels may be gone, areas will be unreadable."""
    missing = missing_bytes(path)
    if not missing:
        return ()
    return (("file_cut_off", f"The file is cut off (at least {missing:,} bytes are missing); copy it again."),)


def bounds_um(properties: Mapping[str, str], size_px: tuple[int, int], spacing: Spacing) -> BoundsUm:
    """The scanned part, or the whole canvas where the file names none."""
    names = [f"openslide.bounds-{side}" for side in ("x", "y", "width", "height")]
    if all(name in properties for name in names):
        left, top, width, height = (float(properties[name]) for name in names)
    else:
        left, top, (width, height) = 0.0, 0.0, size_px
    return BoundsUm(
        Micrometers(left * spacing.x),
        Micrometers(top * spacing.y),
        Micrometers(width * spacing.x),
        Micrometers(height * spacing.y),
    )


def _format(properties: Mapping[str, str]) -> str:
    return properties.get("openslide.vendor", "unknown")


def _objective_power(properties: Mapping[str, str]) -> float | None:
    try:
        power = float(properties["openslide.objective-power"])
    except (KeyError, ValueError):
        return None
    return power if math.isfinite(power) and power > 0 else None


def _unreadable(
    path: Path, error: openslide.OpenSlideError, *, box: PixelBox, spacing: Spacing
) -> RegionUnreadableError:
    place = f"x {box.left * spacing.x:,.0f}, y {box.top * spacing.y:,.0f} um"
    size = f"{box.width * spacing.x:,.0f} x {box.height * spacing.y:,.0f} um"
    said = without_folders(" ".join(str(error).split()), path)
    return RegionUnreadableError(
        path.name,
        f"the area of {size} at {place} can't be decoded ({said})",
        "copy the file again; if that doesn't help, scan the slide again",
    )
