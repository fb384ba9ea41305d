"""The slide at low magnification: what it shows, and where its tissue is."""

from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import Picture, TissueMask
from nodescan.domain.slide import BoundsUm, SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import SlideError, TooLargeError, UnmeasurableError
from nodescan.examination.damaged_tiles import read_in_parts
from nodescan.imaging.tissue import find_tissue
from nodescan.imaging.unscanned import beside_tissue
from nodescan.interfaces import OpenSlideFile, Progress, Slide
from nodescan.machine import free_memory_bytes
from nodescan.scan_settings import OverviewSettings, ScanSettings

_BLOCK_PX, _SMALLEST_PX = 1024, 128
"""The view is read in blocks of the first side; one that can't be read is narrowed down to the second: few tiles are
smaller. Glass beside what can't be read must not count as tissue that is unread."""

_MOST_FAILED = 200
"""After so many failed reads blocks aren't narrowed down any more. OpenSlide opens the file anew after each, in 7 ms
where it is a TIFF, and where a whole level is lost each block would take 85 of them."""

_RIM_PX = 3
"""So far from an area that could not be read its white looks like what was never scanned."""

_BYTES_A_PIXEL = 16
"""Of memory that a slide takes for each pixel of its overview, beside what the program has: empty ones of 50 x 50 and
100 x 100 mm, 41 and 165 million pixels, 1.22 and 3.24 GB at their peaks."""

_STAND_IN_UM = 0.5
"""Opens a slide without spacing, for its picture alone: nothing is measured in it and no scale is drawn."""


def overview_and_tissue(
    slide: Slide, settings: ScanSettings, progress: Progress | None = None
) -> tuple[Picture, TissueMask]:
    """The slide at low magnification and its tissue; what could not be read there counts as tissue."""
    overview, unseen = view_whole(slide, settings.overview, progress)
    tissue = _with_cuts(find_tissue(overview.pixels, overview.spacing, settings.tissue), slide.info.bounds_um)
    return overview, _with_unseen(tissue, unseen)


def view_whole(
    slide: Slide, settings: OverviewSettings, progress: Progress | None = None
) -> tuple[Picture, NDArray[np.bool_]]:
    """The slide at low magnification, and bool (H, W): pixels that could not be read (white in the picture).

    progress: gets signs of life, because a slide without a pyramid may take minutes. Raises TooLargeError where a scan
    needs more memory than there is.
    """
    spacing = slide.frame_spacing(settings.finest_um, settings.coarsest_um)
    width, height = slide.frame_size(spacing)
    _check_memory(slide.ref, (width, height), spacing)
    picture = Picture(np.full((height, width, 3), 255, dtype=np.uint8), 0.0, 0.0, spacing)
    view = _View(slide, picture, np.zeros((height, width), dtype=np.bool_), progress)
    for top in range(0, height, _BLOCK_PX):
        if top > 0:
            view.tell()
        for left in range(0, width, _BLOCK_PX):
            view.fill(PixelBox(left, top, min(_BLOCK_PX, width - left), min(_BLOCK_PX, height - top)))
    return picture, view.unseen


def _check_memory(ref: SlideRef, size_px: tuple[int, int], spacing: Spacing) -> None:
    needed, free = size_px[0] * size_px[1] * _BYTES_A_PIXEL, free_memory_bytes()
    if free is not None and needed > free:
        side_mm = (f"{side * um / 1000:.0f}" for side, um in zip(size_px, (spacing.x, spacing.y), strict=True))
        raise TooLargeError(
            ref.path.name,
            f"a slide of {' x '.join(side_mm)} mm takes {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are "
            "free",
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


@dataclass(slots=True)
class _View:
    """A picture that fills, block by block. unseen : bool (H, W), what of it can't be read; failed: reads so far."""

    slide: Slide
    picture: Picture
    unseen: NDArray[np.bool_]
    progress: Progress | None
    failed: int = 0

    def fill(self, box: PixelBox) -> None:
        """Reads a box of the picture, and finds what of it can't be read."""
        parts = read_in_parts(
            self.slide, box, self.picture.spacing, smallest_px=_SMALLEST_PX, worth_it=self._narrows_down
        )
        for part, pixels in parts:
            window = slice(part.top, part.bottom), slice(part.left, part.right)
            if pixels is None:
                self.unseen[window] = True
            else:
                self.picture.pixels[window] = pixels

    def tell(self) -> None:
        """A sign of life."""
        if self.progress is not None:
            self.progress.tiles_done(self.slide.ref.slide_id, 0, 0.0)

    def _narrows_down(self) -> bool:
        self.failed += 1
        self.tell()
        return self.failed <= _MOST_FAILED


def _opened(ref: SlideRef, open_slide: OpenSlideFile) -> Slide:
    try:
        return open_slide(ref)
    except UnmeasurableError:
        return open_slide(replace(ref, mpp_um=_STAND_IN_UM, override_mpp=True))


def _with_cuts(tissue: TissueMask, scanned: BoundsUm) -> TissueMask:
    """Where tissue runs to an edge of what was scanned, as the file tells it: beyond, readers paint white.

    It may be as white as the glass, so that only the file tells where one ends.
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
    """What could not be seen may be tissue, so it is to be examined: at another magnification it may yet be read."""
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
