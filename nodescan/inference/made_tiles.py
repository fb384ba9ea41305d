"""The colours that a network was taught with, and tiles made up to compare ways through a network on."""

import numpy as np
from numpy.typing import NDArray

MEAN = (0.70, 0.54, 0.69)
STD = (0.24, 0.28, 0.21)
"""Of PatchCamelyon's training patches, by colour, in [0, 1]."""


_CONTRASTS = (0.15, 0.4, 1.0)
_PINK, _PURPLE = (225.0, 150.0, 190.0), (110.0, 60.0, 150.0)


def made_tiles(count: int, side_px: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 (count, side, side, 3): noise of many scales in the colours of H&E, so that answers differ."""
    random = np.random.default_rng(seed)
    tiles = np.empty((count, side_px, side_px, 3), np.uint8)
    pink, purple = np.array(_PINK), np.array(_PURPLE)
    for index in range(count):
        share = np.zeros((side_px, side_px))
        for grain in (4, 8, 16, 64, 256):
            cells = -(-side_px // grain)
            share += random.normal(size=(cells, cells)).repeat(grain, 0).repeat(grain, 1)[:side_px, :side_px]
        share = 1 / (1 + np.exp(-share * _CONTRASTS[index % len(_CONTRASTS)] - random.normal()))
        tiles[index] = np.clip(
            pink + share[..., None] * (purple - pink) + random.normal(0, 6, (side_px, side_px, 3)), 0, 255
        )
    return tiles
