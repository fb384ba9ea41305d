"""The tasks that Dask runs for a run: one looks at the machine, one opens the model, one scans a slide."""

import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import distributed

from nodescan.batch.cluster.processes import ClusterJob, KeptProcesses, Process, model_here
from nodescan.batch.progress import Viewer
from nodescan.batch.record import MADE_WITH
from nodescan.batch.slide_task import spoils_its_process
from nodescan.batch.worker_messages import Message
from nodescan.batch.workers import Opened
from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.errors import (
    ClusterError,
    DeviceLostError,
    LockLostError,
    NodescanError,
    OutputError,
    SlideError,
    StalledError,
    WorkerDiedError,
)
from nodescan.slides.files import fingerprint_here
from nodescan.whole_files import output_errors

Answer = TypeVar("Answer")

MACHINE_LOST = "the Dask worker that read it was lost"

_PROGRESS_EVERY_S = 1.0

_SEEN_AFTER_S = 3.0
"""A network disk may remember for a moment what a folder held before another machine wrote there."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a slide. marker: a file that is made when it begins, so that it begins only once even if Dask repeats
    it.

    seen: the fingerprint of the slide's files where the run was started, "" where they can't be looked at there. Their
    times of change are not compared: two mounts of one disk may give them in different precision.
    """

    ref: SlideRef
    marker: Path
    seen: str

    def begin(self) -> bool:
        """Whether this is the first time. Raises OutputError where no marker can be made.

        On a full disk it may stay empty: it tells no machine then, and the slide's reports meet the same and say so.
        """
        with output_errors(self.marker):
            try:
                self.marker.touch(exist_ok=False)
            except FileExistsError:
                return False
        with suppress(OSError), self.marker.open("r+", encoding="utf-8") as file:
            file.write(f"{socket.gethostname()} {os.getpid()}")
        return True


@dataclass(frozen=True, slots=True)
class Told:
    """The outcome of an attempt: a report, or an error.

    worker: the Dask worker's address. host: its machine. said: events for the viewer. words: the last output of a
    process that was lost. unfit: this Dask worker can't scan at all. lost: another worker was lost.
    """

    worker: str = ""
    host: str = ""
    report: SlideReport | None = None
    seconds: float = 0.0
    error: NodescanError | None = None
    said: tuple[Message, ...] = ()
    words: str = ""
    unfit: bool = False
    lost: bool = False
    opened: Opened | None = None


class Relay(Viewer):
    """Passes progress on through Dask, at most once a second for each slide, and keeps events that must not be lost."""

    def __init__(self, attempt: Attempt, topic: str) -> None:
        super().__init__()
        self.said: list[Message] = []
        self.seconds = 0.0
        self._attempt, self._topic = attempt.marker.name, topic
        self._tiles, self._megapixels, self._sent = 0, 0.0, time.monotonic()

    def hear(self, event: str, **facts: Any) -> None:
        self.said.append({"event": event, "facts": facts})

    def slide_started(self, slide_id: str, tiles: int) -> None:
        self._send("slide_started", slide_id=slide_id, tiles=tiles)

    def tiles_done(self, slide_id: str, tiles: int, megapixels: float) -> None:
        self._tiles += tiles
        self._megapixels += megapixels
        if time.monotonic() - self._sent >= _PROGRESS_EVERY_S:
            self._send("tiles_done", slide_id=slide_id, tiles=self._tiles, megapixels=self._megapixels)
            self._tiles, self._megapixels, self._sent = 0, 0.0, time.monotonic()

    def slide_finished(self, report: SlideReport, seconds: float) -> None:
        self.seconds = seconds

    def _send(self, event: str, **facts: Any) -> None:
        message = {"attempt": self._attempt, "event": event, "facts": facts}
        with suppress(Exception):  # progress is for the eye: no slide is lost for it
            distributed.get_worker().log_event(self._topic, message)


_KEPT = KeptProcesses()
_FIT: set[str] = set()
"""Runs, by their id, that this Dask worker was found fit for."""


def scan_here(attempt: Attempt, job: ClusterJob) -> Told:
    """The task of a slide. Errors are returned in Told, not raised."""
    me = Told(distributed.get_worker().address, socket.gethostname())
    try:
        first = answered(partial(_begun, attempt, job), job.stall_s)
    except (NodescanError, OSError) as error:
        return replace(me, error=_named(error, me.host), unfit=True)
    if not first:
        return replace(me, error=WorkerDiedError(attempt.ref.path.name, MACHINE_LOST), lost=True)
    try:
        unlike = answered(partial(_unlike, attempt), job.stall_s)
    except TimeoutError as error:
        remedy = "see that all machines still reach the slides, then run again"
        said = (f"the worker on {me.host}: {error}", remedy, f"a worker: {error}")
        return replace(me, error=StalledError(attempt.ref.path.name, *said))
    if unlike:
        remedy = "put the slides on a disk that all machines see under the same path"
        said = (f"the worker on {me.host} {unlike}", remedy, f"a worker {unlike}")
        return replace(me, error=SlideError(attempt.ref.path.name, *said))
    try:
        process = _KEPT.take(job)
    except NodescanError as error:
        return replace(me, error=_named(error, me.host), unfit=True)
    return _scanned(attempt, job, process, me)


def open_here(job: ClusterJob) -> Told:
    """The task that opens the model before any slide."""
    me = Told(distributed.get_worker().address, socket.gethostname())
    try:
        answered(partial(check_here, job), job.stall_s)
        process = _KEPT.take(job)
    except (NodescanError, TimeoutError) as error:
        return replace(me, error=_named(error, me.host), unfit=True)
    _KEPT.give(process)
    return replace(me, opened=process.opened)


def look(job: ClusterJob) -> str:
    """Why this Dask worker can't work for the run, "" where it can."""
    try:
        check_here(job)
    except NodescanError as error:
        return str(_named(error, socket.gethostname()))
    return ""


def check_here(job: ClusterJob) -> None:
    """Raises ClusterError, LockLostError or ModelError where this machine can't scan for the run."""
    if job.scan.run_id in _FIT:
        return
    theirs = job.scan.made_with
    if theirs not in (None, MADE_WITH):
        raise ClusterError(f"nodescan {MADE_WITH[0]} is installed there, not {theirs[0]}; install the same on all")
    _check_seen(job)
    model_here(job)
    _FIT.add(job.scan.run_id)


def answered(ask: Callable[[], Answer], patience_s: float) -> Answer:
    """What `ask` returns or raises. Raises TimeoutError if it takes longer than patience_s, because a disk hangs.

    `ask` then goes on in its thread, so it must do nothing that matters later.
    """
    answer: Future[Answer] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # raised where the answer is waited for
            answer.set_exception(error)

    Thread(target=work, name="ask-disk", daemon=True).start()
    try:
        return answer.result(patience_s)
    except TimeoutError:
        if answer.done():
            raise
        raise TimeoutError(f"its disk didn't answer for {patience_s / 60:g} min") from None


def topic_of(run_id: str) -> str:
    """Under which the progress of a run is told in Dask."""
    return f"nodescan-{run_id}"


def _begun(attempt: Attempt, job: ClusterJob) -> bool:
    check_here(job)
    return attempt.begin()


def _unlike(attempt: Attempt) -> str:
    """How the slide's files here differ from those where the run was started, in words; "" where they don't.

    A file that is there and can't be read is left to the scan, which says why.
    """
    path = attempt.ref.path
    if not attempt.seen:
        return ""
    if not path.exists():
        return "has no such file"
    same = fingerprint_here(path) in (None, attempt.seen)
    return "" if same else "sees another file under this path"


def _scanned(attempt: Attempt, job: ClusterJob, process: Process, me: Told) -> Told:
    relay = Relay(attempt, topic_of(job.scan.run_id))
    try:
        report = process.worker.scan(attempt.ref, relay, stall_s=job.stall_s)
    except (WorkerDiedError, StalledError) as error:
        words = process.worker.last_words()
        _KEPT.drop(process)
        over = LockLostError(f"{job.scan.folder}: the run is over")
        with suppress(TimeoutError):  # the disk under the slide may be that under the lock
            error = error if answered(job.scan.ticket.holds, job.stall_s) else over
        return replace(me, error=error, words=words, said=tuple(relay.said))
    except NodescanError as error:
        _KEPT.drop(process)
        return replace(me, error=error, said=tuple(relay.said))
    except BaseException:  # passed on; whatever it was, the process gets no other slide
        _KEPT.drop(process)
        raise
    if spoils_its_process(report):
        _KEPT.drop(process)
    else:
        _KEPT.give(process)
    return replace(me, report=report, seconds=relay.seconds, said=tuple(relay.said))


def _check_seen(job: ClusterJob) -> None:
    """Raises ClusterError where this machine doesn't see the run's folder with its lock."""
    folder, ends = job.scan.folder, time.monotonic() + _SEEN_AFTER_S
    while not job.scan.ticket.holds():
        with suppress(OSError):
            os.listdir(folder.parent)  # makes a network disk look again
            os.listdir(folder)
        if not folder.parent.is_dir() or time.monotonic() >= ends:
            raise ClusterError(
                f"{folder}: this folder isn't seen from there as it is from here; choose an --out on a disk that all "
                "machines see under the same path"
            )
        time.sleep(0.5)


def _named(error: Exception, host: str) -> NodescanError:
    """The same error, saying on which machine."""
    if isinstance(error, DeviceLostError):
        return DeviceLostError(f"the worker on {host}: {error.reason}", error.remedy)
    others = (SlideError, OutputError)
    kind = type(error) if isinstance(error, NodescanError) and not isinstance(error, others) else ClusterError
    return kind(f"the worker on {host}: {error}")
