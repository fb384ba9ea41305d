"""Deposits and lesions go together by their common area, each once."""

from dataclasses import replace

import pytest
import shapely

from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.domain.units import Micrometers
from nodescan.evaluation.pairing import all_missed, n_matched, pair, with_sizes
from nodescan.imaging.sizing import deposit_of, greatest_diameter, numbered, to_shape
from tests.patients.made_reports import disc


def shapes(*deposits: Deposit) -> dict[int, object]:
    return {deposit.id: to_shape(deposit.outline) for deposit in deposits}


def boxes(*sides_um: tuple[float, float]) -> list[Deposit]:
    """Deposits 300 um high, from and to which x."""
    drawn = [shapely.box(left, 0.0, right, 300.0) for left, right in sides_um]
    return [
        replace(deposit_of(box, greatest_diameter(box), Micrometers(1.0)), id=number)
        for number, box in enumerate(drawn, 1)
    ]


def test_each_lesion_gets_the_deposit_that_covers_it_most() -> None:
    """Two deposits on one lesion: the larger overlap is its pair, the other a piece; one far away is false."""
    lesion, missed = disc(1, 1000.0, (2000.0, 2000.0)), disc(2, 100.0, (9000.0, 9000.0))
    best, piece, false = (
        disc(1, 900.0, (1950.0, 2000.0)),
        disc(2, 80.0, (2400.0, 2000.0)),
        disc(3, 300.0, (5000.0, 5000.0)),
    )
    found = pair("s", [lesion, missed], [best, piece, false], shapes(best, piece, false))
    assert [(m.true_um, m.measured_um) for m in found.lesions] == [(1000.0, 900.0), (100.0, None)]
    assert found.lesions[0].measured_class is Metastasis.MICRO
    assert (found.false_deposits, found.pieces) == (1, 1)


def test_one_deposit_over_two_lesions_is_the_pair_of_one() -> None:
    """The other is found, and merged: two lesions that were read as one aren't two right sizes."""
    left, right = disc(1, 500.0, (1000.0, 1000.0)), disc(2, 300.0, (1600.0, 1000.0))
    both = disc(1, 1200.0, (1250.0, 1000.0))
    found = pair("s", [left, right], [both], shapes(both))
    assert [m.measured_um for m in found.lesions] == [1200.0, None]
    assert [(m.is_found, m.merged, m.holds_others) for m in found.lesions] == [(True, False, True), (True, True, False)]
    assert (n_matched(found.lesions), len(with_sizes(found.lesions))) == (1, 1)
    assert (found.false_deposits, found.pieces) == (0, 0)


@pytest.mark.parametrize(("covered_um", "merged"), [(2.0, False), (149.0, False), (150.0, True), (300.0, True)])
def test_half_of_a_lesion_at_least_lies_in_a_neighbour_s_deposit_where_it_is_merged(
    covered_um: float, merged: bool
) -> None:
    """A deposit that grazes a second lesion, 300 um wide, doesn't lead to it: that one is missed."""
    lesions = boxes((0.0, 1500.0), (1540.0, 1840.0))
    deposits = boxes((0.0, 1540.0 + covered_um))
    own, other = pair("s", lesions, deposits, shapes(*deposits)).lesions
    assert (own.is_found, own.holds_others) == (True, True)
    assert (other.measured_um, other.merged, other.is_found) == (None, merged, merged)


def test_what_several_deposits_cover_of_a_lesion_counts_together() -> None:
    """A quarter of it in each of two deposits that are other lesions': half of it was called tumour."""
    lesions = boxes((0.0, 1000.0), (1010.0, 1210.0), (1220.0, 2000.0))
    for gap_um, merged in ((100.0, True), (102.0, False)):
        deposits = boxes((0.0, 1110.0 - gap_um / 2), (1110.0 + gap_um / 2, 2000.0))
        assert [m.merged for m in pair("s", lesions, deposits, shapes(*deposits)).lesions] == [False, merged, False]


def test_each_lesion_has_its_own_deposit_where_there_are_as_many() -> None:
    """A deposit that reaches into a second lesion, which has one of its own, holds others, and no lesion is merged."""
    left, right = disc(1, 500.0, (1000.0, 1000.0)), disc(2, 300.0, (1600.0, 1000.0))
    wide, own = disc(1, 1000.0, (1000.0, 1000.0)), disc(2, 280.0, (1620.0, 1000.0))
    found = pair("s", [left, right], [wide, own], shapes(wide, own))
    assert [(m.measured_um, m.merged, m.holds_others) for m in found.lesions] == [
        (1000.0, False, True),
        (280.0, False, False),
    ]
    assert [m.uncertainty_um for m in found.lesions] == [4.0, 4.0]


def test_a_deposit_that_is_cut_off_has_no_size_to_compare() -> None:
    """It was found, and its pair says that its size is one at least, unless a reader gave its class."""
    lesion, whole = disc(1, 500.0, (1000.0, 1000.0)), disc(1, 300.0, (1000.0, 1000.0))
    for deposit, at_least in (
        (whole, False),
        (replace(whole, cut_off=True), True),
        (replace(whole, cut_off=True, class_given=True), False),
    ):
        (match,) = pair("s", [lesion], [deposit], shapes(deposit)).lesions
        assert (match.slide_id, match.measured_um, match.at_least) == ("s", 300.0, at_least)
        assert len(with_sizes([match])) == 1 - at_least
        assert n_matched([match]) == 1


def test_on_a_slide_without_a_class_all_is_missed() -> None:
    """It has no false deposits and no pieces, and isn't free of false ones either."""
    found = all_missed("s", [disc(1, 500.0, (1000.0, 1000.0)), disc(2, 90.0, (3000.0, 1000.0))])
    assert [(m.true_um, m.true_class, m.measured_um, m.measured_class, m.is_found) for m in found.lesions] == [
        (500.0, Metastasis.MICRO, None, None, False),
        (90.0, Metastasis.ITC, None, None, False),
    ]
    assert (found.false_deposits, found.pieces) == (None, 0)
    assert (n_matched(found.lesions), with_sizes(found.lesions)) == (0, ())


def test_order_does_not_matter() -> None:
    """Pairs are by area, not by the order of the lists."""
    lesions = [disc(n, 400.0 + n, (1000.0 * n, 1000.0)) for n in range(1, 6)]
    deposits = [disc(n, 380.0 + n, (1000.0 * n + 20, 1000.0)) for n in range(1, 6)]
    one = pair("s", lesions, deposits, shapes(*deposits))
    other = pair("s", lesions[::-1], deposits[::-1], shapes(*deposits))
    assert set(one.lesions) == set(other.lesions)


def test_what_touches_alone_is_no_pair() -> None:
    """A lesion beside whose edge a deposit ends was missed, and the deposit is false: they have no area in common."""
    squares = [shapely.box(left, 0.0, left + 300.0, 300.0) for left in (0.0, 300.0)]
    lesion, beside = (
        numbered([deposit_of(square, greatest_diameter(square), Micrometers(1.0))])[0] for square in squares
    )
    found = pair("s", [lesion], [beside], shapes(beside))
    assert [match.measured_um for match in found.lesions] == [None]
    assert (found.false_deposits, found.pieces) == (1, 0)
