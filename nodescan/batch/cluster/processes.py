"""Worker processes of nodescan beside a Dask worker, kept between slides since opening a model takes seconds.

A Dask worker may not have children by multiprocessing, so each is started by name, as a slot of one machine is. It ends
with the Dask worker, with the run, or when it was idle for long.
"""

import logging
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock, Thread

import distributed
from dask.system import CPU_COUNT

from nodescan.batch.worker_messages import ScanJob
from nodescan.batch.workers import Opened, Worker
from nodescan.domain.report import ModelIdentity
from nodescan.errors import ModelError
from nodescan.inference.card import find_model, load_card

IDLE_S = 60.0
"""A process that gets no slide for so long is ended, because others need its memory and its GPU's memory, too."""

_WATCH_EVERY_S = 2.0

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClusterJob:
    """How a Dask worker scans every slide it is handed. Paths are absolute, and the same on every machine.

    scan: its model is the driver's. model: the same model's name, or its folder. identity: what must be found there.
    tasks_on: address of a Dask worker -> tasks at a time on its whole machine, of those known when the run began.
    """

    scan: ScanJob
    model: str
    identity: ModelIdentity
    stall_s: float
    tasks_on: Mapping[str, int]


@dataclass(slots=True, eq=False)
class Process:
    """A worker process for one run. slot: its number beside this Dask worker, which chooses its GPU."""

    job: ScanJob
    slot: int
    worker: Worker
    opened: Opened | None = None
    idle_since: float | None = None


@dataclass(slots=True)
class KeptProcesses:
    """The worker processes beside this Dask worker, for its several threads."""

    processes: list[Process] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)
    watcher: Thread | None = None

    def take(self, job: ClusterJob) -> Process:
        """A process with its model open. Raises ModelError, DeviceError or WorkerError where none can be had."""
        with self.lock:
            idle = [process for process in self.processes if process.idle_since is not None]
            for process in idle:
                if process.job == job.scan and process.worker.alive():
                    process.idle_since = None
                    return process
                self._end(process)  # what another run left may hold the GPU
            taken = {process.slot for process in self.processes}
            slot = next(number for number in range(len(taken) + 1) if number not in taken)
            threads = threads_of_a_task(job)
            worker = Worker(threads=threads, firmly=threads is not None)
            process = Process(job.scan, slot, worker)
            self.processes.append(process)
            self._watch()
        with ExitStack() as unless_opened:
            unless_opened.callback(self.drop, process)
            here = replace(job.scan, model=model_here(job))
            process.opened = worker.open(here, slot, stall_s=job.stall_s)
            unless_opened.pop_all()
        return process

    def give(self, process: Process) -> None:
        process.idle_since = time.monotonic()

    def drop(self, process: Process) -> None:
        with self.lock:
            self._end(process)

    def end_unwanted(self) -> None:
        """End what has been idle too long, and all of a run that is over, in the middle of a slide too."""
        with self.lock:
            processes = list(self.processes)
        over = [process for process in processes if not process.job.ticket.holds()]  # asks the disk: not under the lock
        with self.lock:
            for process in processes:
                idle_s = 0.0 if process.idle_since is None else time.monotonic() - process.idle_since
                if process in over or idle_s > IDLE_S:
                    self._end(process)

    def _end(self, process: Process) -> None:
        process.worker.end()
        if process in self.processes:
            self.processes.remove(process)

    def _watch(self) -> None:
        if self.watcher is None:
            self.watcher = Thread(target=self._watch_on, name="nodescan-watch", daemon=True)
            self.watcher.start()

    def _watch_on(self) -> None:
        """Look every few seconds; what goes wrong is told in the Dask worker's log, once, and the watch goes on."""
        told = ""
        while True:
            time.sleep(_WATCH_EVERY_S)
            try:
                self.end_unwanted()
            except Exception as error:  # a defect in the program may not leave processes without a watch
                if repr(error) != told:
                    told = repr(error)
                    _LOG.exception("nodescan: processes that nobody needs can't be ended")


def model_here(job: ClusterJob) -> Path:
    """The model's folder on this machine. Raises ModelError where it is missing or another one."""
    folder = find_model(job.model)
    if load_card(folder).identity() != job.identity:
        raise ModelError(f"{job.model}: another model than where the run was started; install the same on all machines")
    return folder


def threads_of_a_task(job: ClusterJob) -> int | None:
    """A task's share of this machine's cores; None where the user's own OMP_NUM_THREADS stands.

    Dask's nanny sets it to 1 where nobody else does, which would leave a machine of 64 cores to one.
    """
    dask_worker = distributed.get_worker()
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said and not (said == "1" and dask_worker.nanny is not None):
        return None
    tasks = max(dask_worker.state.nthreads, job.tasks_on.get(dask_worker.address, 1))
    return max(1, CPU_COUNT // tasks)
