"""Checks of a TIFF by its directories before it is opened: how long the file must be, whether its tiles and
descriptions are safe for a reader, and which scanner wrote it."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nodescan.slides.tiff_directories import CutOffTiffError, Directory, Tag, directories_of

_DATA = ((Tag.STRIP_OFFSETS, Tag.STRIP_LENGTHS), (Tag.TILE_OFFSETS, Tag.TILE_LENGTHS))

_SCANNERS = {b"<scn": "Leica", b"<iScan": "Ventana"}
"""How the XML begins that scanners describe their images with."""

LARGEST_TILE_PX = 2**28
"""A tile of 1 GB of pixels; OpenSlide ends the whole program where it can't get the memory that a tile claims."""

MOST_DESCRIBED_BYTES = 2**24
"""Of all image descriptions of a file together. Those of scanners have 0.1 to 2 kB; OME-XML of 1,600 pictures has 3 MB,
and OME's own pages name 5 MB where they speak of much (ome/bioformats #926, ome/omero-documentation #1459). 16 MB made
to harm take up to 11 s and 0.6 GB to open; OpenSlide would read longer ones again and again."""

_LARGEST = np.uint64(2**62)
"""No file is longer; two of them still add up in 64 bits."""


def missing_bytes(path: Path) -> int:
    """How many bytes the directories point to beyond the end of the file, 0 where none; at least, for a directory
    that is missing itself may point further. Raises OSError.
    """
    size = path.stat().st_size
    furthest = 0
    try:
        for stream, directory in directories_of(path):
            furthest = max(furthest, _data_end(stream, directory))
    except CutOffTiffError as error:
        furthest = max(furthest, error.at)
    return max(0, furthest - size)


def missing_words(missing: int) -> str:
    """In words, that so many bytes or more are missing: "the file's last 1,795 kB or more are missing"."""
    size = f"{missing // 1000:,} kB" if missing >= 10_000 else f"{missing:,} bytes"
    return f"the file's last {size} or more are missing"


@dataclass(frozen=True, slots=True)
class TiffFault:
    """Why no reader should be given the file. damaged: what it says of itself can't be true."""

    reason: str
    damaged: bool


def tiff_fault(path: Path) -> TiffFault | None:
    """What is wrong with the tiles or descriptions of a TIFF, None where nothing is. Raises OSError."""
    size = path.stat().st_size
    described = 0
    with suppress(CutOffTiffError):  # said by missing_bytes
        for stream, directory in directories_of(path):
            text = directory.entries.get(Tag.DESCRIPTION)
            described += text.length if text else 0
            if described > MOST_DESCRIBED_BYTES:
                reason = f"its image descriptions are absurdly long (more than {MOST_DESCRIBED_BYTES:,} bytes)"
                return TiffFault(reason, damaged=True)
            if (fault := _fault_of_tiles(stream, directory, size)) is not None:
                return fault
    return None


def _fault_of_tiles(stream: BinaryIO, directory: Directory, size: int) -> TiffFault | None:
    """What is wrong with the tiles of one directory. size: of the file, in bytes."""
    if not directory.entries.keys() >= {Tag.TILE_WIDTH, Tag.TILE_HEIGHT, Tag.TILE_OFFSETS, Tag.TILE_LENGTHS}:
        return None
    across, down = (directory.number(stream, tag, 0) for tag in (Tag.TILE_WIDTH, Tag.TILE_HEIGHT))
    longest = int(directory.numbers(stream, Tag.TILE_LENGTHS).max(initial=0))
    turned = directory.number(stream, Tag.ORIENTATION, 1)
    if across * down > LARGEST_TILE_PX:
        return TiffFault(f"damaged: its directory tells of tiles of {across:,} x {down:,} px", damaged=True)
    if longest > max(size, LARGEST_TILE_PX):
        reason = f"damaged: its directory tells of a tile of {longest:,} bytes in a file of {size:,}"
        return TiffFault(reason, damaged=True)
    if turned > 1:  # libtiff would turn each tile by itself
        return TiffFault(f"stored turned or mirrored (TIFF orientation {turned})", damaged=False)
    return None


def scanner_of(path: Path) -> str | None:
    """Whose scanner wrote the TIFF, if it is one whose images only its own XML tells apart. Raises OSError."""
    with suppress(CutOffTiffError):  # said by missing_bytes
        for stream, directory in directories_of(path):
            said = b"".join(directory.raw(stream, tag) for tag in (Tag.DESCRIPTION, Tag.XMP))
            for mark, name in _SCANNERS.items():
                if mark in said:
                    return name
    return None


def _data_end(stream: BinaryIO, directory: Directory) -> int:
    """End of the directory's last strip or tile."""
    furthest = 0
    for offsets, lengths in ((directory.numbers(stream, tag) for tag in tags) for tags in _DATA):
        count = min(len(offsets), len(lengths))
        if count:
            ends = np.minimum(offsets[:count], _LARGEST) + np.minimum(lengths[:count], _LARGEST)
            furthest = max(furthest, int(ends.max()))
    return furthest
