"""What runs in a worker: `python -m nodescan.worker_process`, told what to do on stdin, telling on stdout.

In come lines of JSON: first the job, then slides, one after another. Out go lines of JSON: "ready" or "refused", then
what a viewer is told of each slide, and "slide_finished" with its report. When stdin is closed whoever asked is gone,
and the process ends at once, in the middle of a slide too.
"""

import faulthandler
import json
import os
import pkgutil
import queue
import signal
import sys
from threading import Lock, Thread
from typing import IO, NoReturn

from nodescan.config import parse_config
from nodescan.domain.report import SlideReport
from nodescan.errors import LockLostError, NodescanError
from nodescan.progress import Viewer
from nodescan.resume import run_rules
from nodescan.slide_task import Tools, scan_one
from nodescan.slides import open_slide
from nodescan.worker_messages import Message, ScanJob, job_of, line_of, packed, slide_of


class Telling(Viewer):
    """Passes on what happens, one line each."""

    def __init__(self, out: IO[bytes]) -> None:
        super().__init__()
        self._out, self._lock = out, Lock()

    def tell(self, event: str, **facts: object) -> None:
        with self._lock:
            self._out.write(line_of({"event": event, **facts}))
            self._out.flush()

    def note(self, text: str) -> None:
        self.tell("note", text=text)

    def slide_started(self, slide_id: str, tiles: int) -> None:
        self.tell("slide_started", slide_id=slide_id, tiles=tiles)

    def tiles_done(self, slide_id: str, tiles: int, megapixels: float) -> None:
        self.tell("tiles_done", slide_id=slide_id, tiles=tiles, megapixels=megapixels)

    def slide_finished(self, report: SlideReport, seconds: float) -> None:
        self.tell("slide_finished", report=packed(report), seconds=seconds)

    def error(self, line: str) -> None:
        self.tell("error", text=line)


def main() -> NoReturn:
    """Scan what is asked until nobody asks any more."""
    asked, out = _private_streams()
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor, who ends this process
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    Thread(target=_listen, args=(asked, heard), name="listen", daemon=True).start()
    viewer = Telling(out)
    try:
        _work(heard, viewer)
    except BrokenPipeError:
        _end()


def _work(heard: "queue.SimpleQueue[bytes]", viewer: Telling) -> NoReturn:
    job, slot = job_of(_next(heard))
    try:
        tools, parallel = _open(job, slot)
    except NodescanError as error:
        viewer.tell("refused", kind=type(error).__name__, text=str(error))
        _end()
    predictor = tools.predictor
    viewer.tell(
        "ready",
        device=predictor.device,
        precision=predictor.precision,
        batch_size=predictor.batch_size,
        parallel=parallel,
    )
    while True:
        try:
            scan_one(slide_of(_next(heard)), tools=tools, viewer=viewer)
        except LockLostError as error:
            viewer.tell("lock_lost", text=str(error))
            _end()


def _open(job: ScanJob, slot: int) -> tuple[Tools, int]:
    opener = pkgutil.resolve_name(job.opener)
    predictor, parallel = opener(job.model, device=job.device, slot=slot)
    config = parse_config(job.config_text, job.config_name)
    rules = run_rules(job.folder, job.run_id, max_unread_percent=job.max_unread_percent)
    return Tools(job.folder, open_slide, predictor, config, job.reports, rules=rules), parallel


def _private_streams() -> tuple[IO[bytes], IO[bytes]]:
    """stdin and stdout for the messages alone: what a library prints goes to stderr, what it reads is empty."""
    asked, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return asked, out


def _listen(asked: IO[bytes], heard: "queue.SimpleQueue[bytes]") -> None:
    for line in asked:
        heard.put(line)
    _end()


def _next(heard: "queue.SimpleQueue[bytes]") -> Message:
    return json.loads(heard.get())


def _end() -> NoReturn:
    """Leave at once, with all that was started here; what is half written is cleared away by the next run."""
    sys.stderr.flush()
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
