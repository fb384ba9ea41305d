"""How a batch advances, shown as bars on a terminal and as plain lines elsewhere."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from nodescan.domain.report import SlideReport
from nodescan.streams import one_line

PLAIN_EVERY_S = 10.0
"""At most one line of tiles in this time: a log stays readable."""

Clock = Callable[[], float]

_GONE = suppress(OSError, ValueError)
"""A screen that is gone (a window that was closed, a pipe that nobody reads, a full disk) ends no batch."""


class Viewer:
    """Told how a batch advances; this one shows nothing but errors. May be told from several threads.

    It is an interfaces.Progress for the scan, with the events of the whole batch beside.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream

    def note(self, text: str) -> None:
        """What goes on outside of slides, on one line."""

    def batch_started(self, slides: int) -> None:
        """`slides` is how many are to be scanned: those asked for but for the kept ones."""

    def slide_started(self, slide_id: str, tiles: int) -> None:
        """The slide is open and has this many tiles to examine."""

    def tiles_done(self, slide_id: str, tiles: int, megapixels: float) -> None:
        """This many more tiles, of so many megapixels, are examined."""

    def slide_finished(self, report: SlideReport, seconds: float) -> None:
        """The slide's result is known, whatever its status."""

    def error(self, line: str) -> None:
        """Something to tell the user at once, on one line; never silenced."""
        self._line(f"error: {line}")

    def run_failed(self, line: str) -> None:
        """Why the whole run ends, on one line, for a log; whoever started the run shows it."""

    def close(self, state: str = "finished") -> None:
        """Nothing more will come. state: of the run, "finished", "interrupted" or "failed"."""

    def _line(self, text: str) -> None:
        with _GONE:
            print(one_line(text), file=self._stream, flush=True)


@dataclass(slots=True)
class Advance:
    """How far one slide is. heard: when the network last answered, the reference's second looks, too."""

    tiles: int
    started: float
    heard: float
    done: int = 0
    megapixels: float = 0.0
    shown: float = 0.0

    def rate(self, now: float) -> float:
        """Mpx/s since the slide began."""
        return self.megapixels / max(now - self.started, 1e-6)

    def left_s(self, now: float) -> float | None:
        return (now - self.started) / self.done * (self.tiles - self.done) if self.done else None


@dataclass(slots=True)
class Advances:
    """Which slides run, and how many are done."""

    clock: Clock
    slides: int = 0
    finished: int = 0
    started: float = 0.0
    running: dict[str, Advance] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def begin(self, slides: int) -> None:
        self.slides, self.started = slides, self.clock()

    def start(self, slide_id: str, tiles: int) -> None:
        now = self.clock()
        self.running[slide_id] = Advance(tiles=tiles, started=now, heard=now, shown=now)

    def add(self, slide_id: str, tiles: int, megapixels: float) -> Advance:
        now = self.clock()
        advance = self.running.setdefault(slide_id, Advance(tiles=0, started=now, heard=now, shown=now))
        advance.heard = now
        advance.done += tiles
        advance.megapixels += megapixels
        return advance

    def finish(self, slide_id: str) -> float:
        """Seconds since the network last answered; 0 for a slide that wasn't scanned."""
        self.finished += 1
        advance = self.running.pop(slide_id, None)
        return 0.0 if advance is None else self.clock() - advance.heard

    def left_s(self) -> float | None:
        """Time left for the batch, judged by the slides that are done."""
        if not self.finished:
            return None
        return (self.clock() - self.started) / self.finished * (self.slides - self.finished)


class PlainViewer(Viewer):
    """Lines for a file or a pipe."""

    def __init__(self, stream: TextIO | None = None, *, clock: Clock = time.monotonic) -> None:
        super().__init__(stream)
        self._state = Advances(clock)

    def note(self, text: str) -> None:
        self._line(text)

    def batch_started(self, slides: int) -> None:
        self._state.begin(slides)

    def slide_started(self, slide_id: str, tiles: int) -> None:
        with self._state.lock:
            self._state.start(slide_id, tiles)
            number = self._state.finished + len(self._state.running)  # several may run; none is counted twice
            self._line(f"slide {number}/{self._state.slides} {slide_id}: {tiles} tiles")

    def tiles_done(self, slide_id: str, tiles: int, megapixels: float) -> None:
        with self._state.lock:
            advance, now = self._state.add(slide_id, tiles, megapixels), self._state.clock()
            if now - advance.shown < PLAIN_EVERY_S:
                return
            advance.shown = now
            if advance.tiles == 0:
                self._line(f"{slide_id}: looking for tissue")
                return
            left = duration(advance.left_s(now))
            self._line(f"{slide_id}: {advance.done}/{advance.tiles} tiles, {advance.rate(now):.1f} Mpx/s, {left} left")

    def slide_finished(self, report: SlideReport, seconds: float) -> None:
        with self._state.lock:
            state, slide_id = self._state, report.slide.slide_id
            state.finish(slide_id)
            left = f"; {duration(state.left_s())} left" if state.finished < state.slides else ""
            count = f"{state.finished}/{state.slides}"
            self._line(f"slide {count} {slide_id}: {outcome(report)} in {duration(seconds)}{left}")


class BarViewer(Viewer):
    """Two bars for a terminal: the batch, and the slide that runs."""

    def __init__(self, stream: TextIO | None = None, *, clock: Clock = time.monotonic) -> None:
        super().__init__(stream)
        self._state = Advances(clock)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[counts]}", markup=False),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=Console(file=self._stream),
        )
        self._batch: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}

    def note(self, text: str) -> None:
        self._line(text)

    def batch_started(self, slides: int) -> None:
        self._state.begin(slides)
        with _GONE:
            self._batch = self._bars.add_task("slides", total=slides, counts=f"0/{slides}")
            self._bars.start()

    def slide_started(self, slide_id: str, tiles: int) -> None:
        with self._state.lock, _GONE:
            self._state.start(slide_id, tiles)
            if slide_id in self._tasks:  # its first process died
                self._bars.remove_task(self._tasks.pop(slide_id))
            self._tasks[slide_id] = self._bars.add_task(slide_id, total=tiles, counts=f"0/{tiles} tiles")

    def tiles_done(self, slide_id: str, tiles: int, megapixels: float) -> None:
        with self._state.lock, _GONE:
            advance = self._state.add(slide_id, tiles, megapixels)
            rate = advance.rate(self._state.clock())
            counts = f"{advance.done}/{advance.tiles} tiles, {rate:.1f} Mpx/s"
            if slide_id in self._tasks:
                self._bars.update(self._tasks[slide_id], completed=advance.done, counts=counts)
            self._show_batch()

    def slide_finished(self, report: SlideReport, seconds: float) -> None:
        slide_id = report.slide.slide_id
        with self._state.lock, _GONE:
            self._state.finish(slide_id)
            if slide_id in self._tasks:
                self._bars.remove_task(self._tasks.pop(slide_id))
            self._show_batch()
        self._line(f"{slide_id}: {outcome(report)} in {duration(seconds)}")

    def close(self, state: str = "finished") -> None:
        if self._batch is not None:
            with _GONE:
                self._bars.stop()

    def _show_batch(self) -> None:
        """A slide that is half done counts as half, so that the time left is true for few large slides too."""
        if self._batch is None:
            return
        state = self._state
        parts = sum(advance.done / advance.tiles for advance in state.running.values() if advance.tiles)
        self._bars.update(self._batch, completed=state.finished + parts, counts=f"{state.finished}/{state.slides}")

    def _line(self, text: str) -> None:
        with _GONE:
            self._bars.console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)


def outcome(report: SlideReport) -> str:
    """Status, class and size in a few words."""
    words = [report.status.value]
    if report.metastasis is not None:
        words.append(report.class_word)
    if report.largest_deposit_um is not None:
        words.append(f"{report.largest_deposit_um:.0f} um")
    return ", ".join(words)


def duration(seconds: float | None) -> str:
    """Minutes and seconds as 3:07, hours where there are any, "?" where it isn't known."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
