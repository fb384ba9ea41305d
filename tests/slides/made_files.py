"""Small slide files with planted contents."""

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray


def write_tiff(
    path: Path,
    levels: list[NDArray[np.uint8]],
    *,
    mpp_um: tuple[float, float] | None = (0.25, 0.25),
    compression: str = "deflate",
    tile_px: int = 128,
) -> Path:
    """A tiled pyramid. levels : uint8 (H, W, 3) RGB each, finest first. mpp_um: x and y in the resolution tags."""
    resolution = None if mpp_um is None else (10_000 / mpp_um[0], 10_000 / mpp_um[1])
    with tifffile.TiffWriter(path) as tiff:
        for index, pixels in enumerate(levels):
            tiff.write(
                pixels,
                tile=(tile_px, tile_px),
                photometric="rgb",
                compression=compression,
                subfiletype=int(index > 0),
                resolution=resolution,
                resolutionunit="CENTIMETER" if resolution else "NONE",
                metadata=None,
            )
    return path


def noise(width: int, height: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 (height, width, 3): no two neighbours alike, so that a shift by one pixel shows."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def spoil_tile(path: Path, *, level: int, tile: int) -> None:
    """Overwrites the head of one compressed tile, so that no decoder takes it."""
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[level].dataoffsets[tile]
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(bytes(16))
