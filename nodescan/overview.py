"""The slide at low magnification: what it shows, and where its tissue is."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import Picture, TissueMask
from nodescan.domain.slide import BoundsUm, SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError, SlideError, TooLargeError, UnmeasurableError
from nodescan.imaging.tissue import find_tissue
from nodescan.imaging.unscanned import beside_tissue
from nodescan.interfaces import OpenSlideFile, Progress, Slide
from nodescan.machine import free_memory_bytes
from nodescan.reading_in_parts import read_in_parts
from nodescan.scan_settings import OverviewSettings, ScanSettings

_BLOCK_PX, _SMALLEST_PX = 1024, 128
"""The view is read in blocks with the first side. A block that can't be read is divided down to the second side: few
tiles are smaller. So glass beside an unreadable area doesn't count as unread tissue."""

_MOST_FAILED = 200
"""After so many failed reads blocks aren't divided any more. OpenSlide opens the file again after each, in 7 ms for a
TIFF, and if a whole level is lost, each block would take 85 failed reads."""

_MOST_FINER_PX = 64 * 1024**2
"""The most pixels of finer levels that are read for what the overview's own level lost: 8 seconds, at the 8 Mpx/s
measured on a busy core (JPEG in TIFF, MIRAX). Where the next level is twice as fine they cover 31 x 31 mm."""

_RIM_PX = 3
"""Within this distance of an area that could not be read, the white of that area looks like "never scanned"."""

_BYTES_A_PIXEL = 16
"""Of memory that a slide takes for each pixel of its overview, beside what the program has: empty ones of 50 x 50 and
100 x 100 mm, 41 and 165 million pixels, 1.22 and 3.24 GB at their peaks."""

_ROUNDING = 1e-9
"""8 / 0.1 is 80 to a reader, not to a float."""

_STAND_IN_UM = 0.5
"""Opens a slide without spacing, for its picture alone: nothing is measured in it and no scale is drawn."""


def overview_and_tissue(
    slide: Slide,
    settings: ScanSettings,
    progress: Progress | None = None,
    *,
    analysed_um: tuple[float, float] | None = None,
) -> tuple[Picture, TissueMask]:
    """The slide at low magnification and its tissue; areas that could not be read count as tissue.

    analysed_um: as view_whole()'s.
    """
    overview, unseen = view_whole(slide, settings.overview, progress, analysed_um=analysed_um)
    tissue = _with_cuts(find_tissue(overview.pixels, overview.spacing, settings.tissue), slide.info.bounds_um)
    return overview, _with_unseen(tissue, unseen)


def view_whole(
    slide: Slide,
    settings: OverviewSettings,
    progress: Progress | None = None,
    *,
    analysed_um: tuple[float, float] | None = None,
) -> tuple[Picture, NDArray[np.bool_]]:
    """The slide at low magnification, and bool (H, W): pixels that could not be read (white in the picture).

    What the overview's own level lost is read from finer levels. Pure white or black there may be lost data, too. It is
    accepted only from a level coarser than the analysed one, because level_check compares the two. Otherwise the area
    stays unseen.

    progress: gets signs of life, because a slide without a pyramid may take minutes. analysed_um: finest and coarsest
    um/px that the network accepts; without it no pure white is trusted. Raises TooLargeError where a scan needs more
    memory than there is, and UnmeasurableError where a damaged slide is too coarse for analysed_um.
    """
    spacing = slide.frame_spacing(settings.finest_um, settings.coarsest_um)
    width, height = slide.frame_size(spacing)
    _check_memory(slide, spacing, needed_bytes=overview_bytes(slide, settings))
    picture = Picture(np.full((height, width, 3), 255, dtype=np.uint8), 0.0, 0.0, spacing)
    view = _View(slide, picture, progress, analysed_um)
    for top in range(0, height, _BLOCK_PX):
        if top > 0:
            view.tell()
        for left in range(0, width, _BLOCK_PX):
            view.fill(PixelBox(left, top, min(_BLOCK_PX, width - left), min(_BLOCK_PX, height - top)))
    view.fill_beside_lost()
    return picture, view.unseen


def overview_bytes(slide: Slide, settings: OverviewSettings) -> int:
    """The most memory that the slide takes for its overview and what is computed from it."""
    width, height = slide.frame_size(slide.frame_spacing(settings.finest_um, settings.coarsest_um))
    return width * height * _BYTES_A_PIXEL


def _check_memory(slide: Slide, spacing: Spacing, *, needed_bytes: int) -> None:
    free = free_memory_bytes()
    if free is not None and needed_bytes > free:
        sides = zip(slide.frame_size(spacing), (spacing.x, spacing.y), strict=True)
        side_mm = " x ".join(f"{side * um / 1000:.0f}" for side, um in sides)
        raise TooLargeError(
            slide.ref.path.name,
            f"a slide of {side_mm} mm takes {needed_bytes / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free",
            "use fewer --slots, end other programs, or run it on a machine with more memory",
        )


def picture_of_failed(ref: SlideRef, *, open_slide: OpenSlideFile, settings: OverviewSettings) -> Picture | None:
    """A slide that failed, at low magnification; None where it can't be opened or read at all.

    Made of the slide's own pixels, never of the label or the macro image that a file may hold: they name patients.
    """
    try:
        with closing(_opened(ref, open_slide)) as slide:
            picture, unseen = view_whole(slide, settings)
    except SlideError:
        return None
    return None if unseen.all() else picture


class _View:
    """A picture that is filled block by block. unseen : bool (H, W), pixels that can't be read."""

    def __init__(
        self, slide: Slide, picture: Picture, progress: Progress | None, analysed_um: tuple[float, float] | None
    ) -> None:
        self.slide, self.picture, self.progress = slide, picture, progress
        height, width, _ = picture.pixels.shape
        self.unseen = np.zeros((height, width), dtype=np.bool_)
        self._whole, self._lost = PixelBox(0, 0, width, height), np.zeros_like(self.unseen)  # lost: by its own level
        self._finer = _FinerLevels(slide, picture.spacing, analysed_um, self.tell)
        self._white: list[PixelBox] = []  # parts of damaged blocks that hold pure white or black
        self._failed_reads = 0

    def fill(self, box: PixelBox) -> None:
        """Reads a box of the picture, and marks what can't be read."""
        parts = read_in_parts(
            self.slide, box, self.picture.spacing, smallest_px=_SMALLEST_PX, worth_it=self._narrows_down
        )
        for part, pixels in parts:
            if pixels is None:
                self.unseen[part.window] = self._lost[part.window] = True
                self._fill_finer(part)
                continue
            self.picture.pixels[part.window] = pixels
            if part != box and _is_pure(pixels).any():
                self._white.append(part)

    def fill_beside_lost(self) -> None:
        """Reads white directly beside a lost area at finer levels, too: it may be part of the same lost tile.

        This comes last, because pure white may be glass, which must not use up the pixels that may be read.
        """
        for part in self._white:
            for block in part.blocks(_SMALLEST_PX, _SMALLEST_PX):
                near = block.common(part)
                if self._lost[near.grown(_SMALLEST_PX).common(self._whole).window].any():
                    self._fill_finer(near)

    def tell(self) -> None:
        """A sign of life."""
        if self.progress is not None:
            self.progress.tiles_done(self.slide.ref.slide_id, 0, 0.0)

    def _fill_finer(self, part: PixelBox) -> None:
        """Fills unseen, pure white and pure black pixels of a part from finer levels. Pure white or black that none of
        them can confirm becomes unseen."""
        for block, pixels, trusted in self._finer.read(part):
            shown, unseen = self.picture.pixels[block.window], self.unseen[block.window]
            if pixels is None:
                unseen |= _is_pure(shown)
                continue
            filled = unseen | _is_pure(shown)
            if not trusted:
                filled &= ~_is_pure(pixels)
            shown[filled] = pixels[filled]
            unseen &= ~filled

    def _narrows_down(self) -> bool:
        self._failed_reads += 1
        self.tell()
        return self._failed_reads <= _MOST_FAILED


class _FinerLevels:
    """The levels finer than a picture at `spacing`, read while there is time. tell: gives a sign of life."""

    def __init__(
        self, slide: Slide, spacing: Spacing, analysed_um: tuple[float, float] | None, tell: Callable[[], None]
    ) -> None:
        self._slide, self._spacing, self._analysed_um, self._tell = slide, spacing, analysed_um, tell
        self._left_px = _MOST_FINER_PX

    def read(self, part: PixelBox) -> Iterator[tuple[PixelBox, NDArray[np.uint8] | None, bool]]:
        """Each block of a part of the picture, with its pixels, uint8 (h, w, 3), by the coarsest level that can be read
        there, None where none can; and whether pure white or black is taken for what was scanned."""
        yield from self._read(part, self._times_finer)

    def _read(
        self, part: PixelBox, times_finer: Sequence[int]
    ) -> Iterator[tuple[PixelBox, NDArray[np.uint8] | None, bool]]:
        if not times_finer:
            yield part, None, False
            return
        times, *finer_still = times_finer
        side = max(1, _BLOCK_PX // times)
        trusted = self._is_trusted(times)
        for whole in part.blocks(side, side):
            block = whole.common(part)
            pixels = self._reduced(block, times)
            if pixels is None:
                yield from self._read(block, finer_still)
            else:
                yield block, pixels, trusted

    def _reduced(self, block: PixelBox, times: int) -> NDArray[np.uint8] | None:
        """uint8 (h, w, 3): a block of the picture as means of so many times finer pixels; None where it can't be."""
        self._left_px -= block.width * block.height * times**2
        if self._left_px < 0:
            return None
        self._tell()
        box = PixelBox(block.left * times, block.top * times, block.width * times, block.height * times)
        with suppress(RegionUnreadableError):
            pixels = self._slide.read(box, self._spacing.scaled(1 / times))
            return np.asarray(Image.fromarray(pixels).reduce(times))
        return None

    def _is_trusted(self, times: int) -> bool:
        """Whether the level that serves so many times finer pixels is coarser than the one that is analysed."""
        if self._analysed_um is None:
            return False
        finer, analysed = self._spacing.scaled(1 / times), self._slide.frame_spacing(*self._analysed_um)
        return analysed.mean < finer.mean and not self._slide.same_pixels(finer, analysed)

    @cached_property
    def _times_finer(self) -> tuple[int, ...]:
        """How many times finer than the picture each finer level is, rounded down; the coarsest of them first."""
        slide, spacing, finest = self._slide, self._spacing, self._slide.info.spacing
        most = int(min(spacing.x / finest.x, spacing.y / finest.y) * (1 + _ROUNDING))
        found: list[int] = []
        for times in range(2, most + 1):
            finer = spacing.scaled(1 / times)
            if slide.same_pixels(finer, spacing):
                continue
            if found and slide.same_pixels(finer, spacing.scaled(1 / found[-1])):
                found.pop()
            found.append(times)
        return tuple(found)


def _is_pure(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """bool (h, w): where pixels, uint8 (h, w, 3), are pure white or black, as missing data are read."""
    return (pixels == 255).all(axis=-1) | (pixels == 0).all(axis=-1)


def _opened(ref: SlideRef, open_slide: OpenSlideFile) -> Slide:
    try:
        return open_slide(ref)
    except UnmeasurableError:
        return open_slide(replace(ref, mpp_um=_STAND_IN_UM, override_mpp=True))


def _with_cuts(tissue: TissueMask, scanned: BoundsUm) -> TissueMask:
    """Marks tissue that reaches an edge of the scanned part, as the file states it: readers show white beyond.

    That white may equal the glass, so only the file tells where the scan ends.
    """
    height, width = tissue.tissue.shape
    x, y = (np.arange(width) + 0.5) * tissue.spacing.x, (np.arange(height) + 0.5) * tissue.spacing.y
    rows = (y >= scanned.top) & (y <= scanned.bottom)
    columns = (x >= scanned.left) & (x <= scanned.right)
    inside = rows[:, None] & columns
    if inside.all() or tissue.dark is None:
        return tissue
    line = beside_tissue(~inside, tissue.tissue & tissue.dark & inside, tissue.spacing.mean)
    if not line.any():
        return tissue
    return replace(tissue, cut=line if tissue.cut is None else tissue.cut | line)


def _with_unseen(tissue: TissueMask, unseen: NDArray[np.bool_]) -> TissueMask:
    """Unseen areas may be tissue, so they must be examined: another magnification may be readable."""
    if not unseen.any():
        return tissue
    excluded = tuple((reason, mask & ~unseen) for reason, mask in tissue.excluded)
    hidden = None if tissue.hidden is None else tissue.hidden & ~unseen
    near = ndimage.binary_dilation(unseen, iterations=_RIM_PX)
    unscanned, cut = (_less(gone, near) for gone in (tissue.unscanned, tissue.cut))
    return replace(
        tissue,
        tissue=tissue.tissue | unseen,
        excluded=excluded,
        hidden=hidden,
        unseen=unseen if tissue.unseen is None else tissue.unseen | unseen,
        unread=unseen,
        unscanned=unscanned,
        cut=cut,
    )


def _less(mask: NDArray[np.bool_] | None, away: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The mask but for what is taken away; None where nothing is left."""
    left = None if mask is None else mask & ~away
    return left if left is not None and left.any() else None
