"""Many slides: checks what was asked for, runs each slide, and keeps a row for every one, whatever happens."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from nodescan.batch.copy_folder import prepare_copy_folder
from nodescan.batch.executors import finished
from nodescan.batch.kept_slides import put_in_place, report_kept_slides
from nodescan.batch.local_copies import LocalCopies
from nodescan.batch.lock import held
from nodescan.batch.progress import Viewer
from nodescan.batch.record import MADE_WITH, RunRecord, shown_command
from nodescan.batch.request import BatchRequest, check_apart, check_no_table, check_request
from nodescan.batch.resume import MOST_NAMED, ResumeOutcome, finished_unheard, plan_forced
from nodescan.batch.run_files import RunFiles, in_order
from nodescan.batch.slide_folders import hide_mark, unmark
from nodescan.batch.slide_task import RunTools, lost_slide, not_scanned, write_or_tell
from nodescan.batch.tools import open_run_tools
from nodescan.batch.worker_messages import ScanJob
from nodescan.batch.workers import Worker
from nodescan.config import Config, check_fit, load_config
from nodescan.domain.naming import few
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.slide import SlideRef
from nodescan.domain.versions import own_settings
from nodescan.errors import NodescanError, NoRoomLeftError, UsageError
from nodescan.inference.card import find_model, load_card
from nodescan.machine import untried_system
from nodescan.manifest import Manifest
from nodescan.patients.earlier_stages import remove_unreviewed, set_aside_before
from nodescan.patients.manifest_run import manifest_slides, other_stains, stage_run
from nodescan.patients.patient_files import replace_stages
from nodescan.patients.redone_slides import move_back, move_outdated
from nodescan.patients.run_page import tell_patients
from nodescan.patients.slide_rows import read_slide_rows
from nodescan.patients.staging import Staging
from nodescan.reports import check_lengths, report_names
from nodescan.reports.csv_report import SUMMARY_CSV
from nodescan.reports.other_reports import NO_OTHERS, OtherReports
from nodescan.reports.wording import settings_words
from nodescan.slides.discovery import find_slides
from nodescan.slides.slide_ids import place_of
from nodescan.whole_files import prepare_folder, remove_parts


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A report for every slide, in the order asked for. manifest: the table that named the slides, "" without one;
    staging: its patients, None where it names none.

    unwritten: why a file of the whole run could not be written. kept: how many reports an earlier run made.
    contradicted: those of them whose files refuse the pixel size that is given now. others: reports of earlier runs in
    the folder, of slides that weren't asked for.
    """

    folder: Path
    reports: tuple[SlideReport, ...]
    unwritten: tuple[str, ...]
    kept: int
    manifest: str = ""
    staging: Staging | None = None
    contradicted: tuple[str, ...] = ()
    others: OtherReports = NO_OTHERS

    @property
    def summary(self) -> Path:
        return self.folder / SUMMARY_CSV

    @property
    def complete(self) -> bool:
        """Whether every slide was read whole, as asked for, every patient has one stage, and all of it was written."""
        staged = self.staging is None or self.staging.complete
        return (
            staged
            and not self.unwritten
            and not self.contradicted
            and all(report.status is Status.COMPLETE for report in self.reports)
        )


def run_batch(request: BatchRequest, viewer: Viewer, *, first: Worker | None = None) -> BatchResult:
    """Scan every slide asked for. Raises NodescanError, before any work, where the request itself can't be met.

    first: a worker that was started ahead of time, since starting one takes longer than all that comes before it.
    The viewer is closed at the end, however that comes.
    """
    state = "failed"
    try:
        result = _run(request, viewer, first)
        state = "finished"
    except NodescanError as error:
        viewer.run_failed(str(error))
        raise
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        viewer.close(state)
    return result


def _run(request: BatchRequest, viewer: Viewer, first: Worker | None) -> BatchResult:
    check_request(request)
    config = load_config(request.config)
    names = report_names(request.reports)
    manifest, refs = _wanted(request)
    staged = manifest if manifest is not None and manifest.names_patients else None
    check_apart(request, refs, staged=staged is not None)
    prepare_folder(request.folder)
    if request.copy_to is not None:
        prepare_copy_folder(request.copy_to)
    model = find_model(request.model)
    card = load_card(model)
    check_fit(config, card.geometry())
    with held(request.folder) as ticket:
        remove_parts(request.folder)
        check_lengths(request.folder, [ref.slide_id for ref in refs])
        job = ScanJob(
            request.folder,
            model,
            request.device,
            config.name,
            config.text,
            names,
            precision=request.precision,
            max_unread_percent=request.max_unread_percent,
            run_id=ticket.run_id,
            card_sha256=card.sha256(),
            made_with=MADE_WITH,
        )
        with open_run_tools(request, job, config, first=first, viewer=viewer) as tools:
            predictor = tools.predictor
            why = predictor.model.why_untuned
            untuned = f"; {why}: no slide will be complete" if why else ""
            wide = "" if predictor.model.uncertainty_measured else '; its "±" was not measured'
            settings = _settings_words(request, config)
            model_words = f"model {predictor.model.name} on {predictor.device}, {predictor.precision}"
            viewer.note(f"{model_words}{untuned}{wide}{settings}")
            if untried := untried_system():
                viewer.note(untried)
            forced = request.force
            earlier = plan_forced(refs, request.folder) if forced else report_kept_slides(manifest, refs, tools)
            left = () if manifest is None else other_stains(manifest)
            if left:
                viewer.note(f"not H&E, so not scanned: {few(left, MOST_NAMED)}")
            if staged is None:
                result = scan_inputs(refs, tools, earlier)
            else:
                result = scan_manifest(staged, refs, tools, earlier)
            name = "" if manifest is None else manifest.name
            return replace(result, contradicted=tuple(earlier.contradicted), manifest=name)


def scan_inputs(refs: Sequence[SlideRef], tools: RunTools, earlier: ResumeOutcome) -> BatchResult:
    """Scan `refs`, whose patients aren't known: earlier stages stay where none of their slides is scanned."""
    tools.job.may_write()
    waiting = [ref.slide_id for ref in refs if ref.slide_id not in earlier.kept]
    outdated = move_outdated(tools.job.folder, [*waiting, *earlier.hidden], tools.viewer.note)
    tools.put(partial(tell_patients, tools.job.folder))  # else summary.html has stages and links of pages that are gone
    put_in_place(earlier, tools)
    result = scan_all(refs, tools, earlier)
    if outdated is None:
        return result
    stuck = tools.put(partial(move_back, tools.job.folder, outdated, tools.viewer.note))
    return replace(result, unwritten=(*result.unwritten, *stuck))


def scan_manifest(manifest: Manifest, refs: Sequence[SlideRef], tools: RunTools, earlier: ResumeOutcome) -> BatchResult:
    """Scan `refs`, the slides of `manifest`, and stage its patients, whom it names.

    The patients' files are there from the start, with every slide unread that isn't kept: a run that is killed
    leaves no stage of an earlier run behind. Where all slides are kept, these are the files of the end, too.
    """
    unread = stage_run(in_order(refs, earlier.kept), manifest, tools.job.folder, at=datetime.now(UTC))
    tools.job.may_write()
    moved = set_aside_before(unread, tools.job.folder)
    if moved:
        tools.viewer.note(moved)
    stuck = tools.put(partial(replace_stages, unread, tools.job.folder, tools.viewer.note))
    if stuck:
        tools.put(partial(remove_unreviewed, tools.job.folder))  # else a table of this run, pages of an earlier one
    tools.put(partial(tell_patients, tools.job.folder))
    put_in_place(earlier, tools)
    try:
        result = scan_all(refs, tools, earlier)
    except NoRoomLeftError as error:
        raise NoRoomLeftError(f"{error}; it makes the patients' stages at its end") from error
    if not stuck and not earlier.hidden and len(earlier.kept) == len(refs):
        return replace(result, staging=unread)  # they are whole already, and the index was filled with them
    staging = stage_run(result.reports, manifest, tools.job.folder, at=datetime.now(UTC))
    # Stages that a user made in the meantime are moved; where they can't be, they stay.
    unwritten = tools.put(partial(replace_stages, staging, tools.job.folder, tools.viewer.note))
    unwritten += tools.put(partial(tell_patients, tools.job.folder))
    return replace(result, staging=staging, unwritten=(*result.unwritten, *unwritten))


def scan_all(refs: Sequence[SlideRef], tools: RunTools, earlier: ResumeOutcome) -> BatchResult:
    """Scan `refs`; summary.csv is rewritten after every slide, so that a run that is killed keeps its rows.

    Raises LockLostError, and writes nothing more, where the folder is no longer this run's.
    """
    tools.job.may_write()
    kept = earlier.kept
    record = RunRecord(
        tools.job.folder,
        shown_command(tools.request.command, tools.job.folder),
        tools.config,
        tools.predictor,
        tools.job.reports,
        asked=tuple(ref.slide_id for ref in refs),
        kept=frozenset(kept),
        redone=earlier.replaced,
    )
    record.write("running", in_order(refs, kept))
    files = RunFiles(refs, tools, record, kept)
    waiting = [ref for ref in refs if ref.slide_id not in kept]
    state = "interrupted"
    some_before = kept or (tools.job.folder / SUMMARY_CSV).is_file()
    files.put_rows()  # those of an earlier run are none of this one
    if some_before and waiting:
        files.put_page()
    stale = _unmark(waiting, tools)
    tools.viewer.batch_started(len(waiting))
    try:
        lost = partial(lost_slide, tools=tools, viewer=tools.viewer)
        with _scanning(waiting, tools) as scan:
            for report in finished(tools.executor, scan, waiting, lost=lost, pending=tools.executor.pending):
                files.add(report)
        state = "finished"
    except (NodescanError, KeyboardInterrupt) as error:
        left = [ref for ref in waiting if ref.slide_id not in files.done]
        if isinstance(error, NodescanError):  # what a user stops is to be gone on with, no slide failed
            files.done |= not_scanned(left, error, tools.job.folder)
        files.done |= {} if stale else finished_unheard(left, tools.job.folder)  # else an older one may stand there
        files.put_rows()
        raise
    finally:
        files.put_record(state)
        files.put_page()
    unwritten = (*stale, *files.unwritten)
    return BatchResult(tools.job.folder, files.reports, unwritten, kept=len(kept), others=files.others)


def _wanted(request: BatchRequest) -> tuple[Manifest | None, tuple[SlideRef, ...]]:
    """The slides asked for, and the manifest where one names them."""
    if (request.manifest is None) == (not request.inputs):
        given = "both are given" if request.inputs else "neither is given"
        raise UsageError(f"run: give either slide files, folders or globs, or --manifest CSV; {given}")
    mpp_um, override = request.mpp_um, request.override_mpp
    if request.manifest is None:
        found = find_slides(request.inputs, mpp_um=mpp_um, override_mpp=override)
        check_no_table(found)
        return None, _placed(found)
    manifest = read_slide_rows(request.manifest)
    return manifest, _placed(manifest_slides(manifest, mpp_um=mpp_um, override_mpp=override))


def _settings_words(request: BatchRequest, config: Config) -> str:
    """What the first line says of settings that are not the released ones; "" of those that are."""
    words = settings_words(own_settings(config.sha256))
    edited = f": the packaged {config.name} was changed" if request.config is None else ""
    return f"; {words}{edited}" if words else ""


def _placed(refs: Sequence[SlideRef]) -> tuple[SlideRef, ...]:
    """With whole paths, for the working directory may be gone before the run ends."""
    return tuple(replace(ref, path=ref.path.absolute(), place=place_of(ref.path)) for ref in refs)


def _unmark(refs: Sequence[SlideRef], tools: RunTools) -> list[str]:
    """Put report.json of slides that are redone aside, with --force for good: a run that is stopped leaves no older
    result to be taken for its own. Where one can't be moved, why."""
    take, folder = unmark if tools.request.force else hide_mark, tools.job.folder
    return [why for ref in refs for why in write_or_tell(partial(take, folder / ref.slide_id), tools.viewer)]


@contextmanager
def _scanning(refs: Sequence[SlideRef], tools: RunTools) -> Iterator[Callable[[SlideRef], SlideReport]]:
    """What the run's executor is to call for a slide: with --stage the scan of a local copy."""
    scan = partial(tools.executor.scan, viewer=tools.viewer)
    if tools.request.copy_to is None:
        with tools.executor:
            yield scan
        return
    copies = LocalCopies(refs, tools.request.copy_to, tools.viewer.note, stall_s=tools.request.stall_minutes * 60)
    with copies, tools.executor:
        try:
            yield partial(copies.scan, scan=scan)
        finally:
            copies.stop()  # before the executor waits for scans that are still ending
