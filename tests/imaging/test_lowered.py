"""Pieces of one deposit are told where a slightly lower threshold shows them in one; what the ± allows for is not."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from nodescan.domain.classification import Metastasis
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit
from nodescan.domain.doubts import Whole
from nodescan.domain.flags import Flag
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Micrometers
from nodescan.domain.verdict import whole_flags
from nodescan.imaging.doubts import larger_at_lower_threshold
from nodescan.imaging.segmentation import find_foci
from tests.imaging.planted import CELL_UM, disc, map_of, settings
from tests.imaging.planted import coverage as covered
from tests.reports.factory import ITC, MACRO, MICRO

RULE = DecisionRule(0.0, 0.7, 0.8, (), 5.0, 2.8)


def bar(*pieces: tuple[int, float]) -> ProbabilityMap:
    """A bar 8 cells wide in a map of 20 x 220 cells: pieces of so many cells of such a value, end to end."""
    values = np.full((20, 220), 0.02, dtype=np.float32)
    column = 10
    for cells, value in pieces:
        values[6:14, column : column + cells] = value
        column += cells
    return map_of(values)


def wholes(map_: ProbabilityMap) -> tuple[tuple[Deposit, ...], tuple[Whole, ...]]:
    foci = find_foci(map_, RULE, settings())
    found = foci.deposits()
    return found, larger_at_lower_threshold(foci, found=found)


def flags(map_: ProbabilityMap) -> tuple[Flag, ...]:
    return whole_flags(*wholes(map_))


def test_pieces_of_a_macrometastasis_are_told_with_its_length() -> None:
    """Three of 1.1, 0.6 and 0.5 mm, 93 um apart, so that no joining gap tells it: as one they have 2.4 mm."""
    found, told = wholes(bar((70, 0.95), (6, 0.65), (40, 0.95), (6, 0.65), (32, 0.95)))
    assert [one.metastasis for one in found] == [Metastasis.MICRO] * 3
    (whole,) = told
    assert whole.deposit_ids == (1, 2, 3)
    assert whole.diameter_um == pytest.approx(np.hypot(154, 8) * CELL_UM, abs=CELL_UM)
    assert whole.uncertainty_um == pytest.approx(2.8 * np.hypot(0.15 * CELL_UM, 5))
    (flag,) = whole_flags(found, told)
    assert flag.code == "may_be_one_deposit"
    assert "no. 1, no. 2, no. 3" in flag.message
    assert "2.39 ± 0.0" in flag.message
    assert "may then be macro" in flag.message


@pytest.mark.parametrize(("between", "told"), [(0.65, "0.6"), (0.55, "0.4"), (0.41, "0.4"), (0.39, ""), (0.1, "")])
def test_pieces_of_a_higher_class_are_told_down_to_0_3_below_the_threshold(between: float, told: str) -> None:
    """Two of 1.1 mm; the first threshold that shows them as one is named, and none where they stay apart."""
    found = flags(bar((70, 0.95), (6, between), (70, 0.95)))
    assert [flag.code for flag in found] == ["may_be_one_deposit"] * bool(told)
    assert all(f"threshold of {told}, below" in flag.message for flag in found)


def test_lower_than_by_0_1_neither_a_faint_end_nor_a_size_is_told() -> None:
    """A wide low halo is no piece, and a class that stays needs no doubt."""
    assert flags(bar((80, 0.95), (70, 0.55))) == ()
    assert flags(bar((40, 0.95), (6, 0.55), (40, 0.95))) == ()


def test_a_faint_end_beyond_two_cells_is_told_and_a_shorter_one_is_in_the_uncertainty() -> None:
    """1.2 mm of tumour that goes on for 1.1 mm below the threshold: no other piece is found there."""
    (flag,) = flags(bar((80, 0.95), (70, 0.65)))
    assert flag.code == "may_be_one_deposit"
    assert "no. 1 (1.2" in flag.message
    assert "one of 2.3" in flag.message
    assert flags(bar((80, 0.95), (2, 0.65))) == ()


def test_where_no_class_hangs_on_it_the_size_alone_is_told() -> None:
    """Two of 0.6 mm are 1.3 mm as one, a micrometastasis like each; so is a macrometastasis that goes on."""
    for pieces, size in (((40, 0.95), (6, 0.65), (40, 0.95)), "1.3"), (((140, 0.95), (6, 0.65), (40, 0.95)), "2.8"):
        (flag,) = flags(bar(*pieces))
        assert flag.code == "size_may_be_of_part"
        assert f"one of {size}" in flag.message
        assert "would then be the same" in flag.message


def test_a_whole_within_its_uncertainty_of_a_limit_is_a_doubt_as_a_size_is() -> None:
    """1.99 mm may be a macrometastasis where it is off by 20 um; 1.97 mm isn't."""
    found = (replace(MICRO, id=1),)
    for size_um, code in ((1990.0, "may_be_one_deposit"), (1970.0, "size_may_be_of_part")):
        whole = Whole((1,), Micrometers(size_um), Micrometers(20.0), 0.6)
        assert [flag.code for flag in whole_flags(found, [whole])] == [code]


def test_the_doubt_names_those_alone_that_raise_the_class() -> None:
    """Beside a macrometastasis none does."""
    found: Sequence[Deposit] = [replace(MICRO, id=number) for number in (1, 2, 3, 4)]
    long = Whole((1, 3), Micrometers(2300.0), Micrometers(20.0), 0.6)
    short = replace(long, deposit_ids=(2, 4), diameter_um=Micrometers(900.0))
    (flag,) = whole_flags(found, [short, long])
    assert "no. 1, no. 3" in flag.message
    assert "no. 2" not in flag.message
    (flag,) = whole_flags([replace(MACRO, id=5), *found], [short, long])
    assert flag.code == "size_may_be_of_part"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_several_wholes_the_highest_class_is_said(order: tuple[int, int]) -> None:
    """Two pairs of isolated tumour cells may be parts of a micrometastasis, and of a macrometastasis."""
    found = [replace(ITC, id=number) for number in (1, 2, 3, 4)]
    micro = Whole((1, 2), Micrometers(900.0), Micrometers(20.0), 0.6)
    wholes = (micro, replace(micro, deposit_ids=(3, 4), diameter_um=Micrometers(2300.0)))
    (flag,) = whole_flags(found, [wholes[place] for place in order])
    assert flag.code == "may_be_one_deposit"
    assert "may then be macro." in flag.message


def test_nothing_is_told_of_round_deposits_nor_without_any() -> None:
    """The lowered threshold moves their outlines by what the ± holds."""
    smooth = replace(RULE, smoothing_um=40.0)
    for diameter_um in (250.0, 900.0, 1900.0):
        map_ = covered(disc((1200, 1200), diameter_um), (160, 160), bar((1, 1.0)).spacing)
        foci = find_foci(map_, smooth, settings())
        found = foci.deposits()
        assert len(found) == 1
        assert larger_at_lower_threshold(foci, found=found) == ()
    assert flags(bar((70, 0.6))) == ()
