"""Reviewed stages in a folder into which slides are run again without their manifest."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.batch import kept_slides
from nodescan.batch import run as batch
from nodescan.batch.request import BatchRequest
from nodescan.batch.run import BatchResult, run_batch
from nodescan.batch.slide_folders import set_report_aside
from nodescan.domain.staging import AJCC8
from nodescan.patients.correction_rows import read_corrections
from nodescan.patients.patient_files import write_staging
from nodescan.patients.run_page import tell_patients
from nodescan.patients.slide_rows import read_slide_rows
from nodescan.patients.staging import stage_reports
from nodescan.reports.report_reader import read_reports
from tests.fakes import Busy, ColourPredictor, Listener, paint_slide, scan_with
from tests.patients.made_reports import write_csv

MANIFEST = ("path,patient_id,node_id", "slides/a.tif,A,1", "slides/bad.tif,A,2", "slides/b.tif,B,1")


class Cohort:
    """Slides a (tumour), b, and bad, which is none, run into `out` by `rows`; a reader rejected the deposit of a."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, *rows: str) -> None:
        self.slides, self.out, self.patch = folder / "slides", folder / "out", patch
        paint_slide(self.slides / "a.tif", tumour_um=400)
        paint_slide(self.slides / "b.tif")
        (self.slides / "bad.tif").write_text("no slide")
        self.manifest = write_csv(folder / "m.csv", *(rows or MANIFEST))
        self.run(inputs=(), manifest=self.manifest)
        review = write_csv(folder / "review.csv", "slide_id,deposit_id,action,by", "a,1,reject,Dr A")
        found = stage_reports(
            read_reports(self.out), read_slide_rows(self.manifest), AJCC8, corrections=read_corrections(review)
        )
        write_staging(found, self.out)
        self.reviewed = self.stages()

    def run(self, predictor: ColourPredictor | None = None, **asked: object) -> BatchResult:
        self.heard = Listener()
        scan_with(predictor or ColourPredictor(), self.patch)
        request = BatchRequest((str(self.slides),), self.out, slots=0)
        return run_batch(replace(request, **asked), self.heard)  # pyright: ignore[reportArgumentType]

    def stages(self) -> dict[str, bytes]:
        """Of every file of the stages that stand in the folder."""
        found = [*self.out.glob("patients.*"), *self.out.glob("patients/*")]
        return {path.relative_to(self.out).as_posix(): path.read_bytes() for path in found}

    def told(self) -> list[str]:
        return [text for text in self.heard.notes if "stages" in text]


def test_slides_of_no_patient_leave_reviewed_stages_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed slide is tried again in every run, and a new one is scanned: no stage rests on either."""
    cohort = Cohort(tmp_path, monkeypatch, MANIFEST[0], MANIFEST[1], MANIFEST[3])
    for _ in range(2):
        cohort.run()
        paint_slide(cohort.slides / "new.tif")
        assert cohort.told() == []
        assert cohort.stages() == cohort.reviewed
    assert "patients/A.html" in (cohort.out / "summary.html").read_text()


def test_a_slide_of_a_patient_that_is_scanned_again_moves_the_reviewed_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is scanned, and in words that say that they were reviewed."""
    cohort = Cohort(tmp_path, monkeypatch)
    os.utime(cohort.slides / "a.tif")
    with pytest.raises(KeyboardInterrupt):
        cohort.run(ColourPredictor(KeyboardInterrupt()))
    assert cohort.stages() == {}
    assert cohort.told() == [
        "the reviewed stages were moved to patients-before-1, because reports of their slides change: a, bad; "
        "repeat nodescan stage --corrections to review the new ones"
    ]
    assert "Dr A" in (cohort.out / "patients-before-1" / "patients.json").read_text()


def test_a_patient_s_slide_that_fails_again_as_before_leaves_the_reviewed_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are away while it is scanned, whenever the run may be killed, and come back byte for byte."""
    cohort = Cohort(tmp_path, monkeypatch)
    paint_slide(cohort.slides / "new.tif")
    while_scanned: list[dict[str, bytes]] = []

    cohort.run(Busy(lambda: while_scanned.append(cohort.stages())))
    assert while_scanned == [{}]
    assert cohort.stages() == cohort.reviewed
    assert cohort.told()[-1] == (
        "the stages were moved back from patients-before-1, because these slides failed again as before: bad"
    )
    assert not list(cohort.out.glob("patients-before-*"))
    assert "patients/A.html" in (cohort.out / "summary.html").read_text()


@pytest.mark.parametrize("change", ["read", "other"])
def test_a_patient_s_failed_slide_that_is_another_now_moves_the_reviewed_stages(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be read, or fails for another reason: the stage was not made of this report."""
    cohort = Cohort(tmp_path, monkeypatch)
    bad = cohort.slides / "bad.tif"
    bad.unlink()
    if change == "read":
        paint_slide(bad)
    else:
        bad.touch()
    cohort.run()
    assert cohort.stages() == {}
    assert "Dr A" in (cohort.out / "patients-before-1" / "patients" / "A.html").read_text()


def test_stages_that_nobody_corrected_are_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to do then is to stage again, with no corrections."""
    cohort = Cohort(tmp_path, monkeypatch)
    cohort.run(inputs=(), manifest=cohort.manifest)
    cohort.run(force=True)
    assert cohort.told() == [
        "stages of earlier reports were moved to patients-before-2, because reports of their slides change: "
        "a, b, bad; run nodescan stage to make new ones"
    ]


@pytest.mark.parametrize("content", ['{"patients": [', '{"patients": [{"patient_id": "A"}]}'])
def test_stages_of_which_nobody_can_tell_on_what_they_rest_are_moved(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged patients.json may be a reviewed one, of any slide."""
    cohort = Cohort(tmp_path, monkeypatch)
    (cohort.out / "patients.json").write_text(content)
    paint_slide(cohort.slides / "new.tif")
    cohort.run(inputs=(str(cohort.slides / "new.tif"),))
    assert (cohort.out / "patients-before-1" / "patients.json").read_text() == content


def test_a_run_over_the_manifest_tells_the_patient_whose_review_lies_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first stages on, which a killed run leaves; the other patient has no such note."""
    cohort = Cohort(tmp_path, monkeypatch)

    def noted() -> dict[str, list[str]]:
        patients = json.loads((cohort.out / "patients.json").read_bytes())["patients"]
        return {
            one["patient_id"]: [note["message"] for note in one["notes"] if note["code"] == "review_aside"]
            for one in patients
        }

    text = (
        "Earlier corrections by Dr A have no part in this stage: reject of deposit 1 on slide a. They lie in "
        "patients-before-1, "
    )
    with pytest.raises(KeyboardInterrupt):
        cohort.run(ColourPredictor(KeyboardInterrupt()), inputs=(), manifest=cohort.manifest, force=True)
    stopped = noted()
    cohort.run(inputs=(), manifest=cohort.manifest)
    for found in (stopped, noted()):
        assert [note.startswith(text) for note in found["A"]] == [True]
        assert found["B"] == []


@pytest.mark.parametrize("header", ["path", MANIFEST[0]])
def test_no_stage_stands_once_a_report_it_was_made_of_is_kept_aside(
    header: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slides can't be read now and other settings are asked for; the run is stopped after the first report."""
    cohort = Cohort(tmp_path, monkeypatch)
    for name in ("a", "b"):
        (cohort.slides / f"{name}.tif").unlink()
    rows = MANIFEST[1:] if header == MANIFEST[0] else [row.split(",")[0] for row in MANIFEST[1:]]
    moved: list[str] = []

    def stopped(folder: Path, slide_id: str) -> Path:
        if moved:
            raise KeyboardInterrupt
        moved.append(slide_id)
        return set_report_aside(folder, slide_id)

    monkeypatch.setattr(kept_slides, "set_report_aside", stopped)
    with pytest.raises(KeyboardInterrupt):
        cohort.run(inputs=(), manifest=write_csv(tmp_path / "list.csv", header, *rows), max_unread_percent=1.0)
    assert (moved, (cohort.out / "a").exists()) == (["a"], False)
    stages = json.loads(cohort.stages().get("patients.json", b'{"patients": []}'))
    assert [one for one in stages["patients"] if "no tumour found" in one["stage"] or one["category"]] == []
    assert "Dr A" in (cohort.out / "patients-before-1" / "patients.json").read_text()


def stopped_before_scanning(cohort: Cohort, patch: pytest.MonkeyPatch, **asked: object) -> None:
    """As a run that is killed between its work on the stages and its first slide."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with patch.context() as here:
        here.setattr(batch, "scan_all", stop)
        with pytest.raises(KeyboardInterrupt):
            cohort.run(**asked)


def test_stages_that_were_made_without_a_slide_are_not_moved_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They call it not run, and it has failed, before and now."""
    cohort = Cohort(tmp_path, monkeypatch)
    stopped_before_scanning(cohort, monkeypatch, inputs=(), manifest=cohort.manifest)
    assert json.loads(cohort.stages()["patients.json"])["slides_not_run"] == ["bad"]
    cohort.run()
    assert cohort.stages() == {}
    assert not [text for text in cohort.told() if "moved back" in text]


@pytest.mark.parametrize("listed", [False, True])
def test_summary_html_shows_no_stage_that_was_moved(
    listed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor a link to its page, in a run that is killed before its first slide."""
    cohort = Cohort(tmp_path, monkeypatch)
    page, reviewed = cohort.out / "summary.html", "cannot be determined (no tumour found, but 1 of 2 nodes"
    tell_patients(cohort.out)
    assert reviewed in page.read_text()
    os.utime(cohort.slides / "a.tif")
    stopped_before_scanning(cohort, monkeypatch, **({"inputs": (), "manifest": cohort.manifest} if listed else {}))
    assert reviewed not in page.read_text()
    assert ("patients/A.html" in page.read_text()) == listed == ("patients/A.html" in cohort.stages())
