"""Opens what a run scans its slides with: this process, worker processes of this machine, or those of a cluster."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from nodescan.batch.copy_folder import CopyFolder
from nodescan.batch.executors import InProcess, LocalSlots, SlideExecutor
from nodescan.batch.progress import Viewer
from nodescan.batch.record import keep_in_log
from nodescan.batch.request import BatchRequest
from nodescan.batch.slide_task import RunTools, SlideTools, scan_one
from nodescan.batch.worker_messages import ScanJob
from nodescan.batch.workers import Worker
from nodescan.config import Config
from nodescan.domain.report import ModelIdentity, SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.errors import DeviceLostError, LockLostError, OutputError, UsageError, WorkerError
from nodescan.inference.card import load_card
from nodescan.interfaces import PredictorFacts
from nodescan.slides import open_slide
from nodescan.whole_files import remove_parts


@dataclass(frozen=True, slots=True)
class RemotePredictor:
    """What is known here of a network that runs in worker processes."""

    model: ModelIdentity
    device: str
    precision: str
    batch_size: int


@contextmanager
def open_run_tools(
    request: BatchRequest, job: ScanJob, config: Config, *, first: Worker | None, viewer: Viewer
) -> Iterator[RunTools]:
    """What the run scans with, its model open: here, on a cluster, or in worker processes that end with the block."""
    copy_folder = None if request.copy_to is None else CopyFolder(request.copy_to, request.stall_minutes * 60)
    asked = partial(replace, command=request.command, copy_folder=copy_folder)
    if request.slots == 0:
        predictor, _ = job.open_model(0)
        tools = SlideTools(job.folder, predictor, config, job.reports, open_slide, rules=job.rules)
        yield asked(in_this_process(tools))
        return
    model = load_card(job.model).identity()
    with _processes(request, job, first=first, viewer=viewer) as executor:
        said = executor.opened
        predictor = RemotePredictor(model, said.device, said.precision, said.batch_size)
        yield asked(in_processes(executor, job, config, predictor))


def in_this_process(tools: SlideTools) -> RunTools:
    """A run whose slides are scanned by `tools`, one after another."""
    scan = partial(_scan_here, tools=tools)
    return RunTools(
        folder=tools.folder,
        predictor=tools.predictor,
        config=tools.config,
        reports=tools.reports,
        rules=tools.rules,
        executor=InProcess(),
        pending=1,
        scan=scan,
    )


def in_processes(executor: SlideExecutor, job: ScanJob, config: Config, predictor: PredictorFacts) -> RunTools:
    """A run of `job` whose slides are scanned by the processes of `executor`, which have that predictor."""
    return RunTools(
        folder=job.folder,
        predictor=predictor,
        config=config,
        reports=job.reports,
        rules=job.rules,
        executor=executor,
        pending=executor.pending,
        scan=executor.scan,
    )


def _scan_here(ref: SlideRef, viewer: Viewer, *, tools: SlideTools) -> SlideReport:
    """As scan_one. Raises WorkerError, which ends the run, where the GPU failed: there is no other process."""
    try:
        return scan_one(ref, viewer, tools=tools)
    except DeviceLostError as error:
        keep_in_log(tools.folder, ref.slide_id, "".join(traceback.format_exception(error)))
        raise WorkerError(str(error)) from error


@contextmanager
def _processes(request: BatchRequest, job: ScanJob, *, first: Worker | None, viewer: Viewer) -> Iterator[SlideExecutor]:
    """Those that scan, of this machine or of a cluster's."""
    stall_s = request.stall_minutes * 60
    if request.scheduler is None:
        with _left_tidy(job), LocalSlots(job, slots=request.slots, stall_s=stall_s, first=first) as slots:
            yield slots
        return
    try:
        from nodescan.batch.cluster.executor import Cluster, on_cluster  # noqa: PLC0415  an extra, and slow to import
    except ImportError as error:
        remedy = "install it with: pip install '.[cluster]' in the checkout, or 'FILE.whl[cluster]' of a wheel"
        raise UsageError(f"--scheduler: Dask is not installed ({error}); {remedy}") from None
    with on_cluster(job, Cluster(request.scheduler, request.tasks_at_once, stall_s), viewer) as executor:
        yield executor


@contextmanager
def _left_tidy(job: ScanJob) -> Iterator[None]:
    """Workers that are ended in mid-slide can't clear away what they had half written: on Ctrl-C it is done here."""
    try:
        yield
    except KeyboardInterrupt:
        with suppress(OutputError, LockLostError):
            job.rules.may_write()
            remove_parts(job.folder)
        raise
