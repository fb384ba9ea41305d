"""Places in dense tissue, spread over a slide, for a closer look."""

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import Picture, TissueMask
from nodescan.domain.units import Spacing

FIELD_PX = 96
"""Side of the fields by which a slide's tissue is judged, at the spacing that the network sees: a PatchCamelyon patch,
of which the known tissue is made."""

_LEAST_TISSUE = 0.9
"""Of a place: edges and fat are larger than nuclei."""


def dense_places(overview: Picture, tissue: TissueMask, spacing: Spacing, *, side_px: int, most: int) -> list[PixelBox]:
    """At most `most` boxes of side_px of the frame at `spacing`, in reading order, in the half of the tissue that is
    darker in red."""
    rows, columns = _block_sides(tissue, spacing, side_px)
    red = _block_means(overview.pixels[..., 0], rows, columns)
    full = _block_means(tissue.tissue, rows, columns) >= _LEAST_TISSUE
    if not full.any():
        return []
    darkest = np.sort(red[full])[: max(most, np.count_nonzero(full) // 2)]
    return _some_boxes(full & (red <= darkest[-1]), tissue, spacing, side_px=side_px, most=most)


def spread_places(tissue: TissueMask, spacing: Spacing, *, side_px: int, most: int) -> list[PixelBox]:
    """At most `most` boxes of side_px of the frame at `spacing`, in reading order, each at least half tissue."""
    half = _block_means(tissue.tissue, *_block_sides(tissue, spacing, side_px)) >= 0.5
    return _some_boxes(half, tissue, spacing, side_px=side_px, most=most)


def _block_sides(tissue: TissueMask, spacing: Spacing, side_px: int) -> tuple[int, int]:
    """Rows and columns of the mask in a box."""
    own = tissue.spacing
    return max(1, round(side_px * spacing.y / own.y)), max(1, round(side_px * spacing.x / own.x))


def _some_boxes(
    blocks: NDArray[np.bool_], tissue: TissueMask, spacing: Spacing, *, side_px: int, most: int
) -> list[PixelBox]:
    """Boxes of at most `most` of these blocks, evenly spread in reading order."""
    own, (rows, columns), chosen = tissue.spacing, _block_sides(tissue, spacing, side_px), np.argwhere(blocks)
    some = chosen[np.linspace(0, len(chosen) - 1, min(most, len(chosen))).round().astype(int)]
    return [
        PixelBox(round(column * columns * own.x / spacing.x), round(row * rows * own.y / spacing.y), side_px, side_px)
        for row, column in some.tolist()
    ]


def _block_means(plane: NDArray[np.uint8] | NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.float32]:
    """float32 (H // rows, W // columns): means of whole blocks, exact up to 256 x 256 px."""
    height, width = plane.shape[0] // rows, plane.shape[1] // columns
    whole = plane[: height * rows, : width * columns]
    return whole.reshape(height, rows, width, columns).mean(axis=(1, 3), dtype=np.float32)
