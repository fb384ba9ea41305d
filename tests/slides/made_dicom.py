"""Small DICOM files: whole-slide images with planted contents, and headers alone."""

import struct
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tests.slides.made_files import reduced

JPEG, JPEG_2000 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.91"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
_SLIDE_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"
_COLOURS = {EXPLICIT: b"RGB", JPEG: b"YBR_FULL_422", JPEG_2000: b"YBR_ICT"}
_LONG_VALUES = ("OB", "OV", "OW", "SQ", "UN")
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Level:
    """One file of a series, or the first part of a level that is split (concatenation).

    spacing_um: x and y; tile_px: width and height; kept: which tiles are in it, row by row, None for all;
    planes: of focus, as it says;
    paths: optical ones, as it says, in frames that repeat the tiles, darker each time;
    doubled: whether one frame more is there, of the first tile, darker; moved: how many px further to the right, and
    down, the frames of a sparse one say that they lie.
    syntax: how the tiles are coded; table: "basic", "extended" or "", which one tells where coded tiles are; fragments:
    in so many items each.
    """

    pixels: NDArray[np.uint8]
    spacing_um: tuple[float, float] | None
    series: str = "1.2.3"
    instance: str = "1.2.3.4"
    pyramid: str = ""
    concatenation: str = ""
    flavour: str = "VOLUME"
    tile_px: tuple[int, int] = (128, 128)
    kept: tuple[int, ...] | None = None
    planes: int = 1
    paths: int = 1
    doubled: bool = False
    moved: tuple[int, int] = (0, 0)
    syntax: str = EXPLICIT
    table: str = "basic"
    fragments: int = 1


def write_level(path: Path, level: Level) -> Path:
    """A whole-slide image, sparse where some tiles are left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = level.pixels.shape[:2]
    wide, high = level.tile_px
    across = -(-width // wide)
    tiles = range(across * -(-height // high)) if level.kept is None else level.kept
    places = [(tile // across * high, tile % across * wide) for tile in tiles]
    frames = [(path, top, left) for path in range(1, level.paths + 1) for top, left in places]
    frames += [(3, *places[0])] * level.doubled
    sparse = level.kept is not None
    head = (
        _uid(0x0002, 0x0002, _SLIDE_CLASS) + _uid(0x0002, 0x0003, level.instance) + _uid(0x0002, 0x0010, level.syntax)
    )
    content = _identity(level) + _shape(level, len(frames), sparse=sparse) + _groups(level)
    if sparse:
        right, down = level.moved
        content += _sequence(0x5200, 0x9230, [_position(top + down, left + right) for _, top, left in frames])
    content += _pixels(level, [_tile(level, top, left) // path for path, top, left in frames])
    path.write_bytes(
        bytes(128) + b"DICM" + element(0x0002, 0x0000, "UL", struct.pack("<I", len(head))) + head + content
    )
    return path


def write_pyramid(
    folder: Path, pixels: NDArray[np.uint8], factors: tuple[int, ...], *, name: str = "l", pyramid: str = ""
) -> Path:
    """A file of one series for each factor, at 0.486 um/px times that; the first one's path."""
    for factor in factors:
        spacing_um, uid = (0.486 * factor, 0.486 * factor), f"1.2.{ord(name)}.{factor}"
        level = Level(reduced(pixels, factor), spacing_um, instance=uid, pyramid=pyramid)
        write_level(folder / f"{name}{factor}.dcm", level)
    return folder / f"{name}{factors[0]}.dcm"


def write_dicom(path: Path, series_uid: str, *, length: int = 0, implicit: bool = False) -> Path:
    """A DICOM header with a sequence that names another series before the file's own, and `length` bytes of padding."""
    decoy = element(0x0020, 0x000E, "UI", b"9.9.9", implicit=implicit)
    content = (
        _uid(0x0002, 0x0010, IMPLICIT if implicit else EXPLICIT)
        + element(0x0008, 0x0016, "UI", _SLIDE_CLASS.encode(), implicit=implicit)
        + open_sequence(0x0008, 0x1115, "SQ", decoy, implicit=implicit)
        + element(0x0008, 0x2112, "OB", b"1234", implicit=implicit)
        + element(0x0020, 0x000D, "UI", b"8.8.8", implicit=implicit)
        + element(0x0020, 0x000E, "UI", series_uid.encode(), implicit=implicit)
    )
    path.write_bytes(bytes(128) + b"DICM" + content + bytes(length))
    return path


def element(group: int, number: int, kind: str, value: bytes, *, implicit: bool = False) -> bytes:
    """One element with its value."""
    value += b"\0" * (len(value) % 2)
    if implicit:
        head = struct.pack("<HHI", group, number, len(value))
    elif kind in _LONG_VALUES:
        head = struct.pack("<HH2s2xI", group, number, kind.encode(), len(value))
    else:
        head = struct.pack("<HH2sH", group, number, kind.encode(), len(value))
    return head + value


def open_sequence(group: int, number: int, kind: str, item: bytes, *, implicit: bool = False) -> bytes:
    """A sequence of one item, both of undefined length."""
    head = struct.pack("<HH", group, number) + (b"" if implicit else kind.encode() + b"\0\0")
    opened = struct.pack("<IHHI", _UNDEFINED, 0xFFFE, 0xE000, _UNDEFINED)
    return head + opened + item + struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)


def _identity(level: Level) -> bytes:
    derived = "DERIVED\\PRIMARY\\{}\\RESAMPLED" if (level.spacing_um or (0,))[0] > 1 else "ORIGINAL\\PRIMARY\\{}\\NONE"
    return (
        element(0x0008, 0x0008, "CS", derived.format(level.flavour).encode().ljust(40))
        + _uid(0x0008, 0x0016, _SLIDE_CLASS)
        + _uid(0x0008, 0x0018, level.instance)
        + (_uid(0x0008, 0x0019, level.pyramid) if level.pyramid else b"")
        + _uid(0x0020, 0x000D, "1.2.1")
        + _uid(0x0020, 0x000E, level.series)
        + (_first_of_two(level.concatenation) if level.concatenation else b"")
    )


def _first_of_two(concatenation: str) -> bytes:
    return (
        _uid(0x0020, 0x9161, concatenation)
        + element(0x0020, 0x9162, "US", struct.pack("<H", 1))
        + element(0x0020, 0x9163, "US", struct.pack("<H", 2))
        + element(0x0020, 0x9228, "UL", struct.pack("<I", 0))
    )


def _shape(level: Level, frames: int, *, sparse: bool) -> bytes:
    height, width = level.pixels.shape[:2]
    shorts = {(0x0100): 8, (0x0101): 8, (0x0102): 7, (0x0103): 0}
    return (
        element(0x0020, 0x9311, "CS", b"TILED_SPARSE" if sparse else b"TILED_FULL")
        + element(0x0028, 0x0002, "US", struct.pack("<H", 3))
        + element(0x0028, 0x0004, "CS", _COLOURS[level.syntax])
        + element(0x0028, 0x0006, "US", struct.pack("<H", 0))
        + element(0x0028, 0x0008, "IS", str(frames).rjust(6).encode())
        + element(0x0028, 0x0010, "US", struct.pack("<H", level.tile_px[1]))
        + element(0x0028, 0x0011, "US", struct.pack("<H", level.tile_px[0]))
        + b"".join(element(0x0028, number, "US", struct.pack("<H", value)) for number, value in shorts.items())
        + element(0x0048, 0x0006, "UL", struct.pack("<I", width))
        + element(0x0048, 0x0007, "UL", struct.pack("<I", height))
        + element(0x0048, 0x0302, "UL", struct.pack("<I", level.paths))
        + element(0x0048, 0x0303, "UL", struct.pack("<I", level.planes))
    )


def _groups(level: Level) -> bytes:
    """The shared functional groups, with the pixels' spacing."""
    measures = b""
    if level.spacing_um is not None:
        x_um, y_um = level.spacing_um
        measures = element(0x0028, 0x0030, "DS", f"{y_um / 1000:.8f}\\{x_um / 1000:.8f}".encode())
    return _sequence(0x5200, 0x9229, [_sequence(0x0028, 0x9110, [measures])])


def _position(top: int, left: int) -> bytes:
    place = element(0x0048, 0x021E, "SL", struct.pack("<i", left + 1))
    return _sequence(0x0048, 0x021A, [place + element(0x0048, 0x021F, "SL", struct.pack("<i", top + 1))])


def _pixels(level: Level, tiles: list[NDArray[np.uint8]]) -> bytes:
    if level.syntax == EXPLICIT:
        return element(0x7FE0, 0x0010, "OW", b"".join(tile.tobytes() for tile in tiles))
    frames = [
        b"".join(_item(part) for part in _fragments(_coded(tile, level.syntax), level.fragments)) for tile in tiles
    ]
    starts = [sum(map(len, frames[:index])) for index in range(len(frames))]
    extended = element(0x7FE0, 0x0001, "OV", struct.pack(f"<{len(starts)}Q", *starts))
    basic = struct.pack(f"<{len(starts)}I", *starts)
    return (
        (extended if level.table == "extended" else b"")
        + struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OB", _UNDEFINED)
        + _item(basic if level.table == "basic" else b"")
        + b"".join(frames)
        + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    )


def _coded(tile: NDArray[np.uint8], syntax: str) -> bytes:
    if syntax == JPEG:
        return imagecodecs.jpeg8_encode(tile, level=85, colorspace="RGB", outcolorspace="YCBCR", subsampling="422")
    return imagecodecs.jpeg2k_encode(tile, codecformat="j2k", level=45)


def _fragments(frame: bytes, count: int) -> list[bytes]:
    frame += b"\0" * (len(frame) % 2)
    size = -(-len(frame) // count) // 2 * 2 + 2
    return [frame[start : start + size] for start in range(0, len(frame), size)]


def _item(value: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def _tile(level: Level, top: int, left: int) -> NDArray[np.uint8]:
    wide, high = level.tile_px
    tile = np.full((high, wide, 3), 255, np.uint8)
    part = level.pixels[top : top + high, left : left + wide]
    tile[: part.shape[0], : part.shape[1]] = part
    return tile


def _sequence(group: int, number: int, items: list[bytes]) -> bytes:
    return element(group, number, "SQ", b"".join(map(_item, items)))


def _uid(group: int, number: int, uid: str) -> bytes:
    return element(group, number, "UI", uid.encode())
