"""Shows the network some tiles of a slide, and keeps its answers for the cells and what the pixels look like."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.maps import Glass, NotExamined, ProbabilityMap
from nodescan.errors import RegionUnreadableError
from nodescan.examination.damaged_tiles import MOST_DAMAGED, read_damaged
from nodescan.examination.tile_batches import TileReader, answered, in_batches, readers_for
from nodescan.imaging.missing_data import blank_cells
from nodescan.imaging.quality import QualitySettings, out_of_focus, without_specks
from nodescan.imaging.scan_faults import stuck_lines
from nodescan.imaging.stitching import MapBuilder, Tile, cells_of
from nodescan.imaging.untrusted_areas import SHARES, cell_shares
from nodescan.interfaces import TilePredictor
from nodescan.threads import thread_errors


@dataclass(frozen=True, slots=True)
class TileAnswers:
    """The network's answers for some tiles and what their pixels look like, on the map's cells.

    reasons : uint8 (H, W), the NotExamined of cells that weren't examined; 0 where they were, and where none is wanted.
    blank : uint8 (H, W), above 0 where cells may be glass or data that the file lacks; see imaging/missing_data.py.
    shares : float16 (H, W, SHARES), how much of a cell is stained, dark, and so on; see imaging/untrusted_areas.py.
    """

    probability: ProbabilityMap
    reasons: NDArray[np.uint8]
    blank: NDArray[np.uint8]
    shares: NDArray[np.float16]

    @property
    def unread(self) -> NDArray[np.bool_]:
        return self.reasons == NotExamined.UNREAD

    def completed(self, other: "TileAnswers") -> "TileAnswers":
        """These answers, completed by those of `other` in cells that weren't examined here."""
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
        """These answers, with these cells, bool (H, W), not examined for this reason, unless a stronger reason holds
        already."""
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
    shares: NDArray[np.float16]


def answer_tiles(
    reader: TileReader,
    *,
    predictor: TilePredictor,
    quality: QualitySettings | None,
    done: Callable[[int, float], None],
) -> TileAnswers:
    """The network's answer for those cells of the reader's tiles that touch tissue; nothing is examined elsewhere.

    If a tile can't be read, its parts are read, and cells that see no damage are still answered, unless the network
    pads. quality: None if it is known already what is out of focus or pale; then these cells are answered, too. done:
    called after every batch with the tiles and the megapixels of their cores that were answered. Raises ModelError if
    an answer is no probability.
    """
    showing, survey = _TilePass(reader, predictor, quality, done), reader.survey
    with thread_errors(), ThreadPoolExecutor(readers_for(predictor), thread_name_prefix="read") as pool:
        damaged = showing.at(survey.tiles, showing.read, pool)
        parted = [] if predictor.geometry.padded else damaged[:MOST_DAMAGED]
        for tile in (*showing.at(parted, showing.read_parts, pool, counted=False), *damaged[len(parted) :]):
            showing.mark_unread(tile)
    map_ = replace(showing.builder.result(), bounds=reader.slide.info.bounds_um)
    blurred = without_specks(showing.reasons == NotExamined.BLURRED, survey.wanted, map_.spacing)
    reasons = np.where(survey.wanted & ~map_.examined, showing.reasons, np.uint8(0))
    answers = TileAnswers(map_, reasons, showing.blank, showing.shares)
    return answers.without(blurred, NotExamined.BLURRED)


class _TilePass:
    """Reads tiles, has them answered and keeps the answers. The arguments are those of answer_tiles()."""

    def __init__(
        self,
        reader: TileReader,
        predictor: TilePredictor,
        quality: QualitySettings | None,
        done: Callable[[int, float], None],
    ) -> None:
        self._reader, self._predictor, self._quality, self._done = reader, predictor, quality, done
        survey = self._survey = reader.survey
        self.builder = MapBuilder(survey.grid, frame_spacing=survey.spacing, wanted=survey.wanted)
        self.reasons, self.blank = (np.zeros(survey.wanted.shape, dtype=np.uint8) for _ in range(2))
        self.shares = np.zeros((*survey.wanted.shape, SHARES), dtype=np.float16)

    def at(
        self,
        tiles: Sequence[Tile],
        read: Callable[[Tile], _ReadTile | Tile],
        pool: ThreadPoolExecutor,
        *,
        counted: bool = True,
    ) -> list[Tile]:
        """Has the tiles read and answered, and returns those that can't be read. counted: progress counts them."""
        damaged: list[Tile] = []
        batches = in_batches(pool, read, tiles, self._predictor.batch_size)
        for batch, answers in answered(batches, _pixels_of, self._predictor):
            seen = [item for item in batch if isinstance(item, _ReadTile)]
            damaged += [item for item in batch if not isinstance(item, _ReadTile)]
            for item, answer in zip(seen, answers, strict=True):
                self._place(item, answer)
            self._done(len(batch) if counted else 0, len(seen) * self._predictor.geometry.core_px**2 / 1e6)
        return damaged

    def read(self, tile: Tile) -> _ReadTile | Tile:
        try:
            pixels = self._reader.read(tile)
        except RegionUnreadableError:
            return tile
        return self._judged(tile, pixels)

    def read_parts(self, tile: Tile) -> _ReadTile | Tile:
        """As read(), of a tile of which a part can't be."""
        found = read_damaged(self._reader.slide, self._survey.grid.input_box(*tile), self._survey.spacing)
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
            nothing = np.zeros((*blank.shape, SHARES), dtype=np.float16)
            return _ReadTile(tile, pixels, np.zeros_like(blank), blank, nothing)
        reasons = _blurred_or_stuck(core, geometry.stride_px, quality, glass)
        shares = cell_shares(core, geometry.stride_px, pale=quality.pale, faults=quality.faults, glass=glass)
        return _ReadTile(tile, pixels, reasons, blank, shares)

    def _place(self, item: _ReadTile, answer: NDArray[np.float32]) -> None:
        window = cells_of(self._survey.grid, *item.tile)
        height, width = self._survey.wanted[window].shape
        for kept, of_tile in ((self.reasons, item.reasons), (self.blank, item.blank), (self.shares, item.shares)):
            kept[window] = of_tile[:height, :width]
        judged = (item.reasons == 0) | (item.reasons == NotExamined.BLURRED)  # specks of blur count as examined
        self.builder.place(*item.tile, answer, judged=judged)


def _pixels_of(batch: Sequence[_ReadTile | Tile]) -> list[NDArray[np.uint8]]:
    """Of those of its tiles that could be read."""
    return [item.pixels for item in batch if isinstance(item, _ReadTile)]


def _blurred_or_stuck(
    core: NDArray[np.uint8], stride_px: int, quality: QualitySettings, glass: Glass
) -> NDArray[np.uint8]:
    """uint8 (cells, cells): BLURRED in blocks that are out of focus, FAULTY in blocks with stuck lines, else 0."""
    block = quality.focus_block_px
    blurred = out_of_focus(core, block, quality, glass) * np.uint8(NotExamined.BLURRED)
    reasons = np.where(stuck_lines(core, block, quality.faults), np.uint8(NotExamined.FAULTY), blurred)
    each = block // stride_px
    return reasons.repeat(each, axis=0).repeat(each, axis=1)
