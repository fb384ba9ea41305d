"""probability.ome.tif: the network's map and what it examined, as a pyramid with its physical size."""

from hashlib import sha256
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import tifffile
from numpy.typing import NDArray

from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.report import SlideResult
from nodescan.domain.units import Spacing
from nodescan.whole_files import written_beside

PROBABILITY_OME = "probability.ome.tif"

_TILE_PX = 256
"""TIFF wants multiples of 16; 256 is what viewers ask for at a time."""

_DESCRIPTION = (
    "Tumour probability (0 to 1; 0 where not examined) and examined (1 yes, 0 no). The top left of the first pixel "
    "is the top left of the slide's full level-0 canvas. Each smaller level keeps the highest probability of the "
    "2 x 2 pixels it stands for, so that a small deposit stays visible, and the share of them that was examined. "
    "Research software: not for clinical use."
)


def write_map(result: SlideResult, folder: Path) -> None:
    """Write probability.ome.tif; nothing for a slide without a map."""
    if result.probability is None:
        return
    levels = _pyramid(result.probability)
    spacing = result.probability.spacing
    with (
        written_beside(folder / PROBABILITY_OME) as part,
        tifffile.TiffWriter(part, ome=True) as tiff,
    ):
        for index, level in enumerate(levels):
            tiff.write(
                level,
                photometric="minisblack",
                tile=(_TILE_PX, _TILE_PX),
                compression="zlib",
                resolution=_pixels_per_cm(spacing.scaled(2**index)),
                resolutionunit="CENTIMETER",
                subifds=len(levels) - 1 if index == 0 else None,
                subfiletype=1 if index else 0,
                metadata=_ome(level, spacing) if index == 0 else None,
            )


def _pyramid(probability: ProbabilityMap) -> list[NDArray[np.float32]]:
    """Levels of float32 (2, H, W), probability and examined in [0, 1], each half the last, until one tile holds it.

    At least two, for viewers that ask for a pyramid; a map of one cell has one.
    """
    level = np.empty((2, *probability.values.shape), dtype=np.float32)  # np.stack would hold it twice
    level[0], level[1] = probability.values, probability.examined
    levels = [level]
    while max(level.shape[1:]) > (_TILE_PX if len(levels) > 1 else 1):
        level = _halved(level)
        levels.append(level)
    return levels


def _halved(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (2, H, W) -> float32 (2, ceil(H / 2), ceil(W / 2)); a last odd row or column stands for itself."""
    _, height, width = level.shape
    half = np.empty((2, -(-height // 2), -(-width // 2)), dtype=np.float32)
    for plane, pooled, out in zip(level, (np.max, np.mean), half, strict=True):
        pooled(_even(plane).reshape(half.shape[1], 2, half.shape[2], 2), axis=(1, 3), out=out)
    return half


def _even(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """The plane with sides of even length; np.pad would copy one that has them."""
    odd = (0, plane.shape[0] % 2), (0, plane.shape[1] % 2)
    return np.pad(plane, odd, mode="edge") if np.any(odd) else plane


def _ome(level: NDArray[np.float32], spacing: Spacing) -> dict[str, object]:
    """What OME-XML says of the first level. UUID: of what it holds; tifffile's own would tell this machine and time."""
    return {
        "UUID": str(uuid5(NAMESPACE_URL, f"nodescan:{sha256(level.data).hexdigest()}")),
        "axes": "CYX",
        "Name": "nodescan probability map",
        "Description": _DESCRIPTION,
        "PhysicalSizeX": float(spacing.x),
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": float(spacing.y),
        "PhysicalSizeYUnit": "µm",
        "Channel": {"Name": ["probability", "examined"]},
        "Plane": {
            "PositionX": [0.0, 0.0],
            "PositionXUnit": ["µm", "µm"],
            "PositionY": [0.0, 0.0],
            "PositionYUnit": ["µm", "µm"],
        },
    }


def _pixels_per_cm(spacing: Spacing) -> tuple[float, float]:
    return 10_000 / spacing.x, 10_000 / spacing.y
