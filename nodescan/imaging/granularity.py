"""How large the grains of a picture are; in tissue these are its nuclei."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.units import Micrometers, Spacing

_FINEST_PX, _COARSEST_UM, _STEPS = 2.0, 14.0, 49
"""Diameters that are asked for. Of fewer pixels are noise and JPEG's grain; twice a tumour's nucleus is the most."""

_RINGS = 256
_WEAKEST = 1e-12


def grain_diameter_um(pieces: Sequence[NDArray[np.uint8]], spacing: Spacing) -> Micrometers | None:
    """Diameter of the discs that stand out most in red light, which haematoxylin takes up; None where none do.

    pieces : one and more, uint8 (H, W, 3) RGB. The Laplacian of a Gaussian, normalised by its scale, answers most to
    discs of diameter 2 sqrt(2) sigma (Lindeberg 1998); by Parseval its energy is a sum over the power spectrum, here
    ring by ring. Pieces are taken together, none stronger than half of them: a fold or an edge says little of nuclei.
    Where nuclei are crowded it is less than their own diameter. An end of the range is no answer: there it is noise,
    or folds and fat.
    """
    diameters = np.geomspace(_FINEST_PX * spacing.mean, _COARSEST_UM, _STEPS)
    each = np.stack([_energy(piece, spacing, diameters) for piece in pieces])
    strength = each.max(axis=1, keepdims=True)
    energy = (each * np.minimum(1, np.median(strength) / np.maximum(strength, _WEAKEST))).sum(axis=0)
    peaks = 1 + np.flatnonzero((energy[1:-1] > energy[:-2]) & (energy[1:-1] >= energy[2:]))
    return Micrometers(float(diameters[peaks[np.argmax(energy[peaks])]])) if peaks.size else None


def _energy(pixels: NDArray[np.uint8], spacing: Spacing, diameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 (len(diameters),): of the Laplacian of a Gaussian that answers most to discs of each diameter in um."""
    power, squared = _rings(pixels, spacing)
    scale = np.outer(diameters**2 / 8, squared)
    return (scale**2 * np.exp(-scale)) @ power


def _rings(pixels: NDArray[np.uint8], spacing: Spacing) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64 (_RINGS,) both: power of red's optical density, and the squared frequency in (rad / um)^2."""
    density = -np.log10(np.maximum(pixels[..., 0], 1))
    window = np.outer(np.hanning(len(density)), np.hanning(density.shape[1]))
    power = np.abs(np.fft.fft2((density - density.mean()) * window)) ** 2
    down, across = (
        2 * np.pi * np.fft.fftfreq(size, px) for size, px in zip(density.shape, (spacing.y, spacing.x), strict=True)
    )
    frequency = np.hypot(down[:, None], across)
    step = np.nextafter(frequency.max(), np.inf) / _RINGS
    ring = (frequency / step).astype(np.intp)
    summed = np.bincount(ring.ravel(), power.ravel(), _RINGS).astype(np.float64)
    return summed, ((np.arange(_RINGS) + 0.5) * step) ** 2
