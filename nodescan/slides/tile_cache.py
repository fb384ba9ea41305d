"""The decoded tiles that neighbouring reads share: bounded in bytes, and no tile decoded by two threads at once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

KEPT_BYTES = 160 * 1024 * 1024
"""Of a slide's decoded tiles. Of 512 px: 213, three rows of a level 36,000 px wide, which is what boxes with a margin
come back to when they are read row by row. Wider tissue costs speed, not memory."""


class TileCache:
    """Holds the tiles used last, at most `capacity_bytes` of them. Safe to use from several threads."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Pixels] = OrderedDict()
        self._coming: dict[Hashable, Future[Pixels]] = {}

    def get(self, key: Hashable, decode: Callable[[], Pixels]) -> Pixels:
        """The tile of this key, decoded by this thread, by another one just now, or before.

        What `decode` raises reaches every thread that waits for the tile, and isn't remembered: the next to ask
        decodes again.
        """
        with self._lock:
            pixels = self._kept.get(key)
            if pixels is not None:
                self._kept.move_to_end(key)
                return pixels
            others = self._coming.get(key)
            mine: Future[Pixels] = Future()
            self._coming.setdefault(key, mine)
        if others is not None:
            return others.result()
        try:
            pixels = decode()
        except BaseException as error:  # passed on, here and to all who wait for the tile
            with self._lock:
                del self._coming[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._coming[key]
            self._keep(key, pixels)
        mine.set_result(pixels)
        return pixels

    def clear(self) -> None:
        """Lets all tiles go."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _keep(self, key: Hashable, pixels: Pixels) -> None:
        self._kept[key] = pixels
        self._bytes += pixels.nbytes
        while self._bytes > self._capacity_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.nbytes
