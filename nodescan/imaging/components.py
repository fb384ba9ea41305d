"""Components of a mask: 8-connected, pixels that meet in a corner belong together, if not said otherwise."""

from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.bool_)


def components(mask: NDArray[np.bool_], *, corners: bool = True) -> tuple[NDArray[np.int32], int]:
    """mask : bool (H, W) -> int32 (H, W) labels from 1, 0 for the background, and how many there are.

    corners: whether pixels that touch only at a corner belong together.
    """
    structure = _EIGHT_NEIGHBOURS if corners else None
    return cast("tuple[NDArray[np.int32], int]", ndimage.label(mask, structure=structure))


def windows(labels: NDArray[np.int32]) -> list[tuple[slice, slice]]:
    """labels : int32 (H, W), none missing -> the (rows, columns) that just hold label 1, 2, ..."""
    return cast("list[tuple[slice, slice]]", ndimage.find_objects(labels))


def window_of(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """(rows, columns) that just hold a mask, bool (H, W); empty ones where nothing is in it."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)).tolist() or [0, -1] for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def picked(labels: NDArray[np.int32], wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool (H, W): the components that are wanted. wanted : bool (count + 1,), by label; the background never is."""
    return np.append(False, wanted[1:])[labels]
