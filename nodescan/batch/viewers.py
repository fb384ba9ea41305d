"""Shows how a batch advances: on the screen, in a file of JSON lines, or both."""

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from nodescan.batch.bars import BarViewer
from nodescan.batch.lock import LOCK_FILE
from nodescan.batch.progress import Advances, Clock, PlainViewer, Viewer
from nodescan.domain.report import SlideReport
from nodescan.errors import OutputError, UsageError
from nodescan.reports import FILES
from nodescan.slides.slide_ids import RESERVED
from nodescan.threads import thread_errors
from nodescan.whole_files import output_errors

LOG_EVERY_S = 1.0
"""At most one JSON line of tiles in this time."""

_LONGEST_LINE_BYTES = 1_000_000

BEAT_EVERY_S = 30.0
"""If a log is silent for longer, its run has ended or its machine has stopped."""


def open_viewer(*, quiet: bool, folder: Path, log_json: Path | None = None) -> Viewer:
    """Bars on a terminal, plain lines elsewhere, errors only where quiet; and JSON lines where a file is named.

    folder: the run's; it is made where the log lies in it. Raises UsageError for a log that would go into another file,
    OutputError for one that can't be written.
    """
    if log_json is not None and _is_inside(log_json, folder):
        _check_name(log_json)
        with output_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    loud = BarViewer if sys.stderr.isatty() else PlainViewer
    screen = Viewer() if quiet else loud()
    return screen if log_json is None else Viewers([screen, JsonLog(log_json)])


class JsonLog(Viewer):
    """One JSON object a line: ts (ISO 8601, UTC), event, and slide_id where there is one.

    From the log's opening to its end a heartbeat says how far the batch is, whatever else there is to say.
    """

    def __init__(self, path: Path, *, clock: Clock = time.monotonic, beat_every_s: float = BEAT_EVERY_S) -> None:
        try:
            half_a_line = _ends_in_mid_line(path)
            super().__init__(path.open("a", encoding="utf-8"))
            if half_a_line:
                self._stream.write("\n")
        except OSError as error:
            raise OutputError(f"{path}: can't be written ({error.strerror}); choose another --log-json") from error
        self._path, self._broken = path, False
        self._state = Advances(clock)
        self._beat_every_s, self._closed, self._writing = beat_every_s, Event(), Lock()
        self._beating = Thread(target=self._beat, name="log-heartbeat", daemon=True)
        with thread_errors():
            self._beating.start()

    def note(self, text: str) -> None:
        self._write("note", message=text)

    def batch_started(self, slides: int) -> None:
        self._state.begin(slides)
        self._write("batch_started", slides=slides)

    def slide_started(self, slide_id: str, tiles: int) -> None:
        with self._state.lock:
            self._state.start(slide_id, tiles)
            self._write("slide_started", slide_id=slide_id, tiles=tiles)

    def tiles_done(self, slide_id: str, tiles: int, megapixels: float) -> None:
        with self._state.lock:
            advance, now = self._state.add(slide_id, tiles, megapixels), self._state.clock()
            first = advance.done == tiles > 0  # said at once: how soon answers come is a figure that users compare
            last = tiles > 0 and advance.done >= advance.tiles
            if now - advance.shown < LOG_EVERY_S and not first and not last:
                return
            advance.shown = now
            self._write(
                "tiles_done",
                slide_id=slide_id,
                tiles_done=advance.done,
                tiles=advance.tiles,
                megapixels_per_s=round(advance.rate(now), 3),
            )

    def slide_finished(self, report: SlideReport, seconds: float) -> None:
        with self._state.lock:
            after_network_s = self._state.finish(report.slide.slide_id)
            left_s = self._state.left_s()
            self._write(
                "slide_finished",
                slide_id=report.slide.slide_id,
                status=report.status.value,
                metastasis=None if report.metastasis is None else report.metastasis.word,
                at_least=report.at_least,
                largest_deposit_um=report.largest_deposit_um,
                flags=[flag.code for flag in report.flags],
                seconds=round(seconds, 3),
                after_network_s=round(after_network_s, 3),
                slides_done=self._state.finished,
                slides=self._state.slides,
                seconds_left=None if left_s is None else round(left_s),
            )

    def error(self, line: str) -> None:
        self._write("error", message=line)

    def run_failed(self, line: str) -> None:
        self.error(line)

    def close(self, state: str = "finished") -> None:
        self._closed.set()
        self._beating.join()
        self._write("batch_closed", state=state)
        with suppress(OSError):  # what is still buffered was lost with the write that failed
            self._stream.close()

    def _beat(self) -> None:
        while not self._closed.wait(self._beat_every_s):
            with self._state.lock:
                state, left_s = self._state, self._state.left_s()
                running = [
                    {"slide_id": slide_id, "tiles_done": advance.done, "tiles": advance.tiles}
                    for slide_id, advance in state.running.items()
                ]
                left = None if left_s is None else round(left_s)
                self._write("heartbeat", slides=state.slides, finished=state.finished, running=running, left_s=left)

    def _write(self, event: str, **facts: object) -> None:
        """One line; where the disk is full the log ends, said once, and the slides go on."""
        told = {"ts": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        with self._writing:
            if self._broken:
                return
            try:
                print(json.dumps(told), file=self._stream, flush=True)
            except OSError as error:
                self._broken = True
                with suppress(OSError, ValueError):  # stderr may lie on the same disk
                    print(
                        f"error: {self._path}: the log ends here ({error.strerror}); free some space", file=sys.stderr
                    )


class Viewers(Viewer):
    """Several viewers told alike."""

    def __init__(self, viewers: Sequence[Viewer]) -> None:
        super().__init__()
        self._viewers = tuple(viewers)

    def hear(self, event: str, **facts: Any) -> None:
        for viewer in self._viewers:
            getattr(viewer, event)(**facts)

    def close(self, state: str = "finished") -> None:
        with ExitStack() as all_:
            for viewer in self._viewers:
                all_.callback(viewer.close, state)


def _ends_in_mid_line(path: Path) -> bool:
    """Whether the log that is there was cut off, as by a full disk. Raises UsageError where it is none.

    A log goes on in a log: `--log-json *.svs` would write into the first of the slides.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        if not _begins_a_log(file.readline(_LONGEST_LINE_BYTES)):
            raise UsageError(f"{path}: exists and is not a log of JSON lines; choose another --log-json")
        file.seek(-1, 2)
        return file.read(1) != b"\n"


def _begins_a_log(line: bytes) -> bool:
    """Whether it is a line that JsonLog wrote, or, at the end of a file, the start of one."""
    if not line.endswith(b"\n"):
        return line.startswith(b'{"ts": ')
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"ts", "event"} <= content.keys()


def _is_inside(log: Path, folder: Path) -> bool:
    return Path(os.path.realpath(log)).is_relative_to(os.path.realpath(folder))


def _check_name(log: Path) -> None:
    """Raises UsageError where a run writes a file of this name itself."""
    own = RESERVED.union([LOCK_FILE], FILES)
    if log.name.casefold() in own:
        raise UsageError(f"--log-json {log}: is a file that the run itself writes there; choose another name")
