"""Training tiles: small pieces of phantom lymph node with the exact mask of the tumour in them."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.phantoms.look import Look
from nodescan.phantoms.stamps import ANGLES, margin_px, textures_of
from nodescan.phantoms.texture import COARSEST_DRAWN_UM, Region, Scene, block_mean, draw


def phantom_tile(
    size_px: int, spacing_um: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """One tile of procedural H&E and where its tumour is.

    Returns uint8 (size_px, size_px, 3) RGB and bool (size_px, size_px), both at spacing_um, averaged over
    areas from a drawing of COARSEST_DRAWN_UM or finer. A pixel is tumour where at least half its area is.
    """
    factor = math.ceil(spacing_um / COARSEST_DRAWN_UM - 1e-9)
    um_per_px = spacing_um / factor
    margin = margin_px(um_per_px)
    side = size_px * factor + 2 * margin
    left, top = (int(v) for v in rng.integers(0, 1_000_000, 2))
    region, angle = _tissue(side, um_per_px, rng)
    tumour = _tumour(side, um_per_px, rng) & (region != Region.GLASS) & (region != Region.FAT)
    scene = Scene(left, top, um_per_px, int(rng.integers(2**31)), region, angle, tumour)
    light = draw(scene, Look.drawn(rng)).light
    pixels = _scanned(block_mean(light, factor), spacing_um, rng)
    inner = tumour[margin:-margin, margin:-margin].astype(np.float32)
    return pixels, block_mean(inner, factor) >= 0.5


def _tissue(side: int, um_per_px: float, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Regions in layers along a bent line, and fibre directions that follow it: uint8 (side, side) each."""
    x, y = _axes(side, um_per_px)
    turn = rng.uniform(0, 2 * math.pi)
    bend, drift = _field(side, um_per_px, rng), _field(side, um_per_px, rng)
    depth = x * math.cos(turn) + y * math.sin(turn) + bend * rng.uniform(2, 14)
    half = side * um_per_px / 2
    layers, borders = _LAYERS[int(rng.choice(len(_LAYERS), p=_LAYER_CHANCES))]
    widths = np.array([rng.uniform(*b) for b in borders])
    start = rng.uniform(-0.8, 0.7) * half
    region = np.array(layers, dtype=np.uint8)[np.digitize(depth, start + np.cumsum(widths))]
    if rng.random() < 0.45:
        _carve(region, np.abs(drift) < rng.uniform(0.06, 0.30), Region.SINUS)
    if rng.random() < 0.30:
        _carve(region, np.abs(bend - drift) < rng.uniform(0.05, 0.40), Region.STROMA)
    if rng.random() < 0.35:
        centre = rng.uniform(-half, half, 2)
        radius = rng.uniform(45, 190)
        _carve(region, np.hypot(x - centre[0], y - centre[1]) + 8 * bend < radius, Region.FOLLICLE)
    if rng.random() < 0.06:
        region[drift > rng.uniform(0.3, 1.5)] = Region.GLASS
    along = (turn + math.pi / 2 + 0.35 * drift) / math.pi * ANGLES
    return region, (np.floor(along).astype(np.int64) % ANGLES).astype(np.uint8)


# Layers from outside to inside and the widths in um of the first of them but one: the kinds of place in a node.
_G, _C, _S, _N, _F = Region.GLASS, Region.CORTEX, Region.STROMA, Region.SINUS, Region.FAT
_LAYERS = (
    ((_C,), ()),
    ((_G, _S, _N, _C), ((0, 1), (6, 40), (4, 25))),
    ((_F, _S, _N, _C), ((0, 1), (8, 60), (4, 25))),
    ((_C, _N, _C, _S), ((0, 1), (15, 90), (60, 160))),
    ((_S,), ()),
    ((_F, _S), ((60, 200),)),
    ((_G,), ()),
)
_LAYER_CHANCES = (0.42, 0.13, 0.15, 0.13, 0.08, 0.06, 0.03)


def _carve(region: NDArray[np.uint8], where: NDArray[np.bool_], into: Region) -> None:
    """Turn cortex into something else."""
    region[where & (region == Region.CORTEX)] = into


def _tumour(side: int, um_per_px: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Nothing, everything, a disc, ellipse, crescent, half plane or blobs: bool (side, side)."""
    kind = str(rng.choice(["none", "all", "ellipse", "crescent", "plane", "blobs", "pair"], p=_TUMOUR_CHANCES))
    if kind in ("none", "all"):
        return np.full((side, side), kind == "all")
    x, y = _axes(side, um_per_px)
    half = side * um_per_px / 2
    bend = _field(side, um_per_px, rng)
    rough = rng.choice([0.0, 2.0, 6.0, 10.0]) * bend
    if kind == "blobs":
        return bend > rng.uniform(-0.5, 1.4)
    centre = rng.uniform(-0.75 * half, 0.75 * half, 2)
    turn = rng.uniform(0, 2 * math.pi)
    u = (x - centre[0]) * math.cos(turn) + (y - centre[1]) * math.sin(turn)
    v = (y - centre[1]) * math.cos(turn) - (x - centre[0]) * math.sin(turn)
    if kind == "plane":
        return u + rough > 0
    radius = rng.uniform(25, 110)
    if kind == "crescent":
        away = np.hypot(u - radius, v) + rough
        return (np.abs(away - radius * 1.3) < rng.uniform(12, 40)) & (u < radius)
    stretch = rng.choice([1.0, 1.0, rng.uniform(1.2, 2.2)])
    disc = np.hypot(u / stretch, v * stretch) + rough < radius
    if kind == "pair":
        disc |= np.hypot(u - 2 * radius * stretch - rng.uniform(15, 60), v) + rough < radius
    return disc


_TUMOUR_CHANCES = (0.36, 0.10, 0.24, 0.09, 0.09, 0.07, 0.05)


def _scanned(light: NDArray[np.float32], spacing_um: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a scanner makes of the light: a little blur, sharpening, gamma and noise."""
    focus = rng.random()
    sigma = rng.uniform(0.0, 0.55) if focus < 0.92 else rng.uniform(0.8, 1.6)
    if sigma > 0.2:
        light = ndimage.gaussian_filter(light, (sigma / spacing_um, sigma / spacing_um, 0), truncate=2.5)
    if rng.random() < 0.5:
        soft = ndimage.uniform_filter(light, (3, 3, 1))
        light = light + rng.uniform(0.2, 0.9) * (light - soft)
    light = np.clip(light, 0.01, 1.0) ** rng.uniform(0.88, 1.12)
    noise = rng.standard_normal(light.shape, dtype=np.float32) * np.float32(rng.uniform(0.002, 0.012))
    return (np.clip(light + noise, 0, 1) * 255 + 0.5).astype(np.uint8)


def _axes(side: int, um_per_px: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x (1, side) and y (side, 1) in um from the middle."""
    axis = ((np.arange(side) + 0.5 - side / 2) * um_per_px).astype(np.float32)
    return axis[None, :], axis[:, None]


def _field(side: int, um_per_px: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A piece of broad noise at random: float32 (side, side), mean 0 and variance 1 over a large area."""
    noise = textures_of(um_per_px).broad
    rows, columns = (
        (np.arange(side) * int(rng.choice([-1, 1])) + int(rng.integers(len(noise)))) % len(noise) for _ in "rc"
    )
    piece = noise[np.ix_(rows, columns)]
    return piece.T if rng.random() < 0.5 else piece
