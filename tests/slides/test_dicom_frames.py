"""Where the frames of a DICOM file lie: by either table of offsets, or item by item (DICOM PS3.5, A.4)."""

import io
import struct

import numpy as np
import pytest

from nodescan.slides.dicom_frames import _starts

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
