"""What a level leaves transparent is glass only where no finer level shows it."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import openslide
import pytest

from nodescan import overview as overview_module
from nodescan.domain.classification import Metastasis
from nodescan.domain.geometry import PixelBox
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError
from nodescan.slides import open_slide
from nodescan.slides.frame import place_levels
from nodescan.slides.openslide_handles import HandlePool
from nodescan.slides.transparency import LostAreas
from tests.painted import painted, scan_file
from tests.slides.made_dicom import Level, write_level
from tests.slides.made_files import noise, reduced

FINE, COARSE = noise(2000, 1024), noise(500, 256, seed=1)
"""Coarse: 4 by 2 tiles of 128 px, of which the last column is 116 px wide."""


def opened(folder: Path, *, fine: tuple[int, ...] | None, coarse: tuple[int, ...] | None):
    """A slide of two levels, of which the tiles named are kept."""
    path = write_level(folder / "a.dcm", Level(FINE, (0.5, 0.5), instance="1.1", kept=fine))
    write_level(folder / "b.dcm", Level(COARSE, (2.0, 2.0), instance="1.2", kept=coarse))
    return open_slide(SlideRef("s", path))


@pytest.mark.parametrize("lost", range(8))
def test_a_tile_that_only_the_coarse_level_lacks_is_unreadable_there(tmp_path: Path, lost: int) -> None:
    """Each of them, in every box that meets a good part of it; its neighbours are read."""
    slide = opened(tmp_path, fine=None, coarse=tuple(tile for tile in range(8) if tile != lost))
    spacing = Spacing.square(2.0)
    for tile in range(8):
        box = PixelBox(tile % 4 * 128, tile // 4 * 128, min(128, 500 - tile % 4 * 128), 128)
        if tile == lost:
            for met in (box, PixelBox(box.left + 20, box.top + 20, 60, 60)):
                with pytest.raises(RegionUnreadableError, match="a tile of level 1 is missing"):
                    slide.read(met, spacing)
        else:
            assert np.array_equal(slide.read(box, spacing), COARSE[box.within(PixelBox(0, 0, 500, 256))])
    assert np.array_equal(slide.read(PixelBox(0, 0, 2000, 1024), Spacing.square(0.5)), FINE)


def test_glass_that_every_level_leaves_out_is_white(tmp_path: Path) -> None:
    """The right half, in both levels."""
    fine = tuple(tile for tile in range(16 * 8) if tile % 16 < 8)
    slide = opened(tmp_path, fine=fine, coarse=(0, 1, 4, 5))
    pixels = slide.read(PixelBox(0, 0, 500, 256), Spacing.square(2.0))
    assert np.array_equal(pixels[:, :256], COARSE[:, :256])
    assert (pixels[:, 256:] == 255).all()


def scanned(path: Path) -> SlideReport:
    return scan_file(SlideRef("s", path)).report


@pytest.mark.parametrize("finer_px", [0, 10**7])
def test_tissue_that_the_overview_lacks_is_examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finer_px: int
) -> None:
    """A node without tumour, and below it one with a micrometastasis, under a lost tile of the overview.

    Where a finer level may be read for it, the tissue is as large as it is, and there is nothing to flag.
    """
    monkeypatch.setattr(overview_module, "_MOST_FINER_PX", finer_px)
    pixels = np.concatenate([painted(), painted(560)])
    path = write_level(tmp_path / "a.dcm", Level(pixels, (0.95, 0.95), instance="1.1"))
    write_level(tmp_path / "b.dcm", Level(reduced(pixels, 8), (7.6, 7.6), instance="1.2", kept=(0,)))
    report = scanned(path)
    assert (report.status, report.metastasis) == (Status.COMPLETE, Metastasis.MICRO)
    lost_mm2, node_mm2 = 128**2 * 7.6**2 / 1e6, 704**2 * 0.95**2 / 1e6
    if finer_px:
        assert report.flags == ()
        assert report.tissue_area_mm2 == pytest.approx(2 * node_mm2, rel=0.2)
    else:
        (flag,) = report.flags
        assert flag.code == "overview_unreadable"
        assert flag.message.startswith("0.95 mm2 can't be read at low magnification")
        assert report.tissue_area_mm2 == pytest.approx(lost_mm2 + node_mm2, rel=0.1)
    assert report.deposits[0].diameter_um == pytest.approx(532, abs=16)  # cells of 15 um


def test_glass_left_out_beside_a_lost_tile_is_not_unread(tmp_path: Path) -> None:
    """The right half was never scanned, at no level: it isn't what the overview lost."""
    pixels = np.concatenate([painted(), painted(560)])
    pixels = np.concatenate([pixels, np.full_like(pixels, 255)], axis=1)
    left = tuple(tile for tile in range(16 * 16) if tile % 16 < 8)
    path = write_level(tmp_path / "a.dcm", Level(pixels, (0.95, 0.95), instance="1.1", kept=left))
    write_level(tmp_path / "b.dcm", Level(reduced(pixels, 8), (7.6, 7.6), instance="1.2", kept=(0,)))
    report = scanned(path)
    assert (report.status, report.metastasis, report.unread_fraction) == (Status.COMPLETE, Metastasis.MICRO, 0.0)
    assert report.tissue_area_mm2 == pytest.approx(2 * 704**2 * 0.95**2 / 1e6, rel=0.2)


class Painted:
    """A HandlePool over arrays: alpha of each level, uint8 (H, W) or None where nothing can be decoded."""

    def __init__(self, *alphas: np.ndarray | None, sizes_px: tuple[tuple[int, int], ...] = ()) -> None:
        self._alphas = alphas
        sizes_px = sizes_px or tuple((alpha.shape[1], alpha.shape[0]) for alpha in alphas if alpha is not None)
        downsamples = tuple(sizes_px[0][0] / width for width, _ in sizes_px)
        levels = place_levels(sizes_px, downsamples, (None,) * len(sizes_px), whole_only=False)
        self.stored = SimpleNamespace(sizes_px=sizes_px, levels=lambda: levels)

    def read_level(self, index: int, box: PixelBox) -> np.ndarray:
        alpha = self._alphas[index]
        if alpha is None:
            raise openslide.OpenSlideError("broken")
        assert min(box.left, box.top) >= 0
        assert box.right <= alpha.shape[1]
        assert box.bottom <= alpha.shape[0]
        return np.dstack([np.zeros((box.height, box.width, 3), np.uint8), alpha[box.within(ALL_OF)]])


ALL_OF = PixelBox(0, 0, 10**6, 10**6)


def clear(width: int, height: int, *shown: PixelBox) -> np.ndarray:
    """Alpha that is transparent but in what is shown."""
    alpha = np.zeros((height, width), np.uint8)
    for box in shown:
        alpha[box.within(ALL_OF)] = 255
    return alpha


def loses(pool: Painted, index: int, box: PixelBox, alpha: np.ndarray | None = None) -> bool:
    level = pool._alphas[index] if alpha is None else alpha
    assert level is not None
    return LostAreas(cast(HandlePool, pool)).has_lost(index, box, level[box.within(ALL_OF)])


@pytest.mark.parametrize(("row", "column"), [(row, column) for row in range(2) for column in range(3)])
def test_a_block_is_lost_where_a_finer_level_shows_its_middle(row: int, column: int) -> None:
    """One pixel of it is enough, and tells of its own block alone: of 3 x 2 blocks, the last of them 100 px wide."""
    x, y = 128 * column + (64 if column < 2 else 50), 128 * row + 64
    fine = clear(4 * 356, 4 * 256, PixelBox(4 * x, 4 * y, 1, 1))
    pool = Painted(fine, clear(356, 256))
    for other_row, other_column in np.ndindex(2, 3):
        box = PixelBox(128 * other_column + 70, 128 * other_row + 10, 20, 20)
        assert loses(pool, 1, box) == ((other_row, other_column) == (row, column))
    assert loses(pool, 1, PixelBox(0, 0, 356, 256))
    assert not loses(pool, 0, PixelBox(0, 0, 16, 16))


@pytest.mark.parametrize("shown", [0, 1])
def test_a_blocks_middle_is_looked_up_by_the_levels_own_ratios_across_and_down(shown: int) -> None:
    """Of levels that are squeezed 1 % more across than down, or less, which is 14 px here and 1,000 on a slide."""
    sizes_px = (2050, 2050), (820, 828), (390, 387)
    middle = 128 + 64, 256 + 64
    x, y = (middle[side] * sizes_px[shown][side] // sizes_px[2][side] for side in (0, 1))
    levels = [clear(*size_px) for size_px in sizes_px]
    levels[shown][y, x] = 255
    for row, column in np.ndindex(3, 3):
        box = PixelBox(128 * column + 70, 128 * row + 10, 20, 20)
        assert loses(Painted(*levels), 2, box) == ((row, column) == (2, 1))


def test_nothing_is_lost_of_the_finest_level_nor_where_a_coarser_one_alone_shows_something() -> None:
    """Who else would know of it? What the coarser one shows is read from there."""
    fine, middle, coarse = clear(1024, 1024), clear(512, 512), clear(256, 256, PixelBox(0, 0, 256, 256))
    pool = Painted(fine, middle, coarse)
    assert not loses(pool, 0, PixelBox(0, 0, 1024, 1024))
    assert not loses(pool, 1, PixelBox(0, 0, 512, 512))
    assert loses(Painted(fine, clear(512, 512, PixelBox(0, 0, 512, 512)), clear(256, 256)), 2, PixelBox(0, 0, 9, 9))


def test_what_a_finer_level_can_not_decode_was_scanned() -> None:
    """The coarse level's white there is not glass for certain."""
    assert loses(Painted(None, clear(256, 256), sizes_px=((1024, 1024), (256, 256))), 1, PixelBox(0, 0, 60, 60))


@pytest.mark.parametrize(("left_px", "lost"), [(7, False), (8, True)])
def test_a_strip_that_the_levels_end_cuts_counts_from_eight_pixels_on(left_px: int, lost: bool) -> None:
    """Sides of levels are rounded, so that less may be shown by one level alone. What the block before it shows is
    nothing of the strip's."""
    side = 128 + left_px
    for width, height, box in (
        (side, 128, PixelBox(128, 0, left_px, 128)),
        (128, side, PixelBox(0, 128, 128, left_px)),
    ):
        fine = clear(4 * width, 4 * height, PixelBox(0, 0, 4 * width, 4 * height))
        for coarse in (clear(width, height), clear(width, height, PixelBox(0, 0, 128, 128))):
            assert loses(Painted(fine, coarse), 1, box) == lost


@pytest.mark.parametrize("shown", [PixelBox(56, 64, 1, 1), PixelBox(71, 64, 1, 1), PixelBox(64, 56, 1, 1)])
def test_a_block_with_anything_about_its_middle_is_not_lost(shown: PixelBox) -> None:
    """Whether the box holds that middle or lies beside it; what is shown a pixel further out is a neighbour's."""
    fine = clear(1024, 1024, PixelBox(0, 0, 1024, 1024))
    coarse = clear(256, 256, shown)
    for box in (PixelBox(0, 0, 128, 128), PixelBox(2, 2, 30, 30), PixelBox(2, 2, 62, 62)):
        assert not loses(Painted(fine, coarse), 1, box)
    beyond = clear(256, 256, PixelBox(55, 64, 1, 1), PixelBox(72, 64, 1, 1), PixelBox(64, 55, 1, 1))
    for box in (PixelBox(0, 0, 128, 128), PixelBox(2, 2, 30, 30)):
        assert loses(Painted(fine, beyond), 1, box)


def test_a_box_that_is_shown_in_part_is_asked_of_each_block_that_it_meets() -> None:
    """A shown block before a lost one hides nothing."""
    fine = clear(2048, 512, PixelBox(0, 0, 2048, 512))
    coarse = clear(512, 128, PixelBox(0, 0, 128, 128), PixelBox(384, 0, 128, 128))
    pool = Painted(fine, coarse)
    assert loses(pool, 1, PixelBox(0, 0, 512, 128))
    assert loses(pool, 1, PixelBox(120, 0, 20, 20))
    assert not loses(pool, 1, PixelBox(0, 0, 128, 128))
    assert not loses(pool, 1, PixelBox(384, 0, 128, 128))


def test_what_a_box_lacks_is_lost_though_it_shows_a_neighbours_part_of_the_block() -> None:
    """A lost tile that ends within a block, beyond its middle: a box that begins behind that was told as read."""
    fine = clear(2048, 512, PixelBox(0, 0, 2048, 512))
    pool = Painted(fine, clear(512, 128, PixelBox(0, 0, 200, 128), PixelBox(500, 0, 12, 128)))
    assert loses(pool, 1, PixelBox(460, 0, 52, 128))
    assert loses(pool, 1, PixelBox(499, 0, 13, 128))
    for whole in (PixelBox(500, 0, 12, 128), PixelBox(0, 0, 200, 128), PixelBox(500, 60, 1, 1)):
        assert not loses(pool, 1, whole)


def test_a_picture_of_another_shape_tells_nothing_of_what_was_lost() -> None:
    """It stands among the levels, by its size, and may be of a label."""
    picture = clear(700, 300, PixelBox(0, 0, 700, 300))
    assert not loses(Painted(clear(1024, 1024), picture, clear(256, 256)), 2, PixelBox(0, 0, 256, 256))
