"""A picture that would be learned from as another than it is, or be left out, is refused by name."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from nodescan.errors import UsageError
from tests.made_bmp import bmp_of_5_6_5
from training.patches.labelled import read_patches
from training.patches.pictures import colours_of

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


def test_a_bmp_of_5_and_6_bits_is_refused_for_that() -> None:
    """It was said to hold colours of more than 8 bits."""
    with pytest.raises(UsageError, match=r"^b has colours of 5 and 6 bits, too few for stained tissue; .* 8 bits$"):
        colours_of(io.BytesIO(bmp_of_5_6_5(96)), "b")


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


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_alpha(alpha: int) -> Image.Image:
    """Pink, with one pixel of that opacity."""
    pixels = np.dstack([PINK, np.full((96, 96), 255, np.uint8)])
    pixels[5, 5, 3] = alpha
    return Image.fromarray(pixels)


def with_palette(alpha: int) -> bytes:
    palette = Image.fromarray(PINK).quantize(2)
    return saved(palette, transparency=bytes([alpha, 255]))


@pytest.mark.parametrize(
    "content",
    [
        saved(with_alpha(254)),
        saved(with_alpha(0).convert("LA")),
        saved(with_alpha(0), "TIFF"),
        saved(Image.fromarray(PINK), transparency=tuple(PINK[0, 0].tolist())),
        with_palette(0),
    ],
    ids=["RGBA", "grey", "TIFF", "a PNG's one colour", "palette"],
)
def test_a_picture_that_is_transparent_in_part_is_refused(content: bytes) -> None:
    """Under a clear surround lies what a program left there, mostly black."""
    with pytest.raises(UsageError, match=r"^b is transparent in part, and what lies there would be read as tissue"):
        colours_of(io.BytesIO(content), "b")


@pytest.mark.parametrize("content", [saved(with_alpha(255)), saved(with_alpha(255), "TIFF"), with_palette(255)])
def test_a_picture_that_is_opaque_is_read_whatever_it_might_hold(content: bytes) -> None:
    """A channel of transparency that is full everywhere changes nothing."""
    np.testing.assert_array_equal(colours_of(io.BytesIO(content), "b"), PINK)


def test_a_mask_is_no_patch(tmp_path: Path) -> None:
    """Of black and white alone, or by its name beside a picture: it would be taught as tumour."""
    with pytest.raises(UsageError, match="is of black and white alone, as a mask is; take it out"):
        colours_of(io.BytesIO(saved(Image.new("1", (96, 96), 1))), "b")
    (tmp_path / "tumor").mkdir()
    for name in ("a.png", "a_Mask.png"):
        Image.fromarray(PINK).save(tmp_path / "tumor" / name)
    with pytest.raises(UsageError, match=r"tumor/a_Mask\.png is a mask by its name, and would be taught as a patch"):
        read_patches([tmp_path])


def as_zip(path: Path, names: tuple[str, ...]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, saved(Image.fromarray(PINK)))
    return path


def test_folders_of_a_zip_are_found_by_either_slash(tmp_path: Path) -> None:
    """Programs of Windows write the other one, and such patches were left out; a path may lead upwards."""
    names = ("../normal/a.png", "set\\normal\\b.png", "tumor/c.png", "tumor\\d.png")
    archive = as_zip(tmp_path / "a.zip", names)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("set\\normal\\", b"")
    patches = read_patches([archive])
    assert patches.names == ("../normal/a.png", "set/normal/b.png", "tumor/c.png", "tumor/d.png")
    assert patches.tumour.tolist() == [False, False, True, True]


def test_a_picture_in_no_folder_is_refused(tmp_path: Path) -> None:
    """Beside others, in a zip and in a folder: nobody would miss it. Another file there is passed over."""
    archive = as_zip(tmp_path / "a.zip", ("normal/a.png", "tumor/b.png", "README.txt"))
    assert len(read_patches([archive])) == 2
    archive = as_zip(tmp_path / "b.zip", ("normal/a.png", "tumor/b.png", "c.png"))
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "set")
    for source in (archive, tmp_path / "set"):
        with pytest.raises(UsageError, match=r": c\.png lies in no folder named normal or tumor"):
            read_patches([source])
