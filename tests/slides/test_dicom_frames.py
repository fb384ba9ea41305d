"""Where the frames of a DICOM file lie: by either table of offsets, or item by item (DICOM PS3.5, A.4)."""

import io
import struct
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from nodescan.slides.checked_tiles import NOTHING_TOLD, CheckedLevel
from nodescan.slides.dicom_frames import _starts, checked_frames
from tests.slides.made_dicom import JPEG, JPEG_2000, Level, element, write_level

FRAMES = b"abcdef", b"ghij", b"klmnopqr"


def item(content: bytes) -> bytes:
    """A length of four bytes before it, behind the tag of an item."""
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def pixels(basic: bytes, *, items: tuple[bytes, ...] = FRAMES) -> io.BytesIO:
    """What follows the head of the pixel data: the basic table, the items, and the mark of their end."""
    return io.BytesIO(item(basic) + b"".join(map(item, items)) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) + b"trailing")


def offsets(*items: bytes) -> list[int]:
    """Of the items' heads, from the first on."""
    return [0, *np.cumsum([8 + len(content) for content in items[:-1]]).tolist()]


def test_frames_lie_where_each_table_says_and_where_there_is_none() -> None:
    """Of three frames of an item each; the extended table holds where both are there. The last ends at the mark."""
    found = offsets(*FRAMES)
    basic, extended = struct.pack("<3I", *found), struct.pack("<3Q", *found)
    ends = sum(8 + len(frame) for frame in FRAMES)
    wrong = struct.pack("<3I", 0, 1, 2)
    for inside, outside in ((basic, b""), (b"", extended), (b"", b""), (wrong, extended)):
        first = 8 + len(inside)
        assert _starts(pixels(inside), outside).tolist() == [first + offset for offset in (*found, ends)]


def test_a_frame_of_several_items_is_one_by_a_table() -> None:
    """Two items and one; without a table each item would be a frame."""
    table = struct.pack("<2I", 0, offsets(*FRAMES)[2])
    assert _starts(pixels(table), b"").tolist() == [16, 16 + 14 + 12, 16 + 14 + 12 + 16]


@pytest.mark.parametrize("table", [(1, 14, 26), (0, 26, 14), (0, 14, 14)])
def test_a_table_out_of_order_tells_nothing(table: tuple[int, int, int]) -> None:
    """One that doesn't begin with 0, goes back, or gives two frames one place."""
    assert len(_starts(pixels(struct.pack("<3I", *table)), b"")) == 0
    assert len(_starts(pixels(b""), struct.pack("<3Q", *table))) == 0


def test_pixels_that_are_no_items_tell_nothing_and_a_cut_file_ends_its_last_frame() -> None:
    """Pixels that aren't compressed have no items; where the file ends, so does the last whole head's item."""
    assert len(_starts(io.BytesIO(bytes(64)), b"")) == 0
    whole = pixels(b"").getvalue()
    cut = whole[: 8 + 14 + 12 + 8 + 3]  # in the midst of the third frame
    assert _starts(io.BytesIO(cut), b"").tolist() == [8, 22, 34, 50]


SIZE_PX, TILE_PX, ACROSS, DOWN = (600, 520), (128, 64), 5, 9
"""A level whose tiles lie down, the last of them cut on both sides."""

GREYS = {tile: 7 * tile % 45 * 5 for tile in range(ACROSS * DOWN)}
"""Of each tile, by its number; neighbours differ by 35 and more, what coding changes is 13 at most."""

NUMBERED = np.zeros((SIZE_PX[1], SIZE_PX[0], 3), np.uint8)
for _tile, _grey in GREYS.items():
    _top, _left = _tile // ACROSS * TILE_PX[1], _tile % ACROSS * TILE_PX[0]
    NUMBERED[_top : _top + TILE_PX[1], _left : _left + TILE_PX[0]] = _grey

FULL = Level(NUMBERED, (0.25, 0.25), tile_px=TILE_PX, syntax=JPEG)


def level_of(level: Level, folder: Path, changed: tuple[bytes, bytes] = (b"", b"")) -> CheckedLevel:
    """What is told of NUMBERED as a file. changed: bytes that stand in it, and others of the same number for them."""
    path = write_level(folder / "a.dcm", level)
    content = path.read_bytes()
    assert changed[0] in content
    assert len(changed[0]) == len(changed[1])
    if changed[0]:
        path.write_bytes(content.replace(*changed))
    (found,) = checked_frames(path, (SIZE_PX,))
    return found


def greys_in(level: CheckedLevel) -> dict[int, float]:
    """Of what lies at each place where the level has a tile; each is whole."""
    content = level.path.read_bytes()
    found: dict[int, float] = {}
    for tile in np.flatnonzero(level.table.lengths).tolist():
        start, size = int(level.offsets[0, tile]), int(level.sizes[0, tile])
        assert size == level.table.lengths[tile]
        assert level.check.holds(content[start : start + size])
        assert not level.check.holds(content[start : start + size // 2])
        pixels = imagecodecs.imread(content[start + 8 : start + size])
        found[tile] = float(pixels[:4, :4].mean())
    return found


@pytest.mark.parametrize("kept", [None, tuple(range(45)), (0, 3, 17, 44), (44, 5, 0)])
@pytest.mark.parametrize("syntax", [JPEG, JPEG_2000])
def test_each_tile_is_held_against_its_own_frame(tmp_path: Path, kept: tuple[int, ...] | None, syntax: str) -> None:
    """Whether all are there, row by row, or some, by the places they state in any order; of tiles that lie down."""
    level = level_of(replace(FULL, kept=kept, syntax=syntax), tmp_path)
    table = level.table
    assert (table.width_px, table.height_px, table.tile_width_px, table.tile_height_px) == (*SIZE_PX, *TILE_PX)
    assert table.lengths.shape == (ACROSS * DOWN,)
    assert not table.placed.any()
    assert greys_in(level) == pytest.approx({tile: GREYS[tile] for tile in kept or range(45)}, abs=15)


@pytest.mark.parametrize(
    ("kept", "moved", "told"),
    [
        ((6, 8), (-128, -64), True),
        ((43, 38), (128, 0), True),
        ((34, 39), (0, 64), True),
        ((6, 8), (-127, -64), False),
        ((6, 8), (-128, -63), False),
        ((5, 7), (-128, 0), False),
        ((1, 3), (0, -64), False),
        ((44, 37), (128, 0), False),
        ((44, 34), (0, 64), False),
    ],
)
def test_frames_beside_the_tiles_or_beyond_the_level_tell_nothing(
    tmp_path: Path, kept: tuple[int, ...], moved: tuple[int, int], told: bool
) -> None:
    """They would be taken for tiles that they aren't: the one to the left of a row is the last of the row above."""
    level = level_of(replace(FULL, kept=kept, moved=moved), tmp_path)
    assert (level.check is not NOTHING_TOLD) == told
    if told:
        right, down = moved[0] // TILE_PX[0], moved[1] // TILE_PX[1]
        assert greys_in(level) == pytest.approx({tile + right + ACROSS * down: GREYS[tile] for tile in kept}, abs=2)


def test_frames_that_lie_row_by_row_may_be_fewer_than_the_tiles_or_more(tmp_path: Path) -> None:
    """Of a file that was ended early the last tiles are missing; what follows the last tile has no place."""
    some = level_of(replace(FULL, kept=tuple(range(12))), tmp_path, (b"TILED_SPARSE", b"TILED_FULL  "))
    assert greys_in(some) == pytest.approx({tile: GREYS[tile] for tile in range(12)}, abs=2)
    assert greys_in(level_of(replace(FULL, doubled=True), tmp_path)) == pytest.approx(GREYS, abs=2)


def short(number: int, value: int) -> bytes:
    """An element of the group that tells the tiles' sides."""
    return element(0x0028, number, "US", struct.pack("<H", value))


BASELINE, TWELVE_BITS = b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"
"""How the frames' headers begin, and how one would of which libjpeg can't tell."""


@pytest.mark.parametrize(
    ("syntax", "changed", "said"),
    [
        (JPEG_2000, (JPEG_2000.encode(), JPEG_2000[:-1].encode() + b"0"), "its code stream is broken"),
        (JPEG, (JPEG.encode(), JPEG[:-1].encode() + b"1"), ""),
        (JPEG, (BASELINE, TWELVE_BITS), ""),
        (JPEG, (b"\xff\xd8\xff\xe0", bytes(4)), "its JPEG is broken"),
        (JPEG, (b"TILED_FULL", b"TILED_FOLD"), ""),
        (JPEG, (b"TILED_FULL", b"TILED_FUL\xff"), ""),
        (JPEG, (struct.pack("<HH2sHH", 0x28, 0x10, b"US", 2, 64), struct.pack("<HH2sHH", 0x28, 0x10, b"US", 2, 0)), ""),
        (
            JPEG,
            (struct.pack("<HH2sHH", 0x28, 0x11, b"US", 2, 128), struct.pack("<HH2sHH", 0x28, 0x11, b"US", 2, 0)),
            "",
        ),
    ],
)
def test_what_frames_are_held_against_is_told_by_how_they_are_coded(
    tmp_path: Path, syntax: str, changed: tuple[bytes, bytes], said: str
) -> None:
    """JPEG 2000 without loss is as that with; another JPEG, 12 bits, unknown places or tiles without a side tell
    nothing. Frames that are no JPEG at all are damaged."""
    assert level_of(replace(FULL, syntax=syntax), tmp_path, changed).check.said == said


PIXEL_DATA = struct.pack("<HH2s", 0x7FE0, 0x0010, b"OB")


@pytest.mark.parametrize("left", [4, 12, 20, 5000])
@pytest.mark.parametrize("kept", [None, tuple(range(45))])
def test_a_file_that_ends_before_its_frames_do_is_no_error(
    tmp_path: Path, left: int, kept: tuple[int, ...] | None
) -> None:
    """So many bytes from the tag of its pixels on: within its head, behind that, before the first frame, among them.

    Where all frames are told to lie row by row, those that are there are; else they are of places that aren't known.
    """
    path = write_level(tmp_path / "a.dcm", replace(FULL, kept=kept, table=""))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(PIXEL_DATA) + left])
    (level,) = checked_frames(path, (SIZE_PX,))
    assert (level.check is NOTHING_TOLD) == (left <= 20 or kept is not None)


def test_frames_of_which_some_state_no_place_tell_nothing(tmp_path: Path) -> None:
    """The first of two lacks how far down it lies."""
    row = element(0x0048, 0x021F, "SL", struct.pack("<i", 1))
    other = element(0x0048, 0x0220, "SL", struct.pack("<i", 1))
    level = level_of(replace(FULL, kept=(0, 6)), tmp_path, (row, other))
    assert level.check is NOTHING_TOLD


def test_a_level_of_one_frame_is_held_against_it(tmp_path: Path) -> None:
    """As the coarsest often is."""
    pixels = np.ascontiguousarray(NUMBERED[64:128, :128])
    path = write_level(tmp_path / "a.dcm", replace(FULL, pixels=pixels))
    (level,) = checked_frames(path, (TILE_PX,))
    assert greys_in(level) == pytest.approx({0: GREYS[5]}, abs=2)


def test_a_frame_whose_header_is_damaged_tells_nothing_of_how_the_others_are_coded(tmp_path: Path) -> None:
    """The first is, of which else it would be asked."""
    sound = level_of(FULL, tmp_path)
    content = bytearray(sound.path.read_bytes().replace(BASELINE, TWELVE_BITS))
    start = int(sound.offsets[0, 0])
    content[start + 8 : start + 10] = bytes(2)
    sound.path.write_bytes(bytes(content))
    assert checked_frames(sound.path, (SIZE_PX,))[0].check is NOTHING_TOLD


def test_what_is_no_dicom_has_no_levels_and_a_size_without_a_file_is_not_checked(tmp_path: Path) -> None:
    """The levels are told in the order that they were asked for."""
    (tmp_path / "a.txt").write_bytes(bytes(500))
    assert checked_frames(tmp_path / "a.txt", (SIZE_PX,)) == ()
    path = level_of(FULL, tmp_path).path
    other, own = checked_frames(path, ((300, 260), SIZE_PX))
    assert (other.table.width_px, other.table.height_px, other.check) == (300, 260, NOTHING_TOLD)
    assert own.check.said == "its JPEG is broken"
