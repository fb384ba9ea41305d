"""Cells are counted where they can change a class, and only a clear count does."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan import counting
from nodescan.config import load_config
from nodescan.counting import with_cell_counts
from nodescan.domain.classification import CellCount, Metastasis, classify
from nodescan.domain.deposits import Deposit, Polygon
from nodescan.domain.geometry import PixelBox
from nodescan.domain.units import Micrometers, Spacing, SquareMicrometers
from nodescan.errors import RegionUnreadableError, UnmeasurableError
from tests.patients.made_reports import disc

SPACING_UM = 0.5
SETTINGS = load_config().settings.nuclei


@dataclass
class DottedSlide:
    """Pink tissue with round nuclei of 8 um on a square grid of pitch_um, read at 0.5 um/px."""

    pitch_um: float = 16.0
    too_coarse: bool = False
    unreadable: bool = False
    reads: int = 0

    def frame_spacing(self, finest_um: float, coarsest_um: float) -> Spacing:
        if self.too_coarse:
            raise UnmeasurableError("dotted", "its finest level is 1 um/px")
        assert finest_um <= SPACING_UM <= coarsest_um
        return Spacing.square(SPACING_UM)

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        self.reads += 1
        if self.unreadable:
            raise RegionUnreadableError("dotted", "a tile is damaged")
        x, y = np.meshgrid(
            (np.arange(box.left, box.right) + 0.5) * spacing.x, (np.arange(box.top, box.bottom) + 0.5) * spacing.y
        )
        away_um = np.hypot(*((axis % self.pitch_um) - self.pitch_um / 2 for axis in (x, y)))
        return np.where((away_um < 4)[..., None], (90, 60, 140), (230, 170, 205)).astype(np.uint8)


def square(side_um: float, *, number: int = 1, left_um: float = 320.0) -> Deposit:
    """A square whose edges fall between the nuclei, called side_um * 1.2 long."""
    right_um, bottom_um = left_um + side_um, 320.0 + side_um
    ring = np.array([(left_um, 320.0), (right_um, 320.0), (right_um, bottom_um), (left_um, bottom_um)])
    size = Micrometers(1.2 * side_um)
    return Deposit(
        id=number,
        diameter_um=size,
        diameter_uncertainty_um=Micrometers(5),
        endpoints_um=((left_um, 320), (left_um + size, 320)),
        area_um2=SquareMicrometers(side_um**2),
        centre_um=(left_um, 320),
        metastasis=classify(size),
        outline=(Polygon(ring),),
    )


def test_nuclei_inside_the_outline_are_counted() -> None:
    """Nine by nine nuclei planted, nine by nine counted; the class stays."""
    (found,) = with_cell_counts(DottedSlide(), [square(144)], SETTINGS)
    assert (found.cells, found.metastasis) == (CellCount(81, 33), Metastasis.ITC)


@pytest.mark.parametrize(
    ("pitch_um", "nuclei", "expected", "near"),
    [
        (8.05, 361, Metastasis.MICRO, False),
        (10.2, 225, Metastasis.ITC, True),
        (11.76, 169, Metastasis.ITC, True),
        (15.3, 100, Metastasis.ITC, False),
    ],
)
def test_only_a_clear_count_makes_a_micrometastasis(
    pitch_um: float, nuclei: int, expected: Metastasis, near: bool
) -> None:
    """More than 200 less the uncertainty decide; an interval that holds 200 does not, and is up for review."""
    deposit = square(153, left_um=320)
    shift = 320 % pitch_um
    ring = deposit.outline[0].exterior - shift
    (found,) = with_cell_counts(DottedSlide(pitch_um), [replace(deposit, outline=(Polygon(ring),))], SETTINGS)
    assert found.cells is not None
    assert found.cells.number == pytest.approx(nuclei, abs=6)
    assert (found.metastasis, found.count_near_limit) == (expected, near)


def test_cells_that_can_change_nothing_are_not_counted() -> None:
    """A micrometastasis by its size isn't read again, its neighbour of 0.1 mm is."""
    slide = DottedSlide()
    large, small = with_cell_counts(slide, [square(400), square(96, number=2, left_um=1600)], SETTINGS)
    assert (large.cells, small.cells, slide.reads) == (None, CellCount(36, 15), 1)


@pytest.mark.parametrize("slide", [DottedSlide(too_coarse=True), DottedSlide(unreadable=True)])
def test_what_cannot_be_seen_is_not_assessed(slide: DottedSlide) -> None:
    """No count, no change of class: too coarse a slide and a damaged tile are never "no cells"."""
    before = square(144)
    assert with_cell_counts(slide, [before], SETTINGS) == (before,)


@dataclass
class Watched(DottedSlide):
    boxes: list[PixelBox] = field(default_factory=list)

    def read(self, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
        self.boxes.append(box)
        return super().read(box, spacing)


def test_of_a_large_slide_no_more_is_read_than_the_deposit_and_what_lies_beside_it() -> None:
    """144 um, far from the canvas' corner, and 15 um around it: memory is bounded by the deposit."""
    slide, deposit = Watched(), square(144)
    far = replace(deposit, outline=(Polygon(np.add(deposit.outline[0].exterior, (16_000, 32_000))),))
    (found,) = with_cell_counts(slide, [far], SETTINGS)
    (box,) = slide.boxes
    assert found.cells == CellCount(81, 33)
    assert (box.left / 2, box.top / 2) == pytest.approx((16_305, 32_305), abs=1)
    assert (box.width / 2, box.height / 2) == pytest.approx((174, 174), abs=2)


@pytest.mark.parametrize("spacing", [Spacing(0.25, 0.25), Spacing(0.25, 0.2475), Spacing(0.2475, 0.25)])
def test_nuclei_are_counted_where_the_deposit_lies(spacing: Spacing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far from the canvas' corner, too, where x and y differ by 1 %: the pixels have the deposit's centre and area."""
    looked_at: list[NDArray[np.bool_]] = []

    def counted(_: NDArray[np.uint8], inside: NDArray[np.bool_], **how: object) -> CellCount:
        looked_at.append(inside)
        return CellCount(9, 3)

    monkeypatch.setattr(counting, "count_nuclei", counted)
    slide, deposit = Watched(), disc(1, 150.0, (20_000.0, 45_000.0))
    monkeypatch.setattr(slide, "frame_spacing", lambda *_: spacing)
    with_cell_counts(slide, [deposit], SETTINGS)
    (box,), (inside,) = slide.boxes, looked_at
    rows, columns = np.nonzero(inside)
    assert (box.left + columns.mean() + 0.5) * spacing.x == pytest.approx(20_000, abs=0.05)
    assert (box.top + rows.mean() + 0.5) * spacing.y == pytest.approx(45_000, abs=0.05)
    assert rows.size * spacing.pixel_area_um2 == pytest.approx(deposit.area_um2, rel=0.005)
