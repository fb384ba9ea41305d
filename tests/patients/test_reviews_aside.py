"""What readers said before is kept, and told at its patient, whoever corrects the same slides now."""

import json
from pathlib import Path

import pytest

from nodescan.patients.earlier_stages import places_aside, set_aside_before
from nodescan.patients.patient_files import replace_stages, write_staging
from nodescan.patients.reviews_aside import with_reviews_aside
from nodescan.patients.staging import Staging
from tests.patients.made_reports import report, staged_by, write_run
from tests.reports.factory import read_aloud

MANIFEST = ("a1,A,1", "a2,A,2", "b1,B,1")
ALICE = ("a1,1,,,resize,2300,Dr Alice,by microscope", "b1,,1000,1000,add,900,Dr Alice,missed")
BOB = ("a1,1,,,accept,,Dr Bob,", "a2,1,,,reject,,Dr Bob,", "b1,,500,500,add,100,Dr Bob,")
ADDED = "b1,,1000,1000,add,900,Dr A,missed"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", [report("a1", (900.0,)), report("a2", (600.0,)), report("b1")])


def staged(run: Path, *rows: str, review: tuple[str, ...] = ()) -> Staging:
    return staged_by(run, "slide_id,patient_id,node_id", *rows, review=review)


def stage(run: Path, *review: str, rows: tuple[str, ...] = MANIFEST) -> dict[str, list[str]]:
    """Each patient's notes on what lies aside, once the stages by this review stand in the folder of the run."""
    replace_stages(with_reviews_aside(staged(run, *rows, review=review), run), run, lambda _: None)
    patients = json.loads((run / "patients.json").read_text())["patients"]
    return {
        one["patient_id"]: [note["message"] for note in one["notes"] if note["code"] == "review_aside"]
        for one in patients
    }


def test_a_second_reader_s_corrections_of_the_same_slides_leave_the_first_one_s_told(run: Path) -> None:
    """Each at its own patient, by whom it was and where it lies, in the stages and on the page."""
    assert stage(run, *ALICE) == {"A": [], "B": []}
    notes = stage(run, *BOB)
    assert [len(found) for found in notes.values()] == [1, 1]
    start = "Earlier corrections by Dr Alice have no part in this stage: "
    lie = "They lie in patients-before-1, with the stage that they gave."
    assert notes["A"][0].startswith(f"{start}resize of deposit 1 on slide a1 (macro, 2.30 mm). {lie}")
    assert notes["B"][0].startswith(f"{start}add on slide b1 (micro, 0.90 mm). {lie}")
    assert f"{start}resize of deposit 1" in read_aloud((run / "patients" / "A.html").read_text(encoding="utf-8"))


def test_a_reader_who_amends_her_own_table_is_told_of_what_she_said_before(run: Path) -> None:
    """In the same words; what she says once more is not left out."""
    stage(run, *ALICE)
    notes = stage(run, ALICE[0].replace("2300", "2100"), ALICE[1])
    assert "by Dr Alice have no part in this stage: resize of deposit 1 on slide a1 (macro, 2.30 mm)." in notes["A"][0]
    assert notes["B"] == []


@pytest.mark.parametrize("remarks", ["by microscope at 20x", ",2026-01-16", ""])
def test_another_comment_or_day_takes_no_correction_out_of_the_stage(run: Path, remarks: str) -> None:
    """The stage with the former remark is kept, but all that was said has its part in this one."""
    row = "a1,1,,,resize,2300,Dr Alice,"
    stage(run, f"{row}by microscope,2026-01-15")
    assert stage(run, f"{row}{remarks}")["A"] == []
    assert [place.name for place in places_aside(run)] == ["patients-before-1"]


def test_corrections_that_are_given_again_are_not_told_to_be_left_out(run: Path) -> None:
    """Beside another reader's of other deposits, and in another order."""
    stage(run, *ALICE)
    assert stage(run, BOB[1], *reversed(ALICE)) == {"A": [], "B": []}
    assert places_aside(run) == []


def test_of_many_corrections_a_few_are_named_and_each_once(run: Path) -> None:
    """It stands in the first minute of the page; a correction that lies in two folders is one."""
    rows = tuple(f"b1,,{number}000,1000,add,{number}00,Dr A," for number in range(2, 9))
    stage(run, *rows)
    stage(run)
    stage(run, *rows)
    (note,) = stage(run)["B"]
    assert note.count("add on slide b1") == 5
    assert "and 2 more. They lie in patients-before-1, patients-before-2," in note


def test_a_reviewed_stage_is_kept_when_its_patient_is_called_otherwise(run: Path) -> None:
    """The same corrections of the same slides make another patient's stage now: the page of the first is not lost."""
    stage(run, ADDED)
    told: list[str] = []
    later = staged(run, "a1,A,1", "a2,A,2", "b1,Z,1", review=(ADDED,))
    replace_stages(later, run, told.append)
    assert told == [
        "the reviewed stages were moved to patients-before-1, because corrections of b1 count for another "
        "patient, specimen or side now; to make those stages again, use the manifest by which they were made"
    ]
    assert (run / "patients-before-1" / "patients" / "B.html").is_file()
    assert set_aside_before(later, run) == ""


def test_a_correction_that_changes_its_patient_keeps_the_stage_of_each(run: Path) -> None:
    """Slides were exchanged between two patients, so none is lost by name; the correction counts for the other one."""
    stage(run, ADDED)
    exchanged = staged(run, "a1,B,1", "a2,A,2", "b1,A,1", review=(ADDED,))
    assert "corrections of b1 count for another patient" in set_aside_before(exchanged, run)
    write_staging(exchanged, run)
    sides = staged_by(run, "slide_id,patient_id,laterality", "a1,B,", "a2,A,left", "b1,A,right", review=(ADDED,))
    assert "corrections of b1 count for another patient, specimen or side" in set_aside_before(sides, run)
