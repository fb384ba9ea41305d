"""A slide laid out of labelled patches: real texture, deposits of known size and shape, no pathologist needed."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nodescan.annotations.outline_masks import pixels_inside
from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.units import Micrometers
from nodescan.errors import UsageError
from nodescan.phantoms import truth_file
from nodescan.phantoms.outlines import Shape, outline_of
from nodescan.phantoms.pyramid import TILE_PX, PyramidLevel, tiles_of, write_pyramid
from nodescan.whole_files import write_beside, written_beside
from training.patches.labelled import PATCH_SPACING_UM
from training.patches.mosaics import NORMAL_PX, TUMOUR_PX, MosaicMaker, laid_out

NODE_MM = (6.0, 8.0)
"""Height and width of the oval of tissue; around it lies glass."""

_GLASS, _GLASS_NOISE, _RIM_UM = 242, 1.5, 600.0
_DEPTH_UM, _APART_UM, _MOST_TRIES = 150.0, 600.0, 20_000
_ZOOM, _QUALITY, _SMALLEST_LEVEL_PX = 2, 80, 600
_REACH_PX = 4
"""Rows beside a strip that its enlargement looks at."""

CentreUm = tuple[float, float]


def make_composite_slide(
    path: Path, maker: MosaicMaker, diameters_um: Sequence[float], *, seed: int, shape: Shape = Shape.ROUND
) -> None:
    """Write a pyramidal TIFF of one stain, at half the patches' spacing, and its truth beside it.

    The node is covered with the middles of normal patches, and deposits of the given greatest diameters, turned at
    random, with those of tumour patches, each at least 0.6 mm from the next and about 0.15 mm inside the node: 0.145 mm
    at a diameter of 0.5 mm, 0.036 mm at 5 mm, by trying. Raises UsageError where they have no room.
    """
    rng = np.random.default_rng(seed)
    height, width = (math.ceil((1000 * side + 2 * _RIM_UM) / PATCH_SPACING_UM) for side in NODE_MM)
    centres = _places(diameters_um, rng)
    tumour, normal = maker.of_one_stain(rng)
    y_um, x_um = (((np.arange(count) + 0.5) - count / 2) * PATCH_SPACING_UM for count in (height, width))
    noise = np.rint(rng.normal(_GLASS, _GLASS_NOISE, (height, width, 1))).clip(0, 255).astype(np.uint8)
    pixels = noise.repeat(3, axis=2)
    inside = _within(y_um[:, None], x_um, [side * 500 for side in NODE_MM])
    pixels[inside] = laid_out(maker.pixels, normal, (height, width), cell=NORMAL_PX, rng=rng)[inside]
    texture = laid_out(maker.pixels, tumour, (height, width), cell=TUMOUR_PX, rng=rng) if len(centres) else pixels
    middle_um = np.array([width, height]) * PATCH_SPACING_UM / 2
    turns = np.random.default_rng((seed, 1)).uniform(0, 2 * math.pi, len(centres))  # discs need none: their slides stay
    outlines = [
        outline_of(shape, diameter, turn) + centre + middle_um
        for (centre, diameter), turn in zip(centres, turns, strict=True)
    ]
    for outline in outlines:
        deposit = pixels_inside([outline / PATCH_SPACING_UM], (height, width))
        pixels[deposit] = texture[deposit]
    with written_beside(path) as part:
        write_pyramid(part, _levels(pixels), quality=_QUALITY)
    deposits = [
        {
            "shape": shape.value,
            "centre_um": np.round(centre + middle_um, 1).tolist(),
            "diameter_um": diameter,
            "outline_um": np.round(outline, 1).tolist(),
        }
        for (centre, diameter), outline in zip(centres, outlines, strict=True)
    ]
    label = max((classify(Micrometers(size)) for size in diameters_um), default=Metastasis.NONE).word
    truth = {"slide": path.stem, "um_per_px": PATCH_SPACING_UM / _ZOOM, "seed": seed, "label": label}
    content = json.dumps({**truth, "deposits": deposits}, indent=1)
    write_beside(truth_file(path), content.encode())


def _within(y_um: NDArray[np.float64], x_um: NDArray[np.float64], semi_um: Sequence[float]) -> NDArray[np.bool_]:
    """Whether points lie in an oval about the middle; semi_um: half its height and width."""
    return (y_um / semi_um[0]) ** 2 + (x_um / semi_um[1]) ** 2 < 1


def _places(diameters_um: Sequence[float], rng: np.random.Generator) -> list[tuple[CentreUm, float]]:
    """Centres, in um from the node's, of discs that have room, the largest first."""
    placed: list[tuple[CentreUm, float]] = []
    for diameter in sorted(diameters_um, reverse=True):
        room = [side * 500 - diameter / 2 - _DEPTH_UM for side in NODE_MM]
        for _ in range(_MOST_TRIES if min(room) > 0 else 0):
            y, x = rng.uniform(-1, 1, 2) * room
            gaps = [math.hypot(x - a, y - b) - (diameter + other) / 2 for (a, b), other in placed]
            if _within(y, x, room) and min(gaps, default=_APART_UM) >= _APART_UM:
                placed.append(((float(x), float(y)), float(diameter)))
                break
        else:
            raise UsageError(
                f"no room for a deposit of {diameter:g} um in a node of {NODE_MM[0]:g} x {NODE_MM[1]:g} mm"
            )
    return placed


def _levels(pixels: NDArray[np.uint8]) -> Iterator[PyramidLevel]:
    """Level 0 is `pixels` enlarged, strip by strip; the next is `pixels`, and each further one half the last."""
    height, width = (side * _ZOOM for side in pixels.shape[:2])
    yield PyramidLevel(_enlarged(pixels), (height, width), PATCH_SPACING_UM / _ZOOM)
    level, spacing_um = pixels, PATCH_SPACING_UM
    while True:
        yield PyramidLevel(tiles_of(level), level.shape[:2], spacing_um)
        if min(level.shape[:2]) < _SMALLEST_LEVEL_PX:
            return
        level, spacing_um = np.asarray(Image.fromarray(level).reduce(2)), 2 * spacing_um


def _enlarged(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """The tiles of `pixels` enlarged by bicubic interpolation, row by row."""
    height, width = pixels.shape[:2]
    step = TILE_PX // _ZOOM
    for top in range(0, height, step):
        above, below = min(top, _REACH_PX), min(height, top + step + _REACH_PX)
        strip = Image.fromarray(pixels[top - above : below])
        large = np.asarray(strip.resize((width * _ZOOM, strip.height * _ZOOM), Image.Resampling.BICUBIC))
        yield from tiles_of(large[above * _ZOOM :][: min(step, height - top) * _ZOOM])
