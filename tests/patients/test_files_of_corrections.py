"""A correction has a day."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.staging import AJCC8
from nodescan.errors import UsageError
from nodescan.patients.earlier_stages import earlier_corrections
from nodescan.patients.patient_files import replace_stages
from nodescan.patients.slide_rows import read_slide_rows
from nodescan.patients.staging import PatientResult, stage_reports
from nodescan.reports.report_reader import read_reports
from tests.patients.made_reports import report, review_of, scanned, write_csv, write_run
from tests.reports.factory import read_aloud
from tests.schemas import PATIENTS, schema_of

FIRST = "0a1b2c3d4e5f" + "0" * 52
REJECTED = "a,1,,,reject,,Dr A,artefact"


def scan(run: Path, fingerprint: str, *sizes_um: float) -> Path:
    """The slide a, scanned anew from this file on the first of June."""
    shutil.rmtree(run / "a", ignore_errors=True)
    made = scanned(fingerprint, started="2026-06-01T12:00:00+00:00")
    return write_run(run, [replace(report("a", sizes_um), provenance=made)])


def stage(run: Path, *rows: str) -> PatientResult:
    """Patient A of slide a after a review that was written in July; the stage stands in the run's folder."""
    manifest = read_slide_rows(write_csv(run.parent / "m.csv", "slide_id,patient_id,node_id", "a,A,1"))
    corrections, earlier = review_of(run.parent, *rows, day="2026-07-01"), earlier_corrections(run)
    found = stage_reports(read_reports(run), manifest, AJCC8, corrections=corrections, earlier=earlier)
    replace_stages(found, run, lambda _: None)
    return found.patients[0]


def told(result: PatientResult, code: str) -> list[str]:
    return [note.message for note in result.all_notes if note.code == code]


def stored(run: Path) -> dict:
    """The first correction of patients.json, which holds to its schema."""
    content = json.loads((run / "patients.json").read_text())
    assert [error.message for error in schema_of(PATIENTS).iter_errors(content)] == []
    return content["patients"][0]["corrections"][0]


def test_the_day_of_a_correction_is_kept_and_stands_beside_its_reader(tmp_path: Path) -> None:
    """In patients.json and on the page; a row without one has none."""
    run = scan(tmp_path / "run", FIRST, 600.0)
    stage(run, f"{REJECTED},2026-06-15")
    assert stored(run)["date"] == "2026-06-15"
    assert "Dr A, 2026-06-15" in read_aloud((run / "patients" / "A.html").read_text(encoding="utf-8"))
    stage(run, REJECTED)
    assert stored(run)["date"] == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("15.06.2026", "date is '15.06.2026'; write year, month and day as 2026-11-30"),
        ("20260615", "date is '20260615'; write year"),
        ("2026-02-30", "date is '2026-02-30'; write year"),
        ("9999-12-31", "date is 9999-12-31, which is still to come"),
    ],
)
def test_what_is_no_day_of_a_correction_is_refused(tmp_path: Path, given: str, message: str) -> None:
    """Day and month may be exchanged, and a reader corrected nothing on a day that never was, or is yet to be."""
    with pytest.raises(UsageError, match=message):
        review_of(tmp_path, f"{REJECTED},{given}")


def test_a_day_may_be_added_to_a_correction_but_none_is_lost(tmp_path: Path) -> None:
    """A review that says another day, or none, is kept beside the one that said it."""
    run = scan(tmp_path / "run", FIRST, 600.0)
    for row, kept in ((REJECTED, 0), (f"{REJECTED},2026-06-15", 0), (f"{REJECTED},2026-06-16", 1), (REJECTED, 2)):
        stage(run, row)
        assert len(list(run.glob("patients-before-*"))) == kept


@pytest.mark.parametrize(("day", "codes"), [("2026-05-30", 1), ("2026-05-31", 0)])
def test_a_number_that_was_given_before_the_scan_is_told_by_its_day(tmp_path: Path, day: str, codes: int) -> None:
    """However late the table was copied; not where the day may have gone on, somewhere, until the scan."""
    run = scan(tmp_path / "run", FIRST, 600.0)
    assert len(told(stage(run, f"{REJECTED},{day}"), "review_before_scan")) == codes
