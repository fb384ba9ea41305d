"""A reader's review changes what it names and nothing else, and everything it did is kept."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nodescan.domain.classification import CellCount, Metastasis
from nodescan.domain.deposits import Polygon
from nodescan.domain.flags import Flag
from nodescan.domain.report import Status
from nodescan.domain.slide import BoundsUm
from nodescan.domain.units import Micrometers
from nodescan.domain.verdict import deposit_flags
from nodescan.errors import UsageError
from nodescan.patients.corrections import Applied, apply_corrections
from nodescan.reports.report_reader import StoredReport, read_reports
from tests.patients.made_reports import disc, report, review_of, scanned, write_run


def after(run: Path, *rows: str, day: str = "") -> StoredReport:
    """The one slide of a run after a review of these rows, see review_of."""
    (slide,), _ = apply_corrections(read_reports(run), review_of(run.parent, *rows, day=day), earlier=())
    return slide


def codes_after(run: Path, *rows: str, day: str = "") -> list[str]:
    return [flag.code for flag in after(run, *rows, day=day).flags]


def reviewed(folder: Path, *rows: str) -> tuple[dict[str, StoredReport], tuple[Applied, ...]]:
    """Of a run of four slides."""
    run = write_run(
        folder / "run",
        [
            report("a", (2600.0, 300.0)),
            report("b"),
            report("c", (150.0,), status=Status.INCOMPLETE),
            report("d", status=Status.FAILED, flags=(Flag("unreadable", "the file is truncated"),)),
        ],
    )
    found, applied = apply_corrections(read_reports(run), review_of(folder, *rows), earlier=())
    return {one.slide_id: one for one in found}, applied


def test_accept_changes_nothing(tmp_path: Path) -> None:
    """It is recorded, and the slide stays as it was."""
    slides, applied = reviewed(tmp_path, "a,1,,,accept,,Dr A")
    assert slides["a"].metastasis is Metastasis.MACRO
    words = "macro, 2.600 ± 0.004 mm"
    assert applied == (Applied("a", 1, "accept", words, words, "Dr A", "", found_centre_um=(3000.0, 3000.0)),)


def test_reject_leaves_the_next_largest(tmp_path: Path) -> None:
    """Without its macrometastasis the slide is a micrometastasis; without any deposit it is negative."""
    assert reviewed(tmp_path / "1", "a,1,,,reject,,Dr A")[0]["a"].metastasis is Metastasis.MICRO
    none = reviewed(tmp_path / "2", "a,1,,,reject,,Dr A", "a,2,,,reject,,Dr A")[0]["a"]
    assert (none.metastasis, none.deposits) == (Metastasis.NONE, ())


def test_an_incomplete_slide_never_becomes_negative(tmp_path: Path) -> None:
    """Rejecting all that was found on a partly read slide leaves no class."""
    slide = reviewed(tmp_path, "c,1,,,reject,,Dr A")[0]["c"]
    assert (slide.metastasis, slide.at_least, slide.status) == (None, False, Status.INCOMPLETE)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("f,1,,,accept,,Dr A", (Metastasis.MICRO, True)),
        ("f,1,,,resize,2300,Dr A", (Metastasis.MACRO, False)),
        ("f,1,,,resize,1700,Dr A", (Metastasis.MICRO, False)),
        ("f,1,,,class,micro,Dr A", (Metastasis.MICRO, False)),
        ("f,1,,,reject,,Dr A", (Metastasis.ITC, False)),
    ],
)
def test_a_reader_settles_the_size_of_a_deposit_that_is_cut_off(
    tmp_path: Path, row: str, expected: tuple[Metastasis, bool]
) -> None:
    """Accepting it says that it is tumour, not where it ends."""
    found = report("f", (1500.0, 150.0))
    largest, other = found.deposits
    found = replace(found, deposits=(replace(largest, cut_off=True), other), at_least=True)
    run = write_run(tmp_path / "run", [found])
    assert read_reports(run)[0].deposits[0].cut_off
    slide = after(run, row)
    assert (slide.metastasis, slide.at_least) == expected


@pytest.mark.parametrize("row", ["s,,5500,5500,add,{},Dr A", "s,1,,,resize,{},Dr A", "s,2,,,resize,{},Dr A"])
def test_a_size_that_its_slide_cannot_hold_is_refused(tmp_path: Path, row: str) -> None:
    """3 x 4 mm were scanned, 5 mm from corner to corner; the one deposit that is cut off goes on beyond that."""
    found = report("s", (1500.0, 150.0))
    bounds = BoundsUm(*map(Micrometers, (2500.0, 2500.0, 3000.0, 4000.0)))
    largest, other = found.deposits
    cut = (largest, replace(other, cut_off=True))
    run = write_run(tmp_path / "run", [replace(found, deposits=cut, info=replace(found.info, bounds_um=bounds))])
    assert after(run, row.format(5000)).largest_deposit_um == 5000
    if row.startswith("s,2"):
        assert after(run, row.format(5000.1)).largest_deposit_um == 5000.1
        return
    with pytest.raises(UsageError) as caught:
        after(run, row.format(5000.1))
    assert str(caught.value).startswith(
        "review.csv, line 2: value is 5000.1 um, but slide 's' is 3000 x 4000 um, 5000 um from corner to corner. Check"
    )


def test_of_a_slide_without_a_class_only_what_was_vouched_for_counts(tmp_path: Path) -> None:
    """A stain that the model doesn't know: accepting one deposit says nothing of a larger one beside it."""
    odd = replace(report("e", (3000.0, 261.0), status=Status.INCOMPLETE), metastasis=None, at_least=False)
    slide = after(write_run(tmp_path / "odd", [odd]), "e,2,,,accept,,Dr A")
    assert (slide.metastasis, slide.at_least, slide.largest_deposit_um) == (Metastasis.MICRO, True, 261.0)


@pytest.mark.parametrize("action", ["accept,", "resize,100"])
def test_cells_class_what_is_accepted_on_a_slide_that_was_not_judged(tmp_path: Path, action: str) -> None:
    """Clearly more than 200 cells in 0.1 mm are a micrometastasis, whether the reader measured it anew or not."""
    odd = report("e", (100.0,), status=Status.INCOMPLETE, flags=(Flag("not_he", "Brown."),))
    (deposit,) = odd.deposits
    counted = replace(deposit, cells=CellCount(250, 10))
    unclassed = replace(odd, metastasis=None, at_least=False, deposits=(counted,))
    slide = after(write_run(tmp_path / "run", [unclassed]), f"e,1,,,{action},Dr A")
    assert (slide.metastasis, slide.at_least) == (Metastasis.MICRO, True)
    assert "cell_count_decides" in [flag.code for flag in slide.flags]


def test_add_classes_by_size(tmp_path: Path) -> None:
    """A deposit that the software missed makes the slide what its size says."""
    slide = reviewed(tmp_path, "b,,1000,1000,add,201,Dr A")[0]["b"]
    assert (slide.metastasis, slide.largest_deposit_um) == (Metastasis.MICRO, 201.0)


def test_a_finding_on_a_failed_slide_is_a_lower_bound(tmp_path: Path) -> None:
    """The reader saw it under the microscope; the rest of the slide is still unread."""
    slide = reviewed(tmp_path, "d,,1000,1000,add,2500,Dr A")[0]["d"]
    assert (slide.status, slide.metastasis, slide.at_least) == (Status.INCOMPLETE, Metastasis.MACRO, True)
    assert slide.before_review is Status.FAILED


@pytest.mark.parametrize(("size", "found"), [("2000", Metastasis.MICRO), ("2000.1", Metastasis.MACRO)])
def test_resize_on_both_sides_of_a_limit(tmp_path: Path, size: str, found: Metastasis) -> None:
    """The reader's size decides, exactly."""
    assert reviewed(tmp_path, f"a,1,,,resize,{size},Dr A")[0]["a"].metastasis is found


def test_class_by_cells_is_taken_and_a_contradiction_is_said(tmp_path: Path) -> None:
    """More than 200 cells make 0.15 mm a micrometastasis, by the reader's word; ITC of 2.6 mm is flagged as odd."""
    cells = reviewed(tmp_path / "1", "c,1,,,class,micro,Dr A")[0]["c"]
    assert (cells.metastasis, [flag.code for flag in cells.flags]) == (Metastasis.MICRO, ["micro_by_reader"])
    odd = reviewed(tmp_path / "2", "a,1,,,class,itc,Dr A", "a,2,,,reject,,Dr A")[0]["a"]
    assert (odd.metastasis, [flag.code for flag in odd.flags]) == (Metastasis.ITC, ["class_against_size"])


def test_a_centre_means_the_deposit_there(tmp_path: Path) -> None:
    """Anywhere within the deposit, or 50 um of it."""
    _, applied = reviewed(tmp_path, "a,,3900,3400,accept,,Dr A", "a,,6049,3000,accept,,Dr A")
    assert [done.deposit_id for done in applied] == [1, 2]


SCANNED = "2026-06-01T12:00:00+00:00"
BAR_UM = ((1700.0, 3000.0), (4300.0, 3000.0))


def bar(folder: Path) -> Path:
    """A run that found one deposit, 2.6 mm long and 0.2 mm wide."""
    found = report("a", (2600.0,))
    ring = np.array([(1700.0, 2900.0), (4300.0, 2900.0), (4300.0, 3100.0), (1700.0, 3100.0)])
    long = replace(found.deposits[0], endpoints_um=BAR_UM, outline=(Polygon(ring),))
    return write_run(folder / "bar", [replace(found, deposits=(long,), provenance=scanned(started=SCANNED))])


@pytest.mark.parametrize("outlined", [True, False])
def test_a_place_beside_an_elongated_deposit_does_not_mean_it(tmp_path: Path, outlined: bool) -> None:
    """A false deposit lay there in an earlier scan, say: it is 0.9 mm off, though not half the deposit's length."""
    run = bar(tmp_path)
    if not outlined:
        (run / "a" / "deposits.geojson").unlink()
    assert after(run, "a,,1800,3020,reject,,Dr A").deposits == ()
    with pytest.raises(UsageError, match="has no deposit near 3000, 4000 um; use add"):
        after(run, "a,,3000,4000,reject,,Dr A")


@pytest.mark.parametrize(("x", "told"), [("3040", False), ("3100", True)])
def test_places_off_the_centre_that_are_older_than_the_scan_are_told(tmp_path: Path, x: str, told: bool) -> None:
    """A small deposit that was there may be a part of a larger one now."""
    codes = codes_after(bar(tmp_path), f"a,,{x},3000,reject,,Dr A", day="2026-05-31")
    assert codes == (["review_before_scan"] if told else [])


def test_a_rejected_deposit_leaves_room_for_another(tmp_path: Path) -> None:
    """In whatever order the two rows stand."""
    rows = ("a,,3000,3000,add,150,Dr A", "a,1,,,reject,,Dr A")
    for number, order in enumerate((rows, rows[::-1])):
        slide = reviewed(tmp_path / str(number), *order)[0]["a"]
        assert sorted(deposit.diameter_um for deposit in slide.deposits) == [150.0, 300.0]


@pytest.mark.parametrize(("row", "told"), [("a,1,,,reject,,Dr A", True), ("a,,3000,3000,reject,,Dr A", False)])
def test_numbers_that_are_older_than_the_scan_are_told(tmp_path: Path, row: str, told: bool) -> None:
    """A slide that was scanned again may have other deposits of these numbers; a centre means the same place."""
    made = replace(report("a", (2600.0, 300.0)), provenance=scanned(started=SCANNED))
    run = write_run(tmp_path / "run", [made])
    assert codes_after(run, row, day="2026-05-31") == (["review_before_scan"] if told else [])
    assert codes_after(run, row, day="2026-06-02") == []


def test_slides_without_a_row_are_untouched(tmp_path: Path) -> None:
    """Only what was reviewed may change."""
    slides, _ = reviewed(tmp_path, "a,1,,,reject,,Dr A")
    assert slides["b"].metastasis is Metastasis.NONE
    assert slides["c"].at_least


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["z,1,,,accept,,Dr A"], "slide 'z' has no report here"),
        (["a,7,,,accept,,Dr A"], "slide 'a' has no deposit 7; it has 1, 2"),
        (["b,1,,,accept,,Dr A"], "slide 'b' has no deposit 1; it has none at all"),
        (["a,,3010,3000,add,150,Dr A"], "line 2: deposit 1 has this centre already; resize it, or reject it and add"),
        (["b,,9,9,add,300,Dr A", "b,,9,10,add,150,Dr A"], "line 2: deposit 1 has this centre already"),
        (["a,,64000,9000,reject,,Dr A"], "the centre 64000, 9000 um is outside of the scanned part of slide 'a'"),
        (["a,,9000,9000,reject,,Dr A"], "has no deposit near 9000, 9000 um; use add"),
        (["a,1,,,reject,,Dr A", "a,1,,,accept,,Dr B"], "line 3: deposit 1 is corrected in line 2 already"),
        (["a,1,,,resize,2.6,Dr A"], "is it in mm?"),
        (["b,,64000,1000,add,300,Dr A"], "slide 'b' (x 0 to 16000, y 0 to 16000 um)"),
        (["b,,9,9,add,300,Dr A", "b,,9,9,add,300,Dr A"], "line 3: a deposit is added at this centre in line 2 already"),
        (["a,1,,,resize,,Dr A"], "resize needs the greatest diameter in um as value"),
        (["a,1,,,class,negative,Dr A"], "value is 'negative'"),
        (["a,1,,,delete,,Dr A"], "action is 'delete', which is not known; write accept, reject"),
        (["a,1,,,reject,,"], "by is empty; write whose word it is"),
        (["a,1,,,reject,,Dr \u202eA"], r"by 'Dr \u202eA' holds '\u202e', which doesn't print; write it anew"),
        (["a,,,,reject,,Dr A"], "reject needs either a deposit_id or a centre"),
        (["a,1,,,reject,300,Dr A"], "reject takes no value"),
        (["b,1,,,add,300,Dr A"], "add needs centre_x_um and centre_y_um, and no deposit_id"),
        (["a,,1,,reject,,Dr A"], "a centre needs centre_x_um and centre_y_um"),
    ],
)
def test_rows_that_say_no_one_thing_are_refused(tmp_path: Path, rows: list[str], message: str) -> None:
    """With file and line."""
    with pytest.raises(UsageError, match=r"review\.csv, line") as caught:
        reviewed(tmp_path, *rows)
    assert message in str(caught.value)


def test_flags_speak_of_the_deposits_that_are_left(tmp_path: Path) -> None:
    """A size near a limit is no doubt once a reader measured it anew, and what was rejected is flagged no more."""
    gap = Flag("joining_gap", "The class depends on which foci count as contiguous.")
    near = report("n", (203.0, 150.0))
    flagged = replace(near, flags=(*deposit_flags(near.deposits), gap, Flag("ink", "There is ink.")))
    run = write_run(tmp_path / "run", [flagged])
    assert codes_after(run, "n,1,,,accept,,Dr A") == ["joining_gap", "ink", "borderline", "cell_count_not_assessed"]
    assert codes_after(run, "n,1,,,resize,260,Dr A", "n,2,,,class,itc,Dr A") == ["joining_gap", "ink"]
    rejected = ("n,1,,,reject,,Dr A", "n,2,,,reject,,Dr A")
    assert codes_after(run, *rejected) == codes_after(run, "n,,900,900,add,2001,Dr A", *rejected) == ["ink"]


@pytest.mark.parametrize("code", ["deposit_cut_off", "tumour_on_glass"])
def test_what_was_said_of_deposits_as_found_is_said_to_be_of_then(tmp_path: Path, code: str) -> None:
    """It may speak of a deposit that was rejected; with all of them rejected, it speaks of nothing."""
    flag = Flag(code, "Deposit(s) 1 lie at the edge.")
    run = write_run(tmp_path / "run", [report("n", (500.0, 300.0), flags=(flag,))])
    (kept,) = after(run, "n,1,,,reject,,Dr A").flags
    assert kept.message == "As found, before the review: Deposit(s) 1 lie at the edge."
    assert codes_after(run, "n,1,,,reject,,Dr A", "n,2,,,reject,,Dr A", "n,,900,900,add,300,Dr A") == []


@pytest.mark.parametrize("n_classed", [3, 12])
def test_dispersed_cells_that_decide_are_said_whatever_single_foci_are_classed(tmp_path: Path, n_classed: int) -> None:
    """Twelve foci of 30 +- 12 cells are a micrometastasis together; that each is ITC doesn't settle that."""
    spread = report("n", [50.0 + number for number in range(12)])
    counted = tuple(replace(one, cells=CellCount(30, 12)) for one in spread.deposits)
    found = replace(spread, deposits=counted, metastasis=Metastasis.MICRO, flags=deposit_flags(counted))
    rows = [f"n,{number},,,class,itc,Dr A" for number in range(1, n_classed + 1)]
    slide = after(write_run(tmp_path / "run", [found]), *rows)
    assert slide.metastasis is Metastasis.MICRO
    assert [flag.code for flag in slide.flags] == ["cell_count_dispersed", "dispersed_pattern"]


def test_a_review_adds_no_cells_over_the_pieces_of_tissue_that_a_report_names(tmp_path: Path) -> None:
    """24 foci of 15 +- 1 cells: 180 in each of two sections; added by a reader or of an older report, in any."""
    spread = report("n", [50.0 + number for number in range(24)])
    counted = tuple(replace(one, cells=CellCount(15, 1), piece=1 + one.id % 2) for one in spread.deposits)
    apart = replace(spread, deposits=counted, flags=deposit_flags(counted))
    run = write_run(tmp_path / "run", [apart])
    for row in ("n,1,,,accept,,Dr A", "n,,900,900,add,60,Dr A"):
        slide = after(run, row)
        assert slide.metastasis is Metastasis.ITC
        assert [flag.code for flag in slide.flags if "dispersed" in flag.code] == ["dispersed_pattern"]
        assert "360 tumour cells were counted over 24 small foci in 2 separate pieces" in slide.flags[0].message
    unknown = tuple(replace(one, piece=None) for one in counted)
    older = replace(apart, deposits=unknown, metastasis=Metastasis.MICRO, flags=deposit_flags(unknown))
    assert after(write_run(tmp_path / "older", [older]), "n,1,,,accept,,Dr A").metastasis is Metastasis.MICRO


def test_what_a_reader_classed_itc_needs_no_count(tmp_path: Path) -> None:
    """Neither a count near 200, nor many small foci, nor cells that weren't counted are left open of it."""
    near = report("n", [150.0, 140.0, 130.0, 120.0, 110.0, 105.0])
    counts = (180, 60, 60, 60, 60, None)
    pairs = zip(near.deposits, counts, strict=True)
    counted = tuple(replace(one, cells=cells and CellCount(cells, 40)) for one, cells in pairs)
    found = replace(near, deposits=counted, flags=deposit_flags(counted))
    run = write_run(tmp_path / "run", [found])
    open_ = ["cell_count_near_limit", "cell_count_review", "cell_count_review"]
    assert codes_after(run, "n,1,,,accept,,Dr A") == open_
    assert codes_after(run, *[f"n,{number},,,class,itc,Dr A" for number in range(1, 7)]) == []


def test_what_is_added_may_lie_anywhere_on_the_slide(tmp_path: Path) -> None:
    """To its last um (64,000 px of 0.25 um)."""
    assert reviewed(tmp_path, "b,,16000,16000,add,210,Dr A")[0]["b"].metastasis is Metastasis.MICRO


@pytest.mark.parametrize(("size", "refused"), [("5.2", True), ("50", True), ("51", False)])
def test_a_size_in_mm_is_refused_even_where_it_could_be_um(tmp_path: Path, size: str, refused: bool) -> None:
    """Of 2,600 um no reader makes a few cells, but a deposit of up to 50 mm, as long as a node may be."""
    rows = [f"a,1,,,resize,{size},Dr A"]
    if refused:
        with pytest.raises(
            UsageError, match=r"line 2: value is [0-9.]+ um, and the software measured 2600 um: is it in mm"
        ):
            reviewed(tmp_path, *rows)
    else:
        assert reviewed(tmp_path, *rows)[0]["a"].metastasis is Metastasis.MICRO


@pytest.mark.parametrize(("x_um", "meant"), [(1030, None), (1018, None), (1017, 1), (1043, 2)])
def test_a_place_between_two_deposits_means_neither(tmp_path: Path, x_um: float, meant: int | None) -> None:
    """Two of 40 um, 60 um apart: half way neither is taken for the other; clearly nearer to one, that is meant."""
    two = replace(report("n", (40.0, 40.0)), deposits=(disc(1, 40.0, (1000.0, 900.0)), disc(2, 40.0, (1060.0, 900.0))))
    run, row = write_run(tmp_path / "run", [two]), f"n,,{x_um},900,reject,,Dr A"
    if meant is None:
        with pytest.raises(UsageError, match=rf"deposits 1, 2 are all near {x_um}, 900 um; give the deposit_id"):
            after(run, row)
    else:
        assert [deposit.id for deposit in after(run, row).deposits] == [3 - meant]


def test_what_is_added_takes_no_number_of_a_rejected_deposit(tmp_path: Path) -> None:
    """The last of two was rejected before: its number means it in the record, and no other."""
    slides, applied = reviewed(tmp_path, "a,2,,,reject,,Dr A", "a,,9000,9000,add,700,Dr A")
    assert [one.deposit_id for one in applied] == [2, 3]
    assert [deposit.id for deposit in slides["a"].deposits] == [1, 3]


@pytest.mark.parametrize(("x_um", "meant"), [(1124, True), (1126, False)])
def test_a_place_within_50_um_of_the_outline_of_a_small_deposit_means_it(
    tmp_path: Path, x_um: int, meant: bool
) -> None:
    """Of 150 um across: its outline ends 75 um from its centre."""
    one = replace(report("n", (150.0,)), deposits=(disc(1, 150.0, (1000.0, 900.0)),))
    run, row = write_run(tmp_path / "run", [one]), f"n,,{x_um},900,reject,,Dr A"
    with nullcontext() if meant else pytest.raises(UsageError, match="has no deposit near 1126, 900 um"):
        assert after(run, row).deposits == ()


def test_the_centre_of_a_ring_means_it(tmp_path: Path) -> None:
    """Though its outlines, without and within, are both far off."""
    outer, inner = (disc(1, size_um, (1000.0, 900.0)) for size_um in (900.0, 700.0))
    ring = replace(outer, outline=(Polygon(outer.outline[0].exterior, (inner.outline[0].exterior,)),))
    run = write_run(tmp_path / "run", [replace(report("n", (900.0,)), deposits=(ring,))])
    assert after(run, "n,,1010,900,reject,,Dr A").deposits == ()
