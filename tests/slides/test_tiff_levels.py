"""A TIFF's directories are matched with OpenSlide's levels, or nothing is told of their tiles."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from nodescan.domain.geometry import PixelBox
from nodescan.slides.checked_tiles import NOTHING_TOLD, CheckedLevel
from nodescan.slides.stored import StoredSlide
from nodescan.slides.tiff_directories import directories_of
from nodescan.slides.tiff_levels import (
    DeclinedError,
    _table,
    checked_levels,
    has_unnamed_band,
    jpeg_levels,
)
from nodescan.slides.tile_tables import TileTable
from tests.slides.made_files import Fields, noise, overwrite, write_directories, write_tiff
from tests.slides.made_jpegs import set_tag
from tests.slides.openers import tables_of

FINE, HALF, FOURTH = noise(512, 384), noise(256, 192), noise(128, 96)


def told(slide_format: str, *sizes_px: tuple[int, int]) -> StoredSlide:
    """As OpenSlide would tell of such levels."""
    factors = tuple(sizes_px[0][0] / width for width, _ in sizes_px)
    return StoredSlide({"openslide.vendor": slide_format}, sizes_px, factors)


def widths(path: Path, stored: StoredSlide) -> list[int] | None:
    """Of the levels whose tiles are known."""
    tables = tables_of(path, stored)
    return [level.width_px for level in tables.levels] if tables else None


def test_levels_of_a_generic_tiff_are_told_from_the_finest_on_in_whatever_order_they_stand(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "s.tif", [HALF, FOURTH, FINE])
    set_tag(path, 325, 0, level=2, index=5)
    set_tag(path, 324, 0, level=2, index=5)
    stored = told("generic-tiff", (512, 384), (256, 192), (128, 96))
    assert widths(path, stored) == [512, 256, 128]
    tables = tables_of(path, stored)
    assert tables is not None
    assert tables.levels[0].missing(PixelBox(0, 0, 512, 384)) == [PixelBox(128, 128, 128, 128)]
    assert widths(path, told("philips", (256, 192), (128, 96), (512, 384))) == [256, 128, 512]  # in the file's order


@pytest.mark.parametrize("slide_format", ["generic-tiff", "aperio", "philips"])
def test_other_levels_than_openslides_tell_nothing(tmp_path: Path, slide_format: str) -> None:
    """One more or less, of another width or height, or two as wide, of which either may be meant."""
    path = write_tiff(tmp_path / "s.tif", [FINE, HALF])
    assert widths(path, told(slide_format, (512, 384), (256, 192))) == [512, 256]
    for sizes in (
        ((512, 384),),
        ((512, 384), (256, 192), (128, 96)),
        ((513, 384), (256, 192)),
        ((512, 384), (256, 193)),
    ):
        assert widths(path, told(slide_format, *sizes)) is None
    twice = write_tiff(tmp_path / "twice.tif", [FINE, HALF, HALF])
    assert widths(twice, told(slide_format, (512, 384), (256, 192), (256, 192))) is None


@pytest.mark.parametrize("clipped", [(250, 192), (256, 190), (250, 190)])
def test_philips_alone_shows_less_than_is_stored(tmp_path: Path, clipped: tuple[int, int]) -> None:
    """Its levels are padded to whole tiles; the table is of what is stored."""
    path = write_tiff(tmp_path / "s.tif", [FINE, HALF])
    assert widths(path, told("philips", (512, 384), clipped)) == [512, 256]
    for slide_format in ("generic-tiff", "aperio"):
        assert widths(path, told(slide_format, (512, 384), clipped)) is None


def test_of_other_formats_and_of_what_is_no_tiff_nothing_is_told(tmp_path: Path) -> None:
    """A Leica file holds tiles of several scans; a text, none."""
    path, text = write_tiff(tmp_path / "s.tif", [FINE]), tmp_path / "t.tif"
    text.write_text("II, but no more than that")
    for each, slide_format in ((path, "leica"), (text, "generic-tiff")):
        stored = told(slide_format, (512, 384))
        assert widths(each, stored) is None
        assert not has_unnamed_band(each, stored)


def test_aperio_alone_leaves_out_no_tile(tmp_path: Path) -> None:
    """What its finest level lacks is lost at a coarser one, too, which has a tile there."""
    path = write_tiff(tmp_path / "s.tif", [FINE, HALF])
    for tag in (325, 324):
        set_tag(path, tag, 0, index=0)
    for slide_format, lost in (("aperio", True), ("generic-tiff", False)):
        tables = tables_of(path, told(slide_format, (512, 384), (256, 192)))
        assert tables is not None
        assert tables.has_lost(1, PixelBox(0, 0, 10, 10)) == lost


@pytest.mark.parametrize("banded", [(True, False), (False, True)])
def test_a_fourth_band_of_any_level_counts(tmp_path: Path, banded: tuple[bool, bool]) -> None:
    """Programs may keep it in some."""
    path = tmp_path / "s.tif"
    with tifffile.TiffWriter(path) as file:
        for index, (pixels, has_band) in enumerate(zip((FINE, HALF), banded, strict=True)):
            opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
            file.write(
                np.concatenate([pixels, opaque], axis=2) if has_band else pixels,
                tile=(128, 128),
                photometric="rgb",
                extrasamples=["unspecified"] if has_band else None,
                subfiletype=int(index > 0),
                metadata=None,
            )
    assert has_unnamed_band(path, told("generic-tiff", (512, 384), (256, 192)))


WIDTH, HEIGHT, WIDE, HIGH, OFFSETS, LENGTHS = 256, 257, 322, 323, 324, 325
NINE: Fields = {
    WIDTH: [250],
    HEIGHT: [120],
    WIDE: [100],
    HIGH: [50],
    OFFSETS: [10, 20, 20, 0, 40, 33, 50, 60, 60],
    LENGTHS: [5, 0, 7, 0, 6, 0, 8, 0, 0],
}
"""Tile 1 has the place of one with data, 3 none, 5 its own, 7 and 8 one of theirs."""


def table_of(folder: Path, fields: Fields) -> TileTable:
    (found,) = (_table(*each) for each in directories_of(write_directories(folder / "a.tif", fields)))
    return found


def test_a_tile_without_data_was_lost_where_it_has_a_place_of_its_own(tmp_path: Path) -> None:
    """Writers that leave a tile out give it none, or that of the next one."""
    table = table_of(tmp_path, NINE)
    assert (table.width_px, table.height_px, table.tile_width_px, table.tile_height_px) == (250, 120, 100, 50)
    assert table.lengths.tolist() == NINE[LENGTHS]
    assert np.flatnonzero(table.placed).tolist() == [5, 7, 8]
    assert not table_of(tmp_path, {**NINE, LENGTHS: [1] * 9}).placed.any()


def test_a_tile_is_missing_that_one_of_several_planes_lacks(tmp_path: Path) -> None:
    """And lost where it has a place of its own in any."""
    planes = {**NINE, OFFSETS: [*range(100, 109), *NINE[OFFSETS]], LENGTHS: [1, 2, 3, 4, 5, 6, 7, 8, 0, *NINE[LENGTHS]]}
    table = table_of(tmp_path, planes)
    assert table.lengths.tolist() == [1, 0, 3, 0, 5, 0, 7, 0, 0]
    assert np.flatnonzero(table.placed).tolist() == [5, 7, 8]
    planes[OFFSETS] = [*range(100, 109), *range(9)]
    planes[LENGTHS] = [*NINE[LENGTHS], *range(1, 10)]
    assert np.flatnonzero(table_of(tmp_path, planes).placed).tolist() == [1, 3, 5, 7, 8]


@pytest.mark.parametrize(
    "fields",
    [
        {WIDTH: [0]},
        {HEIGHT: [0]},
        {WIDE: [0]},
        {HIGH: [0]},
        {WIDE: [4097], OFFSETS: [1] * 3, LENGTHS: [1] * 3},
        {HIGH: [4097], OFFSETS: [1] * 3, LENGTHS: [1] * 3},
        {LENGTHS: []},
        {OFFSETS: []},
        {LENGTHS: [], OFFSETS: []},
        {LENGTHS: [1] * 8, OFFSETS: [1] * 8},
        {LENGTHS: [1] * 10, OFFSETS: [1] * 10},
        {LENGTHS: [1] * 9, OFFSETS: [1] * 18},
        {LENGTHS: [1] * 18, OFFSETS: [1] * 9},
    ],
)
def test_a_table_that_its_size_contradicts_is_declined(tmp_path: Path, fields: Fields) -> None:
    """Without sides, of tiles beyond any use, or of another number of tiles, lengths or places."""
    with pytest.raises(DeclinedError):
        table_of(tmp_path, {**NINE, **fields})
    for tag in (OFFSETS, LENGTHS):
        with pytest.raises(DeclinedError):
            table_of(tmp_path, {each: NINE[each] for each in NINE if each != tag})


@pytest.mark.parametrize("side", [WIDE, HIGH])
def test_the_largest_tiles_that_are_taken_are_4096_px_wide_or_high(tmp_path: Path, side: int) -> None:
    """One row or column of them, of three of the other side."""
    table = table_of(tmp_path, {**NINE, side: [4096], OFFSETS: [1] * 3, LENGTHS: [1] * 3})
    assert len(table.lengths) == 3


def checked_level(path: Path, compression: str) -> CheckedLevel:
    """Of FINE in tiles that lie down, as it is told of this file, which is made where there is none."""
    if not path.exists():
        with tifffile.TiffWriter(path) as file:
            file.write(FINE, tile=(64, 160), photometric="rgb", compression=compression, metadata=None)
    (level,) = checked_levels(path, told("generic-tiff", (512, 384)))
    return level


def test_tiles_whose_coding_says_nothing_of_damage_are_not_checked(tmp_path: Path) -> None:
    """LZW; where no JPEG has a header that can be read, all of them are broken."""
    level = checked_level(tmp_path / "lzw.tif", "lzw")
    assert (level.table.width_px, level.table.height_px, level.check) == (512, 384, NOTHING_TOLD)
    path = tmp_path / "jpeg.tif"
    level = checked_level(path, "jpeg")
    for offset, size in zip(level.offsets[0].tolist(), level.sizes[0].tolist(), strict=True):
        overwrite(path, offset, bytes(size))
    assert checked_level(path, "jpeg").check.said == "its JPEG is broken"


def test_jpegs_that_are_not_square_are_whole_at_their_own_size(tmp_path: Path) -> None:
    """Else all would be broken, and for that none be checked."""
    path = tmp_path / "s.tif"
    level = checked_level(path, "jpeg")
    content = path.read_bytes()
    for offset, size in zip(level.offsets[0].tolist(), level.sizes[0].tolist(), strict=True):
        assert level.check.said == "its JPEG is broken"
        assert level.check.holds(content[offset : offset + size])
        assert not level.check.holds(content[offset : offset + size // 2])


def test_levels_without_one_sound_jpeg_header_are_left_to_openslide(tmp_path: Path) -> None:
    """Nothing is known of how their tiles are coded."""
    path, stored = tmp_path / "s.tif", told("generic-tiff", (256, 256))
    tifffile.imwrite(path, noise(256, 256), tile=(128, 128), compression="jpeg", photometric="rgb")
    assert jpeg_levels(path, stored) is not None
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    with path.open("r+b") as stream:
        for offset, length in places:
            stream.seek(offset)
            stream.write(bytes(length))
    assert jpeg_levels(path, stored) is None
