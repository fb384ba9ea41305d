"""Many slides: none ends the batch, each keeps its row, and what is written is whole."""

import csv
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import openslide
import pytest

from nodescan import reports, scan
from nodescan.batch import run as batch
from nodescan.batch import run_files, slide_task
from nodescan.batch.progress import Viewer
from nodescan.batch.request import BatchRequest, check_no_table
from nodescan.batch.resume import ResumeOutcome
from nodescan.batch.run import run_batch, scan_manifest
from nodescan.batch.slide_task import RunTools
from nodescan.batch.tools import ThisProcess
from nodescan.batch.viewers import JsonLog
from nodescan.config import load_config
from nodescan.domain.report import SlideReport, SlideResult, Status
from nodescan.domain.slide import SlideRef
from nodescan.domain.staging import AJCC8
from nodescan.errors import ClusterError, NoRoomLeftError, OutputError, UsageError, WorkerError
from nodescan.examination import Examination, examine
from nodescan.examination.tile_batches import TileReader
from nodescan.interfaces import OpenSlideFile, Slide
from nodescan.patients.correction_rows import read_corrections
from nodescan.patients.manifest_run import manifest_slides
from nodescan.patients.patient_files import write_staging
from nodescan.patients.slide_rows import read_slide_rows
from nodescan.patients.staging import stage_reports
from nodescan.reports import CHOICES, report_names
from nodescan.reports.report_reader import read_reports
from nodescan.slides import open_slide, slide_facts
from nodescan.slides.discovery import find_slides
from nodescan.slides.files import fingerprint
from nodescan.whole_files import output_errors
from tests.batch.run_tools import in_this_process, scan_slides, slide_tools
from tests.fakes import Busy, ColourPredictor, Listener, paint_slide, scan_with
from tests.faults.accounting import rows


def tools(
    folder: Path,
    predictor: ColourPredictor | None = None,
    *,
    opening: OpenSlideFile = open_slide,
    names: tuple[str, ...] = ("json", "html"),
) -> RunTools:
    return in_this_process(slide_tools(folder, predictor, opening=opening, reports=names))


class Instead(ThisProcess):
    """Scans a slide as `instead` does."""

    def __init__(self, instead: Callable[[SlideRef, Viewer], SlideReport]) -> None:
        self._instead = instead

    def scan(self, ref: SlideRef, viewer: Viewer) -> SlideReport:
        return self._instead(ref, viewer)


def slides(*paths: Path) -> tuple[SlideRef, ...]:
    return find_slides([str(path) for path in paths], mpp_um=None, override_mpp=False)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_planted_tumour_is_found_and_clean_tissue_is_negative(tmp_path: Path, out: Path) -> None:
    """The wiring ends in the right class and size: a square of 400 um has a diagonal of 566 um."""
    found = paint_slide(tmp_path / "a.tif", tumour_um=400)
    clean = paint_slide(tmp_path / "b.tif")
    result = scan_slides(slides(found, clean), tools(out), Listener())
    assert [row["metastasis"] for row in rows(out)] == ["micro", "negative"]
    assert float(rows(out)[0]["largest_deposit_um"]) == pytest.approx(566, abs=35)
    assert result.complete


@pytest.mark.skipif(os.name != "posix", reason="how long a path may be is asked of the disk")
@pytest.mark.parametrize("windows", [False, True])
def test_a_path_that_would_be_too_long_is_told_before_any_slide_is_read(
    tmp_path: Path, windows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the slide with the longest name. Windows says that there is no such place, and not that its name is long."""
    folder, longest = tmp_path, os.pathconf(tmp_path, "PC_PATH_MAX") - 126
    while len(str(folder)) < longest - 250:
        folder /= "d" * 200
    folder /= "d" * (longest - len(str(folder)))
    paint_slide(tmp_path / "a.tif")
    paint_slide(tmp_path / f"{'s' * 100}.tif")
    scan_with(ColourPredictor(), monkeypatch)
    touch = Path.touch

    def unknown(path: Path) -> None:
        try:
            touch(path)
        except OSError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) if windows else error from None

    monkeypatch.setattr(Path, "touch", unknown)
    request = BatchRequest(inputs=(str(tmp_path),), folder=folder, slots=0)
    with pytest.raises(OutputError, match=r"/s{100}: can't be written \(File name too long\); .* with a shorter path"):
        run_batch(request, Listener())
    assert not list(folder.iterdir())
    (tmp_path / f"{'s' * 100}.tif").unlink()
    assert run_batch(request, Listener()).complete


@pytest.mark.parametrize(("library", "slots"), [("3.4.1", 0), ("4.0.0", 0), ("4.0.0", 1)])
def test_an_openslide_library_that_is_too_old_stops_the_run_on_one_line(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, library: str, slots: int
) -> None:
    """By the reason that `doctor` gives: each slide would fail by it, or areas of it could not be read."""
    scan_with(ColourPredictor(), monkeypatch)
    slide = paint_slide(tmp_path / "a.tif")
    monkeypatch.setattr(openslide, "__library_version__", library)
    needed = rf"OpenSlide {library}, .*; needed is OpenSlide 4\.0\.1 or newer, because .*; .*openslide-bin$"
    with pytest.raises(WorkerError, match=needed):
        run_batch(BatchRequest((str(slide),), out, slots=slots), Listener())
    with pytest.raises(WorkerError, match=needed):
        slide_facts(SlideRef("a", slide))
    assert not list(out.glob("*/report.json"))


def test_bad_slides_keep_their_rows_and_the_others_run(tmp_path: Path, out: Path) -> None:
    """One file that is no slide and one without spacing: a row and a report each, in the order asked for."""
    (tmp_path / "broken.svs").write_bytes(b"not a slide at all")
    paths = (
        tmp_path / "broken.svs",
        paint_slide(tmp_path / "bare.tif", spacing_um=None),
        paint_slide(tmp_path / "c.tif"),
    )
    viewer = Listener()
    result = scan_slides(slides(*paths), tools(out), viewer)
    assert [row["status"] for row in rows(out)] == ["failed", "unmeasurable", "complete"]
    assert [row["metastasis"] for row in rows(out)] == ["", "", "negative"]
    assert not result.complete
    assert [line.split(":")[0] for line in viewer.errors] == ["broken.svs", "bare.tif"]
    for path in paths[:2]:
        slide_id = path.stem
        report = json.loads((out / slide_id / "report.json").read_text())
        assert report["metastasis"] is None
        assert report["flags"][0]["message"]
        assert report["provenance"]["slide_fingerprint"] == fingerprint(path)
        assert report["provenance"]["config_sha256"] == load_config().sha256
        assert (out / slide_id / "report.html").is_file()


def test_defect_costs_one_slide_and_leaves_its_traceback(tmp_path: Path, out: Path) -> None:
    """What nobody foresaw is recorded with slide and traceback, flagged, and survived."""

    def explode(ref: SlideRef) -> Slide:
        if ref.slide_id == "a":
            raise ZeroDivisionError(f"secret {ref.path.parent}")
        return open_slide(ref)

    paths = (paint_slide(tmp_path / "a.tif"), paint_slide(tmp_path / "b.tif"))
    result = scan_slides(slides(*paths), tools(out, opening=explode), Listener())
    assert [report.status for report in result.reports] == [Status.FAILED, Status.COMPLETE]
    assert [flag.code for flag in result.reports[0].flags] == ["internal_error"]
    log = (out / "run.log").read_text()
    assert " a\n" in log
    assert "ZeroDivisionError" in log
    assert "secret" not in (out / "a" / "report.json").read_text()


def test_report_that_was_finished_unheard_has_its_row(tmp_path: Path, out: Path) -> None:
    """The cluster is lost between a slide's report and the word of it: the table says what the report says."""
    made = tools(out)

    def cut_off(ref: SlideRef, viewer: Viewer) -> SlideReport:
        made.executor.scan(ref, viewer)
        raise ClusterError("the scheduler stopped")

    paths = (paint_slide(tmp_path / "a.tif", tumour_um=400), paint_slide(tmp_path / "b.tif"))
    with pytest.raises(ClusterError):
        scan_slides(slides(*paths), replace(made, executor=Instead(cut_off)), Listener())
    assert [(row["slide_id"], row["status"], row["metastasis"]) for row in rows(out)] == [
        ("a", "complete", "micro"),
        ("b", "failed", ""),
    ]
    assert json.loads((out / "run.json").read_text())["redo"] == ["b"]


def test_slide_whose_report_is_whole_when_the_user_stops_the_run_has_its_row(tmp_path: Path, out: Path) -> None:
    """Ctrl-C between a slide's report and the word of it; what was not scanned has no row, for it didn't fail."""
    made = tools(out)

    def stopped(ref: SlideRef, viewer: Viewer) -> SlideReport:
        made.executor.scan(ref, viewer)
        raise KeyboardInterrupt

    paths = (paint_slide(tmp_path / "a.tif", tumour_um=400), paint_slide(tmp_path / "b.tif"))
    with pytest.raises(KeyboardInterrupt):
        scan_slides(slides(*paths), replace(made, executor=Instead(stopped)), Listener())
    assert [(row["slide_id"], row["status"], row["metastasis"]) for row in rows(out)] == [("a", "complete", "micro")]
    record = json.loads((out / "run.json").read_text())
    assert (record["state"], record["slides"]["complete"]) == ("interrupted", 1)
    assert record["redo"] == ["b"]


def test_memory_that_runs_out_is_no_defect(tmp_path: Path, out: Path) -> None:
    """NumPy has an exception of its own for it; the user is told what to do, and the log keeps where it was."""

    def too_large(ref: SlideRef) -> Slide:
        np.empty(2**60, dtype=np.uint8)
        return open_slide(ref)

    result = scan_slides(slides(paint_slide(tmp_path / "a.tif")), tools(out, opening=too_large), Listener())
    (flag,) = result.reports[0].flags
    assert (flag.code, flag.message.partition(";")[0]) == ("failed", "memory ran out")
    assert "too_large" in (out / "run.log").read_text()


@pytest.mark.parametrize(("broken", "written"), [(("html",), ["report.json"]), (("html", "json"), None)])
def test_writer_that_breaks_costs_its_slides_alone(
    broken: tuple[str, ...], written: list[str] | None, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report of the failure, too, is written without it; each slide has its row and its traceback."""

    def breaks(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    breaking = {name: replace(reports.REPORTS[name], write=breaks) for name in broken}
    monkeypatch.setattr(reports, "REPORTS", {**reports.REPORTS, **breaking})
    paths = [paint_slide(tmp_path / f"{name}.tif") for name in "abc"]
    result = scan_slides(slides(*paths), tools(out), Listener())
    assert [(row["slide_id"], row["status"], row["flags"]) for row in rows(out)] == [
        (name, "failed", "internal_error") for name in "abc"
    ]
    assert not result.complete
    for name in "abc":
        folder = out / name
        assert (sorted(path.name for path in folder.iterdir()) if folder.exists() else None) == written
    assert (out / "run.log").read_text().count("ZeroDivisionError") >= 6
    assert json.loads((out / "run.json").read_text())["state"] == "finished"


@pytest.mark.parametrize(("room", "written"), [(8_000, ["report.json"]), (0, None)])
def test_a_failed_slide_has_its_report_where_there_is_room_for_that_alone(
    room: int, written: list[str] | None, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page and pictures have none: that costs only them. A second refusal is told where report.json has none either."""
    write = Path.write_bytes

    def refuse(path: Path, data: bytes) -> int:
        if path.parent.parent == out and path.parent.name != "settings" and len(data) > room:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    heard = Listener()
    result = scan_slides(slides(paint_slide(tmp_path / "a.tif")), tools(out), heard)
    assert result.reports[0].status is Status.FAILED
    folder = out / "a"
    assert (sorted(path.name for path in folder.iterdir()) if folder.exists() else None) == written
    assert len(heard.errors) == (1 if written else 2)
    assert all("File too large" in line for line in heard.errors)


def test_two_slides_of_one_name_stay_apart(tmp_path: Path, out: Path) -> None:
    """Their ids carry the folder's mark, and neither overwrites the other."""
    paths = (paint_slide(tmp_path / "p1" / "node.tif", tumour_um=300), paint_slide(tmp_path / "p2" / "node.tif"))
    scan_slides(slides(*paths), tools(out), Listener())
    found = rows(out)
    assert len({row["slide_id"] for row in found}) == 2
    assert [row["metastasis"] for row in found] == ["micro", "negative"]
    for row in found:
        report = json.loads((out / row["slide_id"] / "report.json").read_text())
        assert (report["metastasis"], report["slide_id"]) == (row["metastasis"], row["slide_id"])


def test_an_error_tells_which_of_two_files_of_one_name(tmp_path: Path, out: Path) -> None:
    """The name alone is of both; another slide's id is its file's name and isn't said twice."""
    paths = [tmp_path / folder / "node.tif" for folder in ("p1", "p2")]
    for path in (*paths, tmp_path / "other.tif"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    listener = Listener()
    refs = slides(*paths, tmp_path / "other.tif")
    scan_slides(refs, tools(out), listener)
    told = [line.partition(": ")[0] for line in listener.errors]
    assert told == [f"node.tif ({refs[0].slide_id})", f"node.tif ({refs[1].slide_id})", "other.tif"]


def test_interrupted_run_keeps_the_rows_it_has(tmp_path: Path, out: Path) -> None:
    """Stopped in the second slide: the first one's row stands; run.json says how far the run got, and names the failed
    slide and the two that are left in their order."""

    def open_first(ref: SlideRef) -> Slide:
        if ref.slide_id == "b":
            raise KeyboardInterrupt
        return open_slide(ref)

    (tmp_path / "0.tif").write_bytes(b"no slide")
    painted = (paint_slide(tmp_path / f"{name}.tif") for name in "abc")
    with pytest.raises(KeyboardInterrupt):
        scan_slides(slides(tmp_path / "0.tif", *painted), tools(out, opening=open_first), Listener())
    assert [row["slide_id"] for row in rows(out)] == ["0", "a"]
    record = json.loads((out / "run.json").read_text())
    assert record["state"] == "interrupted"
    assert (record["slides"]["asked"], record["slides"]["complete"]) == (4, 1)
    assert record["redo"] == ["0", "b", "c"]


def test_run_interrupted_in_its_first_slide_has_the_table_its_page_links_to(tmp_path: Path, out: Path) -> None:
    """Without a row yet."""

    def stop(_: SlideRef) -> Slide:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan_slides(slides(paint_slide(tmp_path / "a.tif")), tools(out, opening=stop), Listener())
    assert "./summary.csv" in (out / "summary.html").read_text()
    assert rows(out) == []


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"stall_minutes": 0.0}, "--stall-minutes: must be a number of min above 0, not 0"),
        ({"stall_minutes": float("nan")}, "--stall-minutes: must be a number of min above 0, not nan"),
        ({"max_unread_percent": 500.0}, "--max-unread: must be a percentage from 0 to 100, not 500"),
        ({"max_unread_percent": float("nan")}, "--max-unread: must be a percentage from 0 to 100, not nan"),
        ({"slots": -3}, "--slots: must be 0 or more, not -3"),
    ],
)
def test_a_limit_that_is_none_is_refused_before_anything_is_written(
    tmp_path: Path, out: Path, limit: dict[str, float], said: str
) -> None:
    """By whoever runs a batch, not by the command alone."""
    paint_slide(tmp_path / "a.tif")
    asked = replace(BatchRequest((str(tmp_path / "a.tif"),), out, slots=0), **limit)
    with pytest.raises(UsageError, match=re.escape(said)):
        run_batch(asked, Listener())
    assert not list(out.glob("*"))


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps a folder that a process works in")
def test_working_directory_that_is_removed_meanwhile_ends_no_run(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was named from there was meant from there: each slide has its row, and run.json says that the run ended."""
    scan_with(Busy(partial(shutil.rmtree, tmp_path / "here")), monkeypatch)
    paint_slide(tmp_path / "a.tif")
    paint_slide(tmp_path / "b.tif")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    asked = BatchRequest(("../a.tif", str(tmp_path / "b.tif")), out, command=("nodescan", "run", "../a.tif"), slots=0)
    run_batch(asked, Listener())
    assert [(row["slide_id"], row["status"]) for row in rows(out)] == [("a", "failed"), ("b", "complete")]
    record = json.loads((out / "run.json").read_text())
    assert (record["state"], record["command"]) == ("finished", ["nodescan", "run", "a.tif"])


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps a folder that a process works in")
def test_patients_are_staged_where_the_manifest_is_gone_with_the_working_directory(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows were read whole: the slide that went with it leaves its patient undetermined, the other has a stage."""
    scan_with(Busy(partial(shutil.rmtree, tmp_path / "here")), monkeypatch)
    (tmp_path / "here").mkdir()
    paint_slide(tmp_path / "here" / "a.tif")
    paint_slide(tmp_path / "b.tif")
    (tmp_path / "here" / "m.csv").write_text(f"path,patient_id\na.tif,A\n{tmp_path / 'b.tif'},B\n")
    monkeypatch.chdir(tmp_path / "here")
    run_batch(BatchRequest((), out, manifest=Path("m.csv"), slots=0), Listener())
    assert [(patient, stage.split(" (")[0]) for patient, stage in stages(out).items()] == [
        ("A", "cannot be determined"),
        ("B", "pN0"),
    ]


def test_slide_that_cannot_be_written_is_said_and_the_next_one_runs(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills while one slide is written costs that slide's status, not the batch."""
    full_for(monkeypatch, "a")
    viewer = Listener()
    result = scan_slides(slides(paint_slide(tmp_path / "a.tif"), paint_slide(tmp_path / "b.tif")), tools(out), viewer)
    assert [(row["status"], row["flags"]) for row in rows(out)] == [("failed", "not_written"), ("complete", "")]
    assert "No space left" in viewer.errors[0]
    assert rows(out)[0]["reason"].startswith("a/report.json: can't be written")
    assert not result.complete


def full_for(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """The disk has no room for the reports of these slides."""
    write = slide_task.write_reports

    def full(result: SlideResult, folder: Path, wanted: Sequence[str], **more: Callable[[], None]) -> None:
        if folder.name in names:
            raise OutputError(f"{folder}/report.json: can't be written (No space left on device); free some space")
        write(result, folder, wanted, **more)

    monkeypatch.setattr(slide_task, "write_reports", full)


def no_room_in(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """No file as large as a slide's reports can be written in the run's folder, for this reason."""

    def refused(path: Path, _data: bytes) -> None:
        with output_errors(path):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(run_files, "write_beside", refused)


def test_run_stops_after_five_slides_in_a_row_that_cannot_be_written_and_goes_on_later(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full, so the seventh would be scanned for nothing. It has its row, whose flag is none of a result
    that couldn't be written, each slide one error, and the next run scans all six."""
    names = "abcdefg"
    scan_with(ColourPredictor(), monkeypatch)
    request = BatchRequest(tuple(str(paint_slide(tmp_path / f"{name}.tif")) for name in names), out, slots=0)
    with monkeypatch.context() as full:
        full_for(full, *names[1:])
        no_room_in(full, errno.ENOSPC)
        viewer = Listener()
        with pytest.raises(NoRoomLeftError) as stopped:
            run_batch(request, viewer)
    assert str(stopped.value) == (
        f"{out}: no result of 5 slides in a row could be written (No space left on device), so the run stopped; free "
        "some space; the same command goes on from there, and finished slides are kept"
    )
    assert viewer.scanned == list("abcdef")
    assert len(viewer.errors) == 5
    assert [(row["slide_id"], row["status"]) for row in rows(out)] == [
        (name, "complete" if name == "a" else "failed") for name in names
    ]
    assert [row["flags"] for row in rows(out)[1:]] == ["not_written"] * 5 + ["failed"]
    assert "the run ended before its result was there" in rows(out)[-1]["reason"]
    assert json.loads((out / "run.json").read_text())["redo"] == list("bcdefg")
    result = run_batch(request, Listener())
    assert (result.complete, result.kept) == (True, 1)


def test_slides_whose_own_folders_cannot_be_written_cost_none_of_those_behind_them(tmp_path: Path, out: Path) -> None:
    """Six lie in the way of their folders, and the run's folder takes files: the slides behind are complete, and
    nothing of trying the folder is left there."""
    for name in "abcdef":
        (out / name).write_text("a file of that name")
    scan_slides(slides(*(paint_slide(tmp_path / f"{name}.tif") for name in "abcdefgh")), tools(out), Listener())
    assert [row["status"] for row in rows(out)] == ["failed"] * 6 + ["complete"] * 2
    assert not list(out.glob(".*.part"))


def test_a_run_whose_folder_is_writable_no_more_says_to_make_it_so(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Space is of no help there."""
    full_for(monkeypatch, *"abcdef")
    no_room_in(monkeypatch, errno.EACCES)
    with pytest.raises(
        NoRoomLeftError, match=r"\(Permission denied\), so the run stopped; make this folder writable; "
    ):
        scan_slides(slides(*(paint_slide(tmp_path / f"{name}.tif") for name in "abcdef")), tools(out), Listener())


def test_a_run_of_a_manifest_that_stops_on_a_full_disk_says_when_its_patients_are_staged(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their files call every slide of this run unread until then. A manifest without patients has no stages to come."""
    names, said = "abcdef", list[bool]()
    for name in names:
        paint_slide(tmp_path / f"{name}.tif")
    scan_with(ColourPredictor(), monkeypatch)
    full_for(monkeypatch, *names)
    no_room_in(monkeypatch, errno.ENOSPC)
    for patient_column in (True, False):
        head, end = ("path,patient_id", ",A") if patient_column else ("path", "")
        (tmp_path / "m.csv").write_text("\n".join([head, *(f"{name}.tif{end}" for name in names)]) + "\n")
        with pytest.raises(NoRoomLeftError) as stopped:
            run_batch(BatchRequest((), out, manifest=tmp_path / "m.csv", slots=0), Listener())
        said.append(str(stopped.value).endswith("are kept; it makes the patients' stages at its end"))
    assert said == [True, False]


def test_slides_that_cannot_be_written_stop_no_run_where_another_one_can(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four, one that is written, and four more are no full disk. Nor is there anything to stop where the last slide is
    the fifth."""
    no_room_in(monkeypatch, errno.ENOSPC)
    paths = [paint_slide(tmp_path / f"{name}.tif") for name in "abcdefghij"]
    full_for(monkeypatch, *"abcdfghij")
    scan_slides(slides(*paths), tools(out), Listener())
    assert [row["status"] for row in rows(out)] == ["failed"] * 4 + ["complete"] + ["failed"] * 5


def test_a_file_of_the_run_that_cannot_be_written_is_told_once(tmp_path: Path, out: Path) -> None:
    """summary.csv is written after every slide; what it meets is said again only once it has changed."""
    (out / "summary.csv").mkdir()
    viewer = Listener()
    result = scan_slides(slides(*(paint_slide(tmp_path / f"{name}.tif") for name in "abc")), tools(out), viewer)
    assert len([line for line in viewer.errors if "summary.csv" in line]) == 1
    assert any("summary.csv" in why for why in result.unwritten)


def test_summary_that_cannot_be_written_is_no_success(tmp_path: Path, out: Path) -> None:
    """Where summary.csv can't be put, the slides are scanned and the run still isn't complete."""
    (out / "summary.csv").mkdir()
    viewer = Listener()
    result = scan_slides(slides(paint_slide(tmp_path / "a.tif")), tools(out), viewer)
    assert result.reports[0].status is Status.COMPLETE
    assert "summary.csv" in viewer.errors[0]
    assert not result.complete


def test_model_and_settings_are_named_in_every_report(tmp_path: Path, out: Path) -> None:
    """A result can be traced to its model and settings, and run.json holds the settings whole."""
    scan_slides(slides(paint_slide(tmp_path / "a.tif")), tools(out), Listener())
    report = json.loads((out / "a" / "report.json").read_text())
    record = json.loads((out / "run.json").read_text())
    config = load_config()
    assert report["provenance"]["config_sha256"] == record["config"]["sha256"] == config.sha256
    assert report["model"] == record["model"]
    assert record["model"]["name"] == "colour"
    assert record["config"]["text"] == config.text
    assert record["state"] == "finished"


def test_unknown_report_is_refused_before_any_work() -> None:
    """The error names the word and the choices."""
    with pytest.raises(UsageError, match=r"--reports: no report is called 'pdf'; choose from json,csv,html,geojson"):
        report_names(("json", "pdf"))
    with pytest.raises(UsageError, match="no report is named"):
        report_names(())
    assert report_names(("html", "json", "html")) == ("html", "json")


def scan_table(path: Path, given: RunTools) -> batch.BatchResult:
    manifest = read_slide_rows(path)
    refs = manifest_slides(manifest, mpp_um=None, override_mpp=False)
    return scan_manifest(manifest, refs, replace(given, viewer=Listener()), ResumeOutcome())


def stages(folder: Path) -> dict[str, str]:
    with (folder / "patients.csv").open(newline="") as file:
        return {row["patient_id"]: row["stage"] for row in csv.DictReader(file)}


def test_manifest_ends_in_patients_and_a_failed_slide_in_a_lower_bound(tmp_path: Path, out: Path) -> None:
    """A is read whole; of B a slide is missing, so its stage is a lower bound; of C nothing is left to stand on."""
    paint_slide(tmp_path / "a.tif", tumour_um=400)
    paint_slide(tmp_path / "b1.tif", tumour_um=420)
    paint_slide(tmp_path / "c1.tif")
    (tmp_path / "c2.tif").write_bytes(b"not a slide")
    path = tmp_path / "m.csv"
    path.write_text(
        "path,patient_id,node_id,stain\na.tif,A,1,\nb1.tif,B,1,\nb2.tif,B,2,\nc1.tif,C,1,\nc2.tif,C,2,\nk.tif,A,1,CK\n"
    )
    result = scan_table(path, tools(out))
    assert [(row["slide_id"], row["status"], row["patient_id"], row["node_id"]) for row in rows(out)] == [
        ("a", "complete", "A", "1"),
        ("b1", "complete", "B", "1"),
        ("b2", "failed", "B", "2"),
        ("c1", "complete", "C", "1"),
        ("c2", "failed", "C", "2"),
    ]
    found = stages(out)
    assert found["A"].startswith("pN1mi")
    assert found["B"].startswith("at least pN1mi")
    assert found["C"].startswith("cannot be determined")
    content = json.loads((out / "patients.json").read_text())
    assert content["slides_of_other_stains"] == ["k"]
    assert content["staged_at"]
    assert not result.complete


@pytest.mark.parametrize(("compression", "reader"), [("jpeg", "tiff"), ("deflate", "openslide")])
def test_slide_replaced_while_it_is_read_fails(
    compression: str, reader: str, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pixels are of one file, its fingerprint would be of another; nothing is staged on it."""
    slide = paint_slide(tmp_path / "a.tif", compression=compression)
    other = paint_slide(tmp_path / "other" / "a.tif", tumour_um=400, compression=compression)
    table = tmp_path / "m.csv"
    table.write_text("path,patient_id\na.tif,A\n")
    read_with: list[str] = []

    def replaced(opened: TileReader, **more: object) -> Examination:
        examination = examine(opened, **more)
        os.replace(other, slide)
        read_with.append(opened.slide.info.reader)
        return examination

    monkeypatch.setattr(scan, "examine", replaced)
    result = scan_table(table, tools(out))
    assert read_with == [reader]
    assert result.reports[0].status is Status.FAILED
    assert result.reports[0].flags[0].message == "the file was changed while it was read; run it again"
    assert result.reports[0].fingerprint == ""
    assert stages(out)["A"].startswith("cannot be determined")


def test_stage_of_a_stopped_run_rests_on_nothing_older(tmp_path: Path, out: Path) -> None:
    """Patients staged by an earlier run in this folder are undetermined again as soon as the next one begins."""
    paint_slide(tmp_path / "a.tif")
    path = tmp_path / "m.csv"
    path.write_text("path,patient_id\na.tif,A\n")
    assert scan_table(path, tools(out)).complete
    assert stages(out)["A"].startswith("pN0")
    with pytest.raises(KeyboardInterrupt):
        scan_table(path, tools(out, ColourPredictor(KeyboardInterrupt())))
    assert stages(out)["A"].startswith("cannot be determined")


def test_reviewed_stages_are_kept_beside_a_runs_own(tmp_path: Path, out: Path) -> None:
    """A reader's work is moved and named, not overwritten, by a run over the same manifest."""
    paint_slide(tmp_path / "a.tif")
    path = tmp_path / "m.csv"
    path.write_text("path,patient_id\na.tif,A\n")
    scan_table(path, tools(out))
    reviewed = '{"patients": [{"patient_id": "A", "corrections": [{"by": "Dr A"}]}]}'
    (out / "patients.json").write_text(reviewed)
    scan_table(path, tools(out))
    assert (out / "patients-before-1" / "patients.json").read_text() == reviewed
    assert stages(out)["A"].startswith("pN0")


def test_review_made_while_a_run_goes_on_is_kept_beside_its_stages(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slide a is done and reviewed while b is scanned: the run's end moves the review aside, and says so."""
    (tmp_path / "m.csv").write_text("path,patient_id\na.tif,A\nb.tif,B\n")
    paint_slide(tmp_path / "a.tif", tumour_um=400)
    paint_slide(tmp_path / "b.tif")
    review = tmp_path / "review.csv"
    review.write_text("slide_id,deposit_id,action,by\na,1,reject,Dr A\n")
    table = read_slide_rows(tmp_path / "m.csv")
    given, told = tools(out), Listener()

    def reviewed(ref: SlideRef, viewer: Viewer) -> SlideReport:
        if ref.slide_id == "b":
            write_staging(stage_reports(read_reports(out), table, AJCC8, corrections=read_corrections(review)), out)
        return given.executor.scan(ref, viewer)

    refs = manifest_slides(table, mpp_um=None, override_mpp=False)
    scan_manifest(table, refs, replace(given, executor=Instead(reviewed), viewer=told), ResumeOutcome())
    (aside,) = out.glob("patients-before-*")
    assert "Dr A" in (aside / "patients.json").read_text()
    assert [text for text in told.notes if "the reviewed stages were moved to patients-before-1" in text]
    assert stages(out)["A"].startswith("pN1mi")

    def refuse(path: Path, target: Path) -> Path:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def locked(ref: SlideRef, viewer: Viewer) -> SlideReport:
        report = reviewed(ref, viewer)
        if ref.slide_id == "b":
            monkeypatch.setattr(Path, "rename", refuse)
        return report

    result = scan_manifest(table, refs, replace(given, executor=Instead(locked), viewer=Listener()), ResumeOutcome())
    assert [line for line in result.unwritten if "get write permission" in line]
    assert "Dr A" in (out / "patients.json").read_text()


def test_stale_report_of_a_slide_that_fails_now_is_not_staged(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses the new report: the old one, negative, is gone, nothing leads there, and the patient isn't."""
    paint_slide(tmp_path / "a.tif")
    path = tmp_path / "m.csv"
    path.write_text("path,patient_id\na.tif,A\n")
    scan_table(path, tools(out))

    def full(result: SlideResult, folder: Path, names: Sequence[str], **_: object) -> None:
        raise OutputError(f"{folder}/report.json: can't be written (No space left on device); free some space")

    monkeypatch.setattr(slide_task, "write_reports", full)
    scan_table(path, tools(out))
    assert not (out / "a" / "report.json").exists()
    assert not (out / "a" / "report.html").exists()
    assert "./a/report.html" not in (out / "summary.html").read_text()
    assert stages(out)["A"].startswith("cannot be determined")


def test_where_no_file_can_be_written_none_names_an_older_class(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slide is scanned again and nothing has room: no index, table, page, outlines or stages say "micro" still.

    run.json alone has room, without which no run begins. The older report.json lies where no command takes it for a
    result, for the next report that replaces it.
    """
    refs = slides(paint_slide(tmp_path / "a.tif", tumour_um=400))
    (tmp_path / "m.csv").write_text("path,patient_id\na.tif,A\n")
    scan_table(tmp_path / "m.csv", tools(out, names=CHOICES))
    slide, run = {"report.json", "report.html", "deposits.geojson"}, {"summary.csv", "summary.html"}
    assert naming_micro(out) == slide | run | {"patients.csv", "patients.json", "A.html"}
    write = Path.write_bytes

    def refuse(path: Path, data: bytes) -> int:
        if "run.json" not in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    table = read_slide_rows(tmp_path / "m.csv")
    monkeypatch.setattr(Path, "write_bytes", refuse)
    heard = Listener()
    result = scan_manifest(table, refs, replace(tools(out), viewer=heard), ResumeOutcome())
    assert naming_micro(out) == {".replaced-report.json"}
    assert any("summary.html: can't be written" in line and "was removed" in line for line in heard.errors)
    assert not result.complete


def naming_micro(folder: Path) -> set[str]:
    """The texts of a run that name the class; run.json holds settings, which name every class."""
    texts = [path for path in folder.rglob("*") if path.suffix in {".json", ".html", ".csv", ".geojson"}]
    return {path.name for path in texts if path.name != "run.json" and "micro" in path.read_text().lower()}


@pytest.mark.parametrize("name", ["list.txt", "p.csv", "P.TSV"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_table_that_is_named_as_a_slide_is_refused_before_anything_is_written(
    tmp_path: Path, name: str, encoding: str, quote: str
) -> None:
    """It lists slides, and none of them would be scanned. What a slide's bytes are named is no matter."""
    paint_slide(tmp_path / "a.tif")
    table = tmp_path / name
    table.write_text(f"{quote}slides/M\u00fcller.svs{quote}\n", encoding=encoding)
    request = BatchRequest((str(table),), tmp_path / "out", slots=0)
    with pytest.raises(UsageError, match=rf"{name}: is a text file, not a slide; give a table of slides with --manif"):
        run_batch(request, Listener())
    assert not (tmp_path / "out").exists()
    for content in (b"", (tmp_path / "a.tif").read_bytes()):
        table.write_bytes(content)
        check_no_table(slides(table))


def test_a_table_or_a_note_beside_slides_fails_in_its_own_row(tmp_path: Path) -> None:
    """A glob may find it; the slides are scanned all the same. A note that names no slide first is no list."""
    table, note, pipe = tmp_path / "list.csv", tmp_path / "note.txt", tmp_path / "pipe.csv"
    table.write_text("path\na.tif\n")
    note.write_text("not a slide\n")
    paint_slide(tmp_path / "a.tif")
    check_no_table(slides(table, tmp_path / "a.tif"))
    check_no_table(slides(note))
    os.mkfifo(pipe)  # nobody will ever write to it
    check_no_table((replace(slides(note)[0], path=pipe),))


def test_log_hears_of_patients_that_cannot_be_written(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are staged when the last slide is done, and the log is open until then."""
    scan_with(ColourPredictor(), monkeypatch)
    paint_slide(tmp_path / "a.tif")
    (tmp_path / "m.csv").write_text("path,patient_id\na.tif,A\n")
    (out / "patients.csv").mkdir()
    request = BatchRequest((), out, manifest=tmp_path / "m.csv", slots=0)
    result = run_batch(request, JsonLog(tmp_path / "log.jsonl"))
    assert not result.complete
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines[-3:]] == ["slide_finished", "error", "batch_closed"]
    assert "patients.csv" in lines[-2]["message"]


def test_patients_that_the_next_manifest_lacks_are_told(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Week 2's manifest, run into the folder of week 1: whose pages go is said, once."""
    scan_with(ColourPredictor(), monkeypatch)
    told = Listener()
    for name in ("a", "b"):
        paint_slide(tmp_path / f"{name}.tif")
        (tmp_path / "m.csv").write_text(f"path,patient_id\n{name}.tif,{name}\n")
        run_batch(BatchRequest((), out, manifest=tmp_path / "m.csv", slots=0), told)
    assert [text.partition(",")[0] for text in told.notes if "earlier stages" in text] == [
        "the earlier stages of a: removed"
    ]
    assert [page.name for page in (out / "patients").iterdir()] == ["b.html"]


def test_slides_that_lie_among_the_pages_stay_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cohort with a folder for each patient, which is the output folder, too: pages are moved, no slides."""
    scan_with(ColourPredictor(), monkeypatch)
    cohort = tmp_path / "cohort"
    first = paint_slide(cohort / "patients" / "p1" / "a.tif")
    (cohort / "manifest.csv").write_text("path,patient_id\npatients/p1/a.tif,p1\n")
    run_batch(BatchRequest((), cohort, manifest=cohort / "manifest.csv", slots=0), Listener())
    second = paint_slide(cohort / "patients" / "p1" / "b.tif")
    result = run_batch(BatchRequest((str(cohort / "patients"),), cohort, slots=0, force=True), Listener())
    assert result.complete
    assert [row["slide_id"] for row in rows(cohort)] == ["a", "b"]
    assert first.is_file()
    assert second.is_file()
    assert (cohort / "patients-before-1" / "patients" / "p1.html").is_file()
    assert not (cohort / "patients" / "p1.html").exists()


def test_old_page_that_the_disk_keeps_is_not_linked(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old report can be neither removed nor replaced: the index, whose row is a failure's, doesn't lead to it.

    Once the failure could be written it leads there.
    """
    refs = slides(paint_slide(tmp_path / "a.tif"))
    assert scan_slides(refs, tools(out), Listener()).complete

    def kept(change: Callable[..., None]) -> Callable[..., None]:
        def refuse(path: Path, *given: object, **named: object) -> None:
            if path == out / "a" / "report.json":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            change(path, *given, **named)

        return refuse

    broken = tools(out, ColourPredictor(ZeroDivisionError()))
    with monkeypatch.context() as patch:
        for owner, name in ((Path, "unlink"), (os, "replace")):
            patch.setattr(owner, name, kept(getattr(owner, name)))
        assert not scan_slides(refs, broken, Listener()).complete
    assert json.loads((out / "a" / "report.json").read_text())["status"] == "complete"
    page = (out / "summary.html").read_text()
    assert "./a/report.html" not in page
    assert "./a/overview.jpg" not in page
    scan_slides(refs, broken, Listener())
    assert "./a/report.html" in (out / "summary.html").read_text()


def test_patients_are_staged_without_json_reports(tmp_path: Path, out: Path) -> None:
    """Staging rests on the run's findings, whichever files were asked for."""
    paint_slide(tmp_path / "a.tif", tumour_um=400)
    (tmp_path / "m.csv").write_text("path,patient_id\na.tif,A\n")
    scan_table(tmp_path / "m.csv", tools(out, names=("html",)))
    assert stages(out)["A"].startswith("pN1mi")
