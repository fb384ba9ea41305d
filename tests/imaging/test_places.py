"""Places in dense tissue, found in little memory."""

import numpy as np

from nodescan.domain.maps import Picture, TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.places import dense_places
from tests.peak_memory import peak_bytes

SPACING = Spacing.square(8.0)


def test_the_darker_half_of_full_blocks_is_found() -> None:
    """Blocks of 10 x 10 px: four full of tissue, the two with less red are places; one with a gap is none."""
    pixels = np.full((30, 40, 3), 240, np.uint8)
    tissue = np.zeros((30, 40), bool)
    tissue[:20, :30] = True
    tissue[10:20, 20:28] = False
    for column, red in enumerate((100, 150, 90)):
        pixels[:20, 10 * column : 10 * column + 10, 0] = red
    pixels[10:20, :10, 0] = 160
    picture = Picture(pixels, 0.0, 0.0, SPACING)
    places = dense_places(picture, TissueMask(tissue, SPACING), SPACING, side_px=10, most=2)
    assert [(box.left, box.top) for box in places] == [(0, 0), (20, 0)]


def test_a_large_glass_slide_is_looked_through_in_little_memory() -> None:
    """Nothing of the overview's size is made: one of 100 x 100 mm has 150 million pixels."""
    side = 2000
    picture = Picture(np.full((side, side, 3), 240, np.uint8), 0.0, 0.0, SPACING)
    tissue = TissueMask(np.zeros((side, side), bool), SPACING)
    assert peak_bytes(lambda: dense_places(picture, tissue, SPACING, side_px=25, most=8)) < side**2
