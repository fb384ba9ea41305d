"""Two foci that run together on the map are told by the waist between them; one focus of any plain shape has none."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.domain.classification import Metastasis
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit
from nodescan.domain.doubts import Waist
from nodescan.domain.units import Micrometers, Spacing
from nodescan.domain.verdict import waist_flags
from nodescan.imaging.doubts import find_waists
from nodescan.imaging.segmentation import find_deposits
from tests.imaging.planted import Inside, coverage, disc, either, settings
from tests.patients.made_reports import disc as deposit

RULE = DecisionRule(
    smoothing_um=40.0, threshold=0.5, seed_threshold=0.6, size_correction_um=(), size_uncertainty_um=0.0
)
"""A gap of two cells is smoothed away."""


def found(*shapes: Inside) -> tuple[Deposit, ...]:
    return find_deposits(coverage(either(*shapes), (130, 260), Spacing.square(16.0)), RULE, settings())


def waists(deposits: Sequence[Deposit], joining_gap_um: float = 0.0) -> tuple[Waist, ...]:
    return find_waists(deposits, joining_gap_um=Micrometers(joining_gap_um))


def ellipse(centre_um: tuple[float, float], length_um: float, width_um: float, turn: float = 0.0) -> Inside:
    def inside(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        right, down = x - centre_um[0], y - centre_um[1]
        along, across = math.cos(turn) * right + math.sin(turn) * down, math.cos(turn) * down - math.sin(turn) * right
        return (along / length_um) ** 2 + (across / width_um) ** 2 <= 0.25

    return inside


def crescent(centre_um: tuple[float, float], radius_um: float, thick_um: float) -> Inside:
    def inside(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        distance = np.hypot(x - centre_um[0], y - centre_um[1])
        return (np.abs(distance - radius_um) <= thick_um / 2) & (y >= centre_um[1] - radius_um / 3)

    return inside


@pytest.mark.parametrize("diameter_um", [200.0, 320.0, 600.0, 1100.0, 1500.0])
@pytest.mark.parametrize("shift_um", [0.0, 5.0])
def test_two_discs_30_um_apart_are_told_with_what_each_measures(diameter_um: float, shift_um: float) -> None:
    """Measured as one of more than twice their size; each part is a disc's to a tenth, or a cell."""
    left, top = 60 + diameter_um / 2 + shift_um, 1000.0
    (one,) = deposits = found(disc((left, top), diameter_um), disc((left + diameter_um + 30, top), diameter_um))
    assert one.diameter_um > 1.9 * diameter_um
    (waist,) = waists(deposits)
    assert waist.deposit_id == one.id
    assert len(waist.parts_um) == 2
    assert waist.parts_um == pytest.approx((diameter_um, diameter_um), rel=0.1, abs=16)
    assert 0 < waist.width_um < 0.8 * diameter_um


@pytest.mark.parametrize(
    "shape",
    [
        disc((1000, 1000), 900),
        ellipse((1500, 1000), 2600, 700, 0.3),
        ellipse((1000, 1000), 700, 230, 0.8),
        crescent((1500, 1000), 800, 300),
        crescent((1000, 1000), 300, 150),
    ],
)
def test_one_focus_has_none(shape: Inside) -> None:
    """Round, long or bent, it narrows nowhere but to its ends."""
    deposits = found(shape)
    assert len(deposits) == 1
    assert waists(deposits) == ()


def test_a_bump_is_no_focus_and_a_broad_join_is_no_waist() -> None:
    """A small disc at a large one's border has too little area; two that overlap by half have no narrow place."""
    assert waists(found(disc((1000, 1000), 900), disc((1520, 1000), 170))) == ()
    assert waists(found(disc((1000, 1000), 900), disc((1400, 1000), 900))) == ()


def test_nobody_asks_where_no_class_can_hang_on_it() -> None:
    """Isolated tumour cells have no lower class; of what is longer than 4.4 mm one part is a macrometastasis anyway."""
    assert waists(found(disc((600, 1000), 70), disc((680, 1000), 70))) == ()
    (pair,) = found(disc((620, 600), 1100), disc((1750, 600), 1100))
    assert waists([pair])
    assert waists([replace(pair, diameter_um=Micrometers(4401.0))]) == ()


def test_a_class_that_hangs_on_two_being_one_is_a_doubt() -> None:
    """Two of 1.1 mm are a macrometastasis as one; beside a third of 2.3 mm they change nothing."""
    pair = disc((620, 600), 1100), disc((1750, 600), 1100)
    deposits = found(*pair)
    assert deposits[0].metastasis is Metastasis.MACRO
    (flag,) = waist_flags(deposits, waists(deposits))
    assert flag.code == "may_be_two_foci"
    assert "the slide's class is micro" in flag.message
    more = found(*pair, ellipse((1800, 1700), 2400, 500))
    (flag,) = waist_flags(more, waists(more))
    assert flag.code == "size_may_span_foci"
    assert "no. 2 (2.2" in flag.message
    assert "class would be the same" in flag.message  # not that it can't change: see may_be_one_deposit


def test_foci_of_unlike_size_and_rows_of_them_are_told() -> None:
    """Neither is longer than 2 mm by itself; as one they are a macrometastasis."""
    for foci in (
        [disc((1010, 1000), 1900), disc((1010 + 950 + 30 + 300, 1000), 600)],
        [disc((200 + 280 * number, 1000), 250) for number in range(8)],
    ):
        deposits = found(*foci)
        assert [one.metastasis for one in deposits] == [Metastasis.MACRO]
        (flag,) = waist_flags(deposits, waists(deposits))
        assert flag.code == "may_be_two_foci"


def test_outlines_that_touch_once_corrected_are_told_unless_a_gap_was_asked_for() -> None:
    """The map parts two of 0.14 mm; each moved outward by 25 um they touch, and as one of 0.3 mm by less."""
    rule = replace(RULE, smoothing_um=0.0, size_correction_um=((140.0, 190.0), (300.0, 302.0)))
    map_ = coverage(either(disc((400, 400), 140), disc((580, 400), 140)), (60, 70), Spacing.square(16.0))
    (one,) = deposits = find_deposits(map_, rule, settings())
    assert (one.metastasis, len(one.outline)) == (Metastasis.MICRO, 2)
    (waist,) = waists(deposits)
    assert waist.width_um == 0
    (flag,) = waist_flags(deposits, [waist])
    assert flag.code == "may_be_two_foci"
    assert "which touch" in flag.message
    assert waists(deposits, joining_gap_um=25.0) == ()


def test_without_a_waist_nothing_is_said() -> None:
    assert waist_flags(found(disc((1000, 1000), 900)), ()) == ()


def test_a_speck_that_touches_once_corrected_is_no_second_focus() -> None:
    """Beside 0.9 mm: one of 0.06 mm has a two-hundredth of the area, one of 0.4 mm a sixth."""

    def touching(other_um: float) -> Deposit:
        one, other = deposit(1, 900.0, (1000.0, 1000.0)), deposit(2, other_um, (1450.0 + other_um / 2, 1000.0))
        return replace(one, outline=(*one.outline, *other.outline))

    assert waists([touching(60.0)]) == ()
    assert [waist.width_um for waist in waists([touching(400.0)])] == [0.0]


def test_what_hardly_narrows_beside_a_small_part_is_no_waist() -> None:
    """Discs of 1.2 and 0.6 mm that overlap: 0.53 mm between them is 0.9 of the smaller one, 0.42 mm 0.7."""
    assert waists(found(disc((700, 1000), 1200), disc((1460, 1000), 600))) == ()
    (waist,) = waists(found(disc((700, 1000), 1200), disc((1550, 1000), 600)))
    assert waist.width_um == pytest.approx(420, abs=20)
