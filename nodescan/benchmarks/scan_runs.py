"""`nodescan run` in a process of its own, as a user starts it, and what its log says about time."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nodescan.benchmarks.processes import Run, run_watched
from nodescan.domain.report import Status
from nodescan.errors import NodescanError
from nodescan.machine import temporary_folder

_PROGRAM = "import sys; from nodescan.cli import main; sys.exit(main())"


@dataclass(frozen=True, slots=True)
class SlideTimes:
    """One slide. after_network_s: from the network's last answer to its report written. tissue_mm2: as found. flags:
    their codes."""

    slide_id: str
    status: str
    seconds: float
    after_network_s: float
    tissue_mm2: float
    flags: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether all was done that a slide of its tissue takes. A model that wasn't tuned, as one made for a
        comparison, leaves every slide incomplete when all is done."""
        return self.status == Status.COMPLETE or "model_not_tuned" in self.flags

    @property
    def words(self) -> str:
        """What it ended as, and why."""
        why = f" ({', '.join(self.flags)})" if self.flags else ""
        return f"{self.slide_id} is {self.status}{why}"


@dataclass(frozen=True, slots=True)
class ScanRun:
    """A whole command. first_tile_s: from its start to the first batch of tiles answered; see processes.Run."""

    seconds: float
    first_tile_s: float
    peak_rss_bytes: int
    slides: tuple[SlideTimes, ...]


def scan(slides: Sequence[Path], *, model: str | None, device: str, options: Sequence[object]) -> ScanRun:
    """Scan slides into a folder that is thrown away. options: further words for `nodescan run`.

    Raises NodescanError where one isn't scanned to its end, or nothing can be said of it.
    """
    with temporary_folder("nodescan-bench-") as folder:
        out, log = folder / "out", folder / "log.jsonl"
        words = ["run", *slides, "--out", out, "--log-json", log, "--device", device, "--quiet", *options]
        words += [] if model is None else ["--model", model]
        run = run_watched([sys.executable, "-c", _PROGRAM, *map(str, words)])
        events = read_log(log) if log.is_file() else []
        times = slide_times(events, out)
        if len(times) < len(slides):
            said = run.output.strip().splitlines()[-1:] or [f"exit code {run.exit_code}"]
            raise NodescanError(f"nodescan run: ended before all slides were done: {said[0]}")
        for slide in times:
            if Status(slide.status).without_result:
                raise NodescanError(f"nodescan run: {slide.words}: there is nothing to measure")
        return scan_run(run, events, times)


def scan_run(run: Run, events: Sequence[Mapping[str, Any]], slides: tuple[SlideTimes, ...]) -> ScanRun:
    """What a finished run and its log amount to. Raises NodescanError where no tile was answered."""
    # Without tiles it is a sign of life, from a slide that is looked through at low magnification.
    answered = [_seconds(event) for event in events if event["event"] == "tiles_done" and event["tiles_done"] > 0]
    if not answered:
        raise NodescanError(
            "nodescan run: no tile was answered, so there is nothing to measure; name a slide with tissue"
        )
    return ScanRun(run.seconds, min(answered) - run.started, run.peak_rss_bytes, slides)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The events of a --log-json file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def slide_times(events: Sequence[Mapping[str, Any]], out: Path) -> tuple[SlideTimes, ...]:
    """The slides that were finished, with their tissue's area from the reports in `out`."""
    return tuple(
        SlideTimes(
            event["slide_id"],
            event["status"],
            event["seconds"],
            event["after_network_s"],
            *_said(out / event["slide_id"] / "report.json"),
        )
        for event in events
        if event["event"] == "slide_finished"
    )


def _said(report: Path) -> tuple[float, tuple[str, ...]]:
    """Tissue in mm2, and the flags' codes."""
    if not report.is_file():
        return 0.0, ()
    content = json.loads(report.read_text(encoding="utf-8"))
    return float(content.get("tissue_area_mm2") or 0.0), tuple(flag["code"] for flag in content.get("flags", ()))


def _seconds(event: Mapping[str, Any]) -> float:
    """When, in seconds since 1970; the log knows milliseconds."""
    return datetime.fromisoformat(event["ts"]).timestamp()
