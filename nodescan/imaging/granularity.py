"""The size of the grains of a picture. In tissue the grains are nuclei."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.units import Micrometers, Spacing
from nodescan.imaging.glass import optical_density

_FINEST_PX, _COARSEST_UM, _STEPS = 2.0, (14.0, 28.0), 49
"""Diameters that are asked for, up to the second only where there are none up to the first. Of fewer pixels are noise
and JPEG's grain; the first is twice a tumour's nucleus, the second that of a nucleus six times too large. Asked for the
second at once, fat cells and folds outweigh nuclei."""

_RINGS = 256
_WEAKEST = 1e-12


def grain_diameter_um(pieces: Sequence[NDArray[np.uint8]], spacing: Spacing) -> Micrometers | None:
    """Diameter of the discs that stand out most in red light, which haematoxylin takes up; None where none do.

    pieces : one and more of one size, uint8 (H, W, 3) RGB. The Laplacian of a Gaussian, normalised by its scale,
    answers most to discs of diameter 2 sqrt(2) sigma (Lindeberg 1998); by Parseval its energy is a sum over the power
    spectrum, here ring by ring. Pieces are taken together, none stronger than half of them: a fold or an edge says
    little of nuclei. Where nuclei are crowded it is less than their own diameter. An end of the range is no answer:
    there it is noise, or folds and fat.
    """
    ring, squared = _rings(pieces[0].shape[:2], spacing)
    powers = [_power(piece, ring) for piece in pieces]
    for coarsest_um in _COARSEST_UM:
        diameters = np.geomspace(_FINEST_PX * spacing.mean, coarsest_um, _STEPS)
        energy = _energy(powers, np.outer(diameters**2 / 8, squared))
        peaks = 1 + np.flatnonzero((energy[1:-1] > energy[:-2]) & (energy[1:-1] >= energy[2:]))
        if peaks.size:
            return Micrometers(float(diameters[peaks[np.argmax(energy[peaks])]]))
    return None


def _energy(powers: Sequence[NDArray[np.float64]], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 (_STEPS,): of all pieces; scale : float64 (_STEPS, _RINGS), sigma squared times frequency squared."""
    response = scale**2 * np.exp(-scale)
    each = np.stack([response @ power for power in powers])
    strength = each.max(axis=1, keepdims=True)
    return (each * np.minimum(1, np.median(strength) / np.maximum(strength, _WEAKEST))).sum(axis=0)


def _rings(shape: tuple[int, ...], spacing: Spacing) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """int (H, W // 2 + 1), the ring of each frequency of rfft2; float64 (_RINGS,), their squares in (rad / um)^2."""
    down, across = np.fft.fftfreq(shape[0], spacing.y), np.fft.rfftfreq(shape[1], spacing.x)
    frequency = 2 * np.pi * np.hypot(down[:, None], across)
    step = np.nextafter(frequency.max(), np.inf) / _RINGS
    return (frequency / step).astype(np.intp), ((np.arange(_RINGS) + 0.5) * step) ** 2


def _power(pixels: NDArray[np.uint8], ring: NDArray[np.intp]) -> NDArray[np.float64]:
    """float64 (_RINGS,): power of red's optical density in each ring."""
    (density,) = optical_density([pixels[..., 0]], [255])  # of any glass: its mean is taken off
    window = np.outer(np.hanning(density.shape[0]), np.hanning(density.shape[1]))
    power = np.abs(np.fft.rfft2((density - density.mean()) * window)) ** 2
    power[:, 1 : (density.shape[1] + 1) // 2] *= 2  # rfft2 leaves out their mirror images
    return np.bincount(ring.ravel(), power.ravel(), _RINGS).astype(np.float64)
