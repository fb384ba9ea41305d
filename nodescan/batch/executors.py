"""Where slides run, behind the interface of concurrent.futures: worker processes of this machine, one a slot.

This process itself: tools.ThisProcess; a cluster: cluster/executor.py.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial
from itertools import islice
from threading import Condition
from types import TracebackType
from typing import ParamSpec, TypeVar

from nodescan.batch.progress import Viewer
from nodescan.batch.slots import Slot
from nodescan.batch.worker_messages import SLIDES_AT_ONCE, ScanJob
from nodescan.batch.workers import Opened, Worker, share_of_cores
from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.errors import (
    DeviceError,
    DiedTwiceError,
    DisplacedError,
    NodescanError,
    SlideError,
    WorkerDiedError,
    WorkerError,
    more_threads,
)
from nodescan.interfaces import PredictorFacts
from nodescan.threads import thread_errors

Item = TypeVar("Item")
Result = TypeVar("Result")
P = ParamSpec("P")

_STEP_S = 0.5

_OF_MEMORY, _OF_ABORT = ("SIGKILL", "0xC0000017"), ("SIGABRT", "0xC0000409")
"""Signals that end a process if memory runs out or a library gives up. On Windows it is an error instead."""

_DAMAGED = "the file may be damaged: export it from the scanner again"

TRIED_ONCE_MORE = "it is tried once more, alone, when the other slides are done"


class SlideExecutor(Executor, ABC):
    """Scans a run's slides.

    opened: facts about its open network. pending: how many slides should be handed in at a time.
    """

    opened: PredictorFacts
    pending: int

    @abstractmethod
    def scan(self, ref: SlideRef, viewer: Viewer) -> SlideReport:
        """Have a slide scanned and its reports written; called by what was submitted.

        Raises WorkerDiedError where the slide is to be tried once more, alone, when the others are done; any other
        SlideError where it isn't; what else is raised ends the run.
        """


class ProcessExecutor(SlideExecutor):
    """Has other processes scan slides, a thread here for each that runs."""

    _threads: ThreadPoolExecutor

    def submit(self, fn: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> Future[Result]:
        """Call `fn`, which calls scan(), in a thread. Raises WorkerError where none can be started."""
        with thread_errors():
            return self._threads.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        if wait:
            self.stop()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None:
            self.shutdown(wait=False, cancel_futures=True)
            self.stop()
        self.shutdown()

    @abstractmethod
    def stop(self) -> None:
        """Have nothing more done for this run, in the middle of slides too."""


class LocalSlots(ProcessExecutor):
    """Worker processes of this machine, and a thread here for each slide that is in one.

    slots: the most slots; None: one, or one for each GPU if there are several. Slots without a slide left aren't
    started. With one or None, each slot reads the next slide's overview while its network answers for the current one.
    With more, slides overlap anyway, and a slide that waits in one slot could not go to another. first: a worker that
    was started before.

    Leaving the block by an exception ends the workers at once. In any case nothing is left running.
    """

    def __init__(self, job: ScanJob, *, slots: int | None, stall_s: float, first: Worker | None = None) -> None:
        self._job, self._stall_s = job, stall_s
        threads = share_of_cores(slots)
        slot = partial(Slot, job, stall_s=stall_s, threads=threads)
        self._slots = [slot(0, worker=first), *map(slot, range(1, slots or 1))]
        self._in_each = SLIDES_AT_ONCE if slots in (None, 1) else 1
        self._changed = Condition()
        self._stopped = False
        self._died: set[str] = set()
        with ExitStack() as on_error:
            on_error.callback(self.stop)
            self.opened = opened = self._open_one()
            if slots is None:
                self._slots += map(slot, range(1, opened.parallel))
            on_error.pop_all()
        self._working = list(self._slots)
        self._lost: NodescanError | None = None
        places = self._in_each * len(self._slots)
        self.pending = places + 1
        self._threads = ThreadPoolExecutor(places, thread_name_prefix="slot")

    def scan(self, ref: SlideRef, viewer: Viewer) -> SlideReport:
        """Scan a slide in the slot that has the fewest.

        Raises WorkerDiedError or StalledError where its process is lost, and WorkerError where no slot has a worker
        any more; while one has, the others' trouble is only told.
        """
        while True:
            slot = self._taken()
            try:
                worker = self._worker_of(slot, viewer)
                if worker is not None:
                    return slot.scan(worker, ref, viewer)
            except DisplacedError:  # no fault of this slide: it begins anew in the next worker
                pass
            except WorkerDiedError as error:
                self._tell_once(ref, error, viewer)
                raise
            finally:
                self._give_back(slot)

    def stop(self) -> None:
        """End every worker now, in the middle of slides too."""
        self._stopped = True
        for slot in self._slots:
            slot.end()

    def _open_one(self) -> Opened:
        """Have one slot ready. Raises what the first met where none can be.

        One that can't stays among the others: when its turn comes it is tried again, and given up then.
        """
        met: list[NodescanError] = []
        for slot in self._slots:
            try:
                return slot.open()[1]
            except (WorkerError, DeviceError) as error:
                met.append(error)
        raise met[0]

    def _taken(self) -> Slot:
        """A slot with room for a slide. Raises WorkerError where none works any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._lost or any(slot.slides < self._in_each for slot in self._working))
            if self._lost is not None:
                raise self._lost
            slot = min(self._working, key=lambda slot: slot.slides)
            slot.slides += 1
            return slot

    def _give_back(self, slot: Slot) -> None:
        with self._changed:
            slot.slides -= 1
            self._changed.notify_all()

    def _worker_of(self, slot: Slot, viewer: Viewer) -> Worker | None:
        """The slot's worker; None where it can't have one, and is given up."""
        try:
            worker, opened = slot.open()
        except NodescanError as error:
            self._give_up(slot, error, viewer)
            return None
        with self._changed:
            before, slot.device = slot.device, opened.device
        if is_another_device(opened.device, than=before or self.opened.device, kind_alone=not before):
            viewer.note(f"one slot continues on {opened.device} instead of {before or self.opened.device}")
        return worker

    def _tell_once(self, ref: SlideRef, error: WorkerDiedError, viewer: Viewer) -> None:
        with self._changed:
            told = self._stopped or ref.slide_id in self._died
            self._died.add(ref.slide_id)
        if not told:
            viewer.note(f"{ref.path.name}: {error.reason}; {TRIED_ONCE_MORE}")

    def _give_up(self, slot: Slot, error: NodescanError, viewer: Viewer) -> None:
        with self._changed:
            if slot not in self._working:  # its other slide met the same
                return
            self._working.remove(slot)
            left = len(self._working)
            if not left:
                # In mid-run a device that is gone is no wrong usage, as it is at the start.
                self._lost = error if isinstance(error, WorkerError) else WorkerError(str(error))
            self._changed.notify_all()
        if left and not self._stopped:
            viewer.error(f"one slot has stopped ({error}); {left} still {'works' if left == 1 else 'work'}")


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

    The bound keeps a long batch from being queued whole: results are used, and written down, while others run. An item
    whose process dies is tried once more, alone, when the others are done. `lost` makes the result of an item whose
    process dies again, or that can't be scanned for another reason.
    """
    waiting = iter(items)
    running = {executor.submit(work, item): item for item in islice(waiting, pending)}
    again: list[tuple[Item, WorkerDiedError]] = []
    while running:
        done = _first_done(running)
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
            (future,) = _first_done((executor.submit(work, item),))
            yield future.result()
        except SlideError as error:
            yield lost(item, died_twice(first, error))


def _first_done(running: Collection[Future[Result]]) -> set[Future[Result]]:
    """Those that are done, once one is. Waited for in steps: on Windows, Python before 3.14 hears Ctrl-C between them
    alone."""
    while not (done := wait(running, timeout=_STEP_S, return_when=FIRST_COMPLETED).done):
        pass
    return done


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
    elif any(word in second.reason for word in _OF_MEMORY):
        remedy = "if memory ran out, run it on a machine with more"
    elif any(word in second.reason for word in _OF_ABORT):
        remedy = f"if memory or threads ran out, {more_threads()}; else {_DAMAGED}"
    else:
        remedy = _DAMAGED
    return DiedTwiceError(second.slide, reason, remedy)
