"""What can't be read exactly is left to OpenSlide, and what is damaged is never made up."""

import struct
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import pytest
import simplejpeg
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import NotASlideError, RegionUnreadableError
from nodescan.slides import open_slide
from nodescan.slides.jpeg_tiles import decode_tile, is_whole
from tests.slides.made_files import overwrite, write_tiff
from tests.slides.made_jpegs import APERIO, Coding, philips_xml, set_tag, tile_place, tissue_like, write_jpegs
from tests.slides.openers import open_tiff, open_with_openslide

NATIVE = Spacing.square(0.25)
PIXELS = tissue_like(600, 520)


@cache
def _written(tile_px: int) -> bytes:
    """A slide file; examples that damage it start from the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        return write_jpegs(Path(folder) / "s.tif", [PIXELS], Coding(tile_px=tile_px)).read_bytes()


def declined(path: Path) -> bool:
    """Left to OpenSlide, or refused."""
    try:
        return open_tiff(SlideRef("s", path, mpp_um=0.25, override_mpp=True)) is None
    except NotASlideError:
        return True


@pytest.mark.parametrize("compression", ["deflate", "jpeg2000", "none", "lzw"])
def test_other_compressions_are_openslides(tmp_path: Path, compression: str):
    """As the whole file, and as one level of it."""
    path = write_tiff(tmp_path / "s.tif", [PIXELS], compression=compression)
    assert declined(path)
    mixed = tmp_path / "mixed.tif"
    with tifffile.TiffWriter(mixed) as tiff:
        tiff.write(PIXELS, tile=(128, 128), photometric="rgb", compression="jpeg", metadata=None)
        half = np.ascontiguousarray(PIXELS[::2, ::2])
        tiff.write(half, tile=(128, 128), photometric="rgb", compression=compression, subfiletype=1, metadata=None)
    assert declined(mixed)


def test_grey_and_strips_are_openslides(tmp_path: Path):
    """One channel, or a pyramid without tiles."""
    grey = tmp_path / "grey.tif"
    tifffile.imwrite(grey, PIXELS[..., 0], tile=(128, 128), compression="jpeg", metadata=None)
    assert declined(grey)
    strips = tmp_path / "strips.tif"
    tifffile.imwrite(strips, PIXELS, rowsperstrip=16, photometric="rgb", compression="jpeg", metadata=None)
    assert declined(strips)


@pytest.mark.parametrize("subsampling", ["440", "411"])
def test_odd_subsampling_is_openslides(tmp_path: Path, subsampling: str):
    """Decoders of different age differ in how they interpolate it."""
    assert declined(write_jpegs(tmp_path / "s.tif", [PIXELS], Coding(subsampling=subsampling)))


@pytest.mark.parametrize(
    ("tag", "value"), [(262, 5), (277, 4), (284, 2), (258, 16), (322, 0), (322, 65_520), (256, 6000), (257, 0)]
)
def test_a_header_that_says_otherwise_is_openslides(tmp_path: Path, tag: int, value: int):
    """Colour space, channels, planes, depth; tiles without a size, of an absurd size, or in another number."""
    path = write_jpegs(tmp_path / "s.tif", [PIXELS], Coding())
    set_tag(path, tag, value)
    assert declined(path)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("tag", [324, 325])
@pytest.mark.parametrize("kind", [5, 12, 99])
def test_places_that_are_no_whole_numbers_are_openslides(tmp_path: Path, level: int, tag: int, kind: int):
    """Fractions, or a type that nobody knows: the slide is refused, or read without the level that has them."""
    half = np.ascontiguousarray(PIXELS[::2, ::2])
    path = write_jpegs(tmp_path / "s.tif", [PIXELS, half], Coding(tile_px=128))
    with tifffile.TiffFile(path) as tiff:
        entry = [page for page in tiff.pages if page.is_tiled][level].tags[tag].offset
    overwrite(path, entry + 2, struct.pack("<H", kind))
    assert declined(path)
    try:
        slide = open_slide(SlideRef("s", path, mpp_um=0.25))
    except NotASlideError:
        return
    assert slide.info.reader == "openslide"


@pytest.mark.parametrize(("tag", "value"), [(322, 2**31 - 16), (323, 2**31 - 16), (325, 2**62)])
def test_a_tile_beyond_any_memory_is_refused_before_openslide_sees_it(tmp_path: Path, tag: int, value: int):
    """OpenSlide ends the whole program where it can't get the memory, and a batch with it."""
    path = write_jpegs(tmp_path / "s.tif", [PIXELS], Coding(bigtiff=True))
    _widen_lengths(path)
    set_tag(path, tag, value)
    with pytest.raises(
        NotASlideError, match=r"^s.tif: damaged: its directory tells of (tiles|a tile) of .*copy it again"
    ):
        open_slide(SlideRef("s", path))


def _widen_lengths(path: Path) -> None:
    """Moves the lengths of the tiles to the end of a BigTIFF, as numbers of 8 bytes."""
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[0].tags[325]
        lengths, entry = tag.value, tag.offset
    with path.open("r+b") as stream:
        end = stream.seek(0, 2)
        stream.write(struct.pack(f"<{len(lengths)}Q", *lengths))
        stream.seek(entry + 2)
        stream.write(struct.pack("<HQQ", 16, len(lengths), end))


def test_missing_tiles_of_aperio_are_openslides(tmp_path: Path):
    """It paints them from the next level; in a level below, too."""
    half = np.ascontiguousarray(PIXELS[::2, ::2])
    for level in (0, 1):
        path = write_jpegs(tmp_path / f"{level}.svs", [PIXELS, half], Coding(), description=APERIO)
        assert not declined(path)
        set_tag(path, 325, 0, level=level, index=1)
        assert declined(path)


def test_other_vendors_are_openslides(tmp_path: Path):
    """Ventana's tiles overlap: its mark in the file is enough."""
    path = write_jpegs(tmp_path / "s.tif", [PIXELS], Coding(), description="level=0 mag=40 quality=95")
    assert not declined(path)  # without its XML a generic TIFF
    broken = write_jpegs(
        tmp_path / "p.tif", [PIXELS], Coding(), description=philips_xml(0.00025, 0.0005), software="Philips DP v1.0"
    )
    assert declined(broken)  # names two levels and has one: no reader opens it
    with pytest.raises(NotASlideError):
        open_slide(SlideRef("s", broken))


def test_real_files_that_are_openslides(shared: Path):
    """JPEG 2000, strips, DICOM."""
    for name in ("tcga-cr-7395-01a-01-ts1.svs", "smalltif.tif", "small_dicom.dcm"):
        assert declined(shared / "data/slides" / name)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_tile_is_read_only_where_openslide_reads_the_same(tmp_path: Path, data: st.DataObject):
    """Bytes overwritten anywhere in its pixels; the other tiles are untouched. OpenSlide is laxer: it doesn't notice
    bytes that are left over at a tile's end."""
    size = data.draw(st.sampled_from([128, 240]))
    path = tmp_path / "s.tif"
    path.write_bytes(_written(size))
    truth = open_tiff(SlideRef("s", path)).read(PixelBox(0, 0, 600, 520), NATIVE)
    offset, length = tile_place(path, level=0, tile=1)
    with path.open("r+b") as stream:
        stream.seek(offset)
        head = stream.read(length).index(b"\xff\xda") + 14
        place = data.draw(st.integers(head, length - 1))
        stream.seek(offset + place)
        stream.write(data.draw(st.binary(min_size=1, max_size=12))[: length - place])
    direct, openslide = open_tiff(SlideRef("s", path)), open_with_openslide(SlideRef("s", path))
    results: list[np.ndarray | None] = []
    for slide in (direct, openslide):
        try:
            results.append(slide.read(PixelBox(size, 0, size, size), NATIVE))
        except RegionUnreadableError:
            results.append(None)
        assert np.array_equal(slide.read(PixelBox(0, size, 600, 250), NATIVE), truth[size : size + 250])
    assert results[0] is None or np.array_equal(results[0], results[1])


@pytest.mark.parametrize("kept", [0, 1, 30, 600, -2000, -60, -2, -1])
def test_a_tile_that_ends_too_early_is_unreadable_as_in_openslide(tmp_path: Path, kept: int):
    """Cut anywhere, also where only the end mark is missing; the rest is zeros, as on a disk that filled up."""
    path = write_jpegs(tmp_path / "s.tif", [PIXELS], Coding())
    offset, length = tile_place(path, level=0, tile=1)
    overwrite(path, offset + kept % length, bytes(length - kept % length))
    for opener in (open_tiff, open_with_openslide):
        slide = opener(SlideRef("s", path))
        with pytest.raises(RegionUnreadableError, match="of 2 x 2 um at x 75, y 0 um can't be decoded"):
            slide.read(PixelBox(300, 0, 8, 8), NATIVE)
        assert slide.read(PixelBox(0, 0, 256, 256), NATIVE).std() > 5


def test_a_tile_of_another_size_or_beyond_the_end_is_unreadable(tmp_path: Path):
    """A whole JPEG, but of 16 px; an offset far beyond the file; a length of 134 MB."""
    path = write_jpegs(tmp_path / "s.tif", [PIXELS], Coding())
    offset, length = tile_place(path, level=0, tile=1)
    small = imagecodecs.jpeg8_encode(np.ascontiguousarray(PIXELS[:16, :16]), level=80)
    overwrite(path, offset, small.ljust(length, b"\0"))
    set_tag(path, 324, 2**32 - 1, index=2)
    set_tag(path, 325, 2**27, index=3)
    slide = open_slide(SlideRef("s", path))
    assert slide.info.reader == "tiff"
    for box, said in (
        (PixelBox(256, 0, 9, 9), "a tile of 16 x 16 px, not 256 x 256"),
        (PixelBox(512, 0, 9, 9), "beyond the end of the file"),
        (PixelBox(0, 256, 9, 9), "a compressed tile of 134,217,728 bytes"),
    ):
        with pytest.raises(RegionUnreadableError, match=said):
            slide.read(box, NATIVE)
    assert slide.read(PixelBox(256, 256, 300, 200), NATIVE).std() > 5


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_hostile_header_is_declined_or_read_like_openslide(tmp_path: Path, data: st.DataObject):
    """Any bytes of the directory overwritten: no other error than a slide's, and what opens has OpenSlide's facts."""
    path = tmp_path / "s.tif"
    damaged = bytearray(_written(128))
    start = struct.unpack("<I", damaged[4:8])[0]
    for _ in range(data.draw(st.integers(1, 3))):
        place = start + data.draw(st.integers(0, 260))
        value = data.draw(st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from([b"\xff" * 4, b"\0" * 4])))
        damaged[place : place + len(value)] = value
    path.write_bytes(bytes(damaged))
    ref = SlideRef("s", path, mpp_um=0.25, override_mpp=True)
    if declined(path):
        return
    slide, openslide = open_tiff(ref), open_with_openslide(ref)
    assert replace(slide.info, reader="openslide") == openslide.info
    try:
        pixels = slide.read(PixelBox(0, 0, 64, 64), slide.info.spacing)
    except RegionUnreadableError:
        return
    assert np.array_equal(pixels, openslide.read(PixelBox(0, 0, 64, 64), slide.info.spacing))


def test_directories_in_a_loop_are_each_read_once(tmp_path: Path):
    """The last directory points back to the first."""
    path = write_jpegs(tmp_path / "s.tif", [PIXELS, np.ascontiguousarray(PIXELS[::2, ::2])], Coding())
    with tifffile.TiffFile(path) as tiff:
        last = tiff.pages[1]
        end = last.offset + 2 + 12 * len(last.tags)
        first = tiff.pages[0].offset
    assert path.read_bytes()[end : end + 4] == bytes(4)
    overwrite(path, end, struct.pack("<I", first))
    try:
        slide = open_slide(SlideRef("s", path))
    except NotASlideError:
        return
    assert slide.read(PixelBox(0, 0, 64, 64), NATIVE).shape == (64, 64, 3)


def test_a_lack_of_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As libjpeg is refused it by a progressive tile; OpenSlide passes on what it says."""
    path = write_jpegs(tmp_path / "s.tif", [PIXELS], Coding())
    offset, length = tile_place(path, level=0, tile=0)
    tile = path.read_bytes()[offset : offset + length]
    slide = open_with_openslide(SlideRef("s", path))

    def refused(*_: object, **__: object) -> None:
        raise ValueError("Insufficient memory (case 4)")

    def refused_openslide(*_: object) -> None:
        raise openslide.OpenSlideError("JPEG decompression failed: Insufficient memory (case 4)")

    monkeypatch.setattr(simplejpeg, "decode_jpeg", refused)
    monkeypatch.setattr(openslide.OpenSlide, "read_region", refused_openslide)
    for read in (
        lambda: decode_tile(tile, b"", ycbcr=True, size_px=(256, 256)),
        lambda: is_whole(tile, b"", size_px=(256, 256)),
        lambda: slide.read(PixelBox(0, 0, 64, 64), NATIVE),
    ):
        with pytest.raises(MemoryError):
            read()
