"""A correction is of a slide's file, not of its name alone; and it has a day."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.report import Status
from nodescan.domain.staging import AJCC8
from nodescan.errors import UsageError
from nodescan.patients.earlier_stages import earlier_corrections, set_aside
from nodescan.patients.patient_files import replace_stages
from nodescan.patients.slide_rows import read_slide_rows
from nodescan.patients.staging import PatientResult, stage_reports
from nodescan.reports.report_reader import read_reports
from tests.patients.made_reports import report, review_of, scanned, write_csv, write_run
from tests.reports.factory import read_aloud
from tests.schemas import PATIENTS, schema_of

FIRST, SECOND = "0a1b2c3d4e5f" + "0" * 52, "f5e4d3c2b1a0" + "0" * 52
REJECTED = "a,1,,,reject,,Dr A,artefact"
ADDED = "a,,9000,9000,add,2500,Dr A,missed"
READ = "a,,,,read,negative,Dr A,read at 20x"
BESIDE = "a,,3100,3000,reject,,Dr A,artefact"


def scan(run: Path, fingerprint: str, *sizes_um: float) -> Path:
    """The slide a, scanned anew from this file on the first of June."""
    shutil.rmtree(run / "a", ignore_errors=True)
    made = scanned(fingerprint, started="2026-06-01T12:00:00+00:00")
    return write_run(run, [replace(report("a", sizes_um), provenance=made)])


def exchange_numbers(run: Path) -> None:
    """The file of slide a was scanned anew, and its two deposits have each other's number."""
    again = replace(report("a", [one.diameter_um for one in read_reports(run)[0].deposits]), provenance=scanned(FIRST))
    first, second = again.deposits
    shutil.rmtree(run / "a")
    write_run(run, [replace(again, deposits=(replace(first, id=second.id), replace(second, id=first.id)))])


def stage(run: Path, *rows: str) -> PatientResult:
    """Patient A of slide a after a review that was written in July; the stage stands in the run's folder."""
    manifest = read_slide_rows(write_csv(run.parent / "m.csv", "slide_id,patient_id,node_id", "a,A,1"))
    corrections, earlier = review_of(run.parent, *rows, day="2026-07-01"), earlier_corrections(run)
    found = stage_reports(read_reports(run), manifest, AJCC8, corrections=corrections, earlier=earlier)
    replace_stages(found, run, lambda _: None)
    return found.patients[0]


def told(result: PatientResult, code: str = "review_of_other_file") -> list[str]:
    return [note.message for note in result.all_notes if note.code == code]


def stored(run: Path) -> dict:
    """The first correction of patients.json, which holds to its schema."""
    content = json.loads((run / "patients.json").read_text())
    assert [error.message for error in schema_of(PATIENTS).iter_errors(content)] == []
    return content["patients"][0]["corrections"][0]


@pytest.mark.parametrize("row", [REJECTED, ADDED, READ, BESIDE])
@pytest.mark.parametrize("moved", [False, True])
def test_a_correction_that_met_another_file_of_the_slide_s_name_is_told(tmp_path: Path, row: str, moved: bool) -> None:
    """Whatever it is of; in each stage on the new file, wherever the stage on the first one lies."""
    run = scan(tmp_path / "run", FIRST, 600.0)
    assert told(stage(run, row)) == []
    assert (stored(run)["slide_fingerprint"], stored(run)["other_file"]) == (FIRST, False)
    if moved:
        set_aside(run)
    scan(run, SECOND, 600.0)
    for _ in range(2):
        (message,) = told(stage(run, row))
        assert message.startswith("Node 1, slide a: The same corrections were applied earlier to another file")
        assert "write f5e4d3c2b1a0 in the column “file”" in message
        assert (stored(run)["slide_fingerprint"], stored(run)["other_file"]) == (SECOND, True)


def test_a_correction_is_told_of_no_other_file_once_its_own_is_back(tmp_path: Path) -> None:
    """Two slides lay under each other's names for a while: the correction was made before that."""
    run = scan(tmp_path / "run", FIRST, 600.0)
    for fingerprint, count in ((FIRST, 0), (SECOND, 1), (FIRST, 0)):
        scan(run, fingerprint, 600.0)
        assert len(told(stage(run, ADDED))) == count
        set_aside(run)


def test_a_place_on_another_file_is_the_same_row_whatever_number_lies_there(tmp_path: Path) -> None:
    """On the first file it meant deposit 1, on the second it means deposit 2."""
    run = scan(tmp_path / "run", FIRST, 600.0)
    row = "a,,3000,3000,reject,,Dr A,artefact"
    stage(run, row)
    shutil.rmtree(run / "a")
    again = replace(report("a", (600.0,)), provenance=scanned(SECOND))
    write_run(run, [replace(again, deposits=(replace(again.deposits[0], id=2),))])
    (own,) = stage(run, row).corrections
    assert (own.deposit_id, own.other_file) == (2, True)


def test_a_place_is_repeated_whatever_number_a_new_scan_gives_it(tmp_path: Path) -> None:
    """No correction was changed, so no stage is moved aside for it; one by number now means another deposit."""
    run = scan(tmp_path / "run", FIRST, 600.0, 400.0)
    by_place = "a,,3000,3000,reject,,Dr A,artefact"
    stage(run, by_place)
    exchange_numbers(run)
    for row, kept in ((by_place, 0), (f"{by_place},2026-06-15,", 0), (f"{REJECTED},2026-06-15,", 1)):
        stage(run, row)
        assert len(list(run.glob("patients-before-*"))) == kept


@pytest.mark.parametrize("row", [REJECTED, ADDED, READ])
def test_a_row_that_names_the_slide_s_file_is_of_that_file(tmp_path: Path, row: str) -> None:
    """Written once the reader looked at the new one: nothing is in doubt, and nothing was left out."""
    run = scan(tmp_path / "run", FIRST, 600.0)
    stage(run, row)
    scan(run, SECOND, 700.0)
    assert told(stage(run, row))
    checked = stage(run, f"{row},,{SECOND[:12].upper()}")
    assert (told(checked), told(checked, "review_before_scan")) == ([], [])
    assert stored(run)["file"] == SECOND[:12]
    assert [place.name for place in run.glob("patients-before-*")] == []


def test_a_file_that_is_named_doesn_t_hide_that_its_scan_is_another(tmp_path: Path) -> None:
    """By another model, say: deposit 1 of the same file was another one when it was rejected."""
    run = scan(tmp_path / "run", FIRST, 600.0)
    row = f"{REJECTED},,{FIRST[:12]}"
    assert told(stage(run, row), "review_before_scan") == []
    scan(run, FIRST, 1900.0)
    assert len(told(stage(run, row), "review_before_scan")) == 1


@pytest.mark.parametrize("flagged", [False, True])
def test_naming_the_file_that_a_row_was_always_of_is_no_other_word(tmp_path: Path, flagged: bool) -> None:
    """The same file was scanned again, by another model, say: its deposit 1 is one that the reader never saw."""
    run = scan(tmp_path / "run", FIRST, 600.0)
    stage(run, REJECTED)
    scan(run, FIRST, 2600.0)
    if flagged:
        assert len(told(stage(run, REJECTED), "review_before_scan")) == 1
    for _ in range(2):
        assert len(told(stage(run, f"{REJECTED},,{FIRST[:12]}"), "review_before_scan")) == 1


@pytest.mark.parametrize("row", [REJECTED, ADDED, READ])
def test_a_correction_of_another_file_is_refused_in_a_new_folder_too(tmp_path: Path, row: str) -> None:
    """No stage there tells of the first file; the row does, by the first signs of its fingerprint or by all of them."""
    for given in (FIRST[:12], FIRST):
        run = scan(tmp_path / f"run{len(given)}", SECOND, 600.0)
        found = SECOND[: len(given)]
        message = rf"review\.csv, line 2: file is {given}, but the report of slide 'a' is of the file {found}: "
        with pytest.raises(UsageError, match=message):
            stage(run, f"{row},,{given}")
        assert told(stage(run, f"{row},,{SECOND}")) == []


def test_a_slide_whose_file_is_not_known_takes_no_row_that_names_one(tmp_path: Path) -> None:
    """Its process ended, or nobody could read it."""
    failed = replace(report("a", status=Status.FAILED), provenance=scanned())
    run = write_run(tmp_path / "run", [failed])
    with pytest.raises(UsageError, match="file is 0a1b2c3d4e5f, but the report of slide 'a' has no fingerprint"):
        stage(run, f"{READ},,{FIRST[:12]}")
    assert told(stage(run, READ)) == []


@pytest.mark.parametrize("given", ["0a1b2c3d4e5", "a.tif", "1.23457E+11", "0a1b2c3d4e5g", "0" * 65])
def test_what_is_no_fingerprint_is_refused(tmp_path: Path, given: str) -> None:
    """A part that is too short, a file's name, or what a spreadsheet made of digits."""
    with pytest.raises(UsageError, match=r"line 2: file is '.*'; write the first 12 signs of the slide's fingerprint"):
        review_of(tmp_path, f"{REJECTED},,{given}")


def test_the_day_of_a_correction_is_kept_and_stands_beside_its_reader(tmp_path: Path) -> None:
    """In patients.json and on the page; a row without one has none."""
    run = scan(tmp_path / "run", FIRST, 600.0)
    stage(run, f"{REJECTED},2026-06-15,")
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
        review_of(tmp_path, f"{REJECTED},{given},")


def test_a_day_may_be_added_to_a_correction_but_none_is_lost(tmp_path: Path) -> None:
    """A review that says another day, or none, is kept beside the one that said it."""
    run = scan(tmp_path / "run", FIRST, 600.0)
    for row, kept in ((REJECTED, 0), (f"{REJECTED},2026-06-15,", 0), (f"{REJECTED},2026-06-16,", 1), (REJECTED, 2)):
        stage(run, row)
        assert len(list(run.glob("patients-before-*"))) == kept


def test_a_number_that_passed_to_a_deposit_of_the_same_size_is_told(tmp_path: Path) -> None:
    """Its words are the same; it lies elsewhere. A place goes on meaning its own deposit."""
    for row, count in ((REJECTED, 1), ("a,,3000,3000,reject,,Dr A,artefact", 0)):
        run = scan(tmp_path / f"run{count}", FIRST, 600.0, 600.0)
        assert told(stage(run, row), "review_before_scan") == []
        assert stored(run)["found_centre_um"] == [3000.0, 3000.0]
        exchange_numbers(run)
        for _ in range(2):
            assert len(told(stage(run, row), "review_before_scan")) == count


@pytest.mark.parametrize("first", ["2026-05-15", ""])
def test_a_number_that_was_checked_on_the_new_scan_is_told_no_more(tmp_path: Path, first: str) -> None:
    """What the note asks for ends it: another comment, and another day where the row has one."""
    run = scan(tmp_path / "run", FIRST, 600.0)
    stage(run, f"{REJECTED},{first},")
    scan(run, FIRST, 2600.0)
    (message,) = told(stage(run, f"{REJECTED},{first},"), "review_before_scan")
    assert "say in the comment that you checked; if the row has a date, also give the day of the check." in message
    day = first and "2026-06-20"
    assert told(stage(run, f"{REJECTED} and checked,{day},"), "review_before_scan") == []


@pytest.mark.parametrize(("day", "codes"), [("2026-05-30", 1), ("2026-05-31", 0)])
def test_a_number_that_was_given_before_the_scan_is_told_by_its_day(tmp_path: Path, day: str, codes: int) -> None:
    """However late the table was copied; not where the day may have gone on, somewhere, until the scan."""
    run = scan(tmp_path / "run", FIRST, 600.0)
    assert len(told(stage(run, f"{REJECTED},{day},"), "review_before_scan")) == codes
