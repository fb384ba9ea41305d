"""Tiles laid out of real patches, with a label for every cell: what a network meets on a slide, answer known."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nodescan.errors import UsageError
from training.limits import check_settings
from training.patches.labelled import Patches

NORMAL_PX, TUMOUR_PX = 64, 48
"""How much of a patch's centre is laid: the label speaks of the central 32 px, tissue near it is mostly alike."""

IGNORED = -1.0


@dataclass(frozen=True, slots=True)
class MosaicSettings:
    """tile_px: side of a tile. pool: patches of each class looked at for one stain; kept: the share nearest in hue."""

    tile_px: int
    pool: int
    kept: float
    jpeg_share: float

    def __post_init__(self) -> None:
        check_settings("mosaic", self, counts=("tile_px", "pool"))


class MosaicMaker:
    """Draws tiles from patches; needs nothing but the patches and a generator of random numbers.

    Raises UsageError where a class has no patch that holds tissue.
    """

    def __init__(self, patches: Patches, settings: MosaicSettings) -> None:
        self.settings = settings
        self.pixels = patches.pixels
        usable, self.hues = _usable_and_hue(patches.pixels)
        self.tumour = np.flatnonzero(usable & patches.tumour)
        self.normal = np.flatnonzero(usable & ~patches.tumour)
        for word, members in (("tumour", self.tumour), ("normal", self.normal)):
            if not len(members):
                raise UsageError(f"of {len(patches)} patches, none is {word} and holds tissue: both classes are needed")

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """uint8 (tile_px, tile_px, 3) and its tumour mask, bool (tile_px, tile_px)."""
        size = self.settings.tile_px
        tumour, normal = self.of_one_stain(rng)
        mask = _blob(size, rng)
        tile = laid_out(self.pixels, normal, (size, size), cell=NORMAL_PX, rng=rng)
        tile[mask] = laid_out(self.pixels, tumour, (size, size), cell=TUMOUR_PX, rng=rng)[mask]
        return (_through_jpeg(tile, rng) if rng.random() < self.settings.jpeg_share else tile), mask

    def of_one_stain(self, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """intp (n,) each: tumour and normal patches, by index, whose hue is near one tumour patch's, as on a single
        slide."""
        reference = self.hues[rng.choice(self.tumour)]
        chosen = []
        for members in (self.tumour, self.normal):
            pool = rng.choice(members, min(self.settings.pool, len(members)), replace=False)
            distance = np.linalg.norm(self.hues[pool] - reference, axis=1)
            chosen.append(pool[np.argsort(distance)[: max(int(len(pool) * self.settings.kept), 1)]])
        return chosen[0], chosen[1]


def laid_out(
    pixels: NDArray[np.uint8],
    members: NDArray[np.intp],
    shape: tuple[int, int],
    *,
    cell: int,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """uint8 (*shape, 3): covered with the middle cell x cell px of random members, turned, from a random origin.

    pixels : uint8 (N, S, S, 3), the patches; members: which of them.
    """
    margin = (pixels.shape[1] - cell) // 2
    rows, columns = (side // cell + 2 for side in shape)
    canvas = np.empty((rows * cell, columns * cell, 3), np.uint8)
    for row in range(rows):
        for column in range(columns):
            patch = pixels[rng.choice(members), margin : margin + cell, margin : margin + cell]
            canvas[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = np.rot90(
                patch, rng.integers(4)
            )
    top, left = rng.integers(0, cell, 2)
    return canvas[top : top + shape[0], left : left + shape[1]]


def cell_labels(mask: NDArray[np.bool_], *, margin_px: int, stride_px: int) -> NDArray[np.float32]:
    """Label of every cell a network answers, from a tile's mask, bool (S, S) -> float32 (n, n).

    1 where at least half of the cell is tumour, 0 where none of it is, IGNORED between: the outline of a
    deposit runs where half of a cell is tumour.
    """
    core = mask[margin_px : mask.shape[0] - margin_px, margin_px : mask.shape[1] - margin_px]
    n = core.shape[0] // stride_px
    share = core[: n * stride_px, : n * stride_px].reshape(n, stride_px, n, stride_px).mean(axis=(1, 3))
    return np.where(share >= 0.5, 1.0, np.where(share == 0, 0.0, IGNORED)).astype(np.float32)


def _usable_and_hue(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Which patches hold tissue (not glass or fat), bool (N,), and their stain hue, float32 (N, 3), summing to 1."""
    usable, hues = np.zeros(len(pixels), bool), np.zeros((len(pixels), 3), np.float32)
    for start in range(0, len(pixels), 512):
        block = np.asarray(pixels[start : start + 512]).reshape(len(pixels[start : start + 512]), -1, 3)
        usable[start : start + 512] = (block.mean(axis=(1, 2)) < 215) & (block.std(axis=(1, 2)) > 15)
        density = -np.log(np.maximum(block[:, ::7], 1) / np.float32(255)).mean(axis=1)
        hues[start : start + 512] = density / np.maximum(density.sum(axis=1, keepdims=True), 1e-6)
    return usable, hues


def _blob(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A disc of log-uniform diameter somewhere on the tile; in a fifth of the tiles nothing at all."""
    if rng.random() < 0.2:
        return np.zeros((size, size), bool)
    radius = np.exp(rng.uniform(np.log(25), np.log(1500))) / 2
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1) * (radius + size / 4)
    y, x = size / 2 + reach * np.sin(angle), size / 2 + reach * np.cos(angle)
    rows, columns = np.ogrid[:size, :size]
    return np.hypot(rows - y, columns - x) < radius


def _through_jpeg(tile: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a scanner's JPEG at twice the resolution leaves of it."""
    height, width = tile.shape[:2]
    buffer = io.BytesIO()
    image = Image.fromarray(tile).resize((2 * width, 2 * height), Image.Resampling.BICUBIC)
    image.save(buffer, "JPEG", quality=int(rng.integers(60, 95)))
    return np.asarray(Image.open(buffer).convert("RGB").reduce(2))
