"""Dask behind the interface of concurrent.futures: this process counts the tries of each slide."""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from secrets import token_hex
from typing import Any, cast
from weakref import WeakSet

import distributed
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from nodescan.batch.cluster.connection import (
    RESTART,
    Cluster,
    check_workers,
    connected,
    first_workers,
    no_worker,
    silent_scheduler,
    tasks_on_machines,
    workers_of,
)
from nodescan.batch.cluster.processes import ClusterJob
from nodescan.batch.cluster.task import MACHINE_LOST, Attempt, Told, answered, open_here, scan_here, topic_of
from nodescan.batch.executors import TRIED_ONCE_MORE, ProcessExecutor
from nodescan.batch.progress import Viewer
from nodescan.batch.record import keep_in_log
from nodescan.batch.worker_messages import ScanJob, show_news
from nodescan.batch.workers import Opened
from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.errors import ClusterError, DiedTwiceError, LockLostError, NodescanError, SlideError, WorkerDiedError
from nodescan.inference.card import load_card, packed_models
from nodescan.slides.files import fingerprint_here
from nodescan.whole_files import output_errors, part_path

_TASKS_AT_ONCE = 256
"""How many slides the scheduler gets at a time: enough for workers that join later, without queueing a whole night's
work."""

_LOOK_EVERY_S = 5.0

_SENT_ANEW = 10
"""Times that a try which never began is handed in again: Dask gives up what waits at workers that are lost."""


@contextmanager
def on_cluster(job: ScanJob, cluster: Cluster, viewer: Viewer) -> Iterator["ClusterExecutor"]:
    """The cluster, with its workers looked at and the model open on one.

    Raises ClusterError, ModelError or DeviceError, before any slide, where it can't do the run's work.
    """
    with connected(cluster.address) as client:
        workers = first_workers(client, cluster, viewer)
        absolute = replace(job, folder=job.folder.absolute(), model=job.model.absolute())
        name = job.model.name if absolute.model.parent == packed_models() else str(absolute.model)
        model = load_card(job.model).identity()
        sent = ClusterJob(absolute, name, model, cluster.stall_s, tasks_on_machines(workers))
        check_workers(client, sent, list(workers))
        tasks = sum(worker["nthreads"] for worker in workers.values())
        machines = len({worker["host"] for worker in workers.values()})
        viewer.note(f"{cluster.address}: workers: {len(workers)}, machines: {machines}, slides at a time: {tasks}")
        executor = ClusterExecutor(client, sent, cluster, viewer)
        try:
            yield executor
        finally:
            executor.stop()


class ClusterExecutor(ProcessExecutor):
    """A thread here for each slide that the cluster has."""

    def __init__(self, client: distributed.Client, job: ClusterJob, cluster: Cluster, viewer: Viewer) -> None:
        self._client, self._job, self._cluster, self._viewer = client, job, cluster, viewer
        self._asked: WeakSet[distributed.Future[Told]] = WeakSet()
        self._unfit: dict[str, NodescanError] = {}
        self._died: dict[str, WorkerDiedError] = {}
        self._running: set[str] = set()
        self._ended: NodescanError | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        with output_errors(job.scan.folder):
            # Named like what is half written, so that the next run in the folder clears away what this one can't.
            self._markers = part_path(job.scan.folder / "tries")
            self._markers.mkdir()
        self.pending = _TASKS_AT_ONCE
        self._threads = ThreadPoolExecutor(self.pending, thread_name_prefix="cluster")
        client.subscribe_topic(topic_of(job.scan.run_id), self._progress)
        threading.Thread(target=self._watch, name="cluster-watch", daemon=True).start()
        with ExitStack() as unless_opened:
            unless_opened.callback(self.stop)
            self.opened = self._open()
            unless_opened.pop_all()

    def scan(self, ref: SlideRef, viewer: Viewer) -> SlideReport:
        """Have a slide scanned, at most twice in all, counting earlier calls for it.

        A slide whose machine was lost runs elsewhere at once. Raises WorkerDiedError where its own process died, for
        it to be tried once more, alone; DiedTwiceError after the second try; StalledError, SlideError; LockLostError
        where the run is over; and ClusterError where the cluster is.
        """
        while True:
            told = self._tried(ref)
            for message in told.said:
                show_news(message, viewer)
            if told.report is not None:
                viewer.slide_finished(told.report, told.seconds)
                return replace(told.report, slide=ref)
            error = told.error or ClusterError("a task told nothing")
            keep_in_log(self._job.scan.folder, ref.slide_id, f"{error} ({told.host})\n{told.words}")
            if not isinstance(error, WorkerDiedError):
                raise error
            first = self._died.setdefault(ref.slide_id, error)
            if first is not error:
                raise _twice(first, error)
            if not told.lost:
                viewer.note(f"{ref.path.name}: {error.reason}; {TRIED_ONCE_MORE}")
                raise error
            viewer.note(f"{ref.path.name}: {MACHINE_LOST}{_on(told.host)}; it is read again on another")

    def stop(self) -> None:
        """Have the cluster do nothing more for this run; what it is doing ends when the run's lock is gone."""
        self._end(ClusterError("the run was stopped"))
        self._threads.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._markers, ignore_errors=True)

    def _tried(self, ref: SlideRef) -> Told:
        """The outcome of one try, which begins only once. A try that didn't begin, or began on an unfit worker, is
        handed in again."""
        path = ref.path.absolute()
        try:
            seen = answered(partial(fingerprint_here, path), self._job.stall_s) or ""
        except TimeoutError:  # the machine that reads it says so, if it hangs there too
            seen = ""
        for _ in range(_SENT_ANEW):
            attempt = Attempt(replace(ref, path=path), self._markers / token_hex(8), seen)
            self._running.add(attempt.marker.name)
            try:
                told = self._result(scan_here, attempt, self._job)
            except KilledWorker:
                if attempt.marker.exists():
                    return Told(error=WorkerDiedError(ref.path.name, MACHINE_LOST), lost=True, host=_host(attempt))
                continue
            finally:
                self._running.discard(attempt.marker.name)
            if told.unfit:
                self._exclude(told)
                continue
            if told.lost:
                return replace(told, host=_host(attempt))
            with suppress(OSError):
                attempt.marker.unlink(missing_ok=True)
            if isinstance(told.error, LockLostError):
                self._job.scan.ticket.check()
                continue
            return told
        reason = f"no worker could begin with it, {_SENT_ANEW} times in turn"
        return Told(error=SlideError(ref.path.name, reason, "see the logs of the Dask workers, then run again"))

    def _open(self) -> Opened:
        """Have one worker open the model. Raises what it met, where no other can."""
        for _ in range(_SENT_ANEW):
            with suppress(KilledWorker):
                told = self._result(open_here, self._job)
                if told.opened is not None:
                    return told.opened
                self._exclude(told)
        raise ClusterError(f"{self._cluster.address}: its workers die when they open the model; see their logs")

    def _result(self, work: Callable[..., Told], *arguments: object) -> Told:
        """What the task told. Raises KilledWorker, and ClusterError where the cluster is gone or can't run the task."""
        try:
            told = self._submitted(work, *arguments)
            while not wait([told], _LOOK_EVERY_S).done:  # a scheduler that is lost may leave it without an answer
                if self._ended is not None or self._client.status == "closed":
                    told.cancel()
            return told.result()
        except KilledWorker:
            raise
        except Exception as error:  # whatever Dask, or a machine without this program, can raise
            raise self._why_over(error) from error

    def _submitted(self, work: Callable[..., Told], *arguments: object) -> Future[Told]:
        """The task, handed to a worker that didn't prove unfit.

        Not by Dask's own executor: its futures never end where a connection breaks while a result comes over it.
        """
        unfit = frozenset(self._unfit)
        fit = [address for address in self._workers() if address not in unfit] if unfit else None
        loop: asyncio.AbstractEventLoop = cast("Any", self._client.loop).asyncio_loop

        async def outcome(asked: "distributed.Future[Told]") -> Told:
            return await asked

        with self._lock:
            if self._ended is not None:
                raise self._ended
            resources = self._cluster.resources
            asked = self._client.submit(work, *arguments, pure=False, retries=0, resources=resources, workers=fit)
            self._asked.add(asked)
        return asyncio.run_coroutine_threadsafe(outcome(asked), loop)

    def _exclude(self, told: Told) -> None:
        """Give no more slides to a worker that can't scan. Raises its error where no other is left."""
        error = told.error or ClusterError(f"the worker on {told.host} can't scan")
        with self._lock:
            new = told.worker not in self._unfit
            self._unfit[told.worker] = error
        try:
            others = set(self._workers()) - set(self._unfit)
        except Exception as trouble:  # of a scheduler that is gone
            raise self._why_over(trouble) from trouble
        if not others:
            raise error
        if new:
            self._viewer.error(f"{error}; it gets no more slides, but other workers continue")

    def _workers(self) -> dict[str, Any]:
        return workers_of(self._client, self._cluster)

    def _why_over(self, error: BaseException) -> NodescanError:
        if self._ended is not None:
            return self._ended
        address = self._cluster.address
        if self._client.status != "running" or isinstance(error, CommClosedError):
            return ClusterError(f"{address}: the Dask scheduler stopped or can't be reached any more; {RESTART}")
        if isinstance(error, CancelledError):
            return ClusterError(f"{address}: the Dask scheduler gave up this run's slides; {RESTART}")
        if isinstance(error, TimeoutError):
            return silent_scheduler(self._cluster, error)
        text = " ".join(str(error.__cause__ or error).split())[:300]
        same = "install the same nodescan[cluster] for the scheduler and all workers"
        return ClusterError(f"{address}: a slide can't be handed over ({type(error).__name__}: {text}); {same}")

    def _end(self, error: NodescanError) -> None:
        """Nothing more is asked of Dask; whoever waits for it gets the error."""
        with self._lock:
            self._ended = self._ended or error
            asked = list(self._asked)
        self._over.set()
        with suppress(Exception):  # of a scheduler that is gone
            self._client.cancel(asked)

    def _watch(self) -> None:
        """End the run where no worker, or no scheduler, has been heard for as long as one may be silent."""
        heard = seen = time.monotonic()
        told = False
        while not self._over.wait(_LOOK_EVERY_S):
            try:
                here = bool(self._workers())
            except Exception as error:  # who waits for slides meets one that is gone, not one that stands still
                if time.monotonic() - heard > self._cluster.stall_s:
                    self._end(silent_scheduler(self._cluster, error))
                continue
            heard = time.monotonic()
            if here:
                seen, told = time.monotonic(), False
                continue
            if not told:
                self._viewer.note(f"{self._cluster.address}: no worker is left; waiting for another")
                told = True
            if time.monotonic() - seen > self._cluster.stall_s:
                self._end(no_worker(self._cluster))

    def _progress(self, event: tuple[float, dict[str, Any]]) -> None:
        message = event[-1]
        if message["attempt"] in self._running:  # else late news of a slide that is finished
            show_news(message, self._viewer)


def _host(attempt: Attempt) -> str:
    """The machine on which the attempt began."""
    try:
        return attempt.marker.read_text(encoding="utf-8").partition(" ")[0]
    except OSError:
        return ""


def _on(host: str) -> str:
    return f" ({host})" if host else ""


def _twice(first: WorkerDiedError, second: WorkerDiedError) -> DiedTwiceError:
    """One error for both tries, with what to do."""
    again = " twice" if first.reason == second.reason else f"; tried again, {second.reason}"
    remedy = second.remedy or "if memory ran out, give the workers more; else see their logs"
    return DiedTwiceError(second.slide, f"{first.reason}{again}", remedy)
