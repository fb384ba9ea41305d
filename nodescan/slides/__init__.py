"""Slide files: which reader opens one, and what a file tells before it is read."""

from nodescan.domain.slide import SlideRef
from nodescan.interfaces import Slide
from nodescan.slides import openslide_reader, stored, tiff_reader
from nodescan.slides.diagnosis import check_readable, disk_errors
from nodescan.slides.openslide_reader import open_with_openslide, stored_slide
from nodescan.slides.tiff_levels import jpeg_levels
from nodescan.slides.tiff_reader import open_tiff
from nodescan.slides.tile_cache import KEPT_BYTES


def open_slide(ref: SlideRef, kept_bytes: int = KEPT_BYTES) -> Slide:
    """An interfaces.OpenSlideFile. Raises NotASlideError without a reader, UnmeasurableError without a spacing, and
    SlideError where the disk fails.

    kept_bytes: of decoded tiles, for boxes beside one another; scattered ones need none.
    """
    with disk_errors(ref.path):
        check_readable(ref.path)
        return open_tiff(ref, kept_bytes) or open_with_openslide(ref, kept_bytes)  # the fast one first


def slide_facts(ref: SlideRef) -> stored.SlideFacts:
    """What the file's head tells, also of a slide that can't be measured.

    Raises NotASlideError without a reader, and SlideError where the disk fails.
    """
    with disk_errors(ref.path):
        check_readable(ref.path)
        found = stored_slide(ref.path)
        reader = openslide_reader if jpeg_levels(ref.path, found) is None else tiff_reader
        return stored.slide_facts(found, ref, reader=reader.READER_NAME)
