"""A JPEG tile's header is read as ITU T.81 has it, and what isn't sound in it is never decoded."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from nodescan.slides.jpeg_tiles import (
    BadTileError,
    JpegHeader,
    decode_tile,
    header_of,
    is_whole,
    luma_steps,
    shared_tables,
)
from tests.slides.made_jpegs import tissue_like

START, END = b"\xff\xd8", b"\xff\xd9"
FULL, ACROSS, BOTH, DOWN, FOUR = (1, 1), (2, 1), (2, 2), (1, 2), (4, 1)


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def frame(*sampling: tuple[int, int], marker: int = 0xC0, bits: int = 8, size: tuple[int, int] = (300, 200)) -> bytes:
    """A frame's segment. size: (width, height)."""
    parts = b"".join(bytes((index, across << 4 | down, 0)) for index, (across, down) in enumerate(sampling, 1))
    return segment(marker, struct.pack(">BHHB", bits, size[1], size[0], len(sampling)) + parts)


@pytest.mark.parametrize(
    ("sampling", "plain", "checkable"),
    [
        ((FULL, FULL, FULL), True, True),
        ((ACROSS, FULL, FULL), True, True),
        ((BOTH, FULL, FULL), True, True),
        ((FULL,), False, True),
        ((DOWN, FULL, FULL), False, True),
        ((FOUR, FULL, FULL), False, True),
        ((ACROSS,), False, False),
        ((FULL, FULL), False, False),
        ((FULL, FULL, FULL, FULL), False, False),
        ((FULL, ACROSS, FULL), False, False),
        ((BOTH, FULL, ACROSS), False, False),
        ((BOTH, BOTH, BOTH), False, False),
    ],
)
@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2])
def test_a_frame_tells_its_size_depth_and_subsampling(
    sampling: tuple[tuple[int, int], ...], plain: bool, checkable: bool, marker: int
) -> None:
    """Behind any other segment and fill bytes. Of more than 8 bits nothing is decoded."""
    for bits in (8, 12):
        tile = START + segment(0xE0, b"JFIF") + b"\xff\xff" + frame(*sampling, marker=marker, bits=bits)
        found = header_of(tile)
        assert found == JpegHeader(300, 200, bits, sampling)
        assert (found.plain, found.checkable) == (plain and bits == 8, checkable and bits == 8)


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC9, 0xCA])
def test_a_frame_of_another_coding_is_none(marker: int) -> None:
    """Lossless, hierarchical, arithmetic."""
    with pytest.raises(BadTileError, match="no frame that can be read"):
        header_of(START + frame(FULL, marker=marker) + segment(0xDA, b""))


@pytest.mark.parametrize("marker", [0x01, 0xD0, 0xD7, 0xD9])
def test_a_marker_without_a_length_ends_the_header(marker: int) -> None:
    """Restarts and the end: what follows is none."""
    with pytest.raises(BadTileError, match="no frame that can be read"):
        header_of(START + bytes((0xFF, marker)) + frame(FULL))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"", "not a JPEG"),
        (b"\xff\xd9" + frame(FULL), "not a JPEG"),
        (b"\xfe\xd8" + frame(FULL), "not a JPEG"),
        (START, "no frame"),
        (START + b"\xff", "no frame"),
        (START + b"\0" + frame(FULL), "header is damaged"),
        (START + b"\xff\xe0\0\1" + frame(FULL), "ends within the header"),
        (START + frame(FULL)[:-1], "ends within the header"),
        (START + segment(0xC0, frame(FULL, FULL)[4:-3]), "header is damaged"),
        (START + segment(0xC0, b"\x08\0\1\0"), "header is damaged"),
    ],
)
def test_a_damaged_header_is_a_bad_tile(header: bytes, said: str) -> None:
    with pytest.raises(BadTileError, match=said):
        header_of(header)


@pytest.mark.parametrize(
    "tile", [b"", START, START + b"\xff", START + END, START + b"\xff\xc0\0\2\xff\xda", START + frame(FULL, FULL, FULL)]
)
def test_a_tile_without_a_scan_is_bad(tile: bytes) -> None:
    """However short."""
    with pytest.raises(BadTileError):
        decode_tile(tile, b"", ycbcr=True, size_px=(300, 200))
    assert not is_whole(tile, b"", size_px=(300, 200))


def test_the_shortest_segments_are_passed_over() -> None:
    """A length counts itself."""
    assert header_of(START + segment(0xFE, b"") + frame(FULL)) == JpegHeader(300, 200, 8, (FULL,))


def test_a_tiff_shares_its_quantisation_and_huffman_tables_alone() -> None:
    """Whatever else stands beside them."""
    quantisation, huffman = segment(0xDB, b"q"), segment(0xC4, b"h")
    content = START + segment(0xE0, b"JFIF") + quantisation + segment(0xEE, b"Adobe") + huffman + segment(0xDD, b"\0\4")
    assert shared_tables(content + END) == quantisation + huffman
    with pytest.raises(BadTileError):
        shared_tables(b"")


def table(number: int, step: int, *, wide: bool = False) -> bytes:
    return bytes((wide << 4 | number,)) + (b"\0" * wide + bytes((step,))) * 64


def test_the_steps_of_luminance_are_those_of_table_0() -> None:
    """Of the last segment that has it, in the order in which they stand; a table that is cut is none."""
    for wide in (False, True):
        for content in (table(0, 5, wide=wide) + table(1, 7), table(3, 7, wide=wide) + table(0, 5)):
            assert luma_steps(START + segment(0xDB, content), b"") == (5,) * 64
    own = START + segment(0xDB, table(0, 3)) + segment(0xDB, table(0, 5)) + segment(0xDB, table(1, 7))
    assert luma_steps(own, segment(0xDB, table(0, 9))) == (5,) * 64
    assert luma_steps(START + segment(0xC4, b""), segment(0xC4, b"") + segment(0xDB, table(0, 9))) == (9,) * 64
    order = bytes(range(1, 65))
    assert luma_steps(START + segment(0xDB, b"\0" + order), b"") == tuple(order)
    assert luma_steps(START + segment(0xDB, table(0, 5)[:-1]), b"") == ()
    assert luma_steps(START, b"") == ()


PIXELS = tissue_like(64, 48)


def encoded(**options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 2}, {"progressive": True}], ids=str)
def test_a_tile_is_decoded_as_by_any_other_reader(options: dict[str, object]) -> None:
    """With restarts, and in scans one finer than the other."""
    tile = encoded(**options)
    pixels = decode_tile(tile, b"", ycbcr=True, size_px=(64, 48))
    assert np.array_equal(pixels, np.asarray(Image.open(io.BytesIO(tile))))
    assert is_whole(tile, b"", size_px=(64, 48))
    assert not pixels.flags.writeable


@pytest.mark.parametrize("kind", ["440", "411", "grey"])
def test_what_decoders_differ_in_is_checked_and_not_decoded(kind: str) -> None:
    """Other subsampling, and one channel, which would come out as three that are alike."""
    pixels, coding = (PIXELS[..., 0], {}) if kind == "grey" else (PIXELS, {"subsampling": kind})
    tile = imagecodecs.jpeg8_encode(np.ascontiguousarray(pixels), level=90, **coding)
    with pytest.raises(BadTileError, match=r"^a tile of another depth, number of channels or subsampling$"):
        decode_tile(tile, b"", ycbcr=True, size_px=(64, 48))
    assert is_whole(tile, b"", size_px=(64, 48))
    assert not is_whole(tile[:-40], b"", size_px=(64, 48))


def test_the_colour_space_is_the_tiffs_whatever_the_tile_says() -> None:
    """The same numbers, as red, green and blue, or as brightness and two colours."""
    tile = imagecodecs.jpeg8_encode(PIXELS, level=95, colorspace="RGB", outcolorspace="RGB")
    assert np.abs(decode_tile(tile, b"", ycbcr=False, size_px=(64, 48)).astype(int) - PIXELS).mean() < 5
    turned = np.asarray(Image.fromarray(PIXELS, "YCbCr").convert("RGB"))
    assert np.abs(decode_tile(tile, b"", ycbcr=True, size_px=(64, 48)).astype(int) - turned).mean() < 8


@pytest.mark.parametrize("size", [(64, 49), (65, 48), (48, 64)])
def test_a_tile_of_another_size_is_bad_before_it_costs_memory(size: tuple[int, int]) -> None:
    tile = encoded()
    with pytest.raises(BadTileError, match=f"^a tile of 64 x 48 px, not {size[0]} x {size[1]}$"):
        decode_tile(tile, b"", ycbcr=True, size_px=size)
    assert not is_whole(tile, b"", size_px=size)


def codes(number: int, *symbols: int) -> bytes:
    """A Huffman table, of which only symbols are told apart here; the first has the code of zeros alone."""
    return bytes((number, 0, 0, 0, len(symbols))) + bytes(12) + bytes(symbols)


@pytest.mark.parametrize(
    ("tables", "lost"),
    [
        ([codes(0x10, 1)], True),
        ([codes(0x11, 1, 2)], True),
        ([codes(0x10, 0, 1)], False),
        ([codes(0x10, 2)], False),
        ([codes(0x00, 1)], False),
        ([codes(0x01, 1), codes(0x10, 0)], False),
        ([codes(0x00, 1, 2, 3) + codes(0x10, 1)], True),
        ([codes(0x10, 0, 5) + codes(0x11, 1)], True),
        ([bytes((0x10, 1, *[0] * 14, 1, 0, 2)) + codes(0x11, 1)], True),  # codes of 1 and of 16 bits
        ([codes(0x10, 0), codes(0x11, 1)], True),
        ([codes(0x10)], False),
        ([codes(0x10, 1)[:12]], False),
    ],
)
def test_zeros_are_lost_bytes_where_they_would_stand_for_details(tables: list[bytes], lost: bool) -> None:
    """Of 32 or more in a row, by any table of coefficients; not in progressive scans, where they may be data."""
    huffman = b"".join(segment(0xC4, each) for each in tables)
    for marker, zeros in ((0xC0, 32), (0xC1, 32), (0xC0, 31), (0xC2, 32)):
        header = frame(BOTH, FULL, FULL, marker=marker)
        scan = segment(0xDA, b"\1") + b"\7" + bytes(zeros) + b"\7"
        for tile, shared in ((START + header + huffman + scan, b""), (START + header + scan, huffman)):
            with pytest.raises(BadTileError) as caught:
                decode_tile(tile, shared, ycbcr=True, size_px=(300, 200))
            assert ("was lost" in str(caught.value)) == (lost and zeros == 32 and marker != 0xC2)


def test_zeros_behind_the_end_of_a_tile_are_no_lost_bytes() -> None:
    """A writer may pad its tiles."""
    tile = encoded()
    padded = tile + bytes(40)
    assert np.array_equal(
        decode_tile(padded, b"", ycbcr=True, size_px=(64, 48)), np.asarray(Image.open(io.BytesIO(tile)))
    )
    assert is_whole(padded, b"", size_px=(64, 48))


@pytest.mark.parametrize("end", [b"", END])
def test_zeros_in_the_place_of_a_tiles_last_part_are_lost_bytes(end: bytes) -> None:
    """Whether its end is there or not."""
    damaged = encoded()[: -40 - len(end)] + bytes(40) + end
    with pytest.raises(BadTileError, match=r"^a part of its JPEG was lost$"):
        decode_tile(damaged, b"", ycbcr=True, size_px=(64, 48))
    assert not is_whole(damaged, b"", size_px=(64, 48))
