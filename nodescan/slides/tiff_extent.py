"""How far a TIFF's own directory says the file must reach, to tell a cut-off file from one that no reader knows."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from nodescan.slides.tiff_directories import CutOffTiffError, Directory, directories, layout_of

_DATA = ((273, 279), (324, 325))
"""Tags of offsets and byte counts, of strips and of tiles (TIFF 6.0, sections 8 and 15)."""

_TILE_WIDTH, _TILE_HEIGHT = 322, 323

LARGEST_TILE_PX = 2**28
"""A tile of 1 GB of pixels; OpenSlide ends the whole program where it can't get the memory that a tile claims."""

_LARGEST = np.uint64(2**62)
"""No file is longer; two of them still add up in 64 bits."""


def is_tiff(path: Path) -> bool:
    """Whether the file begins as a TIFF or BigTIFF does. Raises OSError where it can't be read."""
    with path.open("rb") as stream:
        return layout_of(stream.read(4)) is not None


def missing_bytes(path: Path) -> int:
    """How many bytes the directories point to beyond the end of the file, 0 where none; at least, for a directory
    that is missing itself may point further. Raises OSError.
    """
    size = path.stat().st_size
    furthest = 0
    with path.open("rb") as stream:
        layout = layout_of(stream.read(4))
        if layout is None:
            return 0
        try:
            for directory in directories(stream, layout):
                furthest = max(furthest, _data_end(stream, directory))
        except CutOffTiffError as error:
            furthest = max(furthest, error.at)
    return max(0, furthest - size)


def absurd_tile(path: Path) -> str:
    """What a directory claims of its tiles that can't be true, "" where nothing. Raises OSError."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        layout = layout_of(stream.read(4))
        if layout is None:
            return ""
        try:
            for directory in directories(stream, layout):
                if not directory.entries.keys() >= {_TILE_WIDTH, _TILE_HEIGHT, *_DATA[1]}:
                    continue
                across, down = (directory.number(stream, tag, 0) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
                longest = int(directory.numbers(stream, _DATA[1][1]).max(initial=0))
                if across * down > LARGEST_TILE_PX:
                    return f"tiles of {across:,} x {down:,} px"
                if longest > max(size, LARGEST_TILE_PX):
                    return f"a tile of {longest:,} bytes in a file of {size:,}"
        except CutOffTiffError:  # said by missing_bytes
            pass
    return ""


def _data_end(stream: BinaryIO, directory: Directory) -> int:
    """End of the directory's last strip or tile."""
    furthest = 0
    for offsets, lengths in ((directory.numbers(stream, tag) for tag in tags) for tags in _DATA):
        count = min(len(offsets), len(lengths))
        if count:
            ends = np.minimum(offsets[:count], _LARGEST) + np.minimum(lengths[:count], _LARGEST)
            furthest = max(furthest, int(ends.max()))
    return furthest
