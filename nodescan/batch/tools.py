"""Opens what a run scans its slides with: this process, worker processes of this machine, or those of a cluster."""

import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import ParamSpec, TypeVar

from nodescan.batch.executors import LocalSlots, SlideExecutor
from nodescan.batch.progress import Viewer
from nodescan.batch.record import keep_in_log
from nodescan.batch.request import BatchRequest
from nodescan.batch.slide_task import RunTools, SlideTools, scan_one
from nodescan.batch.worker_messages import ScanJob
from nodescan.batch.workers import Worker
from nodescan.config import Config
from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.errors import DeviceLostError, LockLostError, OutputError, UsageError, WorkerError
from nodescan.inference.known_tissue import known_tissue
from nodescan.slides import open_slide
from nodescan.slides.openslide_handles import tile_cache
from nodescan.whole_files import remove_parts

Result = TypeVar("Result")
P = ParamSpec("P")


class ThisProcess(SlideExecutor):
    """Scans slides here, one after another, with `tools`."""

    pending = 1

    def __init__(self, tools: SlideTools) -> None:
        self._tools, self.opened = tools, tools.predictor

    def submit(self, fn: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> Future[Result]:
        """Run the call now and return its Future done.

        What the call raises leaves submit() itself: an interrupt stops the batch at once, and the work handed in
        by the batch turns every failure of a slide into a result.
        """
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        future.set_result(fn(*args, **kwargs))
        return future

    def scan(self, ref: SlideRef, viewer: Viewer) -> SlideReport:
        """As scan_one. Raises WorkerError, which ends the run, where the GPU failed: there is no other process."""
        try:
            return scan_one(ref, viewer, tools=self._tools)
        except DeviceLostError as error:
            keep_in_log(self._tools.job.folder, ref.slide_id, "".join(traceback.format_exception(error)))
            raise WorkerError(str(error)) from error


@contextmanager
def open_run_tools(
    request: BatchRequest, job: ScanJob, config: Config, *, first: Worker | None, viewer: Viewer
) -> Iterator[RunTools]:
    """What the run scans with, its model open: here, on a cluster, or in worker processes that end with the block."""
    with _executor(request, job, config, first=first, viewer=viewer) as executor:
        yield RunTools(job, executor.opened, config, request, executor, viewer)


@contextmanager
def _executor(
    request: BatchRequest, job: ScanJob, config: Config, *, first: Worker | None, viewer: Viewer
) -> Iterator[SlideExecutor]:
    """What scans: this process, worker processes of this machine, or those of a cluster."""
    tile_cache(0)  # else every slide would fail
    if request.slots == 0:
        predictor, _ = job.open_model(0)
        yield ThisProcess(SlideTools(job, predictor, config, open_slide, known_tissue(job.model)))
        return
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
    cluster = Cluster(request.scheduler, stall_s, job.device)
    with on_cluster(job, cluster, viewer) as executor:
        yield executor


@contextmanager
def _left_tidy(job: ScanJob) -> Iterator[None]:
    """Workers that are ended in mid-slide can't clear away what they had half written: on Ctrl-C it is done here."""
    try:
        yield
    except KeyboardInterrupt:
        with suppress(OutputError, LockLostError):
            job.may_write()
            remove_parts(job.folder)
        raise
