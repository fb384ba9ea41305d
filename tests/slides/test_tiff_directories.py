"""What a TIFF's directories hold is read to the byte, whatever its layout, and no further than the file goes."""

import io
import struct
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import tifffile

from nodescan.slides.tiff_directories import (
    CutOffTiffError,
    Directory,
    Layout,
    Tag,
    directories,
    directories_of,
    layout_of,
)

Kind = tuple[int, str, str]
"""Bytes of a pointer, and the codes of a count and of a pointer."""

CLASSIC: Kind = (4, "H", "I")
BIG: Kind = (8, "Q", "Q")
LAYOUTS = [("<", CLASSIC), (">", CLASSIC), ("<", BIG), (">", BIG)]
BYTE, TEXT, SHORT, LONG, RATIONAL, UNDEFINED, IFD, LONG8, IFD8 = 1, 2, 3, 4, 5, 7, 13, 16, 18
BYTES = {BYTE: 1, SHORT: 2, LONG: 4, IFD: 4, LONG8: 8, IFD8: 8}
SOME, OTHER = 700, 701
"""Of no meaning to the reader."""

Field = tuple[int, int, int, bytes]
"""Tag, type, count, and the bytes of the values."""


def test_fields_have_the_numbers_that_other_readers_know_them_by() -> None:
    """As tifffile names them."""
    assert {tag.name: tifffile.TIFF.TAGS[tag] for tag in Tag} == {
        "SUBFILE_TYPE": "NewSubfileType",
        "WIDTH": "ImageWidth",
        "HEIGHT": "ImageLength",
        "BITS": "BitsPerSample",
        "COMPRESSION": "Compression",
        "PHOTOMETRIC": "PhotometricInterpretation",
        "FILL_ORDER": "FillOrder",
        "DESCRIPTION": "ImageDescription",
        "STRIP_OFFSETS": "StripOffsets",
        "ORIENTATION": "Orientation",
        "SAMPLES": "SamplesPerPixel",
        "STRIP_LENGTHS": "StripByteCounts",
        "PLANAR": "PlanarConfiguration",
        "TILE_WIDTH": "TileWidth",
        "TILE_HEIGHT": "TileLength",
        "TILE_OFFSETS": "TileOffsets",
        "TILE_LENGTHS": "TileByteCounts",
        "EXTRA_SAMPLES": "ExtraSamples",
        "JPEG_TABLES": "JPEGTables",
        "XMP": "XMP",
        "DEPTH": "ImageDepth",
    }


def head(order: str, kind: Kind, first: int) -> bytes:
    mark = b"II" if order == "<" else b"MM"
    if kind is BIG:
        return mark + struct.pack(f"{order}HHHQ", 43, 8, 0, first)
    return mark + struct.pack(f"{order}HI", 42, first)


def written(order: str, kind: Kind, *fields: Field, following: int = 0) -> bytes:
    """A TIFF of one directory, with what doesn't fit into its entries behind it."""
    width, count_code, pointer_code = kind
    start = head(order, kind, first=16 if kind is BIG else 8)
    table, values = struct.pack(f"{order}{count_code}", len(fields)), b""
    behind = len(start) + len(table) + len(fields) * (4 + 2 * width) + width
    for tag, field_type, count, content in fields:
        place = content.ljust(width, b"\0")
        if len(content) > width:
            place = struct.pack(f"{order}{pointer_code}", behind + len(values))
            values += content
        table += struct.pack(f"{order}HH{pointer_code}", tag, field_type, count) + place
    return start + table + struct.pack(f"{order}{pointer_code}", following) + values


def layout(content: bytes) -> Layout:
    found = layout_of(content)
    assert found is not None
    return found


def only(content: bytes) -> tuple[io.BytesIO, Directory]:
    stream = io.BytesIO(content)
    (directory,) = directories(stream, layout(content))
    return stream, directory


@pytest.mark.parametrize(
    "magic", [b"", b"II", b"II*", b"MM\0", b"II\0*", b"MM*\0", b"IM*\0", b"II\x29\0", b"II\x2c\0", b"MM\0\x2c"]
)
def test_what_begins_otherwise_is_no_tiff(tmp_path: Path, magic: bytes) -> None:
    """A version in the other byte order, too."""
    assert layout_of(magic) is None
    (tmp_path / "a.tif").write_bytes(magic)
    assert list(directories_of(tmp_path / "a.tif")) == []


@pytest.mark.parametrize(("order", "kind"), LAYOUTS)
@pytest.mark.parametrize("field_type", BYTES)
def test_whole_numbers_of_every_width_are_read(tmp_path: Path, order: str, kind: Kind, field_type: int) -> None:
    """In their entry as long as they fit, and behind it from the next on; up to the largest of each."""
    width = BYTES[field_type]
    for count in (1, 2, 4, 5, 8, 9):
        numbers = [2 ** (8 * width) - 1 - place for place in range(count)]
        content = b"".join(number.to_bytes(width, "little" if order == "<" else "big") for number in numbers)
        path = tmp_path / "a.tif"
        path.write_bytes(written(order, kind, (OTHER, BYTE, 9, bytes(9)), (SOME, field_type, count, content)))
        found = [(each.numbers(stream, SOME), each.number(stream, SOME, 5)) for stream, each in directories_of(path)]
        assert [(all_of.tolist(), all_of.dtype, first) for all_of, first in found] == [(numbers, np.uint64, numbers[0])]


@pytest.mark.parametrize(("order", "kind"), LAYOUTS)
@pytest.mark.parametrize("field_type", [TEXT, UNDEFINED])
def test_text_is_read_as_it_stands_and_is_no_number(order: str, kind: Kind, field_type: int) -> None:
    for length in (1, 4, 5, 8, 9):
        content = b"123456789"[:length]
        stream, directory = only(written(order, kind, (SOME, field_type, length, content)))
        assert directory.raw(stream, SOME) == content
        assert directory.numbers(stream, SOME).tolist() == []
        assert directory.number(stream, SOME, 5) == 5


def test_what_is_missing_or_of_another_type_is_nothing() -> None:
    """A fraction is two numbers. Of a tag that comes twice the first counts."""
    stream, directory = only(
        written("<", CLASSIC, (SOME, RATIONAL, 1, bytes(8)), (OTHER, LONG, 1, b"\1\0\0\0"), (OTHER, LONG, 1, bytes(4)))
    )
    for tag in (SOME, 5):
        assert directory.raw(stream, tag) == b""
        assert directory.numbers(stream, tag).tolist() == []
        assert directory.number(stream, tag, 7) == 7
    assert directory.number(stream, OTHER, 7) == 1


def chain(order: str, kind: Kind, links: int, *, last: int = 0) -> bytes:
    """Empty directories, each right behind the one before. last: where the next one of the last stands."""
    _, count_code, pointer_code = kind
    first = 16 if kind is BIG else 8
    length = struct.calcsize(f"={count_code}{pointer_code}")
    following = [*(first + length * link for link in range(1, links)), last]
    return head(order, kind, first) + b"".join(
        struct.pack(f"{order}{count_code}{pointer_code}", 0, place) for place in following
    )


def found_in(content: bytes) -> int:
    return sum(1 for _ in directories(io.BytesIO(content), layout(content)))


@pytest.mark.parametrize(("order", "kind"), LAYOUTS)
def test_each_directory_of_a_chain_comes_once(order: str, kind: Kind) -> None:
    """Also where the last one points back; of a chain that is longer than any, 10,000."""
    first = 16 if kind is BIG else 8
    assert found_in(head(order, kind, 0)) == 0
    for links in (1, 3, 10_000):
        for last in (0, first):
            assert found_in(chain(order, kind, links, last=last)) == links
    assert found_in(chain(order, kind, 10_001)) == 10_000


@pytest.mark.parametrize(("order", "kind"), LAYOUTS)
def test_a_file_that_ends_before_its_directories_tells_where_they_would(order: str, kind: Kind) -> None:
    """Cut at any byte; beyond its end at the one that is asked for."""
    whole = written(order, kind, (SOME, BYTE, 1, b"x"), (OTHER, BYTE, 9, bytes(9)))
    behind = len(whole) - 9
    start, count_end = (16, 24) if kind is BIG else (8, 10)
    table_end = behind - kind[0]
    for length in range(4, len(whole)):
        stream = io.BytesIO(whole[:length])
        with pytest.raises(CutOffTiffError) as caught:
            [directory.raw(stream, OTHER) for directory in directories(stream, layout(whole))]
        parts = (start, count_end, table_end, behind, len(whole))
        assert caught.value.at == next(part for part in parts if part > length)
    assert str(CutOffTiffError(1234)) == "the file should reach byte 1,234"


@pytest.mark.parametrize("kind", [CLASSIC, BIG])
def test_a_directory_of_thousands_of_fields_is_damaged(kind: Kind) -> None:
    """4096 are read, and of more none, though the file holds them."""
    stream, directory = only(written("<", kind, *((tag, BYTE, 1, b"x") for tag in range(4096))))
    assert directory.raw(stream, 4095) == b"x"
    more = written("<", kind, *((tag, BYTE, 1, b"x") for tag in range(4097)))
    with pytest.raises(CutOffTiffError) as caught:
        only(more)
    assert caught.value.at == len(more) - kind[0]


def sparse(path: Path, content: bytes, length: int) -> Path:
    with path.open("wb") as stream:
        stream.write(content)
        stream.truncate(length)
    return path


def test_a_classic_tiff_beyond_what_its_pointers_reach_is_not_followed(tmp_path: Path) -> None:
    """It is an NDPI, where the bytes that they lead to are others. A BigTIFF may be as long."""
    for kind, length, found in ((CLASSIC, 2**32, 3), (CLASSIC, 2**32 + 1, 0), (BIG, 2**32 + 1, 3)):
        path = sparse(tmp_path / "a.tif", chain("<", kind, 3), length)
        assert sum(1 for _ in directories_of(path)) == found


@pytest.mark.parametrize(("count", "fits"), [(30_000_000, True), (2**25 + 1, False), (2**61, False)])
def test_a_field_longer_than_any_is_damaged(tmp_path: Path, count: int, fits: bool) -> None:
    """The places of 30 million tiles are read. Of more than 268 MB nothing is, nor of a length beyond any memory."""
    content = written("<", BIG, (SOME, LONG8, count, bytes(9)))
    path = sparse(tmp_path / "a.tif", content, 2**29)
    with nullcontext() if fits else pytest.raises(CutOffTiffError, match=f"{len(content) - 9 + 8 * count:,}$"):
        assert [len(each.raw(stream, SOME)) for stream, each in directories_of(path)] == [8 * count]


class Shrinking(io.BytesIO):
    """A file that another program cuts short between the look at its length and its reading."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size)[:-1]


def test_a_file_that_is_cut_while_it_is_read_is_cut_off() -> None:
    content = chain("<", CLASSIC, 1)
    with pytest.raises(CutOffTiffError) as caught:
        list(directories(Shrinking(content), layout(content)))
    assert caught.value.at == 8
