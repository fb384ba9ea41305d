"""Holds a slide's spacing against its cell nuclei: with a wrong one every size is wrong, and looks like any other."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.flags import Flag
from nodescan.domain.geometry import PixelBox
from nodescan.domain.lengths import two_digits
from nodescan.domain.maps import Picture, TissueMask
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError, UnmeasurableError
from nodescan.imaging.granularity import grain_diameter_um
from nodescan.interfaces import Slide
from nodescan.threads import begun

_FINE_UM, _COARSE_UM = (0.4, 0.6), (0.6, 1.2)
"""Finest and coarsest um/px: at the first a nucleus is some 8 px wide, or 4 where the spacing is wrong by 2, and JPEG's
own grain 1 to 2. Of a coarser slide it may be JPEG's that is measured, so only too large nuclei are told."""

_PIECE_PX, _PIECES, _FEWEST = 256, 12, 4
"""Four pieces tell as much: groups of four of five centres' regions have 3.8 to 4.6 um, as the whole regions have."""

_LEAST_TISSUE = 0.9
"""Of a piece: edges and fat are larger than nuclei."""

_USUAL_UM, _SMALLEST_UM, _LARGEST_UM = 4.0, 2.7, 6.4
"""Of grains, by grain_diameter_um. Sharp H&E has 3.5 to 4.9 (five centres' regions, patches of four slides, CMU-1's
skin, 40 composites), one slide's tumour 3.0, 30 tiles full of tumour 5.4; at half the spacing these have 1.8 to 2.8, at
twice 5.4 to 11.2."""


def begin_spacing_check(slide: Slide, overview: Picture, tissue: TissueMask) -> Callable[[], tuple[Flag, ...]]:
    """Reads some pieces of dense tissue, at 0.5 um/px if there is that, and measures their grains, the nuclei.

    Returns what waits for the flag: the pieces are read while the network answers. No flag where the slide is too
    coarse, or has too little tissue, to tell.
    """
    return begun("spacing-check", _spacing_flags, slide, overview, tissue)


def _spacing_flags(slide: Slide, overview: Picture, tissue: TissueMask) -> tuple[Flag, ...]:
    fine = _spacing(slide, *_FINE_UM)
    spacing = fine or _spacing(slide, *_COARSE_UM)
    if spacing is None:
        return ()
    smallest_um = _SMALLEST_UM if fine else 0.0
    pieces = tuple(_pieces(slide, overview, tissue, spacing))
    grain = grain_diameter_um(pieces, spacing) if len(pieces) >= _FEWEST else None
    if grain is None or smallest_um <= grain <= _LARGEST_UM:
        return ()
    blurred = " or the scan out of focus" if grain > _LARGEST_UM else ""
    text = (
        f"Cell nuclei look {two_digits(grain / _USUAL_UM)} times their usual size: the spacing of "
        f"{slide.info.spacing.mean:.3g} um/px may be wrong{blurred}, and with it every size, the class, and what was "
        "found at all."
    )
    return (Flag("nuclei_out_of_scale", text),)


def _spacing(slide: Slide, finest_um: float, coarsest_um: float) -> Spacing | None:
    try:
        return slide.frame_spacing(finest_um, coarsest_um)
    except UnmeasurableError:
        return None


def _pieces(slide: Slide, overview: Picture, tissue: TissueMask, spacing: Spacing) -> Iterator[NDArray[np.uint8]]:
    """uint8 (_PIECE_PX, _PIECE_PX, 3) each, at `spacing`, spread over the denser half of the tissue."""
    for x_um, y_um in _corners(overview, tissue, (_PIECE_PX * spacing.x, _PIECE_PX * spacing.y)):
        box = PixelBox(round(x_um / spacing.x), round(y_um / spacing.y), _PIECE_PX, _PIECE_PX)
        with suppress(RegionUnreadableError):
            yield slide.read(box, spacing)


def _corners(overview: Picture, tissue: TissueMask, size_um: tuple[float, float]) -> list[tuple[float, float]]:
    """Top left (x, y) in um of at most _PIECES pieces of tissue, in reading order: of its darker half in red light."""
    columns, rows = (
        max(1, round(um / px)) for um, px in zip(size_um, (tissue.spacing.x, tissue.spacing.y), strict=True)
    )
    share = _block_means(tissue.tissue.astype(np.float32), rows, columns)
    red = _block_means(overview.pixels[..., 0].astype(np.float32), rows, columns)
    full = share >= _LEAST_TISSUE
    if not full.any():
        return []
    darkest = np.sort(red[full])[: max(_PIECES, np.count_nonzero(full) // 2)]
    chosen = np.argwhere(full & (red <= darkest[-1]))
    some = chosen[np.linspace(0, len(chosen) - 1, min(_PIECES, len(chosen))).round().astype(int)]
    return [(column * columns * tissue.spacing.x, row * rows * tissue.spacing.y) for row, column in some.tolist()]


def _block_means(plane: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """float32 (H // rows, W // columns): means of whole blocks."""
    height, width = plane.shape[0] // rows, plane.shape[1] // columns
    whole = plane[: height * rows, : width * columns]
    return whole.reshape(height, rows, width, columns).mean(axis=(1, 3))
