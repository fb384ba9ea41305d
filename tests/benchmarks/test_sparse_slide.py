"""The huge slide of the benchmarks is what it says it is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodescan.benchmarks import sparse_slide
from nodescan.benchmarks.sparse_slide import TILE_PX, make_sparse_slide
from nodescan.config import load_config
from nodescan.domain.geometry import PixelBox
from nodescan.domain.report import Status
from nodescan.domain.slide import SlideRef
from nodescan.imaging.tissue import find_tissue
from nodescan.overview import view_whole
from tests.fakes import PINK
from tests.painted import scan_file
from tests.slides.openers import open_tiff, open_with_openslide

SIZE_PX = (16_000, 20_000)
REPEATS = 4
READERS = (open_tiff, open_with_openslide)


@pytest.fixture(autouse=True)
def plain_textures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pink grain, lighter and darker in blocks of 8 px, since drawing tissue takes seconds."""

    def piece(index: int) -> np.ndarray:
        rng, side = np.random.default_rng((0, index)), TILE_PX // REPEATS
        blocks = rng.integers(-25, 26, (side // 8, side // 8, 1)).repeat(8, axis=0).repeat(8, axis=1)
        light = blocks + rng.integers(-14, 15, (side, side, 1))
        return np.tile(np.clip(np.array(PINK) + light, 0, 255).astype(np.uint8), (REPEATS, REPEATS, 1))

    monkeypatch.setattr(sparse_slide, "_texture", piece)


@pytest.mark.parametrize("open_", READERS)
def test_the_slide_has_its_size_and_its_tissue_whichever_reader_opens_it(tmp_path: Path, open_) -> None:
    """20 blocks of 0.248 mm2 are found to the tissue finder's own rim of 32 um; the file stays small."""
    path = tmp_path / "a.tif"
    make_sparse_slide(path, 5.0, size_px=SIZE_PX)
    assert path.stat().st_size < 6e6
    slide = open_(SlideRef("a", path))
    settings = load_config().settings
    try:
        assert (slide.info.width_px, slide.info.height_px) == SIZE_PX
        assert slide.info.spacing.x == pytest.approx(0.243, rel=1e-6)
        overview, unseen = view_whole(slide, settings.overview)
        tissue = find_tissue(overview.pixels, overview.spacing, settings.tissue)
    finally:
        slide.close()
    assert not unseen.any()
    planted_mm2 = 20 * (512 * 4 * 0.000243) ** 2
    assert planted_mm2 <= tissue.area_um2 / 1e6 < planted_mm2 + 1.0


def test_both_readers_see_the_same_pixels(tmp_path: Path) -> None:
    """At the level that a scan reads, a box across tissue and glass."""
    path = tmp_path / "a.tif"
    make_sparse_slide(path, 5.0, size_px=SIZE_PX)
    boxes = []
    for open_ in READERS:
        slide = open_(SlideRef("a", path))
        spacing = slide.frame_spacing(0.9, 1.0)
        boxes.append(slide.read(PixelBox(300, 400, 1500, 1300), spacing))
        slide.close()
    assert all(np.array_equal(boxes[0], box) for box in boxes[1:])
    assert boxes[0].min() < 140
    assert boxes[0].max() > 230


def test_every_magnification_shows_the_same_picture(tmp_path: Path) -> None:
    """Held against the one that is analysed: the full resolution reduced to it, and those that are coarser."""
    path = tmp_path / "a.tif"
    make_sparse_slide(path, 5.0, size_px=SIZE_PX)
    slide = open_tiff(SlideRef("a", path), 0)
    finest = slide.info.spacing
    box = PixelBox(1024, 1024, 2048, 2048)
    analysed = slide.read(box, finest.scaled(4))
    assert np.ptp(analysed[..., 1]) > 60
    for times in (1, 2, 8, 16, 32):
        size = 4 * box.width // times
        start = 4 * box.left // times
        other = slide.read(PixelBox(start, start, size, size), finest.scaled(times))
        side = min(size, box.width) // 4  # what is left of a pixel's grain differs as it was compressed
        one, two = (Image.fromarray(it).resize((side, side), Image.Resampling.BOX) for it in (analysed, other))
        assert np.abs(np.asarray(one, np.float32) - np.asarray(two, np.float32)).mean() < 3, times
    slide.close()


def test_such_a_slide_is_complete(tmp_path: Path) -> None:
    """Of a slide that a scan refuses, or sees less of, no time and no memory would say anything."""
    path = tmp_path / "a.tif"
    make_sparse_slide(path, 5.0, size_px=SIZE_PX)
    assert scan_file(SlideRef("a", path)).report.status is Status.COMPLETE


def test_more_tissue_than_room_is_refused(tmp_path: Path) -> None:
    """A slide with less tissue than asked for would measure something else."""
    with pytest.raises(ValueError, match="no room"):
        make_sparse_slide(tmp_path / "a.tif", 400.0, size_px=SIZE_PX)
