"""A manifest that changed since the stages were made: week by week, renamed, or with slides of the same name."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.report import Provenance, SlideReport
from nodescan.domain.staging import AJCC8
from nodescan.errors import UsageError
from nodescan.manifest import read_manifest
from nodescan.patients.correction_rows import read_corrections
from nodescan.patients.earlier_stages import set_aside_before
from nodescan.patients.patient_files import write_staging
from nodescan.patients.restage import Staging, stage_reports
from nodescan.reports.report_reader import read_reports
from tests.patients.made_reports import report, write_csv, write_run

REVIEW = "slide_id,deposit_id,centre_x_um,centre_y_um,action,value,by"
ADDED = "neg1,,1000,1000,add,2600,Dr A"


def of_file(slide_id: str, fingerprint: str, *sizes_um: float) -> SlideReport:
    made = Provenance({}, "", fingerprint, "cpu", "float32", "2026-01-01T00:00:00+00:00", 1.0)
    return replace(report(slide_id, sizes_um), provenance=made)


def staged(run: Path, *rows: str, review: tuple[str, ...] = ()) -> Staging:
    manifest = read_manifest(write_csv(run.parent / "m.csv", "slide_id,patient_id,node_id", *rows))
    corrections = read_corrections(write_csv(run.parent / "r.csv", REVIEW, *review)) if review else ()
    return stage_reports(read_reports(run), manifest, AJCC8, corrections=corrections)


def words(staging: Staging) -> Mapping[str, str]:
    return {result.staged.specimen.patient_id: result.staged.words for result in staging.patients}


def test_a_correction_of_a_slide_that_is_called_otherwise_now_is_refused(tmp_path: Path) -> None:
    """Another neg1 joined the manifest, so both carry a hash: the reader's macrometastasis would be lost in silence."""
    run = write_run(tmp_path / "run", [of_file("neg1", "f"), of_file("neg1-22e387", "f"), of_file("neg1-c0ffee", "g")])
    assert words(staged(run, "neg1,A,1", review=(ADDED,))) == {"A": "pN1a"}
    rows = ("neg1-22e387,A,1", "neg1-c0ffee,D,1")
    with pytest.raises(UsageError, match=r"r\.csv, line 2: slide 'neg1' .* is called 'neg1-22e387' there"):
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
    assert told.startswith("the stages of an earlier review: moved to patients-before-1")
    assert "its corrections of neg1" in told
    assert "pN1a" in (folder / "patients-before-1" / "patients.csv").read_text()
    write_staging(later, folder)
    assert not set_aside_before(later, folder)
    assert not set_aside_before(staged(run, "neg1,A,1", review=(ADDED,)), folder)
