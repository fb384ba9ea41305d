"""The slide at low magnification, and what can't be seen of it there."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan import overview as overview_module
from nodescan.batch.progress import Viewer
from nodescan.config import load_config
from nodescan.domain.geometry import PixelBox
from nodescan.domain.units import Micrometers, Spacing
from nodescan.errors import RegionUnreadableError, SlideError
from nodescan.overview import overview_and_tissue, view_whole
from tests.fakes import PINK
from tests.painted import PaintedSlide, painted

SIZE_PX = 9600, 1200


class HalfSeen(PaintedSlide):
    """At low magnification its right end, from the second block on, can't be read."""

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        factor = round(spacing.x / 0.95)
        if factor > 1 and box.left > 0:
            raise RegionUnreadableError("painted.tif", "this area can't be decoded")
        return self.pixels[::factor, ::factor][box.top : box.bottom, box.left : box.right].copy()


def test_what_cannot_be_read_is_tissue_and_not_taken_for_never_scanned() -> None:
    """It stands white in the picture, as gaps do on tinted glass, and tissue runs into it."""
    width, height = SIZE_PX
    pixels = np.full((height, width, 3), 238, dtype=np.uint8)
    grain = np.random.default_rng(0).integers(-14, 15, (800, 2000, 1))
    pixels[200:1000, 7000:9000] = np.clip(np.array(PINK) + grain, 0, 255)
    overview, tissue = overview_and_tissue(HalfSeen(pixels), load_config().settings)
    first = 1024
    assert overview.pixels.shape[1] > first > 7000 / 8
    assert tissue.tissue[:, first:].all()
    assert tissue.unseen is not None
    assert tissue.unseen[:, first:].all()
    assert not tissue.unseen[:, :first].any()
    assert (tissue.cut, tissue.unscanned) == (None, None)


@pytest.mark.parametrize("glass", [245, 255])
@pytest.mark.parametrize(("left_px", "cut"), [(0, False), (400, True)])
def test_tissue_that_runs_to_the_edge_of_what_was_scanned_is_cut(glass: int, left_px: int, cut: bool) -> None:
    """Beyond it a reader paints white, which tells nothing where the glass is white, too: the file's bounds do."""
    pixels = painted()
    pixels[pixels == 245] = glass
    pixels[:, :left_px] = 255
    slide = PaintedSlide(pixels)
    left, width = Micrometers(left_px * 0.95), Micrometers((1024 - left_px) * 0.95)
    slide.info = replace(slide.info, bounds_um=replace(slide.info.bounds_um, left=left, width=width))
    _, tissue = overview_and_tissue(slide, load_config().settings)
    assert (tissue.cut is not None) == cut
    if tissue.cut is not None:
        assert np.argwhere(tissue.cut)[:, 1].max() * 8 < left_px + 8


class Lost(PaintedSlide):
    """At low magnification none of it can be read. reads: how often that was tried."""

    reads = 0

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        self.reads += 1
        raise RegionUnreadableError("painted.tif", "this area can't be decoded")


class Signs(Viewer):
    """Counts the signs of life."""

    seen = 0

    def tiles_done(self, slide_id: str, tiles: int, megapixels: float) -> None:
        self.seen += 1


def test_a_level_that_is_lost_is_not_narrowed_down_for_long() -> None:
    """A failed read may take long: of 16 blocks there are few, where all would be 1,360, and each is a sign of life."""
    slide, signs = Lost(np.broadcast_to(np.uint8(0), (8 * 4096, 8 * 4096, 3))), Signs()
    _, unseen = view_whole(slide, load_config().settings.overview, signs)
    assert unseen.all()
    assert 200 < slide.reads < 250
    assert signs.seen >= slide.reads


def test_a_slide_that_takes_more_memory_than_is_free_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it takes any: a machine without memory ends processes, and whose is chance. What fits is read."""
    slide, settings = PaintedSlide(painted()), load_config().settings.overview
    picture, _ = view_whole(slide, settings)
    needed = 16 * picture.pixels.shape[0] * picture.pixels.shape[1]
    monkeypatch.setattr(overview_module, "free_memory_bytes", lambda: needed)
    assert np.array_equal(view_whole(slide, settings)[0].pixels, picture.pixels)
    monkeypatch.setattr(overview_module, "free_memory_bytes", lambda: needed - 1)
    with pytest.raises(SlideError, match=r"a slide of 1 x 1 mm takes 0.0 GB of memory, and 0.0 GB are free; use fewer"):
        view_whole(slide, settings)
