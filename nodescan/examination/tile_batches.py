"""Reads tiles ahead of the network and hands them to it in batches, in little memory; nothing here looks at them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle, islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nodescan.examination.tile_plan import Survey
from nodescan.imaging.stitching import Tile
from nodescan.interfaces import Slide, TilePredictor
from nodescan.machine import computing_threads, usable_cores
from nodescan.threads import start_each

MOST_READERS = 16
"""Reading threads: one for each core, at least two. On a CPU the network uses the same cores, and readers that are
ahead of it wait. But if tiles take long to read, as from level 0, two readers would be too slow for many cores. The
number of waiting tiles doesn't depend on the number of readers: see in_batches."""

_UNDER_WAY = 2
"""Batches: one is computed while the next one is handed over."""

_FIRST_BATCHES = 2
"""Read before the network is free for the slide: one is computed while the next one is handed over. On a GPU that is
64 tiles, 64 MB."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class TileReader:
    """Reads the tiles of a slide's survey. begun: those that are being read already, each with what waits for it."""

    def __init__(
        self, slide: Slide, survey: Survey, begun: Mapping[Tile, Callable[[], NDArray[np.uint8]]] | None = None
    ) -> None:
        self.slide, self.survey, self.begun = slide, survey, dict(begun or {})

    def read(self, tile: Tile) -> NDArray[np.uint8]:
        """uint8 (input_px, input_px, 3): the tile's pixels. Raises RegionUnreadableError where they can't be read."""
        wait = self.begun.pop(tile, None)
        return self.slide.read(self.survey.grid.input_box(*tile), self.survey.spacing) if wait is None else wait()


def read_first_tiles(slide: Slide, survey: Survey, predictor: TilePredictor) -> TileReader:
    """Begins to read the tiles that the predictor is shown first. Raises WorkerError where no thread can be started."""
    first = survey.tiles[: _FIRST_BATCHES * predictor.batch_size]
    waits = start_each("read-first", TileReader(slide, survey).read, first, threads=readers_for(predictor))
    return TileReader(slide, survey, dict(zip(first, waits, strict=True)))


def readers_for(predictor: TilePredictor) -> int:
    """Threads that read tiles ahead of this predictor."""
    cores = computing_threads() if predictor.device.startswith("cpu") else usable_cores()
    return max(2, min(MOST_READERS, cores))


def in_batches(
    pool: ThreadPoolExecutor, work: Callable[[_Item], _Result], items: Sequence[_Item], size: int
) -> Iterator[list[_Result]]:
    """The results in order, in lists of `size` (the last may be shorter), with few results waiting."""
    coming = _ahead(pool, work, items, most=(_UNDER_WAY + 1) * size)
    while batch := list(islice(coming, size)):
        yield batch


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[_Item], _Result], items: Sequence[_Item], *, most: int
) -> Iterator[_Result]:
    """The results in order, at most `most` of them waiting."""
    waiting: deque[Future[_Result]] = deque()
    coming = iter(items)
    waiting.extend(pool.submit(work, item) for item in islice(coming, most))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(work, item) for item in islice(coming, 1))
        yield result


def answered(
    batches: Iterable[_Item], pixels_of: Callable[[_Item], Sequence[NDArray[np.uint8]]], predictor: TilePredictor
) -> Iterator[tuple[_Item, NDArray[np.float32]]]:
    """Each batch with the answers to its pixels, uint8 (h, w, 3) a tile, one batch computed ahead."""
    under_way: deque[tuple[_Item, Callable[[], NDArray[np.float32]]]] = deque()
    rooms = cycle([_Room() for _ in range(_UNDER_WAY)])
    for batch in batches:
        under_way.append((batch, _started(pixels_of(batch), predictor, next(rooms))))
        if len(under_way) == _UNDER_WAY:
            oldest, answers = under_way.popleft()
            yield oldest, answers()
    for batch, answers in under_way:
        yield batch, answers()


class _Room:
    """Memory for the tiles of one batch, used again for the next batch once this one is answered.

    New memory may cost more than copying: a stack of 32 tiles of 576 px took up to 44 ms in new memory, 7 ms in used.
    """

    def __init__(self) -> None:
        self._pixels: NDArray[np.uint8] | None = None

    def filled(self, tiles: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """uint8 (N, h, w, 3): the tiles, uint8 (h, w, 3) each and of one size."""
        if self._pixels is None or len(self._pixels) < len(tiles):
            self._pixels = np.empty((len(tiles), *tiles[0].shape), dtype=np.uint8)
        return np.stack(tiles, out=self._pixels[: len(tiles)])


def _started(
    pixels: Sequence[NDArray[np.uint8]], predictor: TilePredictor, room: _Room
) -> Callable[[], NDArray[np.float32]]:
    if not pixels:
        cells = predictor.geometry.cells
        return lambda: np.empty((0, cells, cells), np.float32)
    return predictor.start(room.filled(pixels))
