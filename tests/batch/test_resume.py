"""A run again into the same folder: what is whole and the same is kept, anything else is redone and says why."""

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from nodescan import __version__, config
from nodescan.batch import kept_slides, resume, slide_task
from nodescan.batch import run as batch
from nodescan.batch.executors import LocalSlots
from nodescan.batch.lock import LOCK_FILE, held
from nodescan.batch.request import BatchRequest
from nodescan.batch.resume import ResumeOutcome, plan_resume
from nodescan.batch.run import BatchResult, run_batch
from nodescan.batch.slide_folders import hide_mark
from nodescan.batch.worker_messages import ScanJob
from nodescan.config import default_config_path, load_config
from nodescan.domain.report import RESULT_VERSION, Status
from nodescan.domain.staging import AJCC8, CAMELYON17
from nodescan.errors import LockLostError, OutputError, UsageError
from nodescan.patients.patient_files import write_staging
from nodescan.patients.slide_rows import read_slide_rows
from nodescan.patients.staging import Staging, stage_reports
from nodescan.reports import CHOICES
from nodescan.reports.json_report import SCHEMA_VERSION
from nodescan.reports.other_reports import NO_OTHERS, OtherReports
from nodescan.reports.report_reader import read_report, read_reports
from nodescan.slides.discovery import find_slides
from nodescan.whole_files import PART_SUFFIX
from tests.batch.run_tools import in_processes, in_this_process, scan_slides, slide_tools
from tests.fakes import Busy, ColourPredictor, Listener, paint_slide, scan_with
from tests.faults.accounting import rows

Run = Callable[..., BatchResult]


class Place:
    """A folder with slides, run in this process with the colour predictor."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.out, self.patch = folder, folder / "out", patch
        self.predictor = ColourPredictor()
        self.heard = Listener()

    def run(self, **asked: object) -> BatchResult:
        self.heard = Listener()
        scan_with(self.predictor, self.patch)
        request = BatchRequest(
            inputs=tuple(str(path) for path in sorted(self.folder.glob("*.tif"))), folder=self.out, slots=0
        )
        return run_batch(replace(request, **asked), self.heard)  # pyright: ignore[reportArgumentType]

    def sorted(
        self, reports: tuple[str, ...] = CHOICES, *, settings: Path | None = None, precision: str = "auto"
    ) -> ResumeOutcome:
        """What a run would keep. settings: a file, None for the packed ones."""
        refs = find_slides([str(path) for path in sorted(self.folder.glob("*.tif"))], mpp_um=None, override_mpp=False)
        tools = slide_tools(self.out, self.predictor, reports=reports)
        job = replace(tools.job, precision=precision)
        return plan_resume(refs, in_this_process(replace(tools, job=job, config=load_config(settings))))

    def redone(self) -> list[str]:
        return [text for text in self.heard.notes if "redone" in text]

    def rows(self) -> list[dict[str, str]]:
        return rows(self.out)

    def record(self) -> dict[str, object]:
        return json.loads((self.out / "run.json").read_text())


@pytest.fixture(scope="module")
def done_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One slide with tumour and one without, and a run's results beside them."""
    folder = tmp_path_factory.mktemp("done")
    paint_slide(folder / "a.tif", tumour_um=400)
    paint_slide(folder / "b.tif")
    with pytest.MonkeyPatch.context() as patch:
        Place(folder, patch).run()
    return folder


@pytest.fixture
def place(done_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A copy of what was done once, down to the times of change."""
    return Place(Path(shutil.copytree(done_once, tmp_path / "place")), monkeypatch)


def test_a_run_says_that_nobody_tried_its_system(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS, say; on Linux there is nothing to say."""
    place.run()
    assert not any("not tried" in text for text in place.heard.notes)
    monkeypatch.setattr(sys, "platform", "darwin")
    place.run()
    assert "nodescan was not tried on macOS" in place.heard.notes


def test_a_run_says_that_its_settings_are_a_users_own(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """On its first line and on the run's page; a packaged file that was edited is called so."""
    place.run()
    assert "own settings" not in place.heard.notes[0]
    assert "Own settings" not in (place.out / "summary.html").read_text()
    text, mine = default_config_path().read_text(), place.folder / "mine.yaml"
    mine.write_text(text.replace("smallest_diameter_um: 15.0", "smallest_diameter_um: 16.0"))
    known = load_config(mine).sha256[:8]
    place.run(config=mine)
    assert place.heard.notes[0].endswith(f"; own settings ({known})")
    assert f"<li>Own settings ({known})</li>" in (place.out / "summary.html").read_text()
    monkeypatch.setattr(config, "default_config_path", lambda: mine)
    place.run()
    assert place.heard.notes[0].endswith(f"; own settings ({known}): the packaged mine.yaml was changed")


def test_nothing_is_scanned_twice_and_every_row_stands(place: Place) -> None:
    """The second run opens no slide, and its rows and findings are those of the first."""
    before, files_before = place.rows(), {path: path.stat().st_mtime_ns for path in place.out.glob("*/*")}
    result = place.run()
    assert place.heard.scanned == []
    assert place.redone() == []
    assert place.rows() == before
    assert {path: path.stat().st_mtime_ns for path in place.out.glob("*/*")} == files_before
    assert result.complete
    assert result.kept == 2
    assert [report.largest_deposit_um for report in result.reports] == [
        None if not row["largest_deposit_um"] else float(row["largest_deposit_um"]) for row in before
    ]
    counts = {"asked": 2, "kept": 2, "complete": 2, "incomplete": 0, "unmeasurable": 0, "failed": 0}
    assert place.record()["slides"] == counts
    assert place.record()["state"] == "finished"


def test_a_run_of_one_slide_tells_of_the_other_s_report(place: Place) -> None:
    """On its page too; a run of all has none to tell of, but says how many reports it kept."""
    assert place.run(inputs=(str(place.folder / "a.tif"),)).others == OtherReports(1, ())
    assert "Not listed here: 1 more report of earlier runs" in (place.out / "summary.html").read_text()
    assert place.run().others == NO_OTHERS
    page = (place.out / "summary.html").read_text()
    assert "Not listed here" not in page
    assert "<li>2 reports kept from earlier runs</li>" in page
    started = place.record()["started"][:16].replace("T", " ")
    assert f"<li>Run of {started} UTC by nodescan {__version__}, result version {RESULT_VERSION}</li>" in page


def _touch(place: Place) -> None:
    os.utime(place.folder / "a.tif")


def _rewrite_a_byte(place: Place) -> None:
    """Another byte, the same size and time of change."""
    path = place.folder / "a.tif"
    state, content = path.stat(), path.read_bytes()
    assert content.count(b"tifffile.py") == 1
    path.write_bytes(content.replace(b"tifffile.py", b"tifffile.PY"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def _delete_page(place: Place) -> None:
    (place.out / "a" / "report.html").unlink()


def _cut_map(place: Place) -> None:
    path = place.out / "a" / "probability.ome.tif"
    os.truncate(path, path.stat().st_size // 2)


def _delete_mark(place: Place) -> None:
    (place.out / "a" / "report.json").unlink()


def _cut_mark(place: Place) -> None:
    path = place.out / "a" / "report.json"
    os.truncate(path, path.stat().st_size // 2)


def _write(place: Place, content: bytes) -> None:
    (place.out / "a" / "report.json").write_bytes(content)


def _change(place: Place, **change: object) -> None:
    path = place.out / "a" / "report.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


def _endless_number(place: Place) -> None:
    path = place.out / "a" / "report.json"
    path.write_text(path.read_text().replace('"id": 1,', '"id": 1e999,'))


def _older_nodescan(place: Place) -> None:
    path = place.out / "a" / "report.json"
    content = json.loads(path.read_text())
    content["provenance"] = {key: value for key, value in content["provenance"].items() if key != "result_version"}
    path.write_text(json.dumps(content))


DAMAGED = "its report is not whole (a/report.json: is damaged"


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_touch, "its file has another time or name now, but the same size and samples of its bytes (if it was copied"),
        (_rewrite_a_byte, "the slide file changed since"),
        (_delete_page, "report.html is missing"),
        (_cut_map, "probability.ome.tif is not whole"),
        (_delete_mark, "its report was not finished"),
        (_cut_mark, "its report is not whole (a/report.json: is no JSON"),
        (partial(_change, metastasis="macro", deposits=[]), f"{DAMAGED} (ValueError: class, sizes and number of foci"),
        (partial(_change, largest_deposit_um=1.0), f"{DAMAGED} (ValueError: class, sizes and number of foci"),
        (partial(_change, verdict="benign"), "its report is not whole (a/report.json: verdict"),
        (partial(_change, slide_id="b"), "it reports slide 'b'"),
        (_endless_number, DAMAGED),
        (partial(_change, tissue_area_mm2=10**400), DAMAGED),
        (partial(_change, files={"a\0b": 1}), "a\0b is missing"),
        (partial(_change, files={"\ud800": 1}), "\ud800 is missing"),
        (partial(_write, content=b"\xff\x00" * 50), "is no JSON"),
        (partial(_write, content=b""), "is no JSON"),
        (_older_nodescan, f"(result version 0, now {RESULT_VERSION})"),
    ],
)
def test_one_slide_is_to_be_redone_with_its_reason_and_the_other_kept(
    place: Place, damage: Callable[[Place], None], why: str
) -> None:
    """Whatever happened to slide or report, one line says so."""
    damage(place)
    found = place.sorted()
    assert list(found.kept) == ["b"]
    assert [slide_id for slide_id, _ in found.redone] == ["a"]
    assert why in found.redone[0][1]


def test_a_run_that_keeps_every_slide_stages_its_patients_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing changes between its beginning and its end, unless it takes back a report that a stopped run put aside."""
    table, staged, write = place.folder / "m.csv", list[Staging](), batch.replace_stages
    table.write_text("path,patient_id\na.tif,A\nb.tif,B\n")

    def counted(staging: Staging, folder: Path, tell: Callable[[str], None]) -> tuple[Path, ...]:
        staged.append(staging)
        return write(staging, folder, tell)

    monkeypatch.setattr(batch, "replace_stages", counted)
    result = place.run(inputs=(), manifest=table)
    assert staged == [result.staging]
    assert "2 of 2 patients determined" in (place.out / "summary.html").read_text()
    hide_mark(place.out / "a")
    result = place.run(inputs=(), manifest=table)
    assert (result.kept, len(staged)) == (2, 3)
    patients = json.loads((place.out / "patients.json").read_text())["patients"]
    assert all(slide["report_sha256"] for one in patients for node in one["nodes"] for slide in node["slides"])


def test_slides_that_are_redone_for_one_reason_are_told_in_one_line(place: Place) -> None:
    """Of eight, five are named; run.json has them all."""
    for name in "cdefgh":
        shutil.copy2(place.folder / "b.tif", place.folder / f"{name}.tif")
    place.run()
    place.run(max_unread_percent=1.0)
    said = [text for text in place.redone() if "--max-unread" in text]
    assert [text.partition(": redone: ")[0] for text in said] == ["a, b, c, d, e and 3 more"]
    assert [one["slide_id"] for one in json.loads((place.out / "run.json").read_text())["redone"]] == list("abcdefgh")


def test_more_reasons_than_a_screen_holds_are_counted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What most slides are redone for comes first, then as many reasons as there is room for."""
    monkeypatch.setattr(kept_slides, "_MOST_REASONS", 1)
    shutil.copy2(place.folder / "b.tif", place.folder / "c.tif")
    place.run()
    (place.out / "a" / "report.html").unlink()
    for name in "bc":
        (place.out / name / "report.json").unlink()
    place.run()
    why = "its report was not finished, or report.json was deleted"
    assert place.redone() == [f"b, c: redone: {why}", "1 more slide redone for other reasons: see redone in run.json"]


def test_what_is_redone_is_whole_again(place: Place) -> None:
    """The reason is told, the finding is the same, and the third run has nothing to do."""
    before = place.rows()
    _touch(place)
    _delete_page(place)
    result = place.run()
    assert place.heard.scanned == ["a"]
    assert [line.partition(" now")[0] for line in place.redone()] == ["a: redone: its file has another time or name"]
    assert [row["largest_deposit_um"] for row in place.rows()] == [row["largest_deposit_um"] for row in before]
    assert (result.kept, result.complete) == (1, True)
    place.run()
    assert place.heard.scanned == []


def test_a_report_of_another_file_of_that_name_is_not_replaced(place: Place) -> None:
    """Nothing is scanned or removed; the same bytes elsewhere are the same slide, and --force takes the place."""
    place.run(force=True)
    elsewhere = place.folder / "elsewhere"
    elsewhere.mkdir()
    moved = Path(shutil.copy2(place.folder / "a.tif", elsewhere))
    place.run(inputs=(str(moved),))
    assert place.heard.scanned == []
    report = (place.out / "a" / "report.json").read_bytes()
    assert b"elsewhere" not in report
    paint_slide(moved, tumour_um=500)
    with pytest.raises(
        UsageError, match=r"elsewhere/a\.tif: .*of another file with this name.*another --out, or .*--force"
    ):
        place.run(inputs=(str(moved),))
    assert (place.out / "a" / "report.json").read_bytes() == report
    assert place.run(inputs=(str(moved),), force=True).complete
    with pytest.raises(UsageError, match="another file with this name"):
        place.run()


def test_other_settings_redo_every_slide(place: Place) -> None:
    """A value that differs counts; a comment does not."""
    text = default_config_path().read_text()
    (place.folder / "same.yaml").write_text("# mine\n" + text)
    assert not place.sorted(settings=place.folder / "same.yaml").redone
    assert "smallest_diameter_um: 15.0" in text
    (place.folder / "mine.yaml").write_text(text.replace("smallest_diameter_um: 15.0", "smallest_diameter_um: 16.0"))
    found = place.sorted(settings=place.folder / "mine.yaml")
    assert found.redone == [(name, "the settings changed since (--config)") for name in "ab"]
    assert not found.kept


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"weights_sha256": "1" * 64}, "the model's weights changed since"),
        ({"card_sha256": "2" * 64}, "the model's card changed since"),
        ({"name": "other", "weights_sha256": "1" * 64}, "another model was used"),
    ],
)
def test_another_model_redoes_every_slide(place: Place, change: dict[str, str], why: str) -> None:
    """Weights, and all on the card that bears on a finding."""
    place.predictor.model = replace(place.predictor.model, **change)
    found = place.sorted()
    assert found.redone == [(name, why) for name in "ab"]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"mpp_um": 1.0, "override_mpp": True}, "another pixel size is given (--mpp)"),
        ({"max_unread_percent": 2.0}, "--max-unread was 5, is 2"),
    ],
)
def test_other_options_that_bear_on_the_result_redo(place: Place, asked: dict[str, object], why: str) -> None:
    """A spacing that is given, the share that may be unread."""
    (place.folder / "b.tif").unlink()
    place.run(**asked)
    assert place.redone() == [f"a: redone: {why}"]
    place.run(**asked)
    assert place.heard.scanned == []


def test_a_pixel_size_given_for_others_redoes_no_slide_that_has_its_own(place: Place) -> None:
    """Nor one that its file contradicts, which would leave it without a result. Nor is a result made with a given one
    lost where none is given later; another one redoes."""
    paint_slide(place.folder / "c.tif", spacing_um=None)
    place.run()
    assert place.heard.scanned == ["c"]
    place.run(mpp_um=0.95)
    assert place.heard.scanned == ["c"]
    assert not any("given earlier" in text for text in place.heard.notes)
    place.run()
    assert place.heard.scanned == []
    assert [row["status"] for row in place.rows()] == ["complete"] * 3
    said = "kept as measured with the pixel size given earlier (--force redoes them without it)"
    assert f"{said}: c 0.95 um" in place.heard.notes
    place.run(mpp_um=0.96)
    assert place.redone() == ["c: redone: another pixel size is given (--mpp)"]
    place.run(mpp_um=0.5)
    assert place.redone() == ["c: redone: another pixel size is given (--mpp)"]
    assert [row["status"] for row in place.rows()] == ["complete"] * 3
    place.run(mpp_um=0.95)
    assert not any("contradicts" in text for text in (*place.heard.notes, *place.heard.errors))


def test_a_kept_report_that_the_given_size_contradicts_is_an_error(place: Place) -> None:
    """It is no result of what was asked for, so that the run has failed as a first one would, however quiet."""
    result = place.run(mpp_um=0.5)
    assert place.heard.scanned == []
    assert [row["status"] for row in place.rows()] == ["complete"] * 2
    assert result.contradicted == ("a", "b")
    assert not result.complete
    assert (
        "kept as measured with the pixel size of their files, which --mpp contradicts: a, b; leave out --mpp for "
        "these, or add --override-mpp if the files are wrong"
    ) in place.heard.errors
    assert not any("same files and settings" in text for text in place.heard.notes)
    assert place.run().complete


def test_a_slide_whose_folder_was_removed_is_scanned_again_alone(place: Place) -> None:
    """By the name that its manifest gives it: docs/flags.md tells the reader of a slide that was not all read to."""
    table = place.folder / "slides.csv"
    table.write_text("patient_id,slide_id,path\np,one,a.tif\np,two,b.tif\n")
    place.run(inputs=(), manifest=table)
    shutil.rmtree(place.out / "one")
    assert place.run(inputs=(), manifest=table).complete
    assert place.heard.scanned == ["one"]


def test_a_kept_report_that_its_row_contradicts_is_refused(place: Place) -> None:
    """Before anything is scanned or staged; within rounding, or given for all others, it isn't the row's word."""
    table, files = place.folder / "slides.csv", {"a": "", "b": ""}

    def run(**asked: object) -> BatchResult:
        rows = "".join(f"p,{name},{name}.tif,{mpp}\n" for name, mpp in files.items())
        table.write_text(f"patient_id,node_id,path,mpp\n{rows}")
        return place.run(inputs=(), manifest=table, **asked)

    assert run().complete
    stages = (place.out / "patients.json").read_bytes()
    paint_slide(place.folder / "c.tif")
    files |= {"b": "0.5", "c": ""}
    with pytest.raises(UsageError, match=r"line 3: mpp is 0\.5, but the report of slide 'b' .* --override-mpp"):
        run()
    assert place.heard.scanned == []
    assert (place.out / "patients.json").read_bytes() == stages
    files |= {"b": ""}
    assert run(mpp_um=0.5).contradicted == ("a", "b")
    files |= {"b": "0.96"}
    assert run().contradicted == ()


def test_a_pixel_size_taken_out_of_a_manifest_rules_no_longer(place: Place) -> None:
    """Its emptied cell is meant: the slide has no size then, and says so."""
    paint_slide(place.folder / "c.tif", spacing_um=None)
    table = place.folder / "slides.csv"
    for mpp, status, scanned in (("0.95", "complete", ["c"]), ("0.95", "complete", []), ("", "unmeasurable", ["c"])):
        table.write_text(f"patient_id,node_id,path,mpp\np,1,c.tif,{mpp}\n")
        place.run(inputs=(), manifest=table)
        assert place.heard.scanned == scanned
        assert [row["status"] for row in place.rows()] == [status]
    assert place.redone() == ["c: redone: its pixel size is not given any more (the manifest's mpp)"]


def test_a_list_of_slides_keeps_reports_and_leaves_the_stages_that_rest_on_them(place: Place) -> None:
    """As a run without a manifest does; once a slide is scanned again the stages are moved."""
    patients, slides = place.folder / "patients.csv", place.folder / "list.csv"
    patients.write_text("patient_id,path\np,a.tif\np,b.tif\n")
    slides.write_text("path,stain\na.tif,\nb.tif,\nk.tif,CK\n")
    place.run(inputs=(), manifest=patients)
    stages = (place.out / "patients.json").read_bytes()
    assert place.run(inputs=(), manifest=slides).kept == 2
    assert (place.out / "patients.json").read_bytes() == stages
    assert "not H&E, so not scanned: k (CK)" in place.heard.notes
    slides.write_text("path,stain\na.tif,\nb.tif,\n" + "".join(f"k{number}.tif,CK\n" for number in range(8)))
    place.run(inputs=(), manifest=slides)
    named = "k0 (CK), k1 (CK), k2 (CK), k3 (CK), k4 (CK) and 3 more"
    assert f"not H&E, so not scanned: {named}" in place.heard.notes
    result = place.run(inputs=(), manifest=slides, force=True)
    assert (result.complete, result.staging) == (True, None)
    assert not list(place.out.glob("patients.*"))
    assert (place.out / "patients-before-1" / "patients.json").read_bytes() == stages
    why = "because reports of their slides change: a, b; run nodescan stage to make new ones"
    assert place.heard.notes.count(f"stages of earlier reports were moved to patients-before-1, {why}") == 1
    assert place.run(inputs=(), manifest=patients).kept == 2
    assert (place.out / "patients.csv").is_file()


def test_the_page_of_a_run_tells_its_patients(place: Place) -> None:
    """As long as their stages stand: a run without a manifest that keeps all reports leaves them; another doesn't."""
    table = place.folder / "slides.csv"
    table.write_text("patient_id,node_id,path,nodes_removed\np,1,a.tif,5\np,2,b.tif,5\n")
    page = place.out / "summary.html"
    assert not place.run(inputs=(), manifest=table).complete
    assert 'class="card answer summary complete undetermined"' in page.read_text(encoding="utf-8")
    place.run()
    assert 'href="./patients/p.html"' in page.read_text(encoding="utf-8")
    place.run(force=True)
    assert "patients/" not in page.read_text(encoding="utf-8")


def test_fewer_kinds_of_reports_are_there_already_and_more_are_made(place: Place) -> None:
    """All kinds were made: one of them is enough. Of a slide with one kind, all are made; report.json always is."""
    assert not place.sorted(reports=("html",)).redone
    (place.folder / "b.tif").unlink()
    place.run(reports=("html",), force=True)
    assert place.sorted().redone == [("a", "it has no csv, geojson report")]
    assert not place.sorted(reports=("json",)).redone


def test_a_disk_that_is_away_costs_no_finished_slide_its_report(place: Place, tmp_path: Path) -> None:
    """A folder of links to slides whose disk isn't there now: nothing could be scanned, so nothing is thrown away."""
    away = tmp_path / "away"
    away.mkdir()
    for path in sorted(place.folder.glob("*.tif")):
        path.rename(away / path.name)
        path.symlink_to(away / path.name)
    place.run(force=True)
    away.rename(tmp_path / "gone")
    place.run()
    assert place.redone() == []
    assert [row["status"] for row in place.rows()] == ["complete"] * 2
    assert "kept, although their files can't be read now: a, b" in place.heard.notes


def test_a_result_whose_slide_is_away_is_kept_aside_when_all_slides_are_redone(place: Place) -> None:
    """By --force, which could not make it again; of slides that are there nothing is kept."""
    here = place.folder / "disk"
    (place.folder / "a.tif").rename(here)
    (place.folder / "a.tif").symlink_to("disk")
    place.run(force=True)
    before = (place.out / "a" / "report.json").read_bytes()
    here.unlink()
    place.run(force=True)
    assert (place.out / "earlier-reports" / "a" / "report.json").read_bytes() == before
    assert [row["status"] for row in place.rows()] == ["failed", "complete"]
    assert [path.name for path in (place.out / "earlier-reports").iterdir()] == ["a"]


@pytest.mark.parametrize("marked", [True, False])
def test_outlines_of_the_same_size_are_edited_if_they_are_younger_than_all_else(place: Place, marked: bool) -> None:
    """As a class of as many letters; a run that was stopped leaves no report.json, which tells the sizes."""
    place.run()
    edited, report = place.out / "a" / "deposits.geojson", place.out / "a" / "report.json"
    before = edited.read_bytes()
    os.utime(edited, (report.stat().st_mtime + 60,) * 2)
    if not marked:
        report.unlink()
        (place.out / "b" / "report.json").unlink()
    place.run(max_unread_percent=4.0)
    kept = place.out / "earlier-reports"
    assert [path.parent.name for path in kept.glob("*/deposits.geojson")] == ["a"]
    assert (kept / "a" / "deposits.geojson").read_bytes() == before


@pytest.mark.parametrize("force", [False, True])
def test_outlines_that_somebody_edited_are_kept_aside_when_their_slide_is_redone(place: Place, force: bool) -> None:
    """They are another size than report.json says; a slide whose outlines are as written leaves nothing behind."""
    place.run()
    edited = place.out / "a" / "deposits.geojson"
    edited.write_text(edited.read_text() + "\n")
    before = edited.read_bytes()
    place.run(force=force)
    kept = place.out / "earlier-reports"
    assert [path.name for path in kept.iterdir()] == ["a"]
    assert (kept / "a" / "deposits.geojson").read_bytes() == before
    assert edited.read_bytes() != before
    said = "a: deposits.geojson was changed since the scan, so the earlier report is kept in earlier-reports/a"
    assert said in place.heard.notes
    assert [row["status"] for row in place.rows()] == ["complete"] * 2


def test_a_result_whose_slide_is_away_is_kept_aside_where_other_settings_are_asked_for(place: Place) -> None:
    """It could not be made again. It is no page's and no stage's of the new run, and the next time it is kept, too."""
    here, gone = place.folder / "disk", place.folder / "gone"
    (place.folder / "a.tif").rename(here)
    (place.folder / "a.tif").symlink_to("disk")
    place.run(force=True)
    here.rename(gone)
    before = (place.out / "a" / "report.json").read_bytes()
    place.run(max_unread_percent=4.0)
    assert place.heard.scanned == ["a", "b"]
    kept = place.out / "earlier-reports" / "a"
    assert (kept / "report.json").read_bytes() == before
    assert (kept / "report.html").is_file()
    aside, why = "earlier-reports/a", "(--max-unread was 5, is 4)"
    (said,) = [note for note in place.heard.notes if note.startswith("a: its file can't be read now")]
    assert aside in said
    assert why in said
    assert [row["status"] for row in place.rows()] == ["failed", "complete"]
    assert [(report.slide_id, report.status) for report in read_reports(place.out)] == [
        ("a", Status.FAILED),
        ("b", Status.COMPLETE),
    ]
    gone.rename(here)
    place.run()
    here.rename(gone)
    (place.out / "a" / "report.json").write_text("{")
    place.run(max_unread_percent=4.0)
    assert (place.out / "earlier-reports" / "a-2" / "report.json").read_text() == "{"
    assert (kept / "report.json").read_bytes() == before
    place.run(max_unread_percent=3.0)
    assert sorted(path.name for path in kept.parent.glob("a*")) == ["a", "a-2"]


@pytest.mark.parametrize(
    ("made", "redone"),
    [("int8, 3.60 % of the tissue in float32", True), ("float32", False), ("float32 (int8 was off by 0.5)", False)],
)
def test_a_faster_precision_is_redone_only_where_float32_is_asked_for(place: Place, made: str, redone: bool) -> None:
    """Findings are the same, so a run that leaves it open keeps whatever there is; one that asks for it has it."""
    path = place.out / "a" / "report.json"
    content = json.loads(path.read_text())
    content["provenance"]["precision"] = made
    path.write_text(json.dumps(content))
    assert not place.sorted().redone
    why = f"it was made in {made}, and --precision is float32"
    assert place.sorted(precision="float32").redone == ([("a", why)] if redone else [])
    place.run(precision="float32")
    assert place.predictor.asked_precision == "float32"
    assert place.heard.scanned == (["a"] if redone else [])


def test_force_redoes_all(place: Place) -> None:
    """And says nothing of reasons."""
    result = place.run(force=True)
    assert place.heard.scanned == ["a", "b"]
    assert place.redone() == []
    assert result.kept == 0


def test_a_new_result_version_redoes_all(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no table mixes results of two kinds."""
    monkeypatch.setattr(resume, "RESULT_VERSION", RESULT_VERSION + 1)
    found = place.sorted()
    assert not found.kept
    assert f"(result version {RESULT_VERSION}, now {RESULT_VERSION + 1})" in found.redone[0][1]


@pytest.mark.parametrize(
    ("newer", "said"),
    [
        ({"result_version": RESULT_VERSION + 1}, f"(result version {RESULT_VERSION + 1}, now {RESULT_VERSION})"),
        ({"schema_version": SCHEMA_VERSION + 1}, f"of schema version {SCHEMA_VERSION} (found {SCHEMA_VERSION + 1})"),
        (
            {"result_version": RESULT_VERSION + 1, "status": "of another kind", "deposits": None, "model": "another"},
            f"(result version {RESULT_VERSION + 1}, now {RESULT_VERSION})",
        ),
    ],
)
def test_an_older_nodescan_replaces_no_newer_report(place: Place, newer: dict[str, object], said: str) -> None:
    """It stops before any slide, names one report and the ways out; with --force the newer report is kept beside."""
    path = place.out / "a" / "report.json"
    content = json.loads(path.read_text())
    content |= {key: value for key, value in newer.items() if key in content}
    content["provenance"] |= {key: value for key, value in newer.items() if key in content["provenance"]}
    path.write_text(json.dumps(content))
    made = path.read_bytes()
    with pytest.raises(UsageError) as told:
        place.run()
    assert str(told.value).startswith("a/report.json: ")
    assert said in str(told.value)
    for way in ("use the newer nodescan that made it", "choose another --out", "scan only this slide with --force"):
        assert way in str(told.value)
    assert path.read_bytes() == made
    assert not place.heard.scanned
    place.run(force=True)
    assert _kept_aside(place) == {"a": made}


def test_all_newer_reports_are_counted_and_their_slides_named(place: Place) -> None:
    """So that a user who wants them replaced can scan these slides alone again, and not every slide of the run."""
    for name in "cd":
        shutil.copy2(place.folder / "a.tif", place.folder / f"{name}.tif")
    place.run()
    for name in "acd":
        path = place.out / name / "report.json"
        now, newer = f'"result_version": {RESULT_VERSION}', f'"result_version": {RESULT_VERSION + 1}'
        path.write_text(path.read_text().replace(now, newer))
    with pytest.raises(UsageError) as told:
        place.run()
    assert str(told.value) == (
        "3 of 4 slides have newer reports (a, c, d); a/report.json: was made by another version (result version "
        f"{RESULT_VERSION + 1}, now {RESULT_VERSION}); use the newer nodescan that made it, choose another --out, or "
        "scan only these slides with --force to replace what it found (which is then kept in earlier-reports)"
    )
    with pytest.raises(UsageError, match=r"^a/report.json: .*, or add --force to replace"):
        place.run(inputs=(str(place.folder / "a.tif"),))
    assert not place.heard.scanned


def test_what_failed_is_tried_again_and_named(place: Place) -> None:
    """run.json names it, the others are kept, and once mended it stands in the summary like them."""
    (place.folder / "c.tif").write_bytes(b"no slide")
    result = place.run()
    assert place.heard.scanned == ["c"]
    assert place.record()["redo"] == ["c"]
    assert [row["status"] for row in place.rows()] == ["complete", "complete", "failed"]
    assert not result.complete
    paint_slide(place.folder / "c.tif")
    place.run()
    assert place.heard.scanned == ["c"]
    assert place.redone() == ["c: redone: it was failed: tried again"]
    assert [row["status"] for row in place.rows()] == ["complete"] * 3
    assert place.record()["redo"] == []


def test_a_stopped_run_goes_on_where_it_was(place: Place) -> None:
    """Killed in the second slide of a forced run: the first is kept, half-written files are cleared away."""
    place.predictor = ColourPredictor(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        place.run(force=True)
    assert not (place.out / LOCK_FILE).exists()
    (place.out / ".a.0123456789ab.part").mkdir()
    (place.out / ".summary.csv.0123456789ab.part").write_text("half")
    place.predictor = ColourPredictor()
    place.run()
    assert not list(place.out.glob(".*"))
    assert [row["slide_id"] for row in place.rows()] == ["a", "b"]


def _stopped(place: Place, **asked: object) -> None:
    """A run that is stopped in its first slide, and leaves no report that a command takes for a result."""
    place.predictor = ColourPredictor(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        place.run(**asked)
    assert not list(place.out.glob("*/report.json"))
    place.predictor = ColourPredictor()


def test_a_run_with_other_settings_that_is_stopped_costs_no_older_result(place: Place) -> None:
    """Started by mistake, it is stopped at once: the next run with the settings of before scans nothing."""
    before = {path.relative_to(place.out): path.read_bytes() for path in place.out.glob("*/*")}
    for percent in (4.0, 3.0):
        _stopped(place, max_unread_percent=percent)
    assert place.run().complete
    assert place.heard.scanned == []
    assert {path.relative_to(place.out): path.read_bytes() for path in place.out.glob("*/*")} == before


def test_a_run_with_other_settings_that_goes_on_takes_no_older_result(place: Place) -> None:
    """Its reason is that of the run that was stopped, and nothing older is left."""
    _stopped(place, max_unread_percent=4.0)
    place.run(max_unread_percent=4.0)
    assert place.redone() == ["a, b: redone: --max-unread was 5, is 4"]
    assert place.heard.scanned == ["a", "b"]
    assert not list(place.out.glob("*/.*"))


def test_no_older_result_is_taken_after_force(place: Place) -> None:
    """Nor is one that a run without --force had put aside before."""
    _stopped(place, max_unread_percent=4.0)
    _stopped(place, force=True)
    place.run()
    assert place.heard.scanned == ["a", "b"]


def test_an_older_result_whose_files_changed_since_a_stopped_run_is_redone(place: Place) -> None:
    """One that is gone, and outlines that somebody edited: these are kept aside with their report."""
    _stopped(place, max_unread_percent=4.0)
    edited = place.out / "a" / "deposits.geojson"
    text = edited.read_text() + "\n"
    edited.write_text(text)
    (place.out / "b" / "report.html").unlink()
    place.run()
    assert place.heard.scanned == ["a", "b"]
    kept = place.out / "earlier-reports" / "a"
    assert (kept / "deposits.geojson").read_text() == text
    assert read_report(kept / "report.json").metastasis is not None


def test_an_older_result_is_kept_aside_where_its_slide_is_away_after_a_stopped_run(place: Place) -> None:
    """As without the stopped run, with --force too."""
    here, gone = place.folder / "disk", place.folder / "gone"
    (place.folder / "a.tif").rename(here)
    (place.folder / "a.tif").symlink_to("disk")
    for force in (False, True):
        place.run(force=True)
        _stopped(place, max_unread_percent=4.0)
        here.rename(gone)
        place.run(max_unread_percent=3.0, force=force)
        gone.rename(here)
    assert sorted(path.parent.name for path in place.out.glob("earlier-reports/a*/report.json")) == ["a", "a-2"]


def test_stages_in_which_a_slide_was_not_run_do_not_stand_beside_its_older_result(place: Place) -> None:
    """Made after a stopped run, from the report of the other slide; the next run takes the older result back."""
    manifest = place.folder / "m.csv"
    manifest.write_text("path,patient_id,node_id\na.tif,A,1\nb.tif,B,1\n")
    _stopped(place, max_unread_percent=4.0)
    place.run(inputs=(str(place.folder / "b.tif"),))
    write_staging(stage_reports(read_reports(place.out), read_slide_rows(manifest), AJCC8), place.out)
    place.run()
    assert place.heard.scanned == []
    assert not (place.out / "patients.json").exists()
    assert (place.out / "patients-before-1" / "patients.json").is_file()


def test_rows_of_slides_not_asked_for_go(place: Place) -> None:
    """The summary speaks of this run's slides, each once, in their order."""
    place.run(inputs=(str(place.folder / "b.tif"),))
    assert [row["slide_id"] for row in place.rows()] == ["b"]
    place.run(inputs=(str(place.folder / "b.tif"), str(place.folder / "a.tif")))
    assert place.heard.scanned == []
    assert [row["slide_id"] for row in place.rows()] == ["b", "a"]


def test_kept_slides_stage_their_patients(place: Place) -> None:
    """A manifest's patients rest on kept reports as on new ones."""
    manifest = place.folder / "m.csv"
    manifest.write_text("path,patient_id,node_id\na.tif,A,1\nb.tif,B,1\n")
    first = place.run(inputs=(), manifest=manifest)
    patients = (place.out / "patients.csv").read_text()
    second = place.run(inputs=(), manifest=manifest)
    assert place.heard.scanned == []
    assert second.complete
    assert first.complete
    assert (place.out / "patients.csv").read_text() == patients
    assert [row["patient_id"] for row in place.rows()] == ["A", "B"]


def test_a_disk_that_fills_leaves_no_stage_of_an_earlier_run_beside_a_new_table(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run again that is stopped, and could write of its patients the first file alone."""
    manifest = place.folder / "m.csv"
    manifest.write_text("path,patient_id,node_id\na.tif,A,1\nb.tif,B,1\n")
    assert place.run(inputs=(), manifest=manifest).complete
    assert (place.out / "patients" / "B.html").is_file()
    write = Path.write_bytes

    def refuse(path: Path, data: bytes) -> int:
        if "patients.json" in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    place.predictor = ColourPredictor(KeyboardInterrupt())
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", refuse)
        with pytest.raises(KeyboardInterrupt):
            place.run(inputs=(), manifest=manifest, force=True)
    assert not list(place.out.glob("patients.*"))
    assert not list(place.out.glob("patients/*"))
    place.predictor = ColourPredictor()
    assert place.run(inputs=(), manifest=manifest).complete
    assert (place.out / "patients" / "B.html").is_file()


def test_a_submission_is_kept_beside_the_stages_of_a_run_again(place: Place) -> None:
    """A run stages by AJCC: what stage made by CAMELYON17's table is moved, and told, though no slide is scanned."""
    manifest = place.folder / "m.csv"
    manifest.write_text("path,patient_id,node_id\na.tif,A,1\nb.tif,B,1\n")
    place.run(inputs=(), manifest=manifest)
    write_staging(stage_reports(read_reports(place.out), read_slide_rows(manifest), CAMELYON17), place.out)
    submission = (place.out / "camelyon17_submission.csv").read_bytes()
    assert place.run(inputs=(), manifest=manifest).complete
    assert [
        text
        for text in place.heard.notes
        if text.startswith("the stages by the table camelyon17 were moved to patients-before-1")
    ]
    assert (place.out / "patients-before-1" / "camelyon17_submission.csv").read_bytes() == submission
    assert json.loads((place.out / "patients.json").read_bytes())["mode"] == "ajcc8"
    assert not (place.out / "camelyon17_submission.csv").exists()


@pytest.mark.parametrize("force", [False, True])
def test_no_older_report_stands_for_a_slide_that_the_run_did_not_reach(place: Place, force: bool) -> None:
    """Stopped in the first of two that are redone: nothing older stands for them, and the kept one stays."""
    shutil.copy2(place.folder / "b.tif", place.folder / "c.tif")
    place.run()
    os.utime(place.folder / "a.tif")
    os.utime(place.folder / "c.tif")
    place.predictor = ColourPredictor(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        place.run(force=force)
    left = [] if force else ["b"]
    assert sorted(path.parent.name for path in place.out.glob("*/report.json")) == left
    assert (place.out / "summary.html").read_text().count("/report.html") == len(left)


def test_an_older_report_that_cannot_be_removed_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slide is scanned all the same, and the run is no success."""
    rename = os.replace

    def refuse(path: Path, to: Path) -> None:
        if path == place.out / "a" / "report.json" and to.parent == path.parent:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        rename(path, to)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        result = place.run(force=True)
    assert "a/report.json: can't be written (Permission denied)" in place.heard.errors[0]
    assert result.reports[1].status is Status.COMPLETE
    assert not result.complete


@pytest.mark.parametrize("how", ["taken", "folder removed"])
def test_a_run_that_lost_its_folder_stops_and_writes_nothing_more(place: Place, how: str) -> None:
    """Not the slide's report, no row, no record; the error says so, and the next slide is not begun."""
    summary, gone = place.rows(), place.folder / "gone"

    def rob() -> None:
        if how == "taken":
            (place.out / LOCK_FILE).write_text(json.dumps({"host": "elsewhere", "pid": 1, "run_id": "other"}))
        else:
            place.out.rename(gone)

    page = (place.out / "a" / "report.html").read_bytes()
    place.predictor = Busy(rob)
    with pytest.raises(LockLostError, match="this run no longer holds its output folder"):
        place.run(force=True)
    assert place.heard.scanned == []
    if how == "taken":
        assert json.loads((place.out / LOCK_FILE).read_text())["run_id"] == "other"
        (place.out / LOCK_FILE).unlink()
    else:
        assert not place.out.exists()
        gone.rename(place.out)
        (place.out / LOCK_FILE).unlink()
    assert (place.out / "a" / "report.html").read_bytes() == page
    assert not (place.out / "a" / "report.json").exists()
    assert place.record()["state"] == "running"
    assert place.rows() in (summary, [])
    assert not list(place.out.glob(".*"))


def test_a_worker_that_finds_the_lock_lost_ends_the_run(tmp_path: Path) -> None:
    """Not a failed slide and no second try: the run stops, and the winner's folder holds nothing of it."""
    for name in ("out", "model"):
        (tmp_path / name).mkdir()
    config, out = load_config(), tmp_path / "out"
    refs = find_slides([str(paint_slide(tmp_path / "a.tif", tumour_um=400))], mpp_um=None, override_mpp=False)
    with held(out) as ticket:
        opener = "tests.batch.worker_fakes:open_robbing"
        job = ScanJob(out, tmp_path / "model", "cpu", config.name, config.text, ("json",), opener, run_id=ticket.run_id)
        with LocalSlots(job, slots=1, stall_s=120) as executor:
            tools = in_processes(executor, job)
            with pytest.raises(LockLostError, match="no longer holds its output folder"):
                scan_slides(refs, tools, Listener())
    assert sorted(path.name for path in out.iterdir()) == [
        LOCK_FILE,
        "run.json",
        "settings",
        "summary.csv",
    ]  # as it began
    assert json.loads((out / LOCK_FILE).read_text())["run_id"] == "other"


def test_a_second_run_at_the_same_time_is_refused_and_harms_nothing(place: Place) -> None:
    """Started from within the first, in the middle of a slide."""
    refusals: list[str] = []

    def second() -> None:
        try:
            run_batch(BatchRequest(inputs=(str(place.folder / "b.tif"),), folder=place.out, slots=0), Listener())
        except OutputError as error:
            refusals.append(str(error))

    place.predictor = Busy(second)
    assert place.run(force=True).complete
    assert len(refusals) == 1
    assert f"process {os.getpid()} on " in refusals[0]
    assert [row["slide_id"] for row in place.rows()] == ["a", "b"]


def test_a_disk_that_refuses_in_mid_run_damages_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What names no class keeps its bytes, each slide is said to be not written, and resume works."""
    texts = ("run.json", "report.html", "deposits.geojson", "summary.csv", "summary.html")
    changed = ("report.json", ".replaced-report.json", *texts)
    before = {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()}
    write = Path.write_bytes

    def refuse(path: Path, data: bytes) -> int:
        if path.name.endswith(PART_SUFFIX) and path.is_relative_to(place.out) and "run.json" not in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", refuse)
        result = place.run(force=True)
    assert [report.status for report in result.reports] == [Status.FAILED] * 2
    assert not result.complete
    assert any("No space left on device" in line for line in place.heard.errors)
    kept = {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()}
    assert {path: data for path, data in kept.items() if path.name not in changed} == {
        path: data for path, data in before.items() if path.name not in changed
    }
    assert not list(place.out.glob("*/report.json"))
    assert place.run().complete


def test_a_size_that_overruled_the_file_is_not_kept_once_it_is_taken_back(place: Place) -> None:
    """Measured with --override-mpp, every size of the report is of a pixel size that nobody gives any more."""
    (place.folder / "b.tif").unlink()
    place.run(mpp_um=1.0, override_mpp=True)
    place.run()
    assert place.redone() == ["a: redone: another pixel size is given (--mpp)"]
    assert place.heard.scanned == ["a"]


def test_a_file_that_is_away_has_no_report_of_its_namesake_elsewhere(place: Place, tmp_path: Path) -> None:
    """a.tif of another folder may be another patient's, and can't be looked at."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.tif").symlink_to(tmp_path / "gone" / "a.tif")
    before = {path: path.read_bytes() for path in place.out.glob("*/*")}
    with pytest.raises(UsageError, match=r"a\.tif: not there now, or can't be read, .*/out/a, .*; mount its disk, "):
        place.run(inputs=(str(other / "a.tif"),))
    assert {path: path.read_bytes() for path in place.out.glob("*/*")} == before
    place.folder.joinpath("a.tif").rename(tmp_path / "away")
    (tmp_path / "gone").mkdir()
    (tmp_path / "away").rename(tmp_path / "gone" / "a.tif")
    assert place.run(inputs=(str(other / "a.tif"),)).kept == 1


def _kept_aside(place: Place) -> dict[str, bytes]:
    """Folder in earlier-reports -> its report.json, which lies there alone."""
    places = sorted((place.out / "earlier-reports").glob("*"))
    assert all([path.name for path in folder.iterdir()] == ["report.json"] for folder in places)
    return {folder.name: (folder / "report.json").read_bytes() for folder in places}


@pytest.mark.parametrize("force", [False, True])
def test_a_report_of_other_bytes_or_options_is_kept_where_a_new_one_replaces_it(place: Place, force: bool) -> None:
    """Each that was replaced, and no other slide's; run.json says which slides were redone, and why."""
    place.run(force=True)
    first = (place.out / "a" / "report.json").read_bytes()
    paint_slide(place.folder / "a.tif", tumour_um=600)
    place.run(force=force)
    assert _kept_aside(place) == {"a": first}
    why = {"a": "--force", "b": "--force"} if force else {"a": "the slide file changed since"}
    assert place.record()["redone"] == [{"slide_id": name, "why": said} for name, said in why.items()]
    second, other = ((place.out / name / "report.json").read_bytes() for name in "ab")
    place.run(max_unread_percent=4.0, force=force)
    assert _kept_aside(place) == {"a": first, "a-2": second, "b": other}
    place.run(max_unread_percent=4.0)
    assert place.record()["redone"] == []
    assert len(_kept_aside(place)) == 3


def test_a_result_is_kept_where_its_slide_fails_now(place: Place) -> None:
    """The report of the failure has no finding, and is not kept when the slide is mended."""
    place.run(force=True)
    first, slide = (place.out / "a" / "report.json").read_bytes(), place.folder / "a.tif"
    whole = slide.read_bytes()
    slide.write_bytes(b"no slide")
    assert not place.run().complete
    assert _kept_aside(place) == {"a": first}
    slide.write_bytes(whole)
    assert place.run().complete
    assert _kept_aside(place) == {"a": first}
    assert place.record()["redone"] == [{"slide_id": "a", "why": "it was failed: tried again"}]


def test_a_result_is_kept_where_the_same_file_fails_now(place: Place) -> None:
    """Its bytes are the same, by --force, but it fails, for want of memory, say; once, however often it is tried."""
    place.run(force=True)
    first = (place.out / "a" / "report.json").read_bytes()
    for _ in range(2):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(slide_task, "scan_slide", _out_of_memory)
            assert not place.run(force=True, inputs=(str(place.folder / "a.tif"),)).complete
        assert _kept_aside(place) == {"a": first}


def _out_of_memory(*_: object, **__: object) -> None:
    raise MemoryError


def test_a_report_that_a_new_scan_gives_again_is_not_kept(place: Place) -> None:
    """By --force, for a file without its time, or beside a page that was deleted; nor is what is no report."""
    place.run(force=True)
    _touch(place)
    (place.out / "b" / "report.html").unlink()
    place.run()
    assert place.heard.scanned == ["a", "b"]
    _cut_mark(place)
    place.run(max_unread_percent=4.0, inputs=(str(place.folder / "a.tif"),))
    assert _kept_aside(place) == {}


@pytest.mark.parametrize("force", [False, True])
def test_a_report_that_a_stopped_run_put_aside_is_kept_once_a_new_one_replaces_it(place: Place, force: bool) -> None:
    """Not before: no new report is there yet. Where it lay there already it is not kept twice."""
    before = {name: (place.out / name / "report.json").read_bytes() for name in "ab"}
    _stopped(place, max_unread_percent=4.0, force=force)
    assert not (place.out / "earlier-reports").exists()
    aside = place.out / "earlier-reports" / "a"
    aside.mkdir(parents=True)
    (aside / "report.json").write_bytes(before["a"])
    place.run(max_unread_percent=4.0)
    assert _kept_aside(place) == before
    assert not list(place.out.glob("*/.*"))


def test_a_report_of_an_older_version_is_kept_where_a_new_one_replaces_it(place: Place) -> None:
    """Whatever this version makes of the rest of it."""
    path = place.out / "a" / "report.json"
    content = json.loads(path.read_text())
    content["provenance"]["result_version"] = RESULT_VERSION - 1
    path.write_text(json.dumps(content | {"flags": "as of then"}))
    older = path.read_bytes()
    place.run()
    assert place.heard.scanned == ["a"]
    assert _kept_aside(place) == {"a": older}


def test_files_that_were_exchanged_are_told_as_such(place: Place) -> None:
    """Two slides had each other's name; a third file that nobody scanned has the bytes of none."""
    first, second = place.folder / "a.tif", place.folder / "b.tif"
    first.rename(place.folder / "x")
    second.rename(first)
    (place.folder / "x").rename(second)
    assert place.sorted().redone == [
        ("a", "the slide file changed since; the file now has the bytes that b had"),
        ("b", "the slide file changed since; the file now has the bytes that a had"),
    ]
    paint_slide(second, tumour_um=700)
    assert place.sorted().redone[1] == ("b", "the slide file changed since")


def test_paths_that_a_manifest_exchanges_are_told_as_such(place: Place) -> None:
    """The names are given by the table, so that other files stand under them."""
    table = place.folder / "slides.csv"
    table.write_text("slide_id,path\na,a.tif\nb,b.tif\n")
    place.run(inputs=(), manifest=table, force=True)
    table.write_text("slide_id,path\na,b.tif\nb,a.tif\n")
    with pytest.raises(UsageError, match=r"replaced; the file now has the bytes that b had; choose another"):
        place.run(inputs=(), manifest=table)


def test_a_link_where_replaced_reports_are_kept_is_told_before_a_slide_is_scanned(place: Place, tmp_path: Path) -> None:
    """No report of this folder goes elsewhere, and none is lost; a run that replaces none doesn't mind."""
    (place.out / "earlier-reports").symlink_to(tmp_path)
    assert place.run().complete
    with pytest.raises(OutputError, match="earlier-reports: is a link"):
        place.run(max_unread_percent=4.0)
    assert place.heard.scanned == []
    assert place.run().kept == 2
