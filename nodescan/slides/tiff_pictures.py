"""The pictures of a TIFF as its own directories tell of them, also those that OpenSlide and converters pass over."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nodescan.slides.tiff_directories import CutOffTiffError, Directory, Tag, directories_of

_REDUCED, _MASK = 1, 4
"""Bits of NewSubfileType (TIFF 6.0, section 8)."""


@dataclass(frozen=True, slots=True)
class TiffPicture:
    """One directory. page: its number, from 0 on; size_px: width and height; samples: a pixel; mask: whether it tells
    which pixels of another are to be shown; description: b"" of all but the first."""

    page: int
    size_px: tuple[int, int]
    samples: int
    tiled: bool
    reduced: bool
    mask: bool
    description: bytes

    @property
    def is_level(self) -> bool:
        """Whether OpenSlide takes it for a level, if the file is a generic TIFF to it."""
        return self.tiled and (self.page == 0 or self.reduced)


def pictures(path: Path) -> tuple[TiffPicture, ...]:
    """In the file's order; none of what is no TIFF, or ends before its directories. Raises OSError."""
    try:
        return tuple(_picture(stream, page, each) for page, (stream, each) in enumerate(directories_of(path)))
    except CutOffTiffError:
        return ()


def is_reduced(stream: BinaryIO, directory: Directory) -> bool:
    """Whether it says that it is another picture, with fewer pixels. Raises CutOffTiffError."""
    return bool(directory.number(stream, Tag.SUBFILE_TYPE, 0) & _REDUCED)


def _picture(stream: BinaryIO, page: int, directory: Directory) -> TiffPicture:
    return TiffPicture(
        page,
        (directory.number(stream, Tag.WIDTH, 0), directory.number(stream, Tag.HEIGHT, 0)),
        samples=directory.number(stream, Tag.SAMPLES, 1),
        tiled=Tag.TILE_WIDTH in directory.entries,
        reduced=is_reduced(stream, directory),
        mask=bool(directory.number(stream, Tag.SUBFILE_TYPE, 0) & _MASK),
        description=b"" if page else _description(stream, directory),
    )


def _description(stream: BinaryIO, directory: Directory) -> bytes:
    try:
        return directory.raw(stream, Tag.DESCRIPTION).rstrip(b"\0")
    except CutOffTiffError:  # it lies beyond the file's end, which says nothing of the pictures
        return b""
