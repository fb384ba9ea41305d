"""Shapes of masks: close gaps, add rims, drop small parts, find enclosed parts and parts at the border.

An empty mask is returned as it is. On most slides that of pen marks is empty.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.imaging.components import components, picked


def closed(mask: NDArray[np.bool_], width_um: float, um_per_px: float) -> NDArray[np.bool_]:
    """`mask`, bool (H, W), with gaps up to width_um wide closed."""
    size = 2 * round(width_um / (2 * um_per_px)) + 1
    pad = size  # a closing eats into the border of the view unless it is given room
    padded = np.pad(mask, pad).astype(np.uint8)
    return ndimage.grey_closing(padded, (size, size))[pad:-pad, pad:-pad] > 0


def opened(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """The part of `mask`, bool (H, W), that solid squares of size x size px cover."""
    if not mask.any():
        return mask
    return ndimage.grey_opening(mask.astype(np.uint8), (size, size)) > 0


def dilated(mask: NDArray[np.bool_], reach_um: float, um_per_px: float) -> NDArray[np.bool_]:
    """`mask`, bool (H, W), and all that lies within reach_um of it along either axis."""
    if not mask.any():
        return mask
    return ndimage.maximum_filter(mask.astype(np.uint8), 2 * round(reach_um / um_per_px) + 1) > 0


def enclosed(area: NDArray[np.bool_], by: NDArray[np.bool_], width_um: float, um_per_px: float) -> NDArray[np.bool_]:
    """The part of `area` that lies within `by`, or between parts of `by` up to width_um apart; all bool (H, W)."""
    if not area.any():
        return area
    return area & ndimage.binary_fill_holes(closed(by, width_um, um_per_px))


def large(mask: NDArray[np.bool_], min_px: float) -> NDArray[np.bool_]:
    """The 8-connected parts of `mask`, bool (H, W), of at least min_px pixels."""
    if not mask.any():
        return mask
    labels, count = components(mask)
    return picked(labels, np.bincount(labels.ravel(), minlength=count + 1) >= min_px)


def at_border(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """The labels, int (n,), each once, that stand along the border of an array of them, int (H, W)."""
    return np.unique(np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1])))
