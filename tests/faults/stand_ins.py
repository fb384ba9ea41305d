"""What stands in the network's place, here or in a worker process, and the mishap that waits for one slide there."""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodescan import overview, reports, scan, slides
from nodescan.domain.report import SlideResult
from tests.fakes import ColourPredictor, no_fields

OPENER = "tests.faults.stand_ins:open_colour"
MISHAP = "NODESCAN_TEST_MISHAP"
"""Environment variable, so that worker processes meet it too."""

STAGES = ("opening", "tissue", "tiles", "writing", "moving")
"""Of one slide: before the file is opened, before tissue is sought, when the network is asked, with some of the files
written, and with all but report.json in place."""


@dataclass(frozen=True, slots=True)
class Mishap:
    """what: of DEEDS. slide: file name without its ending. path: what the deed is done to, "" for nothing.

    times: how often it happens; mark: a file that grows by a line each time, the process' number.
    """

    what: str
    slide: str
    stage: str
    mark: str
    times: int = 1
    path: str = ""

    def lay(self) -> None:
        """From now on it waits, in this process and those started from it."""
        os.environ[MISHAP] = json.dumps(asdict(self))

    def happened(self) -> int:
        with suppress(FileNotFoundError):
            return len(Path(self.mark).read_text().splitlines())
        return 0

    def pids(self) -> list[int]:
        return [int(line) for line in Path(self.mark).read_text().splitlines()]


class _Watch(threading.local):
    """Knows which slide this thread scans, and lets the mishap happen at its stage."""

    slide: str = ""

    def reached(self, stage: str, slide: str = "") -> None:
        laid = os.environ.get(MISHAP)
        if not laid:
            return
        mishap = Mishap(**json.loads(laid))
        if (stage, slide or self.slide) != (mishap.stage, mishap.slide) or mishap.happened() >= mishap.times:
            return
        with Path(mishap.mark).open("a") as mark:
            mark.write(f"{os.getpid()}\n")
        DEEDS[mishap.what](mishap.path)


_watch = _Watch()


class WatchedPredictor(ColourPredictor):
    """The colour predictor, at whose question a mishap may happen."""

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        _watch.reached("tiles")
        return super().predict(tiles)


def open_colour(model: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[ColourPredictor, int]:
    """Opens no model: the tests' predictor, on the one slot there is."""
    _arm()
    return predictor, 1


predictor: ColourPredictor = WatchedPredictor()
"""A case may put another in its place, for runs in this process."""


@cache
def _arm() -> None:
    """Put the watch at the stages' beginnings, once a process; the check of a slide's tissue is left out."""
    check_readable, find_tissue, move = slides.check_readable, overview.find_tissue, os.replace

    def opening(path: Path) -> None:
        _watch.slide = path.stem
        _watch.reached("opening")
        check_readable(path)

    def tissue(*given: Any, **named: Any) -> Any:
        _watch.reached("tissue")
        return find_tissue(*given, **named)

    def moved(source: Any, target: Any) -> None:
        if Path(target).name == "report.json" and not Path(target).parent.name.endswith(".part"):
            _watch.reached("moving")
        move(source, target)

    scan.check_fields = no_fields
    slides.check_readable = opening
    overview.find_tissue = tissue
    os.replace = moved
    written = reports.REPORTS["html"]

    def html(result: SlideResult, *given: Any, **named: Any) -> None:
        _watch.reached("writing", result.report.slide.slide_id)
        written.write(result, *given, **named)

    reports.REPORTS = {**reports.REPORTS, "html": replace(written, write=html)}


def _die(number: signal.Signals) -> Callable[[str], None]:
    return lambda _: os.kill(os.getpid(), number)


def _hang(_: str) -> None:
    while True:
        time.sleep(1)


def _leave(_: str) -> None:
    os._exit(3)


def _unlink(path: str) -> None:
    Path(path).unlink()


def _remove_folder(path: str) -> None:
    shutil.rmtree(path)


def _break(_: str) -> None:
    raise ZeroDivisionError("planted by a fault case")


DEEDS: Mapping[str, Callable[[str], None]] = {
    "kill": _die(signal.SIGKILL),
    "crash": _die(signal.SIGSEGV),
    "leave": _leave,
    "hang": _hang,
    "break": _break,
    "unlink": _unlink,
    "remove folder": _remove_folder,
}
