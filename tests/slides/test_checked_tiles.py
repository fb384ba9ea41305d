"""Damage that a decoder passes on in silence is found by what a tile says of itself."""

import io
import zlib
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError
from nodescan.interfaces import Slide
from nodescan.slides import open_slide
from nodescan.slides.checked_tiles import NOTHING_TOLD, CheckedTiles, deflate_check
from nodescan.slides.jpeg2000 import is_whole
from nodescan.slides.openslide_reader import stored_slide
from nodescan.slides.tiff_levels import checked_levels
from tests.slides.made_files import lose_bytes, noise, overwrite, times_open, write_tiff
from tests.slides.made_jpegs import APERIO, set_tag, tile_place
from tests.slides.openers import tables_of

NATIVE = Spacing.square(0.25)


def opened(path: Path) -> Slide:
    return open_slide(SlideRef("s", path))


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_deflate_tile_is_held_against_its_checksum(tmp_path: Path, planar: str):
    """libtiff unpacks 512 lost bytes to made-up pixels, and stops before it comes to the checksum."""
    fine = np.kron(np.random.default_rng(5).integers(40, 216, (128, 128, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    stored = fine if planar == "contig" else fine.transpose(2, 0, 1)
    path = write_tiff(tmp_path / "s.tif", [stored], planarconfig=planar)
    offset, length = tile_place(path, level=0, tile=5)
    overwrite(path, offset + length - 600, bytes(512))
    slide = opened(path)
    for _ in range(2):
        with pytest.raises(RegionUnreadableError, match="its checksum is wrong"):
            slide.read(PixelBox(200, 200, 100, 20), NATIVE)
    assert np.array_equal(slide.read(PixelBox(256, 0, 256, 512), NATIVE), fine[:, 256:])
    slide.close()


def test_deflate_tiles_none_of_which_has_a_checksum_are_read(tmp_path: Path):
    """As a program writes them that doesn't end its streams: that says nothing of damage."""
    fine = noise(256, 256)
    path = write_tiff(tmp_path / "s.tif", [fine])
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        lengths = tiff.pages[0].tags["TileByteCounts"]
        lengths.overwrite([length - 4 for length in lengths.value])
    assert np.array_equal(opened(path).read(PixelBox(0, 0, 256, 256), NATIVE), fine)


def test_damage_is_told_of_the_tiles_that_a_box_meets_alone(tmp_path: Path):
    """Of 5 x 3 tiles one, of 3 x 2 of the next level one that would lie beyond the file's end."""
    path = write_tiff(tmp_path / "s.tif", [noise(640, 384), noise(320, 192)])
    stored = stored_slide(path)
    lose_bytes(path, tile_place(path, level=0, tile=7))
    set_tag(path, 324, 2**31, level=1, index=4)
    tiles = CheckedTiles(checked_levels(path, stored))
    for level, across, down, damaged in ((0, 5, 3, 7), (1, 3, 2, 4)):
        for tile in range(across * down):
            x, y = tile % across * 128, tile // across * 128
            said = "its checksum is wrong" if tile == damaged else ""
            assert tiles.damage(level, PixelBox(x, y, 128, 128)) == said
            assert tiles.damage(level, PixelBox(x + 63, y + 63, 1, 1)) == said
    assert tiles.damage(0, PixelBox(0, 0, 257, 129)) == "its checksum is wrong"
    assert tiles.damage(0, PixelBox(0, 0, 640, 128)) == ""
    tiles.close()


def test_tiles_that_nothing_is_told_of_have_no_damage(tmp_path: Path):
    """Where no level can be checked, or this one can't, or no tile of any has a sum that is right."""
    path = write_tiff(tmp_path / "s.tif", [noise(256, 256)])
    (level,) = checked_levels(path, stored_slide(path))
    box = PixelBox(0, 0, 256, 256)
    assert CheckedTiles(()).damage(3, box) == ""
    untold = replace(level, check=NOTHING_TOLD)
    assert CheckedTiles((untold,)).damage(0, box) == ""
    for tile in range(4):
        lose_bytes(path, tile_place(path, level=0, tile=tile))
    assert CheckedTiles((level, untold)).damage(1, box) == ""
    assert CheckedTiles((level,)).damage(0, box) == ""
    other = write_tiff(tmp_path / "jpeg.tif", [noise(256, 256)], compression="jpeg")
    (jpeg,) = checked_levels(other, stored_slide(other))
    assert CheckedTiles((level, jpeg)).damage(0, box) == ""
    assert CheckedTiles((jpeg, untold)).damage(1, box) == ""


def test_the_files_of_checked_tiles_are_let_go(tmp_path: Path):
    """Closed, or where the file of another level isn't there."""
    path, gone = write_tiff(tmp_path / "a.tif", [noise(256, 256)]), tmp_path / "b.tif"
    (level,) = checked_levels(path, stored_slide(path))
    tiles = CheckedTiles((level,))
    assert times_open(path) == 1
    tiles.close()
    assert times_open(path) == 0
    with pytest.raises(ValueError, match="is closed"):
        tiles.damage(0, PixelBox(0, 0, 9, 9))
    with pytest.raises(FileNotFoundError):
        CheckedTiles((level, replace(level, path=gone)))
    assert times_open(path) == 0


@pytest.mark.parametrize("length", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
@pytest.mark.parametrize("level", [0, 9])
def test_every_sound_deflate_stream_holds_and_none_that_lost_or_changed_a_byte(length: int, level: int) -> None:
    """However its length falls into the pieces that it is unpacked in; what stands behind its end doesn't matter."""
    packed = zlib.compress(noise(1024, 1024).tobytes()[:length], level)
    check = deflate_check(length)
    assert check.holds(packed)
    assert check.holds(packed + b"behind")
    assert not check.holds(packed[:-1])
    assert not check.holds(packed[: len(packed) // 2])
    assert not check.holds(packed[:-1] + bytes([packed[-1] ^ 1]))
    assert not check.holds(b"")


@pytest.mark.parametrize(("length", "whole"), [(0, True), (4999, True), (5000, True), (5001, False), (10**8, False)])
def test_a_deflate_stream_that_goes_on_behind_its_tile_is_not_whole(length: int, whole: bool) -> None:
    """Nor is it unpacked any further: one of 100 kB may hold 100 MB, and one of 250 MB hold 250 GB."""
    assert deflate_check(5000).holds(zlib.compress(bytes(length))) is whole


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_deflate_tile_made_to_fill_the_memory_is_unreadable(tmp_path: Path, planar: str) -> None:
    """libtiff would take its first bytes for the tile; the other tiles are read."""
    fine = noise(512, 256)
    stored = fine if planar == "contig" else fine.transpose(2, 0, 1)
    path = write_tiff(tmp_path / "s.tif", [stored], planarconfig=planar)
    bomb, at = zlib.compress(bytes(10**7)), path.stat().st_size
    with path.open("ab") as stream:
        stream.write(bomb)
    set_tag(path, 324, at, index=5)
    set_tag(path, 325, len(bomb), index=5)
    slide = opened(path)
    with pytest.raises(RegionUnreadableError, match="its checksum is wrong"):
        slide.read(PixelBox(130, 130, 20, 20), NATIVE)
    assert np.array_equal(slide.read(PixelBox(256, 0, 256, 256), NATIVE), fine[:, 256:])
    slide.close()


def test_a_level_of_one_damaged_tile_is_held_against_its_checksum_by_the_others(tmp_path: Path):
    """By itself it would look as if its program wrote none; an overview is mostly read from such a level."""
    path = write_tiff(tmp_path / "s.tif", [noise(1024, 1024), noise(128, 128)])
    lose_bytes(path, tile_place(path, level=1, tile=0))
    slide = opened(path)
    with pytest.raises(RegionUnreadableError, match="its checksum is wrong"):
        slide.read(PixelBox(0, 0, 100, 100), Spacing.square(NATIVE.x * 8))
    slide.close()


def test_a_broken_code_stream_of_jpeg_2000_is_unreadable(tmp_path: Path):
    """OpenJPEG decodes what is left of it, and OpenSlide says nothing: a deposit could be gone."""
    fine = noise(512, 512)
    path = aperio_jpeg2000(tmp_path / "s.svs", fine)
    slide = opened(path)
    whole = slide.read(PixelBox(0, 0, 512, 512), NATIVE)
    slide.close()
    assert np.abs(whole.astype(int) - fine).mean() < 20
    lose_bytes(path, tile_place(path, level=0, tile=1))
    slide = opened(path)
    with pytest.raises(RegionUnreadableError, match=r"a tile of level 0 is damaged: its code stream is broken"):
        slide.read(PixelBox(300, 10, 50, 50), NATIVE)
    assert np.array_equal(slide.read(PixelBox(0, 256, 512, 256), NATIVE), whole[256:])
    slide.close()


@pytest.mark.parametrize("settings", [{"level": 38}, {"reversible": True}], ids=["lossy", "lossless"])
@pytest.mark.parametrize("kind", ["tissue", "glass", "half"])
def test_every_sound_code_stream_passes(settings: dict[str, float], kind: str):
    """Glass has hardly any data: rows of zeros that say so. One in a box, as a file .jp2 has it, is no stream."""
    pixels = np.full((256, 256, 3), 242, np.uint8)
    shown = {"tissue": slice(None), "glass": slice(0), "half": slice(128)}[kind]
    pixels[shown] = noise(256, 256)[shown]
    stream = imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", **settings)
    assert is_whole(stream)
    assert is_whole(stream + b"\0")
    assert not is_whole(imagecodecs.jpeg2k_encode(pixels, codecformat="jp2", **settings))


@pytest.mark.parametrize("damage", ["zeros", "cut", "impossible", "head", "longer part", "empty"])
def test_a_broken_code_stream_is_told(damage: str):
    """Lost sectors, a file cut short, what no coder writes."""
    stream = bytearray(imagecodecs.jpeg2k_encode(noise(256, 256), codecformat="j2k", level=38))
    middle = len(stream) // 2
    part = stream.index(b"\xff\x90")
    if damage == "zeros":
        stream[middle : middle + 512] = bytes(512)
    elif damage == "cut":
        del stream[middle:]
    elif damage == "impossible":
        stream[middle : middle + 2] = b"\xff\xa0"
    elif damage == "head":
        stream[4:8] = bytes(4)
    elif damage == "longer part":
        stream[part + 6 : part + 10] = (2**31).to_bytes(4, "big")
    else:
        stream.clear()
    assert not is_whole(bytes(stream))


@pytest.mark.parametrize("glass_from", [256, 128, 0])
def test_zeros_in_a_stream_that_states_the_size_of_its_precincts_are_told_as_soon(glass_from: int):
    """A packet of a precinct with nothing in it is a zero: there are as many as precincts, not more."""
    pixels = noise(256, 256)
    pixels[glass_from:] = 242
    written = io.BytesIO()
    Image.fromarray(pixels).save(
        written, "JPEG2000", no_jp2=True, irreversible=True, quality_layers=[30], precinct_size=(128, 128)
    )
    stream = bytearray(written.getvalue())
    assert is_whole(bytes(stream))
    if glass_from:
        middle = len(stream) // 2
        stream[middle : middle + 128] = bytes(128)
        assert not is_whole(bytes(stream))


@pytest.mark.parametrize("compression", ["jpeg", "deflate"])
def test_a_tile_whose_length_alone_was_lost_is_unreadable_not_white(tmp_path: Path, compression: str):
    """What was never scanned has no place in the file, or that of the next tile; one lost sector holds 128 lengths."""
    path = write_tiff(tmp_path / "s.tif", [noise(512, 512)], compression=compression)
    set_tag(path, 325, 0, index=9)
    slide = opened(path)
    with pytest.raises(RegionUnreadableError, match="a tile of level 0 is missing"):
        slide.read(PixelBox(130, 260, 10, 10), NATIVE)
    slide.read(PixelBox(0, 0, 512, 128), NATIVE)
    slide.close()
    following, _ = tile_place(path, level=0, tile=10)
    for place in (0, following):
        set_tag(path, 324, place, index=9)
        slide = opened(path)
        assert (slide.read(PixelBox(130, 260, 10, 10), NATIVE) == 255).all()
        slide.close()


def aperio_jpeg2000(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """As Aperio's scanners write it, in tiles of 256 px."""
    blocks = (pixels[y : y + 256, x : x + 256] for y in (0, 256) for x in (0, 256))
    tiles = (imagecodecs.jpeg2k_encode(np.ascontiguousarray(block), codecformat="j2k", level=45) for block in blocks)
    with tifffile.TiffWriter(path) as file:
        file.write(
            tiles,
            shape=pixels.shape,
            dtype=np.uint8,
            tile=(256, 256),
            photometric="rgb",
            compression=33005,
            description=APERIO.format(width=pixels.shape[1], height=pixels.shape[0]),
            metadata=None,
        )
        file.write(pixels[::8, ::8], rowsperstrip=16, photometric="rgb", metadata=None)
    return path


@pytest.mark.parametrize("plane", range(3))
@pytest.mark.parametrize("placed", [True, False])
def test_a_tile_that_one_of_three_planes_lacks_is_missing(tmp_path: Path, plane: int, placed: bool):
    """Red, green or blue alone: without it the rest would be a colour of its own. All its neighbours are there."""
    path = tmp_path / "s.tif"
    fine, coarse = noise(384, 256), noise(192, 128)
    with tifffile.TiffWriter(path) as file:
        for level, pixels in enumerate((fine, coarse)):
            file.write(
                pixels.transpose(2, 0, 1),
                tile=(64, 64),
                photometric="rgb",
                planarconfig="separate",
                compression="deflate",
                subfiletype=int(level > 0),
                metadata=None,
            )
    lost = plane * 6 + 4  # of 3 x 2 tiles a plane, the middle one below
    for tag, value in ((325, 0), *(() if placed else ((324, 0),))):
        set_tag(path, tag, value, level=1, index=lost)
    tables = tables_of(path, stored_slide(path))
    assert tables is not None
    table = tables.levels[1]
    assert table.missing(PixelBox(0, 0, 192, 128)) == [PixelBox(64, 64, 64, 64)]
    assert [table.has_placed(PixelBox(64 * x, 64 * y, 64, 64)) for y in (0, 1) for x in (0, 1, 2)] == [
        (x, y) == (1, 1) and placed for y in (0, 1) for x in (0, 1, 2)
    ]
    for y in (0, 1):
        for x in (0, 1, 2):
            assert tables.has_lost(1, PixelBox(64 * x + 10, 64 * y + 10, 9, 9)) == ((x, y) == (1, 1))
    assert not tables.has_lost(0, PixelBox(0, 0, 384, 256))
