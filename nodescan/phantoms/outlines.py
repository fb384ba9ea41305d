"""Outlines of known greatest diameter, and which pixels lie inside them."""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import LineString

from nodescan.annotations.outline_masks import pixels_inside
from nodescan.domain.geometry import PixelBox, max_feret

PAIR_GAP_UM = 30.0
"""Edge to edge between the two foci of a pair: near, and still two (clinical-rules 2)."""


class Shape(StrEnum):
    """Outlines that can be planted. A pair is two round foci of the same diameter, PAIR_GAP_UM apart."""

    ROUND = "round"
    ELONGATED = "elongated"
    CRESCENT = "crescent"
    PAIR = "pair"


@dataclass(frozen=True, slots=True)
class PlacedOutline:
    """outline_um : float64 (n, 2), x and y from the canvas' top left, not closed; its max Feret is diameter_um."""

    shape: Shape
    diameter_um: float
    outline_um: NDArray[np.float64]


def outline_of(shape: Shape, diameter_um: float, turn: float) -> NDArray[np.float64]:
    """An outline around (0, 0) whose greatest diameter is diameter_um; float64 (n, 2) in um.

    turn, in radians: the long axis of an elongated one, and the outward direction of a crescent.
    """
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    return _unit_outline(shape) * diameter_um @ rotation


def tumour_pixels(outlines: tuple[PlacedOutline, ...], box: PixelBox, um_per_px: float) -> NDArray[np.bool_]:
    """bool (box.height, box.width): the pixels of the box whose centres lie inside an outline."""
    inside = np.zeros((box.height, box.width), dtype=np.bool_)
    for placed in outlines:
        points_px = placed.outline_um / um_per_px - (box.left, box.top)
        (left, top), (right, bottom) = points_px.min(axis=0), points_px.max(axis=0)
        if right >= 0 and bottom >= 0 and left < box.width and top < box.height:
            inside |= pixels_inside([points_px], inside.shape)
    return inside


@lru_cache(maxsize=8)
def _unit_outline(shape: Shape) -> NDArray[np.float64]:
    """The outline of greatest diameter 1 with its bounding box around (0, 0)."""
    if shape in (Shape.ROUND, Shape.PAIR):
        around = np.arange(720) * (2 * math.pi / 720)
        points = np.stack([np.cos(around), np.sin(around)], axis=1)
    elif shape is Shape.ELONGATED:
        points = _ring(LineString([(-1.0, 0.0), (1.0, 0.0)]), 0.42)
    else:
        around = np.linspace(-1.25, 1.25, 361)
        points = _ring(LineString(np.stack([np.cos(around), np.sin(around)], axis=1)), 0.21)
    points = points / max_feret(points).diameter_um
    return points - (points.min(axis=0) + points.max(axis=0)) / 2


def _ring(line: LineString, half_width: float) -> NDArray[np.float64]:
    """The outline of a line's surroundings."""
    return np.asarray(line.buffer(half_width, quad_segs=64).exterior.coords, dtype=np.float64)[:-1]
