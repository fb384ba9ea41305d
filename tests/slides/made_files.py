"""Small slide files with planted contents."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

Fields = dict[int, list[int]]
"""Of a TIFF's directory: whole numbers by tag."""


def write_tiff(
    path: Path,
    levels: list[NDArray[np.uint8]],
    *,
    mpp_um: tuple[float, float] | None = (0.25, 0.25),
    compression: str = "deflate",
    tile_px: int = 128,
    **layout: Any,
) -> Path:
    """A tiled pyramid. levels : uint8 (H, W, 3) RGB each, finest first. mpp_um: x and y in the resolution tags.

    layout: further arguments of tifffile's write, for each level.
    """
    resolution = None if mpp_um is None else tuple(_rational(10_000 / side) for side in mpp_um)
    with tifffile.TiffWriter(path) as tiff:
        for index, pixels in enumerate(levels):
            tiff.write(
                pixels,
                tile=(tile_px, tile_px),
                photometric="rgb",
                compression=compression,
                subfiletype=int(index > 0),
                resolution=resolution,
                resolutionunit="CENTIMETER" if resolution else "NONE",
                metadata=None,
                **layout,
            )
    return path


def _rational(number: float) -> tuple[int, int]:
    """As TIFF keeps it; tifffile before 2026.2.20 has it wrong by 1.3 in a million."""
    return Fraction(number).limit_denominator(1000).as_integer_ratio()


def reduced(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Blocks of factor x factor px as one, averaged and rounded down; what doesn't fill a block is dropped."""
    height, width = (side // factor for side in pixels.shape[:2])
    blocks = pixels[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    sums = blocks.sum(axis=1, dtype=np.uint32).sum(axis=2)  # along one axis after the other: many times as fast
    return (sums // factor**2).astype(np.uint8)


def noise(width: int, height: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 (height, width, 3): no two neighbours alike, so that a shift by one pixel shows."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def spoil_tile(path: Path, *, level: int, tile: int) -> None:
    """Overwrites the head of one compressed tile, so that no decoder takes it."""
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[level].dataoffsets[tile]
    overwrite(path, offset, bytes(16))


def lose_bytes(path: Path, place: tuple[int, int]) -> None:
    """512 bytes of zeros in the middle of what is compressed there, at (offset, length)."""
    overwrite(path, place[0] + place[1] // 2, bytes(512))


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(content)


def times_open(path: Path) -> int:
    """How many of this process' open files are this one."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(link.resolve() == path for link in links)


def write_directories(
    path: Path, *each: Fields, order: str = "<", big: bool = False, size: int = 0, last: int = 0
) -> Path:
    """A TIFF of these directories and nothing else, its numbers as wide as its pointers.

    size: of the file at least, in bytes. last: where the directory behind the last stands, 0 for none.
    """
    pointer, count = ("Q", "Q") if big else ("I", "H")
    width, at = (8, 16) if big else (4, 8)
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(f"{order}HHHQ", 43, 8, 0, at) if big else struct.pack(f"{order}HI", 42, at)
    content = mark + head
    for index, fields in enumerate(each):
        values_at = len(content) + struct.calcsize(f"={count}") + len(fields) * (4 + 2 * width) + width
        entries, values = b"", b""
        for tag, numbers in sorted(fields.items()):
            packed = struct.pack(f"{order}{len(numbers)}{pointer}", *numbers)
            place = packed.ljust(width, b"\0")
            if len(packed) > width:
                place = struct.pack(f"{order}{pointer}", values_at + len(values))
                values += packed
            entries += struct.pack(f"{order}HH{pointer}", tag, 16 if big else 4, len(numbers)) + place
        following = values_at + len(values) if index < len(each) - 1 else last
        content += struct.pack(f"{order}{count}", len(fields)) + entries
        content += struct.pack(f"{order}{pointer}", following) + values
    with path.open("wb") as stream:
        stream.write(content)
        stream.truncate(max(size, len(content)))  # sparse
    return path
