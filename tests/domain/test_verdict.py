"""What may be said of a slide follows from the largest deposit and from what was examined."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodescan.domain.classification import CellCount, Metastasis, classify
from nodescan.domain.deposits import Deposit, Polygon
from nodescan.domain.doubts import dispersed_count, dispersed_flags, dispersed_foci
from nodescan.domain.report import Status
from nodescan.domain.units import Micrometers, SquareMicrometers
from nodescan.domain.verdict import Verdict, class_range, conclude, deciding, deposit_flags


def deposit(diameter_um: float, *, uncertainty_um: float = 5, cells: int | None = None, number: int = 1) -> Deposit:
    return Deposit(
        id=number,
        diameter_um=Micrometers(diameter_um),
        diameter_uncertainty_um=Micrometers(uncertainty_um),
        endpoints_um=((0, 0), (diameter_um, 0)),
        area_um2=SquareMicrometers(1),
        centre_um=(0, 0),
        metastasis=classify(Micrometers(diameter_um), cells=None if cells is None else CellCount(cells)),
        outline=(Polygon(np.zeros((3, 2))),),
        cells=None if cells is None else CellCount(cells),
    )


def codes(*deposits: Deposit) -> set[str]:
    return {flag.code for flag in deposit_flags(deposits)}


def message(*deposits: Deposit) -> str:
    """The one flag's message."""
    (flag,) = deposit_flags(deposits)
    return flag.message


@pytest.mark.parametrize(
    ("deposits", "examined", "expected"),
    [
        ((), True, Verdict(Status.COMPLETE, Metastasis.NONE, False)),
        ((), False, Verdict(Status.INCOMPLETE, None, False)),
        ((deposit(900), deposit(700)), True, Verdict(Status.COMPLETE, Metastasis.MICRO, False)),
        ((deposit(900),), False, Verdict(Status.INCOMPLETE, Metastasis.MICRO, True)),
        ((deposit(1200), deposit(1200)), True, Verdict(Status.COMPLETE, Metastasis.MICRO, False)),
    ],
)
def test_the_largest_deposit_decides(deposits: tuple[Deposit, ...], examined: bool, expected: Verdict) -> None:
    """Sizes are never added, and with tissue unread the class is a lower bound or none at all."""
    assert conclude(deposits, tissue_found=True, all_examined=examined, classifiable=True) == expected


@pytest.mark.parametrize(
    ("cut_um", "largest_um", "at_least"), [(900, 900, True), (150, 900, True), (2600, 2600, False), (150, 2600, False)]
)
def test_a_deposit_that_is_cut_off_makes_the_class_a_lower_bound(
    cut_um: float, largest_um: float, at_least: bool
) -> None:
    """It may be of any size, so nothing short of a macrometastasis is certain; a reader's word settles it."""
    cut = replace(deposit(cut_um, number=2), cut_off=True)
    found = classify(Micrometers(largest_um))
    for one, expected in ((cut, at_least), (replace(cut, class_given=True), False)):
        verdict = conclude((deposit(largest_um), one), tissue_found=True, all_examined=True, classifiable=True)
        assert verdict == Verdict(Status.COMPLETE, found, expected)


@pytest.mark.parametrize(("tissue", "classifiable"), [(False, True), (True, False)])
def test_no_tissue_or_an_unknown_stain_gives_no_class(tissue: bool, classifiable: bool) -> None:
    """Whatever was found there, it isn't judged."""
    verdict = conclude((deposit(900),), tissue_found=tissue, all_examined=True, classifiable=classifiable)
    assert verdict == Verdict(Status.INCOMPLETE, None, False)


def test_a_size_near_a_limit_is_borderline() -> None:
    """198 +- 5 um may be above 0.2 mm, 150 +- 5 um may not."""
    assert "borderline" in codes(deposit(198))
    assert "borderline" not in codes(deposit(150))


def test_whose_size_may_change_the_class_is_said() -> None:
    """Not the largest's, where a smaller one is the less sure; nobody's beside a clear micrometastasis."""
    near = deposit(180, uncertainty_um=42, number=2)
    for largest, code, said in (
        (185, "borderline", "The slide's class may change with the size of no. 2: measure under the microscope."),
        (900, "size_near_limit", "The slide's class can't change because of it."),
    ):
        flag = deposit_flags((deposit(largest), near))[0]
        assert (flag.code, flag.message.partition("mm). ")[2]) == (code, said)


def test_a_small_deposit_that_cells_could_raise_is_up_for_review() -> None:
    """From 0.1 mm on, or with many foci, a count could make a micrometastasis of ITC."""
    assert codes(deposit(120)) == {"cell_count_review"}
    assert codes(deposit(100)) == {"cell_count_review"}
    assert codes(deposit(99.9)) == {"cell_count_not_assessed"}
    assert message(deposit(60), deposit(120)) == (
        "The cell count was not assessed. More than 200 tumour cells would make a micrometastasis, even at 0.2 mm or "
        "less. Review 2 small deposits, the largest 0.12 mm."
    )
    assert codes(deposit(60)) == {"cell_count_not_assessed"}
    assert codes(*[replace(deposit(40), id=n) for n in range(1, 6)]) == {"cell_count_review"}
    assert codes(deposit(120), deposit(900)) == {"cell_count_not_assessed"}
    assert codes(deposit(120, cells=150)) == set()


def with_count(cells: int, uncertainty: int, *, diameter_um: float = 120, number: int = 1, at_um: float = 0) -> Deposit:
    found = classify(Micrometers(diameter_um), cells=CellCount(cells, uncertainty))
    ends = ((at_um, 0.0), (at_um + diameter_um, 0.0))
    counted = replace(deposit(diameter_um, number=number), cells=CellCount(cells, uncertainty))
    return replace(counted, metastasis=found, endpoints_um=ends)


@pytest.mark.parametrize(
    ("cells", "uncertainty", "expected", "flags"),
    [
        (251, 50, Metastasis.MICRO, {"cell_count_decides"}),
        (250, 50, Metastasis.ITC, {"cell_count_near_limit"}),
        (151, 50, Metastasis.ITC, {"cell_count_near_limit"}),
        (150, 50, Metastasis.ITC, set()),
    ],
)
def test_a_count_decides_only_where_its_interval_is_clear_of_200(
    cells: int, uncertainty: int, expected: Metastasis, flags: set[str]
) -> None:
    """Exact on both sides: 201 at the least is a micrometastasis, 200 at the most is not even near."""
    one = with_count(cells, uncertainty)
    assert one.metastasis is expected
    assert codes(one) == flags
    assert not flags or f"no. 1 ({cells} ± 50 cells, 0.12 mm)" in message(one)


def test_what_a_count_of_more_than_200_means_is_said_with_its_limits() -> None:
    """A size of 0.2 mm or less, and cells that were counted without an uncertainty."""
    assert message(deposit(120, cells=251)) == (
        "More than 200 tumour cells were counted in no. 1 (251 ± 0 cells, 0.12 mm). That makes a micrometastasis, "
        "although the size is 0.2 mm or less. Review the count."
    )


@pytest.mark.parametrize(
    ("each", "expected", "flag"),
    [
        (30, Metastasis.MICRO, "cell_count_dispersed"),
        (20, Metastasis.ITC, "cell_count_near_limit"),
        (10, Metastasis.ITC, None),
    ],
)
def test_cells_of_a_dispersed_pattern_add_up(each: int, expected: Metastasis, flag: str | None) -> None:
    """Ten foci over 4 mm: 300 +- 90 cells are a micrometastasis, 200 +- 60 may be one, 100 +- 30 are not."""
    foci = [with_count(each, 3 * each // 10, diameter_um=40, number=n, at_um=400 * n) for n in range(1, 11)]
    assert conclude(foci, tissue_found=True, all_examined=True, classifiable=True).metastasis is expected
    assert codes(*foci) == ({flag} if flag else set())
    assert not flag or message(*foci).startswith(f"{10 * each} ± {3 * each} tumour cells were counted over the ")
    assert class_range(foci) == (expected, expected)


def test_cells_of_separate_foci_are_not_added_but_many_are_up_for_review() -> None:
    """Five foci of 60 cells stay ITC, since only a dispersed pattern adds up; a reader says whether it is one."""
    foci = [with_count(60, 20, number=n) for n in range(1, 6)]
    assert conclude(foci, tissue_found=True, all_examined=True, classifiable=True).metastasis is Metastasis.ITC
    assert codes(*foci) == {"cell_count_review"}
    assert message(*foci).startswith("300 tumour cells were counted over 5 small foci. ")
    assert codes(*foci[:4], deposit(60, number=5)) == {"cell_count_not_assessed"}
    assert codes(deposit(900, number=6), *foci) == set()


@pytest.mark.parametrize(("uncertainty", "flags"), [(10, set()), (11, {"cell_count_review"})])
def test_many_foci_are_up_for_review_where_they_may_hold_more_than_200_cells(uncertainty: int, flags: set[str]) -> None:
    """Five foci of 30 cells each: 200 at the most are no micrometastasis, 205 are one."""
    assert codes(*[with_count(30, uncertainty, number=n) for n in range(1, 6)]) == flags


def test_a_larger_focus_among_many_tiny_ones_does_not_lower_their_class() -> None:
    """Ten foci of 40 um with 400 cells over 0.4 mm stay a micrometastasis beside an eleventh of 0.19 mm."""
    tiny = [with_count(40, 16, diameter_um=40, number=n, at_um=40 * n) for n in range(1, 11)]
    more = [*tiny, with_count(100, 40, diameter_um=190, number=11, at_um=150)]
    for foci in (tiny, more):
        assert conclude(foci, tissue_found=True, all_examined=True, classifiable=True).metastasis is Metastasis.MICRO
        assert "cell_count_dispersed" in codes(*foci)


def in_pieces(n_foci: int, *, each: int, pieces: tuple[int | None, ...]) -> list[Deposit]:
    """So many foci of 40 um over 4 mm in each piece, with so many cells each."""
    foci = [
        replace(with_count(each, 2, diameter_um=40, at_um=4000 // n_foci * n), piece=piece)
        for piece in pieces
        for n in range(n_foci)
    ]
    return [replace(one, id=number) for number, one in enumerate(foci, 1)]


def class_of(foci: list[Deposit]) -> Metastasis | None:
    return conclude(foci, tissue_found=True, all_examined=True, classifiable=True).metastasis


@pytest.mark.parametrize("n_foci", [4, 10])
def test_cells_are_not_added_over_the_sections_of_a_node_on_one_slide(n_foci: int) -> None:
    """160 cells in each of three sections are isolated tumour cells, as in one; that they lie apart is said."""
    one = in_pieces(n_foci, each=160 // n_foci, pieces=(1,))
    three = in_pieces(n_foci, each=160 // n_foci, pieces=(1, 2, 3))
    assert class_of(one) is class_of(three) is Metastasis.ITC
    assert "cell_count_dispersed" not in codes(*three)
    assert message(*three).startswith(
        f"480 tumour cells were counted over {3 * n_foci} small foci in 3 separate pieces of tissue. Cells are not "
        "added over pieces, because they may be sections of one node. If the foci are one dispersed pattern of one "
        "section, more than 200 cells are a micrometastasis."
    )
    (flag,) = dispersed_flags(three)
    where = (
        "in one of 3 separate pieces of tissue with small foci" if n_foci == 10 else "in 3 separate pieces of tissue"
    )
    assert f"mm {where}, the largest" in flag.message
    assert flag.message.endswith("Count those of each section under the microscope.")


def test_the_section_with_the_most_cells_of_a_pattern_decides() -> None:
    """100 and 300 cells: the second section has a micrometastasis, and the count is its own."""
    foci = [*in_pieces(10, each=10, pieces=(1,)), *in_pieces(10, each=30, pieces=(2,))]
    assert class_of(foci) is Metastasis.MICRO
    assert class_range(foci) == (Metastasis.MICRO, Metastasis.MICRO)
    assert message(*foci).startswith("300 ± 20 tumour cells were counted over the dispersed foci in one of 2 separate ")


def test_a_count_near_the_limit_is_told_beside_a_larger_one_that_is_clearly_below() -> None:
    """150 +- 0 cells in one section, 140 +- 100 in the other, which may be more than 200."""
    clear, unsure = (in_pieces(10, each=each, pieces=(piece,)) for piece, each in ((1, 15), (2, 14)))
    clear = [replace(one, cells=CellCount(15, 0)) for one in clear]
    unsure = [replace(one, cells=CellCount(14, 10)) for one in unsure]
    assert dispersed_count([*clear, *unsure]) == CellCount(140, 100)
    assert "cell_count_near_limit" in codes(*clear, *unsure)


def test_uncounted_foci_of_a_pattern_do_not_hide_the_cells_of_another_piece() -> None:
    """100 cells in 4 of 14 foci of one piece and 160 in 8 of another: 260 in all, told as foci that may be one."""
    counted = [*in_pieces(4, each=25, pieces=(1,)), *in_pieces(8, each=20, pieces=(2,))]
    uncounted = [replace(one, cells=None) for one in in_pieces(10, each=1, pieces=(1,))]
    foci = [replace(one, id=number) for number, one in enumerate([*counted, *uncounted], 1)]
    said = " ".join(flag.message for flag in deposit_flags(foci))
    assert "260 tumour cells were counted over 12 small foci in 2 separate pieces of tissue." in said


@pytest.mark.parametrize(("piece", "expected"), [(None, Metastasis.MICRO), (1, Metastasis.MICRO), (2, Metastasis.ITC)])
def test_foci_in_no_known_piece_are_counted_with_each(piece: int | None, expected: Metastasis) -> None:
    """150 cells in one piece and 150 elsewhere are 300 unless these are known to lie in another piece."""
    assert class_of([*in_pieces(10, each=15, pieces=(1,)), *in_pieces(10, each=15, pieces=(piece,))]) is expected
    assert class_of(in_pieces(10, each=30, pieces=(None,))) is Metastasis.MICRO


FOCI = st.builds(
    lambda cells, diameter, at, piece: replace(
        with_count(cells, 2 * cells // 5, diameter_um=diameter, at_um=at), piece=piece
    ),
    st.integers(1, 90),
    st.sampled_from([20.0, 40.0, 100.0, 150.0, 200.0, 200.1, 2000.1]),
    st.integers(0, 1200),
    st.sampled_from([None, 1, 1, 1, 2]),
)


@given(st.lists(FOCI, min_size=8, max_size=14), FOCI)
def test_another_focus_never_lowers_the_class_of_a_slide(foci: list[Deposit], another: Deposit) -> None:
    """Whatever its size, its cells and its place, and with cells added over a dispersed pattern."""
    found, more = (
        conclude(seen, tissue_found=True, all_examined=True, classifiable=True).metastasis
        for seen in (foci, [*foci, another])
    )
    assert more >= found


def test_a_deposit_that_its_cells_raised_is_not_borderline() -> None:
    """195 +- 8 um of 400 cells is a micrometastasis on either side of 0.2 mm."""
    raised = deposit(195, uncertainty_um=8, cells=400)
    assert raised.metastasis is Metastasis.MICRO
    assert not raised.borderline
    assert "borderline" not in codes(raised)


def test_a_readers_micrometastasis_is_no_count_of_cells() -> None:
    """73 cells were counted in 0.17 mm, and the class is the reader's: nobody counted more than 200."""
    given = replace(deposit(170, cells=73), metastasis=Metastasis.MICRO, class_given=True)
    assert not given.raised_by_cells
    assert "cell_count_decides" not in codes(given)


@pytest.mark.parametrize(
    ("deposits", "changes"),
    [
        ((deposit(198),), True),
        ((deposit(198), deposit(900, number=2)), False),
        ((deposit(198), deposit(150, cells=400, number=2)), False),
        ((deposit(1998), deposit(900, number=2)), True),
    ],
)
def test_a_size_near_a_limit_changes_the_slide_only_where_nothing_else_decides(
    deposits: tuple[Deposit, ...], changes: bool
) -> None:
    """Beside a micrometastasis, by size or by cells, an ITC near 0.2 mm may be either."""
    assert (deposits[0] in deciding(deposits)) == changes


UNSURE = st.builds(
    lambda diameter, unsure, cells, share, at: replace(
        with_count(cells, int(cells * share), diameter_um=diameter, at_um=at),
        diameter_uncertainty_um=Micrometers(unsure),
    ),
    st.sampled_from([20.0, 60.0, 150.0, 190.0, 199.0, 200.0, 203.0, 230.0, 900.0, 1985.0, 2000.0, 2012.0, 2600.0]),
    st.sampled_from([0.0, 4.0, 20.0, 60.0, 1100.0]),
    st.integers(1, 300),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.integers(0, 4000),
)


@settings(max_examples=400)
@given(st.lists(UNSURE, max_size=6) | st.lists(UNSURE, min_size=8, max_size=14))
def test_a_class_hangs_on_a_size_as_leaving_each_deposit_out_in_turn_tells(found: list[Deposit]) -> None:
    """One pass over all says what comes of working out the class of all others for each of them."""
    found = [replace(one, id=number) for number, one in enumerate(found, 1)]
    counted = dispersed_count(found)
    together = Metastasis.MICRO if counted is not None and counted.above_limit else Metastasis.NONE
    changing: list[int] = []
    for one in found:
        without, _ = class_range([other for other in found if other is not one])
        shortest, longest = (max(without, together, own) for own in class_range([one]))
        if shortest is not longest:
            changing.append(one.id)
    if class_range(found)[0] is class_range(found)[1]:
        assert not changing
    assert [one.id for one in deciding(found)] == changing


def test_large_foci_beside_a_dispersed_pattern_are_counted_with_it() -> None:
    """Ten foci of 6 cells are dispersed by themselves; with two of 100 beside them 260 cells call for a review."""
    tiny = [
        replace(deposit(40, cells=6, number=number), endpoints_um=((30.0 * number, 0.0), (30.0 * number + 40, 0.0)))
        for number in range(3, 13)
    ]
    large = [
        replace(deposit(190, cells=100, number=number), endpoints_um=((0.0, 0.0), (190.0, 0.0))) for number in (1, 2)
    ]
    assert len(dispersed_foci([*large, *tiny])) == len(tiny)
    assert "cell_count_review" in codes(*large, *tiny)


def test_a_deposit_of_exactly_the_limit_is_raised_by_its_cells() -> None:
    """0.2 mm is still isolated tumour cells by its size, so the count that makes it more is up for review."""
    at = with_count(400, 20, diameter_um=200.0)
    assert at.metastasis is Metastasis.MICRO
    assert at.raised_by_cells
    assert "cell_count_decides" in codes(at)
