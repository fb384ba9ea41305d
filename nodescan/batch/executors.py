"""Where slides run: in this process, or in worker processes, one a slot, behind the interface of concurrent.futures."""

import queue
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial
from itertools import islice
from threading import Lock
from types import TracebackType
from typing import ParamSpec, TypeVar

from nodescan.batch.progress import Viewer
from nodescan.batch.record import keep_in_log
from nodescan.batch.worker_messages import ScanJob
from nodescan.batch.workers import Opened, Worker, share_of_cores
from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.errors import (
    DeviceError,
    DiedTwiceError,
    NodescanError,
    SlideError,
    StalledError,
    WorkerDiedError,
    WorkerError,
)
from nodescan.threads import thread_errors

Item = TypeVar("Item")
Result = TypeVar("Result")
P = ParamSpec("P")

TRIED_ONCE_MORE = "it is tried once more, alone, when the other slides are done"


def spoils_its_process(report: SlideReport) -> bool:
    """Whether the process that made it gets no other slide, because something broke in it, a GPU's context say."""
    return any(flag.code in ("internal_error", "model_failed") for flag in report.flags)


class InProcess(Executor):
    """Runs a call when it is submitted and returns its Future done.

    What the call raises leaves submit() itself: an interrupt stops the batch at once, and the work handed in
    by the batch turns every failure of a slide into a result.
    """

    def submit(self, fn: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> Future[Result]:
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        future.set_result(fn(*args, **kwargs))
        return future


class SlideExecutor(Executor, ABC):
    """Has other processes scan slides, a thread here for each that runs.

    opened: what one of them said of its device. pending: how many slides it is good to hand in at a time.
    """

    opened: Opened
    pending: int
    _threads: ThreadPoolExecutor

    def submit(self, fn: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> Future[Result]:
        """Call `fn`, which calls scan(), in a thread. Raises WorkerError where none can be started."""
        with thread_errors():
            return self._threads.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        if wait:
            self.stop()

    @abstractmethod
    def stop(self) -> None:
        """Have nothing more done for this run, in the middle of slides too."""

    @abstractmethod
    def scan(self, ref: SlideRef, viewer: Viewer) -> SlideReport:
        """Have a slide scanned and its reports written; called by what was submitted.

        Raises WorkerDiedError where the slide is to be tried once more, alone, when the others are done; any other
        SlideError where it isn't; what else is raised ends the run.
        """


class Slot:
    """One worker at a time, started anew where it was lost. Not thread-safe, except for end().

    worker: one that was started already, None: it is started when the slot is first needed. device: what its last slide
    was scanned on, "" before the first.
    """

    def __init__(
        self, job: ScanJob, number: int, *, stall_s: float, threads: int | None, worker: Worker | None = None
    ) -> None:
        self._job, self._number, self._stall_s = job, number, stall_s
        self._threads, self._worker = threads, worker
        self._opened: Opened | None = None
        self.device = ""
        self._ended = False
        self._lock = Lock()

    def open(self) -> Opened:
        """Have a worker ready. Raises ModelError, DeviceError or WorkerError where none can be had."""
        worker = self._worker
        if worker is not None and self._opened is not None and worker.alive():
            return self._opened
        try:
            worker = worker if worker is not None and self._opened is None else self._renewed()
            self._opened = worker.open(self._job, self._number, stall_s=self._stall_s)
        except WorkerError:  # a moment without memory is no reason to give up a night's work
            self._opened = self._renewed().open(self._job, self._number, stall_s=self._stall_s)
        return self._opened

    def scan(self, ref: SlideRef, viewer: Viewer) -> SlideReport:
        """Scan a slide; open() comes first. Raises WorkerDiedError or StalledError."""
        worker = self._worker
        assert worker is not None
        try:
            report = worker.scan(ref, viewer, stall_s=self._stall_s)
        except (WorkerDiedError, StalledError) as error:
            words = worker.last_words()
            worker.end()
            if not self._ended:
                keep_in_log(self._job.folder, ref.slide_id, f"{error.reason}\n{words}")
            raise
        if spoils_its_process(report):
            worker.end()
        return report

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


class LocalSlots(SlideExecutor):
    """Worker processes of this machine, a thread here for each.

    slots: how many at most, None for one, or one for each GPU where there are several; those that no slide is left for
    are not started. first: a worker that was started ahead of time. Leaving the block by an exception ends the workers
    at once; nothing is left running either way.
    """

    def __init__(self, job: ScanJob, *, slots: int | None, stall_s: float, first: Worker | None = None) -> None:
        self._job, self._stall_s = job, stall_s
        threads = share_of_cores(slots)
        slot = partial(Slot, job, stall_s=stall_s, threads=threads)
        self._slots = [slot(0, worker=first), *map(slot, range(1, slots or 1))]
        self._lock = Lock()
        self._stopped = False
        self._died: set[str] = set()
        with ExitStack() as on_error:
            on_error.callback(self.stop)
            self.opened = self._open_one()
            if slots is None:
                self._slots += map(slot, range(1, self.opened.parallel))
            on_error.pop_all()
        self._free: queue.SimpleQueue[Slot | NodescanError] = queue.SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._working = len(self._slots)
        self.pending = len(self._slots) + 1
        self._threads = ThreadPoolExecutor(len(self._slots), thread_name_prefix="slot")

    def scan(self, ref: SlideRef, viewer: Viewer) -> SlideReport:
        """Scan a slide in the next free slot.

        Raises WorkerDiedError or StalledError where its process is lost, and WorkerError where no slot has a worker
        any more; while one has, the others' trouble is only told.
        """
        while True:
            slot = self._free.get()
            if isinstance(slot, NodescanError):
                self._free.put(slot)
                raise slot
            try:
                now = slot.open().device
            except NodescanError as error:
                self._give_up(error, viewer)
                continue
            if is_another_device(now, than=slot.device or self.opened.device, kind_alone=not slot.device):
                viewer.note(f"one slot continues on {now} instead of {slot.device or self.opened.device}")
            slot.device = now
            try:
                return slot.scan(ref, viewer)
            except WorkerDiedError as error:
                self._tell_once(ref, error, viewer)
                raise
            finally:
                self._free.put(slot)

    def stop(self) -> None:
        """End every worker now, in the middle of slides too."""
        self._stopped = True
        for slot in self._slots:
            slot.end()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None:
            self.shutdown(wait=False, cancel_futures=True)
            self.stop()
        self.shutdown()

    def _open_one(self) -> Opened:
        """Have one slot ready. Raises what the first met where none can be.

        One that can't stays among the others: when its turn comes it is tried again, and given up then.
        """
        met: list[NodescanError] = []
        for slot in self._slots:
            try:
                return slot.open()
            except (WorkerError, DeviceError) as error:
                met.append(error)
        raise met[0]

    def _tell_once(self, ref: SlideRef, error: WorkerDiedError, viewer: Viewer) -> None:
        with self._lock:
            told = self._stopped or ref.slide_id in self._died
            self._died.add(ref.slide_id)
        if not told:
            viewer.note(f"{ref.path.name}: {error.reason}; {TRIED_ONCE_MORE}")

    def _give_up(self, error: NodescanError, viewer: Viewer) -> None:
        with self._lock:
            self._working -= 1
            left = self._working
        if left and not self._stopped:
            viewer.error(f"one slot has stopped ({error}); {left} still {'works' if left == 1 else 'work'}")
        if not left:
            # In mid-run a device that is gone is no wrong usage, as it is at the start.
            self._free.put(error if isinstance(error, WorkerError) else WorkerError(str(error)))


def is_another_device(now: str, *, than: str, kind_alone: bool) -> bool:
    """Whether two descriptions, as "cuda:0 (NVIDIA H200)", are of two devices.

    kind_alone: two GPUs are one, since several slots may have one each.
    """
    names = [device.partition(" ")[0] for device in (now, than)]
    first, second = [name.partition(":")[0] for name in names] if kind_alone else names
    return first != second


def finished(
    executor: Executor,
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    lost: Callable[[Item, SlideError], Result],
    pending: int = 1,
) -> Iterator[Result]:
    """Each item's result as soon as it is there, with at most `pending` items handed to the executor at a time.

    The bound keeps a long batch from being queued whole: results are seen, and written down, while others run. An
    item under which its process dies is tried once more, alone, when the others are done; `lost` makes a result
    of one that dies again, and of one that can't be had otherwise.
    """
    waiting = iter(items)
    running = {executor.submit(work, item): item for item in islice(waiting, pending)}
    again: list[tuple[Item, WorkerDiedError]] = []
    while running:
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            item = running.pop(future)
            try:
                yield future.result()
            except SlideError as error:
                if isinstance(error, WorkerDiedError) and not isinstance(error, DiedTwiceError):
                    again.append((item, error))
                else:
                    yield lost(item, error)
        running |= {executor.submit(work, item): item for item in islice(waiting, len(done))}
    for item, first in again:
        try:
            yield executor.submit(work, item).result()
        except SlideError as error:
            yield lost(item, died_twice(first, error))


def died_twice(first: WorkerDiedError, second: SlideError) -> SlideError:
    """One error for both tries, with what to do; the second's own where that is another kind."""
    if not isinstance(second, WorkerDiedError) or isinstance(second, DiedTwiceError):
        return second
    if first.reason == second.reason:
        reason = f"{second.reason} twice, the second time with no other slide running"
    else:
        reason = f"{first.reason}; tried again alone, {second.reason}"
    if second.remedy:
        remedy = second.remedy
    elif "SIGKILL" in second.reason:
        remedy = "if memory ran out, run it on a machine with more"
    else:
        remedy = "the file may be damaged: export it from the scanner again"
    return DiedTwiceError(second.slide, reason, remedy)
