"""A picture that would be learned from as another than it is, is refused by name."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from nodescan.errors import UsageError
from training.patch_pictures import colours_of

PINK = np.full((96, 96, 3), (170, 90, 160), np.uint8)


def as_png(pixels: NDArray[np.uint16]) -> bytes:
    """uint16 (H, W, 3) in a PNG, which Pillow doesn't write in colour."""
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def as_tiff(pixels: NDArray[np.generic], **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb", **options)
    return file.getvalue()


def deep(shift: int) -> NDArray[np.uint16]:
    return PINK.astype(np.uint16) << shift


@pytest.mark.parametrize(
    "content",
    [
        as_png(deep(4)),
        as_png(deep(8)),
        as_tiff(deep(4)),
        as_tiff(deep(4), compression="zlib"),
        as_tiff(np.moveaxis(deep(4), 2, 0), planarconfig="separate"),
    ],
    ids=["PNG of 12 bits", "PNG of 16 bits", "TIFF", "packed TIFF", "planar TIFF"],
)
def test_colours_of_more_than_8_bits_are_refused(content: bytes) -> None:
    """Of 12 bits in 16 the higher 8 are nearly black, whatever the picture was."""
    with pytest.raises(UsageError, match=r"^a\.zip: tumor/b holds colours of more than 8 bits, of .* in RGB of 8 bits"):
        colours_of(io.BytesIO(content), "a.zip: tumor/b")


def test_a_channel_that_nobody_named_is_not_dropped() -> None:
    """It may be a transparency, and what lies under it no picture."""
    four = np.dstack([PINK, PINK[..., :1]])
    with pytest.raises(UsageError, match="holds 4 channels, of which a part would be cut off"):
        colours_of(io.BytesIO(as_tiff(four, extrasamples=["unspecified"])), "b")


def test_colours_of_8_bits_are_read_as_they_are(tmp_path: Path) -> None:
    """From every format and packing, to the value."""
    image = Image.fromarray(PINK)
    for name, options in (("a.png", {}), ("a.bmp", {}), ("a.tif", {}), ("b.tif", {"compression": "tiff_lzw"})):
        image.save(tmp_path / name, **options)
        np.testing.assert_array_equal(colours_of(tmp_path / name, name), PINK)
    planar = as_tiff(np.moveaxis(PINK, 2, 0), planarconfig="separate")
    np.testing.assert_array_equal(colours_of(io.BytesIO(planar), "c"), PINK)
