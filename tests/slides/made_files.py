"""Small slide files with planted contents."""

import struct
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray


def write_tiff(
    path: Path,
    levels: list[NDArray[np.uint8]],
    *,
    mpp_um: tuple[float, float] | None = (0.25, 0.25),
    compression: str = "deflate",
    tile_px: int = 128,
) -> Path:
    """A tiled pyramid. levels : uint8 (H, W, 3) RGB each, finest first. mpp_um: x and y in the resolution tags."""
    resolution = None if mpp_um is None else (10_000 / mpp_um[0], 10_000 / mpp_um[1])
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
            )
    return path


def noise(width: int, height: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 (height, width, 3): no two neighbours alike, so that a shift by one pixel shows."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def spoil_tile(path: Path, *, level: int, tile: int) -> None:
    """Overwrites the head of one compressed tile, so that no decoder takes it."""
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[level].dataoffsets[tile]
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(bytes(16))


def write_dicom(path: Path, series_uid: str, *, length: int = 0, implicit: bool = False) -> Path:
    """A DICOM header with a sequence that names another series before the file's own, and `length` bytes of padding."""
    syntax = "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1"
    decoy = _element(0x0020, 0x000E, b"UI", b"9.9.9", implicit=implicit)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + decoy + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    sequence_head = (
        struct.pack("<HH", 0x0008, 0x1115) + (b"" if implicit else b"SQ\0\0") + struct.pack("<I", 0xFFFFFFFF)
    )
    content = (
        _element(0x0002, 0x0010, b"UI", syntax.encode(), implicit=False)
        + _element(0x0008, 0x0016, b"UI", b"1.2.840.10008.5.1.4.1.1.77.1.6", implicit=implicit)
        + sequence_head
        + item
        + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        + _element(0x0008, 0x2112, b"OB", b"1234", implicit=implicit)
        + _element(0x0020, 0x000D, b"UI", b"8.8.8", implicit=implicit)
        + _element(0x0020, 0x000E, b"UI", series_uid.encode(), implicit=implicit)
    )
    path.write_bytes(bytes(128) + b"DICM" + content + bytes(length))
    return path


def _element(group: int, number: int, kind: bytes, value: bytes, *, implicit: bool) -> bytes:
    value += b"\0" * (len(value) % 2)
    if implicit:
        head = struct.pack("<HHI", group, number, len(value))
    elif kind == b"OB":
        head = struct.pack("<HH2s2xI", group, number, kind, len(value))
    else:
        head = struct.pack("<HH2sH", group, number, kind, len(value))
    return head + value
