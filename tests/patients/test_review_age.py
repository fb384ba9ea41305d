"""A review that is older than the scan may mean other deposits: that is told, whatever became of its file."""

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.staging import AJCC8
from nodescan.manifest import read_manifest
from nodescan.patients.correction_rows import read_corrections
from nodescan.patients.earlier_stages import earlier_corrections, set_aside, set_aside_before
from nodescan.patients.patient_files import write_staging
from nodescan.patients.staging import stage_reports
from nodescan.reports.report_reader import read_reports
from tests.patients.made_reports import report, review_of, scanned, write_csv, write_run


def reviewed_run(folder: Path, day: str, *sizes_um: float) -> Path:
    """A run, scanned anew on that day of June, with deposits of these sizes on slide a."""
    made = scanned(started=f"2026-06-{day}T12:00:00+00:00")
    shutil.rmtree(folder / "a", ignore_errors=True)
    return write_run(folder, [replace(report("a", sizes_um), provenance=made)])


def told_of(run: Path, day: str, *rows: str) -> list[str]:
    """The codes of the slide's doubts after a review that was written on that day of June; the stages are written."""
    manifest = read_manifest(write_csv(run.parent / "m.csv", "slide_id,patient_id,node_id", "a,A,1"))
    corrections, earlier = review_of(run.parent, *rows, day=f"2026-06-{day}"), earlier_corrections(run)
    found = stage_reports(read_reports(run), manifest, AJCC8, corrections=corrections, earlier=earlier)
    set_aside_before(found, run)
    write_staging(found, run)
    return [note.code for note in found.patients[0].all_notes if note.code == "review_before_scan"]


REJECTED = "a,1,,,reject,,Dr A,artefact"


@pytest.mark.parametrize("moved", [False, True])
def test_a_table_that_was_copied_or_added_to_still_tells_that_it_means_another_deposit(
    tmp_path: Path, moved: bool
) -> None:
    """No. 1 was 0.3 mm when it was rejected; scanned anew it is a macrometastasis, whatever the date of the table."""
    run = reviewed_run(tmp_path / "run", "01", 300.0)
    assert told_of(run, "02", REJECTED) == []
    assert told_of(run, "03", REJECTED) == []
    reviewed_run(run, "10", 2600.0)
    if moved:
        set_aside(run)
    for _ in range(2):  # the stages that are written in between don't make it forgotten
        assert told_of(run, "11", REJECTED) == ["review_before_scan"]
    assert json.loads((run / "patients.json").read_text())["patients"][0]["corrections"][0]["before_scan"] is True


def test_a_table_older_than_the_scan_is_told_when_its_date_changes_too(tmp_path: Path) -> None:
    """Nobody staged by it before the slide was scanned anew."""
    run = reviewed_run(tmp_path / "run", "10", 2600.0)
    for day in ("02", "11"):
        assert told_of(run, day, REJECTED) == ["review_before_scan"]


@pytest.mark.parametrize(
    ("day", "codes"), [("", ["review_before_scan"]), ("2026-06-08", ["review_before_scan"]), ("2026-06-11", [])]
)
def test_a_table_of_a_time_to_come_tells_nothing_of_its_age(tmp_path: Path, day: str, codes: list[str]) -> None:
    """A wrong clock, or a copy, gave it the time; a few minutes are the file server's. What a row's day tells stays."""
    run = reviewed_run(tmp_path / "run", "10", 2600.0)
    manifest = read_manifest(write_csv(run.parent / "m.csv", "slide_id,patient_id,node_id", "a,A,1"))

    def told(ahead_s: float) -> list[str]:
        review_of(run.parent, f"{REJECTED},{day}")
        now = time.time()
        os.utime(run.parent / "review.csv", (now, now + ahead_s))
        corrections = read_corrections(run.parent / "review.csv")
        (patient,) = stage_reports(read_reports(run), manifest, AJCC8, corrections=corrections).patients
        return [note.code for note in patient.all_notes if note.code == "review_before_scan"]

    assert told(3600.0) == codes
    assert told(60.0) == (codes if day else [])


@pytest.mark.parametrize(("hour", "told"), [(11, False), (13, True)])
def test_a_day_is_over_everywhere_twelve_hours_after_greenwich(tmp_path: Path, hour: int, told: bool) -> None:
    """UTC-12 is the last zone: a row of the 8th may be of its evening there until noon of the 9th in Greenwich."""
    made = scanned(started=f"2026-06-09T{hour}:00:00+00:00")
    run = write_run(tmp_path / "run", [replace(report("a", (2600.0,)), provenance=made)])
    assert bool(told_of(run, "20", f"{REJECTED},2026-06-08")) is told


def test_what_was_added_before_the_scan_means_none_of_its_deposits(tmp_path: Path) -> None:
    """It stands beside them, whenever it was written."""
    run = reviewed_run(tmp_path / "run", "10", 300.0)
    assert told_of(run, "02", "a,,9000,9000,add,500,Dr A,") == []


@pytest.mark.parametrize(
    "row", ["a,1,,,reject,,Dr A,compared", "a,1,,,reject,,Dr B,artefact", "a,,3000,3000,reject,,Dr A,artefact"]
)
def test_another_word_on_the_new_scan_is_no_old_one(tmp_path: Path, row: str) -> None:
    """With a comment of its own, by another reader, or by the deposit's centre."""
    run = reviewed_run(tmp_path / "run", "01", 300.0)
    told_of(run, "02", REJECTED)
    reviewed_run(run, "10", 2600.0)
    assert told_of(run, "11", row) == []


@pytest.mark.parametrize(("value", "codes"), [("250", ["review_before_scan"]), ("2500", [])])
def test_another_size_of_the_new_deposit_is_no_old_one(tmp_path: Path, value: str, codes: list[str]) -> None:
    """The same size is the same row; another was measured since."""
    run = reviewed_run(tmp_path / "run", "01", 300.0)
    told_of(run, "02", "a,1,,,resize,250,Dr A,")
    reviewed_run(run, "10", 2600.0)
    assert told_of(run, "11", f"a,1,,,resize,{value},Dr A,") == codes
