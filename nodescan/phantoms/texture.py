"""Procedural H&E of a lymph node: nuclei stamped from banks over fibrous, granular and fatty ground."""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.phantoms.look import Look
from nodescan.phantoms.stamps import (
    ANGLES,
    BANK_SIZE,
    CENTRE,
    HISTIOCYTE,
    LYMPHOCYTE,
    PERIOD_PX,
    SPINDLE,
    TUMOURS,
    Bank,
    Kind,
    bank_of,
    cytoplasm_bank,
    margin_px,
    periodic,
    textures_of,
    white_noise,
)

COARSEST_DRAWN_UM = 0.5
"""Texture is drawn at this spacing or finer: a lymphocyte is then 14 px wide and its chromatin still shows."""


class Region(IntEnum):
    """What the ground is where no tumour grows."""

    GLASS = 0
    CORTEX = 1
    FOLLICLE = 2
    STROMA = 3
    SINUS = 4
    FAT = 5


@dataclass(frozen=True, slots=True)
class Scene:
    """A rectangle to draw, in pixels of `um_per_px` whose first stands at (left_px, top_px) of the endless texture.

    region, angle : uint8 (H, W), codes of Region and of fibre direction; tumour : bool (H, W). All include
    `margin_px` on every side, which is drawn but not returned.
    """

    left_px: int
    top_px: int
    um_per_px: float
    seed: int
    region: NDArray[np.uint8]
    angle: NDArray[np.uint8]
    tumour: NDArray[np.bool_]

    @property
    def margin_px(self) -> int:
        return margin_px(self.um_per_px)


@dataclass(frozen=True, slots=True)
class Drawing:
    """light : float32 (h, w, 3), transmitted RGB in [0, 1], without the margin.

    nuclei_px : int64 (n, 2), x and y of the centres of the tumour nuclei planted in the rectangle, in the
    texture's pixels: each nucleus belongs to exactly one rectangle of a partition.
    """

    light: NDArray[np.float32]
    nuclei_px: NDArray[np.int64]


def draw(scene: Scene, look: Look) -> Drawing:
    """Draw the scene by Beer and Lambert: light = glass * exp(-(c_h OD_h + c_e OD_e)).

    The same texture pixel comes out the same whatever rectangle it is drawn in.
    """
    haematoxylin, eosin = _ground(scene, look)
    nuclei = np.zeros((0, 2), dtype=np.int64)
    if not scene.tumour.all():
        _normal_cells(scene, look, haematoxylin, eosin)
    if scene.tumour.any():
        nuclei = _tumour_cells(scene, look, haematoxylin, eosin)
    m = scene.margin_px
    inner = (slice(m, -m), slice(m, -m))
    c_h, c_e = haematoxylin[inner] * look.haematoxylin_strength, eosin[inner] * look.eosin_strength
    light = np.empty((*c_h.shape, 3), dtype=np.float32)
    stains = zip(look.glass, look.haematoxylin, look.eosin, strict=True)
    for channel, (glass, od_h, od_e) in enumerate(stains):
        light[..., channel] = glass * np.exp(-(c_h * od_h + c_e * od_e))
    return Drawing(light, nuclei)


def block_mean(values: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """float32 (H / factor, W / factor, ...): mean over blocks of the first two axes of values : float32 (H, W, ...), H
    and W multiples of factor."""
    if factor == 1:
        return values
    total = np.zeros((values.shape[0] // factor, values.shape[1] // factor, *values.shape[2:]), dtype=np.float32)
    for row in range(factor):
        for column in range(factor):
            total += values[row::factor, column::factor]
    return total / np.float32(factor * factor)


def scan_noise(box: PixelBox, seed: int) -> NDArray[np.float32]:
    """float32 (box.height, box.width, 3), mean 0 and variance 1: the same for a pixel whatever box it is read in."""
    left, top = box.left + 389 * (seed % 997), box.top + 211 * (seed % 991)
    return periodic(white_noise(), left, top, (box.height, box.width))


# Concentrations of the ground by Region, in the order of its codes, then how much noise and fibre they carry.
_GROUND_H = np.array([0.0, 0.22, 0.26, 0.08, 0.05, 0.0], dtype=np.float32)
_GROUND_E = np.array([0.0, 0.55, 0.50, 0.78, 0.24, 0.0], dtype=np.float32)
_FIBRE = np.array([0.0, 0.10, 0.04, 0.34, 0.13, 0.0], dtype=np.float32)
_GRAIN = np.array([0.0, 0.16, 0.10, 0.10, 0.12, 0.0], dtype=np.float32)

_CLEFT = np.array([0.0, 1.25, 2.2, 1.9, 0.55, 9.0], dtype=np.float32)
"""The level of noise at which tissue opens, in standard deviations, by Region."""


@dataclass(frozen=True, slots=True)
class _Plots:
    """Where nuclei of one kind may stand: x, y of the centres in pixels of the scene's array, and one hash each."""

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    hashes: NDArray[np.uint64]

    def chosen(self, keep: NDArray[np.bool_]) -> "_Plots":
        return _Plots(self.x[keep], self.y[keep], self.hashes[keep])

    def chance(self, salt: int) -> NDArray[np.float64]:
        """A number in [0, 1) for each plot; independent for each salt."""
        return _unit(_mix(self.hashes + np.uint64(salt)))


def _ground(scene: Scene, look: Look) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Concentrations of both stains without nuclei: float32 (H, W) each."""
    textures, region = textures_of(scene.um_per_px), scene.region
    fine, middle = (periodic(t, scene.left_px, scene.top_px, region.shape) for t in (textures.fine, textures.middle))
    codes = region.astype(np.intp)
    eosin = _GROUND_E.take(codes)
    eosin += _FIBRE.take(codes) * _fibre(scene, textures.fibre)
    eosin += _GRAIN.take(codes) * (fine + middle)
    haematoxylin = _GROUND_H.take(codes) * (1 + 0.35 * middle + 0.2 * fine)
    # Tissue shrinks in fixing: clefts of bare glass open between cells of the cortex and in the sinuses.
    open_share = np.clip((fine * 0.25 + middle - _CLEFT.take(codes)) * 2.5, 0, 0.9) * (region != Region.GLASS)
    eosin *= 1 - open_share
    haematoxylin *= 1 - open_share
    fat = region == Region.FAT
    if fat.any():
        wall = periodic(textures.fat, scene.left_px, scene.top_px, region.shape) * fat
        eosin += wall * (0.55 + 0.15 * fine)
        haematoxylin += 0.14 * wall
    if scene.tumour.any():
        septum = np.clip((look.tumour_nests - np.abs(middle)) * 9, 0, 1) * np.float32(look.tumour_nests > 0)
        eosin_t = look.tumour_eosin * 0.72 + 0.08 * fine + 0.10 * middle + 0.22 * septum
        haematoxylin_t = look.tumour_haematoxylin * (1 + 0.18 * fine + 0.15 * middle) * (1 - 0.5 * septum)
        eosin = np.where(scene.tumour, eosin_t, eosin)
        haematoxylin = np.where(scene.tumour, haematoxylin_t, haematoxylin)
    return np.maximum(haematoxylin, 0, dtype=np.float32), np.maximum(eosin, 0, dtype=np.float32)


def _fibre(scene: Scene, fibre: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (H, W): of the fibres, float32 (ANGLES, P, P), those of each pixel's direction."""
    height, width = scene.region.shape
    rows, columns = (scene.top_px + np.arange(height)) % PERIOD_PX, (scene.left_px + np.arange(width)) % PERIOD_PX
    places = scene.angle * np.intp(PERIOD_PX**2)
    places += rows[:, None] * PERIOD_PX + columns
    return fibre.take(places)


def _normal_cells(scene: Scene, look: Look, haematoxylin: NDArray[np.float32], eosin: NDArray[np.float32]) -> None:
    """Add every nucleus that is not tumour's, cut off where tumour begins."""
    layer = np.zeros_like(haematoxylin)
    shares = {
        LYMPHOCYTE: (0.0, look.packing, 0.16, 0.05, 0.14, 0.0),
        CENTRE: (0.0, 0.0, 0.95, 0.0, 0.0, 0.0),
        SPINDLE: (0.0, 0.05, 0.0, 0.55, 0.07, 0.0),
        HISTIOCYTE: (0.0, 0.05, 0.05, 0.06, 0.42, 0.0),
    }
    present = np.array([(scene.region == code).any() for code in Region])
    for salt, (kind, share) in enumerate(shares.items()):
        by_region = np.array(share)
        if not (present & (by_region > 0)).any():
            continue
        bank = bank_of(kind, scene.um_per_px)
        plots = _plots(scene, kind.pitch_um, bank.shape[1], salt)
        plots = plots.chosen(plots.chance(1) < by_region[scene.region[plots.y, plots.x]])
        _stamp(layer, bank, plots, _which(kind, plots, scene))
    layer *= ~scene.tumour
    haematoxylin += layer
    eosin *= 1 - 0.45 * np.minimum(layer, 1)


def _tumour_cells(
    scene: Scene, look: Look, haematoxylin: NDArray[np.float32], eosin: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Add tumour cells wholly inside the tumour and a few lymphocytes among them; centres of the tumour nuclei."""
    kind = TUMOURS[look.tumour_type]
    bank, cell = bank_of(kind, scene.um_per_px), cytoplasm_bank(scene.um_per_px)
    plots = _plots(scene, kind.pitch_um, max(bank.shape[1], cell.shape[1]), 11)
    plots = plots.chosen(scene.tumour[plots.y, plots.x] & (plots.chance(1) < look.tumour_packing))
    which = _which(kind, plots, scene)
    whole = _wholly_inside(scene.tumour, bank, plots, which)
    plots, which = plots.chosen(whole), which[whole]
    body, layer = np.zeros_like(eosin), np.zeros_like(eosin)
    _stamp(body, cell, plots, which)
    _stamp(layer, bank, plots, which)
    eosin += scene.tumour * body * (0.42 * look.tumour_eosin)
    visitors = _plots(scene, 2 * LYMPHOCYTE.pitch_um, bank_of(LYMPHOCYTE, scene.um_per_px).shape[1], 12)
    visitors = visitors.chosen(visitors.chance(1) < 0.16)
    _stamp(layer, bank_of(LYMPHOCYTE, scene.um_per_px), visitors, _which(LYMPHOCYTE, visitors, scene))
    layer *= scene.tumour
    haematoxylin += layer
    eosin *= 1 - 0.35 * np.minimum(layer, 1)
    m, (height, width) = scene.margin_px, scene.region.shape
    own = (plots.x >= m) & (plots.x < width - m) & (plots.y >= m) & (plots.y < height - m)
    return np.stack([plots.x[own] + scene.left_px, plots.y[own] + scene.top_px], axis=1)


def _plots(scene: Scene, pitch_um: float, side_px: int, salt: int) -> _Plots:
    """Jittered hexagonal grid of the endless texture, where a stamp of side_px fits into the scene's array."""
    pitch = pitch_um / scene.um_per_px
    row_pitch = pitch * math.sqrt(3) / 2
    height, width = scene.region.shape
    rows = np.arange(math.floor(scene.top_px / row_pitch) - 1, math.ceil((scene.top_px + height) / row_pitch) + 2)
    columns = np.arange(math.floor(scene.left_px / pitch) - 2, math.ceil((scene.left_px + width) / pitch) + 2)
    row, column = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    hashes = _hash(row, column, scene.seed * 64 + salt)
    jitter_x, jitter_y = _unit(_mix(hashes + np.uint64(101))), _unit(_mix(hashes + np.uint64(102)))
    x = np.floor((column + 0.5 * (row % 2) + 0.62 * (jitter_x - 0.5)) * pitch).astype(np.int64) - scene.left_px
    y = np.floor((row + 0.62 * (jitter_y - 0.5)) * row_pitch).astype(np.int64) - scene.top_px
    half = side_px // 2
    fits = (x >= half) & (x < width - half) & (y >= half) & (y < height - half)
    return _Plots(x[fits], y[fits], hashes[fits])


def _which(kind: Kind, plots: _Plots, scene: Scene) -> NDArray[np.int64]:
    """The stamp of each plot; spindles lie along the fibres."""
    chance = plots.chance(2)
    if kind is not SPINDLE:
        return (chance * BANK_SIZE).astype(np.int64)
    each = BANK_SIZE // ANGLES
    return scene.angle[plots.y, plots.x].astype(np.int64) * each + (chance * each).astype(np.int64)


def _stamp(layer: NDArray[np.float32], bank: Bank, plots: _Plots, which: NDArray[np.int64]) -> None:
    """Lay each stamp over the layer; where two overlap the darker wins, so that their order does not matter."""
    width = layer.shape[1]
    flat = layer.reshape(-1)
    offsets = _offsets(bank.shape[1], width)
    for begin in range(0, len(plots.x), 2048):  # in bundles, to stay within the processor's cache
        part = slice(begin, begin + 2048)
        places = (plots.y[part] * width + plots.x[part])[:, None] + offsets
        np.maximum.at(flat, places.ravel(), bank[which[part]].ravel())


def _wholly_inside(tumour: NDArray[np.bool_], bank: Bank, plots: _Plots, which: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which stamps colour no pixel outside the tumour."""
    width = tumour.shape[1]
    places = (plots.y * width + plots.x)[:, None] + _offsets(bank.shape[1], width)
    covered = (bank > 0).reshape(len(bank), -1)[which]
    return (tumour.reshape(-1)[places] | ~covered).all(axis=1)


def _offsets(side_px: int, width: int) -> NDArray[np.int64]:
    """Flat offsets of a stamp's pixels from its centre, in an array of `width` columns."""
    steps = np.arange(side_px) - side_px // 2
    return (steps[:, None] * width + steps[None, :]).ravel()


def _hash(row: NDArray[np.int64], column: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """One well-mixed number for each place of an endless grid."""
    mixed = _mix(row.astype(np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64))
    return _mix(mixed ^ (column.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)))


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _unit(hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (hashes >> np.uint64(11)) / 2.0**53
