"""JPEG that only OpenSlide decodes, which passes over what libjpeg warns of, is held against its own codes."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError
from nodescan.interfaces import Slide
from nodescan.slides import open_slide
from nodescan.slides.dicom_frames import checked_frames
from nodescan.slides.jpeg_tiles import BadTileError, decode_tile, header_of, is_whole, shared_tables
from tests.slides.made_dicom import EXPLICIT, JPEG, JPEG_2000, Level, write_level
from tests.slides.made_files import lose_bytes
from tests.slides.made_jpegs import APERIO, Coding, set_tag, tile_place, tissue_like, write_jpegs

NATIVE = Spacing.square(0.25)
PIXELS = tissue_like(600, 520)


def opened(path: Path) -> Slide:
    slide = open_slide(SlideRef("s", path))
    assert slide.info.reader == "openslide"
    return slide


def assert_damaged(slide: Slide, box: PixelBox) -> None:
    for _ in range(2):
        with pytest.raises(RegionUnreadableError, match=r"a tile of level 0 is damaged: its JPEG is broken"):
            slide.read(box, NATIVE)


@pytest.mark.parametrize("coding", [Coding(), Coding(photometric="rgb", shared=True)], ids=["own", "shared"])
def test_an_aperio_file_with_an_empty_tile_is_checked(tmp_path: Path, coding: Coding) -> None:
    """The empty one makes all of the file OpenSlide's, which shows a tile that lost 512 bytes as grey or smeared."""
    path = write_jpegs(tmp_path / "s.svs", [PIXELS, np.ascontiguousarray(PIXELS[::4, ::4])], coding, description=APERIO)
    set_tag(path, 325, 0, index=8)
    slide = opened(path)
    whole = slide.read(PixelBox(0, 0, 600, 512), NATIVE)
    slide.close()
    lose_bytes(path, tile_place(path, level=0, tile=1))
    slide = opened(path)
    assert_damaged(slide, PixelBox(300, 10, 50, 50))
    assert np.array_equal(slide.read(PixelBox(0, 256, 600, 256), NATIVE), whole[256:])
    slide.close()


@pytest.mark.parametrize("subsampling", ["440", "411"])
def test_odd_subsampling_is_checked(tmp_path: Path, subsampling: str) -> None:
    """Also with shared tables, and in a level of one tile, of which the finer level tells that it can be told."""
    levels = [PIXELS, np.ascontiguousarray(PIXELS[::4, ::4])]
    path = write_jpegs(tmp_path / "s.tif", levels, Coding(subsampling=subsampling, shared=True))
    slide = opened(path)
    slide.read(PixelBox(0, 0, 600, 520), NATIVE)
    slide.close()
    lose_bytes(path, tile_place(path, level=0, tile=4))
    lose_bytes(path, tile_place(path, level=1, tile=0))
    slide = opened(path)
    assert_damaged(slide, PixelBox(256, 256, 10, 10))
    with pytest.raises(RegionUnreadableError, match="a tile of level 1 is damaged"):
        slide.read(PixelBox(0, 0, 10, 10), Spacing.square(1))
    slide.read(PixelBox(0, 0, 600, 256), NATIVE)
    slide.close()


def test_tiles_that_all_have_more_than_their_pixels_are_read(tmp_path: Path) -> None:
    """As a program writes them that pads before the last mark: that says nothing of damage."""
    path = write_jpegs(tmp_path / "s.tif", [PIXELS], Coding(subsampling="440"))
    data = path.read_bytes()
    for tile in range(9):
        offset, length = tile_place(path, level=0, tile=tile)
        set_tag(path, 324, path.stat().st_size, index=tile)
        set_tag(path, 325, length + 64, index=tile)
        with path.open("ab") as stream:
            stream.write(data[offset : offset + length - 2] + 64 * b"\x55" + b"\xff\xd9")
    slide = opened(path)
    assert slide.read(PixelBox(0, 0, 600, 520), NATIVE).std() > 10
    slide.close()


def test_lost_bytes_are_told_by_tables_that_make_details_of_zeros(tmp_path: Path) -> None:
    """libjpeg would take a third of these for pixels. Where a table makes nothing of zeros, glass is full of them."""
    path = write_jpegs(tmp_path / "s.tif", [PIXELS], Coding())
    offset, length = tile_place(path, level=0, tile=4)
    sound = path.read_bytes()[offset : offset + length]
    for at in range(800, length - 64, 300):
        assert not is_whole(sound[:at] + bytes(64) + sound[at + 64 :], b"", size_px=(256, 256))
    glass = np.full((256, 256, 3), 240, np.uint8)
    glass[:8, :8] = PIXELS[:8, :8]
    tile = imagecodecs.jpeg8_encode(glass, level=85, optimize=True)
    assert bytes(64) in tile
    assert is_whole(tile, b"", size_px=(256, 256))


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_a_tile_is_whole_where_it_decodes_without_a_warning(tmp_path: Path, subsampling: str) -> None:
    """Brightness at an eighth of the size reads every code: cuts, zeros and changed bytes at random places."""
    path = write_jpegs(tmp_path / "s.tif", [PIXELS], Coding(subsampling=subsampling))
    offset, length = tile_place(path, level=0, tile=4)
    sound = path.read_bytes()[offset : offset + length]
    head, rng = sound.index(b"\xff\xda") + 14, np.random.default_rng(0)
    told = 0
    for example in range(120):
        tile, at = bytearray(sound), int(rng.integers(head, length - 64))
        if example % 3 == 0:
            del tile[at:]
        else:
            span = 64 if example % 3 == 1 else 16
            tile[at : at + span] = bytes(span) if example % 3 == 1 else rng.bytes(span)
        whole = is_whole(bytes(tile), b"", size_px=(256, 256))
        assert whole == decodes(bytes(tile))
        told += not whole
    assert is_whole(sound, b"", size_px=(256, 256))
    assert not is_whole(sound, b"", size_px=(256, 240))
    assert 60 < told < 120


def decodes(tile: bytes) -> bool:
    try:
        decode_tile(tile, b"", ycbcr=True, size_px=(256, 256))
    except BadTileError:
        return False
    return True


@pytest.mark.parametrize("kept", [None, tuple(range(1, 20))], ids=["full", "sparse"])
@pytest.mark.parametrize(("table", "fragments"), [("basic", 1), ("extended", 1), ("", 1), ("basic", 3)])
@pytest.mark.parametrize("syntax", [JPEG, JPEG_2000])
def test_dicom_frames_are_checked(
    tmp_path: Path, syntax: str, table: str, fragments: int, kept: tuple[int, ...] | None
) -> None:
    """However their places are told; damage costs the tiles that it is in."""
    level = Level(PIXELS, (0.25, 0.25), syntax=syntax, table=table, fragments=fragments, kept=kept)
    path = write_level(tmp_path / "a.dcm", level)
    slide = opened(path)
    whole = slide.read(PixelBox(0, 0, 600, 520), NATIVE)
    slide.close()
    frames = checked_frames(path, ((600, 520),))[0]
    assert len(frames.table.lengths) == 25
    assert np.flatnonzero(frames.table.lengths).tolist() == list(kept or range(25))
    lose_bytes(path, (int(frames.offsets[0, 7]), int(frames.sizes[0, 7])))
    slide = opened(path)
    said = "its JPEG is broken" if syntax == JPEG else "its code stream is broken"
    with pytest.raises(RegionUnreadableError, match=f"a tile of level 0 is damaged: {said}"):
        slide.read(PixelBox(300, 200, 10, 10), NATIVE)  # column 2, row 1
    assert np.array_equal(slide.read(PixelBox(0, 256, 600, 264), NATIVE), whole[256:])
    assert np.array_equal(slide.read(PixelBox(0, 0, 256, 520), NATIVE), whole[:, :256])
    slide.close()


def test_each_level_of_a_dicom_slide_is_held_against_its_own_file(tmp_path: Path) -> None:
    """A level whose file isn't known for certain, two of one size here, or that isn't compressed, tells nothing."""
    for factor in (1, 2, 4):
        pixels = np.ascontiguousarray(PIXELS[::factor, ::factor])
        syntax = EXPLICIT if factor == 4 else JPEG
        um = 0.25 * factor
        write_level(tmp_path / f"{factor}.dcm", Level(pixels, (um, um), instance=f"1.2.{factor}", syntax=syntax))
    path, sizes = tmp_path / "2.dcm", ((600, 520), (300, 260), (150, 130))
    levels = checked_frames(path, sizes)
    assert [(level.path.name, level.check.said) for level in levels] == [
        ("1.dcm", "its JPEG is broken"),
        ("2.dcm", "its JPEG is broken"),
        ("", ""),
    ]
    (tmp_path / "copy.dcm").write_bytes((tmp_path / "1.dcm").read_bytes())
    assert [level.check.said for level in checked_frames(path, sizes)] == ["", "its JPEG is broken", ""]


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_dicom_file_that_was_cut_off_is_read_up_to_there(tmp_path: Path, cut: float) -> None:
    path = write_level(tmp_path / "a.dcm", Level(PIXELS, (0.25, 0.25), syntax=JPEG))
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data))])
    slide = opened(path)
    slide.read(PixelBox(0, 0, 10, 10), NATIVE)
    with pytest.raises(RegionUnreadableError):
        slide.read(PixelBox(590, 510, 10, 10), NATIVE)
    slide.close()


def test_a_real_scanners_tiles_are_whole(shared: Path) -> None:
    """Of CMU-1-Small-Region.svs, which share their tables."""
    path = shared / "data/slides/CMU-1-Small-Region.svs"
    with tifffile.TiffFile(path) as tiff:
        page, data = tiff.pages[0], path.read_bytes()
        tables = shared_tables(page.jpegtables)
        places = zip(page.dataoffsets, page.databytecounts, strict=True)
        tiles = [data[offset : offset + length] for offset, length in places]
    assert len(tiles) == 130
    assert all(header_of(tile).checkable for tile in tiles)
    assert all(is_whole(tile, tables, size_px=(240, 240)) for tile in tiles)
