"""What a reader settled is asked for no more, and what the reader left open still is."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.flags import Flag
from nodescan.domain.units import Micrometers
from nodescan.patients.patient_files import write_staging
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
        (("a,2,,,reject,,R",), {SCALE, WHOLE, CUT}),
        (("a,1,,,reject,,R",), {SCALE, WHOLE}),
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
