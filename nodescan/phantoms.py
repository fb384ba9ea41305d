"""Synthetic slides with deposits of known size: a user's acceptance test of an installation."""

import contextlib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import points_in_poly

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.geometry import PixelBox
from nodescan.domain.units import Micrometers
from nodescan.errors import OutputError, UsageError
from nodescan.phantom_node import NodeMap, Shape, plan_node, scene_of
from nodescan.phantom_texture import Look, draw, scan_noise
from nodescan.phantom_tiles import FINEST_UM, block_mean, phantom_tile

__all__ = [
    "PhantomPlan",
    "PhantomTruth",
    "PlantedDeposit",
    "Shape",
    "demo_plans",
    "make_phantom",
    "phantom_tile",
    "plan_phantom",
]

SPACING_LIMITS_UM = (0.1, 1.2)
"""Spacing of level 0 that nodescan accepts as plausible."""

SMALLEST_DIAMETER_UM = 40.0
"""A deposit must hold a few tumour nuclei of 10 to 16 um wherever the cells happen to lie."""

LARGEST_DIAMETER_UM = 12_000.0

_TILE_PX = 512
_JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class PhantomPlan:
    """What to plant. shapes and diameters_um go together, a pair counting once; none at all gives a negative node.

    name: of the slide, for a table. seed: the same plan gives the same pixels.
    """

    name: str
    diameters_um: tuple[float, ...]
    shapes: tuple[Shape, ...]
    spacing_um: float
    seed: int

    def __post_init__(self) -> None:
        if len(self.diameters_um) != len(self.shapes):
            raise UsageError(
                f"{len(self.diameters_um)} diameters but {len(self.shapes)} shapes: give one shape for each"
            )
        for diameter in self.diameters_um:
            smallest, largest = SMALLEST_DIAMETER_UM, LARGEST_DIAMETER_UM
            if not smallest <= diameter <= largest:
                raise UsageError(f"a phantom's deposits measure {smallest:g} to {largest:g} um, not {diameter:g}")
        finest, coarsest = SPACING_LIMITS_UM
        if not finest <= self.spacing_um <= coarsest:
            raise UsageError(f"spacing must lie within {finest} to {coarsest} um/px, not {self.spacing_um:g}")
        if self.seed < 0:
            raise UsageError(f"the seed must not be negative, but is {self.seed}")


@dataclass(frozen=True, slots=True)
class PlantedDeposit:
    """One deposit as planted. diameter_um: greatest diameter (max Feret) of outline_um.

    outline_um : float64 (n, 2), x and y in um from the canvas' top left, not closed; nuclei: tumour nuclei in it.
    """

    shape: Shape
    diameter_um: float
    centre_um: tuple[float, float]
    area_um2: float
    nuclei: int
    outline_um: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PhantomTruth:
    """What a phantom slide holds: written beside it as <stem>.truth.json."""

    slide: str
    width_px: int
    height_px: int
    um_per_px: float
    seed: int
    label: str
    deposits: tuple[PlantedDeposit, ...]

    @property
    def largest_deposit_um(self) -> float | None:
        return max((deposit.diameter_um for deposit in self.deposits), default=None)


def plan_phantom(diameters_um: tuple[float, ...], *, spacing_um: float = 0.25, seed: int = 0) -> PhantomPlan:
    """The plan behind `nodescan phantom`: round, elongated and crescent in turn."""
    shapes = (Shape.ROUND, Shape.ELONGATED, Shape.CRESCENT)
    chosen = tuple(shapes[index % len(shapes)] for index in range(len(diameters_um)))
    return PhantomPlan("phantom", diameters_um, chosen, spacing_um, seed)


def demo_plans() -> tuple[PhantomPlan, ...]:
    """The slides of `nodescan demo`: each class once, and two near foci that must stay two."""
    r, e, c, p = Shape.ROUND, Shape.ELONGATED, Shape.CRESCENT, Shape.PAIR
    return (
        PhantomPlan("negative", (), (), 0.5, 11),
        PhantomPlan("itc", (150.0,), (r,), 0.5, 12),
        PhantomPlan("micro-elongated-and-pair", (900.0, 320.0), (e, p), 0.5, 13),
        PhantomPlan("macro-crescent", (2600.0,), (c,), 0.5, 14),
    )


def make_phantom(path: Path, plan: PhantomPlan) -> PhantomTruth:
    """Write the slide (pyramidal tiled BigTIFF, JPEG) and its truth; returns the truth.

    The texture is drawn at FINEST_UM or finer, but not finer than half of it: below that spacing the drawing is
    enlarged by 2 or 4, so that a slide of 0.25 um/px shows the detail of 0.5 um/px.
    """
    _check_writable(path)
    node = plan_node(tuple(zip(plan.shapes, plan.diameters_um, strict=True)), np.random.default_rng([plan.seed, 1]))
    canvas = _Canvas(plan, node)
    part = path.with_name(f".{path.name}.part")
    try:
        _write_pyramid(part, canvas)
        truth = _truth_of(path, canvas)
        _write_truth(path.with_name(f"{path.stem}.truth.json"), truth)
        os.replace(part, path)
    except OSError as error:
        raise OutputError(
            f"{path}: the phantom can't be written ({error.strerror or error}); free space or choose another place"
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    return truth


class _Canvas:
    """Level 0 of a phantom: draws any part of it, and remembers the tumour nuclei of the parts drawn once each."""

    def __init__(self, plan: PhantomPlan, node: NodeMap) -> None:
        self.plan, self.node = plan, node
        self.look = Look.drawn(np.random.default_rng([plan.seed, 2]), spread=0.5)
        self.shrink = max(1, math.ceil(plan.spacing_um / FINEST_UM - 1e-9))
        self.enlarge = 1 if self.shrink > 1 else 2 ** math.floor(math.log2(FINEST_UM / plan.spacing_um) + 1e-9)
        self.drawn_um = plan.spacing_um * self.enlarge / self.shrink
        self.width_px, self.height_px = (
            math.ceil(size / plan.spacing_um / _TILE_PX) * _TILE_PX for size in (node.width_um, node.height_um)
        )
        self.nuclei_px: list[NDArray[np.int64]] = []

    def read(self, box: PixelBox) -> NDArray[np.uint8]:
        """uint8 (box.height, box.width, 3) RGB; box in level-0 pixels, a multiple of `enlarge` in every number."""
        if self.enlarge == 1:
            return self._scanned(box)
        whole = PixelBox(*(value // self.enlarge for value in (box.left, box.top, box.width, box.height)))
        grown = self._scanned(whole.grown(1))
        m = self.enlarge
        size = (grown.shape[1] * m, grown.shape[0] * m)
        return np.asarray(Image.fromarray(grown).resize(size, Image.Resampling.BILINEAR))[m:-m, m:-m]

    def _scanned(self, box: PixelBox) -> NDArray[np.uint8]:
        """uint8: a box at the spacing drawn, or that reduced by `shrink`, with the scanner's noise."""
        k = self.shrink
        fine = PixelBox(box.left * k, box.top * k, box.width * k, box.height * k)
        scene = scene_of(self.node, fine, self.drawn_um, self.plan.seed)
        if scene.region.any():
            drawing = draw(scene, self.look)
            self.nuclei_px.append(drawing.nuclei_px)
            light = block_mean(drawing.light, k)
        else:
            light = np.broadcast_to(np.array(self.look.glass, dtype=np.float32), (box.height, box.width, 3))
        noisy = light + 0.007 * scan_noise(box, self.plan.seed)
        return (np.clip(noisy, 0, 1) * 255 + 0.5).astype(np.uint8)


def _write_pyramid(path: Path, canvas: _Canvas) -> None:
    """Level 0 strip by strip, each next level from the means of 2 x 2 pixels of the one before."""
    sizes = [(canvas.height_px, canvas.width_px)]
    while max(sizes[-1]) > 2 * _TILE_PX and len(sizes) < 9:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    half = np.empty((*sizes[min(1, len(sizes) - 1)], 3), dtype=np.uint8)
    with tifffile.TiffWriter(path, bigtiff=True) as out:
        for level, (height, width) in enumerate(sizes):
            tiles = _level_0(canvas, half, reduce=len(sizes) > 1) if level == 0 else _tiles_of(half)
            resolution = 1e4 / (canvas.plan.spacing_um * 2**level)
            out.write(
                tiles,
                shape=(height, width, 3),
                dtype=np.uint8,
                tile=(_TILE_PX, _TILE_PX),
                photometric="ycbcr",
                compression="jpeg",
                compressionargs={"level": _JPEG_QUALITY},
                resolution=(resolution, resolution),
                resolutionunit="CENTIMETER",
                subfiletype=int(level > 0),
                software="nodescan phantom",
                metadata=None,
                maxworkers=1,
            )
            if 0 < level < len(sizes) - 1:
                half = _halved(half)


def _level_0(canvas: _Canvas, half: NDArray[np.uint8], *, reduce: bool) -> Iterator[NDArray[np.uint8]]:
    """The tiles of level 0, row by row; fills `half` with level 1 on the way."""
    for top in range(0, canvas.height_px, 2 * _TILE_PX):
        height = min(2 * _TILE_PX, canvas.height_px - top)
        lefts = range(0, canvas.width_px, 2 * _TILE_PX)
        strip = np.concatenate(
            [canvas.read(PixelBox(x, top, min(2 * _TILE_PX, canvas.width_px - x), height)) for x in lefts], axis=1
        )
        if reduce:
            half[top // 2 : (top + height) // 2] = _halved(strip)
        yield from _tiles_of(strip)


def _tiles_of(level: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Tiles of a level row by row; the last ones are filled up with white."""
    for top in range(0, level.shape[0], _TILE_PX):
        for left in range(0, level.shape[1], _TILE_PX):
            tile = level[top : top + _TILE_PX, left : left + _TILE_PX]
            short = (_TILE_PX - tile.shape[0], _TILE_PX - tile.shape[1])
            yield np.pad(tile, ((0, short[0]), (0, short[1]), (0, 0)), constant_values=255) if any(short) else tile


def _halved(level: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Means of 2 x 2 pixels, halves rounded up."""
    total = level[::2, ::2].astype(np.uint16) + level[1::2, ::2] + level[::2, 1::2] + level[1::2, 1::2]
    return ((total + 2) // 4).astype(np.uint8)


def _truth_of(path: Path, canvas: _Canvas) -> PhantomTruth:
    """The truth of a slide that has been drawn whole."""
    nuclei = np.unique(np.concatenate([np.zeros((0, 2), dtype=np.int64), *canvas.nuclei_px]), axis=0)
    nuclei_um = (nuclei + 0.5) * canvas.drawn_um
    deposits = tuple(
        PlantedDeposit(
            shape=placed.shape,
            diameter_um=placed.diameter_um,
            centre_um=_centroid(placed.outline_um)[0],
            area_um2=_centroid(placed.outline_um)[1],
            nuclei=_inside(placed.outline_um, nuclei_um),
            outline_um=placed.outline_um,
        )
        for placed in canvas.node.outlines
    )
    classes = (classify(Micrometers(deposit.diameter_um), cells=deposit.nuclei) for deposit in deposits)
    label = max(classes, default=Metastasis.NONE).word
    return PhantomTruth(
        path.name, canvas.width_px, canvas.height_px, canvas.plan.spacing_um, canvas.plan.seed, label, deposits
    )


def _centroid(outline_um: NDArray[np.float64]) -> tuple[tuple[float, float], float]:
    """Centre of mass and area of a polygon that doesn't cross itself (the shoelace formula)."""
    shift = outline_um.mean(axis=0)
    (x, y), (x_next, y_next) = (outline_um - shift).T, (np.roll(outline_um, -1, axis=0) - shift).T
    cross = x * y_next - x_next * y
    twice = cross.sum()
    centre = np.array([((x + x_next) * cross).sum(), ((y + y_next) * cross).sum()]) / (3 * twice) + shift
    return (float(centre[0]), float(centre[1])), float(abs(twice) / 2)


def _inside(outline_um: NDArray[np.float64], points_um: NDArray[np.float64]) -> int:
    """How many points lie inside the outline."""
    return int(np.count_nonzero(points_in_poly(points_um, outline_um)))


def _write_truth(path: Path, truth: PhantomTruth) -> None:
    """JSON of the truth; coordinates to a nanometre."""
    content = asdict(truth)
    for deposit in content["deposits"]:
        deposit["outline_um"] = np.round(deposit["outline_um"], 3).tolist()
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)


def _check_writable(path: Path) -> None:
    """Fail before the drawing, which takes a while."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise UsageError(f"{path}: a phantom is a TIFF; give it a name that ends in .tif")
    if path.is_dir():
        raise OutputError(f"{path}: there is a folder of that name; choose another name")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} doesn't exist; make it first")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path}: no permission to write into {path.parent}; choose another folder")
