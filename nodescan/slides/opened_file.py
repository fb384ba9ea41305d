"""What a reader gives of a file that it has opened."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.slides.stored import StoredSlide
from nodescan.slides.tile_tables import TileTables


class LevelPixels(Protocol):
    """Pixels of a level. Safe to call from several threads."""

    def read_level(self, index: int, box: PixelBox) -> NDArray[np.uint8]:
        """uint8 (box.height, box.width, 3) RGB of a box inside the level, white where nothing was scanned.

        Raises RegionUnreadableError, whose reason is said in brackets after the area, where a part of the box can't
        be decoded, and ValueError once closed.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """tables: which tiles the levels hold, None if the file doesn't tell. With tables, lost tiles are never read.
    coarseness: of each level, where that is known; see compression.py."""

    stored: StoredSlide
    levels: LevelPixels
    tables: TileTables | None
    coarseness: tuple[float | None, ...] = ()
