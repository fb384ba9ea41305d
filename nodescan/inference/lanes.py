"""Several tiles through one network at a time: answers are waited for only where they are needed.

What opens without torch: see torch_lanes.py for lanes that compute with it.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Answer = Callable[[], NDArray[np.float32]]
"""Waits for the answers of the tiles it was given for."""

MOST_LANES = 8
"""A lane's work arrays are 50 to 100 MB: on a machine of many cores, lanes take several threads each."""

CPU_BATCH, GPU_BATCH = 4, 32
"""Tiles at a time: on a CPU a few for each lane, on a GPU as many as keep it busy."""


class Lanes(Protocol):
    """Answers tiles, uint8 (N, h, w, 3), with float32 (N, cells, cells); several starts may be under way."""

    @property
    def precision(self) -> str:
        """What it computes in at the moment."""
        ...

    @property
    def count(self) -> int:
        """Tiles computed at the same time, or tiles that one turn should have."""
        ...

    def start(self, tiles: NDArray[np.uint8]) -> Answer: ...


class SwitchingLanes:
    """One way until a faster one has been made ready; making it begins once that many tiles were answered.

    So a slide too small to repay the making is not made to wait for it, and none is: the first way goes on meanwhile.
    """

    def __init__(self, first: Lanes, make: Callable[[], Lanes | None], *, after_tiles: int) -> None:
        """make: the faster way, None where there is none; called once, in a thread of its own."""
        self._first, self._make, self._left = first, make, after_tiles
        self._maker: ThreadPoolExecutor | None = None
        self._better: Future[Lanes | None] | None = None

    @property
    def count(self) -> int:
        return self._first.count

    @property
    def precision(self) -> str:
        better = self._better.result() if self.switched and self._better is not None else None
        return (better or self._first).precision

    @property
    def switched(self) -> bool:
        better = self._better
        return better is not None and better.done() and better.exception() is None and better.result() is not None

    def start(self, tiles: NDArray[np.uint8]) -> Answer:
        self._left -= len(tiles)
        if self._better is None and self._left < 0:
            self._maker = ThreadPoolExecutor(1, thread_name_prefix="make-ready")
            self._better = self._maker.submit(self._make)
            self._maker.shutdown(wait=False)
        better = self._better.result() if self.switched and self._better is not None else None
        return (better or self._first).start(tiles)
