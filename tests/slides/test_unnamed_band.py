"""A fourth band that no one names never shows tissue as glass."""

from pathlib import Path

import numpy as np
import pytest

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import NotASlideError, RegionUnreadableError
from nodescan.interfaces import Slide
from nodescan.slides import open_slide
from tests.slides.made_files import write_tiff

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
    with pytest.raises(NotASlideError, match=r"fourth band .*`vips extract_band s\.tif s-rgb\.tif.*,Q=90\] 0 --n 3`"):
        opened(tmp_path / "s.tif", flat(level), "unspecified", planar)


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
