"""Openers for worker processes, named by import path: predictors that behave badly when they see tumour.

The "model" is a folder in which they leave what a test wants to know. Nothing here knows torch.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.errors import DeviceError, DeviceLostError, ModelError
from tests.fakes import ColourPredictor

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


def open_deadly(folder: Path, *, device: str, slot: int) -> tuple[Touchy, int]:
    return Touchy(_die), 1


def open_deadly_once(folder: Path, *, device: str, slot: int) -> tuple[Touchy, int]:
    def die_once() -> None:
        if not (folder / "died").exists():
            (folder / "died").touch()
            _die()

    return Touchy(die_once), 1


def open_stalling(folder: Path, *, device: str, slot: int) -> tuple[Touchy, int]:
    if PIDS in os.environ:
        Path(os.environ[PIDS]).write_text(str(os.getpid()), encoding="ascii")
    return Touchy(lambda: time.sleep(600)), 1


def open_nowhere(folder: Path, *, device: str, slot: int) -> tuple[Touchy, int]:
    raise DeviceError(f"device {device!r} isn't there")


def open_beyond_the_first(folder: Path, *, device: str, slot: int) -> tuple[ColourPredictor, int]:
    """The first slot's GPU is broken."""
    if slot == 0:
        raise DeviceError("cuda:0 doesn't compute")
    return ColourPredictor(), 1


def open_until_it_dies(folder: Path, *, device: str, slot: int) -> tuple[Touchy, int]:
    """The device is gone once a worker died at it."""

    def die() -> None:
        (folder / "died").touch()
        _die()

    if (folder / "died").exists():
        raise DeviceError(f"device {device!r} isn't there any more")
    return Touchy(die), 1


def open_broken(folder: Path, *, device: str, slot: int) -> tuple[Touchy, int]:
    raise ZeroDivisionError("a defect")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def open_failing_ever_after(folder: Path, *, device: str, slot: int) -> tuple[Touchy, int]:
    """A network that answers nothing any more once it met tumour, in this process."""
    predictor: Touchy

    def fail() -> None:
        predictor.raises = ModelError("a tile can't be answered (out of memory)")
        raise predictor.raises

    predictor = Touchy(fail)
    return predictor, 1


def open_on_failing_gpu(folder: Path, *, device: str, slot: int) -> tuple[Touchy, int]:
    """Its GPU fails at tumour, and at everything after that."""
    predictor: Touchy

    def fail() -> None:
        predictor.raises = DeviceLostError(f"the GPU failed (CUDA error: launch failure); {DeviceLostError.remedy}")
        raise predictor.raises

    predictor = Touchy(fail)
    return predictor, 1


def open_on_gpu_that_fails_once(folder: Path, *, device: str, slot: int) -> tuple[Touchy, int]:
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


def open_on_gpu_that_goes(folder: Path, *, device: str, slot: int) -> tuple[OnDevice, int]:
    """On a GPU that dies at tumour; later processes find none."""

    def die() -> None:
        (folder / "died").touch()
        _die()

    return (OnDevice(WITHOUT_GPU) if (folder / "died").exists() else OnDevice(GPU.format(slot), die)), 1


def open_one_gpu_for_two(folder: Path, *, device: str, slot: int) -> tuple[OnDevice, int]:
    """The first slot has all of the GPU."""
    return OnDevice(WITHOUT_GPU if slot else GPU.format(0)), 1


def open_two_gpus(folder: Path, *, device: str, slot: int) -> tuple[OnDevice, int]:
    return OnDevice(GPU.format(slot)), 2


def open_robbing(folder: Path, *, device: str, slot: int) -> tuple[Touchy, int]:
    """Another run takes the output folder beside the "model" when tumour is seen."""
    lock = folder.parent / "out" / ".run.lock"
    return Touchy(lambda: lock.write_text('{"host": "elsewhere", "pid": 1, "run_id": "other"}') and None), 1
