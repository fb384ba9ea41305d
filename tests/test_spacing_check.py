"""A spacing that is wrong by two is told by the nuclei, and a right one isn't called wrong."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import Picture, TissueMask
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError, UnmeasurableError
from nodescan.overview import overview_and_tissue
from nodescan.slides import open_slide
from nodescan.spacing_check import spacing_flags
from tests.imaging.test_granularity import spotted
from tests.painted import SETTINGS
from tests.slides.made_files import write_tiff
from tests.test_level_check import report_of

COARSE = Spacing.square(8.0)


@dataclass
class SpottedSlide:
    """2 x 2 mm full of nuclei that measure as lymph nodes' do where `size` is 1."""

    size: float = 1.0
    unreadable: int = 0
    finest_um: float = 0.5
    read_at: list[PixelBox] = field(default_factory=list)

    @property
    def info(self) -> "SpottedSlide":
        return self

    @property
    def spacing(self) -> Spacing:
        return Spacing.square(0.25)

    def frame_spacing(self, finest_um: float, coarsest_um: float) -> Spacing:
        if not finest_um <= self.finest_um <= coarsest_um:
            raise UnmeasurableError("spotted", "too coarse")
        return Spacing.square(self.finest_um)

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        self.read_at.append(box)
        if len(self.read_at) <= self.unreadable:
            raise RegionUnreadableError("spotted", "a tile is damaged")
        return spotted(4 / spacing.x * self.size, seed=len(self.read_at))


def checked(slide: SpottedSlide, tissue: NDArray[np.bool_] | None = None) -> list[str]:
    """What is said of the slide; all of it is tissue where nothing else is given."""
    where = np.ones((250, 250), dtype=np.bool_) if tissue is None else tissue
    overview = Picture(np.full((*where.shape, 3), 180, np.uint8), 0.0, 0.0, COARSE)
    flags = spacing_flags(slide, overview, TissueMask(where, COARSE))  # pyright: ignore[reportArgumentType]
    assert {flag.code for flag in flags} <= {"nuclei_out_of_scale"}
    return [flag.message for flag in flags]


def test_nuclei_of_the_usual_size_say_nothing() -> None:
    assert checked(SpottedSlide()) == []


def test_nuclei_half_and_twice_as_large_are_told_with_the_spacing_in_doubt() -> None:
    (small,), (large,) = checked(SpottedSlide(0.5)), checked(SpottedSlide(2.0))
    assert small.startswith("Cell nuclei look 0.5")
    assert large.startswith(("Cell nuclei look 1.9", "Cell nuclei look 2"))
    assert "pixel size of 0.25 um/px may be wrong" in small
    assert "pixel size of 0.25 um/px may be wrong" in large
    assert "focus" in large
    assert "focus" not in small


def test_a_pixel_size_four_times_too_large_is_told() -> None:
    """As of a scan at 40x that was entered as one at 10x."""
    (said,) = checked(SpottedSlide(4.0, finest_um=1.0))
    assert said.startswith(("Cell nuclei look 3.9", "Cell nuclei look 4"))


def test_what_cannot_be_told_is_not_told() -> None:
    speck = np.zeros((250, 250), dtype=np.bool_)
    speck[:40, :40] = True
    assert checked(SpottedSlide(2.0, finest_um=1.5)) == []
    assert checked(SpottedSlide(0.5, unreadable=9)) == []
    assert checked(SpottedSlide(0.5), speck) != []  # four pieces are enough
    speck[20:] = False
    assert checked(SpottedSlide(0.5), speck) == []


def test_a_coarse_slide_tells_of_large_nuclei_alone() -> None:
    assert [len(checked(SpottedSlide(size, finest_um=1.0))) for size in (0.5, 1.0, 2.0)] == [0, 0, 1]


def test_pieces_lie_on_tissue_in_the_darker_half_of_it() -> None:
    slide = SpottedSlide()
    tissue = np.zeros((250, 250), dtype=np.bool_)
    tissue[:, 100:] = True
    pixels = np.full((250, 250, 3), 200, np.uint8)
    pixels[120:, 100:] = 120
    spacing_flags(slide, Picture(pixels, 0.0, 0.0, COARSE), TissueMask(tissue, COARSE))  # pyright: ignore[reportArgumentType]
    assert 4 <= len(slide.read_at) <= 12
    for box in slide.read_at:
        assert box.left * 0.5 >= 90 * 8.0
        assert box.top * 0.5 >= 110 * 8.0


def flags_of(path: Path, mpp_um: float | None = None) -> tuple[str, ...]:
    ref = SlideRef(path.stem, path)
    slide = open_slide(replace(ref, mpp_um=mpp_um, override_mpp=mpp_um is not None))
    try:
        return tuple(flag.code for flag in spacing_flags(slide, *overview_and_tissue(slide, SETTINGS)))
    finally:
        slide.close()


def test_phantoms_are_told_apart(phantom: Path) -> None:
    assert flags_of(phantom) == ()
    assert flags_of(phantom, 0.2) == ("nuclei_out_of_scale",)
    assert flags_of(phantom, 1.0) == ("nuclei_out_of_scale",)


@pytest.mark.parametrize(
    ("name", "right_um", "wrong_um"),
    [("CMU-1-Small-Region.svs", None, (0.25, 1.0)), ("tcga-cr-7395-01a-01-ts1.svs", 0.5, (0.25,))],
)
def test_scanner_files_are_told_apart(
    shared: Path, name: str, right_um: float | None, wrong_um: tuple[float, ...]
) -> None:
    path = shared / "data" / "slides" / name
    assert flags_of(path, right_um) == ()
    assert {flags_of(path, um) for um in wrong_um} == {("nuclei_out_of_scale",)}


def test_regions_of_five_centres_are_told_apart(shared: Path, tmp_path: Path) -> None:
    regions = sorted((shared / "data" / "regions").glob("centre_*.jpeg"))
    assert len(regions) == 5
    for region in regions:
        path = tmp_path / f"{region.stem}.tif"
        with Image.open(region) as picture:
            write_tiff(path, [np.asarray(picture.convert("RGB"))], mpp_um=None, tile_px=256)
        assert flags_of(path, 0.243) == ()
        assert {flags_of(path, um) for um in (0.12, 0.486, 0.972)} == {("nuclei_out_of_scale",)}


@pytest.mark.parametrize(("mpp_um", "told"), [(None, False), (0.2, True)])
def test_a_scans_report_says_that_the_nuclei_are_of_another_size(
    phantom: Path, mpp_um: float | None, told: bool
) -> None:
    """Every size of it is wrong by as much."""
    assert ("nuclei_out_of_scale" in {flag.code for flag in report_of(phantom, mpp_um=mpp_um).flags}) is told
