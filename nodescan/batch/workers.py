"""A worker: a process that scans slides, and that may be ended at any time without harm.

This is the side of whoever starts one. In the process itself worker_process.py listens and worker_task.py scans, by
slide_task.scan_one; worker_messages.py is what the two sides say to each other.

The process is started by name, not forked, and talked to over its stdin and stdout, so that any program can run
one: a slot of this machine, or a task of a cluster. It ends by itself when its stdin is closed. Importing this
module costs next to nothing: the process is started first and everything heavy is loaded meanwhile, on both sides.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from nodescan.batch.worker_messages import Message, ScanJob, job_line, show_news, slide_line, unpacked
from nodescan.batch.worker_words import last_line, last_words, remedy_in, words_file
from nodescan.errors import (
    DeviceLostError,
    DisplacedError,
    SlideError,
    StalledError,
    WorkerDiedError,
    WorkerError,
)
from nodescan.machine import check_address_space, killer, usable_cores, visible_cores
from nodescan.threads import thread_errors

if TYPE_CHECKING:
    from nodescan.batch.progress import Viewer
    from nodescan.domain.report import ModelIdentity, SlideReport
    from nodescan.domain.slide import SlideRef

_POLL_S, _ENDING_S = 0.5, 10.0
_OPENING_S = 300.0
"""A model is opened in seconds; a network disk may take minutes over the libraries."""

_ARENAS = "2"
"""Limits glibc's memory arenas: without it each thread of a slide would get its own, which grows to about 30 MB."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Opened:
    """What a worker says when its model is open: an interfaces.PredictorFacts.

    parallel: slots that this machine has devices for.
    """

    model: "ModelIdentity"
    device: str
    precision: str
    batch_size: int
    parallel: int


_Mailbox = queue.SimpleQueue[Message | None]
"""A worker's messages about one slide, or about itself; None: the worker has ended."""


class Silence(Exception):
    """No message came for as long as was allowed."""


class Worker:
    """One worker process, started when this is made. threads: for its computing, None for as many as there are cores.

    firmly: whatever the environment says. open() comes first, then SLIDES_AT_ONCE threads may scan(). Any may end().
    """

    def __init__(self, *, threads: int | None = None, firmly: bool = False) -> None:
        self._said = words_file()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "nodescan.batch.worker_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env=_environment(threads) | (dict.fromkeys(_THREADS, str(threads)) if firmly else {}),
                # A group of its own: Ctrl-C reaches the supervisor alone, and what the worker starts is ended with it.
                process_group=0 if os.name == "posix" else None,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # the same on Windows
            )
        except OSError as error:
            reason = f"no process can be started ({error.strerror})"
            raise WorkerError(f"{reason}; end other programs or use --slots 0") from error
        self._heard: _Mailbox = queue.SimpleQueue()
        self._slides: dict[int, _Mailbox] = {}
        self._numbers = count()
        self._lock = threading.Lock()
        self._over, self._displaced, self._stopped_for = False, False, ""
        try:
            with thread_errors():
                threading.Thread(target=self._listen, name="listen", daemon=True).start()
        except WorkerError:
            self.end()
            raise

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def open(self, job: ScanJob, slot: int = 0, *, stall_s: float) -> Opened:
        """Have it open the model. Raises what the model or the device raise, and WorkerError where it can't start."""
        self._tell(job_line(job, slot))
        try:
            message = self._next(self._heard, max(stall_s, _OPENING_S))
        except Silence:
            self.end()
            raise WorkerError("a worker process did not get as far as opening the model; see nodescan doctor") from None
        if message is None:
            how, words = self.ending(), self.last_words()
            remedy = remedy_in(words)
            why = f"a worker process can't start: it {how} ({last_line(words)})"
            raise WorkerError(f"{why}; {remedy}" if remedy else why)
        if message["event"] == "raised":
            self.end()
            raise unpacked(message["error"])
        return unpacked(message["opened"])

    def scan(self, ref: "SlideRef", viewer: "Viewer", *, stall_s: float) -> "SlideReport":
        """Have it scan a slide, and tell the viewer what it tells.

        Raises StalledError where nothing is heard of the slide for stall_s, counted from when all that were handed over
        before it are done; the process is ended then. Time in which this one was asleep itself doesn't count. Raises
        WorkerDiedError where the process ends under the slide, its GPU fails, or it is ended with another slide in it:
        which of the two held it up can't be told. CrowdedError and DisplacedError say what they are of.
        """
        number, heard = self._hand_over(ref)
        try:
            while True:
                try:
                    message = self._next(heard, stall_s, number)
                except Silence:
                    raise self._stalled(ref, stall_s) from None
                report = self._told(ref, message, viewer)
                if report is not None:
                    return report
        finally:
            with self._lock:
                del self._slides[number]

    def _hand_over(self, ref: "SlideRef") -> "tuple[int, _Mailbox]":
        """The slide's number, and what is told of it."""
        heard: _Mailbox = queue.SimpleQueue()
        with self._lock:
            if self._over:
                raise DisplacedError(ref.path.name, "its process ended before it was read")
            number = next(self._numbers)
            self._slides[number] = heard
            self._tell(slide_line(ref, number))
        return number, heard

    def _told(self, ref: "SlideRef", message: Message | None, viewer: "Viewer") -> "SlideReport | None":
        """What a message means: None for news, which the viewer hears. Raises what scan() does."""
        name = ref.path.name
        if message is None:
            if self._displaced:
                raise DisplacedError(name, "its process was ended after another slide")
            how = self._stopped_for or self.ending()
            raise WorkerDiedError(name, f"the process that read it {how}", remedy_in(self.last_words()))
        match message["event"]:
            case "slide_finished":
                report = unpacked(message["report"])
                if message["spoilt"]:
                    self.end()
                viewer.slide_finished(report, message["seconds"])
                return report
            case "raised":
                error = unpacked(message["error"])
                if isinstance(error, DeviceLostError):
                    raise WorkerDiedError(name, error.reason, error.remedy)
                raise error
        show_news(message, viewer)
        return None

    def _stalled(self, ref: "SlideRef", stall_s: float) -> SlideError:
        """Ends the process; how it is told of a slide that got no further."""
        silent = f"made no progress for {stall_s / 60:g} min and was stopped"
        with self._lock:
            accompanied = len(self._slides) > 1
            self._stopped_for = silent
        self.end()
        if accompanied:
            return WorkerDiedError(ref.path.name, f"the process that read it {silent}")
        remedy = "if the disk is only slow, run again with a longer --stall-minutes"
        return StalledError(ref.path.name, f"it {silent}", remedy)

    def alive(self) -> bool:
        """Whether it can be told of a slide: a process that ends may have gone silent long before it is gone."""
        return not self._over and self._process.poll() is None

    def ending(self) -> str:
        """How it ended, in words: "was ended by SIGKILL"."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)
        code = self._process.returncode
        if code is None:
            self.end()
            return "went silent"
        what = killer(code)
        return f"was ended by {what}" if what else f"ended by itself with exit code {code}"

    def last_words(self) -> str:
        """What it wrote to stderr, as far as it may say why it ended."""
        with self._lock:
            return last_words(self._said)

    def end(self) -> None:
        """End it, and all it started, now. Does nothing where it has ended."""
        with suppress(ProcessLookupError, PermissionError):
            if os.name == "posix" and self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)
        with suppress(OSError):  # what was still buffered has nobody to read it
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _tell(self, line: bytes) -> None:
        """A worker that is gone is met when the answer doesn't come."""
        with suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def _listen(self) -> None:
        with suppress(OSError, ValueError):
            for line in self._process.stdout or ():
                if line.endswith(b"\n"):  # a worker that is killed may leave half a line
                    self._route(json.loads(line))
            if self._process.stdout is not None:
                self._process.stdout.close()
        with self._lock:
            self._over = True
            for heard in (self._heard, *self._slides.values()):
                heard.put(None)

    def _route(self, message: Message) -> None:
        """What is told of a slide goes to who scans it; of one that is given up, nowhere."""
        if message.get("spoilt"):
            self._displaced = True  # it ends now, or is ended
        number = message.get("number")
        with self._lock:
            heard = self._heard if number is None else self._slides.get(number)
        if heard is not None:
            heard.put(message)

    def _next(self, heard: "_Mailbox", patience_s: float, number: int | None = None) -> Message | None:
        """The next message, None where the worker has ended. Raises Silence; not while slides before this are in it."""
        silent_s = 0.0
        while True:
            try:
                return heard.get(timeout=min(_POLL_S, patience_s))
            except queue.Empty:
                # Counted in waits, not by the clock: a laptop that slept has not heard the worker either.
                silent_s = silent_s + _POLL_S if number is None or self._is_first(number) else 0.0
                if not self.alive() and heard.empty():
                    return None
                if silent_s >= patience_s:
                    raise Silence from None

    def _is_first(self, number: int) -> bool:
        with self._lock:
            return number == min(self._slides)


def started_ahead(slots: int | None) -> Worker | None:
    """The first worker of a run with so many slots, or none where it needs none. Raises WorkerError where this process
    may have too little memory for a run."""
    check_address_space()
    return None if slots == 0 else Worker(threads=share_of_cores(slots))


def share_of_cores(slots: int | None) -> int | None:
    """Threads for each of so many workers; None, one for each core, for one. It doesn't change a finding."""
    cores = usable_cores()
    if slots is None or slots < 2:
        return None if cores == visible_cores() else cores
    return max(1, cores // slots)


def _environment(threads: int | None) -> dict[str, str]:
    """This process' own, with the same modules at hand; the user's own word on threads and memory stands."""
    environment = {"MALLOC_ARENA_MAX": _ARENAS} | os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return environment if threads is None else {"OMP_NUM_THREADS": str(threads)} | environment
