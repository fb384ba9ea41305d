"""Opens picture files so that damage is an error: for much damage Pillow silently gives wrong pixels."""

import logging
import os
import struct
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from nodescan.deflate import ends_with_its_sum
from nodescan.errors import OutputError, first_line
from nodescan.given_files import check_is_file

DAMAGED_IMAGE = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    TypeError,
    ValueError,
    SyntaxError,
    EOFError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RuntimeError,
    struct.error,
)
"""What Pillow raises over damaged or crafted files, beside OSError."""

_DEFLATE = (8, 32946)  # TIFF, tag 259: by Adobe's number, and the older one
_STDERR = 2
_STDERR_TURN = threading.Lock()
_LONGEST_WORDS = 1 << 20  # a pipe holds less

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else Python prints its errors, which are raised anyway


@contextmanager
def opened_picture(file: Path | IO[bytes], formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """A picture whose pixels aren't loaded yet: load_whole() does that. formats: by Pillow's names.

    Raises OSError or one of DAMAGED_IMAGE, also where a PNG's checksums are wrong, at which Pillow looks only if told.
    """
    if isinstance(file, Path):
        check_is_file(file)
    with Image.open(file, formats=formats) as image:
        if image.format == "PNG":
            image.verify()
    if not isinstance(file, Path):
        file.seek(0)
    with Image.open(file, formats=formats) as image:
        yield image


def load_whole(image: Image.Image) -> None:
    """Load the pixels. Raises OSError or one of DAMAGED_IMAGE where they aren't what was written, as far as it shows.

    libtiff prints what it finds wrong, and hands out pixels all the same; Deflate has a checksum that it doesn't read.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        image.load()
        return
    _check_sums(image)
    _load_by_libtiff(image)


def what_is_wrong(error: Exception) -> str:
    """What an OSError or one of DAMAGED_IMAGE says, in words for a message: Pillow names an object, or nothing."""
    if isinstance(error, UnidentifiedImageError):
        return "no picture of a format that is read, or its header is damaged"
    return (error.strerror if isinstance(error, OSError) else None) or first_line(error) or "no words for it"


def tiff_tags(image: Image.Image) -> Mapping[int, Any]:
    """A TIFF's; none of other formats."""
    return image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}


def _check_sums(image: TiffImagePlugin.TiffImageFile) -> None:
    """Of what states where its streams end, in the order of bits that Deflate has; of others libtiff alone judges."""
    tags, file = tiff_tags(image), image.fp
    turned = tags.get(TiffImagePlugin.FILLORDER, 1) != 1
    if tags.get(TiffImagePlugin.COMPRESSION) not in _DEFLATE or file is None or turned:
        return
    offsets, sizes = (
        np.atleast_1d(tags.get(tiles, tags.get(strips, ()))).tolist()
        for tiles, strips in (
            (TiffImagePlugin.TILEOFFSETS, TiffImagePlugin.STRIPOFFSETS),
            (TiffImagePlugin.TILEBYTECOUNTS, TiffImagePlugin.STRIPBYTECOUNTS),
        )
    )
    most_bytes, before = _bytes_of_one(tags, image.size), file.tell()
    for offset, size in zip(offsets, sizes, strict=False):
        file.seek(offset)
        if size > 0 and ends_with_its_sum(file.read(size), most_bytes) is False:
            raise OSError("a checksum of its pixels is wrong")
    file.seek(before)


def _bytes_of_one(tags: Mapping[int, Any], size_px: tuple[int, int]) -> int:
    """How many bytes a tile or strip has, unpacked; the last strip has fewer."""
    width, height = size_px
    width = tags.get(TiffImagePlugin.TILEWIDTH, width)
    height = tags.get(TiffImagePlugin.TILELENGTH, min(tags.get(TiffImagePlugin.ROWSPERSTRIP, height), height))
    bits = max(np.atleast_1d(tags.get(TiffImagePlugin.BITSPERSAMPLE, 1)).tolist())
    return -(-width * tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1) * bits // 8) * height


def _load_by_libtiff(image: TiffImagePlugin.TiffImageFile) -> None:
    """Its words are kept from stderr, where nobody would see what they speak of, and are the error's instead.

    stderr is the whole process's: pictures take turns, and what other threads print meanwhile is taken for libtiff's.
    """
    with _STDERR_TURN:
        said, failure = _words_of_loading(image)
    if said or failure:
        raise OSError(said.partition("\n")[0].strip() or str(failure)) from failure


def _words_of_loading(image: Image.Image) -> tuple[str, OSError | None]:
    """What is printed on stderr meanwhile, "" for nothing, and the error that loading raised.

    A pipe takes the words: a file would need a disk with room, and words that it can't take would be no error.
    """
    sys.stderr.flush()
    try:
        stderr, (read, written) = os.dup(_STDERR), os.pipe()
    except OSError as error:
        remedy = "raise the limit of open files (ulimit -n)"
        raise OutputError(f"no file can be opened to hear of damage ({error.strerror}); {remedy}") from error
    for end in (read, written) if hasattr(os, "set_blocking") else ():  # Windows has it from Python 3.12 on
        os.set_blocking(end, False)  # a full pipe holds more than enough; an empty one is not waited for
    failure = None
    try:
        os.dup2(written, _STDERR)
        image.load()
    except OSError as error:
        failure = error
    finally:
        os.dup2(stderr, _STDERR)
        os.close(written)
        os.close(stderr)
        with open(read, "rb", buffering=0) as words:
            said = (words.read(_LONGEST_WORDS) or b"").decode(errors="replace").strip()
    return said, failure
