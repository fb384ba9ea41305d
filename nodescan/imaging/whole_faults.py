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

MOST_ROWS_OFF: Final = 0.15
"""Sound: 0.06 at most, 0.12 of regions stretched threefold. Rows displaced at random by 1 um (SD): 0.20 and more; every
second one by 2 to 12 um: 0.71 and more."""

MOST_ACROSS_LINES: Final = 0.2
"""Sound: 0.17 at most, 0.25 oversharpened, but never three times that along the lines. Every second row displaced by 16
to 40 um: 0.82 and more; every fifth one by 20 um: 0.25 and more."""

_MORE_ACROSS = 3.0
"""Times the share along the lines. Five centres' regions: 1.6 at most, 1.2 with noise; every fifth row displaced: 4.2
and more."""

MOST_GRID: Final[Mapping[int, float]] = {2: 9.0, 3: 5.0, 8: 6.0}
"""By the period in px (see WholeFaults). Sound: at most 4.4 at 2, 3.9 at 3 of levels that are resampled to be read (4.9
by a coarser method), 2.3 at 8; with JPEG of quality 20, which hides little, 7.9 at 2, 5.6 at 8 (7.6 where JPEG had been
there before). Pixels repeated 1.5 to 7 times: 9.2 and more at 2, or 7 and more at 3; interpolated two- to threefold: 11
and more at 2, or 5.2 and more at 3, less by Lanczos' filter. JPEG of quality 8: 6.01 and more at 8."""

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
"""Of two colours' phases after the best shift, as their mean cosine: 0.99 and more in tissue;
0.62 and more if 40 px apart."""

_MOST_DIRECTED = 0.5
"""Lymph nodes: 0.14 at most, also with a second picture; skin 0.34. Regions stretched two-, threefold: 0.50, 0.61 and
more."""

_DENSITY = -np.log(np.maximum(np.arange(256, dtype=np.float32), 4) / 255)

_WHITE_GLASS, _CUT_OFF_FROM = 253.5, 254
"""Means of glass in green, levels of red."""

_STAINED_BELOW = 215
"""In green: tissue with its pale edges."""

_SUBPIXELS = np.arange(-20, 21) / 20
_MOST_LINE_SHIFT_PX = 14
_BLOCK_PX = 8
_GHOST_PX = (5, 32)

_DOWN, _ALONG = np.fft.fftfreq(FIELD_PX)[:, None], np.fft.rfftfreq(FIELD_PX)
_PER_PX = np.hypot(_DOWN, _ALONG)
"""float64 (96, 49): cycles per px of a spectrum's places."""

_TIMES = np.where(_ALONG == 0, 1.0, 2.0)
"""How often each column of half a spectrum stands in the whole one."""

_WINDOW = np.hanning(FIELD_PX).astype(np.float32)

_Density = NDArray[np.float32]
_Spectra = NDArray[np.complex64]

_Steps = tuple[NDArray[np.float32], NDArray[np.float32]]
"""As _alone gives them: down the rows, then along them."""


@dataclass(frozen=True, slots=True)
class WholeFaults:
    """What fields of a scan have; see the limits above.

    colour_shift_um: the largest distance of two colours, the same one all over the scan, up to about 45 px; 0 where
    they share nothing, or where the tissue runs in one direction all over the scan.
    ghost: how strongly a second picture shows, near w / (1 - w) for its weight w; 0 where the tissue runs so.
    rows_off: share of neighbouring rows (or columns, if more) that fit much better when displaced by 2 px or more.
    grid: by period in px, how strongly steps repeat there: 8 is that of JPEG's blocks, in the frame; 2, and 3 for all
    of 2.1 to 3.7 px, are of each field, and show all other factors by their multiples.
    fine_share: power of fine structure (2 to 4 px) per that of coarse (8 to 16 px).
    across_lines: the same of structure that lies across rows (or columns); 0 unless it is much more than along them.
    cut_off: share of stained pixels whose red is cut off at white; 0 where the slide's glass is not white.
    """

    colour_shift_um: float
    ghost: float
    rows_off: float
    grid: Mapping[int, float]
    fine_share: float
    across_lines: float
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
    alone = _alone(green, 1), _alone(green, 2)
    mean_power = (abs(colours[1]) ** 2).mean(axis=0)
    power = _relative_power(colours[1])
    directed = _directed(power)  # along its fibres such tissue looks like itself
    pairs = () if directed else ((0, 1), (1, 2), (0, 2))
    return WholeFaults(
        colour_shift_um=max((_shift_px(colours[one], colours[two]) for one, two in pairs), default=0.0) * um_per_px,
        ghost=0.0 if directed else _ghost(power),
        rows_off=_rows_off(density[..., 1]),
        grid={**_combs(alone), 8: _blocks(alone, corners)},
        fine_share=_fine_share(mean_power),
        across_lines=_across_lines(mean_power),
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
    phase = np.where(band, cross / (abs(cross) + 1e-12), 0)
    fit = np.fft.irfft2(phase, (FIELD_PX, FIELD_PX)) * FIELD_PX**2 / (band * _TIMES).sum()
    nearest = divmod(int(fit.argmax()), FIELD_PX)
    if fit[nearest] < _LEAST_IN_COMMON:
        return 0.0
    y, x = (_SUBPIXELS + (at + FIELD_PX // 2) % FIELD_PX - FIELD_PX // 2 for at in nearest)
    to_y, to_x = np.exp(2j * np.pi * y[:, None] * _DOWN[:, 0]), np.exp(2j * np.pi * _ALONG[:, None] * x)
    near = np.einsum("yj,jx->yx", np.einsum("yk,kj->yj", to_y, phase * _TIMES), to_x).real  # no threads of BLAS
    row, column = divmod(int(near.argmax()), near.shape[1])
    return float(np.hypot(y[row], x[column]))


def _relative_power(spectra: _Spectra) -> NDArray[np.float64]:
    """float64 (96, 49): the power that most fields have, per its mean at all places as far from the middle."""
    power = abs(spectra) ** 2
    power = np.median(power / power.mean(axis=(1, 2), keepdims=True), axis=0)  # edges in some fields count for nothing
    ring = np.minimum((_PER_PX * FIELD_PX).round().astype(int), FIELD_PX // 2)
    return power / ((np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel()))[ring] + 1e-12)


def _directed(power: NDArray[np.float64]) -> bool:
    """Whether the tissue runs in one direction all over the scan. power: as of _relative_power."""
    power = np.where((_PER_PX > 0.03) & (_PER_PX < 0.3), power, 0) * _TIMES
    return float(abs((power * np.exp(2j * np.arctan2(_DOWN, _ALONG))).sum()) / power.sum()) > _MOST_DIRECTED


def _ghost(power: NDArray[np.float64]) -> float:
    """Height of the cepstrum's highest peak that is 5 to 32 px off: two pictures interfere in the spectrum.

    power: as of _relative_power.
    """
    band = (_PER_PX > 0.03) & (_PER_PX < 0.3)
    fringes = np.where(band, np.log(power), 0)
    fringes[band] -= fringes[band].mean()
    peaks = np.fft.irfft2(fringes, (FIELD_PX, FIELD_PX)) * 2 * FIELD_PX**2 / (band * _TIMES).sum()
    away = np.fft.fftfreq(FIELD_PX, 1 / FIELD_PX)
    off = np.hypot(away[:, None], away)
    return float(peaks[(off >= _GHOST_PX[0]) & (off <= _GHOST_PX[1])].max())


def _rows_off(density: _Density) -> float:
    """A row fits if it correlates by more than 0.4, and much better if by 0.15 more than where it lies.

    Fibres at a low angle lie displaced in each row by as much again: such a row is in its place.
    """
    fine, most, shares = _fine(density, 8), _MOST_LINE_SHIFT_PX, list[float]()
    for lines in (fine, np.ascontiguousarray(fine.swapaxes(1, 2))):
        one, two = lines[:, :-1, most:-most], lines[:, 1:]
        width, own = one.shape[2], np.einsum("nyx,nyx->ny", one, one)
        fits = np.empty((2 * most + 1, *own.shape), np.float32)
        for shift in range(len(fits)):
            other = two[..., shift : shift + width]
            power = own * np.einsum("nyx,nyx->ny", other, other)
            fits[shift] = np.einsum("nyx,nyx->ny", one, other) / np.sqrt(power + 1e-6)
        best, away = fits.max(axis=0), fits.argmax(axis=0) - most
        turns = np.pad(abs(np.diff(away, axis=1)) >= 2, ((0, 0), (1, 1)), constant_values=True)
        off = (abs(away) >= 2) & turns[:, 1:] & turns[:, :-1] & (best > 0.4) & (best - fits[most] > 0.15)
        shares.append(float(off.mean()))
    return max(shares)


def _alone(green: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """float32 (N, 93): by what each step along this axis exceeds both of its neighbours, a mean over the other one."""
    step = abs(np.diff(np.moveaxis(green, axis, -1), axis=-1))
    return np.maximum(0, step[..., 1:-1] - np.maximum(step[..., :-2], step[..., 2:])).mean(axis=1)


def _combs(alone: _Steps) -> dict[int, float]:
    """Where pixels were repeated or interpolated, whatever the factor (Gallagher, 2005): steps have a period.

    Places that JPEG's blocks have are left out: those of 8 and 4 px, of a level twice as fine, and of 8/3 px.
    """
    heights = list[NDArray[np.float64]]()
    for steps in alone:
        own = steps - steps.mean(axis=1, keepdims=True)
        height = abs(np.fft.rfft(own * np.hanning(own.shape[1]), FIELD_PX, axis=1))
        heights.append(np.median(height / (np.median(height, axis=1, keepdims=True) + 1e-3), axis=0))
    height = np.maximum(heights[0], heights[1])
    return {2: float(height[47:].max()), 3: float(max(height[26:35].max(), height[38:47].max()))}


def _blocks(alone: _Steps, corners: NDArray[np.intp]) -> float:
    """Of JPEG's blocks in the level that was read: at the commonest phase per the median phase."""
    ratios: list[float] = []
    for steps, corner in zip(alone, corners.T, strict=True):
        whole = steps[:, : steps.shape[1] // _BLOCK_PX * _BLOCK_PX].reshape(len(steps), -1, _BLOCK_PX).mean(axis=1)
        at = np.add.outer(corner, np.arange(_BLOCK_PX)) % _BLOCK_PX
        phases = np.median(np.take_along_axis(whole, at.argsort(axis=1), axis=1), axis=0)
        ratios.append(float(phases.max() / (np.median(phases) + 0.02)))
    return max(ratios)


def _fine_share(power: NDArray[np.float32]) -> float:
    fine, coarse = (_PER_PX > 0.25) & (_PER_PX < 0.5), (_PER_PX > 0.06) & (_PER_PX <= 0.125)
    return float(power[fine].mean() / power[coarse].mean())


def _across_lines(power: NDArray[np.float32]) -> float:
    shares: list[float] = []
    for across, along in ((abs(_DOWN), _ALONG), (_ALONG, abs(_DOWN))):
        wide = (along > 0.01) & (along < 0.1)
        fine, coarse = wide & (across > 0.25), wide & (across > 0.06) & (across <= 0.125)
        shares.append(float(power[fine].mean() / power[coarse].mean()))
    return max(shares) if max(shares) > _MORE_ACROSS * min(shares) else 0.0


def _cut_off(fields: NDArray[np.uint8], glass: Glass) -> float:
    """Glass that a program painted white leaves the tissue's red as it was; too much light cuts that off, too."""
    if glass is None or glass[1] < _WHITE_GLASS:
        return 0.0
    red = fields[..., 0][fields[..., 1] < _STAINED_BELOW]
    return float((red >= _CUT_OFF_FROM).mean()) if red.size else 0.0
