"""Openers for worker processes, named by import path: predictors that behave badly when they see tumour.

The "model" is a folder in which they leave what a test wants to know. Nothing here knows torch.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
from numpy.typing import NDArray

from nodescan import scan
from nodescan.batch import worker_process, worker_task
from nodescan.domain.slide import SlideRef
from nodescan.errors import DeviceError, DeviceLostError, ModelError
from nodescan.examination.tile_batches import TileReader
from nodescan.examination.tile_plan import Survey
from nodescan.interfaces import Slide, TilePredictor
from tests.fakes import Busy, ColourPredictor, no_fields
from tests.waiting import PATIENCE_S, until

PIDS = "NODESCAN_TEST_PIDS"

RUN = """
import sys
from functools import partial
from nodescan import cli
from nodescan.batch import run as batch
batch.ScanJob = partial(batch.ScanJob, opener=sys.argv[1])
sys.exit(cli.main(sys.argv[2:]))
"""
"""The program's command line behind the name of the opener that its workers are to use."""


if getattr(sys.modules["__main__"], "WORK", None) == worker_process.WORK:  # in a worker, and in no other process
    scan.check_fields = no_fields


class Touchy(ColourPredictor):
    """A colour predictor that prints, and does something else when it sees tumour."""

    def __init__(self, at_tumour: Callable[[], None]) -> None:
        super().__init__()
        self.at_tumour = at_tumour

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        print("a library prints what it likes, on stdout too")
        answers = super().predict(tiles)
        if answers.max() > 0.9:
            self.at_tumour()
        return answers


def open_deadly(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    return Touchy(_die), 1


def open_deadly_once(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    def die_once() -> None:
        if not (folder / "died").exists():
            (folder / "died").touch()
            _die()

    return Touchy(die_once), 1


def open_stalling(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    if PIDS in os.environ:
        Path(os.environ[PIDS]).write_text(str(os.getpid()), encoding="ascii")
    return Touchy(lambda: time.sleep(600)), 1


def open_nowhere(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    raise DeviceError(f"device {device!r} isn't there")


def open_beyond_the_first(
    folder: Path, *, device: str, slot: int, precision: str = "auto"
) -> tuple[ColourPredictor, int]:
    """The first slot's GPU is broken."""
    if slot == 0:
        raise DeviceError("cuda:0 doesn't compute")
    return ColourPredictor(), 1


def open_until_it_dies(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    """The device is gone once a worker died at it, which it does when slide a is done."""

    def die() -> None:
        _until_reported(folder, "a")
        (folder / "died").touch()
        _die()

    if (folder / "died").exists():
        raise DeviceError(f"device {device!r} isn't there any more")
    return Touchy(die), 1


def open_broken(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    raise ZeroDivisionError("a defect")


def _until_reported(folder: Path, slide_id: str) -> None:
    """Wait for the report of a slide in the output folder beside the "model"; a second more for it to be told."""
    until((folder.parent / "out" / slide_id / "report.json").exists)
    time.sleep(1)


def _at_opening(slide_id: str, deed: Callable[[], object]) -> None:
    """Have this process do something whenever it opens the slide."""
    opened = worker_task.open_slide

    def open_slide(ref: SlideRef) -> Slide:
        if ref.slide_id == slide_id:
            deed()
        return opened(ref)

    worker_task.open_slide = open_slide


def open_where_b_kills(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[ColourPredictor, int]:
    """To open slide b kills the process; slide a is being answered by then, the first time."""
    answering = Event()

    def kill() -> None:
        if not (folder / "killed").exists():
            answering.wait(PATIENCE_S)
            (folder / "killed").touch()
        _die()

    _at_opening("b", kill)
    return Busy(answering.set), 1


def open_where_b_hangs(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[ColourPredictor, int]:
    """To open slide b takes for ever; the network takes 2 s for four tiles."""
    _at_opening("b", lambda: time.sleep(600))
    return Slow(2.0), 1


def open_where_b_lacks_memory_once(
    folder: Path, *, device: str, slot: int, precision: str = "auto"
) -> tuple[ColourPredictor, int]:
    """To open slide b there is no memory while another slide is in the process."""

    def lack_once() -> None:
        if not (folder / "lacked").exists():
            (folder / "lacked").touch()
            raise MemoryError

    _at_opening("b", lack_once)
    return Slow(1.0), 1


def open_waiting_for_b(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[ColourPredictor, int]:
    """The network answers slide a when slide b's first tiles are read, and not before."""
    read = Event()
    read_first_tiles = scan.read_first_tiles

    def read_and_say(slide: Slide, survey: Survey, predictor: TilePredictor) -> TileReader:
        reader = read_first_tiles(slide, survey, predictor)
        if slide.ref.slide_id == "b":
            for wait_for in reader.begun.values():
                wait_for()
            read.set()
        return reader

    scan.read_first_tiles = read_and_say
    return Busy(lambda: read.wait(PATIENCE_S)), 1


class Slow(ColourPredictor):
    """A colour predictor that takes so long for a batch."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        time.sleep(self.seconds)
        return super().predict(tiles)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def open_aborting(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    return Touchy(os.abort), 1


def open_short_of_threads(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    """As C++ ends a process that asked for a thread in vain, deep within calls: their stack is long."""

    def end(depth: int = 90) -> None:
        if depth:
            end(depth - 1)
        sys.stderr.write("terminate called: std::system_error, what(): Resource temporarily unavailable\n")
        sys.stderr.flush()
        os.abort()

    return Touchy(end), 1


def open_failing_ever_after(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    """A network that answers nothing any more once it met tumour, in this process."""
    predictor: Touchy

    def fail() -> None:
        predictor.raises = ModelError("a tile can't be answered (out of memory)")
        raise predictor.raises

    predictor = Touchy(fail)
    return predictor, 1


def open_on_failing_gpu(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    """Its GPU fails at tumour, and at everything after that."""
    predictor: Touchy

    def fail() -> None:
        predictor.raises = DeviceLostError("the GPU failed (CUDA error: launch failure)")
        raise predictor.raises

    predictor = Touchy(fail)
    return predictor, 1


def open_on_gpu_that_fails_once(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    """As open_on_failing_gpu in the first process; the second one's GPU does its work."""
    if (folder / "failed").exists():
        return Touchy(lambda: None), 1
    (folder / "failed").touch()
    return open_on_failing_gpu(folder, device=device, slot=slot)


class OnDevice(Touchy):
    """A predictor that says it is on this device."""

    def __init__(self, device: str, at_tumour: Callable[[], None] = lambda: None) -> None:
        super().__init__(at_tumour)
        self.device = device


GPU = "cuda:{} (NVIDIA H200)"
WITHOUT_GPU = "cpu (x86_64, 2 threads; device cuda:0 doesn't compute (CUDA error: system not ready))"


def open_on_gpu_that_goes(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[OnDevice, int]:
    """On a GPU that dies at tumour, when slide a is done; later processes find none."""

    def die() -> None:
        _until_reported(folder, "a")
        (folder / "died").touch()
        _die()

    return (OnDevice(WITHOUT_GPU) if (folder / "died").exists() else OnDevice(GPU.format(slot), die)), 1


def open_one_gpu_for_two(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[OnDevice, int]:
    """The first slot has all of the GPU."""
    return OnDevice(WITHOUT_GPU if slot else GPU.format(0)), 1


def open_two_gpus(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[OnDevice, int]:
    return OnDevice(GPU.format(slot)), 2


def open_robbing(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[Touchy, int]:
    """Another run takes the output folder beside the "model" when tumour is seen."""
    lock = folder.parent / "out" / ".run.lock"
    return Touchy(lambda: lock.write_text('{"host": "elsewhere", "pid": 1, "run_id": "other"}') and None), 1
