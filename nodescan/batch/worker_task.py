"""What a worker does once it listens: opens the model of its job, then scans slides, one after another."""

import json
import pkgutil
import queue
import traceback
from threading import Lock
from typing import IO

from nodescan import __version__
from nodescan.batch.progress import Viewer
from nodescan.batch.slide_task import SlideTools, scan_one
from nodescan.batch.worker_messages import Message, ScanJob, job_of, line_of, made_with_of, packed, slide_of
from nodescan.config import parse_config
from nodescan.domain.report import RESULT_VERSION, SlideReport
from nodescan.errors import DeviceLostError, LockLostError, ModelError, NodescanError, WorkerError
from nodescan.inference.card import load_card
from nodescan.slides import open_slide


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


def work(heard: "queue.SimpleQueue[bytes]", out: IO[bytes]) -> None:
    """Scan what is heard and tell of it, for as long as there is anything to do for this process.

    It returns where the model can't be opened, the GPU failed or the run's folder is lost. Raises BrokenPipeError where
    nobody listens.
    """
    viewer = Telling(out)
    asked = _next(heard)
    try:
        _check_version(made_with_of(asked))
        tools, parallel = _open(*job_of(asked))
    except NodescanError as error:
        viewer.tell("refused", kind=type(error).__name__, text=str(error))
        return
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
            return
        except DeviceLostError as error:
            traceback.print_exception(error)  # for the log
            viewer.tell("device_lost", reason=error.reason)
            return


def _check_version(made_with: tuple[str, int] | None) -> None:
    """Raises WorkerError where this process is of another nodescan than the run: it would find by other rules."""
    here = (__version__, RESULT_VERSION)
    if made_with not in (None, here):
        (ours, results), (theirs, their_results) = here, made_with
        raise WorkerError(
            f"nodescan was changed during the run: a new process uses {ours} (result version {results}), but the run "
            f"uses {theirs} (result version {their_results}); run again when the installation is complete"
        )


def _open(job: ScanJob, slot: int) -> tuple[SlideTools, int]:
    """Raises ModelError where the model isn't the run's any more: its reports would be of two models."""
    opener = pkgutil.resolve_name(job.opener)
    predictor, parallel = opener(job.model, device=job.device, slot=slot)
    if job.card_sha256 and load_card(job.model).sha256() != job.card_sha256:
        raise ModelError(f"{job.model}: the model was changed during the run; run again, or restore the model")
    config = parse_config(job.config_text, job.config_name)
    return SlideTools(job.folder, predictor, config, job.reports, open_slide, rules=job.rules), parallel


def _next(heard: "queue.SimpleQueue[bytes]") -> Message:
    return json.loads(heard.get())
