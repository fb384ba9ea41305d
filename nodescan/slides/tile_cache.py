"""The decoded tiles that neighbouring reads share: bounded in bytes, and no tile decoded by two threads at once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

KEPT_BYTES = 160 * 1024 * 1024
"""Of a slide's decoded tiles. Boxes with a margin that are read row by row come back to the lowest tiles of the row
before: two rows of 240 px tiles are held of tissue 100,000 px wide, which is 50 mm at 0.5 um/px, read at level 0, and
25 mm at 0.25. Wider tissue costs speed, not memory: tiles of 240 px are decoded 1.2 times, of 512 px up to twice at 0.5
um/px, and 2.9 times at 1 um/px from about 46 mm on if rows of boxes begin at a tile's edge (one place in eight)."""

_PASSING_SHARE = 1 / 8
"""Of the capacity, at least, is for tiles that the next boxes of a row share: 121 of 240 px, and a box meets 36 of
them at 0.5 um/px. 16 readers at once decoded none twice for want of it."""


class TileCache:
    """Holds tiles that were used, at most `capacity_bytes` of them. Safe to use from several threads.

    There are tiles that last and others. In each group the tiles used last are kept; the others are dropped first, as
    long as there are enough of them.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._lock = threading.Lock()
        self._passing, self._lasting = _Kept(), _Kept()
        self._coming: dict[Hashable, Future[Pixels]] = {}

    def get(self, key: Hashable, decode: Callable[[], Pixels], *, lasts: bool = False) -> Pixels:
        """The tile of this key, decoded by this thread, by another one just now, or before.

        lasts: keep it longer than other tiles read meanwhile; the last caller decides. An error of `decode` reaches
        every thread that waits for the tile, and isn't remembered: the next caller decodes again.
        """
        with self._lock:
            pixels = self._passing.taken(key)
            if pixels is None:
                pixels = self._lasting.taken(key)
            if pixels is not None:
                self._keep(key, pixels, lasts)
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
            self._keep(key, pixels, lasts)
        mine.set_result(pixels)
        return pixels

    def clear(self) -> None:
        """Lets all tiles go."""
        with self._lock:
            self._passing, self._lasting = _Kept(), _Kept()

    def _keep(self, key: Hashable, pixels: Pixels, lasts: bool) -> None:
        mine, others = (self._lasting, self._passing) if lasts else (self._passing, self._lasting)
        mine.put(key, pixels)
        least = _PASSING_SHARE * self._capacity_bytes
        while self._passing.bytes + self._lasting.bytes > self._capacity_bytes:
            from_passing = self._passing.bytes > least or not self._lasting.bytes
            chosen = self._passing if from_passing else self._lasting
            is_this_one = chosen is mine and mine.bytes == pixels.nbytes
            (others if is_this_one and others.bytes else chosen).drop_oldest()


class _Kept:
    """Tiles by the order of their last use, and how many bytes they are."""

    def __init__(self) -> None:
        self.bytes = 0
        self._tiles: OrderedDict[Hashable, Pixels] = OrderedDict()

    def put(self, key: Hashable, pixels: Pixels) -> None:
        self._tiles[key] = pixels
        self.bytes += pixels.nbytes

    def taken(self, key: Hashable) -> Pixels | None:
        """The tile, which isn't here any more then; None where it wasn't."""
        pixels = self._tiles.pop(key, None)
        self.bytes -= 0 if pixels is None else pixels.nbytes
        return pixels

    def drop_oldest(self) -> None:
        _, oldest = self._tiles.popitem(last=False)
        self.bytes -= oldest.nbytes
