"""A manifest that changed since the stages were made: week by week, renamed, or with slides of the same name."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.report import SlideReport
from nodescan.domain.staging import AJCC8, CAMELYON17
from nodescan.errors import UsageError
from nodescan.labels import read_labels
from nodescan.patients.earlier_stages import lost_patients, set_aside_before
from nodescan.patients.patient_files import write_staging
from nodescan.patients.staging import Staging, stage_labels
from tests.patients.made_reports import report, scanned, staged_by, write_csv, write_run

ADDED = "neg1,,1000,1000,add,2600,Dr A"


def of_file(slide_id: str, fingerprint: str, *sizes_um: float) -> SlideReport:
    return replace(report(slide_id, sizes_um), provenance=scanned(fingerprint))


def staged(run: Path, *rows: str, review: tuple[str, ...] = ()) -> Staging:
    return staged_by(run, "slide_id,patient_id,node_id", *rows, review=review)


def words(staging: Staging) -> Mapping[str, str]:
    return {result.staged.specimen.patient_id: result.staged.words for result in staging.patients}


def test_a_correction_of_a_slide_that_is_called_otherwise_now_is_refused(tmp_path: Path) -> None:
    """Another neg1 joined the manifest, so both carry a hash: the reader's macrometastasis would be lost in silence."""
    run = write_run(tmp_path / "run", [of_file("neg1", "f"), of_file("neg1-22e387", "f"), of_file("neg1-c0ffee", "g")])
    assert words(staged(run, "neg1,A,1", review=(ADDED,))) == {"A": "pN1a"}
    rows = ("neg1-22e387,A,1", "neg1-c0ffee,D,1")
    with pytest.raises(UsageError, match=r"review\.csv, line 2: slide 'neg1' .* is called 'neg1-22e387' there"):
        staged(run, *rows, review=(ADDED,))
    renamed = ADDED.replace("neg1", "neg1-22e387")
    assert words(staged(run, *rows, review=(renamed,))) == {"A": "pN1a", "D": "pN0"}


def test_a_correction_of_a_slide_that_is_in_no_patient_now_keeps_the_reviewed_stage(tmp_path: Path) -> None:
    """It is given again, and has no effect: the stage that it made is moved, not overwritten; then all is said."""
    folder = tmp_path / "out"
    run = write_run(tmp_path / "run", [of_file("neg1", "f"), of_file("b", "g")])
    write_staging(staged(run, "neg1,A,1", review=(ADDED,)), folder)
    later = staged(run, "b,B,1", review=(ADDED,))
    assert [one.slide_id for one in later.unused] == ["neg1"]
    told = set_aside_before(later, folder)
    assert told.startswith("the stages of an earlier review were moved to patients-before-1")
    assert "its corrections of neg1" in told
    assert "pN1a" in (folder / "patients-before-1" / "patients.csv").read_text()
    write_staging(later, folder)
    assert not set_aside_before(later, folder)
    assert not set_aside_before(staged(run, "neg1,A,1", review=(ADDED,)), folder)


def test_a_second_report_of_a_slide_s_file_is_told(tmp_path: Path) -> None:
    """Last week's manifest had it as another patient's; a report of another file, or of none, says nothing."""
    reports = (of_file("s", "f", 2600.0), of_file("t", "f", 2600.0), of_file("u", "g"), report("v"), report("w"))
    run = write_run(tmp_path / "run", reports)

    def told(*rows: str) -> dict[str, list[str]]:
        return {
            result.staged.specimen.patient_id: [
                note.message for note in result.all_notes if note.code == "same_file_unlisted"
            ]
            for result in staged(run, *rows).patients
        }

    week_2 = told("t,Q,1", "u,R,1", "v,S,1")
    assert [len(notes) for notes in week_2.values()] == [1, 0, 0]
    assert week_2["Q"][0].startswith("Node 1, slide t: ")
    assert told("s,P,1", "t,P,1") == {"P": []}
    assert staged(run, "t,Q,1").copies == ("one file under several names: the file of slide t was also reported as s",)


def test_patients_whose_stages_the_next_manifest_removes_are_told(tmp_path: Path) -> None:
    """Week 2's manifest alone: the pages of week 1 go. Not where the same patient's sides are told apart now."""
    run = write_run(tmp_path / "run", [report("s", (2600.0,)), report("t")])
    folder = tmp_path / "out"
    write_staging(staged(run, "s,P,1", "t,Q,1"), folder)
    assert not lost_patients(staged(run, "s,P,1", "t,Q,1"), folder)
    week_2 = staged(run, "t,Q,1")
    assert lost_patients(week_2, folder) == (
        "the earlier stages of P: removed, for the manifest doesn't list them; give one manifest of all patients"
    )
    write_staging(week_2, folder)
    assert not lost_patients(week_2, folder)
    sides = "slide_id,patient_id,laterality"
    both = staged_by(run, sides, "s,Q,left", "t,Q,right")
    assert not lost_patients(both, folder)
    write_staging(both, folder)
    assert not lost_patients(staged(run, "s,Q,1", "t,Q,1"), folder)  # nor where they are told apart no more
    write_staging(both, folder)
    assert "stages of Q right: removed" in lost_patients(staged_by(run, sides, "s,Q,left"), folder)


@pytest.mark.parametrize(
    ("right", "told"), [("", [[], ["neoadjuvant_not_stated"]]), ("no", [[], []]), ("yes", [[], []])]
)
def test_treatment_that_is_stated_of_one_side_alone_is_told(tmp_path: Path, right: str, told: list[list[str]]) -> None:
    """As where a spreadsheet's cell was joined over both: the other side would lack its y in silence."""
    run = write_run(tmp_path / "run", [report("l1"), report("r1"), report("o")])
    header = "slide_id,patient_id,node_id,laterality,neoadjuvant"
    rows = ("l1,P,1,left,yes", f"r1,P,1,right,{right}", "o,Q,1,left,")
    found = staged_by(run, header, *rows)
    labels = read_labels(
        write_csv(tmp_path / "l.csv", f"{header},label", "l1,P,1,left,yes,itc", f"r1,P,1,right,{right},itc")
    )
    for results in (found.patients[:2], stage_labels(labels, AJCC8).patients):
        codes = [[note.code for note in result.all_notes] for result in results]
        assert [[code for code in one if code == "neoadjuvant_not_stated"] for one in codes] == told
    assert "neoadjuvant_not_stated" not in [note.code for note in found.patients[2].all_notes]
    by_challenge = staged_by(run, header, *rows, table=CAMELYON17)
    assert "neoadjuvant_not_stated" not in [note.code for one in by_challenge.patients for note in one.all_notes]
