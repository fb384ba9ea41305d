"""Slide files, and what a bad copy, a bad disk or a bad program makes of them."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from tests.fakes import PINK, PURPLE
from tests.slides.made_files import write_tiff

IMAGE_WIDTH, IMAGE_LENGTH = 256, 257
TILE_OFFSETS, TILE_COUNTS = 324, 325


def tissue(side_px: int, *, glass_px: int = 96, tumour_px: int = 0) -> NDArray[np.uint8]:
    """uint8 (side_px, side_px, 3): pink, grainy tissue in a frame of glass, with a square of tumour."""
    pixels = np.full((side_px, side_px, 3), 245, dtype=np.uint8)
    inside = slice(glass_px, side_px - glass_px)
    grain = np.random.default_rng(0).integers(-14, 15, (side_px, side_px, 1))
    ground = np.full_like(pixels, PINK).astype(np.int64)
    ground[glass_px + 64 : glass_px + 64 + tumour_px, glass_px + 64 : glass_px + 64 + tumour_px] = PURPLE
    pixels[inside, inside] = np.clip(ground + grain, 0, 255).astype(np.uint8)[inside, inside]
    return pixels


def plain_tiff(  # noqa: PLR0913  what a slide is made of
    path: Path,
    *,
    side_px: int = 768,
    tile_px: int = 256,
    levels: int = 1,
    mpp_um: float = 0.95,
    grain_px: int = 1,
) -> Path:
    """A tiled pyramid of tissue; level 0 at mpp_um, each further one half as large, the stain grain_px coarse."""
    whole = tissue(side_px // grain_px).repeat(grain_px, axis=0).repeat(grain_px, axis=1)
    pyramid = [np.ascontiguousarray(whole[:: 2**level, :: 2**level]) for level in range(levels)]
    return write_tiff(path, pyramid, mpp_um=(mpp_um, mpp_um), tile_px=tile_px)


def aperio(path: Path, *, mpp: str | None = "0.95", side_px: int = 768) -> Path:
    """A file as an Aperio scanner writes it: JPEG tiles, words in the description, the directory at the end."""
    said = f"Aperio Image Library v12.0.15\r\n{side_px}x{side_px} [0,0 {side_px}x{side_px}] (256x256) JPEG/RGB Q=70"
    said += "|AppMag = 10" + ("" if mpp is None else f"|MPP = {mpp}")
    tifffile.imwrite(
        path, tissue(side_px), tile=(256, 256), photometric="rgb", compression="jpeg", description=said, metadata=None
    )
    directory_last(path)
    return path


def directory_last(path: Path) -> None:
    """Moves the first directory of a little-endian classic TIFF to the end, where most scanners put it."""
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, at)
    directory = bytes(data[at : at + 2 + 12 * entries + 4])
    data += bytes(len(data) % 2)
    struct.pack_into("<I", data, 4, len(data))
    path.write_bytes(bytes(data) + directory)


def truncate(path: Path, share: float) -> Path:
    """Keeps the first `share` of the file."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def spoil_tiles(path: Path, tiles: Callable[[int], Sequence[int]], *, level: int = 0) -> Path:
    """Overwrites the heads of compressed tiles, so that no decoder takes them. tiles: from their number, which."""
    with tifffile.TiffFile(path) as tiff:
        offsets = tiff.pages[level].dataoffsets
    with path.open("r+b") as stream:
        for tile in tiles(len(offsets)):
            stream.seek(offsets[tile])
            stream.write(bytes(16))
    return path


def set_field(path: Path, tag: int, value: int, *, level: int = 0) -> Path:
    """Writes a number into a directory entry that holds it itself, as a LONG."""
    with tifffile.TiffFile(path) as tiff:
        entry = _page(tiff, level).tags[tag].offset
    with path.open("r+b") as stream:
        stream.seek(entry + 2)
        stream.write(struct.pack("<HII", 4, 1, value))
    return path


def _page(tiff: tifffile.TiffFile, level: int) -> tifffile.TiffPage:
    page = tiff.pages[level]
    assert isinstance(page, tifffile.TiffPage)
    return page


def claim_size(path: Path, side_px: int) -> Path:
    """The header's width and height become side_px; the tiles stay as they are."""
    return set_field(set_field(path, IMAGE_WIDTH, side_px), IMAGE_LENGTH, side_px)


def sparse_giant(path: Path, side_px: int) -> Path:
    """A consistent file of side_px squared: all its tiles are one and the same."""
    tile = plain_tiff(path, side_px=256)
    with tifffile.TiffFile(tile) as tiff:
        page = _page(tiff, 0)
        start, length = page.dataoffsets[0], page.databytecounts[0]
        entries = {tag: page.tags[tag].offset for tag in (TILE_OFFSETS, TILE_COUNTS)}
    number = (side_px // 256) ** 2
    data = bytearray(claim_size(tile, side_px).read_bytes())
    for tag, value in ((TILE_OFFSETS, start), (TILE_COUNTS, length)):
        struct.pack_into("<HII", data, entries[tag] + 2, 4, number, len(data))
        data += struct.pack("<I", value) * number
    path.write_bytes(data)
    return path


def cut_chain(path: Path) -> Path:
    """The first directory points to no second one: the lower levels are gone."""
    return _set_next(path, 0)


def dangling_chain(path: Path) -> Path:
    """The first directory's successor lies beyond the end of the file."""
    return _set_next(path, path.stat().st_size + 4096)


def _set_next(path: Path, offset: int) -> Path:
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * entries, offset)
    path.write_bytes(data)
    return path


def glass(path: Path) -> Path:
    """Nothing but glass."""
    return write_tiff(path, [np.full((768, 768, 3), 245, np.uint8)], mpp_um=(0.95, 0.95))


def all_tissue(path: Path) -> Path:
    """Tissue from edge to edge."""
    return write_tiff(path, [tissue(768, glass_px=0)], mpp_um=(0.95, 0.95))
