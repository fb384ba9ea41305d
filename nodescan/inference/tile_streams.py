"""Lanes: several tiles go through one network at a time, and only whoever needs an answer waits for it.

This module loads no torch. Lanes that compute with torch are in torch_streams.py.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from nodescan.errors import ModelError

Answer = Callable[[], NDArray[np.float32]]
"""Waits for the answers of the tiles it was given for."""

_MOST_LANES = 8
"""A lane's work arrays are 50 to 100 MB: on a machine of many cores, lanes take several threads each."""

GPU_BATCH = 32
"""Tiles at a time, as many as keep a GPU busy."""

Precision = Literal["auto", "float32"]
"""auto: the fastest that the device has, whose findings are those of float32; see FastPredictor."""


def lane_count(threads: int) -> int:
    """Lanes of a CPU on which so many threads may compute, and tiles at a time there: one for each lane.

    A scan hands over two batches, so each lane has a next tile waiting, and progress is shown after the first. All
    lanes have the same number of threads, and the number of lanes leaves the fewest threads idle: 6 lanes of 2 for 12
    threads.
    """
    if threads <= _MOST_LANES:
        return threads
    return max(range(_MOST_LANES // 2 + 1, _MOST_LANES + 1), key=lambda lanes: (threads - threads % lanes, lanes))


def check_not_forked() -> None:
    """Raises ModelError in a process that was forked after a model was opened: the threads that compute are not there,
    and it would wait for them for ever."""
    if os.getpid() != _opening_process():
        raise ModelError("a model was opened before this process was forked; start processes by spawn instead")


@cache
def _opening_process() -> int:
    """The process that asked first, here or in what this was forked from."""
    return os.getpid()


class Lanes(Protocol):
    """Answers tiles, uint8 (N, h, w, 3), with float32 (N, cells, cells); several starts may be under way."""

    @property
    def precision(self) -> str:
        """What it computes in."""
        ...

    def start(self, tiles: NDArray[np.uint8]) -> Answer: ...


def started(lanes: Lanes, tiles: NDArray[np.uint8]) -> Answer:
    """As Lanes' start; both it and the answer raise ModelError as check_not_forked does."""
    check_not_forked()
    answer = lanes.start(tiles)

    def answer_here() -> NDArray[np.float32]:
        check_not_forked()
        return answer()

    return answer_here
