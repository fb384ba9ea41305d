"""What a worker does once it listens: opens the model of its job, then scans the slides that it is told of.

Two at most, which is up to whoever tells: each in a thread of its own, while the network is for one at a time.
"""

import json
import queue
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import IO, Any

from nodescan.batch.progress import Viewer
from nodescan.batch.record import MADE_WITH
from nodescan.batch.slide_task import SlideTools, scan_one, spoils_its_process
from nodescan.batch.worker_messages import SLIDES_AT_ONCE, Message, ScanJob, line_of, packed, unpacked
from nodescan.batch.workers import Opened
from nodescan.config import parse_config
from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.errors import CrowdedError, DeviceLostError, LockLostError, ModelError, NodescanError, WorkerError
from nodescan.inference.card import load_card
from nodescan.inference.known_tissue import known_tissue
from nodescan.slide_queue import Turn, Turns
from nodescan.slides import open_slide
from nodescan.threads import thread_errors


class Out:
    """Where lines go, whole ones from several threads."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out, self._lock = out, Lock()

    def tell(self, event: str, **facts: object) -> None:
        with self._lock:
            self._out.write(line_of({"event": event, **facts}))
            self._out.flush()


class Telling(Viewer):
    """Passes on what happens to one slide, one line each, with the number that the slide was handed over by."""

    def __init__(self, out: Out, number: int) -> None:
        super().__init__()
        self._out, self._number = out, number

    def hear(self, event: str, **facts: Any) -> None:
        self.tell(event, facts=facts)

    def slide_finished(self, report: SlideReport, seconds: float) -> None:
        spoilt = spoils_its_process(report)
        self.tell("slide_finished", report=packed(report), seconds=seconds, spoilt=spoilt)

    def tell(self, event: str, **said: object) -> None:
        self._out.tell(event, number=self._number, **said)


def work(heard: "queue.SimpleQueue[bytes | Future[bool]]", stdout: IO[bytes]) -> None:
    """Scan what is heard and tell of it, for as long as there is anything to do for this process.

    It returns where the model can't be opened, it or the GPU failed, or the run's folder is lost. Raises
    BrokenPipeError where nobody listens, and whatever a defect raises under a slide.
    """
    out = Out(stdout)
    asked = _first(heard)
    try:
        _check_version(asked["made_with"])
        tools, parallel = _open(unpacked(asked["job"]), asked["slot"])
    except NodescanError as error:
        out.tell("raised", error=packed(error))
        return
    predictor = tools.predictor
    opened = Opened(predictor.model, predictor.device, predictor.precision, predictor.batch_size, parallel)
    out.tell("ready", opened=packed(opened))
    turns = Turns()
    # The same threads for all slides: libraries keep what they compute with for each thread that calls them.
    threads = ThreadPoolExecutor(SLIDES_AT_ONCE, thread_name_prefix="slide")
    while True:
        news = heard.get()
        if isinstance(news, Future):
            if not news.result():
                return
            continue
        asked = json.loads(news)
        ref, telling = unpacked(asked["slide"]), Telling(out, asked["number"])
        with thread_errors():
            ended = threads.submit(_scan, ref, tools, turns.arrive(), telling)
        ended.add_done_callback(heard.put)


def _scan(ref: SlideRef, tools: SlideTools, turn: Turn, viewer: Telling) -> bool:
    """Scan a slide and tell of it; whether this process can go on. Else the slide behind it never gets its turn."""
    crowded = ""
    try:
        report = scan_one(ref, viewer, tools=tools, turn=turn)
        if spoils_its_process(report):
            return False
    except (LockLostError, DeviceLostError) as error:
        if isinstance(error, DeviceLostError):
            traceback.print_exception(error)  # for the log
        viewer.tell("raised", error=packed(error), spoilt=True)
        return False
    except CrowdedError as error:
        crowded = packed(error)  # without its traceback, which holds the slide's memory
    turn.leave()
    if crowded:  # told once its memory and its turn are free: it is tried again at once
        viewer.tell("raised", error=crowded)
    return True


def _first(heard: "queue.SimpleQueue[bytes | Future[bool]]") -> Message:
    line = heard.get()
    assert isinstance(line, bytes)
    return json.loads(line)


def _check_version(made_with: Sequence[object] | None) -> None:
    """Raises WorkerError where this process is of another nodescan than the run: it would find by other rules."""
    if made_with is not None and tuple(made_with) != MADE_WITH:
        (ours, results), (theirs, their_results) = MADE_WITH, made_with
        raise WorkerError(
            f"nodescan was changed during the run: a new process uses {ours} (result version {results}), but the run "
            f"uses {theirs} (result version {their_results}); run again when the installation is complete"
        )


def _open(job: ScanJob, slot: int) -> tuple[SlideTools, int]:
    """Raises ModelError where the model isn't the run's any more: its reports would be of two models."""
    predictor, parallel = job.open_model(slot)
    if job.card_sha256 and load_card(job.model).sha256() != job.card_sha256:
        raise ModelError(f"{job.model}: the model was changed during the run; run again, or restore the model")
    config = parse_config(job.config_text, job.config_name)
    return SlideTools(job, predictor, config, open_slide, known_tissue(job.model)), parallel
