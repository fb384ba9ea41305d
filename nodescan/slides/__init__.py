"""Slide files: which reader opens a file, and which facts a file gives before pixels are read."""

from pathlib import Path

from nodescan.domain.slide import SlideRef
from nodescan.interfaces import Slide
from nodescan.slides import stored
from nodescan.slides.diagnosis import check_readable, disk_errors, rejection
from nodescan.slides.framed_slide import FramedSlide
from nodescan.slides.opened_file import OpenedFile
from nodescan.slides.readers import READERS
from nodescan.slides.tile_cache import KEPT_BYTES


def open_slide(ref: SlideRef, kept_bytes: int = KEPT_BYTES) -> Slide:
    """An interfaces.OpenSlideFile. Raises NotASlideError without a reader, UnmeasurableError without a spacing, and
    SlideError where the disk fails.

    kept_bytes: of decoded tiles, for boxes beside one another; scattered ones need none.
    """
    with disk_errors(ref.path):
        name, opened = _opened(ref.path, kept_bytes)
        return FramedSlide(ref, opened, reader=name)


def slide_facts(ref: SlideRef, accepted_um: tuple[float, float] | None = None) -> stored.SlideFacts:
    """What the file tells, also of a slide that can't be measured.

    accepted_um: finest and coarsest um/px that a model accepts; without it no slide is too coarse. Raises
    NotASlideError without a reader, and SlideError where the disk fails.
    """
    with disk_errors(ref.path):
        name, opened = _opened(ref.path, kept_bytes=0)
        opened.levels.close()
        return stored.slide_facts(opened.stored, ref, reader=name, accepted_um=accepted_um)


def _opened(path: Path, kept_bytes: int) -> tuple[str, OpenedFile]:
    """By the first reader that takes the file; and its name."""
    check_readable(path)
    for reader in READERS:
        opened = reader.opens(path, kept_bytes)
        if opened is not None:
            return reader.name, opened
    raise rejection(path)
