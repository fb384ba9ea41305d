"""What a TIFF's directories claim is held against the file's size and against what a reader could take."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from nodescan.slides.tiff_checks import (
    LARGEST_TILE_PX,
    MOST_DESCRIBED_BYTES,
    TiffFault,
    missing_bytes,
    scanner_of,
    tiff_fault,
)
from nodescan.slides.tiff_directories import layout_in
from tests.slides.made_files import Fields, write_directories

WIDE, HIGH, OFFSETS, LENGTHS = 322, 323, 324, 325
DESCRIPTION = 270
STRIP_OFFSETS, STRIP_LENGTHS, TURNED = 273, 279, 274
TILED = {WIDE: [256], HIGH: [128], OFFSETS: [8, 8, 8], LENGTHS: [10, 20, 30]}


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, 0),
        ({WIDE: [2**14], HIGH: [2**14]}, 0),
        ({WIDE: [2**20], HIGH: [2**8]}, 0),
        ({WIDE: [2**8], HIGH: [2**20]}, 0),
        ({LENGTHS: [1, LARGEST_TILE_PX, 1]}, 0),
        ({LENGTHS: [1, LARGEST_TILE_PX + 9, 1]}, LARGEST_TILE_PX + 9),
        ({OFFSETS: [], LENGTHS: []}, 0),
        ({TURNED: [1]}, 0),
    ],
)
def test_tiles_that_can_be_what_is_said_of_them_are_no_fault(tmp_path: Path, fields: Fields, size: int) -> None:
    """The largest that are taken, tiles as long as the file, none at all, and upright ones."""
    assert LARGEST_TILE_PX == 2**28
    assert tiff_fault(write_directories(tmp_path / "a.tif", {**TILED, **fields}, size=size)) is None


@pytest.mark.parametrize(
    ("fields", "size", "said"),
    [
        ({WIDE: [2**14 + 1], HIGH: [2**14]}, 0, "damaged: its directory tells of tiles of 16,385 x 16,384 px"),
        ({WIDE: [2**20], HIGH: [257]}, 0, "damaged: its directory tells of tiles of 1,048,576 x 257 px"),
        ({WIDE: [257], HIGH: [2**20]}, 0, "damaged: its directory tells of tiles of 257 x 1,048,576 px"),
        (
            {LENGTHS: [1, LARGEST_TILE_PX + 1, 1]},
            1000,
            "damaged: its directory tells of a tile of 268,435,457 bytes in a file of 1,000",
        ),
        (
            {LENGTHS: [1, LARGEST_TILE_PX + 10, 1]},
            LARGEST_TILE_PX + 9,
            "damaged: its directory tells of a tile of 268,435,466 bytes in a file of 268,435,465",
        ),
        ({TURNED: [2]}, 0, "stored turned or mirrored (TIFF orientation 2)"),
        ({TURNED: [8]}, 0, "stored turned or mirrored (TIFF orientation 8)"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_tiles_that_no_reader_should_be_given_are_told(
    tmp_path: Path, fields: Fields, size: int, said: str, place: int
) -> None:
    """A pixel, a byte or a turn too many, in the first directory or a later one; what was damaged can't be turned."""
    directories = [TILED, {**TILED, **fields}][:: 1 if place else -1]
    found = tiff_fault(write_directories(tmp_path / "a.tif", *directories, size=size))
    assert found == TiffFault(said, damaged=said.startswith("damaged"))


@pytest.mark.parametrize(("words", "refused"), [((2**22,), False), ((2**22 + 1,), True), ((2**21, 2**21 + 1), True)])
def test_absurdly_long_descriptions_are_told(tmp_path: Path, words: Sequence[int], refused: bool) -> None:
    """Of 16 MB in all, in words of 4 bytes. Opening a slide with one of 30 MB took minutes, and 1.4 GB of memory."""
    path = write_directories(tmp_path / "a.tif", *({**TILED, DESCRIPTION: [0] * each} for each in words))
    reason = f"its image descriptions are absurdly long (more than {MOST_DESCRIBED_BYTES:,} bytes)"
    assert tiff_fault(path) == (TiffFault(reason, damaged=True) if refused else None)
    assert MOST_DESCRIBED_BYTES == 2**24


def test_strips_that_are_turned_are_no_fault_of_tiles(tmp_path: Path) -> None:
    """A scanner's picture of the label may be, and no reader is given it."""
    strips = {WIDE: [2**20], HIGH: [2**20], STRIP_OFFSETS: [8], STRIP_LENGTHS: [10], TURNED: [6]}
    assert tiff_fault(write_directories(tmp_path / "a.tif", strips, TILED)) is None


SIZE = 1000


@pytest.mark.parametrize(
    ("directories", "missing"),
    [
        ([{OFFSETS: [8], LENGTHS: [SIZE - 8]}], 0),
        ([{OFFSETS: [8], LENGTHS: [SIZE - 7]}], 1),
        ([{OFFSETS: [SIZE + 3, 8], LENGTHS: [50, 10]}], 53),
        ([{OFFSETS: [8, 8], LENGTHS: [50, SIZE]}], 8),
        ([{STRIP_OFFSETS: [SIZE], STRIP_LENGTHS: [50], OFFSETS: [8], LENGTHS: [10]}], 50),
        ([{STRIP_OFFSETS: [8], STRIP_LENGTHS: [10], OFFSETS: [SIZE], LENGTHS: [50]}], 50),
        ([{OFFSETS: [SIZE], LENGTHS: [50]}, TILED], 50),
        ([TILED, {OFFSETS: [SIZE], LENGTHS: [50]}], 50),
        ([{OFFSETS: [SIZE, 8, 2 * SIZE], LENGTHS: [50, 10]}], 50),
        ([{OFFSETS: [SIZE, 8], LENGTHS: [50, 10, 2 * SIZE]}], 50),
        ([{OFFSETS: [], LENGTHS: [2 * SIZE]}], 0),
    ],
)
@pytest.mark.parametrize("big", [False, True])
def test_the_furthest_byte_of_all_strips_and_tiles_tells_what_is_missing(
    tmp_path: Path, directories: Sequence[Fields], missing: int, big: bool
) -> None:
    """Of every directory, to the byte; an offset without a length, or the reverse, tells nothing."""
    path = write_directories(tmp_path / "a.tif", *directories, big=big, size=SIZE)
    assert path.stat().st_size == SIZE
    assert missing_bytes(path) == missing


@pytest.mark.parametrize(("reach", "missing"), [(50, 302), (400, 400)])
def test_a_missing_directory_hides_nothing_that_the_others_miss(tmp_path: Path, reach: int, missing: int) -> None:
    """It would stand 300 bytes beyond the end, where its count ends at 302; tiles reach less far, or further."""
    tiles = {**TILED, OFFSETS: [SIZE], LENGTHS: [reach]}
    path = write_directories(tmp_path / "a.tif", tiles, size=SIZE, last=SIZE + 300)
    assert missing_bytes(path) == missing
    assert tiff_fault(path) is None
    assert scanner_of(path) is None
    turned = write_directories(tmp_path / "b.tif", {**tiles, TURNED: [3]}, size=SIZE, last=SIZE + 300)
    assert tiff_fault(turned) is not None


@pytest.mark.parametrize("place", [2**62, 2**63, 2**64 - 1])
def test_places_that_add_up_to_more_than_a_number_holds_are_missing(tmp_path: Path, place: int) -> None:
    """They would come out as places within the file."""
    fields = {OFFSETS: [place], LENGTHS: [place]}
    assert missing_bytes(write_directories(tmp_path / "a.tif", fields, big=True, size=SIZE)) == 2**63 - SIZE


@pytest.mark.parametrize(("order", "big"), [("<", False), ("<", True), (">", False), (">", True)])
def test_of_big_endian_files_the_classic_ones_alone_are_declined_for_that(
    tmp_path: Path, order: str, big: bool
) -> None:
    """OpenSlide reads a BigTIFF in either byte order."""
    path = write_directories(tmp_path / "a.tif", TILED, order=order, big=big)
    layout = layout_in(path)
    assert layout is not None
    assert layout.is_big_endian_classic == (order == ">" and not big)
    path.write_bytes(b"MM, no TIFF")
    assert layout_in(path) is None
