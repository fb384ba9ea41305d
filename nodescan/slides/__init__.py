"""Slide files: which reader opens one, and what a file tells before it is read."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from nodescan.domain.slide import SlideRef
from nodescan.interfaces import Slide
from nodescan.slides import stored
from nodescan.slides.diagnosis import check_readable, disk_errors, rejection
from nodescan.slides.framed_slide import FramedSlide
from nodescan.slides.readers import READERS, Reader
from nodescan.slides.tile_cache import KEPT_BYTES

_Answer = TypeVar("_Answer")


def open_slide(ref: SlideRef, kept_bytes: int = KEPT_BYTES) -> Slide:
    """An interfaces.OpenSlideFile. Raises NotASlideError without a reader, UnmeasurableError without a spacing, and
    SlideError where the disk fails.

    kept_bytes: of decoded tiles, for boxes beside one another; scattered ones need none.
    """
    with disk_errors(ref.path):
        name, opened = _of_first_reader(ref.path, lambda reader: reader.opens(ref.path, kept_bytes))
        return FramedSlide(ref, opened, reader=name)


def slide_facts(ref: SlideRef) -> stored.SlideFacts:
    """What the file's head tells, also of a slide that can't be measured.

    Raises NotASlideError without a reader, and SlideError where the disk fails.
    """
    with disk_errors(ref.path):
        name, said = _of_first_reader(ref.path, lambda reader: reader.stored(ref.path))
        return stored.slide_facts(said, ref, reader=name)


def _of_first_reader(path: Path, ask: Callable[[Reader], _Answer | None]) -> tuple[str, _Answer]:
    """The first reader that takes the file, by name, and its answer."""
    check_readable(path)
    for reader in READERS:
        answer = ask(reader)
        if answer is not None:
            return reader.name, answer
    raise rejection(path)
