"""What phantom tissue is stamped and woven from: banks of nuclei, and periodic noise, fibres and fat."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial import cKDTree

from nodescan.machine import usable_cores
from nodescan.threads import start_each

MARGIN_UM = 26.0
"""Drawn around what is asked for, so that cells that cross its edge are whole: more than the largest cell's width."""

ANGLES = 8
"""Fibre directions in half a turn."""

PERIOD_PX = 1024
"""The noise repeats after so many pixels."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of nucleus: its size, shape and stain, and the pitch of the jittered grid it is planted on."""

    name: str
    pitch_um: float
    diameter_um: tuple[float, float]
    elongation: tuple[float, float]
    irregularity: float
    core: tuple[float, float]
    rim: float
    clumps: float
    nucleoli: float


LYMPHOCYTE = Kind("lymphocyte", 6.9, (5.8, 7.6), (1.0, 1.25), 0.07, (1.05, 1.6), 0.12, 0.30, 0.0)
CENTRE = Kind("centre", 9.0, (7.4, 10.4), (1.0, 1.45), 0.14, (0.50, 0.85), 0.22, 0.26, 0.0)
SPINDLE = Kind("spindle", 15.0, (6.6, 8.4), (2.8, 4.6), 0.06, (0.75, 1.15), 0.05, 0.15, 0.0)
HISTIOCYTE = Kind("histiocyte", 12.5, (6.8, 9.0), (1.1, 1.7), 0.10, (0.45, 0.75), 0.22, 0.18, 0.0)
TUMOURS = (
    Kind("tumour-pale", 16.5, (11.0, 15.5), (1.0, 1.45), 0.10, (0.20, 0.42), 0.32, 0.34, 1.0),
    Kind("tumour-dark", 14.5, (10.0, 13.5), (1.0, 1.6), 0.13, (0.48, 0.85), 0.20, 0.34, 0.6),
    Kind("tumour-mixed", 16.0, (10.0, 16.0), (1.0, 1.7), 0.15, (0.25, 0.75), 0.28, 0.36, 0.9),
)
BANK_SIZE = 128

Bank = NDArray[np.float32]
"""float32 (n, s, s): concentration of haematoxylin of one nucleus each, 0 outside it; s is odd."""


def margin_px(um_per_px: float) -> int:
    """MARGIN_UM in whole pixels."""
    return math.ceil(MARGIN_UM / um_per_px)


@lru_cache(maxsize=32)
def bank_of(kind: Kind, um_per_px: float) -> Bank:
    """Nuclei of one kind; spindles sorted by direction."""
    rng = np.random.default_rng([*kind.name.encode()])
    reach = 0.5 * kind.diameter_um[1] * math.sqrt(kind.elongation[1]) * (1 + 2 * kind.irregularity) + 1
    half = min(math.ceil(reach / um_per_px), margin_px(um_per_px) // 2 - 1)
    turns = (np.arange(BANK_SIZE) + rng.random(BANK_SIZE)) / BANK_SIZE * math.pi
    stamps = np.stack([_nucleus(kind, um_per_px, half, turn, rng) for turn in turns])
    return stamps.astype(np.float32)


def _nucleus(kind: Kind, um_per_px: float, half: int, turn: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """One nucleus: an irregular ellipse with a darker rim, clumped chromatin and, in tumour, nucleoli."""
    steps = np.arange(-half, half + 1) * um_per_px
    x, y = np.meshgrid(steps, steps)
    u, v = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    stretch = math.sqrt(rng.uniform(*kind.elongation))
    radius = rng.uniform(*kind.diameter_um) / 2
    u, v = u / stretch, v * stretch
    around = np.arctan2(v, u)
    waves = sum(rng.normal(0, kind.irregularity / k) * np.cos(k * around + rng.uniform(0, 7)) for k in (2, 3, 4))
    depth = radius * (1 + waves) - np.hypot(u, v)
    edge = np.clip(depth / 0.9 + 0.3, 0, 1)
    chromatin = _smooth_noise(2 * half + 1, 0.9 / um_per_px, rng)
    body = rng.uniform(*kind.core) * (1 + kind.clumps * chromatin) + kind.rim * np.exp(-((depth - 0.7) ** 2) / 0.8)
    if rng.random() < kind.nucleoli:
        for _ in range(int(rng.integers(1, 3))):
            away, bearing = radius * rng.uniform(0, 0.45), rng.uniform(0, 2 * math.pi)
            spot = np.hypot(x - away * math.cos(bearing), y - away * math.sin(bearing))
            body += rng.uniform(0.5, 0.9) * np.exp(-((spot / rng.uniform(0.9, 1.4)) ** 2))
    return np.maximum(body, 0.05) * edge


@lru_cache(maxsize=8)
def cytoplasm_bank(um_per_px: float) -> Bank:
    """Bodies of tumour cells: blunt discs that fade towards their borders, in [0, 1]."""
    rng = np.random.default_rng(3)
    half = math.floor(11.5 / um_per_px)
    steps = np.arange(-half, half + 1) * um_per_px
    around, away = np.arctan2(steps[:, None], steps[None, :]), np.hypot(steps[:, None], steps[None, :])
    stamps: list[NDArray[np.float64]] = []
    for _ in range(BANK_SIZE):
        waves = sum(rng.normal(0, 0.12 / k) * np.cos(k * around + rng.uniform(0, 7)) for k in (2, 3, 5))
        reach = rng.uniform(8.0, 10.0) * (1 + waves)
        stamps.append(np.clip((reach - away) / 2.2, 0, 1) * rng.uniform(0.6, 1.0))
    return np.stack(stamps).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Textures:
    """Periodic noise, float32 (P, P) with mean 0 and variance 1; fibre (ANGLES, P, P); fat: walls in [0, 1]."""

    fine: NDArray[np.float32]
    middle: NDArray[np.float32]
    broad: NDArray[np.float32]
    fibre: NDArray[np.float32]
    fat: NDArray[np.float32]


def periodic(texture: NDArray[np.float32], left_px: int, top_px: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """float32 (h, w, ...): the rectangle of that shape that begins at (left_px, top_px) of an endless texture.

    texture : float32 (P, P, ...), one period of it. Blocks are copied whole: several times as fast as single pixels.
    """
    height, width = shape
    drawn = np.empty((height, width, *texture.shape[2:]), dtype=texture.dtype)
    for rows, of_rows in _blocks(top_px, height, texture.shape[0]):
        for columns, of_columns in _blocks(left_px, width, texture.shape[1]):
            drawn[rows, columns] = texture[of_rows, of_columns]
    return drawn


def _blocks(begin: int, length: int, period: int) -> Iterator[tuple[slice, slice]]:
    """A stretch cut where a period ends: the place of each part in the stretch, and in the period."""
    done = 0
    while done < length:
        at = (begin + done) % period
        part = min(length - done, period - at)
        yield slice(done, done + part), slice(at, at + part)
        done += part


@lru_cache(maxsize=8)
def textures_of(um_per_px: float) -> Textures:
    rng = np.random.default_rng(7)
    fine = _smooth_noise(PERIOD_PX, 0.8 / um_per_px, rng)
    middle = _smooth_noise(PERIOD_PX, 4.0 / um_per_px, rng)
    broad = _smooth_noise(PERIOD_PX, 24.0 / um_per_px, rng)
    noises = [rng.standard_normal((PERIOD_PX, PERIOD_PX)) for _ in range(ANGLES)]
    waits = start_each("fibres", partial(_fibres, um_per_px), enumerate(noises), threads=usable_cores())
    fat = _fat_walls(um_per_px, rng)
    return Textures(fine, middle, broad, np.stack([wait() for wait in waits]), fat)


@lru_cache(maxsize=1)
def white_noise() -> NDArray[np.float32]:
    """float32 (P, P, 3): what a scanner's camera adds, mean 0 and variance 1."""
    return np.random.default_rng(5).standard_normal((PERIOD_PX, PERIOD_PX, 3), dtype=np.float32)


def _smooth_noise(size: int, sigma_px: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Periodic Gaussian noise with Gaussian correlation."""
    down, across = fft.fftfreq(size)[:, None], fft.rfftfreq(size)[None, :]
    gain = np.exp(-2 * (math.pi * sigma_px) ** 2 * (down**2 + across**2))
    return _normed(fft.irfft2(fft.rfft2(rng.standard_normal((size, size))) * gain, s=(size, size)))


def _fibres(um_per_px: float, given: tuple[int, NDArray[np.float64]]) -> NDArray[np.float32]:
    """Periodic streaks, 12 um long and 0.9 um thick, over coarser ones, in the direction given by number, out of white
    noise, float64 (P, P)."""
    direction, noise = given
    angle = math.pi * direction / ANGLES
    fy, fx = fft.fftfreq(PERIOD_PX)[:, None] / um_per_px, fft.rfftfreq(PERIOD_PX)[None, :] / um_per_px
    along, across = fx * math.cos(angle) + fy * math.sin(angle), fy * math.cos(angle) - fx * math.sin(angle)
    spectrum = fft.rfft2(noise)
    total = np.zeros((PERIOD_PX, PERIOD_PX), dtype=np.float32)
    for length_um, width_um in ((12.0, 0.9), (30.0, 3.0)):
        gain = np.exp(-2 * math.pi**2 * ((along * length_um) ** 2 + (across * width_um) ** 2))
        total += _normed(fft.irfft2(spectrum * gain))
    return _normed(total)


def _fat_walls(um_per_px: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Periodic walls of fat cells of about 60 um: where the two nearest of scattered points are equally near."""
    side_um = PERIOD_PX * um_per_px
    count = max(4, round(side_um / 62.0))
    lattice = np.stack(np.meshgrid(np.arange(count), np.arange(count)), axis=-1).reshape(-1, 2)
    points = ((lattice + rng.uniform(-0.38, 0.38, lattice.shape)) / count * side_um) % side_um
    axis = (np.arange(PERIOD_PX) + 0.5) * um_per_px
    pixels = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    bent = np.stack([_smooth_noise(PERIOD_PX, 9.0 / um_per_px, rng) for _ in "xy"], axis=-1).reshape(-1, 2)
    pixels = (pixels + 3.5 * bent) % side_um
    near, _ = cKDTree(points, boxsize=side_um).query(pixels, k=2, workers=usable_cores())
    gap = (near[:, 1] - near[:, 0]).reshape(PERIOD_PX, PERIOD_PX)
    thick = 1.8 + 1.0 * _smooth_noise(PERIOD_PX, 12.0 / um_per_px, rng)
    return np.clip(thick - gap + 0.5, 0, 1).astype(np.float32)


def _normed(noise: NDArray[np.floating]) -> NDArray[np.float32]:
    return ((noise - noise.mean()) / (noise.std() + 1e-12)).astype(np.float32)
