"""Slides of every format that OpenSlide knows."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.errors import RegionUnreadableError
from nodescan.slides.checked_tiles import CheckedTiles
from nodescan.slides.diagnosis import without_folders
from nodescan.slides.dicom_frames import checked_frames
from nodescan.slides.jpeg_tiles import NO_MEMORY
from nodescan.slides.opened_file import OpenedFile
from nodescan.slides.openslide_handles import HandlePool, on_white
from nodescan.slides.stated_spacing import DICOM
from nodescan.slides.stored import StoredSlide
from nodescan.slides.tiff_levels import checked_levels, tile_tables
from nodescan.slides.transparency import UNNAMED, LostAreas, UnnamedBand

BLOCK_PX = 128
"""Levels that OpenSlide resamples (at 13 Mpx/s, against 60 of plain copying) are fetched in these blocks, always cut at
the same places, so that overlapping boxes agree; small ones fetch little beyond the box."""

SUBPIXEL_FORMATS = frozenset({"mirax", "trestle", "ventana"})
"""Their camera fields overlap by fractions of a pixel, so OpenSlide resamples even where the downsample is whole."""


def openslide_format(path: Path) -> str | None:
    """The format that OpenSlide takes the file for, by its contents."""
    try:
        return openslide.OpenSlide.detect_format(path)
    except openslide.OpenSlideError:
        return None


def open_with_openslide(path: Path, kept_bytes: int) -> OpenedFile:
    """Raises NotASlideError where OpenSlide declines the file, would take a band of it for transparency or one of two
    frames for both, and OSError."""
    handles = HandlePool(path, kept_bytes=kept_bytes)
    with ExitStack() as unless_opened:
        unless_opened.callback(handles.close)
        levels = OpenSlideLevels(path, handles)
        unless_opened.pop_all()
    return OpenedFile(handles.stored, levels, levels.tables)


def stored_slide(path: Path) -> StoredSlide:
    """What OpenSlide reads from the file's head. Raises NotASlideError where it declines the file."""
    handles = HandlePool(path, kept_bytes=0)
    handles.close()
    return handles.stored


class OpenSlideLevels:
    """An opened_file.LevelPixels.

    Where a level's downsample is not whole (3.9995), OpenSlide can only be asked for level-0 pixels and shifts the
    level's pixels by the remainder, at most half a level-0 pixel; nothing adds up over the slide, because each block
    is asked for by its own place.
    """

    def __init__(self, path: Path, handles: HandlePool) -> None:
        self._path = path
        self._handles = handles
        stored = handles.stored
        of_dicom = stored.format == DICOM
        levels = checked_frames(path, stored.sizes_px) if of_dicom else checked_levels(path, stored)
        self.tables = None if of_dicom else tile_tables(levels, stored)
        self._band = UnnamedBand(path, stored, self.tables)
        self._band.check(handles)
        self._lost = LostAreas(handles)
        self._checked = CheckedTiles(levels)
        self._sizes_px = stored.sizes_px
        subpixel = stored.format in SUBPIXEL_FORMATS
        self._resampled = tuple(subpixel or not downsample.is_integer() for downsample in stored.downsamples)

    def read_level(self, index: int, box: PixelBox) -> NDArray[np.uint8]:
        """uint8 (box.height, box.width, 3) RGB of a box in the level. Raises RegionUnreadableError and MemoryError."""
        if damage := self._checked.damage(index, box):
            raise RegionUnreadableError(self._path.name, f"a tile of level {index} is damaged: {damage}")
        try:
            pixels = self._in_blocks(index, box) if self._resampled[index] else self._handles.read_level(index, box)
            lost = self.tables is None and self._lost.has_lost(index, box, pixels[..., 3])
        except openslide.OpenSlideError as error:
            if NO_MEMORY in str(error):
                raise MemoryError from error
            said = without_folders(" ".join(str(error).split()), self._path)
            raise RegionUnreadableError(self._path.name, said) from error
        if lost:
            raise RegionUnreadableError(self._path.name, f"a tile of level {index} is missing")
        if self._band.hides(index, box, pixels[..., 3]):
            raise RegionUnreadableError(self._path.name, UNNAMED)
        return on_white(pixels)

    def close(self) -> None:
        self._handles.close()
        self._checked.close()

    def _in_blocks(self, index: int, box: PixelBox) -> NDArray[np.uint8]:
        """As HandlePool.read_level()."""
        pixels = np.empty((box.height, box.width, 4), dtype=np.uint8)
        level = PixelBox(0, 0, *self._sizes_px[index])
        for whole in box.blocks(BLOCK_PX, BLOCK_PX):
            block, met = whole.common(level), whole.common(box)
            pixels[met.within(box)] = self._handles.read_level(index, block)[met.within(block)]
        return pixels
