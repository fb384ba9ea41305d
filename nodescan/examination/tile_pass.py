"""Shows the network some tiles of a slide: reading runs ahead of computing, memory stays bounded."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.maps import Glass, NotExamined, ProbabilityMap
from nodescan.errors import RegionUnreadableError
from nodescan.examination.damaged_tiles import MOST_DAMAGED, read_damaged
from nodescan.examination.survey import Survey
from nodescan.imaging.missing_data import blank_cells
from nodescan.imaging.paleness import stain_shares
from nodescan.imaging.quality import QualitySettings, out_of_focus, without_specks
from nodescan.imaging.scan_faults import light_share, stuck_lines
from nodescan.imaging.stitching import MapBuilder, Tile, cells_of
from nodescan.imaging.veils import colour_shares
from nodescan.interfaces import Slide, TilePredictor
from nodescan.machine import computing_threads, usable_cores
from nodescan.threads import thread_errors

MOST_READERS = 16
"""One for each core, two at least. On a CPU the network computes on the same cores: readers that are ahead of it wait,
but where tiles are costly to read, as out of level 0, two would not keep ahead of many cores. However many read, as
many tiles wait: see _ahead."""

_UNDER_WAY = 2
"""Batches: one is computed while the next one is handed over."""

_FIRST_BATCHES = 2
"""Read before the network is free for the slide: one is computed while the next one is handed over. On a GPU that is
64 tiles, 64 MB."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class TileAnswers:
    """What the network said of some tiles, and what their pixels are like, on the map's cells.

    reasons : uint8 (H, W), the NotExamined of cells that weren't examined; 0 where they were, and where none is wanted.
    blank : uint8 (H, W), above 0 where cells may be glass or data that the file lacks; see imaging/missing_data.py.
    stain : float16 (H, W, 2), how much of a cell is stained, and how much is dark; see imaging/paleness.py.
    light : float16 (H, W), how much of it is light; see imaging/scan_faults.py.
    colours : float16 (H, W, 2), how much of it is light in red, and in blue; see imaging/veils.py.
    """

    probability: ProbabilityMap
    reasons: NDArray[np.uint8]
    blank: NDArray[np.uint8]
    stain: NDArray[np.float16]
    light: NDArray[np.float16]
    colours: NDArray[np.float16]

    @property
    def unread(self) -> NDArray[np.bool_]:
        return self.reasons == NotExamined.UNREAD

    def completed(self, other: "TileAnswers") -> "TileAnswers":
        """With the answers of `other` in cells that weren't examined here; all else stays."""
        one, two = self.probability, other.probability
        values = np.where(one.examined, one.values, two.values)
        probability = replace(one, values=values, examined=one.examined | two.examined)
        return replace(self, probability=probability, reasons=np.where(two.examined, np.uint8(0), self.reasons))

    def judged(
        self,
        *,
        pale: NDArray[np.bool_],
        dark: NDArray[np.bool_],
        missing: NDArray[np.bool_],
        hidden: NDArray[np.bool_],
    ) -> "TileAnswers":
        """Without cells that are too pale or too dark, that the file lacks, and that ink hides; each bool (H, W)."""
        looked_at = self.without(pale & self.probability.examined, NotExamined.PALE).without(dark, NotExamined.FAULTY)
        return looked_at.without(missing, NotExamined.UNREAD).without(hidden, NotExamined.HIDDEN)

    def without(self, cells: NDArray[np.bool_], reason: NotExamined) -> "TileAnswers":
        """With these cells, bool (H, W), not examined for this reason, unless they aren't for a stronger one."""
        map_ = self.probability
        lost = cells & (map_.examined | (self.reasons > reason))
        if not lost.any():
            return self
        values = np.where(lost, np.float32(0), map_.values)
        probability = replace(map_, values=values, examined=map_.examined & ~lost)
        return replace(self, probability=probability, reasons=np.where(lost, np.uint8(reason), self.reasons))


@dataclass(frozen=True, slots=True)
class _ReadTile:
    """A tile as read and, (cells, cells) of its core, why cells aren't examined, and what else TileAnswers holds."""

    tile: Tile
    pixels: NDArray[np.uint8]
    reasons: NDArray[np.uint8]
    blank: NDArray[np.uint8]
    stain: NDArray[np.float16]
    light: NDArray[np.float16]
    colours: NDArray[np.float16]


def answer_tiles(
    slide: Slide,
    survey: Survey,
    *,
    predictor: TilePredictor,
    quality: QualitySettings | None,
    done: Callable[[int, float], None],
) -> TileAnswers:
    """The network's answer for those cells of the survey's tiles that touch tissue; nothing is examined elsewhere.

    Where a tile can't be read, its parts are: the cells that see none of the damage are answered all the same, unless
    the network pads. quality: None where what is out of focus or pale is known, and answered all the same. done: told
    of every batch, how many tiles and how many megapixels of their cores were answered. Raises ModelError where an
    answer is no probability.
    """
    showing = _TilePass(slide, survey, predictor, quality, done)
    with thread_errors(), ThreadPoolExecutor(readers_for(predictor), thread_name_prefix="read") as pool:
        damaged = showing.at(survey.tiles, showing.read, pool)
        parted = [] if predictor.geometry.padded else damaged[:MOST_DAMAGED]
        for tile in (*showing.at(parted, showing.read_parts, pool, counted=False), *damaged[len(parted) :]):
            showing.mark_unread(tile)
    map_ = replace(showing.builder.result(), bounds=slide.info.bounds_um)
    blurred = without_specks(showing.reasons == NotExamined.BLURRED, survey.wanted, map_.spacing)
    reasons = np.where(survey.wanted & ~map_.examined, showing.reasons, np.uint8(0))
    answers = TileAnswers(map_, reasons, showing.blank, showing.stain, showing.light, showing.colours)
    return answers.without(blurred, NotExamined.BLURRED)


def read_first_tiles(slide: Slide, survey: Survey, predictor: TilePredictor) -> Survey:
    """Begins to read the tiles that the predictor is shown first; the survey with what waits for them.

    Raises WorkerError where the system gives no thread.
    """
    first = survey.tiles[: _FIRST_BATCHES * predictor.batch_size]
    pool = ThreadPoolExecutor(readers_for(predictor), thread_name_prefix="read-first")
    with thread_errors():
        ahead = {tile: pool.submit(survey.read, slide, tile).result for tile in first}
    pool.shutdown(wait=False)
    return replace(survey, ahead=ahead)


class _TilePass:
    """Reads tiles, has them answered and keeps what was said. The arguments are answer_tiles()'s."""

    def __init__(
        self,
        slide: Slide,
        survey: Survey,
        predictor: TilePredictor,
        quality: QualitySettings | None,
        done: Callable[[int, float], None],
    ) -> None:
        self._slide, self._survey, self._predictor = slide, survey, predictor
        self._quality, self._done = quality, done
        self.builder = MapBuilder(survey.grid, frame_spacing=survey.spacing, wanted=survey.wanted)
        self.reasons, self.blank = (np.zeros(survey.wanted.shape, dtype=np.uint8) for _ in range(2))
        self.stain, self.colours = (np.zeros((*survey.wanted.shape, 2), dtype=np.float16) for _ in range(2))
        self.light = np.zeros(survey.wanted.shape, dtype=np.float16)

    def at(
        self,
        tiles: Sequence[Tile],
        read: Callable[[Tile], _ReadTile | Tile],
        pool: ThreadPoolExecutor,
        *,
        counted: bool = True,
    ) -> list[Tile]:
        """Has the tiles read and answered, and returns those that can't be read. counted: they are news to progress."""
        size = self._predictor.batch_size
        damaged: list[Tile] = []
        reads = _ahead(pool, read, tiles, most=(_UNDER_WAY + 1) * size)
        for batch, answers in _answered(_batches(reads, size), self._predictor):
            seen = [item for item in batch if isinstance(item, _ReadTile)]
            damaged += [item for item in batch if not isinstance(item, _ReadTile)]
            for item, answer in zip(seen, answers, strict=True):
                self._place(item, answer)
            self._done(len(batch) if counted else 0, len(seen) * self._predictor.geometry.core_px**2 / 1e6)
        return damaged

    def read(self, tile: Tile) -> _ReadTile | Tile:
        try:
            pixels = self._survey.read(self._slide, tile)
        except RegionUnreadableError:
            return tile
        return self._judged(tile, pixels)

    def read_parts(self, tile: Tile) -> _ReadTile | Tile:
        """As read(), of a tile of which a part can't be."""
        found = read_damaged(self._slide, self._survey.grid.input_box(*tile), self._survey.spacing)
        block_px = None if self._quality is None else self._quality.focus_block_px
        lost = found.damaged_cells(self._predictor.geometry, block_px)
        if lost.all():
            return tile
        seen = self._judged(tile, found.pixels)
        reasons = np.where(lost, np.uint8(NotExamined.UNREAD), seen.reasons)
        return replace(seen, reasons=reasons, blank=np.where(lost, np.uint8(0), seen.blank))

    def mark_unread(self, tile: Tile) -> None:
        self.builder.mark_unread(*tile)
        self.reasons[cells_of(self._survey.grid, *tile)] = NotExamined.UNREAD

    def _judged(self, tile: Tile, pixels: NDArray[np.uint8]) -> _ReadTile:
        geometry, glass = self._predictor.geometry, self._survey.tissue.glass
        core = pixels[geometry.margin_px :, geometry.margin_px :][: geometry.core_px, : geometry.core_px]
        blank = blank_cells(core, geometry.stride_px, glass)
        quality = self._quality
        if quality is None:
            light = np.zeros(blank.shape, dtype=np.float16)
            two = np.stack([light, light], axis=-1)
            return _ReadTile(tile, pixels, np.zeros_like(blank), blank, two, light, two)
        reasons = _blurred_or_stuck(core, geometry.stride_px, quality, glass)
        stain = stain_shares(core, geometry.stride_px, quality.pale, glass)
        light = light_share(core, geometry.stride_px, quality.faults, glass)
        colours = colour_shares(core, geometry.stride_px, glass)
        return _ReadTile(tile, pixels, reasons, blank, stain, light, colours)

    def _place(self, item: _ReadTile, answer: NDArray[np.float32]) -> None:
        window = cells_of(self._survey.grid, *item.tile)
        height, width = self._survey.wanted[window].shape
        for kept, of_tile in (
            (self.reasons, item.reasons),
            (self.blank, item.blank),
            (self.stain, item.stain),
            (self.light, item.light),
            (self.colours, item.colours),
        ):
            kept[window] = of_tile[:height, :width]
        judged = (item.reasons == 0) | (item.reasons == NotExamined.BLURRED)  # specks of blur count as examined
        self.builder.place(*item.tile, answer, judged=judged)


def _answered(
    batches: Iterable[list[_ReadTile | Tile]], predictor: TilePredictor
) -> Iterator[tuple[list[_ReadTile | Tile], NDArray[np.float32]]]:
    """Each batch with the answers to those of its tiles that could be read, one batch computed ahead."""
    under_way: deque[tuple[list[_ReadTile | Tile], Callable[[], NDArray[np.float32]]]] = deque()
    rooms = cycle([_Room() for _ in range(_UNDER_WAY)])
    for batch in batches:
        pixels = [item.pixels for item in batch if isinstance(item, _ReadTile)]
        under_way.append((batch, _started(pixels, predictor, next(rooms))))
        if len(under_way) == _UNDER_WAY:
            oldest, answers = under_way.popleft()
            yield oldest, answers()
    for batch, answers in under_way:
        yield batch, answers()


class _Room:
    """Where the tiles of one batch after another lie together, each once the one before it is answered.

    Memory that is new may cost more than the copy: the first stack of 32 tiles of 576 px took up to 44 ms, 7 ms so.
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


def readers_for(predictor: TilePredictor) -> int:
    """Threads that read tiles ahead of this predictor."""
    cores = computing_threads() if predictor.device.startswith("cpu") else usable_cores()
    return max(2, min(MOST_READERS, cores))


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


def _batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """The items in lists of `size`, the last one shorter."""
    coming = iter(items)
    while batch := list(islice(coming, size)):
        yield batch


def _blurred_or_stuck(
    core: NDArray[np.uint8], stride_px: int, quality: QualitySettings, glass: Glass
) -> NDArray[np.uint8]:
    """uint8 (cells, cells): BLURRED in blocks of the core out of focus, FAULTY in those of stuck lines, else 0."""
    block = quality.focus_block_px
    blurred = out_of_focus(core, block, quality, glass) * np.uint8(NotExamined.BLURRED)
    reasons = np.where(stuck_lines(core, block, quality.faults), np.uint8(NotExamined.FAULTY), blurred)
    each = block // stride_px
    return reasons.repeat(each, axis=0).repeat(each, axis=1)
