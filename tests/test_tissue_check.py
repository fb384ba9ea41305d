"""Faults of a scan are told, and tissue that the model was not trained on; a sound scan of its own tissue is not."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from nodescan.domain.flags import MAY_BE_NONE
from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import TissueMask
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError
from nodescan.inference.card import find_model, load_card
from nodescan.inference.known_tissue import known_tissue
from nodescan.overview import overview_and_tissue
from nodescan.reports.first_look import look_first
from nodescan.slides import open_slide
from nodescan.tissue_check import check_fields
from tests.painted import SETTINGS, scan_file

COARSE = Spacing.square(8.0)
WHOLE = TissueMask(np.ones((250, 250), dtype=np.bool_), COARSE)


@dataclass
class NumberedSlide:
    """2 x 2 mm; the field that is read as the nth is of the grey n. unreadable: how many fields are."""

    unreadable: int = 0
    read_at: list[PixelBox] = field(default_factory=list)

    def frame_spacing(self, finest_um: float, coarsest_um: float) -> Spacing:
        return Spacing.square((finest_um + coarsest_um) / 2)

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        self.read_at.append(box)
        if len(self.read_at) <= self.unreadable:
            raise RegionUnreadableError("numbered", "a tile is damaged")
        return np.full((96, 96, 3), len(self.read_at), np.uint8)


@dataclass(frozen=True)
class Strange:
    """Knows all fields but the first `strange`; of those after `stained` nothing can be told."""

    strange: int
    stained: int = 48

    def unlike(self, fields: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return np.arange(min(self.stained, len(fields))) < self.strange


def told(strange: Strange | None, slide: NumberedSlide | None = None, tissue: TissueMask = WHOLE) -> list[str]:
    seen = check_fields(slide or NumberedSlide(), tissue, strange, (0.9, 1.0))  # pyright: ignore[reportArgumentType]
    flags = seen.flags(found=True)
    assert {flag.code for flag in flags} <= {"unlike_training"}
    return [flag.message for flag in flags]


def test_so_many_unlike_fields_are_told_as_chance_gives_to_one_known_slide_in_a_thousand() -> None:
    """Of 48 fields that are unlike with a chance of 0.2, 19 or more are in 0.0016 of cases, 20 or more in 0.0007."""
    assert told(Strange(19)) == []
    (said,) = told(Strange(20))
    assert said.startswith("42 % of the tissue looks unlike the tissue that the model was trained on")
    assert "Tumour may be missed" in said


def test_nothing_is_told_of_fewer_than_sixteen_stained_fields_nor_without_known_tissue() -> None:
    assert told(None) == []
    assert told(Strange(15, stained=15)) == []
    assert len(told(Strange(16, stained=16))) == 1
    assert told(Strange(48), NumberedSlide(unreadable=33)) == []
    assert len(told(Strange(48), NumberedSlide(unreadable=32))) == 1
    assert told(Strange(48), tissue=TissueMask(np.zeros((250, 250), dtype=np.bool_), COARSE)) == []


def test_fields_lie_on_tissue_all_over_it() -> None:
    slide, tissue = NumberedSlide(), np.zeros((250, 250), dtype=np.bool_)
    tissue[:, 125:] = True
    told(Strange(0), slide, TissueMask(tissue, COARSE))
    assert len(slide.read_at) == 48
    tops = [box.top * 0.95 for box in slide.read_at]
    assert min(box.left * 0.95 for box in slide.read_at) >= 1000 - 96
    assert min(tops) < 100
    assert max(tops) > 1800


@dataclass
class Scanned(NumberedSlide):
    """Fields of a scan at 0.95 um/px, one after the other."""

    fields: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 96, 96, 3), np.uint8))

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        number = len(self.read_at)
        super().read(box, spacing)
        return self.fields[number]


def some_fields(phantom: Path, apart_px: int = 0) -> NDArray[np.uint8]:
    """48 out of the middle of the phantom; apart_px: red lies so far off its place."""
    view = tifffile.imread(phantom, level=1)
    top, left = (side // 2 - half for side, half in zip(view.shape, (288, 384), strict=False))
    view = view.copy()
    view[..., 0] = np.roll(view[..., 0], apart_px, 1)
    blocks = view[top : top + 576, left : left + 768].reshape(6, 96, 8, 96, 3)
    return blocks.swapaxes(1, 2).reshape(48, 96, 96, 3)


def codes(slide: Scanned, known: Strange | None) -> dict[str, str]:
    flags = check_fields(slide, WHOLE, known, (0.9, 1.0)).flags(found=True)  # pyright: ignore[reportArgumentType]
    return {flag.code: flag.message for flag in flags}


@pytest.mark.parametrize("known", [None, Strange(0)])
def test_a_fault_is_told_with_its_number_whatever_is_known_of_the_model(phantom: Path, known: Strange | None) -> None:
    assert codes(Scanned(fields=some_fields(phantom)), known) == {}
    (said,) = codes(Scanned(fields=some_fields(phantom, 2)), known).values()
    assert said == (
        "The scan has a fault: two of its colours lie 1.9 um apart (sound scans: at most 0.4). Tumour may be missed, "
        "and sizes may be wrong. Deposits found here may be no tumour. Scan or export the slide again, or read it "
        "under the microscope."
    )


def test_a_colour_far_apart_is_not_told_as_a_second_picture(phantom: Path) -> None:
    (said,) = codes(Scanned(fields=some_fields(phantom, 12)), None).values()
    assert "two of its colours lie 11.3 um apart" in said
    assert "second picture" not in said


def test_rows_far_out_of_place_are_told_as_such(phantom: Path) -> None:
    """Every second one by 30 um."""
    fields = some_fields(phantom)
    fields[:, 1::2] = np.roll(fields[:, 1::2], 32, 2)
    (said,) = codes(Scanned(fields=fields), None).values()
    assert "its rows of pixels are far out of place (fine structure across them is" in said
    assert "second picture" not in said


def test_no_fault_is_told_of_fewer_than_sixteen_fields(phantom: Path) -> None:
    faulty = some_fields(phantom, 2)
    assert codes(Scanned(unreadable=32, fields=faulty), None).keys() == {"scan_fault"}
    assert codes(Scanned(unreadable=33, fields=faulty), None) == {}


def test_what_a_fault_does_is_said_once_where_the_tissue_looks_unlike_too(phantom: Path) -> None:
    said = codes(Scanned(fields=some_fields(phantom, 2)), Strange(48))
    assert list(said) == ["scan_fault", "unlike_training"]
    assert said["unlike_training"].endswith(
        "The fault of the scan may be the reason. It may also be other tissue, or another stain."
    )
    assert "tumour may" not in said["unlike_training"].lower()


def test_a_slide_with_its_colours_apart_is_flagged_and_told_first(phantom: Path, tmp_path: Path) -> None:
    """By 1 um; the slide as it is has no such flag. What was found is as measured."""
    path = tmp_path / "apart.tif"
    with tifffile.TiffFile(phantom) as slide, tifffile.TiffWriter(path) as tif:
        for number, level in enumerate(slide.series[0].levels):
            pixels, um = level.asarray(), 0.5 * 2**number
            pixels[..., 0] = np.roll(pixels[..., 0], round(1 / um), 1)
            tif.write(
                pixels,
                tile=(256, 256),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 80},
                subfiletype=int(number > 0),
                resolution=(1e4 / um, 1e4 / um),
                resolutionunit="CENTIMETER",
            )
    sound, apart = (scan_file(SlideRef(one.stem, one)).report for one in (phantom, path))
    assert "scan_fault" not in {flag.code for flag in sound.flags}
    (fault,) = (flag for flag in apart.flags if flag.code == "scan_fault")
    assert float(fault.message.split("colours lie ")[1].split(" um")[0]) == pytest.approx(1, abs=0.3)
    assert look_first(apart)[0] == fault.message
    assert (MAY_BE_NONE in fault.message) is bool(apart.deposits)


@pytest.mark.parametrize(("name", "mpp_um"), [("CMU-1-Small-Region.svs", None), ("tcga-cr-7395-01a-01-ts1.svs", 0.25)])
def test_skin_and_a_carcinoma_of_the_throat_are_told(shared: Path, name: str, mpp_um: float | None) -> None:
    path = shared / "data/slides" / name
    slide = open_slide(SlideRef(path.stem, path, mpp_um=mpp_um))
    model = find_model(None)
    try:
        _, tissue = overview_and_tissue(slide, SETTINGS)
        (flag,) = check_fields(slide, tissue, known_tissue(model), load_card(model).spacing_um).flags(found=True)
    finally:
        slide.close()
    assert flag.code == "unlike_training"
