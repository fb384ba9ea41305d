"""Optical density: how much light a stain takes up, in powers of ten."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.maps import Glass

DENSEST = 2.4
"""The optical density of level 1 of 255."""

WHITE_LEVEL = 245.0
"""Density is taken over this level where a slide shows no glass, or lighter glass."""


def white_in(channel: int, glass: Glass) -> float:
    """The grey level of a channel (0 red, 1 green, 2 blue) over which a slide's density is taken."""
    return WHITE_LEVEL if glass is None else min(WHITE_LEVEL, glass[channel])


def optical_density(channels: Iterable[NDArray[np.uint8]], glass: Sequence[float]) -> NDArray[np.float32]:
    """float32 (C, ...): log10(glass / level) of each channel, never below 0; level 0 counts as 1.

    channels : C of uint8 (...), of R, G and B mostly. glass: the grey level of an empty slide in each.
    """
    levels = np.maximum(np.arange(256), 1)
    tables = [np.maximum(np.log10(level / levels), 0).astype(np.float32) for level in glass]
    return np.stack([table[channel] for table, channel in zip(tables, channels, strict=True)])
