"""One slide of a batch: scanned and its reports written; whatever goes wrong becomes a report that says so."""

import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nodescan.batch.executors import SlideExecutor
from nodescan.batch.progress import Viewer
from nodescan.batch.record import RUN_LOG, keep_in_log, versions
from nodescan.batch.slide_folders import keep_replaced, remove_older
from nodescan.batch.worker_messages import ScanJob
from nodescan.config import Config
from nodescan.domain.class_bounds import failed_if_unread
from nodescan.domain.flags import Flag
from nodescan.domain.maps import Picture
from nodescan.domain.report import Asked, Provenance, SlideReport, SlideResult, Status
from nodescan.domain.slide import SlideRef
from nodescan.errors import (
    CrowdedError,
    DeviceLostError,
    LockLostError,
    ModelError,
    NodescanError,
    OutputError,
    SlideError,
    TooLargeError,
    UnmeasurableError,
    WorkerError,
    more_memory,
)
from nodescan.interfaces import KnownTissue, OpenSlideFile, PredictorFacts, TilePredictor
from nodescan.overview import picture_of_failed
from nodescan.reports import write_reports
from nodescan.scan import ScanTools, scan_slide
from nodescan.slide_queue import Turn, alone
from nodescan.slides.files import fingerprint_here, state_of

if TYPE_CHECKING:  # not in a worker
    from nodescan.batch.request import BatchRequest

FAILURE_REPORTS = ("json", "html")
"""The reports of a slide that couldn't be used: there is always a report."""


_NO_MEMORY = ("memory ran out", "can't allocate memory")
"""How nodescan, for OpenVINO, and torch's allocator put it."""


@dataclass(frozen=True, slots=True)
class ReportTools:
    """What a slide's report is written with, in whichever process. config: the job's, read."""

    job: ScanJob
    predictor: PredictorFacts
    config: Config


@dataclass(frozen=True, slots=True)
class SlideTools(ReportTools):
    """What a slide is scanned with, in the process that scans it."""

    predictor: TilePredictor
    open_slide: OpenSlideFile
    known_tissue: KnownTissue | None = None


@dataclass(frozen=True, slots=True)
class RunTools(ReportTools):
    """What holds for every slide of a run, in whichever process it is scanned. viewer: who is told of the run."""

    request: "BatchRequest"
    executor: SlideExecutor
    viewer: Viewer

    def put(self, write: Callable[[], object], *, told: Sequence[str] = ()) -> list[str]:
        """`write_or_tell`, of a file of the whole run. Raises LockLostError where its folder is no longer its own."""
        self.job.may_write()
        return write_or_tell(write, self.viewer, told=told)


def scan_one(ref: SlideRef, viewer: Viewer, *, tools: SlideTools, turn: Turn | None = None) -> SlideReport:
    """Scan one slide and write its reports; whatever goes wrong becomes a report that says so.

    turn: see scan_slide. Raises LockLostError, and writes nothing, where the folder is no longer this run's; and
    DeviceLostError or CrowdedError, writing nothing either, where the GPU failed or memory ran out beside another
    slide: nothing is wrong with the slide, and another process, or this one when it is alone, may scan it.
    """
    turn, clock = turn or alone(), time.monotonic()
    job = tools.job
    asked = asked_of(ref, job)
    provenance = _provenance(tools, asked)
    failure: SlideResult | None = None
    try:
        with _crowding(ref, turn):
            given = ScanTools(tools.open_slide, tools.predictor, tools.config.settings, tools.known_tissue)
            result = scan_slide(ref, given, progress=viewer, turn=turn)
            if state_of(ref.path) != asked.slide_state:  # the pixels may be of one file, the fingerprint of another
                raise SlideError(ref.path.name, "the file was changed while it was read", "run it again")
            read = replace(provenance, slide_fingerprint=result.fingerprint, precision=result.precision)
            made = replace(result.report, provenance=replace(read, seconds=_seconds(clock, turn)))
            report = failed_if_unread(made, job.max_unread_percent)
            _write(replace(result, report=report), tools, job.reports)
        if report.status is Status.FAILED:
            viewer.error(_with_id(ref, f"{ref.path.name}: {report.flags[0].message}"))
    except (LockLostError, DeviceLostError, CrowdedError):
        raise
    except NodescanError as error:
        status = Status.UNMEASURABLE if isinstance(error, UnmeasurableError) else Status.FAILED
        report = _failure(ref, status, _flag(error, tools.job.folder))
        viewer.error(_with_id(ref, str(error)))
        failure = SlideResult(report, overview=None if isinstance(error, OutputError) else _glimpse(ref, tools))
    except Exception as error:  # a defect in the program may cost a slide, never the batch
        report = _failure(ref, Status.FAILED, _told_defect(ref, error, tools.job.folder, viewer))
        failure = SlideResult(report, overview=_glimpse(ref, tools))
    took_s = _seconds(clock, turn)
    if failure is not None:
        told = replace(provenance, slide_fingerprint=_fingerprint(ref, asked), seconds=took_s)
        report = _written_failure(failure, tools, told, viewer=viewer)
    viewer.slide_finished(report, took_s)
    return report


def asked_of(ref: SlideRef, job: ScanJob) -> Asked:
    """What is asked of the slide, whose files are looked at now."""
    return Asked(state_of(ref.path), ref.place, ref.mpp_um, ref.override_mpp, job.max_unread_percent, job.reports)


def _seconds(clock: float, turn: Turn) -> float:
    """Since then, by time.monotonic(), without what the slide waited for others."""
    return time.monotonic() - clock - turn.waited_s


def spoils_its_process(report: SlideReport) -> bool:
    """Whether the process that made it gets no other slide, because something broke in it, a GPU's context say."""
    return any(flag.code in ("internal_error", "model_failed") for flag in report.flags)


def lost_slide(ref: SlideRef, error: SlideError, *, tools: ReportTools, viewer: Viewer) -> SlideReport:
    """The report on a slide whose process ended or was ended, and so could not write it."""
    viewer.error(_with_id(ref, str(error)))
    failure = SlideResult(_failure(ref, Status.FAILED, _flag(error, tools.job.folder)))
    # Without a look at the file: on a disk that hangs this process would hang too.
    job = tools.job
    asked = Asked("", ref.place, ref.mpp_um, ref.override_mpp, job.max_unread_percent, job.reports)
    report = _written_failure(failure, tools, _provenance(tools, asked), viewer=viewer)
    viewer.slide_finished(report, 0.0)
    return report


def not_scanned(refs: Iterable[SlideRef], error: NodescanError, folder: Path) -> dict[str, SlideReport]:
    """slide_id -> what the table says of a slide that the run's end, by `error`, left without a result.

    No report is written of it: nothing was found out about the slide. So its flag isn't that of the error.
    """
    why = _flag(error, folder).message
    flag = Flag(NodescanError.code, f"the run ended before its result was there: {why}")
    return {ref.slide_id: _failure(ref, Status.FAILED, flag) for ref in refs}


def write_or_tell(write: Callable[[], object], viewer: Viewer, *, told: Sequence[str] = ()) -> list[str]:
    """Write if possible. A full disk or a lack of threads is told, but isn't raised. Returns what went wrong, or
    nothing.

    told: messages that were told before, and aren't told again.
    """
    try:
        write()
    except (OutputError, WorkerError) as error:
        if str(error) not in told:
            viewer.error(str(error))
        return [str(error)]
    return []


@contextmanager
def _crowding(ref: SlideRef, turn: Turn) -> Iterator[None]:
    """Raises CrowdedError where memory or threads run out, and another slide of this process may have taken them."""
    try:
        yield
    except (MemoryError, TooLargeError, WorkerError, ModelError, RuntimeError) as error:
        if not turn.accompanied or not _is_shortage(error):
            raise
        raise CrowdedError(ref.path.name, "memory ran out beside another slide") from error


def _is_shortage(error: Exception) -> bool:
    """Whether it says that memory or threads ran out: OpenVINO and torch do so in words alone."""
    said = isinstance(error, (ModelError, RuntimeError)) and any(words in str(error).lower() for words in _NO_MEMORY)
    return said or isinstance(error, (MemoryError, TooLargeError, WorkerError))


def _with_id(ref: SlideRef, line: str) -> str:
    """The line, with the slide's id behind the file's name where the name isn't enough: two files may share it."""
    name = ref.path.name
    if name.startswith(ref.slide_id) or not line.startswith(f"{name}: "):
        return line
    return f"{name} ({ref.slide_id}){line.removeprefix(name)}"


def _write(result: SlideResult, tools: ReportTools, names: tuple[str, ...]) -> None:
    """The slide's folder, while the run's folder is still this run's. Raises OutputError and LockLostError."""
    job, report = tools.job, result.report

    def may_move() -> None:
        job.may_write()
        keep_replaced(job.folder, report)

    job.may_write()
    write_reports(result, job.folder / report.slide.slide_id, names, may_move=may_move)


def _written_failure(
    failure: SlideResult, tools: ReportTools, provenance: Provenance, *, viewer: Viewer
) -> SlideReport:
    """The failure's report, written as far as that can be done: where a writer breaks, or there is no room for a page
    and pictures, report.json alone. Only where that can't be written either is it told why, unless that is what failed.
    """
    report = replace(failure.report, model=tools.predictor.model, provenance=provenance)
    tries = ((replace(failure, report=report), FAILURE_REPORTS), (SlideResult(report), ("json",)))
    refused: NodescanError | None = None
    for result, names in tries:
        try:
            _write(result, tools, names)
        except LockLostError:
            raise
        except (OutputError, WorkerError) as error:
            refused = error
        except Exception as error:  # a defect in a writer: the slide keeps its row, and the batch goes on
            _told_defect(report.slide, error, tools.job.folder, viewer)
        else:
            return report
    if refused is not None:
        remove_older(tools.job.folder / report.slide.slide_id)
        if _flag(refused, tools.job.folder) not in report.flags:
            viewer.error(str(refused))
    return report


def _glimpse(ref: SlideRef, tools: SlideTools) -> Picture | None:
    """A picture for the page of a slide that failed. No error here may stop its report."""
    with suppress(Exception):
        return picture_of_failed(ref, open_slide=tools.open_slide, settings=tools.config.settings.overview)
    return None


def _fingerprint(ref: SlideRef, asked: Asked) -> str:
    """Of a file that failed, so that a reader's word on it is told from one on another file of its name. "" where it
    was changed since the scan began, or can't be read now, as where memory ran out: its report may not fail too."""
    with suppress(MemoryError):
        if state_of(ref.path) == asked.slide_state:
            return fingerprint_here(ref.path) or ""
    return ""


def _failure(ref: SlideRef, status: Status, flag: Flag) -> SlideReport:
    return SlideReport(slide=ref, status=status, metastasis=None, at_least=False, flags=(flag,))


def _flag(error: NodescanError, folder: Path) -> Flag:
    """In a report, files are named relative to the run's folder, because its place is private."""
    if isinstance(error, SlideError):
        message = f"{error.in_reports}; {error.remedy}" if error.remedy else error.in_reports
    else:
        message = str(error).replace(f"{folder}{os.sep}", "")
    return Flag(error.code, message)


def _told_defect(ref: SlideRef, error: Exception, folder: Path, viewer: Viewer) -> Flag:
    """What is said of a defect in the program, or of memory that ran out. The exception's own text stays in the log:
    it may hold paths."""
    if isinstance(error, MemoryError):
        flag = Flag("failed", f"memory ran out; {more_memory()}, then run again")
    else:
        text = f"a defect in nodescan ({type(error).__name__}) stopped this slide; please report it with {RUN_LOG}"
        flag = Flag("internal_error", text)
    viewer.error(_with_id(ref, f"{ref.path.name}: {flag.message}"))
    keep_in_log(folder, ref.slide_id, "".join(traceback.format_exception(error)))
    return flag


def _provenance(tools: ReportTools, asked: Asked) -> Provenance:
    """Of a slide that is begun now, but for what reading it tells: its fingerprint, the precision, how long it took."""
    return Provenance(
        versions=versions(tools.predictor.device),
        config_sha256=tools.config.sha256,
        slide_fingerprint="",
        device=tools.predictor.device,
        precision=tools.predictor.precision,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=0.0,
        asked=asked,
    )
