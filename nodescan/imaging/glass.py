"""The colour of a slide where it is empty, and optical densities over it: the light that a stain takes up."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.maps import Glass

DENSEST = 2.4
"""The optical density of level 1 of 255."""

WHITE_LEVEL = 245.0
"""The level that densities refer to if a slide shows no glass, or lighter glass."""


def white_in(channel: int, glass: Glass) -> float:
    """The grey level of a channel (0 red, 1 green, 2 blue) that a slide's densities refer to."""
    return WHITE_LEVEL if glass is None else min(WHITE_LEVEL, glass[channel])


def optical_density(channels: Iterable[NDArray[np.uint8]], glass: Sequence[float]) -> NDArray[np.float32]:
    """float32 (C, ...): log10(glass / level) of each channel, never below 0; level 0 counts as 1.

    channels : C of uint8 (...), of R, G and B mostly. glass: the grey level of an empty slide in each.
    """
    levels = np.maximum(np.arange(256), 1)
    tables = [np.maximum(np.log10(level / levels), 0).astype(np.float32) for level in glass]
    return np.stack([table[channel] for table, channel in zip(tables, channels, strict=True)])


_DARK_GLASS, _LEAST_DARK_SHARE = 225, 0.1
"""Glass darker than this is accepted only if so much of the possible glass has its colour."""

_LEAST_GLASS, _LEAST_TINTED, _CLEAR_OF_LIMIT = 170, 130, 5
"""Glass is at least this light in its darkest channel. Darker glass is accepted only if it is tinted, because neutral
grey may mean "never scanned", and if nothing lighter looks like glass, except noise within so many levels of the
limit."""

_LEAST_TINT, _MOST_TINT = 6, 45
"""How far the channels of tinted glass lie apart."""

_MOST_MAGENTA = 8
"""The green of glass lies at most so many levels below the mean of red and blue. Pale eosin's lies lower."""

_PINK_MAGENTA, _LEAST_PINK, _LEAST_PINK_SHARE = 20, 200, 0.1
"""Pink glass, of a slide that shows no other: levels as above, its darkest channel at least, and the share of the view
that is of its one colour. Of mosaics of the palest, the pinkest and the flattest of 10,245 real patches, as they are
and faded to 0.35, 0.4 % is at most."""


def find_glass(
    channels: list[NDArray[np.uint8]], lightest: NDArray[np.uint8], darkest: NDArray[np.uint8], min_share: float
) -> tuple[Glass, NDArray[np.bool_]]:
    """Colour of the empty slide (None if it shows none) and the pixels, bool (H, W), that have it.

    channels : R, G and B of a view, uint8 (H, W) each; lightest, darkest : uint8 (H, W), of the three. min_share: of
    the view that glass covers at least. It is the commonest colour that is bright, flat and unstained. Pure white
    counts only where no other glass but pink is seen, because padding is pure white too; what is much darker and
    little beside it, such as an edge of glue on a slide whose glass came out pure white, is no glass. Glass may be
    grey or yellow, but its green never lies far below both others: that would be pale eosin. Pink is thought of last.
    """
    red, green, blue = channels
    flat = np.ones(green.shape, dtype=np.bool_)
    steps = np.abs(np.diff(green.astype(np.int16), axis=0)) <= 2
    flat[1:] &= steps
    steps = np.abs(np.diff(green.astype(np.int16), axis=1)) <= 2
    flat[:, 1:] &= steps
    magenta = (red.astype(np.int16) + blue) // 2 - green
    tint = lightest - darkest
    plain = flat & (tint <= _MOST_TINT)
    clear = plain & (magenta <= _MOST_MAGENTA)
    candidate = clear & (darkest >= _LEAST_GLASS)
    dim = clear & (darkest >= _LEAST_TINTED) & (tint >= _LEAST_TINT)
    tinted = candidate & (darkest < 254)
    enough = max(1.0, min_share * green.size)
    is_dim = np.count_nonzero(dim) >= _LEAST_DARK_SHARE * green.size
    for pool in (tinted, candidate, *((dim,) if is_dim else ())):
        if np.count_nonzero(pool) >= enough:
            mode = _commonest(green, pool)
            if mode < _DARK_GLASS and np.count_nonzero(pool) < _LEAST_DARK_SHARE * np.count_nonzero(candidate):
                continue
            near = _near(green, mode, pool)
            if is_dim and pool is not dim and float(darkest[near].mean()) < _LEAST_GLASS + _CLEAR_OF_LIMIT:
                continue
            return _mean(channels, near), near
    pink = plain & (magenta > _MOST_MAGENTA) & (magenta <= _PINK_MAGENTA) & (darkest >= _LEAST_PINK)
    near = _near(green, _commonest(green, pink), pink) if pink.any() else pink
    if np.count_nonzero(near) >= max(1.0, _LEAST_PINK_SHARE * near.size):
        return _mean(channels, near), near
    return None, np.zeros_like(candidate)


def _commonest(level: NDArray[np.uint8], where: NDArray[np.bool_]) -> int:
    return int(np.bincount(level[where], minlength=256).argmax())


def _near(level: NDArray[np.uint8], mode: int, pool: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return pool & (np.abs(level.astype(np.int16) - mode) <= 2)


def _mean(channels: list[NDArray[np.uint8]], where: NDArray[np.bool_]) -> Glass:
    red, green, blue = (float(channel[where].mean()) for channel in channels)
    return red, green, blue
