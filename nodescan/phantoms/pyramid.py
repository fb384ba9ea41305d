"""Pyramidal TIFF slides written level by level: what phantoms and slides laid out of patches are stored as."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

TILE_PX = 512


@dataclass(frozen=True, slots=True)
class PyramidLevel:
    """tiles: row by row, uint8 (TILE_PX, TILE_PX, 3), made as they are written; shape: height and width in px."""

    tiles: Iterator[NDArray[np.uint8]]
    shape: tuple[int, ...]
    spacing_um: float


def write_pyramid(path: Path, levels: Iterable[PyramidLevel], *, quality: int, software: str | None = None) -> None:
    """A BigTIFF of JPEG tiles, the finest level first; each is asked for when the one before is written."""
    with tifffile.TiffWriter(path, bigtiff=True) as out:
        for number, level in enumerate(levels):
            resolution = 1e4 / level.spacing_um
            out.write(
                level.tiles,
                shape=(*level.shape, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": quality},
                resolution=(resolution, resolution),
                resolutionunit="CENTIMETER",
                subfiletype=int(number > 0),
                software=software,
                metadata=None,
                maxworkers=1,
            )


def software_of(path: Path) -> str:
    """The Software tag of a TIFF's first picture; empty where there is none, or the file can't be read as a TIFF."""
    try:
        with tifffile.TiffFile(path) as file:
            return str(file.pages[0].aspage().tags.valueof("Software", ""))
    except (OSError, ValueError, LookupError, TypeError, struct.error, tifffile.TiffFileError):
        return ""


def tiles_of(level: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Tiles of a level, uint8 (H, W, 3), row by row; the last ones are filled up with white."""
    for top in range(0, level.shape[0], TILE_PX):
        for left in range(0, level.shape[1], TILE_PX):
            tile = level[top : top + TILE_PX, left : left + TILE_PX]
            short = (TILE_PX - tile.shape[0], TILE_PX - tile.shape[1])
            yield np.pad(tile, ((0, short[0]), (0, short[1]), (0, 0)), constant_values=255) if any(short) else tile
