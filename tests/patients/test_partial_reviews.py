"""A review that says something of some deposits on a slide without a class, and nothing of others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.flags import Flag
from nodescan.domain.report import Status
from nodescan.patients.patient_files import write_staging
from tests.patients.made_reports import report, staged_by, write_run
from tests.reports.factory import read_aloud

TRUNCATED = Flag("unreadable", "the file is truncated")


def test_tumour_that_a_review_says_nothing_of_stays_named(tmp_path: Path) -> None:
    """The reader accepts 0.15 mm on a slide that failed, and says nothing of 5 mm: "ITC only" would be untrue."""
    seen = replace(report("m", (5000.0, 150.0)), status=Status.FAILED, metastasis=None, flags=(TRUNCATED,))
    run = write_run(tmp_path / "run", [seen])

    def page(*rows: str) -> str:
        found = staged_by(run, "slide_id,patient_id,node_id", "m,A,1", review=rows)
        assert found.patients[0].staged.words == "at least pN0(i+)"
        return read_aloud(write_staging(found, tmp_path / "out")[0].read_text())

    left, judged = page("m,2,,,accept,,Dr A"), page("m,2,,,accept,,Dr A", "m,1,,,reject,,Dr A")
    for said in (
        "Isolated tumour cells, in the sections examined. A deposit of 5.00 mm was found on slide m, but the review "
        "left it open. Accept or reject it.",
        "The review left deposits on it undecided, the largest 5.00 mm.",
        "and 5.00 mm without a class",
        "a deposit of 5.00 mm that has no class is left out",
    ):
        assert said in left
        assert said not in judged
    assert "Isolated tumour cells only" not in left + judged
    assert "Isolated tumour cells, in the sections examined." in judged


def test_a_mark_on_a_slide_that_was_not_judged_is_no_tumour_left_open(tmp_path: Path) -> None:
    """Of a stain that the network doesn't know only what the reader accepts is tumour."""
    brown = replace(report("m", (5000.0, 150.0)), status=Status.INCOMPLETE, metastasis=None, at_least=False)
    run = write_run(tmp_path / "run", [replace(brown, flags=(Flag("not_he", "Brown."),))])
    (patient,) = staged_by(run, "slide_id,patient_id,node_id", "m,A,1", review=["m,2,,,accept,,Dr A"]).patients
    assert (patient.staged.words, patient.staged.specimen.unclassed_um) == ("at least pN0(i+)", None)


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.INCOMPLETE])
def test_of_a_slide_with_a_class_no_deposit_is_left_undecided(tmp_path: Path, status: Status) -> None:
    """A review that names one of two deposits leaves the other as the software found it."""
    run = write_run(tmp_path / "run", [report("m", (900.0, 700.0), status=status)])
    (patient,) = staged_by(run, "slide_id,patient_id,node_id", "m,A,1", review=["m,2,,,accept,,Dr A"]).patients
    assert patient.staged.specimen.unclassed_um is None
    assert not any("undecided" in note.message for note in patient.all_notes)


@pytest.mark.parametrize("status", [Status.UNMEASURABLE, Status.FAILED])
def test_a_reviewed_slide_keeps_its_status_and_without_a_scale_has_no_place_in_mm(
    tmp_path: Path, status: Status
) -> None:
    """The review gives it a class that counts; what was wrong with the file is as wrong as before."""
    flag = Flag(status.value, "no pixel size")
    unread = replace(report("m", status=status, flags=(flag,)), info=None)
    run = write_run(tmp_path / "run", [unread])
    found = staged_by(run, "slide_id,patient_id,node_id", "m,A,1", review=["m,,1000,1000,add,2500,Dr A"])
    (patient,) = found.patients
    assert (patient.staged.words, patient.staged.specimen.n_examined) == ("at least pN1a", 1)
    assert f"Node 1, slide m: {status.value} (no pixel size)." in [note.message for note in patient.all_notes]
    (page,) = write_staging(found, tmp_path / "out")
    text = read_aloud(page.read_text())
    assert f"<li>Node 1, slide m, deposit 1 (2.50 mm). {status.value.capitalize()} (no pixel size).</li>" in text
    assert "mm from the left" not in text
    assert f'data-label="Status">{status.value}</td>' in text
    ((slide,),) = [
        node["slides"]
        for one in json.loads((tmp_path / "out" / "patients.json").read_text())["patients"]
        for node in one["nodes"]
    ]
    assert (slide["status"], slide["metastasis"]) == (status.value, "macro")
