"""What is settled, by a reader or by a deposit that is certain, is asked for no more; what is open still is."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.flags import Flag
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.units import Micrometers
from nodescan.patients.patient_files import write_staging
from nodescan.patients.sentences import answer
from nodescan.patients.staging import PatientResult
from tests.patients.made_reports import report, staged_by, write_run
from tests.reports.factory import read_aloud

HEAD = "slide_id,patient_id,node_id,nodes_on_slide"
SCALE, JOINED, WHOLE, CUT = "nuclei_out_of_scale", "joining_gap", "may_be_one_deposit", "deposit_cut_off"


def noted(folder: Path, review: Sequence[str], *, nodes: int = 1) -> set[str]:
    """Codes of a patient's notes: slide a has pieces of 1180 um, which is cut off, and 1000 um that may be one."""
    made = report("a", (1180.0, 1000.0), flags=tuple(Flag(code, "Check it.") for code in (SCALE, JOINED, WHOLE, CUT)))
    first, second = made.deposits
    cut = replace(made, at_least=True, deposits=(replace(first, cut_off=True), second))
    run = write_run(folder / "run", [cut])
    (patient,) = staged_by(run, HEAD, f"a,A,1,{nodes}", review=review).patients
    return {note.code for note in patient.all_notes} - {"nodes_share_slides", "sentinel_modifier"}


@pytest.mark.parametrize(
    ("review", "left"),
    [
        (("a,1,,,accept,,R", "a,2,,,accept,,R"), {SCALE, JOINED, WHOLE, CUT}),
        (("a,2,,,reject,,R",), {SCALE, JOINED, WHOLE, CUT}),
        (("a,1,,,reject,,R",), {SCALE, JOINED, WHOLE}),
        (("a,1,,,reject,,R", "a,2,,,reject,,R", "a,,9000,9000,add,900,R"), {SCALE}),
        (("a,1,,,resize,1250,R",), {SCALE, JOINED, WHOLE}),
        (("a,1,,,resize,1250,R", "a,2,,,accept,,R"), {SCALE, JOINED, WHOLE}),
        (("a,1,,,resize,1250,R", "a,2,,,reject,,R"), {SCALE}),
        (("a,1,,,resize,1250,R", "a,2,,,resize,900,R"), {SCALE}),
        (("a,2,,,resize,900,R",), {SCALE, JOINED, WHOLE, CUT}),
        (("a,1,,,resize,2310,R",), {SCALE}),
        (("a,2,,,resize,2310,R",), {SCALE}),
        (("a,1,,,class,macro,R",), {SCALE, "class_against_size"}),
        (("a,1,,,class,micro,R", "a,2,,,class,micro,R"), {SCALE, JOINED, WHOLE, CUT}),
        (("a,,9000,9000,add,900,R",), {SCALE, JOINED, WHOLE, CUT}),
        (("a,,9000,9000,add,2600,R",), {SCALE}),
    ],
)
def test_each_action_settles_what_it_says_and_no_more(tmp_path: Path, review: Sequence[str], left: set[str]) -> None:
    """A size stated says how far a deposit goes, not how large a pixel is; an accepted one may still be larger."""
    assert noted(tmp_path, review) == left


@pytest.mark.parametrize(
    ("review", "left"),
    [
        (("a,1,,,resize,2310,R",), {SCALE, JOINED, WHOLE}),
        (("a,2,,,resize,2310,R",), {SCALE, JOINED, WHOLE, CUT}),
        (("a,,9000,9000,add,2600,R",), {SCALE, JOINED, WHOLE, CUT}),
        (("a,1,,,resize,2310,R", "a,2,,,reject,,R"), {SCALE}),
    ],
)
def test_a_macrometastasis_settles_nothing_of_another_node_on_the_slide(
    tmp_path: Path, review: Sequence[str], left: set[str]
) -> None:
    """Of two nodes on a slide the other one may be positive by what is still open."""
    assert noted(tmp_path, review, nodes=2) == left


@pytest.mark.parametrize("sizes_um", [(), (1950.0,)])
def test_specks_that_count_once_joined_stay_open(tmp_path: Path, sizes_um: Sequence[float]) -> None:
    """A deposit accepted, or added elsewhere, says nothing of specks beside it; one that was measured does."""
    run = write_run(tmp_path / "run", [report("a", sizes_um, flags=(Flag(JOINED, "50 um: 2.02 mm, macro."),))])
    reviews = {"a,,9000,9000,add,120,R": True}
    if sizes_um:
        reviews |= {"a,1,,,accept,,R": True, "a,1,,,resize,1900,R": False, "a,1,,,reject,,R": False}
    for row, open_still in reviews.items():
        (patient,) = staged_by(run, HEAD, "a,A,1,1", review=[row]).patients
        assert (JOINED in [note.code for note in patient.all_notes]) is open_still


def test_the_pill_goes_with_the_doubt(tmp_path: Path) -> None:
    """Two pieces that the reader measured as one macrometastasis are not "one deposit or several" any more."""
    made = report("a", (1180.0, 1000.0), flags=(Flag(WHOLE, "May be parts of a longer deposit."),))
    run = write_run(tmp_path / "run", [made])
    for review, told in (((), True), (("a,1,,,resize,2310,R", "a,2,,,reject,,R"), False)):
        (page,) = write_staging(staged_by(run, HEAD, "a,A,1,1", review=review), tmp_path / "out")
        text = read_aloud(page.read_text())
        assert ("one deposit or several" in text) is told
        assert ("May be parts of a longer deposit" in text) is told


def classed(folder: Path, size_um: float, unsure_um: float, word: str) -> PatientResult:
    """A patient with one deposit of this size, which a reader gave a class."""
    made = report("a", (size_um,))
    unsure = replace(made.deposits[0], diameter_uncertainty_um=Micrometers(unsure_um))
    run = write_run(folder / "run", [replace(made, deposits=(unsure,))])
    (patient,) = staged_by(run, HEAD, "a,A,1,1", review=[f"a,1,,,class,{word},R"]).patients
    return patient


@pytest.mark.parametrize(
    ("size_um", "unsure_um", "word", "codes"),
    [
        (201.0, 78.0, "itc", set()),
        (201.0, 0.5, "itc", {"class_against_size"}),
        (2050.0, 80.0, "micro", set()),
        (2050.0, 30.0, "micro", {"class_against_size"}),
        (1950.0, 80.0, "macro", set()),
        (150.0, 80.0, "micro", set()),
        (150.0, 30.0, "micro", {"micro_by_reader"}),
        (2600.0, 80.0, "itc", {"class_against_size"}),
    ],
)
def test_a_class_within_the_uncertainty_of_the_size_is_no_contradiction(
    tmp_path: Path, size_um: float, unsure_um: float, word: str, codes: set[str]
) -> None:
    """The class is the reader's all the same, and the page says so."""
    patient = classed(tmp_path, size_um, unsure_um, word)
    assert {note.code for note in patient.all_notes} - {"sentinel_modifier"} == codes
    assert patient.staged.class_by_reader


@pytest.mark.parametrize("code", [SCALE, "may_be_two_foci"])
@pytest.mark.parametrize(
    ("review", "other_um", "told"),
    [
        ((), None, ("pN1mi as measured", "Micrometastasis as measured")),
        (("a,1,,,class,macro,R",), None, ("at least pN1a", "Macrometastasis")),
        ((), 5000.0, ("at least pN1a", "Macrometastasis")),
        ((), 950.0, ("at least pN1mi", "At least micrometastasis")),
    ],
)
def test_a_stage_is_at_least_what_no_doubt_can_lower(
    tmp_path: Path, review: Sequence[str], other_um: float | None, told: tuple[str, str], code: str
) -> None:
    """By the reader's class, or by another slide of the node, whatever is uncertain of the slide that is incomplete."""
    unread = Flag("out_of_focus", "10 % of the tissue is out of focus.")
    doubtful = report("a", (900.0,), status=Status.INCOMPLETE, flags=(unread, Flag(code, "Check it.")))
    others = [] if other_um is None else [report("b", (other_um,))]
    found = staged_by(
        write_run(tmp_path / "run", [doubtful, *others]), HEAD, "a,A,1,1", *["b,A,1,1" for _ in others], review=review
    )
    words, node = told
    assert found.patients[0].staged.words == words
    (page,) = write_staging(found, tmp_path / "out")
    assert node in read_aloud(page.read_text())


@pytest.mark.parametrize(("nodes", "left"), [(1, {SCALE}), (2, {SCALE, CUT, "tissue_cut_off", "borderline"})])
def test_beside_a_certain_macrometastasis_no_size_matters_to_its_node(
    tmp_path: Path, nodes: int, left: set[str]
) -> None:
    """2.02 mm, or what lies beyond the scan, changes nothing in a node with 3.5 mm; a wrong pixel size may."""
    codes = (SCALE, CUT, "tissue_cut_off", "borderline")
    near = report("b", (2020.0,), flags=tuple(Flag(code, "Check it.") for code in codes))
    run = write_run(tmp_path / "run", [report("a", (3500.0,)), near])
    (patient,) = staged_by(run, HEAD, f"a,A,1,{nodes}", f"b,A,1,{nodes}").patients
    assert {note.code for note in patient.all_notes} - {"nodes_share_slides", "sentinel_modifier"} == left


@pytest.mark.parametrize(("size_um", "nodes", "told"), [(900.0, 1, False), (900.0, 2, True), (120.0, 1, True)])
def test_a_micrometastasis_by_a_reader_is_told_where_something_hangs_on_it(
    tmp_path: Path, size_um: float, nodes: int, told: bool
) -> None:
    """Beside 0.9 mm in the same node 0.15 mm may be what it is."""
    run = write_run(tmp_path / "run", [report("a", (150.0, size_um))])
    number = 1 if size_um < 150 else 2
    (patient,) = staged_by(run, HEAD, f"a,A,1,{nodes}", review=[f"a,{number},,,class,micro,R"]).patients
    assert ("micro_by_reader" in [note.code for note in patient.all_notes]) is told


def test_of_a_slide_that_cannot_be_judged_no_place_is_singled_out(tmp_path: Path) -> None:
    """All of it has to be read; but a doubtful pixel size is told."""
    flags = tuple(Flag(code, "Look.") for code in ("not_he", SCALE, "small_pale_area", "tissue_cut_off"))
    brown = replace(report("a", status=Status.INCOMPLETE, flags=flags), metastasis=None)
    (patient,) = staged_by(write_run(tmp_path / "run", [brown]), HEAD, "a,A,1,1").patients
    assert {note.code for note in patient.all_notes} - {"sentinel_modifier"} == {"node_unread", SCALE}


def test_tissue_that_was_not_examined_is_told_in_short(tmp_path: Path) -> None:
    """How much, and why; beside "too much could not be read" not the same share again."""
    share = "10 % of the tissue"
    part = report(
        "a",
        (900.0,),
        status=Status.INCOMPLETE,
        flags=(
            Flag("out_of_focus", "2.8 % of the tissue is out of focus. Scan the slide again."),
            Flag("tissue_under_ink", "7.2 % of the tissue lies under pen marks. Clean the slide."),
        ),
    )
    much = Flag("too_much_unread", f"{share} could not be read. That is more than the 5 % allowed.")
    failed = report("b", status=Status.FAILED, flags=(much, Flag("unread_tissue", f"{share} was not examined.")))
    found = staged_by(write_run(tmp_path / "run", [part, failed]), HEAD, "a,A,1,1", "b,A,2,1")
    assert [note.message for note in found.patients[0].all_notes if note.code == "node_unread"] == [
        "Node 1, slide a: 10 % of the tissue was not examined (out of focus 2.8 %, under ink 7.2 %). Read it under the "
        "microscope.",
        f"Node 2, slide b: failed ({share} could not be read. That is more than the 5 % allowed).",
    ]


def test_unread_tissue_is_not_said_to_be_missing_from_the_file(tmp_path: Path) -> None:
    """It may be damaged there, and a new copy may have it."""
    flags = (Flag("unread_tissue", "10 % of the tissue was not examined, because it could not be read."),)
    part = report("a", (900.0,), status=Status.INCOMPLETE, flags=flags)
    found = staged_by(write_run(tmp_path / "run", [part]), HEAD, "a,A,1,1")
    assert [note.message for note in found.patients[0].all_notes if note.code == "node_unread"] == [
        "Node 1, slide a: 10 % of the tissue was not examined (unreadable or never scanned 10 %). Copy the file again, "
        "or read it under the microscope."
    ]


def test_a_node_read_in_part_is_not_said_to_hold_nothing_larger(tmp_path: Path) -> None:
    """What was not examined is part of the sections, too."""
    unread = (Flag("out_of_focus", "10 % of the tissue is out of focus."),)
    for status, flags, larger in ((Status.COMPLETE, (), False), (Status.INCOMPLETE, unread, True)):
        run = write_run(tmp_path / status.value, [report("a", (900.0,), status=status, flags=flags)])
        said = answer(staged_by(run, HEAD, "a,A,1,1").patients[0].staged)
        assert ("none larger than 2 mm" in said) is not larger


MAY_BE_NONE = "Deposits found here may be no tumour."
UNLIKE = Flag("unlike_training", f"63 % of the tissue looks unlike the model's. {MAY_BE_NONE} Compare the scan.")
FAULT = Flag("scan_fault", "The scan has a fault: two of its colours lie 1.9 um apart.")


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ((FAULT,), "A scan has a fault, so deposits there may be no tumour, and tumour may have been missed."),
        (
            (FAULT, UNLIKE),
            "A scan has a fault and tissue looks unlike the tissue that the model was trained on, so deposits there "
            "may be no tumour, and tumour may have been missed.",
        ),
    ],
)
def test_a_stage_on_a_faulty_scan_is_as_measured_and_says_why_once(
    tmp_path: Path, flags: tuple[Flag, ...], why: str
) -> None:
    run = write_run(tmp_path, [report("a", (610.0,), status=Status.INCOMPLETE, flags=flags)])
    (patient,) = staged_by(run, "slide_id,patient_id,node_id", "a,A,1").patients
    assert (patient.staged.words, patient.staged.bound) == ("pN1mi as measured", None)
    assert answer(patient.staged).count(why) == 1


@pytest.mark.parametrize(
    ("size_um", "status", "words"),
    [
        (150.0, Status.INCOMPLETE, "pN0(i+) as measured"),
        (610.0, Status.INCOMPLETE, "pN1mi as measured"),
        (2600.0, Status.INCOMPLETE, "pN1a as measured"),
        (610.0, Status.COMPLETE, "pN1mi"),
    ],
)
def test_what_was_found_in_tissue_that_the_model_does_not_know_bounds_no_stage(
    tmp_path: Path, size_um: float, status: Status, words: str
) -> None:
    """It may be no tumour, so not even pN0(i+) is certain; without the flag it would be."""
    found = report("a", (size_um,), status=status, flags=(UNLIKE,))
    (patient,) = staged_by(write_run(tmp_path, [found]), "slide_id,patient_id,node_id", "a,A,1").patients
    assert patient.staged.words == words
    assert patient.staged.bound is None
    assert "so deposits there may be no tumour, and tumour may have been missed" in answer(patient.staged)
    sure = replace(found, flags=())
    (patient,) = staged_by(write_run(tmp_path / "sure", [sure]), "slide_id,patient_id,node_id", "a,A,1").patients
    stage = words.removesuffix(" as measured")
    assert patient.staged.words == (stage if stage == words else f"at least {stage}")


@pytest.mark.parametrize(
    ("sizes_um", "nodes", "review", "told"),
    [
        ((), 1, (), False),
        ((610.0,), 1, (), True),
        ((610.0,), 1, ("a,1,,,class,micro,Dr A,",), False),
        ((610.0,), 1, ("a,1,,,resize,640,Dr A,",), False),
        ((610.0,), 1, ("a,1,,,accept,,Dr A,",), False),
        ((610.0,), 1, ("a,1,,,reject,,Dr A,",), False),
        ((610.0,), 1, ("a,1,,,reject,,Dr A,", "a,,9000,9000,add,700,Dr A,"), False),
        ((900.0, 610.0), 1, ("a,1,,,accept,,Dr A,",), False),
        ((900.0, 610.0), 2, ("a,1,,,accept,,Dr A,",), True),
        ((900.0, 610.0), 1, ("a,2,,,accept,,Dr A,",), True),
        ((900.0, 610.0), 1, ("a,1,,,reject,,Dr A,",), True),
        ((2600.0, 610.0), 1, ("a,2,,,class,micro,Dr A,",), True),
        ((610.0,), 1, ("a,,,,read,micro,Dr A,",), False),
    ],
)
def test_deposits_may_be_no_tumour_only_where_one_that_no_reader_accepted_decides(
    tmp_path: Path, sizes_um: tuple[float, ...], nodes: int, review: Sequence[str], told: bool
) -> None:
    """Class, largest size or another node of the slide; in the sentence and in the note. That tumour may have been
    missed stands in any case, until somebody read the whole slide."""
    run = write_run(tmp_path, [report("a", sizes_um, flags=(UNLIKE,))])
    (patient,) = staged_by(run, HEAD, f"a,A,1,{nodes}", review=review).patients
    said, notes = answer(patient.staged), [note.message for note in patient.all_notes if note.code == UNLIKE.code]
    assert ("may be no tumour" in said) is told
    if any(",read," in row for row in review):
        assert notes == []
        return
    assert "tumour may have been missed." in said
    assert notes == [f"Node 1, slide a: {UNLIKE.message if told else UNLIKE.message.replace(f'{MAY_BE_NONE} ', '')}"]


@pytest.mark.parametrize(("size_um", "beside_um", "told"), [(300.0, 900.0, False), (1200.0, 900.0, True)])
def test_a_deposit_that_may_be_no_tumour_is_told_where_its_node_rests_on_it(
    tmp_path: Path, size_um: float, beside_um: float, told: bool
) -> None:
    """Not beside a larger one on a slide of the same node that has no fault."""
    run = write_run(tmp_path, [report("a", (size_um,), flags=(UNLIKE,)), report("b", (beside_um,))])
    (patient,) = staged_by(run, HEAD, "a,A,1,1", "b,A,1,1").patients
    assert ("may be no tumour" in answer(patient.staged)) is told
    (note,) = [note.message for note in patient.all_notes if note.code == UNLIKE.code]
    assert (MAY_BE_NONE in note) is told


@pytest.mark.parametrize("on_one_slide", [False, True])
def test_a_deposit_that_may_be_no_tumour_is_told_where_it_makes_a_borderline_class_sure(
    tmp_path: Path, on_one_slide: bool
) -> None:
    """2.05 ± 0.10 mm, sound or accepted, may be a micrometastasis; 2.045 mm on a faulty scan settles that."""

    def borderline(found: SlideReport) -> SlideReport:
        first, *others = found.deposits
        return replace(found, deposits=(replace(first, diameter_uncertainty_um=Micrometers(100.0)), *others))

    if on_one_slide:
        slides, review = [borderline(report("a", (2050.0, 2045.0), flags=(UNLIKE,)))], ["a,1,,,accept,,Dr A,"]
    else:
        slides, review = [report("a", (2045.0,), flags=(UNLIKE,)), borderline(report("b", (2050.0,)))], []
    rows = [f"{one.slide.slide_id},A,1,1" for one in slides]
    (patient,) = staged_by(write_run(tmp_path, slides), HEAD, *rows, review=review).patients
    assert "may be no tumour" in answer(patient.staged)


def test_an_accepted_deposit_of_itc_size_is_a_bound(tmp_path: Path) -> None:
    """On a slide that was read in part and is unlike the training tissue: it is tumour, as the reader says."""
    run = write_run(tmp_path, [report("a", (150.0, 100.0), status=Status.INCOMPLETE, flags=(UNLIKE,))])
    (patient,) = staged_by(run, HEAD, "a,A,1,1", review=["a,2,,,accept,,Dr A,"]).patients
    assert patient.staged.words == "at least pN0(i+)"
