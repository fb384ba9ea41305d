"""The flags for dispersed cells and for foci that a small gap keeps apart."""

from dataclasses import replace

import pytest

from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.domain.doubts import GapReading, dispersed_flags, gap_reading, joining_gap_flags
from nodescan.domain.units import Micrometers
from tests.patients.made_reports import disc


def row(count: int, *, step_um: float, diameter_um: float = 60.0) -> list[Deposit]:
    return [disc(number + 1, diameter_um, (number * step_um, 0.0)) for number in range(count)]


def test_many_small_foci_over_a_wide_extent_are_flagged() -> None:
    """Ten foci of 60 um over 1.9 mm: the size rule doesn't apply."""
    (flag,) = dispersed_flags(row(10, step_um=200.0))
    assert flag.code == "dispersed_pattern"
    assert "10 small foci over 1.9 mm" in flag.message
    assert "does not apply" in flag.message


def test_the_number_of_foci_on_both_sides_of_its_limit() -> None:
    """Nine foci aren't many yet."""
    assert dispersed_flags(row(10, step_um=200.0))
    assert dispersed_flags(row(9, step_um=200.0)) == ()


def test_the_largest_of_dispersed_foci_is_told() -> None:
    """Nine of 0.06 mm and one of 0.12."""
    (flag,) = dispersed_flags([*row(9, step_um=200.0), disc(99, 120.0, (2000.0, 0.0))])
    assert "the largest of them 0.12 mm" in flag.message


@pytest.mark.parametrize(("extent_um", "flagged"), [(300.0, True), (299.0, False)])
def test_the_extent_on_both_sides_of_its_limit(extent_um: float, flagged: bool) -> None:
    """Five times the largest focus is much larger, a hair less isn't."""
    deposits = row(10, step_um=(extent_um - 60.0) / 9)
    assert bool(dispersed_flags(deposits)) is flagged


def test_a_macrometastasis_can_not_be_raised() -> None:
    """With one, there is nothing to review for the class; with a micrometastasis there still is."""
    assert dispersed_flags([*row(10, step_um=200.0), disc(99, 2500.0, (0.0, 0.0))]) == ()
    assert dispersed_flags([*row(10, step_um=200.0), disc(99, 500.0, (0.0, 0.0))])


def test_a_class_that_hangs_on_the_gap_is_flagged_with_every_reading() -> None:
    """1.9 mm apart from 0.3 mm by 20 um: joined it would be a macrometastasis."""
    readings = (
        GapReading(Micrometers(0.0), Micrometers(1900.0), Metastasis.MICRO),
        GapReading(Micrometers(25.0), Micrometers(2220.0), Metastasis.MACRO),
        GapReading(Micrometers(50.0), Micrometers(2220.0), Metastasis.MACRO),
        GapReading(Micrometers(75.0), Micrometers(2220.0), Metastasis.MACRO),
    )
    (flag,) = joining_gap_flags(readings)
    assert "gap 0 µm): 1.90 mm, micro" in flag.message
    assert "With a gap of 25 µm: 2.22 mm, macro" in flag.message
    assert "75 µm" in flag.message


def test_foci_that_are_something_only_as_one_are_flagged() -> None:
    """Specks below the smallest area that counts are nothing by themselves, and isolated tumour cells as one."""
    readings = (
        GapReading(Micrometers(0.0), None, Metastasis.NONE),
        GapReading(Micrometers(25.0), Micrometers(120.0), Metastasis.ITC),
    )
    (flag,) = joining_gap_flags(readings)
    assert flag.code == "joining_gap"
    assert "As reported (gap 0 µm): nothing. With a gap of 25 µm: 0.12 mm, itc." in flag.message


def test_a_class_that_does_not_hang_on_the_gap_is_not_flagged() -> None:
    """A larger size of the same class changes nothing, and neither does a slide without deposits."""
    reading = gap_reading(Micrometers(0.0), row(2, step_um=100.0))
    assert joining_gap_flags((reading, replace(reading, gap_um=Micrometers(25.0), largest_um=Micrometers(160.0)))) == ()
    nothing = gap_reading(Micrometers(0.0), ())
    assert nothing.largest_um is None
    assert joining_gap_flags((nothing, replace(nothing, gap_um=Micrometers(25.0)))) == ()
