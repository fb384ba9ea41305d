"""The analysis frame over a pyramid: which level serves a spacing, and how a box of the frame is put together."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import AS_FINE
from nodescan.domain.units import MicronsPerPixel, Spacing
from nodescan.errors import UnmeasurableError
from nodescan.slides.resampling import Axis, resample

MAX_ENLARGEMENT = 1.1
"""Enlarging shows blur where the network learned detail. A tenth is allowed; this is a choice, not a measurement."""

SQUARE_TOLERANCE = 0.01
"""x and y this close need no resampling: maps carry both, so no size suffers, and a network doesn't see 1 %."""

WHOLE_TOLERANCE = 1e-6
"""A step this close to a whole number is whole: over 100,000 px it drifts by a tenth of a pixel."""

_ROUNDED_PX, _ROUNDED_SHARE = 2, 0.01
"""A level's height may differ by so much from what its width predicts, because sides are cut or padded to whole pixels
or blocks."""

MOST_REDUCED, _MOST_FITS = 128, 2
"""The largest reduction of a level: scanners and converters end at 64 or before. If more than _MOST_FITS whole numbers
fit a level's size, a power of two among them is chance."""

_ALIKE = 1.05
"""Levels whose factors differ by less count as equally reduced."""

PIECE_PX = 2048
"""Side of the pieces that are read, in pixels of the level. It limits a read's memory, however large the box."""

FetchLevel = Callable[[int, PixelBox], NDArray[np.uint8]]
"""(level index, box in that level's pixels) -> uint8 (box.height, box.width, 3) RGB, white outside the level."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the pyramid: pixel (i, j) covers factor_x * [i, i + 1) by factor_y * [j, j + 1) of level 0."""

    index: int
    width_px: int
    height_px: int
    factor_x: float
    factor_y: float


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a spacing is served: from `level`, step_x by step_y of its pixels to one of the frame's."""

    level: Level
    step_x: float
    step_y: float


@dataclass(frozen=True, slots=True)
class Pyramid:
    """The slide as stored: its name (for errors), spacing of level 0, and levels, finest first (0 is the canvas)."""

    slide: str
    spacing: Spacing
    levels: tuple[Level, ...]

    def frame_size(self, spacing: Spacing) -> tuple[int, int]:
        """(width, height) in px of the frame at `spacing` that covers the whole canvas."""
        canvas = self.levels[0]
        across, down = spacing.x / self.spacing.x, spacing.y / self.spacing.y
        return _cover(canvas.width_px, across), _cover(canvas.height_px, down)

    def frame_spacing(self, finest_um: float, coarsest_um: float) -> Spacing:
        """The spacing of the analysis frame for a model that accepts [finest_um, coarsest_um]; see interfaces.Slide.

        The coarsest level that serves the range by a whole number wins, for it has the fewest pixels to
        decode; of its whole numbers the one nearest the middle of the range. Without any, the middle of the
        range, or the finest spacing in it that needs no enlargement beyond MAX_ENLARGEMENT.
        """
        if not 0 < finest_um <= coarsest_um:
            raise ValueError(f"a spacing range needs 0 < finest <= coarsest, not {finest_um} to {coarsest_um} um/px")
        middle_um = (finest_um + coarsest_um) / 2
        for level in reversed(self.levels):
            served = [
                spacing
                for spacing in self._whole_spacings(level, finest_um, coarsest_um)
                if self.sampling(spacing).level is level
            ]
            if served:
                return min(served, key=lambda spacing: abs(spacing.mean - middle_um))
        finest_possible_um = max(self.spacing.x, self.spacing.y) / MAX_ENLARGEMENT
        if finest_possible_um > coarsest_um:
            raise self._too_coarse(coarsest_um)
        return Spacing.square(max(middle_um, finest_possible_um))

    def sampling(self, spacing: Spacing) -> Sampling:
        """The coarsest level that needs no enlargement; else level 0, enlarged by at most MAX_ENLARGEMENT."""
        for level in reversed(self.levels):
            step_x = _snap(spacing.x / (self.spacing.x * level.factor_x))
            step_y = _snap(spacing.y / (self.spacing.y * level.factor_y))
            if min(step_x, step_y) >= 1:
                return Sampling(level, step_x, step_y)
            if level.index == 0 and min(step_x, step_y) * MAX_ENLARGEMENT >= 1 - WHOLE_TOLERANCE:
                return Sampling(level, step_x, step_y)
        raise self._too_coarse(min(spacing.x, spacing.y))

    def _whole_spacings(self, level: Level, finest_um: float, coarsest_um: float) -> Iterator[Spacing]:
        """The level's spacing times 1, 2, 3 ... where inside the range and square enough."""
        x, y = self.spacing.x * level.factor_x, self.spacing.y * level.factor_y
        own = Spacing(MicronsPerPixel(x), MicronsPerPixel(y))
        if own.aspect > 1 + SQUARE_TOLERANCE:
            return
        slack = 1 + 1e-9  # 4 * 0.225 is 0.9 to a reader, not to a float
        for times in range(1, math.floor(coarsest_um * slack / max(x, y)) + 1):
            if min(x, y) * times * slack >= finest_um:
                yield own.scaled(times)

    def _too_coarse(self, wanted_um: float) -> UnmeasurableError:
        native_um = max(self.spacing.x, self.spacing.y)
        times = native_um / wanted_um
        decimals = next(count for count in range(2, 18) if round(times, count) > MAX_ENLARGEMENT)
        return UnmeasurableError(
            self.slide,
            f"scanned at {native_um:.4g} um/px, too coarse for {wanted_um:.4g} um/px "
            f"(it would have to be enlarged {times:.{decimals}f} times, the limit is {MAX_ENLARGEMENT})",
            "scan it at a higher magnification, or use a model for coarser spacings",
        )


def place_levels(
    sizes_px: tuple[tuple[int, int], ...],
    downsamples: tuple[float, ...],
    tiles_px: tuple[tuple[int, int] | None, ...],
    *,
    whole_only: bool,
) -> tuple[Level, ...]:
    """The levels that show the whole canvas, with the factors that hold on it.

    sizes_px: (width, height) of each level. downsamples: as the file or its library reports them, often not whole
    (3.9995), because levels are cut to whole pixels. tiles_px: (width, height) of each level's tiles, None where not
    known. whole_only: a level that no whole number fits may be of another scan, and is left out.

    The factors of a level, by the first of these rules that it fits:

    - The whole number nearest to its downsample, if its size is within one pixel of the canvas divided by that number,
      in x and y: scanners reduce blocks of whole pixels and drop or pad the rest. It may also be larger (padded) if its
      downsample is whole, but not smaller in x or y. - If it ends with a whole tile in x and y, it may have been padded
      after it was reduced by a whole number. If that number isn't clear, the level is left out. - Else the level is the
      whole canvas squeezed into its size. One of another shape than the canvas shows something else, a picture of the
      label, say, and is left out.

    If several levels are equally reduced, one of them shows something else. Which one isn't known, so all are left out.
    """
    canvas_width, canvas_height = sizes_px[0]
    levels: list[Level] = []
    for index, ((width, height), downsample, tile_px) in enumerate(zip(sizes_px, downsamples, tiles_px, strict=True)):
        whole = max(1, round(downsample))
        is_reduced_blocks = abs(width - canvas_width / whole) <= 1 and abs(height - canvas_height / whole) <= 1
        covers = width >= canvas_width / whole - 1 and height >= canvas_height / whole - 1  # padded to whole tiles, say
        if is_reduced_blocks or (downsample == whole and covers):
            levels.append(Level(index, width, height, float(whole), float(whole)))
            continue
        fits = _before_padding((width, height), sizes_px[0], tile_px)
        powers = [times for times in fits if times & (times - 1) == 0]  # as scanners and converters have them
        if len(powers) == 1 and len(fits) <= _MOST_FITS:
            levels.append(Level(index, width, height, float(powers[0]), float(powers[0])))
        elif not fits and not whole_only and _is_of_shape((width, height), sizes_px[0]):
            levels.append(Level(index, width, height, canvas_width / width, canvas_height / height))
    return tuple(level for level in levels if not any(_are_alike(level, other) for other in levels))


def _are_alike(one: Level, other: Level) -> bool:
    """Whether these are two different levels with the same reduction above 1."""
    finer, coarser = sorted((one.factor_x, other.factor_x))
    return one.index != other.index and finer >= AS_FINE and coarser < _ALIKE * finer


def _before_padding(size_px: tuple[int, int], canvas_px: tuple[int, int], tile_px: tuple[int, int] | None) -> list[int]:
    """The whole numbers that the canvas may have been reduced by before it was padded to whole tiles."""
    if tile_px is None:
        return []
    return [
        times
        for times in range(2, MOST_REDUCED + 1)
        if all(
            math.ceil(math.ceil(canvas / times) / tile) * tile == side
            for side, canvas, tile in zip(size_px, canvas_px, tile_px, strict=True)
        )
    ]


def _is_of_shape(size_px: tuple[int, int], canvas_px: tuple[int, int]) -> bool:
    """Whether the sides have the canvas' ratio, but for rounding."""
    expected = size_px[0] * canvas_px[1] / canvas_px[0]
    return abs(size_px[1] - expected) <= max(_ROUNDED_PX, _ROUNDED_SHARE * expected)


def read_frame(pyramid: Pyramid, fetch: FetchLevel, *, box: PixelBox, spacing: Spacing) -> NDArray[np.uint8]:
    """uint8 (box.height, box.width, 3) RGB of the frame at `spacing`, white outside the canvas.

    Every pixel depends on its own place in the frame alone, so that boxes which overlap agree bit for bit.
    """
    sampling = pyramid.sampling(spacing)
    pixels = np.full((box.height, box.width, 3), 255, dtype=np.uint8)
    width, height = pyramid.frame_size(spacing)
    columns = range(max(box.left, 0), min(box.right, width))
    rows = range(max(box.top, 0), min(box.bottom, height))
    for row_piece in _pieces(rows, sampling.step_y):
        down = Axis(row_piece.start, len(row_piece), sampling.step_y)
        for column_piece in _pieces(columns, sampling.step_x):
            across = Axis(column_piece.start, len(column_piece), sampling.step_x)
            source = PixelBox(across.source_start, down.source_start, across.source_count, down.source_count)
            top, left = row_piece.start - box.top, column_piece.start - box.left
            pixels[top : top + down.count, left : left + across.count] = resample(
                fetch(sampling.level.index, source), down, across
            )
    return pixels


def _pieces(span: range, step: float) -> Iterator[range]:
    size = max(1, math.floor(PIECE_PX / step))
    return (span[start : start + size] for start in range(0, len(span), size))


def _cover(length_px: int, step: float) -> int:
    """How many steps cover the length; a rounding error doesn't make one more."""
    return max(1, math.ceil(length_px / step - WHOLE_TOLERANCE))


def _snap(step: float) -> float:
    whole = max(1, round(step))
    return float(whole) if abs(step / whole - 1) <= WHOLE_TOLERANCE else step
