"""Numbers and words never contradict the finding."""

import os
from dataclasses import replace
from math import inf, nextafter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodescan.domain.class_bounds import bound_holds, class_word, failed_if_unread
from nodescan.domain.classification import CellCount, classify
from nodescan.domain.deposits import Deposit, Detection
from nodescan.domain.doubts import Waist
from nodescan.domain.flags import Flag
from nodescan.domain.lengths import millimetres, two_digits
from nodescan.domain.report import SlideReport, SlideResult, Status
from nodescan.domain.slide import BoundsUm, SlideRef
from nodescan.domain.units import Micrometers
from nodescan.domain.verdict import class_found, deposit_flags, waist_flags
from nodescan.reports import page, sentences
from nodescan.reports.class_doubts import class_words
from nodescan.reports.csv_report import SUMMARY_COLUMNS, summary_row
from nodescan.reports.first_look import look_first
from nodescan.reports.flag_list import flags, flags_without_effect
from nodescan.reports.html_report import render
from nodescan.reports.places import place, short_place
from nodescan.reports.web_page import Fact
from nodescan.reports.wording import (
    cell_words,
    flag_title,
    left_out_words,
    limit_words,
    percent,
    share_missed,
    size_words,
    slide_size_words,
    without_paths,
)
from tests.reports.factory import ITC, MACRO, MICRO, VARIANTS, read_aloud, result


@given(st.floats(0.5, 30_000) | st.sampled_from([nextafter(limit, way) for limit in (200, 2000) for way in (0, inf)]))
def test_a_printed_size_has_the_class_of_the_size(length_um: float) -> None:
    """However near a limit, the text in mm classifies as the number does."""
    assert classify(Micrometers(float(millimetres(length_um)) * 1000)) is classify(Micrometers(length_um))


@pytest.mark.parametrize(
    ("length_um", "text"),
    [(2624.0, "2.62"), (640.0, "0.64"), (85.0, "0.085"), (200.0, "0.20"), (200.4, "0.2004"), (2000.0, "2.00")],
)
def test_sizes_are_printed_short_and_long_near_a_limit(length_um: float, text: str) -> None:
    """Two decimals, three below 0.1 mm, more only where they decide."""
    assert millimetres(length_um) == text


@pytest.mark.parametrize(
    ("uncertainty_um", "words"), [(38.2, "2.62 ± 0.04 mm"), (0.4, "2.6240 ± 0.0004 mm"), (0, "2.62 ± 0 mm")]
)
def test_an_uncertainty_is_never_rounded_away(uncertainty_um: float, words: str) -> None:
    """It reads as 0 only where it is 0, and the size has as many decimals."""
    assert size_words(replace(MACRO, diameter_uncertainty_um=Micrometers(uncertainty_um))) == words


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100 %"), (0.0, "0 %"), (0.9, "90.0 %"), (0.99996, "99.996 %"), (1e-6, "0.0001 %")]
)
def test_a_share_is_whole_only_where_it_is(share: float, text: str) -> None:
    """99.996 % of the tissue examined is not all of it."""
    assert percent(share) == text


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("macro", "Macrometastasis"),
        ("itc", "Isolated tumour cells"),
        ("negative", "Negative"),
        ("incomplete_micro", "At least micrometastasis"),
        ("incomplete_nothing", "No class"),
        ("no_tissue", "No class"),
        ("not_he", "No class"),
        ("unmeasurable", "No class: cannot be measured"),
        ("failed", "Not read"),
    ],
)
def test_the_headline_says_no_more_than_is_known(variant: str, words: str) -> None:
    """A class where there is one, a lower bound where tissue is missing, else none."""
    assert class_words(VARIANTS[variant]().report) == words


@pytest.mark.parametrize("variant", ["incomplete_nothing", "no_tissue", "not_he"])
def test_no_class_is_said_not_to_be_negative(variant: str) -> None:
    """A reader in a hurry can't take it for a clean slide."""
    assert sentences.answer(VARIANTS[variant]().report).endswith("This is not a negative result.")


def test_a_negative_slide_says_what_could_have_been_missed() -> None:
    """By the model's own card; a card that says nothing claims nothing. Of what was examined in part, the part; not
    where something was found, or nothing was examined or judged."""
    limit = "Deposits up to about 0.2 mm, thin ones above all, and isolated tumour cells are not excluded"
    misses = "this model misses some of them on synthetic slides."
    ends = {
        "negative": f"{limit}: {misses}",
        "incomplete_nothing": f"{limit}, even in the tissue that was examined: {misses}",
    }
    for variant in ("negative", "incomplete_nothing", "itc", "not_he", "no_tissue", "nothing_examined"):
        report = VARIANTS[variant]().report
        assert limit not in sentences.answer(report)
        modelled = replace(report, model=replace(report.model, found_from_um=200.0))
        known = sentences.answer(modelled)
        if variant == "incomplete_nothing":  # where the sentence says what was not examined
            assert (limit in known, ends[variant] in sentences.how_sure(modelled)) == (False, True)
        else:
            assert known.endswith(ends[variant]) if variant in ends else limit not in known


@pytest.mark.parametrize(
    ("from_um", "missed"),
    [(150.0, "Deposits"), (201.0, "Micrometastases"), (2000.0, "Micrometastases"), (2500.0, "Deposits")],
)
def test_what_is_not_excluded_is_named_by_its_class(from_um: float, missed: str) -> None:
    """From above 0.2 mm on these are micrometastases, which would change the stage."""
    assert limit_words(from_um).startswith(f"{missed} up to about {from_um / 1000:g} mm, thin ones above all, and ")


def test_a_negative_slide_says_beside_its_headline_what_is_not_excluded() -> None:
    """By the model's card; a slide with tumour doesn't."""
    negative = "deposits below 0.55 mm not excluded (limit from synthetic slides)"
    for variant, said in (("negative", negative), ("itc", ""), ("macro", "")):
        report = VARIANTS[variant]().report
        assert sentences.doubt(replace(report, model=replace(report.model, found_from_um=550.0))) == said
        assert sentences.doubt(report) == ""


def test_a_slide_of_isolated_tumour_cells_says_what_could_have_been_missed() -> None:
    """Under "How sure", by the model's own card; beside a larger deposit it changes nothing."""
    for variant, told in (("itc", True), ("borderline", False), ("negative", False)):
        report = VARIANTS[variant]().report
        known = replace(report, model=replace(report.model, found_from_um=550.0))
        for one, says in ((known, told), (report, False)):
            assert (
                any(line.startswith("Micrometastases up to about 0.55 mm") for line in sentences.how_sure(one)) is says
            )


@pytest.mark.parametrize(("fraction", "whole"), [(1.0, True), (0.9, False)])
def test_what_isolated_tumour_cells_do_not_exclude_is_told_of_what_was_examined(fraction: float, whole: bool) -> None:
    """Of a slide that was examined whole there is no tissue beside "the tissue that was examined"."""
    report = VARIANTS["itc"]().report
    known = replace(report, examined_fraction=fraction, model=replace(report.model, found_from_um=550.0))
    (said,) = [line for line in sentences.how_sure(known) if line.startswith("Micrometastases up to")]
    assert ("even in the tissue that was examined" in said) is not whole


def test_what_could_change_the_class_comes_first() -> None:
    """A borderline size leads the list; an ITC of 0.15 mm asks for a cell count."""
    borderline = look_first(VARIANTS["borderline"]().report)[0]
    assert borderline.startswith("Deposit 1, 2.01 ± 0.03 mm (x ")
    assert borderline.endswith(
        "It is borderline: its size reaches the 2 mm limit between micrometastasis and macrometastasis. "
        "Measure under the microscope."
    )
    assert look_first(VARIANTS["itc"]().report)[0].endswith(
        "Its cells were not counted: with more than 200 tumour cells it would be a micrometastasis."
    )


def counted(number: int, size_um: float, cells: int, unsure: int) -> Deposit:
    """A deposit of ITC's size whose cells were counted."""
    found = classify(Micrometers(size_um), cells=CellCount(cells, unsure))
    size, sure = Micrometers(size_um), Micrometers(4.0)
    one = replace(ITC, id=number, diameter_um=size, diameter_uncertainty_um=sure, cells=CellCount(cells, unsure))
    return replace(one, metastasis=found)


@pytest.mark.parametrize(("cells", "unsure"), [(320, 60), (195, 60)])
def test_the_deposit_whose_cells_decide_leads_the_list(cells: int, unsure: int) -> None:
    """The fourth in size, of more than 200 cells or of a count near 200: the class hangs on it and on no other."""
    foci = [*(counted(number, 171.0 - number, 50, 10) for number in (1, 2, 3)), counted(4, 150.0, cells, unsure)]
    report = replace(result(foci).report, metastasis=class_found(foci))
    first, second = look_first(report)[:2]
    assert first.startswith("Deposit 4, 0.150 ± 0.004 mm (x ")
    hangs = f"Its class depends on {cells} ± {unsure} tumour cells. Count them: more than 200 are a micrometastasis."
    assert first.endswith(hangs)
    assert second.startswith("Deposit 1, the largest, ")
    assert "hangs" not in second


def test_cells_that_can_t_change_the_class_ask_for_no_count() -> None:
    """A count near 200 beside a clear micrometastasis, by size."""
    foci = [replace(MICRO, id=1), counted(2, 150.0, 195, 60)]
    assert not [said for said in look_first(result(foci).report) if "hangs" in said]


def test_a_borderline_lower_bound_may_be_lower() -> None:
    """A micrometastasis of 0.21 +- 0.02 mm on a slide that was read in part: the word and the sentence say both."""
    whole = VARIANTS["incomplete_micro"]().report
    small = replace(whole.deposits[0], diameter_um=Micrometers(210.0), diameter_uncertainty_um=Micrometers(20.0))
    near = replace(whole, deposits=(small,))
    assert class_words(near) == "Micrometastasis as measured"
    assert sentences.doubt(near) == "may be lower (borderline size) or higher (incomplete)"
    assert sentences.answer(near).endswith("so the true class may be higher, or lower because of the borderline size.")
    assert sentences.doubt(whole) == "incomplete"
    assert sentences.answer(whole).endswith("so the true class may be higher.")


def test_a_deposit_that_is_cut_off_is_the_first_to_look_at() -> None:
    """Its size is no distance from a limit."""
    whole = result([replace(MICRO, id=1)]).report
    cut = replace(whole, at_least=True, deposits=(replace(whole.deposits[0], cut_off=True), *whole.deposits[1:]))
    assert (sentences.doubt(whole), sentences.doubt(cut)) == ("", "cut off")
    assert sentences.answer(cut).endswith("Deposit 1 is cut off, so the true class may be higher.")
    assert look_first(cut)[0].endswith(
        "It is cut off, at the edge of the scan, and may be larger. Measure under the microscope, or scan what is "
        "missing."
    )
    assert not [line for line in sentences.how_sure(cut) if "nearest limit" in line]
    inked = replace(cut, examined_fraction=0.9, flags=(Flag("tissue_meets_ink", "Ink."),))
    ends = "It is cut off, at a pen mark, the edge of the scan or tissue that was not examined, and may be larger."
    assert ends in look_first(inked)[0]


def test_a_flag_that_stands_above_is_not_listed_again() -> None:
    """What is cut off or borderline is, where the class hangs on it, with its size and place; else the flag says it."""
    cut_off, near = Flag("deposit_cut_off", "It lies at the edge."), Flag("borderline", "It is near.")
    for deposit, told in ((MICRO, True), (MACRO, False)):
        one = replace(result([replace(deposit, id=1, cut_off=True)]).report, flags=(cut_off,))
        assert [fact.label for fact in flags(one)] == ([] if told else ["Deposit cut off"])
    borderline = VARIANTS["borderline"]().report
    assert flags(replace(borderline, flags=(near,))) == ()
    several = replace(borderline, flags=(Flag("joining_gap", "Gaps."), Flag("may_be_one_deposit", "Parts.")))
    assert [fact.label for fact in flags(several)] == ["Joining gap"]


@pytest.mark.parametrize(("number", "listed"), [(3, False), (5, True)])
def test_a_flag_of_more_deposits_than_are_looked_at_first_is_listed(number: int, listed: bool) -> None:
    """Of five that are cut off three stand above, and only the flag names the others."""
    made = result([replace(MICRO, id=one, cut_off=True) for one in range(1, number + 1)]).report
    report = replace(made, at_least=True, flags=(Flag("deposit_cut_off", "All of them are cut off."),))
    assert [fact.label for fact in flags(report)] == (["Deposit cut off"] if listed else [])


def test_flags_stand_in_the_order_of_what_they_do() -> None:
    """Why the slide is incomplete, what its class may hang on, the rest; those without an effect in one line."""
    codes = ("size_near_limit", "strong_compression", "tissue_cut_off", "out_of_focus", "size_may_be_of_part")
    made = tuple(Flag(code, f"{code}.") for code in codes)
    report = replace(VARIANTS["macro"]().report, status=Status.INCOMPLETE, flags=made)
    assert [fact.value for fact in flags(report)] == ["out_of_focus.", "tissue_cut_off.", "strong_compression."]
    said = "Without an effect on the class: size_near_limit. size_may_be_of_part."
    assert flags_without_effect(report) == said
    assert said in render(SlideResult(report))


def test_a_slide_without_a_class_says_of_no_size_that_its_class_stays_the_same() -> None:
    """Too much of it was unread; what is told of its deposits is still true."""
    part = result(
        [MACRO, replace(ITC, id=2, diameter_um=Micrometers(196.0), diameter_uncertainty_um=Micrometers(30.0))],
        unread=True,
    ).report
    near = deposit_flags(part.deposits)
    spans = waist_flags(part.deposits, [Waist(1, Micrometers(90.0), (Micrometers(2300.0), Micrometers(300.0)))])
    found = replace(part, unread_fraction=0.4, flags=(*near, *spans))
    assert flags_without_effect(found).count("the slide's class") == 1
    said = flags_without_effect(failed_if_unread(found, 20.0))
    assert said.startswith("Of the deposits found: ")
    assert "run together: no. 1 (2.62 mm: parts of 2.30 and 0.30 mm, a waist of 0.090 mm)." in said
    assert "is within its uncertainty of a class limit: no. 2" in said
    assert "class would" not in said
    assert "class can't" not in said


@pytest.mark.parametrize(
    ("share", "text"), [(0.171, "17 %"), (0.083, "8.3 %"), (1.0, "100 %"), (0.99996, "99.996 %"), (1e-6, "0.0001 %")]
)
def test_a_share_that_was_not_examined_reads_as_in_its_flag(share: float, text: str) -> None:
    """With two digits, and never as all that isn't, nor as nothing."""
    assert share_missed(share) == text


def _cut_macro() -> SlideReport:
    """Read whole, its macrometastasis cut off: its class is certain, its size is none."""
    report = result([replace(MACRO, cut_off=True), MICRO]).report
    assert not report.at_least
    return report


def test_a_largest_size_that_is_a_lower_bound_is_never_printed_as_if_it_were_whole() -> None:
    """Cut off, or beside tissue that nobody examined: under the headline, in the sentence and in indexes alike.

    Where the pixel size is in doubt, it may be smaller, too.
    """
    part, cut, whole = VARIANTS["incomplete_micro"]().report, _cut_macro(), VARIANTS["macro"]().report
    ends = ((part, "0.64 ± 0.02 mm", "", "as measured, "), (cut, "2.62 ± 0.04 mm", "cut off", ""))
    for report, size, note, measured in ends:
        assert page.key_facts(report)[0] == Fact("Largest deposit", f"at least {size}", note)
        assert sentences.answer(report).startswith(f"Largest contiguous deposit: {measured}larger ")
        assert slide_size_words(report) == f"at least {size}"
        doubted = replace(report, flags=(*report.flags, Flag("nuclei_out_of_scale", "Check it.")))
        assert page.key_facts(doubted)[0] == Fact("Largest deposit", size, note)
        assert sentences.answer(doubted).startswith(f"Largest contiguous deposit: {measured}larger ")
    assert page.key_facts(whole)[0] == Fact("Largest deposit", "2.62 ± 0.04 mm")
    assert sentences.answer(whole).startswith("Largest contiguous deposit: larger ")
    assert slide_size_words(whole) == "2.62 ± 0.04 mm"


def test_what_is_cut_off_says_so_beside_its_size() -> None:
    """In the table and under its close-up, and no other does; an area that nobody judged is no deposit cut off."""
    cut = _cut_macro()
    assert [row.badges for row in page.rows(cut)] == [("cut off",), ()]
    assert render(SlideResult(cut)).count("</b> <em>cut off</em>") == 1
    odd = VARIANTS["not_he"]().report
    assert page.rows(replace(odd, deposits=(replace(odd.deposits[0], cut_off=True),)))[0].badges == ()


def test_a_size_near_a_limit_is_called_borderline_only_where_the_class_hangs_on_it() -> None:
    """0.2 mm +- 0.03 mm beside a macrometastasis, as its flag says, and by itself."""
    near = replace(ITC, id=2, diameter_um=Micrometers(196.0), diameter_uncertainty_um=Micrometers(30.0))
    assert [row.badges for row in page.rows(result([MACRO, near]).report)] == [(), ("near a limit",)]
    alone = result([replace(near, id=1)]).report
    assert page.rows(alone)[0].badges == ("borderline",)
    assert page.key_facts(alone)[0].note == ""  # beside the headline


def test_a_spacing_in_doubt_stands_beside_the_headline() -> None:
    """Negative or not: everything on the page hangs on it."""
    for name in ("negative", "macro"):
        sound = VARIANTS[name]().report
        doubted = replace(sound, flags=(*sound.flags, Flag("nuclei_out_of_scale", "Cell nuclei look 0.5 times.")))
        assert sentences.doubt(doubted) == "pixel size in doubt"
        assert look_first(doubted) == ("Cell nuclei look 0.5 times.", *look_first(sound))
        assert not [line for line in sentences.how_sure(doubted) if "nearest limit" in line]


@pytest.mark.parametrize("code", ["joining_gap", "may_be_one_deposit", "may_be_two_foci"])
def test_a_class_that_hangs_on_joining_says_so_beside_the_headline(code: str) -> None:
    """Whichever way another class is possible; of a slide without a class nothing hangs on it."""
    sound = VARIANTS["macro"]().report
    open_ = replace(sound, flags=(Flag(code, "Check whether they are connected."),))
    assert sentences.doubt(open_).startswith("one deposit or several")
    unjudged = VARIANTS["not_he"]().report
    assert sentences.doubt(replace(unjudged, flags=(*unjudged.flags, *open_.flags))) == "incomplete"


@pytest.mark.parametrize(
    ("codes", "found", "classes"),
    [
        (["may_be_one_deposit"], MICRO, ": micrometastasis or macrometastasis"),
        (["joining_gap"], MICRO, ": micrometastasis or macrometastasis"),
        (["joining_gap", "may_be_one_deposit"], ITC, ": isolated tumour cells or more"),
        (["may_be_two_foci"], MICRO, ": isolated tumour cells or micrometastasis"),
        (["may_be_two_foci"], MACRO, ": micrometastasis or macrometastasis"),
        (["may_be_two_foci", "may_be_one_deposit"], MICRO, ""),
        (["foci_joined", "joining_gap"], MICRO, ""),
    ],
)
def test_the_classes_that_joining_is_between_stand_beside_the_headline(
    codes: list[str], found: Deposit, classes: str
) -> None:
    """Where the flags tell them: a gap that was set, or parts of a whole and two foci at once, lead either way."""
    sound = result([replace(found, id=1)]).report
    open_ = replace(sound, flags=tuple(Flag(code, "Check it.") for code in codes))
    assert sentences.doubt(open_) == f"one deposit or several{classes}"


def test_what_may_be_one_deposit_is_the_first_to_look_at() -> None:
    """It stands in the sentence under the headline, too; nothing reassures then that the size is far from a limit."""
    sound = result([replace(MICRO, id=1)]).report
    flags = (Flag("joining_gap", "It hangs on gaps."), Flag("may_be_one_deposit", "No. 1 may be part of a longer one."))
    open_ = replace(sound, flags=flags)
    assert look_first(open_) == ("No. 1 may be part of a longer one.", *look_first(sound))
    assert sentences.answer(open_) == (
        f"{sentences.answer(sound)} What was found may be part of a longer deposit, a macrometastasis: "
        "see “Look here first”."
    )
    far = [any("nearest limit" in line for line in sentences.how_sure(one)) for one in (sound, open_)]
    assert far == [True, False]


def test_a_negative_slide_whose_specks_may_be_one_deposit_says_so_under_its_headline() -> None:
    """Each is too small to count: joined they are tumour."""
    sound = VARIANTS["negative"]().report
    open_ = replace(sound, flags=(Flag("joining_gap", "With a gap of 50 µm: 0.51 mm, micro."),))
    assert sentences.doubt(open_) == "one deposit or several: negative or tumour"
    assert sentences.answer(open_) == (
        f"{sentences.answer(sound)} The class depends on whether specks too small to count are one deposit: "
        "see “Look here first”."
    )


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        (["may_be_two_foci"], "one deposit or several"),
        (["joining_gap", "foci_joined"], "one deposit or several"),
        (["nuclei_out_of_scale"], "pixel size in doubt"),
        (["scan_fault"], "a fault of the scan"),
        (["unlike_training"], "tissue unlike the training tissue"),
    ],
)
def test_at_least_is_said_only_where_the_bound_holds(codes: list[str], reason: str) -> None:
    """What was measured as one may be two, and a wrong pixel size makes all sizes wrong: the class may be lower."""
    whole = VARIANTS["incomplete_micro"]().report
    assert (class_words(whole), bound_holds(whole)) == ("At least micrometastasis", True)
    open_ = replace(whole, flags=(*whole.flags, *(Flag(code, "Check it.") for code in codes)))
    assert (class_words(open_), bound_holds(open_)) == ("Micrometastasis as measured", False)
    assert (class_word(whole), class_word(open_)) == ("at least micro", "micro as measured")
    assert sentences.doubt(open_) == f"may be lower ({reason}) or higher (incomplete)"
    longer = replace(whole, flags=(*whole.flags, Flag("joining_gap", "Check it.")))
    assert class_words(longer) == "At least micrometastasis"


def test_at_least_is_not_said_of_a_class_that_counted_cells_make() -> None:
    """The count is an estimate."""
    many = replace(counted(1, 150.0, 320, 60), cut_off=True)
    report = replace(result([many]).report, metastasis=class_found([many]), at_least=True)
    assert class_words(report) == "Micrometastasis as measured"
    assert sentences.doubt(report) == "may be lower (number of cells) or higher (cut off)"
    assert "may be higher, or lower because of the number of cells." in sentences.answer(report)
    near = replace(MICRO, id=1, diameter_um=Micrometers(210.0), diameter_uncertainty_um=Micrometers(30.0))
    beside = replace(report, deposits=(near, replace(many, id=2)))
    assert class_words(beside) == "Micrometastasis as measured"
    assert sentences.doubt(beside) == "may be lower (borderline size, number of cells) or higher (cut off)"
    assert any("Its class depends on 320 ± 60 tumour cells" in line for line in look_first(beside))
    surely = replace(near, diameter_uncertainty_um=Micrometers(4.0))
    assert class_words(replace(report, deposits=(surely, replace(many, id=2)))) == "At least micrometastasis"


@pytest.mark.parametrize("code", ["size_may_span_foci", "size_may_be_of_part", "foci_joined"])
def test_joining_that_leaves_the_class_as_it_is_is_no_doubt(code: str) -> None:
    """A doubt of a size is told in the flags."""
    assert sentences.doubt(replace(VARIANTS["macro"]().report, flags=(Flag(code, "The same class."),))) == ""


def test_a_cut_off_size_near_a_limit_is_told_as_both() -> None:
    """0.21 +- 0.02 mm, cut off: the class may be higher or lower. Of a size that isn't either the distance is told."""
    whole = result([replace(MICRO, id=1)]).report
    near = replace(MICRO, id=1, diameter_um=Micrometers(210.0), diameter_uncertainty_um=Micrometers(20.0), cut_off=True)
    both = replace(whole, at_least=True, deposits=(near,))
    assert sentences.doubt(both) == "may be lower (borderline size) or higher (cut off)"
    assert (
        "It is cut off, at the edge of the scan, and may be larger. Scan what is missing. It is borderline: "
        in look_first(both)[0]
    )
    assert not [line for line in sentences.how_sure(both) if "nearest limit" in line]
    smaller = replace(MICRO, id=2, diameter_um=Micrometers(250.0), cut_off=True)
    said = sentences.how_sure(replace(whole, at_least=True, deposits=(whole.deposits[0], smaller)))
    assert said[0].startswith("The largest size lies ")


def test_the_deposit_whose_size_could_change_the_class_is_named() -> None:
    """Beside 0.185 +- 0.012 mm one of 0.180 +- 0.042 mm reaches 0.2 mm: pill, sentence and certainty all say it."""
    found = VARIANTS["itc"]().report
    sizes = ((185.0, 12.0), (180.0, 42.0))
    clear, near = (
        replace(ITC, id=number, diameter_um=Micrometers(size), diameter_uncertainty_um=Micrometers(unsure))
        for number, (size, unsure) in enumerate(sizes, 1)
    )
    report = replace(found, deposits=(clear, near))
    assert sentences.doubt(report) == "borderline: isolated tumour cells or micrometastasis"
    assert sentences.answer(report).endswith(
        "0.2 mm or smaller; but the size of deposit 2 (0.18 ± 0.04 mm) reaches the 0.2 mm limit."
    )
    assert not [line for line in sentences.how_sure(report) if "limit" in line]
    first, second = look_first(report)[:2]
    assert first.startswith("Deposit 2, 0.18 ± 0.04 mm (x ")
    assert ("borderline" in first, "borderline" in second) == (True, False)
    assert second.startswith("Deposit 1, the largest, 0.18 ± 0.01 mm (x ")
    assert sentences.doubt(replace(found, deposits=(clear,))) == ""


@pytest.mark.parametrize(
    ("size_um", "unsure_um", "away", "unsure"),
    [
        (222.125, 21.667, "0.0221", "0.0217"),
        (240.0, 12.0, "0.04", "0.01"),
        (890.0, 74.9, "0.69", "0.07"),
        (403.0, 75.0, "0.20", "0.07"),
        (202.0, 0.4, "0.0020", "0.0004"),
        (302.0, 101.9999, "0.1020000", "0.1019999"),
    ],
)
def test_a_distance_never_reads_as_the_uncertainty_that_it_exceeds(
    size_um: float, unsure_um: float, away: str, unsure: str
) -> None:
    """With more decimals where two would be alike, else as in the size itself: 0.89 ± 0.07 mm."""
    near = replace(MICRO, diameter_um=Micrometers(size_um), diameter_uncertainty_um=Micrometers(unsure_um))
    said = " ".join(sentences.how_sure(replace(VARIANTS["incomplete_micro"]().report, deposits=(near,)))[:2])
    assert f"lies {away} mm above the nearest limit (0.2 mm), more than its uncertainty ({unsure} mm)." in said


def test_an_uncertainty_that_was_not_measured_for_the_model_is_called_that() -> None:
    """Nobody knows then which share of true sizes it contains."""
    report = VARIANTS["macro"]().report
    unmeasured = replace(report, model=replace(report.model, uncertainty_measured=False))
    words = "“±” should contain the true size for about 95 % of compact deposits, but that was not measured for this"
    said, said_of_measured = (read_aloud(render(SlideResult(each))) for each in (unmeasured, report))
    assert f"{words} model. It can be too small, above all where a deposit merges with a false neighbour" in said
    assert "not measured" not in said_of_measured
    meant = "“±” should contain the true size for about 95 % of compact deposits; of thin ones it did for 15 of 23"
    assert said_of_measured.count(meant) == 1
    assert "“±”" not in render(VARIANTS["not_he"]())


def test_a_borderline_focus_that_can_t_change_the_class_doesn_t_lead() -> None:
    """Beside a clear macrometastasis, a focus of 0.2 mm is not the first thing to look at."""
    macro = VARIANTS["macro"]().report
    beside = replace(ITC, id=2, diameter_um=Micrometers(199.0))
    first = look_first(replace(macro, deposits=(MACRO, beside)))[0]
    assert first.startswith("Deposit 1, the largest, 2.62 ± 0.04 mm (x ")


def test_flags_read_as_words() -> None:
    """Codes become titles, and one of another version its own words."""
    codes = ("no_tissue", "not_he", "some_older_code")
    assert [flag_title(code) for code in codes] == ["No tissue", "Not H&E", "Some older code"]


def test_paths_outside_the_run_are_taken_out_of_messages() -> None:
    """The file's name stays; its folder, and so perhaps a patient's name, goes."""
    report = VARIANTS["failed"]().report
    assert without_paths("cannot open /archive/Jane Doe 1961/scan-7731.svs", report) == "cannot open scan-7731.svs"
    assert without_paths("in /archive/Jane Doe 1961/Data1.dat", report) == "in the slide's folder/Data1.dat"
    near = replace(report, slide=SlideRef("a", Path("a.svs")), flags=(Flag("x", "y"),))
    assert without_paths("a. b. c", near) == "a. b. c"


@pytest.mark.parametrize(
    ("file", "said", "told"),
    [
        (
            "Ada (1).tif",
            "`vips tiffsave Ada (1).tif[page=2] Ada (1)-tiled.tif`",
            "`vips tiffsave P1.tif[page=2] P1-tiled.tif`",
        ),
        ("Ada.mrxs", "put the folder Ada/ beside Ada.mrxs", "put the folder P1/ beside P1.mrxs"),
        ("Ada.vms", "see Ada.jpg and /archive/Ada/Ada.opt", "see P1.jpg and the slide's folder/P1.opt"),
        ("1.2.840.7", "1.2.840.7 is one of 7", "P1 is one of 7"),
        ("8.tif", "not 8-bit, x is 8.5: save 8.tif as 8-N.tif", "not 8-bit, x is 8.5: save P1.tif as P1-N.tif"),
        ("0", "Deposits: no. 0 (0.26 ± 0.17 mm)", "Deposits: no. 0 (0.26 ± 0.17 mm)"),
        ("2", "Deposit 2 lies at the edge, 2 % of it", "Deposit 2 lies at the edge, 2 % of it"),
        ("0.26", "0.26 mm", "0.26 mm"),
        ("um.tif", "give its um/px; um.tif is no slide", "give its um/px; P1.tif is no slide"),
        ("a", "a plain TIFF", "a plain TIFF"),
        ("image", "whole-slide image", "whole-slide image"),
        ("1945.mrxs", "1945.mrxs: 1/2 of it", "P1.mrxs: 1/2 of it"),
        ("19450312.mrxs", "19450312/Slidedat.ini is missing", "P1/Slidedat.ini is missing"),
        ("Dan.tif", "`vips tiffsave Dan.tif Dan-tiled.tif`", "`vips tiffsave P1.tif P1-tiled.tif`"),
        ("1.svs", "1/2 mm of 1.svs", "1/2 mm of P1.svs"),
        ("H19-7.svs", "`vips tiffsave H19-7.svs H19-7-tiled.tif`", "`vips tiffsave P1.svs P1-tiled.tif`"),
        ("Mueller.mrxs", "copy Mueller.mrxs and Mueller/", "copy P1.mrxs and P1/"),
        ("1.2.840.7", "1.2.840.7 is cut off", "P1 is cut off"),
        ("run.svs", "run.svs stopped; report it with run.log", "P1.svs stopped; report it with run.log"),
        ("run.svs", "see run.logs and run/", "see P1.logs and P1/"),
    ],
)
def test_a_slide_that_a_manifest_renamed_is_told_by_its_id_alone(file: str, said: str, told: str) -> None:
    """In names made of the file's, too, and where no number or word can be meant: a size must not change because a file
    is called as one of its digits. What is read back from a report and put into words again stays as it is."""
    for slide_id in ("P1", "P.Ada.mrxs-1", "x-8.tif", "x.8.tif"):
        slide = SlideRef(slide_id, Path("/archive/Ada", file), renamed=True)
        report = replace(VARIANTS["failed"]().report, slide=slide)
        again = without_paths(said, report)
        assert again == told.replace("P1", slide_id)
        assert without_paths(again, report) == again


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps a folder that a process works in")
def test_paths_are_taken_out_where_the_working_directory_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stored report names its slide alone, and its words still are to be had."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    stored = replace(VARIANTS["failed"]().report, slide=SlideRef("a", Path("Doe/a.svs")))
    assert without_paths("cannot open Doe/a.svs", stored) == "cannot open a.svs"


def test_places_count_from_what_viewers_show() -> None:
    """QuPath and the overview show the scanned part: a place on the canvas would send the reader elsewhere."""
    found = VARIANTS["macro"]().report
    assert (found.info.bounds_um.left, found.info.bounds_um.top) == (500.0, 252.5)
    assert place((1500.0, 1252.5), found) == "1.00 mm from the left, 1.00 mm from the top of the scanned part"
    whole = replace(found, info=replace(found.info, bounds_um=BoundsUm(0.0, 0.0, 14_000.0, 10_100.0)))
    assert place((1500.0, 1252.5), whole).startswith("1.50 mm from the left, 1.25 mm from the top of the slide")
    assert [short_place((1500.0, 1252.5), one) for one in (found, whole)] == ["x 1.00, y 1.00 mm", "x 1.50, y 1.25 mm"]
    for one, shown in ((found, "scanned part"), (whole, "slide image")):
        assert f"x and y count from the top left of the {shown}." in render(SlideResult(one))


@pytest.mark.parametrize(
    "variant",
    ["not_he", "no_tissue", "nothing_examined", "failed", "unmeasurable", "negative", "incomplete_nothing"],
)
def test_only_a_slide_that_was_looked_at_and_judged_is_read_as_a_lymph_node(variant: str) -> None:
    """Of another nothing was examined; and of this one it isn't known, it was read as one."""
    html, seen = render(VARIANTS[variant]()), variant in ("negative", "incomplete_nothing")
    assert ("<li>Read as: lymph node, H&amp;E</li>" in html) is seen
    assert ("<li>Meant for: lymph node, H&amp;E</li>" in html) is not seen
    assert ("Finding in the sections examined" in html) is seen


def test_of_what_was_not_examined_no_number_is_told() -> None:
    """ "Foci 0" and "none found" would read as a finding where 0 % was examined; the reason stays on the page."""
    unseen = VARIANTS["nothing_examined"]()
    facts = {fact.label: fact.value for fact in page.key_facts(unseen.report)}
    assert facts == {
        "Largest deposit": "not known",
        "Deposits": "not known",
        "Tissue examined": "0 %",
    }
    said = sentences.answer(unseen.report)
    assert said == "None of the tissue was examined. This is not a negative result."
    assert look_first(unseen.report)[0].startswith("The tissue that was not examined (100 %, ")
    assert [fact.label for fact in flags(unseen.report)] == ["Out of focus"]
    assert "low magnification, nothing of it examined" in render(unseen)
    row = dict(zip(SUMMARY_COLUMNS, summary_row(unseen.report, file="f"), strict=True))
    assert (row["n_foci"], row["largest_deposit_um"]) == ("", "")


def test_numbers_of_a_slide_examined_in_part_say_so() -> None:
    """Score and foci are of the part examined; of a whole slide nothing is added."""
    part = {fact.label: fact.note for fact in page.key_facts(result((MICRO, ITC), unread=True).report)}
    assert part["Deposits"] == "of the part examined, sizes are not added up"
    whole = {fact.label: fact.note for fact in page.key_facts(result((MICRO, ITC)).report)}
    assert whole["Deposits"] == "sizes are not added up"
    scores = [
        Fact("Slide's score", "0.983", note) in page.provenance_facts(result((MICRO, ITC), unread=unread).report)
        for unread, note in ((True, "0 to 1, of the part examined"), (False, "0 to 1"))
    ]
    assert scores == [True, True]


@pytest.mark.parametrize("reason", ["pen", "edge", "debris", "small"])
def test_what_was_left_out_is_said_in_words(reason: str) -> None:
    """ "Left out: small" says nothing; every reason of the tissue search has words of its own."""
    assert left_out_words(reason) != reason


def test_what_gaps_would_make_of_the_class_is_told_either_way() -> None:
    """Where several foci leave the class as it is, a sentence says so; where they don't, the flag does."""
    same = "Joining foci across gaps of 25, 50 or 75 µm would not change the class."
    several = result([replace(MICRO, id=1), replace(ITC, id=2)]).report
    assert same in sentences.how_sure(several)
    flagged = replace(several, flags=(Flag("joining_gap", "The class depends on which foci count as contiguous."),))
    parts = replace(several, flags=(Flag("may_be_one_deposit", "May be parts of a longer deposit."),))
    for other in (
        flagged,
        parts,
        result([replace(MICRO, id=1)]).report,
        result([MACRO, MICRO]).report,
        result([]).report,
    ):
        assert same not in sentences.how_sure(other)


def test_a_slide_that_the_network_cannot_judge_shows_no_score_of_it() -> None:
    """The reason stands under the headline; no score, place or stain on the page speaks for what means nothing."""
    found = VARIANTS["not_he"]()
    report = found.report
    assert sentences.answer(report) == f"{report.flags[0].message} This is not a negative result."
    assert look_first(report) == ("The whole slide under the microscope: the network's answers on it mean nothing.",)
    assert not [said for said in sentences.how_sure(report) if "score" in said]
    for seen in (report, replace(report, deposits=())):
        assert [fact.value for fact in page.key_facts(seen)] == ["not judged"] * 3
        assert [said for said in sentences.how_sure(seen) if "shown to the network, which can't judge it" in said]
        assert not [said for said in sentences.how_sure(seen) if "examined" in said]
    assert "Tissue examined" not in [fact.label for fact in page.quality_facts(found)]


def test_glass_has_no_number_of_foci() -> None:
    """Where no tissue was found, neither "none found" nor 0 stands on the page."""
    facts = page.key_facts(VARIANTS["no_tissue"]().report)
    assert [fact.value for fact in facts[:2]] == ["not known", "not known"]


def test_a_likely_place_never_contradicts_the_threshold() -> None:
    """A peak may lie above the outline's threshold and be too small for a deposit: it is not said to be below it."""
    (said,) = [line for line in look_first(VARIANTS["negative"]().report) if "0.21" in line]
    assert said.startswith("Place a, the likeliest, not taken for a deposit: score 0.21 (x ")


def test_a_place_is_given_in_the_numbers_of_corrections_only_where_they_differ() -> None:
    """Where the scanned part begins elsewhere than the canvas; else they are the same as those in mm."""
    clean = VARIANTS["negative"]().report
    whole = replace(clean, info=replace(clean.info, bounds_um=BoundsUm(0.0, 0.0, 14_000.0, 10_100.0)))
    assert [["corrections" in line for line in look_first(one)] for one in (clean, whole)] == [[True] * 2, [False] * 2]


def test_a_likely_place_has_the_letter_that_the_overview_marks_it_with() -> None:
    """On a slide without deposits; none where the overview may not be shown. From 0.5 on it may be a small deposit."""
    clean = VARIANTS["negative"]().report
    found = (Detection(0.82, 4000.0, 6060.0), Detection(0.3, 7000.0, 5050.0))
    strong = replace(clean, detections=found)
    start = "Place a, the likeliest, not taken for a deposit, though it may be a small one: score 0.82 (x "
    first, second = look_first(strong)
    assert first.startswith(start)
    assert second.startswith("Place b: score 0.30 (x ")
    flags = (Flag("levels_disagree", "Levels disagree."),)
    hidden = replace(strong, status=Status.INCOMPLETE, metastasis=None, flags=flags)
    assert [line.partition(",")[0] for line in look_first(hidden) if "0.82" in line] == ["Likeliest place"]


def test_why_no_deposit_is_where_the_map_is_high_is_said() -> None:
    """Beside the heat map, of a model that smooths it; and of the likeliest place, what it lacks."""
    found = VARIANTS["macro"]()
    assert "Raw network output." in render(found)
    model = replace(found.report.model, threshold=0.7, smoothing_um=40.0, seed_threshold=0.875)
    known = replace(found, report=replace(found.report, model=model))
    assert "Raw network output; deposits come from a smoothed map." in render(known)
    faint = replace(VARIANTS["negative"]().report, model=model)
    assert "score 0.21; a deposit needs 0.875 (x " in look_first(faint)[-2]
    assert "needs" not in look_first(faint)[-1]


def test_strong_places_outside_all_deposits_are_named_beside_deposits_too() -> None:
    """At most three, the likeliest first; not what lies in a deposit or beside it, nor what is at most 0.5."""
    found = replace(VARIANTS["macro"]().report, detections=())
    for faint in ((), (Detection(0.5, 4000.0, 9000.0),)):
        said = look_first(replace(found, detections=faint))
        assert not [line for line in said if line.startswith("Likeliest")]
    x, y = MICRO.centre_um
    inside, beside = Detection(0.9, x + 20.0, y), Detection(0.9, x + 312.0, y + 180.0)
    scores = (0.5, 0.62, 0.874, 0.51, 0.7)
    away = tuple(Detection(score, 4000.0 + 900.0 * number, 9000.0) for number, score in enumerate(scores))
    said = look_first(replace(found, detections=(inside, beside, *away)))
    likely = [line for line in said if "ikeliest" in line]
    first = "Likeliest place, not taken for a deposit, though it may be a small one"
    assert [line.partition(": score ")[0] for line in likely] == [first, "Next likeliest", "Next likeliest"]
    strong = [line.partition(": score ")[2] for line in likely]
    assert strong == [
        f"{words}, y 8.75 mm; in corrections {x_um}, 9000 µm)."
        for words, x_um in (("0.87 (x 5.30", 5800), ("0.70 (x 7.10", 7600), ("0.62 (x 4.40", 4900))
    ]
    in_the_hole = Detection(0.6, *MACRO.centre_um)
    assert "score 0.60" in look_first(replace(found, detections=(in_the_hole,)))[-1]


@pytest.mark.parametrize(
    ("largest", "second", "said"),
    [(60, 400, "but deposit 2 has more than 200"), (400, None, "but with more than 200"), (60, 60, None)],
)
def test_whose_cells_decide_is_said(largest: int, second: int | None, said: str | None) -> None:
    """The class follows from the cells of the one that holds them, not of the largest by size."""
    deposits = []
    for number, cells in enumerate((largest, second), start=1):
        if cells is not None:
            size = Micrometers(200.0 - 10 * number)
            kept = replace(ITC, id=number, diameter_um=size, cells=CellCount(cells, 20))
            deposits.append(replace(kept, metastasis=classify(size, cells=CellCount(cells, 20))))
    worst = max(deposit.metastasis for deposit in deposits)
    report = replace(result(deposits).report, deposits=tuple(deposits), metastasis=worst)
    answer = sentences.answer(report)
    assert (said is None) == ("200 tumour cells" not in answer)
    assert said is None or said in answer


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0123, "0.012"), (12.34, "12"), (99.4, "99"), (99.5, "100"), (100, "100"), (1234, "1234")],
)
def test_an_area_or_a_share_is_never_a_power_of_ten(value: float, text: str) -> None:
    """120 mm2 isn't 1.2e+02."""
    assert two_digits(value) == text


def test_a_count_is_shown_with_its_uncertainty_where_that_is_told() -> None:
    assert [cell_words(replace(ITC, cells=cells)) for cells in (CellCount(62, 25), CellCount(62), CellCount(0, 0))] == [
        "62 ± 25",
        "62",
        "0 ± 0",
    ]
