"""Which cells of a slide teach what: tumour and normal tissue, by how far they lie from an outline."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.units import Spacing
from training.slide_index import Stratum

EDGE_UM = 62.0
"""A cell this near to an outline is at its edge: four cells, what a network sees to one side."""

NEAR_UM = 500.0
"""A normal cell this near to tumour is near."""


def cell_strata(
    shares: NDArray[np.float32], tissue: NDArray[np.bool_], cell: Spacing, *, exhaustive: bool | NDArray[np.bool_]
) -> NDArray[np.int8]:
    """int8 (H, W): the Stratum of every cell, -1 where nothing may be drawn from.

    shares : float32 (H, W) in [0, 1], tumour in each cell; tissue : bool (H, W); cell: spacing of the cells.
    exhaustive: whether what isn't outlined is normal, on the whole slide or cell by cell, bool (H, W).
    """
    tumour = shares > 0
    strata = np.full(shares.shape, -1, np.int8)
    if not tumour.any():
        strata[tissue & exhaustive] = Stratum.ELSEWHERE
        return strata
    sampling = (float(cell.y), float(cell.x))
    inward = np.asarray(ndimage.distance_transform_edt(np.pad(tumour, 1), sampling=sampling))[1:-1, 1:-1]
    outward = np.asarray(ndimage.distance_transform_edt(~tumour, sampling=sampling))
    strata[tumour & tissue] = Stratum.INSIDE
    strata[tumour & tissue & (inward <= EDGE_UM)] = Stratum.EDGE_TUMOUR
    normal = tissue & ~tumour & exhaustive
    strata[normal] = Stratum.ELSEWHERE
    strata[normal & (outward <= NEAR_UM)] = Stratum.NEAR
    strata[normal & (outward <= EDGE_UM)] = Stratum.EDGE_NORMAL
    return strata
