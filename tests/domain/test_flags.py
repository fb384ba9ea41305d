"""What follows from a flag is what the functions that make it give."""

from collections.abc import Sequence
from dataclasses import replace

from nodescan.domain.deposits import Deposit
from nodescan.domain.doubts import Waist, Whole, dispersed_flags, gap_reading, joining_gap_flags
from nodescan.domain.flags import AS_FOUND, NOT_JUDGED, REASONS, RESTATED, STOPS_COMPLETE, codes_of
from nodescan.domain.units import Micrometers
from nodescan.domain.verdict import deposit_flags, waist_flags, whole_flags
from tests.domain.test_verdict import deposit, with_count


def foci(each: int, unsure: int) -> list[Deposit]:
    return [with_count(each, unsure, diameter_um=40, number=n, at_um=400 * n) for n in range(1, 11)]


def test_flags_that_follow_from_deposits_alone_are_made_anew_after_a_review() -> None:
    """Each code that these functions give, and no other: else a flag would stand twice, or be lost."""
    slides: Sequence[Sequence[Deposit]] = (
        [deposit(198)],
        [deposit(900), deposit(198)],
        [deposit(120)],
        [deposit(60)],
        [with_count(400, 10)],
        [with_count(190, 50)],
        foci(30, 9),
        foci(20, 6),
    )
    made = {flag.code for found in slides for flag in (*deposit_flags(found), *dispersed_flags(found))}
    assert made == RESTATED, "make it in deposit_flags() or dispersed_flags(), or mark it AS_FOUND"


def test_flags_that_only_a_scan_can_give_are_kept_as_found() -> None:
    """Gaps, waists, wholes, edges and glass lie on the map, and a review has none."""
    found = [replace(deposit(1500), id=1), replace(deposit(900), id=2)]
    gaps = [gap_reading(Micrometers(0.0), found[:1]), gap_reading(Micrometers(25.0), [deposit(2500)])]
    whole = Whole((1, 2), Micrometers(2500.0), Micrometers(20.0), 0.6)
    waist = Waist(1, Micrometers(50.0), (Micrometers(150.0), Micrometers(140.0)))
    flags = (
        *joining_gap_flags(gaps),
        *whole_flags(found, [whole]),
        *whole_flags(found, [replace(whole, diameter_um=Micrometers(1900.0))]),
        *waist_flags(found[:1], [waist]),
        *waist_flags(found, [waist]),
    )
    assert codes_of(flags) | {"deposit_cut_off", "tumour_on_glass"} == AS_FOUND


def test_what_can_t_be_judged_or_was_missed_is_never_complete() -> None:
    """So it is never negative either."""
    assert NOT_JUDGED <= STOPS_COMPLETE <= REASONS
