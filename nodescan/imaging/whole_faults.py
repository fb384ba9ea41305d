"""Measures faults that lie over a whole scan, in fields of its tissue: physical quantities, without a network.

The network's answers survive none of these faults for certain, and its features (inference/known_tissue.py) see few of
them. Each limit stands between what sound scans have and what scans have on which the fault was put; docs/decisions.md
has both distributions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.maps import Glass
from nodescan.imaging.places import FIELD_PX

MOST_COLOUR_SHIFT_UM: Final = 0.5
"""Sound: 0.37 at most. Two colours 1 um apart: 0.68 and more."""

MOST_GHOST: Final = 0.2
"""Sound: 0.12 at most. A second picture of a weight of 0.15: 0.19 to 0.39; of 0.3: 0.55 and more."""

MOST_ROWS_OFF: Final = 0.18
"""Sound: 0.13 at most. Rows displaced at random by 1 um (SD): 0.20 and more; every second one by 2 um: 0.48."""

MOST_GRID: Final[Mapping[int, float]] = {2: 1.5, 4: 4.0, 8: 6.0}
"""By the period in px. Sound: 1.24, 2.2 and 2.3 at most; with JPEG of quality 20, which hides little, 1.4, 3.6 and 5.6.
Enlarged twofold: 1.7 and more at 2; fourfold: 9 and more at 4. JPEG of quality 8: 6.01 and more at 8."""

LEAST_FINE: Final = 0.002
"""Sound: 0.012 and more; 0.0035 of a file that states its pixels twice too coarse, and is resampled. Enlarged fourfold
by interpolation: 0.0009 at most."""

MOST_CUT_OFF: Final = 0.04
"""Sound: 0.035 at most, and 0.02 of tissue beside nearly white glass. At 1.25 times the light
0.028 to 0.076 (told in 11 of 12 composites), at 1.15 times 0.019 to 0.054 (4 of 10)."""

_LEAST_TEXTURE = 0.05
"""Standard deviation of the fine density (ln) of green in a field. Of 103 sets of sound fields all medians are 0.28 and
more, and 95 in 100 fields 0.16 and more; bare glass and flat paint have 0.03 and less."""

_LEAST_IN_COMMON = 0.5
"""Of two colours' phases after the best shift, as their mean cosine: 0.997 and more in tissue."""

_DENSITY = -np.log(np.maximum(np.arange(256, dtype=np.float32), 4) / 255)

_WHITE_GLASS, _CUT_OFF_FROM = 253.5, 254
"""Means of glass in green, levels of red."""

_STAINED_BELOW = 215
"""In green: tissue with its pale edges."""

_SHIFTS_PX = np.arange(-100, 101) / 20
_MOST_LINE_SHIFT_PX = 14
_GHOST_PX = (5, 32)

_DOWN, _ALONG = np.fft.fftfreq(FIELD_PX)[:, None], np.fft.rfftfreq(FIELD_PX)
_PER_PX = np.hypot(_DOWN, _ALONG)
"""float64 (96, 49): cycles per px of a spectrum's places."""

_TIMES = np.where(_ALONG == 0, 1.0, 2.0)
"""How often each column of half a spectrum stands in the whole one."""

_WINDOW = np.hanning(FIELD_PX).astype(np.float32)

_Density = NDArray[np.float32]
_Spectra = NDArray[np.complex64]


@dataclass(frozen=True, slots=True)
class WholeFaults:
    """What fields of a scan have; see the limits above.

    colour_shift_um: the largest distance of two colours, the same one all over the scan; 0 where they share nothing.
    ghost: how strongly a second picture shows, near w / (1 - w) for its weight w.
    rows_off: share of neighbouring rows (or columns, if more) that fit much better when displaced by 2 px or more.
    grid: by period in px, steps that stand alone along the lines of a grid, as a multiple of those off it.
    fine_share: power of fine structure (2 to 4 px) per that of coarse (8 to 16 px).
    cut_off: share of stained pixels whose red is cut off at white; 0 where the slide's glass is not white.
    """

    colour_shift_um: float
    ghost: float
    rows_off: float
    grid: Mapping[int, float]
    fine_share: float
    cut_off: float


def has_texture(fields: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """bool (N,): which fields, uint8 (N, 96, 96, 3) RGB, hold structure to measure faults by; one line again and again
    is none."""
    return _texture(_DENSITY[fields[..., 1]]).std(axis=(1, 2)) >= _LEAST_TEXTURE


def measure_faults(fields: NDArray[np.uint8], corners: NDArray[np.intp], um_per_px: float, glass: Glass) -> WholeFaults:
    """Of fields that have texture: a few of tissue say nothing of a scan, sixteen do.

    fields : uint8 (N, 96, 96, 3) RGB at 0.9 to 1.0 um/px; corners : int (N, 2), row and column of their first pixels in
    one frame, N >= 1; glass : its mean grey levels on this slide.
    """
    density = _DENSITY[fields]
    colours = [_spectra(density[..., channel]) for channel in range(3)]
    green = fields[..., 1].astype(np.float32)
    return WholeFaults(
        colour_shift_um=max(_shift_px(colours[one], colours[two]) for one, two in ((0, 1), (1, 2), (0, 2))) * um_per_px,
        ghost=_ghost(colours[1]),
        rows_off=_rows_off(density[..., 1]),
        grid={period: _grid(green, corners, period) for period in MOST_GRID},
        fine_share=_fine_share(colours[1]),
        cut_off=_cut_off(fields, glass),
    )


def _fine(density: _Density, sigma_px: float) -> _Density:
    return density - ndimage.gaussian_filter(density, (0, sigma_px, sigma_px))


def _texture(density: _Density) -> _Density:
    """Fine structure, less what goes through a whole field along a row or a column, as the edge of a scan does."""
    fine = _fine(density, 6)
    fine -= fine.mean(axis=1, keepdims=True)
    fine -= fine.mean(axis=2, keepdims=True)
    return fine


def _spectra(density: _Density) -> _Spectra:
    """complex64 (N, 96, 49): of the texture of each field, windowed."""
    return np.fft.rfft2(_texture(density) * _WINDOW[:, None] * _WINDOW).astype(np.complex64)


def _shift_px(one: _Spectra, two: _Spectra) -> float:
    """The shift whose phase ramp most fields have in common, by phase correlation (Kuglin and Hines, 1975).

    Nuclei lie off their eosin anywhere, but in no one direction: such shifts cancel out over fields, a scanner's stays.
    Only structure of 10 to 33 px counts: JPEG keeps the finer in luminance alone, where all colours lie at 0.
    """
    band = (_PER_PX > 0.03) & (_PER_PX < 0.1)
    power = [np.sqrt((abs(plane) ** 2).sum(axis=(1, 2), keepdims=True)) + 1e-6 for plane in (one, two)]
    cross = (one.conj() * two / (power[0] * power[1])).sum(axis=0)
    phase = np.where(band, cross / (abs(cross) + 1e-12), 0) * _TIMES
    to_y = np.exp(2j * np.pi * _SHIFTS_PX[:, None] * _DOWN[:, 0])
    to_x = np.exp(2j * np.pi * _ALONG[:, None] * _SHIFTS_PX)
    fit = np.einsum("yj,jx->yx", np.einsum("yk,kj->yj", to_y, phase), to_x).real  # no threads of BLAS
    y, x = divmod(int(fit.argmax()), fit.shape[1])
    if fit[y, x] < _LEAST_IN_COMMON * (band * _TIMES).sum():
        return 0.0
    return float(np.hypot(_SHIFTS_PX[y], _SHIFTS_PX[x]))


def _ghost(spectra: _Spectra) -> float:
    """Height of the cepstrum's highest peak that is 5 to 32 px off: two pictures interfere in the spectrum."""
    power = abs(spectra) ** 2
    power = np.median(power / power.mean(axis=(1, 2), keepdims=True), axis=0)  # edges in some fields count for nothing
    ring = np.minimum((_PER_PX * FIELD_PX).round().astype(int), FIELD_PX // 2)
    usual = (np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel()))[ring]
    band = (_PER_PX > 0.03) & (_PER_PX < 0.3)
    fringes = np.where(band, np.log(power / usual), 0)
    fringes[band] -= fringes[band].mean()
    peaks = np.fft.irfft2(fringes, (FIELD_PX, FIELD_PX)) * 2 * FIELD_PX**2 / (band * _TIMES).sum()
    away = np.fft.fftfreq(FIELD_PX, 1 / FIELD_PX)
    off = np.hypot(away[:, None], away)
    return float(peaks[(off >= _GHOST_PX[0]) & (off <= _GHOST_PX[1])].max())


def _rows_off(density: _Density) -> float:
    """A row fits if it correlates by more than 0.4, and much better if by 0.15 more than where it lies."""
    fine, most, shares = _fine(density, 8), _MOST_LINE_SHIFT_PX, list[float]()
    for lines in (fine, np.ascontiguousarray(fine.swapaxes(1, 2))):
        one, two = lines[:, :-1, most:-most], lines[:, 1:]
        width, own = one.shape[2], np.einsum("nyx,nyx->ny", one, one)
        fits = np.empty((2 * most + 1, *own.shape), np.float32)
        for shift in range(len(fits)):
            other = two[..., shift : shift + width]
            power = own * np.einsum("nyx,nyx->ny", other, other)
            fits[shift] = np.einsum("nyx,nyx->ny", one, other) / np.sqrt(power + 1e-6)
        best, away = fits.max(axis=0), abs(fits.argmax(axis=0) - most)
        shares.append(float(((away >= 2) & (best > 0.4) & (best - fits[most] > 0.15)).mean()))
    return max(shares)


def _grid(green: NDArray[np.float32], corners: NDArray[np.intp], period: int) -> float:
    """At the commonest phase per the median phase: a step stands alone by what it exceeds both of its neighbours.

    Period 8: JPEG of the level that was read; 4: of one twice as fine, or pixels repeated 4 x 4; 2: 2 x 2.
    """
    ratios: list[float] = []
    for axis in (1, 2):
        step = abs(np.diff(np.moveaxis(green, axis, -1), axis=-1))
        alone = np.maximum(0, step[..., 1:-1] - np.maximum(step[..., :-2], step[..., 2:])).mean(axis=1)
        whole = alone[:, : alone.shape[1] // period * period].reshape(len(alone), -1, period).mean(axis=1)
        at = np.add.outer(corners[:, axis - 1], np.arange(period)) % period
        phases = np.median(np.take_along_axis(whole, at.argsort(axis=1), axis=1), axis=0)
        ratios.append(float(phases.max() / (np.median(phases) + 0.02)))
    return max(ratios)


def _fine_share(spectra: _Spectra) -> float:
    power = (abs(spectra) ** 2).mean(axis=0)
    fine, coarse = (_PER_PX > 0.25) & (_PER_PX < 0.5), (_PER_PX > 0.06) & (_PER_PX <= 0.125)
    return float(power[fine].mean() / power[coarse].mean())


def _cut_off(fields: NDArray[np.uint8], glass: Glass) -> float:
    """Glass that a program painted white leaves the tissue's red as it was; too much light cuts that off, too."""
    if glass is None or glass[1] < _WHITE_GLASS:
        return 0.0
    red = fields[..., 0][fields[..., 1] < _STAINED_BELOW]
    return float((red >= _CUT_OFF_FROM).mean()) if red.size else 0.0
