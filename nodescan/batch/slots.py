"""A slot of this machine: one worker process at a time for its slides, replaced if it is lost."""

from threading import Lock

from nodescan.batch.progress import Viewer
from nodescan.batch.record import keep_in_log
from nodescan.batch.worker_messages import ScanJob
from nodescan.batch.workers import Opened, Worker
from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.errors import CrowdedError, DisplacedError, StalledError, WorkerDiedError, WorkerError


class Slot:
    """One worker at a time, started anew where it was lost. Safe to call from several threads.

    worker: one that was started already, None: it is started when the slot is first needed. device: what its last slide
    was scanned on, "" before the first. slides: how many it has now, which LocalSlots counts.
    """

    def __init__(
        self, job: ScanJob, number: int, *, stall_s: float, threads: int | None, worker: Worker | None = None
    ) -> None:
        self._job, self._number, self._stall_s = job, number, stall_s
        self._threads, self._worker = threads, worker
        self._opened: Opened | None = None
        self.device, self.slides = "", 0
        self._ended = False
        self._lock, self._opening = Lock(), Lock()

    def open(self) -> tuple[Worker, Opened]:
        """Have a worker ready. Raises ModelError, DeviceError or WorkerError where none can be had."""
        with self._opening:
            worker = self._worker
            if worker is not None and self._opened is not None and worker.alive():
                return worker, self._opened
            try:
                worker = worker if worker is not None and self._opened is None else self._renewed()
                self._opened = worker.open(self._job, self._number, stall_s=self._stall_s)
            except WorkerError:  # a moment without memory is no reason to give up a night's work
                worker = self._renewed()
                self._opened = worker.open(self._job, self._number, stall_s=self._stall_s)
            return worker, self._opened

    def scan(self, worker: Worker, ref: SlideRef, viewer: Viewer) -> SlideReport:
        """Scan a slide with the worker of open(). Raises what Worker.scan() raises."""
        try:
            return worker.scan(ref, viewer, stall_s=self._stall_s)
        except (CrowdedError, DisplacedError):
            raise
        except (WorkerDiedError, StalledError) as error:
            words = worker.last_words()
            worker.end()
            if not self._ended:
                keep_in_log(self._job.folder, ref.slide_id, f"{error.reason}\n{words}")
            raise

    def end(self) -> None:
        """End the worker now, and start no other."""
        with self._lock:
            self._ended = True
            if self._worker is not None:
                self._worker.end()

    def _renewed(self) -> Worker:
        """Another worker, or the first. Raises WorkerError where none can be started."""
        with self._lock:
            if self._worker is not None:
                self._worker.end()
            if self._ended:
                raise WorkerError("the run was stopped")
            self._opened = None
            self._worker = Worker(threads=self._threads)
            return self._worker
