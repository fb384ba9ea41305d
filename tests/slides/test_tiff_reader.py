"""JPEG tiles read directly give OpenSlide's pixels, and OpenSlide's facts."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError, UnmeasurableError
from nodescan.interfaces import Slide
from nodescan.slides import open_slide, slide_facts, tiff_reader
from nodescan.slides.jpeg_tiles import decode_tile
from nodescan.slides.openslide_reader import stored_slide
from nodescan.slides.stored import StoredSlide
from tests.slides.made_files import reduced, times_open
from tests.slides.made_jpegs import APERIO, Coding, philips_xml, set_tag, tissue_like, write_jpegs
from tests.slides.openers import open_tiff, open_with_openslide

WIDTH, HEIGHT = 1101, 838
"""Halves and quarters are cut to whole pixels, so their downsamples are 2.001 and 4.007."""

RESAMPLED_MEAN, RESAMPLED_LARGEST = 1.5, 25
"""Grey values that OpenSlide's shift by a part of a pixel changes in the made slides (measured: 1.1 and 19)."""

REAL_MEAN, REAL_LARGEST = 3.0, 80
"""The same on real tissue, reduced by two (measured on CMU-1-Small-Region: 2.4 and 68, 99 % within 24)."""


def _made(folder: Path) -> Iterator[Path]:
    """One slide of each kind that is read directly."""
    whole = tissue_like(1024, 768)
    odd = tissue_like(WIDTH, HEIGHT, seed=1)
    wholes = [whole, reduced(whole, 2), reduced(whole, 4)]
    odds = [odd, reduced(odd, 2), reduced(odd, 4)]
    description = APERIO.format(width=WIDTH, height=HEIGHT)
    yield write_jpegs(folder / "generic-420.tif", wholes, Coding())
    yield write_jpegs(folder / "generic-odd.tif", odds, Coding(tile_px=240))
    yield write_jpegs(folder / "generic-444.tif", wholes, Coding(subsampling="444", tile_px=512, shared=True))
    yield write_jpegs(folder / "big-422.tif", wholes, Coding(subsampling="422", bigtiff=True, byteorder=">"))
    yield write_jpegs(folder / "generic-rgb.tif", wholes, Coding("rgb", tile_px=240))
    yield write_jpegs(folder / "rgb.svs", odds, Coding("rgb", tile_px=240, shared=True), description=description)
    yield write_jpegs(folder / "ycbcr.svs", wholes, Coding(tile_px=240), description=description)
    padded = [whole, np.pad(reduced(whole, 2), ((0, 128), (0, 256), (0, 0))), reduced(whole, 4)]
    xml = philips_xml(0.00025, 0.0005, 0.001)
    yield write_jpegs(folder / "philips.tiff", padded, Coding(), description=xml, software="Philips DP v1.0")
    sparse = write_jpegs(folder / "sparse.tif", wholes, Coding())
    for level, tile in ((0, 5), (0, 11), (1, 2), (0, 8), (0, 9)):  # of a coarse tile and all that it was made of
        set_tag(sparse, 325, 0, level=level, index=tile)
        set_tag(sparse, 324, 0, level=level, index=tile)
    yield sparse


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return list(_made(tmp_path_factory.mktemp("made")))


@pytest.fixture(scope="module")
def pairs(made: list[Path]) -> Iterator[list[tuple[Slide, Slide]]]:
    """Each slide opened both ways: directly, and with OpenSlide."""
    refs = [SlideRef(path.stem, path) for path in made]
    opened = [(open_tiff(ref), open_with_openslide(ref)) for ref in refs]
    yield opened
    for pair in opened:
        for slide in pair:
            slide.close()


def _boxes(data: st.DataObject, width: int, height: int) -> PixelBox:
    """Of any size, anywhere, also beyond the frame on every side."""
    left, top = data.draw(st.integers(-300, width + 50)), data.draw(st.integers(-300, height + 50))
    return PixelBox(left, top, data.draw(st.integers(1, 700)), data.draw(st.integers(1, 700)))


def test_what_can_be_read_directly_is(made: list[Path], monkeypatch: pytest.MonkeyPatch):
    """OpenSlide, which would take each of them too, is asked once what it is."""
    opened: list[Path] = []

    def told(path: Path) -> StoredSlide:
        opened.append(path)
        return stored_slide(path)

    monkeypatch.setattr(tiff_reader, "stored_slide", told)
    for path in made:
        with closing(open_slide(SlideRef("s", path))) as slide:
            assert slide.info.reader == "tiff"
    assert opened == made


def test_facts_are_openslides(made: list[Path], pairs: list[tuple[Slide, Slide]]):
    """Size, levels, spacing, bounds, format and warnings; only the reader's name differs."""
    for path, (direct, openslide) in zip(made, pairs, strict=True):
        assert replace(direct.info, reader="openslide") == openslide.info
        assert direct.info.reader == "tiff"
        facts, info = slide_facts(SlideRef("s", path)), direct.info
        assert (facts.reader, facts.format, facts.warnings) == ("tiff", info.format, info.warnings)
        assert (facts.sizes_px[0], facts.info) == ((info.width_px, info.height_px), info)
        assert direct.fingerprint() == openslide.fingerprint()
        for finest, coarsest in ((0.45, 0.55), (0.9, 1.0), (1.4, 1.6)):
            spacing = direct.frame_spacing(finest, coarsest)
            assert spacing == openslide.frame_spacing(finest, coarsest)
            assert direct.frame_size(spacing) == openslide.frame_size(spacing)


@settings(max_examples=80)
@given(st.data())
def test_pixels_are_openslides_bit_for_bit_where_downsamples_are_whole(
    pairs: list[tuple[Slide, Slide]], data: st.DataObject
):
    """Any box, at each level, at whole reductions of one, and resampled between them by area."""
    whole = [pair for pair in pairs if pair[0].info.width_px == 1024]
    direct, openslide = data.draw(st.sampled_from(whole))
    native = direct.info.spacing
    spacing = native.scaled(data.draw(st.sampled_from([1, 2, 4, 3, 1.5, 6.7])))
    box = _boxes(data, *direct.frame_size(spacing))
    assert np.array_equal(direct.read(box, spacing), openslide.read(box, spacing))


@settings(max_examples=30)
@given(st.data())
def test_where_openslide_resamples_a_level_its_own_pixels_are_read(
    made: list[Path], pairs: list[tuple[Slide, Slide]], data: st.DataObject
):
    """A level cut to whole pixels (1,101 to 550 px) comes as tifffile decodes it. Level 0 is the same in both."""
    odd = [(path, pair) for path, pair in zip(made, pairs, strict=True) if pair[0].info.width_px == WIDTH]
    path, (direct, openslide) = data.draw(st.sampled_from(odd))
    level = data.draw(st.sampled_from([0, 1, 2]))
    truth = _level(path, level)
    spacing = direct.info.spacing.scaled(2**level)
    box = _boxes(data, truth.shape[1], truth.shape[0])
    pixels = direct.read(box, spacing)
    assert np.array_equal(pixels, _cut(truth, box))
    if level == 0:
        assert np.array_equal(pixels, openslide.read(box, spacing))


@pytest.mark.parametrize("name", ["generic-odd", "rgb"])
def test_openslide_differs_by_little_where_it_resamples(made: list[Path], pairs: list[tuple[Slide, Slide]], name: str):
    """Over whole levels, in grey values."""
    direct, openslide = next(pair for path, pair in zip(made, pairs, strict=True) if path.stem == name)
    for level in (1, 2):
        mean, largest = _difference(direct, openslide, level)
        assert 0 < mean < RESAMPLED_MEAN
        assert largest < RESAMPLED_LARGEST


def test_a_real_slide_and_a_pyramid_of_it_are_openslides(shared: Path, tmp_path: Path):
    """CMU-1-Small-Region bit for bit, edge tiles included; half of a part of it but for OpenSlide's shift."""
    path = shared / "data/slides/CMU-1-Small-Region.svs"
    direct, openslide = open_tiff(SlideRef("s", path)), open_with_openslide(SlideRef("s", path))
    assert replace(direct.info, reader="openslide") == openslide.info
    for spacing in (direct.info.spacing, direct.frame_spacing(0.9, 1.0)):
        width, height = direct.frame_size(spacing)
        for box in (PixelBox(width - 700, height - 600, 720, 620), PixelBox(-9, 230, 576, 576)):
            assert np.array_equal(direct.read(box, spacing), openslide.read(box, spacing))
    native = direct.read(PixelBox(300, 900, 1101, 801), direct.info.spacing)
    ref = SlideRef("p", write_jpegs(tmp_path / "p.tif", [native, reduced(native, 2)], Coding()))
    mean, largest = _difference(open_tiff(ref), open_with_openslide(ref), 1)
    assert 0 < mean < REAL_MEAN
    assert largest < REAL_LARGEST


def _difference(direct: Slide, openslide: Slide, level: int) -> tuple[float, int]:
    """Mean and largest difference in grey values over a level of a whole reduction."""
    spacing = direct.info.spacing.scaled(2**level)
    box = PixelBox(0, 0, direct.info.width_px // 2**level, direct.info.height_px // 2**level)
    apart = np.abs(direct.read(box, spacing).astype(int) - openslide.read(box, spacing))
    return float(apart.mean()), int(apart.max())


def _level(path: Path, level: int) -> np.ndarray:
    """The level as tifffile decodes it."""
    with tifffile.TiffFile(path) as tiff:
        return [page for page in tiff.pages if page.is_tiled][level].asarray()


def _cut(truth: np.ndarray, box: PixelBox) -> np.ndarray:
    """The box of the level, white around it."""
    pixels = np.full((box.height, box.width, 3), 255, np.uint8)
    left, right = max(box.left, 0), min(box.right, truth.shape[1])
    top, bottom = max(box.top, 0), min(box.bottom, truth.shape[0])
    if left < right and top < bottom:
        pixels[top - box.top : bottom - box.top, left - box.left : right - box.left] = truth[top:bottom, left:right]
    return pixels


def test_tiles_never_scanned_are_white(made: list[Path]):
    """A length of 0 in a generic TIFF; tile 5 of level 0 is the second of its second row."""
    slide = open_tiff(SlideRef("s", next(path for path in made if path.stem == "sparse")))
    assert (slide.read(PixelBox(256, 256, 256, 256), slide.info.spacing) == 255).all()
    assert (slide.read(PixelBox(0, 256, 256, 256), slide.info.spacing) < 255).any()


def lying_or_standing(path: Path, levels: list[np.ndarray], tile_px: tuple[int, int]) -> Path:
    """A pyramid of JPEG tiles of this (width, height)."""
    with tifffile.TiffWriter(path) as tiff:
        for index, pixels in enumerate(levels):
            tiff.write(
                pixels,
                tile=tile_px[::-1],
                photometric="rgb",
                compression="jpeg",
                subfiletype=int(index > 0),
                resolution=(40_000, 40_000),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path


@pytest.mark.parametrize("tile_px", [(160, 64), (64, 160)])
def test_tiles_that_are_not_square_are_read_at_their_place(tmp_path: Path, tile_px: tuple[int, int]):
    """Each pixel of both levels is OpenSlide's, and the bytes of each tile of the finest are told at its place."""
    pixels = tissue_like(500, 380)
    path = lying_or_standing(tmp_path / "s.tif", [pixels, reduced(pixels, 2)], tile_px)
    direct, openslide = open_tiff(SlideRef("s", path)), open_with_openslide(SlideRef("s", path))
    for times in (1, 2):
        box, spacing = PixelBox(0, 0, 500 // times, 380 // times), direct.info.spacing.scaled(times)
        assert np.array_equal(direct.read(box, spacing), openslide.read(box, spacing))
    with tifffile.TiffFile(path) as tiff:
        lengths = np.array(tiff.pages[0].databytecounts).reshape(-(-380 // tile_px[1]), -(-500 // tile_px[0]))
    for slide in (direct, openslide):
        coded = slide.coded_bytes()
        assert coded is not None
        assert np.array_equal(coded.values, lengths)
        assert (coded.spacing.x, coded.spacing.y) == pytest.approx((tile_px[0] / 4, tile_px[1] / 4))


def test_a_tile_that_the_coarse_level_alone_lost_is_unreadable_there(tmp_path: Path):
    """And no other; it isn't white, as one that no level has."""
    pixels = tissue_like(512, 384)
    path = lying_or_standing(tmp_path / "s.tif", [pixels, reduced(pixels, 2)], (64, 96))
    for tag in (324, 325):
        set_tag(path, tag, 0, level=1, index=5)  # the second of the second row
    for opened in (open_tiff, open_with_openslide):
        slide = opened(SlideRef("s", path))
        with pytest.raises(RegionUnreadableError, match="a tile of level 1 is missing"):
            slide.read(PixelBox(64, 96, 64, 96), Spacing.square(0.5))
        for row, column in ((1, 0), (0, 1), (1, 2)):
            assert (slide.read(PixelBox(column * 64, row * 96, 64, 96), Spacing.square(0.5)) < 255).any()
        slide.close()


def test_each_tile_is_decoded_once_for_boxes_that_overlap(made: list[Path], monkeypatch: pytest.MonkeyPatch):
    """Boxes with margins, row by row, from four threads at once: no more decodings than tiles."""
    decoded = counted_tiles(monkeypatch)
    slide = open_tiff(SlideRef("s", made[0]))
    boxes = [PixelBox(x - 32, y - 32, 192, 192) for y in range(0, 768, 128) for x in range(0, 1024, 128)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda box: slide.read(box, slide.info.spacing), boxes))
    assert len(decoded) == 4 * 3


def test_each_tile_is_decoded_once_where_a_row_of_boxes_is_more_than_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As of wide tissue at full resolution: the tiles of which the next row of boxes needs a part are kept for it."""
    path = write_jpegs(tmp_path / "s.tif", [tissue_like(2048, 512)], Coding(tile_px=64))
    decoded, tile_bytes = counted_tiles(monkeypatch), 3 * 64 * 64
    kept_bytes = 2 * 32 * tile_bytes + 20 * tile_bytes
    assert kept_bytes < 3 * 32 * tile_bytes  # a row of boxes meets three rows of tiles, or four
    slide = open_tiff(SlideRef("s", path), kept_bytes)
    for y in range(0, 512, 128):
        for x in range(0, 2048, 128):
            slide.read(PixelBox(x - 8, y - 8, 144, 144), slide.info.spacing)
    assert len(decoded) == 32 * 8


def counted_tiles(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The sizes of the tiles that are decoded from now on."""
    decoded: list[tuple[int, int]] = []
    lock = threading.Lock()

    def counted(tile: bytes, tables: bytes, *, ycbcr: bool, size_px: tuple[int, int]) -> np.ndarray:
        with lock:
            decoded.append(size_px)
        return decode_tile(tile, tables, ycbcr=ycbcr, size_px=size_px)

    monkeypatch.setattr(tiff_reader, "decode_tile", counted)
    return decoded


def test_a_closed_slide_is_an_error_and_its_file_is_let_go(tmp_path: Path):
    """Also where the tile was decoded before; closing twice is none."""
    path = write_jpegs(tmp_path / "s.tif", [tissue_like(300, 200)], Coding())
    slide = open_tiff(SlideRef("s", path))
    box = PixelBox(0, 0, 10, 10)
    slide.read(box, slide.info.spacing)
    slide.close()
    slide.close()
    with pytest.raises(ValueError, match="is closed"):
        slide.read(box, slide.info.spacing)
    assert times_open(path) == 0


def test_without_a_spacing_nothing_stays_open(tmp_path: Path):
    """An unmeasurable slide is refused as by OpenSlide; with a spacing given it opens."""
    path = write_jpegs(tmp_path / "s.tif", [tissue_like(300, 200)], Coding())
    set_tag(path, 296, 1)  # the resolution has no unit
    with pytest.raises(UnmeasurableError, match="--mpp UM"):
        open_tiff(SlideRef("s", path))
    assert times_open(path) == 0
    assert open_tiff(SlideRef("s", path, mpp_um=0.5)).info.spacing == Spacing.square(0.5)


def test_a_file_changed_while_open_makes_areas_unreadable(tmp_path: Path):
    """Written to, whatever its tiles now hold; what was deleted is still read, as it was."""
    path = write_jpegs(tmp_path / "s.tif", [tissue_like(600, 400)], Coding())
    slide, spacing = open_tiff(SlideRef("s", path)), Spacing.square(0.25)
    truth = slide.read(PixelBox(0, 0, 100, 100), spacing)
    with path.open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(RegionUnreadableError, match="the file was changed while it was read"):
        slide.read(PixelBox(300, 300, 10, 10), spacing)
    again = open_tiff(SlideRef("s", path))
    path.unlink()
    assert np.array_equal(again.read(PixelBox(0, 0, 100, 100), spacing), truth)
