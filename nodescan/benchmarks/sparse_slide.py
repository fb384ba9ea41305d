"""A very large slide in a small file: a TIFF whose directory names the same few compressed tiles again and again."""

import io
import math
import struct
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nodescan.phantoms.look import Look
from nodescan.phantoms.stamps import margin_px
from nodescan.phantoms.texture import Region, Scene, block_mean, draw

WIDTH_PX, HEIGHT_PX = 100_000, 200_000
SPACING_UM = 0.243
TILE_PX = 512

_TEXTURE_LEVEL = 2
"""Of 0.972 um/px: here a whole tile is tissue or glass, and the texture is drawn for this spacing."""

_LEVELS, _TEXTURES, _GLASS, _QUALITY = 8, 4, 242, 80
_NONE = -1
_REPEATS = 4
"""Of a texture along a tile: as many as a tile of this level has of level 0's along it, so that all of these show the
same."""

_BLOCK_MM2 = (TILE_PX * SPACING_UM * 2**_TEXTURE_LEVEL / 1000) ** 2

_SHORT, _LONG, _RATIONAL, _LONG8 = 3, 4, 5, 16  # types of a TIFF's tags
_CENTIMETRE, _JPEG, _YCBCR = 3, 7, 6


def make_sparse_slide(path: Path, tissue_mm2: float, *, size_px: tuple[int, int] = (WIDTH_PX, HEIGHT_PX)) -> None:
    """Write a pyramid of size_px (width, height) at 0.243 um/px with a disc of tissue, as a BigTIFF of JPEG tiles.

    The tissue is of whole blocks of 0.248 mm2, as many as come nearest to what is asked for. Raises ValueError where
    so much tissue has no room on the slide.
    """
    columns, rows = (math.ceil(side / (TILE_PX << _TEXTURE_LEVEL)) for side in size_px)
    blocks = _disc((rows, columns), max(1, round(tissue_mm2 / _BLOCK_MM2)))
    textures = [_texture(index) for index in range(_TEXTURES)]
    with path.open("wb") as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
        encoder = _Encoder(file, textures, blocks)
        link = 8
        for level in range(_LEVELS):
            sides = size_px[0] >> level, size_px[1] >> level
            link = _write_directory(file, encoder.level(level, sides), sides, level, link=link)


def _disc(shape: tuple[int, int], count: int) -> NDArray[np.bool_]:
    """bool `shape`: the blocks nearest to the middle; the rim stays glass, so that there is some to compare with."""
    inner = shape[0] - 2, shape[1] - 2
    if min(inner) < 1 or count > inner[0] * inner[1]:
        raise ValueError(f"{count * _BLOCK_MM2:.0f} mm2 of tissue have no room on a slide of {shape} blocks")
    y, x = np.ogrid[: inner[0], : inner[1]]
    away = np.hypot(y - (inner[0] - 1) / 2, x - (inner[1] - 1) / 2).ravel()
    chosen = np.zeros(inner[0] * inner[1], dtype=np.bool_)
    chosen[np.argsort(away, kind="stable")[:count]] = True
    return np.pad(chosen.reshape(inner), 1)


@cache
def _texture(index: int) -> NDArray[np.uint8]:
    """uint8 (512, 512, 3): a node's cortex, as phantoms have it, drawn twice as fine."""
    um_per_px = SPACING_UM * 2**_TEXTURE_LEVEL / 2
    side = 2 * (TILE_PX // _REPEATS + margin_px(um_per_px))
    region, angle = np.full((side, side), Region.CORTEX, dtype=np.uint8), np.zeros((side, side), dtype=np.uint8)
    scene = Scene(0, 0, um_per_px, index, region, angle, tumour=np.zeros((side, side), dtype=np.bool_))
    light = block_mean(draw(scene, Look.drawn(np.random.default_rng((0, index)))).light, 2)
    return np.tile((light * 255 + 0.5).astype(np.uint8), (_REPEATS, _REPEATS, 1))


@dataclass(slots=True)
class _Encoder:
    """Writes each different tile once and remembers where."""

    file: BinaryIO
    textures: list[NDArray[np.uint8]]
    blocks: NDArray[np.bool_]
    written: dict[tuple[int, bytes], tuple[int, int]] = field(default_factory=dict)

    def level(self, level: int, sides: tuple[int, int]) -> list[tuple[int, int]]:
        """(offset, bytes) of the tiles of a level, row by row."""
        columns, rows = (math.ceil(side / TILE_PX) for side in sides)
        return [self._tile(level, row, column) for row in range(rows) for column in range(columns)]

    def _tile(self, level: int, row: int, column: int) -> tuple[int, int]:
        """Where a tile is. Levels show one picture: what a block shows hangs on the block alone."""
        shift = level - _TEXTURE_LEVEL
        if shift <= 0:
            inside = np.array([[self._block(row >> -shift, column >> -shift)]])
        else:
            side = 1 << shift
            down, across = range(row * side, (row + 1) * side), range(column * side, (column + 1) * side)
            inside = np.array([[self._block(y, x) for x in across] for y in down])
        key = level, inside.tobytes()
        if key not in self.written:
            self.written[key] = self._write(self._pixels(shift, inside))
        return self.written[key]

    def _block(self, row: int, column: int) -> int:
        """The texture of a block, _NONE of glass."""
        rows, columns = self.blocks.shape
        if row < rows and column < columns and self.blocks[row, column]:
            return (row + 2 * column) % _TEXTURES
        return _NONE

    def _pixels(self, shift: int, inside: NDArray[np.int_]) -> NDArray[np.uint8]:
        """uint8 (512, 512, 3). inside : (n, n), the blocks that the tile covers, or the one it is a part of."""
        side = TILE_PX // len(inside)
        shown = {which: self._shown(shift, which) for which in set(inside.ravel().tolist())}
        rows = [[shown[which][:side, :side] for which in row] for row in inside.tolist()]
        return np.concatenate([np.concatenate(row, axis=1) for row in rows])

    def _shown(self, shift: int, which: int) -> NDArray[np.uint8]:
        """A block's texture as it is `shift` levels further on; of finer levels what lies within a tile."""
        if which == _NONE:
            return np.full((TILE_PX, TILE_PX, 3), _GLASS, dtype=np.uint8)
        picture = Image.fromarray(self.textures[which])
        if shift >= 0:
            return np.asarray(picture.reduce(1 << shift))
        part = TILE_PX >> -shift  # each part is alike, of one repeat or of several
        return np.asarray(picture.crop((0, 0, part, part)).resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC))

    def _write(self, pixels: NDArray[np.uint8]) -> tuple[int, int]:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=_QUALITY, subsampling="4:2:0")
        self.file.seek(0, io.SEEK_END)
        offset = self.file.tell()
        self.file.write(stream.getvalue())
        return offset, len(stream.getvalue())


def _write_directory(
    file: BinaryIO, tiles: list[tuple[int, int]], sides: tuple[int, int], level: int, *, link: int
) -> int:
    """Append a level's directory, name it at `link`, and return where the next one is to be named."""
    per_cm = round(1e8 / (SPACING_UM * 2**level))
    resolution = (per_cm, 10_000)
    tags: list[tuple[int, int, list[int]]] = [
        (254, _LONG, [int(level > 0)]),
        (256, _LONG, [sides[0]]),
        (257, _LONG, [sides[1]]),
        (258, _SHORT, [8, 8, 8]),
        (259, _SHORT, [_JPEG]),
        (262, _SHORT, [_YCBCR]),
        (277, _SHORT, [3]),
        (282, _RATIONAL, [*resolution]),
        (283, _RATIONAL, [*resolution]),
        (284, _SHORT, [1]),
        (296, _SHORT, [_CENTIMETRE]),
        (322, _LONG, [TILE_PX]),
        (323, _LONG, [TILE_PX]),
        (324, _LONG8, [offset for offset, _ in tiles]),
        (325, _LONG, [size for _, size in tiles]),
        (530, _SHORT, [2, 2]),
    ]
    entries = [_entry(file, *tag) for tag in tags]
    file.seek(0, io.SEEK_END)
    start = file.tell()
    file.write(struct.pack("<Q", len(entries)) + b"".join(entries) + struct.pack("<Q", 0))
    file.seek(link)
    file.write(struct.pack("<Q", start))
    return start + 8 + 20 * len(entries)


def _entry(file: BinaryIO, tag: int, kind: int, numbers: list[int]) -> bytes:
    """A directory's entry; what doesn't fit into its eight bytes is appended to the file."""
    codes = {_SHORT: "H", _LONG: "I", _RATIONAL: "I", _LONG8: "Q"}
    data = struct.pack(f"<{len(numbers)}{codes[kind]}", *numbers)
    if len(data) > 8:
        file.seek(0, io.SEEK_END)
        offset = file.tell()
        file.write(data)
        data = struct.pack("<Q", offset)
    count = len(numbers) // 2 if kind == _RATIONAL else len(numbers)
    return struct.pack("<HHQ", tag, kind, count) + data.ljust(8, b"\0")
