"""A reader's word on a whole slide gives it its class; the software's result stays beside it and is told."""

import csv
import html
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodescan.commands.stage import print_staging
from nodescan.domain.classification import CellCount, Metastasis
from nodescan.domain.flags import Flag
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.staging import AJCC8
from nodescan.domain.units import Micrometers
from nodescan.domain.verdict import class_found, deposit_flags
from nodescan.errors import UsageError
from nodescan.patients.earlier_stages import earlier_corrections, set_aside_before
from nodescan.patients.patient_files import staging_as_csv, write_staging
from nodescan.patients.run_page import tell_patients
from nodescan.patients.slide_rows import read_slide_rows
from nodescan.patients.staging import PatientResult, Staging, stage_reports
from nodescan.patients.synoptic import NOT_MEASURED, patient_size_words
from nodescan.reports.report_reader import read_reports
from nodescan.reports.summary_page import write_summary_page
from tests.patients.made_reports import report, review_of, scanned, staged_by, write_csv, write_run
from tests.patients.test_review_age import reviewed_run
from tests.reports.factory import RUN, read_aloud
from tests.schemas import PATIENTS, schema_of

HEADER = "slide_id,patient_id,node_id"
SIZE = "Size of Largest Nodal Metastatic Deposit"


def failed(slide_id: str = "m") -> SlideReport:
    """Never opened: its report tells no more than why."""
    flag = Flag("unreadable", "the file is truncated")
    return replace(report(slide_id, status=Status.FAILED, flags=(flag,)), model=None)


def staged(folder: Path, slide: SlideReport, *review: str, nodes: int = 1) -> Staging:
    """A patient with this slide alone."""
    run = write_run(folder / "run", [slide])
    return staged_by(run, f"{HEADER},nodes_on_slide", f"m,A,1,{nodes}", review=review)


def codes(result: PatientResult) -> list[str]:
    return [note.code for note in result.all_notes]


def patient_in(staging: Staging, folder: Path) -> tuple[dict[str, Any], str]:
    """The patient of patients.json, which holds to its schema, and the text of the page."""
    (page,) = write_staging(staging, folder)
    content = json.loads((folder / "patients.json").read_text())
    assert [error.message for error in schema_of(PATIENTS).iter_errors(content)] == []
    return content["patients"][0], html.unescape(read_aloud(page.read_text()))


@pytest.mark.parametrize(
    ("word", "stage"), [("negative", "pN0"), ("itc", "pN0(i+)"), ("micro", "pN1mi"), ("macro", "pN1a")]
)
@pytest.mark.parametrize("status", [Status.FAILED, Status.UNMEASURABLE, Status.INCOMPLETE, Status.COMPLETE])
def test_a_slide_that_a_reader_read_has_the_readers_class(
    tmp_path: Path, status: Status, word: str, stage: str
) -> None:
    """Whatever became of its scan: the node is fully read, and its class no lower bound."""
    slide = report("m", status=status, flags=(Flag("unreadable", "no"),) if status is not Status.COMPLETE else ())
    (patient,) = staged(tmp_path, slide, f"m,,,,read,{word},Dr A").patients
    staged_ = patient.staged
    assert (staged_.words, staged_.determined, staged_.specimen.n_examined) == (stage, True, 1)
    assert "node_unread" not in codes(patient)


def test_both_results_are_told(tmp_path: Path) -> None:
    """The reader's class and name, and the software's failure, in patients.json and on the page."""
    found = staged(tmp_path, failed(), "m,,,,read,negative,Dr A,at 20x")
    patient, text = patient_in(found, tmp_path / "out")
    ((slide,),) = [node["slides"] for node in patient["nodes"]]
    assert (patient["stage"], patient["status"]) == ("pN0", "complete")
    assert patient["software_stage"] == "cannot be determined (no readable slide)"
    assert (slide["status"], slide["metastasis"], slide["read_by"]) == ("failed", "negative", "Dr A")
    (row,) = patient["corrections"]
    assert (row["deposit_id"], row["before"], row["after"]) == (None, "no class, failed", "negative")
    said = "Dr A read the whole slide as negative. The software's own result: no class, failed (the file is truncated)."
    assert f"Node 1, slide m: {said}" in text
    assert "read whole by Dr A" in text
    assert "whole slide" in text
    assert "Reviewed. The software's own result: cannot be determined (no readable slide)." in text


@pytest.mark.parametrize("word", ["itc", "micro", "macro"])
def test_a_class_without_a_size_is_told_to_be_the_readers(tmp_path: Path, word: str) -> None:
    """No sentence speaks of a size that nobody measured."""
    patient, text = patient_in(staged(tmp_path, failed(), f"m,,,,read,{word},Dr A"), tmp_path / "out")
    elements = {one["element"]: one["value"] for one in patient["synoptic"]}
    assert (patient["largest_deposit_um"], elements[SIZE]) == (None, NOT_MEASURED)
    assert "by the reader's class" in text
    assert "larger than 2 mm, in the sections" not in text
    assert "deposit larger than 2 mm in the sections" not in text


def test_the_schema_still_refuses_a_negative_slide_that_nobody_read_whole(tmp_path: Path) -> None:
    """The reader's name is what makes a failed slide negative."""
    write_staging(staged(tmp_path, failed(), "m,,,,read,negative,Dr A"), tmp_path / "out")
    content = json.loads((tmp_path / "out" / "patients.json").read_text())
    content["patients"][0]["nodes"][0]["slides"][0]["read_by"] = None
    assert not schema_of(PATIENTS).is_valid(content)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ("m,,,,read,negative,R", "m,,9,9,add,150,R"),
            "line 2: slide 'm' is read as negative, but by line 3 its deposit",
        ),
        (
            ("m,1,,,resize,500,R", "m,,,,read,itc,R"),
            "line 3: slide 'm' is read as itc, but by line 2 its deposit 1 is mic",
        ),
        (("m,1,,,accept,,R", "m,,,,read,itc,R"), "deposit 1 is micro (0.61 mm); correct one of the two"),
        (("m,2,,,class,macro,R", "m,,,,read,micro,R"), "its deposit 2 is macro (0.15 mm)"),
        (
            ("m,,9,9,add,150,R", "m,,9,9,class,micro,R", "m,,,,read,itc,R"),
            "line 4: slide 'm' is read as itc, but by line 3",
        ),
        (("m,,,,read,itc,R", "m,,,,read,itc,S"), "line 3: slide 'm' is read in line 2 already"),
        (("m,1,,,read,itc,R",), "read is of the whole slide; leave deposit_id, centre_x_um and centre_y_um empty"),
        (("m,,9,9,read,itc,R",), "read is of the whole slide; leave"),
        (("m,,,,read,,R",), "read needs negative, itc, micro or macro as value"),
        (("m,,,,read,1500,R",), "value is '1500', which is not known; write negative, itc, micro, macro"),
        (("z,,,,read,negative,R",), "slide 'z' has no report here"),
    ],
)
def test_readings_that_say_no_one_thing_are_refused(tmp_path: Path, rows: tuple[str, ...], message: str) -> None:
    """A deposit of a higher class contradicts the word on the whole slide; both lines are named."""
    with pytest.raises(UsageError, match=r"review\.csv, line") as caught:
        staged(tmp_path, report("m", (610.0, 150.0)), *rows)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "stage"),
    [
        (("m,,,,read,negative,R", "m,1,,,reject,,R", "m,2,,,reject,,R"), "pN0"),
        (("m,,,,read,itc,R", "m,1,,,resize,180,R"), "pN0(i+)"),
        (("m,,,,read,macro,R", "m,,9,9,add,2500,R"), "pN1a"),
        (("m,,,,read,micro,R", "m,1,,,resize,620,R"), "pN1mi"),
    ],
)
def test_deposits_that_fit_the_reading_are_no_contradiction(tmp_path: Path, rows: tuple[str, ...], stage: str) -> None:
    """They give the largest size."""
    (patient,) = staged(tmp_path, report("m", (610.0, 150.0), status=Status.INCOMPLETE), *rows).patients
    assert (patient.staged.words, patient.staged.size_at_least) == (stage, False)
    assert "read_against_software" not in codes(patient)


@pytest.mark.parametrize(
    ("status", "sizes_um", "word", "size"),
    [
        (Status.COMPLETE, (610.0,), "micro", "0.610 ± 0.004 mm"),
        (Status.INCOMPLETE, (610.0,), "micro", "at least 0.610 ± 0.004 mm"),
        (Status.INCOMPLETE, (150.0,), "micro", ""),
        (Status.COMPLETE, (2600.0,), "micro", ""),
        (Status.COMPLETE, (2050.0, 300.0), "micro", ""),
        (Status.INCOMPLETE, (210.0, 150.0), "itc", ""),
    ],
)
def test_a_size_of_the_software_counts_where_it_has_the_readers_class(
    tmp_path: Path, status: Status, sizes_um: tuple[float, ...], word: str, size: str
) -> None:
    """On a slide that it saw in part there may be a larger one of that class, as may be one of a higher class that
    nobody rejected: then the size is not known."""
    (patient,) = staged(tmp_path, report("m", sizes_um, status=status), f"m,,,,read,{word},R").patients
    assert patient_size_words(patient.staged) == size


@pytest.mark.parametrize("row", ["m,1,,,accept,,R", "m,1,,,class,micro,R"])
def test_a_reader_who_confirms_a_deposit_does_not_say_that_its_size_is_whole(tmp_path: Path, row: str) -> None:
    """The software saw a part of the slide: tumour beside it may be of the same deposit."""
    slide = report("m", (610.0,), status=Status.INCOMPLETE)
    (patient,) = staged(tmp_path, slide, "m,,,,read,micro,R", row).patients
    assert (patient.staged.words, patient_size_words(patient.staged)) == ("pN1mi", "at least 0.610 ± 0.004 mm")


@pytest.mark.parametrize(
    ("status", "sizes_um", "said"),
    [
        (Status.INCOMPLETE, (610.0,), ("610.0", "true")),
        (Status.COMPLETE, (610.0,), ("610.0", "false")),
        (Status.INCOMPLETE, (), ("", "")),
    ],
)
def test_tables_and_json_say_that_a_size_is_a_lower_bound(
    tmp_path: Path, status: Status, sizes_um: tuple[float, ...], said: tuple[str, str]
) -> None:
    """As the page does: of the patient, and of the node."""
    found = staged(tmp_path, report("m", sizes_um, status=status), "m,,,,read,micro,R")
    (row,) = csv.DictReader(io.StringIO(staging_as_csv(found)))
    assert (row["largest_deposit_um"], row["size_at_least"]) == said
    patient, _ = patient_in(found, tmp_path / "out")
    assert [patient["size_at_least"], patient["nodes"][0]["size_at_least"]] == [said[1] == "true"] * 2


@pytest.mark.parametrize(
    ("word", "other_um", "size"),
    [
        ("itc", 3000.0, "3.000 ± 0.004 mm"),
        ("micro", 3000.0, "3.000 ± 0.004 mm"),
        ("micro", 900.0, "at least 0.900 ± 0.004 mm"),
    ],
)
def test_a_slide_that_was_read_holds_no_deposit_beyond_the_readers_class(
    tmp_path: Path, word: str, other_um: float, size: str
) -> None:
    """So another node's larger size is exact, although the software saw only a part of the slide."""
    part = report("m", (150.0,) if word == "itc" else (300.0,), status=Status.INCOMPLETE)
    run = write_run(tmp_path / "run", [part, report("k", (other_um,))])
    (patient,) = staged_by(run, HEADER, "m,A,1", "k,A,2", review=[f"m,,,,read,{word},R"]).patients
    assert patient_size_words(patient.staged) == size


@pytest.mark.parametrize(
    ("word", "size", "asked"),
    [
        ("negative", "0.900 ± 0.004 mm", False),
        ("itc", "0.900 ± 0.004 mm", False),
        ("micro", "at least 0.900 ± 0.004 mm", True),
        ("macro", NOT_MEASURED, True),
    ],
)
def test_a_size_that_a_reader_did_not_state_is_asked_for(tmp_path: Path, word: str, size: str, asked: bool) -> None:
    """Beside 0.9 mm in another node the slide may hold a larger deposit; then 0.9 mm is a lower bound."""
    run = write_run(tmp_path / "run", [failed(), report("k", (900.0,))])
    found = staged_by(run, HEADER, "m,A,1", "k,A,2", review=[f"m,,,,read,{word},Dr A"])
    patient, text = patient_in(found, tmp_path / "out")
    elements = {one["element"]: (one["value"], one["note"]) for one in patient["synoptic"]}
    assert elements[SIZE][0] == size
    if word != "macro":
        assert (patient["largest_deposit_um"], patient["size_at_least"]) == (900.0, asked)
    why = f"slide m was read as {word} without a size"
    assert (why in elements[SIZE][1]) is asked
    shown = f"{size}<small>{why}; never added up" if word == "micro" else f"not measured<small>{why}"
    assert (shown in text) is asked
    assert (f"Dr A read it as {word} without a size. Measure its largest deposit" in text) is asked
    measured = [f"m,,,,read,{word},Dr A", "m,,1000,1000,add,1500,Dr A"]
    if word == "micro":
        found = staged_by(run, HEADER, "m,A,1", "k,A,2", review=measured)
        assert patient_size_words(found.patients[0].staged) == "1.50 mm"
        assert "without a size" not in patient_in(found, tmp_path / "again")[1]


def test_a_deposit_that_is_cut_off_stays_a_lower_bound_of_the_size_alone(tmp_path: Path) -> None:
    """The reader read the glass beyond the scan, and gave the class."""
    slide = report("m", (1500.0,))
    slide = replace(slide, deposits=(replace(slide.deposits[0], cut_off=True),), at_least=True)
    (patient,) = staged(tmp_path, slide, "m,,,,read,micro,R").patients
    assert (patient.staged.words, patient_size_words(patient.staged)) == ("pN1mi", "at least 1.500 ± 0.004 mm")


@pytest.mark.parametrize(("word", "told"), [("negative", True), ("itc", True), ("micro", False), ("macro", False)])
def test_a_higher_class_of_the_software_is_told_until_it_is_rejected(tmp_path: Path, word: str, told: bool) -> None:
    """Neither does it count, nor is it forgotten."""
    slide = report("m", (610.0,))
    (patient,) = staged(tmp_path / "1", slide, f"m,,,,read,{word},Dr A").patients
    said = [note.message for note in patient.all_notes if note.code == "read_against_software"]
    assert bool(said) == told
    if told:
        assert (
            f"Dr A read the whole slide as {word}, but the software found micro: deposit 1 (0.610 ± 0.004 mm)."
            in said[0]
        )
    (patient,) = staged(tmp_path / "2", slide, f"m,,,,read,{word},Dr A", "m,1,,,reject,,Dr A").patients
    assert "read_against_software" not in codes(patient)


@pytest.mark.parametrize(("nodes", "told"), [(1, False), (4, True)])
def test_a_higher_class_of_the_software_is_told_beside_a_macrometastasis_of_a_shared_slide(
    tmp_path: Path, nodes: int, told: bool
) -> None:
    """It may be another node's; of a single node a macrometastasis says all."""
    run = write_run(tmp_path / "run", [report("m", (900.0,)), report("n", (2600.0,))])
    rows = [f"{name},A,1,{nodes}" for name in ("m", "n")]
    (patient,) = staged_by(run, f"{HEADER},nodes_on_slide", *rows, review=["m,,,,read,negative,Dr A"]).patients
    assert ("read_against_software" in codes(patient)) == told


def test_a_mark_on_a_slide_that_the_network_cannot_judge_contradicts_nobody(tmp_path: Path) -> None:
    """It is no finding."""
    slide = report("m", (610.0,), status=Status.INCOMPLETE, flags=(Flag("not_he", "Brown."),))
    (patient,) = staged(tmp_path, replace(slide, metastasis=None, at_least=False), "m,,,,read,negative,R").patients
    assert (patient.staged.words, "read_against_software" in codes(patient)) == ("pN0", False)


@pytest.mark.parametrize("code", ["no_tissue", "not_he", "constant_output"])
def test_a_reading_counts_on_a_slide_that_the_software_could_not_judge(tmp_path: Path, code: str) -> None:
    """The reader saw tissue there: the node is examined, and has no tumour."""
    slide = report("m", status=Status.INCOMPLETE, flags=(Flag(code, "Why."),))
    slide = replace(slide, examined_fraction=0.0 if code == "no_tissue" else 1.0)
    (patient,) = staged(tmp_path, slide, "m,,,,read,negative,Dr A").patients
    assert (patient.staged.words, patient.staged.specimen.n_examined) == ("pN0", 1)


@pytest.mark.parametrize("rows", [(), ("m,,,,read,micro,R",)])
def test_the_reading_settles_the_doubts_of_the_software(tmp_path: Path, rows: tuple[str, ...]) -> None:
    """A borderline size and an edge of the scan leave the reader's class as it is."""
    slide = report("m", (203.0,))
    edge = Flag("tissue_cut_off", "Tissue runs to the edge.")
    (patient,) = staged(tmp_path, replace(slide, flags=(*deposit_flags(slide.deposits), edge)), *rows).patients
    assert (patient.staged.borderline, {"borderline", "tissue_cut_off"} <= {*codes(patient)}) == (not rows, not rows)


@pytest.mark.parametrize(
    ("size_um", "word", "code"), [(900.0, "itc", "class_against_size"), (150.0, "micro", "micro_by_reader")]
)
def test_a_class_against_a_size_stays_told_of_a_slide_that_was_read(
    tmp_path: Path, size_um: float, word: str, code: str
) -> None:
    """The reader gives deposit and slide one class, and the deposit's size another."""
    rows = (f"m,1,,,class,{word},Dr A", f"m,,,,read,{word},Dr A")
    (patient,) = staged(tmp_path, report("m", (size_um,)), *rows).patients
    assert code in codes(patient)
    assert patient.staged.class_by_reader


def test_a_doubtful_pixel_size_stays_told_of_a_size_that_counts(tmp_path: Path) -> None:
    """The reader gave the class, and not the size."""
    slide = report("m", (610.0,), flags=(Flag("nuclei_out_of_scale", "Nuclei look too small."),))
    for number, (word, told) in enumerate((("micro", True), ("macro", False))):
        (patient,) = staged(tmp_path / str(number), slide, f"m,,,,read,{word},R").patients
        assert ("nuclei_out_of_scale" in codes(patient)) == told


def test_of_several_nodes_on_a_slide_one_has_the_readers_class(tmp_path: Path) -> None:
    """In how many tumour lies is not known, unless the software found each focus on the whole slide."""
    (patient,) = staged(tmp_path / "1", failed(), "m,,,,read,micro,R", nodes=3).patients
    assert (patient.staged.words, patient.staged.counts.positive.words) == ("pN1mi", "1 to 3")
    (patient,) = staged(tmp_path / "2", report("m", (610.0,)), "m,,,,read,micro,R", nodes=3).patients
    assert patient.staged.counts.positive.words == "1"


def test_one_slide_that_was_read_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    """Of two that failed only one is read, and the stage stays open."""
    run = write_run(tmp_path / "run", [failed("m"), failed("n")])
    (patient,) = staged_by(run, HEADER, "m,A,1", "n,A,2", review=["m,,,,read,negative,R"]).patients
    assert patient.staged.words == "cannot be determined (no tumour found, but 1 of 2 nodes not fully read)"


def test_a_reading_holds_for_a_later_scan_and_what_that_finds_is_told(tmp_path: Path) -> None:
    """It is of the glass: neither is it out of date, nor does it hide a macrometastasis that the reader didn't see."""
    manifest = read_slide_rows(write_csv(tmp_path / "m.csv", HEADER, "a,A,1"))
    for sizes_um in ((), (150.0,), (2600.0,)):
        run = reviewed_run(tmp_path / "run", "10", *sizes_um)
        rows = review_of(tmp_path, "a,,,,read,itc,Dr A,", day="2026-06-01")
        found = stage_reports(read_reports(run), manifest, AJCC8, corrections=rows, earlier=earlier_corrections(run))
        (patient,) = found.patients
        assert (patient.staged.words, "review_before_scan" in codes(patient)) == ("pN0(i+)", False)
        assert ("read_against_software" in codes(patient)) == (sizes_um == (2600.0,))
        assert set_aside_before(found, run) == ""
        write_staging(found, run)
    without = stage_reports(read_reports(run), manifest, AJCC8)
    assert set_aside_before(without, run).startswith("the reviewed stages were moved to patients-before-1")


def test_the_row_of_summary_html_says_what_was_read_and_names_nobody(tmp_path: Path) -> None:
    """The row itself stays the software's."""
    run = write_run(tmp_path / "run", [failed()])
    write_summary_page([failed()], run, asked=1, run=RUN)
    write_staging(staged_by(run, HEADER, "m,A,1", review=["m,,,,read,negative,Dr A"]), run)
    tell_patients(run)
    text = read_aloud((run / "summary.html").read_text())
    assert "read whole by a reader as negative: see " in text
    assert "Dr A" not in text


@pytest.mark.parametrize("nodes", [1, 3])
@pytest.mark.parametrize(("rows", "size"), [((), "0.100 ± 0.004 mm"), (("m,1,,,resize,180,R",), "0.18 mm")])
def test_dispersed_foci_have_their_sizes_where_a_reader_read_itc(
    tmp_path: Path, rows: tuple[str, ...], size: str, nodes: int
) -> None:
    """By their cells together they would be a micrometastasis; each by itself has the reader's class."""
    slide = report("m", [100.0] * 12)
    deposits = tuple(replace(one, cells=CellCount(25, 1)) for one in slide.deposits)
    slide = replace(slide, deposits=deposits, metastasis=class_found(deposits))
    assert slide.metastasis is Metastasis.MICRO
    (patient,) = staged(tmp_path, slide, "m,,,,read,itc,R", *rows, nodes=nodes).patients
    assert (patient.staged.words, patient_size_words(patient.staged)) == ("pN0(i+)", size)
    assert "read_against_software" in codes(patient)


def unsure(slide: SlideReport, uncertainty_um: float) -> SlideReport:
    """With this "±" of every size."""
    deposits = tuple(replace(one, diameter_uncertainty_um=Micrometers(uncertainty_um)) for one in slide.deposits)
    return replace(slide, deposits=deposits, flags=deposit_flags(deposits))


def beside_positive_nodes(folder: Path, slide: SlideReport, *review: str, others_um: Sequence[float]) -> PatientResult:
    """A patient whose first two nodes share this slide, with a node more for each of the others."""
    others = [report(f"n{number}", (um,) if um else ()) for number, um in enumerate(others_um)]
    models = [replace(one, model=slide.model) for one in others]
    rows = ["m,A,1,2", *(f"{one.slide.slide_id},A,{number},1" for number, one in enumerate(models, 2))]
    run = write_run(folder / "run", [slide, *models])
    return staged_by(run, f"{HEADER},nodes_on_slide", *rows, review=review).patients[0]


@pytest.mark.parametrize("rows", [(), ("m,,,,read,macro,Dr A",)])
def test_a_borderline_size_may_be_that_of_another_node_on_a_slide_that_was_read(
    tmp_path: Path, rows: tuple[str, ...]
) -> None:
    """The reader's macrometastasis is of one node; the other is positive if the smaller deposit passes 0.2 mm."""
    slide = unsure(report("m", (3000.0, 190.0)), 30.0)
    patient = beside_positive_nodes(tmp_path, slide, *rows, others_um=(2600.0, 900.0))
    assert patient.staged.words == "at least pN1a"
    assert "size_near_limit" in codes(patient)


def cut_off(sizes_um: Sequence[float], *cut_um: float) -> SlideReport:
    """With the deposits of these sizes running off the scan."""
    made = report("m", sizes_um)
    return replace(made, deposits=tuple(replace(one, cut_off=one.diameter_um in cut_um) for one in made.deposits))


@pytest.mark.parametrize(("word", "largest_um", "stage"), [("macro", 3000.0, "pN1a"), ("micro", 900.0, "pN1mi")])
def test_a_smaller_deposit_that_is_cut_off_leaves_the_readers_class_of_one_node(
    tmp_path: Path, word: str, largest_um: float, stage: str
) -> None:
    """The reader saw the glass beyond the scan."""
    (patient,) = staged(tmp_path, cut_off((largest_um, 150.0), 150.0), f"m,,,,read,{word},Dr A").patients
    assert (patient.staged.words, patient.staged.determined) == (stage, True)


def test_a_smaller_deposit_that_is_cut_off_may_be_larger_in_another_node_on_a_slide_that_was_read(
    tmp_path: Path,
) -> None:
    """Up to the reader's class: so the number of positive nodes is open, and the class of the slide isn't."""
    slide = cut_off((3000.0, 150.0), 150.0)
    staged_ = beside_positive_nodes(tmp_path, slide, "m,,,,read,macro,R", others_um=(2600.0, 900.0)).staged
    assert (staged_.words, staged_.counts.positive.words) == ("at least pN1a", "3 to 4")


@pytest.mark.parametrize(
    ("slide", "rows", "positive"),
    [
        (cut_off((900.0, 150.0)), (), "1"),
        (cut_off((900.0, 150.0), 900.0), (), "1"),
        (cut_off((900.0, 150.0), 150.0), (), "1 to 3"),
        (cut_off((150.0,), 150.0), ("m,1,,,class,micro,Dr A",), "1"),
    ],
)
def test_one_micrometastasis_is_in_one_node_unless_a_smaller_deposit_may_grow_into_another(
    tmp_path: Path, slide: SlideReport, rows: tuple[str, ...], positive: str
) -> None:
    """Of three nodes on a slide; by size, or by the class that the reader gave the deposit."""
    (patient,) = staged(tmp_path, slide, *rows, "m,,,,read,micro,Dr A", nodes=3).patients
    assert patient.staged.counts.positive.words == positive


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("i,,,,read,macro,Dr A", "by line 3 of the manifest its stain is IHC, and only H&E is staged: leave this "),
        ("i,1,,,accept,,Dr A", "by line 3 of the manifest its stain is IHC"),
        ("y,,,,read,macro,Dr A", "it is in the manifest, but was not run: run it first"),
    ],
)
def test_a_word_on_a_listed_slide_that_has_no_part_in_the_stage_is_refused(tmp_path: Path, row: str, why: str) -> None:
    """The reader's macrometastasis would be lost, and the stage be called determined without it."""
    run = write_run(tmp_path / "run", [report("m"), report("i", (900.0,))])
    rows = ("m,A,1,", "i,A,1,IHC", "y,A,2,")
    with pytest.raises(UsageError, match=r"review\.csv, line 2: slide '[iy]' has no part in the stage: ") as caught:
        staged_by(run, f"{HEADER},stain", *rows, review=[row])
    assert why in str(caught.value)


def test_nothing_claims_a_reading_of_a_copy_that_counts_for_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the patient, nor the page, nor summary.html; why it had no effect is told there and on the terminal."""
    copies = [replace(report(name, (900.0,)), provenance=scanned("ff" * 32)) for name in ("x", "y")]
    run = write_run(tmp_path / "run", copies)
    write_summary_page(copies, run, asked=2, run=RUN)
    found = staged_by(run, HEADER, "x,A,1", "y,A,2", review=["x,,,,read,macro,Dr A"])
    patient, text = patient_in(found, run)
    tell_patients(run)
    assert (patient["corrections"], patient["software_stage"]) == ([], None)
    assert [one.slide_id for one in found.unused] == ["x"]
    assert "put the right one there and run it; until then its corrections have no effect" in text
    assert "read whole" not in text
    assert "read whole" not in (run / "summary.html").read_text()
    print_staging(found)
    assert "1 correction without effect, because copies of one file count for no patient: x" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("read", "word", "positive", "stage"),
    [
        (failed("m"), "negative", "1", "pN1a"),
        (failed("m"), "itc", "1", "pN1a"),
        (failed("m"), "micro", "1 to 3", "at least pN1a"),
        (report("m", (900.0,)), "negative", "1", "pN1a"),
        (report("m", (900.0,), status=Status.INCOMPLETE), "itc", "1", "pN1a"),
    ],
)
def test_no_more_nodes_are_positive_than_the_readers_class_of_a_shared_slide_allows(
    tmp_path: Path, read: SlideReport, word: str, positive: str, stage: str
) -> None:
    """Three nodes have two slides: one with a macrometastasis, and one that a reader read."""
    others = [report("n", (2600.0,)), report("x", (2600.0,)), report("y", (2600.0,))]
    run = write_run(tmp_path / "run", [read, *others])
    rows = ("m,A,1,3", "n,A,1,3", "x,A,2,1", "y,A,3,1")
    (patient,) = staged_by(run, f"{HEADER},nodes_on_slide", *rows, review=[f"m,,,,read,{word},R"]).patients
    assert patient.staged.specimen.nodes[0].counts.positive.words == positive
    assert patient.staged.words == stage
