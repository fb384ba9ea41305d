"""The plan of a phantom node: where its deposits lie and what tissue surrounds them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.annotations.outline_masks import pixels_inside
from nodescan.domain.geometry import PixelBox
from nodescan.errors import UsageError
from nodescan.phantoms.outlines import PAIR_GAP_UM, PlacedOutline, Shape, outline_of, tumour_pixels
from nodescan.phantoms.stamps import ANGLES, margin_px, periodic, textures_of
from nodescan.phantoms.texture import Region, Scene

DEPOSIT_GAP_UM = 600.0
"""Least distance between other deposits: farther than any model's dilation or joining gap reaches."""

_EDGE_ROOM_UM = 160.0
_CRESCENT_EDGE_ROOM_UM = 95.0
_GLASS_UM = 150.0
_FAT_UM = 300.0
_COARSE_UM = 8.0
_LARGEST_SEMI_AXIS_UM = 9000.0
_BEND_UM = 5.0
_FARTHEST_BEND_UM = 6 * _BEND_UM
_TRIES = 120


@dataclass(frozen=True, slots=True)
class NodeMap:
    """What lies where on the slide, on a coarse grid of `_COARSE_UM` from the canvas' top left.

    depth_um : float32 (H, W), distance into the node, negative outside; fat_um, follicle_um : the same for the
    fat outside and the nearest germinal centre; sinus, strand : float32 (H, W), noise whose zero lines are
    sinuses and strands of stroma; angle : uint8 (H, W), fibre direction.
    """

    width_um: float
    height_um: float
    outlines: tuple[PlacedOutline, ...]
    depth_um: NDArray[np.float32]
    fat_um: NDArray[np.float32]
    follicle_um: NDArray[np.float32]
    sinus: NDArray[np.float32]
    strand: NDArray[np.float32]
    angle: NDArray[np.uint8]


def plan_node(planted: tuple[tuple[Shape, float], ...], rng: np.random.Generator) -> NodeMap:
    """A node just large enough for what is to be planted; raises UsageError where none is."""
    reach = sum(math.pi * (_reach_um(shape, diameter) + 0.5 * DEPOSIT_GAP_UM) ** 2 for shape, diameter in planted)
    largest = max((_reach_um(shape, diameter) for shape, diameter in planted), default=0.0)
    semi = max(650.0, math.sqrt((1.0 if len(planted) < 4 else 1.7) * reach / math.pi), 0.95 * largest + _EDGE_ROOM_UM)
    while semi <= _LARGEST_SEMI_AXIS_UM:
        body = _node_body(semi, rng)
        outlines = _place_all(planted, body, rng)
        if outlines is not None:
            return _furnish(body, outlines, rng)
        semi *= 1.06
    raise UsageError(
        f"no room for {len(planted)} deposits in a node of {2 * _LARGEST_SEMI_AXIS_UM / 1000:.0f} mm; "
        "ask for fewer or smaller ones, or spread them over several phantoms"
    )


def scene_of(node: NodeMap, box: PixelBox, um_per_px: float, seed: int) -> Scene:
    """The scene to draw for a box in pixels of um_per_px from the canvas' top left."""
    grown = box.grown(margin_px(um_per_px))
    rows, columns = np.arange(grown.top, grown.bottom), np.arange(grown.left, grown.right)
    y, x = (rows + 0.5) * um_per_px, (columns + 0.5) * um_per_px
    if not _near_tissue(node, y, x):
        blank = np.zeros((grown.height, grown.width), dtype=np.uint8)
        return Scene(grown.left, grown.top, um_per_px, seed, blank, blank, blank.astype(np.bool_))
    noise = periodic(textures_of(um_per_px).broad.T, grown.top, grown.left, (grown.width, grown.height))  # by column
    bend = noise * np.float32(_BEND_UM)
    region = np.ascontiguousarray(_regions(node, y, x, bend).T)
    nearest_row = np.clip((y / _COARSE_UM).astype(np.int64), 0, node.angle.shape[0] - 1)
    nearest_column = np.clip((x / _COARSE_UM).astype(np.int64), 0, node.angle.shape[1] - 1)
    angle = node.angle.take(nearest_row, axis=0).take(nearest_column, axis=1)
    tumour = tumour_pixels(node.outlines, grown, um_per_px)
    return Scene(grown.left, grown.top, um_per_px, seed, region, angle, tumour)


def _regions(
    node: NodeMap, y_um: NDArray[np.float64], x_um: NDArray[np.float64], bend_um: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Codes of Region, column by column: uint8 (len(x_um), len(y_um)), as is bend_um, which all borders follow."""
    depth = _between(node.depth_um, y_um, x_um) + bend_um
    region = np.full(depth.shape, Region.CORTEX, dtype=np.uint8)
    np.putmask(region, np.abs(_between(node.sinus, y_um, x_um)) < 0.13, Region.SINUS)
    np.putmask(region, np.abs(_between(node.strand, y_um, x_um)) < 0.055, Region.STROMA)
    np.putmask(region, _between(node.follicle_um, y_um, x_um) + bend_um > 0, Region.FOLLICLE)
    np.putmask(region, depth < 58, Region.SINUS)
    np.putmask(region, depth < 38, Region.STROMA)
    outside = depth < 0
    if outside.any():
        fat = _between(node.fat_um, y_um, x_um) + bend_um > 0
        np.putmask(region, outside, np.where(fat, np.uint8(Region.FAT), np.uint8(Region.GLASS)))
    return region


def _near_tissue(node: NodeMap, y_um: NDArray[np.float64], x_um: NDArray[np.float64]) -> bool:
    """Whether node or fat may reach into the rectangle spanned by the places, however its border is bent."""
    (top, bottom), (left, right) = (
        np.clip(np.add((axis[[0, -1]] / _COARSE_UM).astype(np.int64), (-1, 2)), 0, size)
        for axis, size in zip((y_um, x_um), node.depth_um.shape, strict=True)
    )
    window = (slice(top, bottom), slice(left, right))
    reach = max(float(m[window].max(initial=-np.inf)) for m in (node.depth_um, node.fat_um))
    return reach > -_FARTHEST_BEND_UM


@dataclass(frozen=True, slots=True)
class _Body:
    """A node without contents: canvas size in um, depth_um as in NodeMap, and what placing needs of it.

    slope : float32 (2, H, W), how depth_um grows downwards and to the right; places : int64 (n, 2), row and
    column of the coarse cells inside.
    """

    width_um: float
    height_um: float
    depth_um: NDArray[np.float32]
    slope: NDArray[np.float32]
    places: NDArray[np.int64]


def _reach_um(shape: Shape, diameter_um: float) -> float:
    """Radius of the circle that holds the outline."""
    return diameter_um + PAIR_GAP_UM / 2 if shape is Shape.PAIR else 0.5 * diameter_um * 1.16


def _node_body(semi_um: float, rng: np.random.Generator) -> _Body:
    """An ellipse with gentle lobes and a hilum, on a canvas with glass around."""
    around = np.arange(720) * (2 * math.pi / 720)
    lobes = sum(rng.normal(0, 0.028) * np.cos(k * around + rng.uniform(0, 7)) for k in (2, 3, 4, 5))
    away = semi_um * (1 + lobes)
    hilum = rng.uniform(0, 2 * math.pi)
    away *= 1 - 0.10 * np.exp(-(((around - hilum + math.pi) % (2 * math.pi) - math.pi) ** 2) / 0.06)
    turn = rng.uniform(0, math.pi)
    x, y = away * np.cos(around) * 1.14, away * np.sin(around) / 1.02
    x, y = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
    border = _GLASS_UM + 0.6 * _FAT_UM
    x, y = x - x.min() + border, y - y.min() + border
    width_um, height_um = float(x.max() + border), float(y.max() + border)
    shape = (math.ceil(height_um / _COARSE_UM), math.ceil(width_um / _COARSE_UM))
    inside = pixels_inside([np.stack([x, y], axis=1) / _COARSE_UM], shape)
    depth = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    depth_um = (ndimage.gaussian_filter(depth, 1.5) * _COARSE_UM).astype(np.float32)
    return _Body(width_um, height_um, depth_um, np.stack(np.gradient(depth_um)), np.argwhere(inside))


def _place_all(
    planted: tuple[tuple[Shape, float], ...], body: _Body, rng: np.random.Generator
) -> tuple[PlacedOutline, ...] | None:
    """All outlines in the order asked for, or None where they don't fit; the largest is placed first."""
    places: dict[int, tuple[PlacedOutline, ...]] = {}
    taken: list[tuple[NDArray[np.float64], float]] = []
    for index in sorted(range(len(planted)), key=lambda i: -_reach_um(*planted[i])):
        shape, diameter = planted[index]
        for _ in range(_TRIES):
            group = _try_place(shape, diameter, body, rng)
            if group is None:
                continue
            points = np.concatenate([placed.outline_um for placed in group])
            centre = (points.min(axis=0) + points.max(axis=0)) / 2
            reach = float(np.hypot(*(points - centre).T).max())
            if all(np.hypot(*(centre - other)) - reach - far >= DEPOSIT_GAP_UM for other, far in taken):
                places[index] = group
                taken.append((centre, reach))
                break
        else:
            return None
    return tuple(placed for index in range(len(planted)) for placed in places[index])


def _try_place(
    shape: Shape, diameter_um: float, body: _Body, rng: np.random.Generator
) -> tuple[PlacedOutline, ...] | None:
    """One place at random, or None where it would leave the node. A crescent is slid inwards from the capsule."""
    row, column = body.places[rng.integers(len(body.places))]
    centre = np.array([column + 0.5, row + 0.5]) * _COARSE_UM
    turn = float(rng.uniform(0, 2 * math.pi))
    if shape is Shape.PAIR:
        apart = np.array([math.cos(turn), math.sin(turn)]) * (diameter_um + PAIR_GAP_UM) / 2
        centres = [centre - apart, centre + apart]
    else:
        centres = [centre]
    if shape is Shape.CRESCENT:
        down, right = body.slope[:, row, column]
        turn = math.atan2(-float(down), -float(right))
        centres = _slid_inwards(outline_of(shape, diameter_um, turn), centre, turn, body)
    room = _CRESCENT_EDGE_ROOM_UM if shape is Shape.CRESCENT else _EDGE_ROOM_UM
    outlines = tuple(outline_of(shape, diameter_um, turn) + middle for middle in centres)
    if not outlines or min(_least_depth_um(points, body) for points in outlines) < room:
        return None
    return tuple(PlacedOutline(shape, diameter_um, points) for points in outlines)


def _slid_inwards(
    outline: NDArray[np.float64], start: NDArray[np.float64], turn: float, body: _Body
) -> list[NDArray[np.float64]]:
    """The centre nearest to the capsule, on the way from outside through `start`, where the outline fits."""
    outward = np.array([math.cos(turn), math.sin(turn)])
    for step_um in np.arange(600.0, -1200.0, -30.0):
        centre = start + outward * step_um
        if _least_depth_um(outline[::16] + centre, body) >= _CRESCENT_EDGE_ROOM_UM + 5:
            return [centre]
    return []


def _least_depth_um(points_um: NDArray[np.float64], body: _Body) -> float:
    """How near to the node's edge the nearest point lies; negative outside."""
    places = points_um[:, ::-1].T / _COARSE_UM - 0.5
    return float(ndimage.map_coordinates(body.depth_um, places, order=1, mode="constant", cval=-1e6).min())


def _furnish(body: _Body, outlines: tuple[PlacedOutline, ...], rng: np.random.Generator) -> NodeMap:
    """Add follicles, sinuses, strands of stroma and fat."""
    height, width = body.depth_um.shape
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) * _COARSE_UM
    x = (np.arange(width, dtype=np.float32)[None, :] + 0.5) * _COARSE_UM
    side = rng.uniform(0, 2 * math.pi)
    bearing = np.arctan2(y - body.height_um / 2, x - body.width_um / 2)
    fat = body.depth_um + _FAT_UM * np.clip(np.cos(bearing - side), 0, 1) ** 0.5 - 20
    down, right = body.slope
    waves = _coarse_noise((height, width), 60.0, rng)
    along = np.arctan2(down, right) + math.pi / 2 + np.clip((body.depth_um - 60) / 300, 0, 1) * 0.6 * waves
    angle = (np.floor(along / math.pi * ANGLES + 0.5).astype(np.int64) % ANGLES).astype(np.uint8)
    return NodeMap(
        width_um=body.width_um,
        height_um=body.height_um,
        outlines=outlines,
        depth_um=body.depth_um,
        fat_um=fat.astype(np.float32),
        follicle_um=_follicles(body, outlines, (y, x), rng),
        # Sinuses are wider deep in the node; strands stay clear of the capsule.
        sinus=_coarse_noise((height, width), 110.0, rng) * np.clip(body.depth_um / 700, 0.3, 1) ** -1.5,
        strand=_coarse_noise((height, width), 170.0, rng) + np.float32(9) * (body.depth_um < 150),
        angle=angle,
    )


def _follicles(
    body: _Body,
    outlines: tuple[PlacedOutline, ...],
    axes: tuple[NDArray[np.float32], NDArray[np.float32]],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Distance in um into the nearest germinal centre, negative outside; they lie under the capsule, off deposits."""
    inside = np.full(body.depth_um.shape, -1000.0, dtype=np.float32)
    rim = np.argwhere((body.depth_um > 230) & (body.depth_um < 480))
    for row, column in rim[rng.integers(len(rim), size=len(rim) * 6 // 10000 + 6)]:
        x, y = (column + 0.5) * _COARSE_UM, (row + 0.5) * _COARSE_UM
        radius = float(rng.uniform(80, 165))
        nearest = min((float(np.hypot(*(o.outline_um - (x, y)).T).min()) for o in outlines), default=math.inf)
        if inside[row, column] > -radius - 120 or nearest < radius + 120:
            continue
        inside = np.maximum(inside, radius - np.hypot(axes[1] - x, axes[0] - y))
    return inside.astype(np.float32)


def _coarse_noise(shape: tuple[int, int], sigma_um: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise of mean 0 and variance 1 on the coarse grid."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigma_um / _COARSE_UM)
    return (noise / noise.std()).astype(np.float32)


def _between(coarse: NDArray[np.float32], y_um: NDArray[np.float64], x_um: NDArray[np.float64]) -> NDArray[np.float32]:
    """Bilinear values of a coarse map at every (y, x), column by column: float32 (len(x_um), len(y_um)).

    Whole columns are copied so, and not single pixels: that takes a third of the time.
    """
    top, down = _neighbours(y_um, coarse.shape[0])
    left, right = _neighbours(x_um, coarse.shape[1])
    first, last = left[0], min(left[-1] + 1, coarse.shape[1] - 1)
    columns = np.ascontiguousarray(coarse[:, first : last + 1].T)
    upper, lower = columns.take(top, axis=1), columns.take(np.minimum(top + 1, coarse.shape[0] - 1), axis=1)
    columns = upper + (lower - upper) * down
    values = columns.take(left - first, axis=0)
    step = columns.take(np.minimum(left + 1, last) - first, axis=0)
    step -= values
    step *= right[:, None]
    values += step
    return values


def _neighbours(axis_um: NDArray[np.float64], size: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Index of the coarse cell before each place, and how far beyond its centre the place lies, in [0, 1]."""
    place = np.clip(axis_um / _COARSE_UM - 0.5, 0, size - 1)
    before = np.floor(place).astype(np.int64)
    return before, (place - before).astype(np.float32)
