"""Shows how a batch advances as bars on a terminal."""

import time
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from nodescan.batch.progress import GONE, Advances, Clock, Viewer, duration, outcome
from nodescan.domain.report import SlideReport
from nodescan.streams import one_line


class BarViewer(Viewer):
    """Bars for a terminal: one for the batch, and one for each slide that runs or whose reports are written."""

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
        with GONE:
            self._batch = self._bars.add_task("slides", total=slides, counts=f"0/{slides}")
            self._bars.start()

    def slide_started(self, slide_id: str, tiles: int) -> None:
        with self._state.lock, GONE:
            self._state.start(slide_id, tiles)
            if slide_id in self._tasks:  # its first process died
                self._bars.remove_task(self._tasks.pop(slide_id))
            self._tasks[slide_id] = self._bars.add_task(slide_id, total=tiles, counts=f"0/{tiles} tiles")

    def tiles_done(self, slide_id: str, tiles: int, megapixels: float) -> None:
        with self._state.lock, GONE:
            advance = self._state.add(slide_id, tiles, megapixels)
            rate = advance.rate(self._state.clock())
            counts = f"{advance.done}/{advance.tiles} tiles, {rate:.1f} Mpx/s"
            if slide_id in self._tasks:
                self._bars.update(self._tasks[slide_id], completed=advance.done, counts=counts)
            self._show_batch()

    def slide_finished(self, report: SlideReport, seconds: float) -> None:
        slide_id = report.slide.slide_id
        with self._state.lock, GONE:
            self._state.finish(slide_id)
            if slide_id in self._tasks:
                self._bars.remove_task(self._tasks.pop(slide_id))
            self._show_batch()
        self._line(f"{slide_id}: {outcome(report)} in {duration(seconds)}")

    def close(self, state: str = "finished") -> None:
        if self._batch is not None:
            with GONE:
                self._bars.stop()

    def _show_batch(self) -> None:
        """A slide that is half done counts as half, so that the time left is right for few large slides, too. A slide
        whose tiles are done isn't finished, because its report is still to be written."""
        if self._batch is None:
            return
        state = self._state
        parts = sum(advance.done / advance.tiles for advance in state.running.values() if advance.tiles)
        self._bars.update(
            self._batch, completed=state.finished + 0.99 * parts, counts=f"{state.finished}/{state.slides}"
        )

    def _line(self, text: str) -> None:
        with GONE:
            self._bars.console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)
