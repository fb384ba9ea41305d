"""What a level leaves transparent is glass only where no finer level shows it."""

from pathlib import Path

import numpy as np
import pytest

from nodescan.domain.classification import Metastasis
from nodescan.domain.geometry import PixelBox
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError
from nodescan.slides import open_slide
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


def test_tissue_that_the_overview_lacks_is_examined(tmp_path: Path) -> None:
    """A node without tumour, and below it one with a micrometastasis, under a lost tile of the overview."""
    pixels = np.concatenate([painted(), painted(560)])
    path = write_level(tmp_path / "a.dcm", Level(pixels, (0.95, 0.95), instance="1.1"))
    write_level(tmp_path / "b.dcm", Level(reduced(pixels, 8), (7.6, 7.6), instance="1.2", kept=(0,)))
    report = scanned(path)
    assert (report.status, report.metastasis) == (Status.COMPLETE, Metastasis.MICRO)
    (flag,) = report.flags
    assert flag.code == "overview_unreadable"
    assert flag.message.startswith("0.95 mm2 can't be read at low magnification")
    assert report.tissue_area_mm2 > 0.95 + 0.4
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
    assert report.tissue_area_mm2 == pytest.approx(128**2 * 7.6**2 / 1e6 + 704**2 * 0.95**2 / 1e6, rel=0.1)
