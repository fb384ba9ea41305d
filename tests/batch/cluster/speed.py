"""How fast a Dask cluster of this machine is, and what handing over a slide costs.

Run as `python -m tests.batch.cluster.speed`. The slides are painted and the network is a stand-in of one thread, so
that what is measured is the way to the workers and back, not a network. Beside slides per second there are two costs
of a tiny slide: this process' own time on the processor, and the time in which the one worker reads nothing.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tifffile

from nodescan.batch import run as batch
from nodescan.batch.progress import Viewer
from nodescan.batch.request import BatchRequest
from nodescan.batch.run import run_batch
from nodescan.domain.report import SlideReport
from tests.batch.cluster.fakes import Farm
from tests.fakes import PINK, paint_slide

MOST_MS = 20.0
"""What the driver may cost a slide."""


class Clock(Viewer):
    """Notes when slides begin and end, after the model is open."""

    def __init__(self) -> None:
        super().__init__()
        self.started = self.ended = self.cpu_s = self.reading_s = 0.0

    def batch_started(self, slides: int) -> None:
        self.started, self.cpu_s = time.monotonic(), -time.process_time()

    def slide_finished(self, report: SlideReport, seconds: float) -> None:
        self.reading_s += seconds

    def close(self) -> None:
        self.ended = time.monotonic()
        self.cpu_s += time.process_time()

    @property
    def wall_s(self) -> float:
        return self.ended - self.started


@dataclass(frozen=True)
class Timed:
    """slides: how many. idle_ms: a slide, of workers that read nothing. driver_ms: a slide, of this process' CPU."""

    slides: int
    per_s: float
    idle_ms: float
    driver_ms: float


def tiny_slide(path: Path) -> Path:
    """120 um of tissue: one tile."""
    pixels = np.full((192, 192, 3), 245, dtype=np.uint8)
    grain = np.random.default_rng(0).integers(-14, 15, (128, 128, 1))  # even tissue would count as out of focus
    pixels[32:160, 32:160] = np.clip(np.array(PINK) + grain, 0, 255)
    tifffile.imwrite(
        path,
        pixels,
        tile=(192, 192),
        photometric="rgb",
        resolution=(1e4 / 0.95, 1e4 / 0.95),
        resolutionunit="CENTIMETER",
    )
    return path


def timed(farm: Farm, folder: Path, slide: Path, *, count: int, workers: int) -> Timed:
    farm.ready(workers)
    run = folder / f"{slide.stem}-{workers}"
    (run / "in").mkdir(parents=True)
    for number in range(count):
        os.link(slide, run / "in" / f"{number:05}.tif")
    clock = Clock()
    request = BatchRequest((str(run / "in"),), run / "out", reports=("json",), scheduler=farm.address)
    result = run_batch(request, clock)
    failed = [report for report in result.reports if report.flags and report.status.value == "failed"]
    if failed or len(result.reports) != count:
        sys.exit(f"error: {len(failed)} of {count} slides failed: {failed[:1]}")
    idle_ms = (clock.wall_s * workers - clock.reading_s) / count * 1000
    return Timed(count, count / clock.wall_s, idle_ms, clock.cpu_s / count * 1000)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.batch.cluster.speed", description="How fast a Dask cluster is."
    )
    parser.add_argument("--slides", type=int, default=40, help="for slides per second; 40 if not given")
    parser.add_argument("--tiny", type=int, default=1000, help="tiny slides for the driver's cost; 1000 if not given")
    given = parser.parse_args()
    batch.ScanJob = partial(batch.ScanJob, opener="tests.batch.cluster.fakes:open_quietly")
    with tempfile.TemporaryDirectory(prefix="nodescan-speed-") as name:
        folder = Path(name)
        (folder / "farm").mkdir()
        farm = Farm(folder / "farm")
        try:
            slide, tiny = paint_slide(folder / "slide.tif"), tiny_slide(folder / "tiny.tif")
            for workers in (1, 2):
                got = timed(farm, folder, slide, count=given.slides, workers=workers)
                print(f"workers: {workers}: {got.per_s:.2f} slides/s ({got.slides} slides)", flush=True)
            got = timed(farm, folder, tiny, count=given.tiny, workers=1)
        finally:
            farm.end()
    print(f"{got.slides} tiny slides, 1 worker: {got.per_s:.2f} slides/s")
    print(f"driver: {got.driver_ms:.1f} ms of its processor time a slide (at most {MOST_MS:.0f})")
    print(f"worker: {got.idle_ms:.1f} ms a slide in which it reads nothing (at most {MOST_MS:.0f})")
    return 0 if max(got.driver_ms, got.idle_ms) <= MOST_MS else 1


if __name__ == "__main__":
    sys.exit(main())
