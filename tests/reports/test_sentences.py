"""What the page says of a slide in sentences, word by word: each is there where it is true, and nowhere else."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from nodescan.domain.class_bounds import OF_WHOLE_SLIDE, failed_if_unread
from nodescan.domain.classification import CellCount, Metastasis, classify
from nodescan.domain.deposits import Deposit
from nodescan.domain.flags import Flag
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.units import Micrometers
from nodescan.domain.verdict import class_found
from nodescan.reports import page, sentences
from nodescan.reports.class_doubts import class_words
from nodescan.reports.first_look import look_first, told_whole
from nodescan.reports.flag_list import flags
from tests.reports.factory import ITC, MACRO, MICRO, VARIANTS, ellipse, result

HERE = "The finding covers only the sections on this slide."
NEVER_ADDED = f"{HERE} Sizes of several deposits or sections are never added."
NOT_COUNTED = "Tumour cells were not counted, so the class follows from size alone."
COUNTED = "Tumour cells were counted in deposits up to 0.2 mm{}. The counts are estimates."
BY_CELLS = "The class follows from the number of tumour cells, which is an estimate. Review the count."


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        (
            "macro",
            (
                "The largest size lies 0.62 mm above the nearest limit (2 mm), more than its uncertainty (0.04 mm).",
                NOT_COUNTED,
                NEVER_ADDED,
            ),
        ),
        (
            "itc",
            (
                "The largest size lies 0.05 mm below the nearest limit (0.2 mm), more than its uncertainty (0.01 mm).",
                NOT_COUNTED,
                NEVER_ADDED,
            ),
        ),
        ("negative", (HERE,)),
        ("incomplete_nothing", ("91.0 % of the tissue found (49.0 mm²) was examined.",)),
        ("nothing_examined", ("0 % of the tissue found (49.0 mm²) was examined.",)),
        ("not_he", ("All of the tissue found (49.0 mm²) was shown to the network, which can't judge it.",)),
        ("no_tissue", ()),
        ("failed", ()),
    ],
)
def test_how_sure_a_finding_is(variant: str, said: tuple[str, ...]) -> None:
    """How far the size is from a limit, how much was examined if not all, whether cells were counted."""
    assert sentences.how_sure(VARIANTS[variant]().report) == said


@pytest.mark.parametrize("code", sorted(OF_WHOLE_SLIDE))
def test_how_sure_begins_with_all_that_the_class_may_hang_on(code: str) -> None:
    """No distance of a size from a limit reassures beside it."""
    near = ellipse(1, (5200.0, 4300.0), 205.0)
    report = replace(result([near]).report, flags=(Flag(code, "Check it."),))
    doubt = OF_WHOLE_SLIDE[code]
    first, *rest = sentences.how_sure(report)
    assert first == f"Borderline: isolated tumour cells or micrometastasis; {doubt}."
    cut = replace(report, at_least=True, deposits=(replace(near, cut_off=True),))
    first, *more = sentences.how_sure(cut)
    assert first == f"The class may be lower (borderline size, {doubt}) or higher (cut off)."
    assert not [line for line in (*rest, *more) if "nearest limit" in line]


def test_a_lower_bound_says_how_much_was_examined_before_all_that_reassures() -> None:
    assert sentences.how_sure(VARIANTS["incomplete_micro"]().report)[:2] == (
        "91.0 % of the tissue found (49.0 mm²) was examined.",
        "The largest size lies 0.44 mm above the nearest limit (0.2 mm), more than its uncertainty (0.02 mm).",
    )


FIX = (
    "Fix the cause above and run the slide again. Until then, read it under the microscope. Record its class as a "
    "correction with the action “read”: then it counts in the patient's stage."
)
CORNER = (
    "The tissue that was not examined (9 %, 4.4 mm²; unreadable or never scanned), hatched in the overview. Read it "
    "under the microscope."
)
FAINT = (
    "Place a, the likeliest, not taken for a deposit: score 0.21 (x 3.50, y 5.81 mm; in corrections 4000, 6060 µm).",
    "Place b: score 0.06 (x 6.50, y 4.80 mm; in corrections 7000, 5050 µm).",
)


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("negative", FAINT),
        ("incomplete_nothing", (CORNER, *FAINT)),
        (
            "incomplete_micro",
            (
                "Deposit 1, 0.64 ± 0.02 mm (x 9.30, y 2.85 mm).",
                CORNER,
            ),
        ),
        ("no_tissue", ("The slide itself: it may hold tissue that was not recognised.",)),
        ("unmeasurable", (FIX,)),
        ("failed", (FIX,)),
    ],
)
def test_where_to_look_first(variant: str, said: tuple[str, ...]) -> None:
    """What was not examined before what is likely; of a slide without a result the way to get one."""
    assert look_first(VARIANTS[variant]().report) == said


@pytest.mark.parametrize("code", ["nuclei_out_of_scale", "scan_fault", "unlike_training", "small_pale_area"])
def test_what_is_told_first_stands_there_word_for_word_and_is_not_listed_again(code: str) -> None:
    report = VARIANTS["macro"]().report
    told = replace(report, flags=(*report.flags, Flag(code, f"Said of {code}.")))
    assert sum(f"Said of {code}." in said for said in look_first(told)) == 1
    assert code in told_whole(told)


def test_where_nothing_is_to_be_looked_at_that_is_said() -> None:
    """Of a negative slide without any likely place; what is hatched is so only where there is an overview to see."""
    clean = replace(VARIANTS["negative"]().report, detections=())
    assert look_first(clean) == ("Nothing stands out.",)
    part = VARIANTS["incomplete_nothing"]().report
    hidden = replace(part, flags=(Flag("levels_disagree", "Levels disagree."), *part.flags), detections=())
    assert look_first(hidden) == (
        "The whole slide under the microscope: it may hold tissue that was not found.",
        "The tissue that was not examined (9 %, 4.4 mm²; unreadable or never scanned). Read it under the microscope.",
    )
    assert look_first(replace(part, tissue_area_mm2=None))[0].startswith("The tissue that was not examined (9 %; ")


def test_a_pale_area_is_told_once() -> None:
    """As a place to look at, and not as a flag again; on a slide that nobody judged it says nothing."""
    clean = VARIANTS["negative"]().report
    pale = replace(clean, flags=(Flag("small_pale_area", "A pale area lies at the top."),))
    assert look_first(pale) == ("A pale area lies at the top. It counts as examined.", *FAINT)
    assert flags(pale) == ()
    assert sentences.how_sure(pale) == (HERE,)
    unjudged = VARIANTS["not_he"]().report
    assert flags(replace(unjudged, flags=(*unjudged.flags, *pale.flags))) == flags(unjudged)


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("itc", "Largest contiguous deposit: 0.2 mm or smaller."),
        (
            "borderline",
            "Largest contiguous deposit: larger than 2 mm, but so near the limit that this is uncertain.",
        ),
        (
            "incomplete_micro",
            "Largest contiguous deposit: as measured, larger than 0.2 mm, up to 2 mm. Not all tissue was examined, so "
            "the true class may be higher.",
        ),
        (
            "incomplete_nothing",
            "Nothing was found, but 9 % of the tissue was not examined. This is not a negative result.",
        ),
        ("no_tissue", "No tissue was found on this slide. This is not a negative result."),
        ("failed", "scan-7731.svs: the file ends early; copy it again from the scanner, then run again."),
    ],
)
def test_the_answer_under_the_headline(variant: str, said: str) -> None:
    assert sentences.answer(VARIANTS[variant]().report) == said


@pytest.mark.parametrize(
    ("largest_um", "said"),
    [
        ((196.0, 30.0), "0.2 mm or smaller, but so near the limit that this is uncertain."),
        ((190.0, 5.0), "0.2 mm or smaller; but the size of deposit 2 (0.18 ± 0.04 mm) reaches the 0.2 mm limit."),
    ],
)
def test_of_several_sizes_that_may_change_the_class_the_largest_is_told(
    largest_um: tuple[float, float], said: str
) -> None:
    """Where the largest deposit's is one of them no other is named; nor is any where there is no class."""
    sizes = (largest_um, (180.0, 42.0), (175.0, 50.0))
    deposits = [
        replace(ITC, id=number, diameter_um=Micrometers(size), diameter_uncertainty_um=Micrometers(unsure))
        for number, (size, unsure) in enumerate(sizes, 1)
    ]
    report = result(deposits).report
    assert sentences.answer(report).endswith(said)
    assert sentences.doubt(report) == "borderline: isolated tumour cells or micrometastasis"
    unclassed = replace(report, status=Status.INCOMPLETE, metastasis=None)
    assert sentences.doubt(unclassed) == "incomplete"
    assert not [line for line in look_first(unclassed) if "borderline" in line]


def test_an_incomplete_macrometastasis_may_be_larger() -> None:
    """Its class can't be higher."""
    assert sentences.answer(result((MACRO,), unread=True).report).endswith(
        "larger than 2 mm. Not all tissue was examined, so there may be larger or more deposits."
    )


def test_a_reason_begins_as_a_sentence_but_for_a_files_name() -> None:
    """Of a slide that was never read all reasons are told, of one that failed late the first: the others are flags."""
    failed, looked = VARIANTS["failed"]().report, VARIANTS["incomplete_nothing"]().report
    two = (Flag("failed", "the disk is full"), Flag("ink", "There is ink."))
    assert sentences.answer(replace(failed, flags=two)) == "The disk is full There is ink."
    assert sentences.answer(replace(failed, flags=())) == "No reason was recorded. See the run's log."
    late = failed_if_unread(replace(looked, unread_fraction=0.09), 5)
    assert sentences.answer(late) == (
        "9 % of the tissue could not be read from the file or was never scanned. That is more than the 5 % allowed "
        "(--max-unread), so the slide gets no class."
    )


def _unread(deposits: Sequence[Deposit]) -> SlideReport:
    """9 % of the tissue is unread."""
    return replace(result(deposits, unread=True).report, unread_fraction=0.09)


def _too_much_unread(deposits: Sequence[Deposit]) -> SlideReport:
    """Failed with that."""
    return failed_if_unread(_unread(deposits), 5)


def test_a_cut_off_deposit_of_a_failed_slide_is_called_that() -> None:
    """Under "What to do", before a larger one that is whole; its flag is not listed again."""
    (_, cut, whole, *_) = look_first(_too_much_unread([MACRO, replace(MICRO, cut_off=True)]))
    assert cut.startswith("Deposit 2, 0.64 ± 0.02 mm (x ")
    assert "It is cut off, at the edge of the scan or tissue that was not examined, and may be larger." in cut
    assert whole.startswith("Deposit 1, the largest, ")


def test_tumour_on_a_slide_that_is_failed_is_told_before_why_it_failed() -> None:
    """In the headline and its colour, first in the sentence, and beside the class in the index; with several the
    largest. Where nothing was found, how much was examined is said."""
    one, none = _too_much_unread([replace(MICRO, id=1)]), _too_much_unread([])
    assert (class_words(one), page.tone(one)) == ("No class, but tumour found", "none")
    assert sentences.answer(one).startswith(
        "A deposit of at least 0.64 mm was found, but 9 % of the tissue could not be read "
    )
    several = sentences.answer(_too_much_unread([MACRO, MICRO]))
    assert several.startswith("2 deposits were found, the largest at least 2.62 mm, but 9 % of the tissue ")
    parts = replace(_unread([MACRO]), flags=(Flag("may_be_two_foci", "Two foci."),))
    assert sentences.answer(failed_if_unread(parts, 5)).startswith("A deposit of 2.62 mm was found")
    assert sentences.doubt(one) == "failed; too much could not be read"
    assert (class_words(none), page.tone(none)) == ("No class: too much could not be read", "failed")
    assert sentences.doubt(none) == "failed; nothing found in the 91.0 % that was examined"


def test_no_class_although_all_was_examined_has_its_reason() -> None:
    """A model that wasn't tuned, or what the flags say; deposits without a class are not nothing."""
    whole = replace(VARIANTS["negative"]().report, status=Status.INCOMPLETE, metastasis=None)
    flags = "No class can be given, for the reasons listed under “Flags”. This is not a negative result."
    untuned = Flag("model_not_tuned", "The model was not tuned.")
    assert sentences.answer(whole) == flags
    assert sentences.answer(replace(whole, flags=(untuned,))) == (
        "The model was not tuned. This is not a negative result."
    )
    part = result((MICRO,), unread=True).report
    assert sentences.answer(replace(part, metastasis=None, at_least=False)) == flags


def counted(number: int, size_um: float, cells: int | None) -> Deposit:
    """A deposit of this size and count, which is sure to 20 cells."""
    one = replace(ellipse(number, (5200.0, 4300.0), size_um), cells=cells and CellCount(cells, 20))
    return replace(one, metastasis=classify(Micrometers(size_um), cells=one.cells))


@pytest.mark.parametrize(
    ("deposits", "said"),
    [
        ([counted(1, 150.0, None), counted(2, 140.0, None)], NOT_COUNTED),
        ([counted(1, 150.0, 50), counted(2, 140.0, None)], COUNTED.format(", but not in 1 of 2")),
        ([counted(1, 200.0, 50)], COUNTED.format("")),
        ([counted(1, 150.0, 60), counted(2, 140.0, 300)], BY_CELLS),
        ([counted(1, 640.0, None)], ""),
        ([], ""),
    ],
)
def test_what_cells_had_to_do_with_the_class(deposits: list[Deposit], said: str) -> None:
    """Of deposits up to 0.2 mm alone: no others are counted."""
    report = replace(result(deposits).report, metastasis=class_found(deposits))
    told = [line for line in sentences.how_sure(report) if "umour cells" in line and "isolated" not in line]
    assert told == ([said] if said else [])


def test_a_class_by_cells_says_no_distance_of_its_size_from_a_limit() -> None:
    """The class doesn't hang on it; on the size of the largest that no cells raised, it does."""
    for first, second, told in ((300, 60, False), (60, 300, True)):
        deposits = [counted(1, 150.0, first), counted(2, 140.0, second)]
        report = replace(result(deposits).report, metastasis=Metastasis.MICRO)
        assert any("nearest limit" in line for line in sentences.how_sure(report)) is told


def test_cells_of_dispersed_foci_that_make_the_class_are_told_with_their_number() -> None:
    """Ten foci of 30 cells over 4 mm."""
    foci = [
        replace(counted(number, 40.0, 30), cells=CellCount(30, 9), endpoints_um=((400.0 * number, 0.0),) * 2)
        for number in range(1, 11)
    ]
    report = replace(result(foci).report, metastasis=class_found(foci))
    assert "0.2 mm or smaller, but with 300 ± 90 tumour cells over the dispersed foci" in sentences.answer(report)


def test_what_holds_for_several_deposits_is_said_once() -> None:
    """Both reach 0.2 mm, and nobody counted their cells; one of them is cut off, too."""
    near = [ellipse(number, (5200.0, 4300.0), 205.0) for number in (1, 2)]
    first, second, both, *_ = look_first(result(near).report)
    assert both == (
        "Deposits 1 and 2 are borderline: their sizes reach the 0.2 mm limit between isolated tumour cells and "
        "micrometastasis. Measure under the microscope. They need a count of cells if 0.2 mm or smaller: more than 200 "
        "are a micrometastasis."
    )
    assert (first, second) == (
        "Deposit 1, the largest, 0.205 ± 0.014 mm (x 4.70, y 4.05 mm).",
        "Deposit 2, 0.205 ± 0.014 mm (x 4.70, y 4.05 mm).",
    )
    one_cut = replace(result([near[0], replace(near[1], cut_off=True)]).report, at_least=True)
    cut, whole, again, *_ = look_first(one_cut)
    assert (again, whole) == (both, first)
    assert cut == f"{second} It is cut off, at the edge of the scan, and may be larger. Scan what is missing."


def test_several_deposits_that_are_cut_off_are_told_together() -> None:
    """By their numbers; one that is whole is measured by nobody, nor does a micrometastasis ask for a count."""
    cut = [replace(MICRO, id=1, cut_off=True), replace(ITC, id=2, cut_off=True), replace(ITC, id=3)]
    report = replace(result(cut).report, at_least=True)
    assert "Deposits 1, 2 are cut off, so the true class may be higher." in sentences.answer(report)
    *each, together = look_first(report)[:4]
    assert together == (
        "Deposits 1 and 2 are cut off, at the edge of the scan, and may be larger. Measure under the microscope, or "
        "scan what is missing."
    )
    assert [line.partition(",")[0] for line in each] == ["Deposit 1", "Deposit 2", "Deposit 3"]
    assert not [line for line in each if "cut off" in line]
    assert not [line for line in look_first(report) if "cells" in line]


@pytest.mark.parametrize(("size_um", "told"), [(100.0, True), (99.0, False)])
def test_a_count_is_asked_for_from_0_1_mm_on(size_um: float, told: bool) -> None:
    """A smaller deposit has too few cells for it to matter."""
    (first, *_) = look_first(result([ellipse(1, (5200.0, 4300.0), size_um)]).report)
    assert ("Its cells were not counted" in first) is told


@pytest.mark.parametrize(
    ("size_um", "cells", "asked"),
    [(205.0, "not assessed", True), (195.0, "not assessed", False), (240.0, "not needed", False)],
)
def test_a_size_that_reaches_0_2_mm_asks_for_the_cells_too(size_um: float, cells: str, asked: bool) -> None:
    """If the microscope gives 0.19 mm, their number decides; of one that is ITC as measured that is said already."""
    report = result([ellipse(1, (5200.0, 4300.0), size_um)]).report
    assert page.rows(report)[0].cells == cells
    count = "If it is 0.2 mm or smaller, count its cells: more than 200 are a micrometastasis."
    assert (count in look_first(report)[0]) is asked


def test_where_foci_were_joined_no_joining_is_one_of_the_gaps() -> None:
    """The class is the same without it, too."""
    several = result([replace(MICRO, id=1), replace(ITC, id=2)]).report
    joined = replace(several, flags=(Flag("foci_joined", "Foci were joined."),))
    said = "Joining foci across gaps of 25, 50 or 75 µm, or joining none, would not change the class."
    assert said in sentences.how_sure(joined)
