"""An open slide: the analysis frame over the levels that a reader fetches, the same for every reader."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import CodedBytes
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import MicronsPerPixel, Spacing
from nodescan.errors import RegionUnreadableError, SlideError
from nodescan.slides.compression import compression_flags
from nodescan.slides.files import fingerprint
from nodescan.slides.frame import Pyramid, read_frame
from nodescan.slides.opened_file import OpenedFile
from nodescan.slides.stored import slide_info


class FramedSlide:
    """An interfaces.Slide, where each method is described. The canvas is the whole of level 0; what a scanner calls
    bounds is only reported."""

    def __init__(self, ref: SlideRef, opened: OpenedFile, *, reader: str) -> None:
        """Raises UnmeasurableError where no spacing can be trusted; what was opened is closed then."""
        stored, levels = opened.stored, opened.levels
        with ExitStack() as unless_opened:
            unless_opened.callback(levels.close)
            chosen = stored.spacing(ref)
            self._pyramid = Pyramid(ref.path.name, chosen.spacing, stored.levels())
            info = slide_info(stored, ref, reader=reader, chosen=chosen)
            strong = compression_flags(opened.coarseness, stored.sizes_px, chosen.spacing)
            self.info = replace(info, warnings=(*info.warnings, *strong))
            unless_opened.pop_all()
        self.ref = ref
        self._levels, self._tables = levels, opened.tables
        self._sizes_px = stored.sizes_px

    def frame_spacing(self, finest_um: float, coarsest_um: float) -> Spacing:
        return self._pyramid.frame_spacing(finest_um, coarsest_um)

    def frame_size(self, spacing: Spacing) -> tuple[int, int]:
        return self._pyramid.frame_size(spacing)

    def same_pixels(self, one: Spacing, other: Spacing) -> bool:
        return self._pyramid.sampling(one).level is self._pyramid.sampling(other).level

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        try:
            return read_frame(self._pyramid, self._fetch, box=box, spacing=spacing)
        except RegionUnreadableError as error:
            raise _unreadable(self.ref.path, error.reason, box=box, spacing=spacing) from error

    def coded_bytes(self) -> CodedBytes | None:
        """The lengths of the finest level's tiles."""
        if self._tables is None:
            return None
        table = self._tables.levels[0]
        x, y = self.info.spacing.x * table.tile_width_px, self.info.spacing.y * table.tile_height_px
        spacing = Spacing(MicronsPerPixel(x), MicronsPerPixel(y))
        return CodedBytes(table.lengths.reshape(-1, table.tiles_across), spacing)

    def fingerprint(self) -> str:
        try:
            return fingerprint(self.ref.path)
        except OSError as error:
            reason = f"its files can't be read any more ({error.strerror})"
            raise SlideError(self.ref.path.name, reason, "check the disk or network drive") from error

    def close(self) -> None:
        """Lets the file go; reading afterwards raises ValueError."""
        self._levels.close()

    def _fetch(self, index: int, box: PixelBox) -> NDArray[np.uint8]:
        """A frame.FetchLevel."""
        inside = box.common(PixelBox(0, 0, *self._sizes_px[index]))
        if inside == box:
            return self._read_level(index, box)
        pixels = np.full((box.height, box.width, 3), 255, dtype=np.uint8)
        if inside.width and inside.height:
            pixels[inside.within(box)] = self._read_level(index, inside)
        return pixels

    def _read_level(self, index: int, box: PixelBox) -> NDArray[np.uint8]:
        if self._tables is not None and self._tables.has_lost(index, box):  # readers would paint it white
            raise RegionUnreadableError(self.ref.path.name, f"a tile of level {index} is missing")
        return self._levels.read_level(index, box)


def _unreadable(path: Path, said: str, *, box: PixelBox, spacing: Spacing) -> RegionUnreadableError:
    place = f"x {box.left * spacing.x:,.0f}, y {box.top * spacing.y:,.0f} um"
    size = f"{box.width * spacing.x:,.0f} x {box.height * spacing.y:,.0f} um"
    return RegionUnreadableError(
        path.name,
        f"the area of {size} at {place} can't be decoded ({said})",
        "copy the file again; if that doesn't help, scan the slide again",
    )
