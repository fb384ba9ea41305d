"""Tissue that the overview shows and the analysed level has no pixels of is never called negative."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.domain.class_bounds import failed_if_unread
from nodescan.domain.classification import Metastasis
from nodescan.domain.geometry import PixelBox
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError
from nodescan.interfaces import Slide, TilePredictor
from nodescan.slides import open_slide
from tests.examination.fast_fakes import Fast
from tests.fakes import PINK, PURPLE, ColourPredictor
from tests.painted import painted, scan_file
from tests.slides.made_files import overwrite, reduced, write_tiff
from tests.slides.made_jpegs import APERIO, Coding, philips_xml, set_tag, tile_place, write_jpegs
from tests.slides.openers import open_tiff, open_with_openslide

INSIDE = 5
"""A tile with tissue all over."""

LOWER_HALF = PixelBox(0, 128, 128, 128)
"""Of two of painted(), one above the other, reduced by eight."""


def written(path: Path, pixels: NDArray[np.uint8], lost: range = range(0)) -> SlideRef:
    """Level 0 at 0.95 um/px in 16 tiles, without those `lost`; a coarse one at 7.6, whole."""
    coarse = reduced(pixels, 8)
    write_jpegs(path, [pixels, coarse], Coding(tile_px=256))
    for tile in lost:
        set_tag(path, 325, 0, index=tile)
        set_tag(path, 324, 0, index=tile)
    return SlideRef("s", path, mpp_um=0.95, override_mpp=True)


def written_in_lzw(path: Path, levels: list[NDArray[np.uint8]]) -> None:
    """A pyramid at 0.95 um/px that OpenSlide alone reads."""
    write_tiff(path, levels, mpp_um=(0.95, 0.95), compression="lzw", tile_px=256)


def scanned(ref: SlideRef, opened: Callable[[SlideRef], Slide], predictor: TilePredictor) -> SlideReport:
    return scan_file(ref, opened, predictor).report


@pytest.mark.parametrize(
    ("opened", "predictor"), [(open_tiff, Fast(0.01)), (open_with_openslide, ColourPredictor())], ids=["tiff", "other"]
)
def test_one_tile_without_data_makes_a_slide_incomplete(
    tmp_path: Path, opened: Callable[[SlideRef], Slide], predictor: TilePredictor
) -> None:
    """Whatever reads it, and whether or not some of it is answered twice. 7 % of it may hold anything."""
    report = scanned(written(tmp_path / "s.tif", painted(), range(INSIDE, INSIDE + 1)), opened, predictor)
    assert (report.status, report.metastasis, report.at_least) == (Status.INCOMPLETE, None, False)
    assert "unread_tissue" in {flag.code for flag in report.flags}
    tissue_px = 704**2
    assert report.unread_fraction == pytest.approx(256**2 / tissue_px, rel=0.25)
    assert report.examined_fraction == pytest.approx(1 - (report.unread_fraction or 0))


@pytest.mark.parametrize("fill", [254, 245, 240, 128, 0])
def test_whatever_a_gap_is_filled_with_it_was_not_examined(tmp_path: Path, fill: int) -> None:
    """Converters fill in the colour of glass, grey or black, and JPEG puts white off by one."""
    pixels = painted(200)
    ref = written(tmp_path / "s.tif", pixels)
    gap = pixels.copy()
    gap[384:640, 384:640] = fill
    coarse = reduced(pixels, 8)
    write_jpegs(tmp_path / "s.tif", [gap, coarse], Coding(tile_px=256))
    report = scanned(ref, open_tiff, ColourPredictor())
    assert report.status is Status.INCOMPLETE
    assert report.metastasis is None or fill == 0  # this predictor takes black for tumour
    assert report.unread_fraction is not None
    assert 0.5 * 256**2 / 704**2 < report.unread_fraction < 1.1 * 256**2 / 704**2  # JPEG blends the rim into tissue


def test_tiles_lost_where_the_overview_is_unread_too_are_not_glass(tmp_path: Path) -> None:
    """Nothing is known of such a place, so its white is not trusted."""
    path = tmp_path / "s.tif"
    ref = written(path, painted(200), range(5, 11))
    place, length = tile_place(path, level=1, tile=0)
    overwrite(path, place + length // 2, bytes(length // 2))
    report = scanned(ref, open_tiff, ColourPredictor())
    assert (report.status, report.metastasis) == (Status.INCOMPLETE, None)


@pytest.mark.parametrize("glass", [245, 255])
def test_tiles_that_aperio_lacks_at_full_resolution_are_not_glass(tmp_path: Path, glass: int) -> None:
    """A node of which the coarse level alone is whole: OpenSlide shows it at no level, and it was called negative."""
    pixels = np.concatenate([painted(), painted(300)])
    pixels[(pixels == 245).all(axis=2)] = glass
    path = tmp_path / "s.svs"
    write_jpegs(path, [pixels, reduced(pixels, 8)], Coding(tile_px=256), description=APERIO)
    for tile in range(16, 32):
        for tag in (325, 324):
            set_tag(path, tag, 0, index=tile)
    ref = SlideRef("s", path, mpp_um=0.95, override_mpp=True)
    slide = open_slide(ref)
    for spacing, below in ((Spacing.square(0.95), PixelBox(0, 1024, 512, 512)), (Spacing.square(7.6), LOWER_HALF)):
        with pytest.raises(RegionUnreadableError, match="is missing"):
            slide.read(below, spacing)
        assert slide.read(replace(below, top=0), spacing).min() < glass  # above it nothing is lost
    slide.close()
    report = scanned(ref, open_slide, ColourPredictor())
    assert (report.status, report.metastasis) == (Status.INCOMPLETE, None)
    assert report.unread_fraction == pytest.approx(1024**2 / (1024**2 + 704**2), rel=0.1)  # the whole half is unseen


@pytest.mark.parametrize("level", [239, 225, 215])
def test_gaps_in_the_colour_of_dark_glass_are_seen(tmp_path: Path, level: int) -> None:
    """Some scanners' glass is darker than others' pale tissue."""
    pixels = painted(200)
    pixels[(pixels == 245).all(axis=2)] = level
    gap = pixels.copy()
    gap[384:640, 384:640] = level
    coarse = reduced(pixels, 8)
    ref = written(tmp_path / "s.tif", pixels)
    write_jpegs(tmp_path / "s.tif", [gap, coarse], Coding(tile_px=256))
    report = scanned(ref, open_tiff, ColourPredictor())
    assert (report.status, report.metastasis) == (Status.INCOMPLETE, None)
    write_jpegs(tmp_path / "s.tif", [pixels, coarse], Coding(tile_px=256))
    assert scanned(ref, open_tiff, ColourPredictor()).status is Status.COMPLETE


@pytest.mark.parametrize("coding", ["jpeg", "lzw"])
def test_a_tile_lost_from_the_overview_alone_is_examined(tmp_path: Path, coding: str) -> None:
    """Whichever reader it needs, a finer level holds what was scanned: tumour is found, and flat glass is glass."""
    pixels = np.full((4096, 4096, 3), 245, np.uint8)
    random = np.random.default_rng(0)
    pixels[160:-160, 160:-160] = np.clip(np.array(PINK) + random.integers(-14, 15, (3776, 3776, 1)), 0, 255)
    pixels[2500:3300, 2500:3300] = np.clip(np.array(PURPLE) + random.integers(-28, 29, (800, 800, 1)), 0, 255)
    coarse = reduced(pixels, 8)
    path = tmp_path / "s.tif"
    if coding == "jpeg":
        write_jpegs(path, [pixels, coarse], Coding(tile_px=256))
    else:
        written_in_lzw(path, [pixels, coarse])
    for tag in (325, 324):
        set_tag(path, tag, 0, level=1, index=3)
    report = scanned(SlideRef("s", path, mpp_um=0.95, override_mpp=True), open_slide, ColourPredictor())
    assert report.info is not None
    assert report.info.reader == ("tiff" if coding == "jpeg" else "openslide")
    assert (report.status, report.metastasis) == (Status.COMPLETE, Metastasis.MICRO)


@pytest.fixture(scope="module")
def of_philips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of four levels without the tiles that hold glass alone; to be copied."""
    tile, factors = 256, (1, 2, 4, 8)
    pixels = np.full((tile * 8, tile * 33, 3), 245, np.uint8)
    grain = np.random.default_rng(0).integers(-14, 15, (*pixels.shape[:2], 1))
    for left, right in ((300, 3700), (tile * 33 - 1100, tile * 33 - 200)):
        pixels[300:-300, left:right] = np.clip(np.array(PINK) + grain[300:-300, left:right], 0, 255)
    levels = [pixels, *(reduced(pixels, factor) for factor in factors[1:])]
    levels = [np.pad(x, ((0, -len(x) % tile), (0, -x.shape[1] % tile), (0, 0)), constant_values=255) for x in levels]
    path = tmp_path_factory.mktemp("philips") / "s.tiff"
    spacings_mm = [0.00095 * factor for factor in factors]
    write_jpegs(path, levels, Coding(), description=philips_xml(*spacings_mm), software="Philips DP v1.0")
    scanned_tiles = reduced(pixels, tile).min(axis=2) < 244
    for level, factor in enumerate(factors):
        across, down = levels[level].shape[1] // tile, len(levels[level]) // tile
        for row, column in np.ndindex(down, across):
            here = slice(row * factor, (row + 1) * factor), slice(column * factor, (column + 1) * factor)
            for tag in (325, 324) if not scanned_tiles[here].any() else ():
                set_tag(path, tag, 0, level=level, index=row * across + column)
    return path


@pytest.mark.parametrize("lost", [None, 0, 2, 4])
def test_tiles_that_philips_leaves_out_are_glass(of_philips: Path, tmp_path: Path, lost: int | None) -> None:
    """Levels are padded to whole tiles, so a coarse tile lies over other finer ones than the stored widths say.

    Also under a tile that the overview's level alone lost: the next level shows what is tissue there.
    """
    path = Path(shutil.copy(of_philips, tmp_path))
    for tag in () if lost is None else (325, 324):
        set_tag(path, tag, 0, level=3, index=lost)
    report = scanned(SlideRef("s", path), open_tiff, ColourPredictor())
    assert (report.status, report.unread_fraction, report.flags) == (Status.COMPLETE, 0.0, ())
    assert report.tissue_area_mm2 == pytest.approx((3400 + 900) * 1448 * 0.95**2 / 1e6, rel=0.2)


@pytest.mark.parametrize("opened", [open_tiff, open_with_openslide])
def test_a_nearly_empty_level_fails_a_slide(tmp_path: Path, opened: Callable[[SlideRef], Slide]) -> None:
    """Nothing of what the overview shows was seen, but for the rim of glass around it."""
    report = scanned(written(tmp_path / "s.tif", painted(320), range(15)), opened, ColourPredictor())
    assert report.metastasis is None
    assert report.unread_fraction is not None
    assert report.unread_fraction > 0.7
    assert failed_if_unread(report, 5.0).status is Status.FAILED


@pytest.mark.parametrize("shift_px", [0, 8])
def test_what_was_scanned_white_is_examined(tmp_path: Path, shift_px: int) -> None:
    """Glass, fat and cracks that saturate the camera: complete, also where levels lie a pixel of the overview apart."""
    pixels = painted()
    pixels[(pixels == 245).all(axis=2)] = 255
    rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    random = np.random.default_rng(0)
    for _ in range(25):
        row, column, radius = random.uniform(200, 820), random.uniform(200, 820), random.uniform(8, 60)
        pixels[np.hypot(rows - row, columns - column) < radius] = 255
    pixels[500:520] = 255
    path = tmp_path / "s.tif"
    ref = written(path, pixels)
    if shift_px:
        coarse = reduced(np.roll(pixels, (shift_px, shift_px), axis=(0, 1)), 8)
        write_jpegs(path, [pixels, coarse], Coding(tile_px=256))
    report = scanned(ref, open_tiff, ColourPredictor())
    assert (report.status, report.metastasis, report.unread_fraction) == (Status.COMPLETE, Metastasis.NONE, 0.0)
