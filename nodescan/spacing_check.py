"""Checks a slide's spacing by the size of its nuclei: with a wrong spacing every size is wrong without looking
wrong."""

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.flags import Flag
from nodescan.domain.lengths import two_digits
from nodescan.domain.maps import Picture, TissueMask
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError, UnmeasurableError
from nodescan.imaging.granularity import grain_diameter_um
from nodescan.imaging.places import dense_places
from nodescan.interfaces import Slide

_FINE_UM, _COARSE_UM = (0.4, 0.6), (0.6, 1.2)
"""Finest and coarsest um/px: at the first a nucleus is some 8 px wide, or 4 where the spacing is wrong by 2, and JPEG's
own grain 1 to 2. Of a coarser slide it may be JPEG's that is measured, so only too large nuclei are told."""

_PIECE_PX, _PIECES, _FEWEST = 256, 12, 4
"""Four pieces tell as much: groups of four of five centres' regions have 3.8 to 4.6 um, as the whole regions have."""

_USUAL_UM, _SMALLEST_UM, _LARGEST_UM = 4.0, 2.7, 6.4
"""Of grains, by grain_diameter_um. Sharp H&E has 3.5 to 4.9 (five centres' regions, patches of four slides, CMU-1's
skin, 40 composites), one slide's tumour 3.0, 30 tiles full of tumour 5.4; at half the spacing these have 1.8 to 2.8, at
twice 5.4 to 11.2, regions and patches at four times 7.8 to 19."""


def spacing_flags(slide: Slide, overview: Picture, tissue: TissueMask) -> tuple[Flag, ...]:
    """Reads some pieces of dense tissue, at 0.5 um/px if there is that, and measures their grains, the nuclei.

    No flag if the slide is too coarse, or has too little tissue, for a result.
    """
    fine = _spacing(slide, *_FINE_UM)
    spacing = fine or _spacing(slide, *_COARSE_UM)
    if spacing is None:
        return ()
    smallest_um = _SMALLEST_UM if fine else 0.0
    pieces = tuple(_pieces(slide, overview, tissue, spacing))
    grain = grain_diameter_um(pieces, spacing) if len(pieces) >= _FEWEST else None
    if grain is None or smallest_um <= grain <= _LARGEST_UM:
        return ()
    blurred = ", or the scan may be out of focus" if grain > _LARGEST_UM else ""
    text = (
        f"Cell nuclei look {two_digits(grain / _USUAL_UM)} times their usual size. The pixel size of "
        f"{slide.info.spacing.mean:.3g} um/px may be wrong{blurred}. Then every size, the class and the detection "
        "itself may be wrong, too. Check at which magnification the slide was scanned."
    )
    return (Flag("nuclei_out_of_scale", text),)


def _spacing(slide: Slide, finest_um: float, coarsest_um: float) -> Spacing | None:
    try:
        return slide.frame_spacing(finest_um, coarsest_um)
    except UnmeasurableError:
        return None


def _pieces(slide: Slide, overview: Picture, tissue: TissueMask, spacing: Spacing) -> Iterator[NDArray[np.uint8]]:
    """uint8 (_PIECE_PX, _PIECE_PX, 3) each, at `spacing`, spread over the denser half of the tissue."""
    for box in dense_places(overview, tissue, spacing, side_px=_PIECE_PX, most=_PIECES):
        with suppress(RegionUnreadableError):
            yield slide.read(box, spacing)
