"""Many slides: wires concrete classes together, runs each slide, and keeps a row for every one, whatever happens."""

import os
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from nodescan.config import Config, load_config
from nodescan.domain.report import Flag, Provenance, SlideReport, SlideResult, Status
from nodescan.domain.slide import SlideRef
from nodescan.errors import NodescanError, NotASlideError, OutputError, SlideError, UnmeasurableError, UsageError
from nodescan.executors import InProcess, finished
from nodescan.inference.card import find_model
from nodescan.inference.predictor import open_predictor
from nodescan.interfaces import OpenSlideFile, TilePredictor
from nodescan.manifest import Manifest, read_manifest
from nodescan.patients.manifest_run import manifest_slides, other_stains, stage_run
from nodescan.patients.patient_files import write_staging
from nodescan.patients.restage import Staging
from nodescan.progress import Viewer
from nodescan.reports import CHOICES, write_reports
from nodescan.reports.csv_report import write_summary
from nodescan.reports.files import output_errors
from nodescan.run_record import RunRecord, versions
from nodescan.scan import scan_slide
from nodescan.slides import open_slide
from nodescan.slides.discovery import find_slides

SUMMARY_CSV = "summary.csv"
RUN_LOG = "run.log"
FAILURE_REPORTS = ("json", "html")
"""What is written of a slide that couldn't be used: there is a report always."""


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What the user asked for. inputs: files, folders or globs, none where a manifest names the slides.

    config, model: None for the packed ones. mpp_um: spacing at level 0 for slides without one. reports: of CHOICES.
    command: the words as typed.
    """

    inputs: tuple[str, ...]
    folder: Path
    manifest: Path | None = None
    config: Path | None = None
    model: str | None = None
    device: str = "auto"
    mpp_um: float | None = None
    override_mpp: bool = False
    reports: tuple[str, ...] = CHOICES
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tools:
    """What every slide of a run is scanned with."""

    folder: Path
    open_slide: OpenSlideFile
    predictor: TilePredictor
    config: Config
    reports: tuple[str, ...]
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A report for every slide, in the order asked for. staging: the patients, where a manifest named the slides.

    unwritten: why a file of the whole run could not be written.
    """

    folder: Path
    reports: tuple[SlideReport, ...]
    unwritten: tuple[str, ...] = ()
    staging: Staging | None = None

    @property
    def summary(self) -> Path:
        return self.folder / SUMMARY_CSV

    @property
    def complete(self) -> bool:
        """Whether every slide was read whole, every patient has one stage, and all of it was written."""
        staged = self.staging is None or self.staging.complete
        return staged and not self.unwritten and all(report.status is Status.COMPLETE for report in self.reports)


def run_batch(request: BatchRequest, viewer: Viewer) -> BatchResult:
    """Scan every slide asked for. Raises NodescanError, before any work, where the request itself can't be met."""
    config = load_config(request.config)
    names = report_names(request.reports)
    manifest, refs = _wanted(request)
    prepare_folder(request.folder)
    predictor = open_predictor(find_model(request.model), device=request.device)
    viewer.note(f"model {predictor.model.name} on {predictor.device}, {predictor.precision}")
    tools = Tools(
        folder=request.folder,
        open_slide=open_slide,
        predictor=predictor,
        config=config,
        reports=names,
        command=request.command,
    )
    return scan_all(refs, tools, viewer) if manifest is None else scan_manifest(manifest, refs, tools, viewer=viewer)


def scan_manifest(manifest: Manifest, refs: Sequence[SlideRef], tools: Tools, *, viewer: Viewer) -> BatchResult:
    """Scan `refs`, the slides of `manifest`, and stage its patients.

    The patients' files are there from the start, with every slide unread: a run that is killed leaves no stage
    of an earlier run behind.
    """
    left = other_stains(manifest)
    if left:
        viewer.note(f"not H&E, so not scanned: {', '.join(left)}")
    _write_patients((), manifest, tools.folder, viewer)
    result = scan_all(refs, tools, viewer)
    staging, unwritten = _write_patients(result.reports, manifest, tools.folder, viewer)
    return replace(result, staging=staging, unwritten=(*result.unwritten, *unwritten))


def scan_all(refs: Sequence[SlideRef], tools: Tools, viewer: Viewer) -> BatchResult:
    """Scan `refs`; summary.csv is rewritten after every slide, so that a run that is killed keeps its rows."""
    record = RunRecord(tools.folder, tools.command, tools.config, tools.predictor, tools.reports)
    record.write("running", len(refs), ())
    done: dict[str, SlideReport] = {}
    state = "interrupted"
    unwritten: list[str] = []
    viewer.batch_started(len(refs))
    try:
        work = partial(scan_one, tools=tools, viewer=viewer)
        for report in finished(InProcess(), work, refs):
            done[report.slide.slide_id] = report
            unwritten = _attempt(partial(_write_rows, refs, done, tools.folder), viewer)
        state = "finished"
    finally:
        reports = _in_order(refs, done)
        unwritten += _attempt(partial(record.write, state, len(refs), reports), viewer)
        viewer.close()
    return BatchResult(tools.folder, reports, tuple(unwritten))


def scan_one(ref: SlideRef, *, tools: Tools, viewer: Viewer) -> SlideReport:
    """Scan one slide and write its reports; whatever goes wrong becomes a report that says so."""
    started, clock = datetime.now(UTC), time.monotonic()
    try:
        result = scan_slide(
            ref,
            open_slide=tools.open_slide,
            predictor=tools.predictor,
            settings=tools.config.settings,
            progress=viewer,
        )
        report = _with_config(result.report, tools.config)
        write_reports(replace(result, report=report), tools.folder / ref.slide_id, tools.reports)
    except NodescanError as error:
        status = Status.UNMEASURABLE if isinstance(error, UnmeasurableError) else Status.FAILED
        report = _failure(ref, status, _flag(error, tools.folder))
        viewer.error(str(error))
    except Exception as error:  # the one broad except: a defect in the program may cost a slide, never the batch
        report = _failure(ref, Status.FAILED, _internal_error(error))
        _keep_traceback(ref, error, tools.folder, viewer)
    seconds = time.monotonic() - clock
    if report.status in (Status.FAILED, Status.UNMEASURABLE):
        report = replace(report, model=tools.predictor.model, provenance=_provenance(tools, started, seconds))
        folder = tools.folder / ref.slide_id
        _attempt(partial(write_reports, SlideResult(report), folder, FAILURE_REPORTS), viewer)
    viewer.slide_finished(report, seconds)
    return report


def report_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names, once each. Raises UsageError on one that isn't offered, and where there are none."""
    unknown = [name for name in names if name not in CHOICES]
    if unknown or not names:
        wrong = f"no report is called {', '.join(map(repr, unknown))}" if unknown else "no report is named"
        raise UsageError(f"--reports: {wrong}; choose from {','.join(CHOICES)}")
    return tuple(dict.fromkeys(names))


def prepare_folder(folder: Path) -> None:
    """Make the run's folder and try to write there, before an hour's work rather than after. Raises OutputError."""
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def _wanted(request: BatchRequest) -> tuple[Manifest | None, tuple[SlideRef, ...]]:
    """The slides asked for, and the manifest where one names them."""
    if (request.manifest is None) == (not request.inputs):
        given = "both are given" if request.inputs else "neither is given"
        raise UsageError(f"run: name slide files, folders or globs, or give --manifest CSV, one of the two; {given}")
    mpp_um, override = request.mpp_um, request.override_mpp
    if request.manifest is None:
        return None, find_slides(request.inputs, mpp_um=mpp_um, override_mpp=override)
    manifest = read_manifest(request.manifest)
    return manifest, manifest_slides(manifest, mpp_um=mpp_um, override_mpp=override)


def _write_patients(
    reports: Sequence[SlideReport], manifest: Manifest, folder: Path, viewer: Viewer
) -> tuple[Staging, list[str]]:
    """patients.csv, patients.json and the pages, as far as they can be written, and why not."""
    staging = stage_run(reports, manifest, folder)
    return staging, _attempt(lambda: _write_staging(staging, folder), viewer)


def _write_staging(staging: Staging, folder: Path) -> None:
    write_staging(staging, folder)


def _write_rows(refs: Sequence[SlideRef], done: dict[str, SlideReport], folder: Path) -> None:
    write_summary(_in_order(refs, done), folder / SUMMARY_CSV)


def _in_order(refs: Sequence[SlideRef], done: dict[str, SlideReport]) -> tuple[SlideReport, ...]:
    return tuple(done[ref.slide_id] for ref in refs if ref.slide_id in done)


def _attempt(write: Callable[[], None], viewer: Viewer) -> list[str]:
    """Write where possible; a disk that is full is told and outlived. What went wrong, or nothing."""
    try:
        write()
    except OutputError as error:
        viewer.error(str(error))
        return [str(error)]
    return []


def _with_config(report: SlideReport, config: Config) -> SlideReport:
    """What a scan can't know is added here: the name of the settings it was handed, and what is installed."""
    if report.provenance is None:
        return report
    return replace(report, provenance=replace(report.provenance, config_sha256=config.sha256, versions=versions()))


def _failure(ref: SlideRef, status: Status, flag: Flag) -> SlideReport:
    return SlideReport(slide=ref, status=status, metastasis=None, at_least=False, flags=(flag,))


def _flag(error: NodescanError, folder: Path) -> Flag:
    """In a report, files are named from the run's folder on: where that lies is nobody else's business."""
    if isinstance(error, SlideError):
        message = f"{error.reason}; {error.remedy}" if error.remedy else error.reason
    else:
        message = str(error).replace(f"{folder}{os.sep}", "")
    match error:
        case UnmeasurableError():
            code = "unmeasurable"
        case NotASlideError():
            code = "not_a_slide"
        case SlideError():
            code = "unreadable"
        case OutputError():
            code = "not_written"
        case _:
            code = "failed"
    return Flag(code, message)


def _internal_error(error: Exception) -> Flag:
    """The exception's own text stays in the log: it may hold paths."""
    kind = type(error).__name__
    return Flag("internal_error", f"a defect in nodescan ({kind}) stopped this slide; please report it with {RUN_LOG}")


def _keep_traceback(ref: SlideRef, error: Exception, folder: Path, viewer: Viewer) -> None:
    viewer.error(f"{ref.path.name}: {_internal_error(error).message}")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with suppress(OSError), (folder / RUN_LOG).open("a", encoding="utf-8") as log:
        log.write(f"{now} {ref.slide_id}\n{''.join(traceback.format_exception(error))}\n")


def _provenance(tools: Tools, started: datetime, seconds: float) -> Provenance:
    """Of a slide that was never read, so without a fingerprint."""
    return Provenance(
        versions=versions(),
        config_sha256=tools.config.sha256,
        slide_fingerprint="",
        device=tools.predictor.device,
        precision=tools.predictor.precision,
        started=started.isoformat(timespec="seconds"),
        seconds=seconds,
    )
