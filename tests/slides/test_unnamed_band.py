"""A fourth band that no one names never shows tissue as glass."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import tifffile

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import NotASlideError, RegionUnreadableError
from nodescan.interfaces import Slide
from nodescan.slides import open_slide, slide_facts
from nodescan.slides.openslide_reader import stored_slide
from nodescan.slides.transparency import UnnamedBand
from tests.slides.made_files import noise, spoil_tile, times_open, write_tiff
from tests.slides.made_jpegs import set_tag
from tests.slides.openers import tables_of

PINK, SIDE_PX = (175, 98, 150), 768
WHOLE = PixelBox(0, 0, SIDE_PX, SIDE_PX)


def opened(path: Path, band: np.ndarray, extra: str, planar: str = "contig") -> Slide:
    """A slide that is pink all over, in 3 x 3 tiles. band : uint8 (SIDE_PX, SIDE_PX)."""
    pixels = np.dstack([np.full((SIDE_PX, SIDE_PX, 3), PINK, np.uint8), band])
    stored = pixels if planar == "contig" else np.moveaxis(pixels, 2, 0)
    write_tiff(path, [stored], tile_px=256, planarconfig=planar, extrasamples=[extra])
    return open_slide(SlideRef("s", path, mpp_um=0.95, override_mpp=True))


def flat(level: int) -> np.ndarray:
    return np.full((SIDE_PX, SIDE_PX), level, np.uint8)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("level", [0, 128])
def test_a_band_that_is_not_opaque_is_refused_with_the_way_out(tmp_path: Path, level: int, planar: str) -> None:
    with pytest.raises(
        NotASlideError, match=r"^s\.tif: holds a fourth.*`vips extract_band s\.tif s-rgb\.tif.*,Q=90\] 0 --n 3`"
    ):
        opened(tmp_path / "s.tif", flat(level), "unspecified", planar)
    with pytest.raises(NotASlideError, match="fourth band"):
        slide_facts(SlideRef("s", tmp_path / "s.tif"))
    assert times_open(tmp_path / "s.tif") == 0


def test_a_damaged_tile_tells_nothing_of_the_band(tmp_path: Path) -> None:
    """And nothing else of the slide is lost."""
    opened(tmp_path / "s.tif", flat(255), "unspecified").close()
    spoil_tile(tmp_path / "s.tif", level=0, tile=4)
    slide = open_slide(SlideRef("s", tmp_path / "s.tif", mpp_um=0.95, override_mpp=True))
    assert (slide.read(PixelBox(0, 0, SIDE_PX, 256), Spacing.square(0.95)) == PINK).all()
    with pytest.raises(RegionUnreadableError):
        slide.read(PixelBox(300, 300, 9, 9), Spacing.square(0.95))
    slide.close()


def test_where_it_is_clear_beside_the_middles_of_tiles_nothing_is_read(tmp_path: Path) -> None:
    band = flat(255)
    band[40:60, 40:60] = 0
    slide = opened(tmp_path / "s.tif", band, "unspecified")
    with pytest.raises(RegionUnreadableError, match="fourth band"):
        slide.read(WHOLE, Spacing.square(0.95))
    assert (slide.read(PixelBox(100, 100, 400, 400), Spacing.square(0.95)) == PINK).all()
    slide.close()


def test_an_opaque_band_and_named_transparency_are_read(tmp_path: Path) -> None:
    for extra in ("unspecified", "assocalpha", "unassalpha"):
        slide = opened(tmp_path / f"{extra}.tif", flat(255), extra)
        assert (slide.read(WHOLE, Spacing.square(0.95)) == PINK).all()
        slide.close()
    slide = opened(tmp_path / "clear.tif", flat(0), "unassalpha")
    assert (slide.read(WHOLE, Spacing.square(0.95)) == 255).all()  # as the file says
    slide.close()


def band_of(path: Path) -> UnnamedBand:
    opened(path, flat(255), "unspecified").close()
    stored = stored_slide(path)
    return UnnamedBand(path, stored, tables_of(path, stored))


@pytest.mark.parametrize(
    ("x", "y", "level", "hides"),
    [
        (2, 2, 249, True),
        (2, 2, 250, False),
        (SIDE_PX - 3, SIDE_PX - 3, 0, True),
        (1, 300, 0, False),
        (300, 1, 0, False),
        (SIDE_PX - 2, 300, 0, False),
        (300, SIDE_PX - 2, 0, False),
    ],
)
def test_one_clear_pixel_hides_what_it_shows_but_for_rounding_and_the_levels_rim(
    tmp_path: Path, x: int, y: int, level: int, hides: bool
) -> None:
    """In whatever box it is seen, at its own place in that."""
    band = band_of(tmp_path / "s.tif")
    alpha = flat(255)
    alpha[0, 0], alpha[y, x] = 0, level  # one of the rim is clear, too
    corner = PixelBox(max(0, x - 5), max(0, y - 9), min(11, SIDE_PX - x + 5), min(13, SIDE_PX - y + 9))
    for box in (WHOLE, corner):
        assert band.hides(0, box, alpha[box.within(WHOLE)]) == hides
    for left, top, width, height in ((0, 9, 2, 9), (9, 0, 9, 1), (SIDE_PX - 2, 9, 2, 9), (9, SIDE_PX - 1, 9, 1)):
        assert not band.hides(0, PixelBox(left, top, width, height), np.zeros((height, width), np.uint8))


def test_a_tile_that_was_never_scanned_is_clear_and_hides_nothing(tmp_path: Path) -> None:
    """One clear pixel beside it does."""
    path = tmp_path / "s.tif"
    opened(path, flat(255), "unspecified").close()
    for tag in (325, 324):
        set_tag(path, tag, 0, index=4)
    stored = stored_slide(path)
    band = UnnamedBand(path, stored, tables_of(path, stored))
    alpha = flat(255)
    alpha[256:512, 256:512] = 0
    box = PixelBox(200, 240, 400, 300)
    assert not band.hides(0, WHOLE, alpha)
    assert not band.hides(0, box, alpha[box.within(WHOLE)])
    for x, y in ((255, 300), (512, 300), (300, 255), (300, 512)):
        beside = alpha.copy()
        beside[y, x] = 0
        assert band.hides(0, box, beside[box.within(WHOLE)])


@pytest.mark.parametrize("level", [0, 128, 255])
def test_where_the_files_tiles_are_not_known_for_certain_nothing_clear_is_read(tmp_path: Path, level: int) -> None:
    """As of two levels that are equally large: which tiles were never scanned isn't known, and no tissue is glass."""
    path = tmp_path / "s.tif"
    with tifffile.TiffWriter(path) as file:
        for side in (512, 256, 256):
            pixels = np.full((side, side, 4), (*PINK, level), np.uint8)
            file.write(
                pixels, tile=(128, 128), photometric="rgb", extrasamples=["unspecified"], subfiletype=int(side < 512)
            )
    assert tables_of(path, stored_slide(path)) is None
    slide = open_slide(SlideRef("s", path, mpp_um=0.95, override_mpp=True))
    with nullcontext() if level == 255 else pytest.raises(RegionUnreadableError, match="fourth band"):
        assert (slide.read(PixelBox(9, 9, 99, 99), Spacing.square(0.95)) == PINK).all()
    slide.close()


def test_where_transparency_is_named_or_there_is_no_fourth_band_nothing_is_hidden(tmp_path: Path) -> None:
    """Clear pixels are glass then, as the file says."""
    named, three = tmp_path / "named.tif", write_tiff(tmp_path / "three.tif", [noise(256, 256)])
    opened(named, flat(255), "unassalpha").close()
    for path in (named, three):
        stored = stored_slide(path)
        band = UnnamedBand(path, stored, tables_of(path, stored))
        assert not band.hides(0, PixelBox(0, 0, 128, 128), np.zeros((128, 128), np.uint8))
    stored = stored_slide(named)
    assert not UnnamedBand(named, stored, None).hides(0, WHOLE, flat(0))


@pytest.mark.parametrize("tile", range(8))
def test_a_band_that_is_clear_in_the_middle_of_any_of_a_few_tiles_is_refused(tmp_path: Path, tile: int) -> None:
    """Of 2 x 4 tiles of 384 x 128 px."""
    path, pixels = tmp_path / "s.tif", np.full((512, 768, 4), 255, np.uint8)
    pixels[..., :3] = PINK
    for level, refused in ((249, True), (250, False)):
        pixels[tile // 2 * 128 + 64, tile % 2 * 384 + 192, 3] = level
        tifffile.imwrite(
            path, pixels, tile=(128, 384), photometric="rgb", extrasamples=["unspecified"], compression="deflate"
        )
        with pytest.raises(NotASlideError, match="fourth band") if refused else nullcontext():
            open_slide(SlideRef("s", path, mpp_um=0.95, override_mpp=True)).close()


def test_the_middle_of_what_is_shown_of_a_tile_that_the_slides_end_cuts_tells(tmp_path: Path) -> None:
    """Of 300 x 280 px the last tile shows 44 x 24: beyond them a file may hold anything."""
    path = tmp_path / "s.tif"
    pixels = np.full((280, 300, 4), 255, np.uint8)
    pixels[..., :3] = PINK
    pixels[256 + 12, 256 + 22, 3] = 0
    tifffile.imwrite(
        path, pixels, tile=(256, 256), photometric="rgb", extrasamples=["unspecified"], compression="deflate"
    )
    with pytest.raises(NotASlideError, match="fourth band"):
        open_slide(SlideRef("s", path, mpp_um=0.95, override_mpp=True))
    pixels[..., 3] = 255
    tifffile.imwrite(
        path, pixels, tile=(256, 256), photometric="rgb", extrasamples=["unspecified"], compression="deflate"
    )
    open_slide(SlideRef("s", path, mpp_um=0.95, override_mpp=True)).close()
