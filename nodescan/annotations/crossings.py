"""How often outlines cross themselves: where each line crosses most others, mending one takes minutes."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

_MOST_CROSSINGS = 5_000
"""Beside those of a drawn line that runs along itself. Mending so many takes 0.1 s; hand-drawn outlines have a few."""

_MOST_MET = 4
"""Lines, each way, that a line meets beside its neighbours where an outline is drawn twice."""

_PAIRS_AT_ONCE = 200_000


def cross_too_often(rings: Sequence[NDArray[np.float64]]) -> bool:
    """Whether the rings cross themselves and one another too often to be mended. rings : (n, 2), closed or not."""
    starts, ends = np.concatenate(rings), np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    long = (starts != ends).any(axis=1)
    lines = np.asarray(shapely.linestrings(np.stack([starts[long], ends[long]], axis=1)))
    tree = shapely.STRtree(lines)
    left = 2 * _MOST_CROSSINGS + (3 + 2 * _MOST_MET) * len(lines)  # counted from both lines, each of which meets itself
    at_once = max(16, _PAIRS_AT_ONCE // max(len(lines), 1))
    for first in range(0, len(lines), at_once):
        left -= tree.query(lines[first : first + at_once], predicate="intersects").shape[1]
        if left < 0:
            return True
    return False
