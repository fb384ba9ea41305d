"""Slide files: which reader opens one, and what a file tells before it is read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodescan.domain.slide import SlideRef
from nodescan.interfaces import Slide
from nodescan.slides import openslide_reader, stored, tiff_reader
from nodescan.slides.diagnosis import check_readable, disk_errors, rejection
from nodescan.slides.openslide_reader import open_with_openslide, stored_slide
from nodescan.slides.tiff_reader import open_tiff
from nodescan.slides.tile_cache import KEPT_BYTES


@dataclass(frozen=True, slots=True)
class Reader:
    """One way to read slides. recognises looks at the contents, not at the name alone; open as open_slide."""

    name: str
    recognises: Callable[[Path], bool]
    open: Callable[[SlideRef, int], Slide]


READERS: tuple[Reader, ...] = (
    Reader(tiff_reader.READER_NAME, tiff_reader.recognises, open_tiff),
    Reader(openslide_reader.READER_NAME, openslide_reader.recognises, open_with_openslide),
)
"""The first that recognises a file opens it: the fast ones stand first, and decline what they can't read exactly."""


def open_slide(ref: SlideRef, kept_bytes: int = KEPT_BYTES) -> Slide:
    """An interfaces.OpenSlideFile. Raises NotASlideError without a reader, UnmeasurableError without a spacing, and
    SlideError where the disk fails.

    kept_bytes: of decoded tiles, for boxes beside one another; scattered ones need none.
    """
    with disk_errors(ref.path):
        return _reader_for(ref.path).open(ref, kept_bytes)


def slide_facts(ref: SlideRef) -> stored.SlideFacts:
    """What the file's head tells, also of a slide that can't be measured.

    Raises NotASlideError without a reader, and SlideError where the disk fails.
    """
    with disk_errors(ref.path):
        reader = _reader_for(ref.path)
        return stored.slide_facts(stored_slide(ref.path), ref, reader=reader.name)


def _reader_for(path: Path) -> Reader:
    check_readable(path)
    for reader in READERS:
        if reader.recognises(path):
            return reader
    raise rejection(path)
