"""Where the compressed frames of a DICOM slide are in its files, so that each can be checked for damage."""

import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nodescan.errors import NotASlideError
from nodescan.slides.checked_tiles import JPEG_2000, NOTHING_TOLD, CheckedLevel, TileCheck, jpeg_check
from nodescan.slides.dicom_elements import (
    ITEM,
    PIXEL_DATA,
    TRANSFER_SYNTAX_UID,
    HeaderError,
    Place,
    Tag,
    followed,
    read_value,
    text,
)
from nodescan.slides.dicom_series import series_levels
from nodescan.slides.jpeg_tiles import header_of, start_of_first
from nodescan.slides.tile_tables import TileTable

_JPEG, _JPEG_2000 = "1.2.840.10008.1.2.4.50", ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
"""Transfer syntaxes (PS3.5, annex A.4)."""

_SYNTAX, _ORGANIZATION = (TRANSFER_SYNTAX_UID,), ((0x0020, 0x9311),)
_ROWS, _COLUMNS = ((0x0028, 0x0010),), ((0x0028, 0x0011),)
_FRAME_PLACE = ((0x5200, 0x9230), (0x0048, 0x021A))
_COLUMN_AT, _ROW_AT = (*_FRAME_PLACE, (0x0048, 0x021E)), (*_FRAME_PLACE, (0x0048, 0x021F))
"""Of a sparse slide's frames, from 1 on: where each one's top left lies in the whole."""

_OFFSETS, _PIXELS = ((0x7FE0, 0x0001),), (PIXEL_DATA,)
"""The extended offset table, and what is compressed: items, of which the first may hold a table of offsets."""

_MOST_FRAMES = 2**24
_ITEM_HEAD_BYTES = 8
_UNKNOWN = np.zeros(0, np.uint64)
"""Where frames begin that can't be found."""

_DOUBLED = "its DICOM series holds several frames for the place of one tile, and one would stand for all"
_AGAIN = "copy the series again; if that doesn't help, export it again from the scanner or the archive"

_Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Frames:
    """starts : uint64 (frames + 1,), where the items of each begin, and the last end; none where that isn't known.
    places : int64 (frames, 2), left and top in the whole, None where they lie row by row."""

    syntax: str
    tile_px: _Size
    starts: NDArray[np.uint64]
    places: NDArray[np.int64] | None


def checked_frames(path: Path, sizes_px: tuple[_Size, ...]) -> tuple[CheckedLevel, ...]:
    """The levels of a DICOM series, of these sizes, one for each; none where it isn't DICOM.

    Nothing is told of a level that is split over several files, or whose frames can't be found without doubt. Raises
    NotASlideError where two frames of a level lie in one place, and OSError.
    """
    files: dict[_Size, dict[Path, str]] = {}
    for file, level in series_levels(path).items():
        files.setdefault(level.size_px, {})[file] = level.instance or file.name
    levels: list[CheckedLevel] = []
    for size_px in sizes_px:
        frames = {file: _frames_in(file) for file in files.get(size_px, {})}
        if _has_doubled_place({files[size_px][file]: found for file, found in frames.items()}.values()):
            raise NotASlideError(path.name, _DOUBLED, _AGAIN)
        (file, only), *more = frames.items() if frames else [(Path(), None)]
        levels.append(_unchecked(size_px) if only is None or more else _checked(file, only, size_px))
    return tuple(levels) if files else ()


def _has_doubled_place(parts: Iterable[_Frames | None]) -> bool:
    """Whether two frames lie in one place, of which OpenSlide would show the last. parts: of one level, each once."""
    known = [part.places for part in parts if part is not None and part.places is not None]
    places = np.concatenate([np.empty((0, 2), np.int64), *known])
    return len(np.unique(places[:, 0] * 2**32 + places[:, 1])) < len(places)


def _checked(file: Path, frames: _Frames, size_px: _Size) -> CheckedLevel:
    """frames: all those of a level of this size, in this file."""
    if len(frames.starts) == 0 or (check := _check_of(file, frames)) is NOTHING_TOLD:
        return _unchecked(size_px)
    across, down = (-(-side // tile) for side, tile in zip(size_px, frames.tile_px, strict=True))
    starts, ends = frames.starts[:-1], frames.starts[1:]
    if frames.places is None:
        tiles = np.arange(min(len(starts), across * down))
    else:
        columns, rows = (frames.places // frames.tile_px).T
        tiles = rows * across + columns
        plain = (frames.places % frames.tile_px == 0).all() and ((columns >= 0) & (columns < across)).all()
        if not plain or not ((rows >= 0) & (rows < down)).all():
            return _unchecked(size_px)
    offsets, sizes = np.zeros((2, 1, across * down), np.uint64)
    offsets[0, tiles], sizes[0, tiles] = starts[: len(tiles)], (ends - starts)[: len(tiles)]
    placed = np.zeros(across * down, np.bool_)
    table = TileTable(*size_px, *frames.tile_px, sizes[0], placed)
    return CheckedLevel(table, file, check, offsets, sizes)


def _unchecked(size_px: _Size) -> CheckedLevel:
    """A level of this size whose frames can't be checked, without data as if it were absent."""
    none = np.zeros((1, 1), np.uint64)
    return CheckedLevel(TileTable(*size_px, *size_px, none[0], np.zeros(1, np.bool_)), Path(), NOTHING_TOLD, none, none)


def _check_of(file: Path, frames: _Frames) -> TileCheck:
    if frames.syntax in _JPEG_2000:
        check = JPEG_2000
    elif frames.syntax == _JPEG and _is_checkable(file, frames):
        check = jpeg_check(b"", frames.tile_px)
    else:
        return NOTHING_TOLD
    return TileCheck(check.said, lambda items: check.holds(_joined(items)))


def _is_checkable(file: Path, frames: _Frames) -> bool:
    """Where no header of a few can be read, they are damaged."""
    few, end = frames.starts[:-1][:: max(1, len(frames.starts) // 8)].tolist(), int(frames.starts[-1])
    with file.open("rb") as stream:
        start = start_of_first(stream, ((begin + _ITEM_HEAD_BYTES, end - begin) for begin in few))
    return start is None or header_of(start).checkable


def _frames_in(file: Path) -> _Frames | None:
    """None where it has no pixels, or its header doesn't tell of them. Raises OSError."""
    values: dict[Place, list[bytes]] = {}
    wanted = (_SYNTAX, _ORGANIZATION, _ROWS, _COLUMNS, _COLUMN_AT, _ROW_AT, _OFFSETS, _PIXELS)
    try:
        with file.open("rb") as stream:
            for place, length in followed(stream, wanted):
                if place == _PIXELS:
                    starts = _UNKNOWN if length is not None else _starts(stream, values.get(_OFFSETS, [b""])[0])
                    return _frames(values, starts)
                values.setdefault(place, []).append(read_value(stream, length, longest=8 * _MOST_FRAMES))
    except (HeaderError, ValueError, struct.error, LookupError):
        pass
    return None


def _frames(values: Mapping[Place, list[bytes]], starts: NDArray[np.uint64]) -> _Frames | None:
    """starts: as _Frames has them.

    Raises LookupError, struct.error or ValueError where a value isn't there, or none.
    """
    syntax, organization = (text(values[place][0]) for place in (_SYNTAX, _ORGANIZATION))
    across, down = (struct.unpack("<H", values[place][0])[0] for place in (_COLUMNS, _ROWS))
    if not (across and down):
        return None
    places, found = None, len(starts) > 1
    if organization != "TILED_FULL":
        left, top = (np.frombuffer(b"".join(values[place]), "<i4") for place in (_COLUMN_AT, _ROW_AT))
        places = np.stack([left, top], axis=1).astype(np.int64) - 1
        found = found and len(places) == len(starts) - 1
    return _Frames(syntax, (across, down), starts if found else _UNKNOWN, places)


def _starts(stream: BinaryIO, extended: bytes) -> NDArray[np.uint64]:
    """Of the frames, and where the last ends. extended: the table of that name, b"" where there is none.

    With neither table each item is a frame. Raises struct.error where the file ends before its pixels do.
    """
    tag, length = _tag_and_length(stream.read(_ITEM_HEAD_BYTES))
    if tag != ITEM:
        return _UNKNOWN
    basic = stream.read(length)
    first = stream.tell()
    table = np.frombuffer(extended, "<u8") if extended else np.frombuffer(basic, "<u4").astype(np.uint64)
    if len(table) == 0:
        return np.array(_items_from(stream), np.uint64)
    if table[0] != 0 or (np.diff(table.astype(np.int64)) <= 0).any():
        return _UNKNOWN
    stream.seek(first + int(table[-1]))
    end = _items_from(stream)[-1]
    return np.append(table + np.uint64(first), np.uint64(end))


def _items_from(stream: BinaryIO) -> list[int]:
    """Where the items begin from here on, and where the last ends: at the mark, what is no item, or the file's end."""
    starts = [stream.tell()]
    while len(starts) <= _MOST_FRAMES and len(head := stream.read(_ITEM_HEAD_BYTES)) == _ITEM_HEAD_BYTES:
        tag, length = _tag_and_length(head)
        if tag != ITEM:
            break
        starts.append(stream.seek(length, os.SEEK_CUR))
    return starts


def _tag_and_length(item_head: bytes) -> tuple[Tag, int]:
    group, number, length = struct.unpack("<HHI", item_head)
    return (group, number), length


def _joined(items: bytes) -> bytes:
    """What items that follow one another hold: a frame may come in several."""
    parts: list[bytes] = []
    at = 0
    while at + _ITEM_HEAD_BYTES <= len(items):
        (length,) = struct.unpack_from("<4xI", items, at)
        parts.append(items[at + _ITEM_HEAD_BYTES : at + _ITEM_HEAD_BYTES + length])
        at += _ITEM_HEAD_BYTES + length
    return b"".join(parts)
