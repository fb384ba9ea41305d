"""Shows the network all tissue of a slide, tile by tile: reading runs ahead of computing, memory stays bounded."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import TileGrid
from nodescan.domain.maps import ProbabilityMap, TissueMask
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError
from nodescan.imaging.coverage import coverage
from nodescan.imaging.quality import QualitySettings, out_of_focus
from nodescan.imaging.stitching import MapBuilder
from nodescan.interfaces import Progress, Slide, TilePredictor

_READERS = 2
_AHEAD = 8
"""Tiles read before they are needed: enough to keep the network busy, few enough to bound memory."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Examination:
    """What the network said of the tissue. wanted, blurred, unread : bool (H, W) on the map's cells."""

    probability: ProbabilityMap
    frame_spacing: Spacing
    wanted: NDArray[np.bool_]
    blurred: NDArray[np.bool_]
    unread: NDArray[np.bool_]

    @property
    def complete(self) -> bool:
        return bool(self.probability.examined[self.wanted].all())

    @property
    def examined_fraction(self) -> float:
        """Of the tissue; 0 where there is none."""
        return self._share(self.probability.examined)

    @property
    def blurred_fraction(self) -> float:
        return self._share(self.blurred)

    @property
    def unread_fraction(self) -> float:
        return self._share(self.unread)

    def _share(self, mask: NDArray[np.bool_]) -> float:
        wanted = int(np.count_nonzero(self.wanted))
        return int(np.count_nonzero(mask & self.wanted)) / wanted if wanted else 0.0


@dataclass(frozen=True, slots=True)
class Survey:
    """What is to be shown to the network. wanted : bool (H, W), the cells that touch tissue; tiles: (row, column) of
    those that hold any, row by row; spacing: of the frame's pixels."""

    grid: TileGrid
    spacing: Spacing
    wanted: NDArray[np.bool_]
    tiles: tuple[tuple[int, int], ...]


def plan(slide: Slide, tissue: TissueMask, predictor: TilePredictor) -> Survey:
    """The tiles that tissue needs. Raises UnmeasurableError where the slide has no magnification the model accepts."""
    spacing = slide.frame_spacing(*predictor.spacing_range_um)
    grid = TileGrid(*slide.frame_size(spacing), predictor.geometry)
    cell = spacing.scaled(predictor.geometry.stride_px)
    wanted = coverage(tissue.tissue, tissue.spacing, shape=grid.map_shape, spacing=cell) > 0
    cells = predictor.geometry.cells
    tiles = tuple(tile for tile in grid if wanted[_cells(tile, cells)].any())
    return Survey(grid, spacing, wanted, tiles)


def examine(
    slide: Slide, tissue: TissueMask, *, predictor: TilePredictor, quality: QualitySettings, progress: Progress
) -> Examination:
    """The network's answer for every cell that touches tissue.

    What can't be read, and what is too blurred to judge, is not examined. Raises UnmeasurableError where
    the slide has no magnification that the model accepts.
    """
    survey = plan(slide, tissue, predictor)
    grid, geometry, wanted, tiles = survey.grid, predictor.geometry, survey.wanted, survey.tiles
    blurred, unread = np.zeros_like(wanted), np.zeros_like(wanted)
    builder = MapBuilder(grid, frame_spacing=survey.spacing, wanted=wanted)
    progress.slide_started(slide.ref.slide_id, len(tiles))

    def read(tile: tuple[int, int]) -> NDArray[np.uint8] | None:
        try:
            return slide.read(grid.input_box(*tile), survey.spacing)
        except RegionUnreadableError:
            return None

    megapixels = geometry.core_px**2 / 1e6
    with ThreadPoolExecutor(_READERS, thread_name_prefix="read") as pool:
        reads = zip(tiles, _ahead(pool, read, tiles), strict=True)
        for batch in _batches(reads, predictor.batch_size):
            for tile, _ in (pair for pair in batch if pair[1] is None):
                builder.mark_unread(*tile)
                unread[_cells(tile, geometry.cells)] = True
            seen = [(tile, pixels) for tile, pixels in batch if pixels is not None]
            if seen:
                answers = predictor.predict(np.stack([pixels for _, pixels in seen]))
                for (tile, pixels), answer in zip(seen, answers, strict=True):
                    blur = _blurred_cells(pixels, predictor, quality)
                    blurred[_cells(tile, geometry.cells)] = _cropped(blur, wanted[_cells(tile, geometry.cells)].shape)
                    builder.place(*tile, answer, judged=~blur)
            progress.tiles_done(slide.ref.slide_id, len(batch), len(seen) * megapixels)
    return Examination(builder.result(), survey.spacing, wanted, blurred & wanted, unread & wanted)


def _ahead(pool: ThreadPoolExecutor, work: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterator[_Result]:
    """The results in order, at most _AHEAD of them waiting."""
    waiting: deque[Future[_Result]] = deque()
    coming = iter(items)
    waiting.extend(pool.submit(work, item) for item in islice(coming, _AHEAD))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(work, item) for item in islice(coming, 1))
        yield result


def _batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """The items in lists of `size`, the last one shorter."""
    coming = iter(items)
    while batch := list(islice(coming, size)):
        yield batch


def _blurred_cells(pixels: NDArray[np.uint8], predictor: TilePredictor, quality: QualitySettings) -> NDArray[np.bool_]:
    """bool (cells, cells): the core's cells that lie in a block out of focus."""
    geometry = predictor.geometry
    margin, block = geometry.margin_px, quality.focus_block_px
    core = pixels[margin : margin + geometry.core_px, margin : margin + geometry.core_px]
    blocks = out_of_focus(core, block, quality)
    return blocks.repeat(block // geometry.stride_px, axis=0).repeat(block // geometry.stride_px, axis=1)


def _cells(tile: tuple[int, int], cells: int) -> tuple[slice, slice]:
    row, column = tile
    return slice(row * cells, (row + 1) * cells), slice(column * cells, (column + 1) * cells)


def _cropped(cells: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return cells[: shape[0], : shape[1]]
