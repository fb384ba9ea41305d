"""How a batch advances: the viewer's interface, and plain lines for a file or a pipe. A terminal's bars are in bars.py.

Worker processes import this, so it loads nothing that draws.
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TextIO

from nodescan.domain.class_bounds import class_word
from nodescan.domain.report import SlideReport
from nodescan.reports.wording import slide_size_words
from nodescan.streams import tell

PLAIN_EVERY_S = 10.0
"""At most one line of tiles in this time: a log stays readable."""

Clock = Callable[[], float]

GONE = suppress(OSError, ValueError)
"""A lost screen (a closed window, a pipe that nobody reads, a full disk) doesn't end a batch."""


class Viewer:
    """Told how a batch advances; this one shows nothing but errors. May be told from several threads.

    It is an interfaces.Progress for the scan, with the events of the whole batch beside. Each is `heard` under its
    name, so that one that passes events on has them all in one place.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream

    def note(self, text: str) -> None:
        """What goes on outside of slides, on one line."""
        self.hear("note", text=text)

    def batch_started(self, slides: int) -> None:
        """`slides` is how many are to be scanned: those asked for but for the kept ones."""
        self.hear("batch_started", slides=slides)

    def slide_started(self, slide_id: str, tiles: int) -> None:
        """The slide is open and has this many tiles to examine."""
        self.hear("slide_started", slide_id=slide_id, tiles=tiles)

    def tiles_done(self, slide_id: str, tiles: int, megapixels: float) -> None:
        """This many more tiles, of so many megapixels, are examined."""
        self.hear("tiles_done", slide_id=slide_id, tiles=tiles, megapixels=megapixels)

    def slide_finished(self, report: SlideReport, seconds: float) -> None:
        """The slide's result is known, whatever its status."""
        self.hear("slide_finished", report=report, seconds=seconds)

    def error(self, line: str) -> None:
        """Something to tell the user at once, on one line; never silenced."""
        self.hear("error", line=line)

    def run_failed(self, line: str) -> None:
        """Why the whole run ends, on one line, for a log; whoever started the run shows it."""
        self.hear("run_failed", line=line)

    def close(self, state: str = "finished") -> None:
        """Nothing more will come. state: of the run, "finished", "interrupted" or "failed"."""
        self.hear("close", state=state)

    def hear(self, event: str, **facts: Any) -> None:
        """event: the method that was called; facts: what it was given."""
        if event == "error":
            self._line(f"error: {facts['line']}")

    def _line(self, text: str) -> None:
        with GONE:
            tell(text, self._stream, flush=True)


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
            others = sum(advance.tiles > 0 for name, advance in self._state.running.items() if name != slide_id)
            number = self._state.finished + others + 1  # several may run; none is counted twice
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
            self._line(f"done {count} {slide_id}: {outcome(report)} in {duration(seconds)}{left}")


def outcome(report: SlideReport) -> str:
    """Status, class and size in a few words."""
    words = [report.status.value]
    if report.metastasis is not None:
        words.append(class_word(report))
    if report.largest_deposit_um is not None:
        words.append(slide_size_words(report))
    return ", ".join(words)


def duration(seconds: float | None) -> str:
    """Minutes and seconds as 3:07, hours where there are any, "?" where it isn't known."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
