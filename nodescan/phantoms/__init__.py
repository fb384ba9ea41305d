"""Synthetic slides with deposits of known size: a user's acceptance test of an installation."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from shapely.geometry import Polygon
from skimage.measure import points_in_poly

from nodescan.domain.classification import CellCount, Metastasis, classify
from nodescan.domain.geometry import PixelBox
from nodescan.domain.units import Micrometers
from nodescan.errors import OutputError, UsageError
from nodescan.machine import usable_cores
from nodescan.phantoms.canvas import SMALLEST_DIAMETERS_UM, PhantomCanvas, PhantomPlan
from nodescan.phantoms.outlines import PlacedOutline, Shape
from nodescan.phantoms.pyramid import TILE_PX, PyramidLevel, software_of, tiles_of, write_pyramid
from nodescan.phantoms.stamps import textures_of
from nodescan.threads import start_each
from nodescan.whole_files import output_errors, text_bytes, write_beside, written_beside

TRUTH_ENDING = ".truth.json"
"""Of the file that tells a slide's truth: <stem>.truth.json beside it."""

TRUTH_HEAD = '{\n "label": "'
"""How a truth file begins."""

_SOFTWARE = "nodescan phantom"
"""The Software tag of a phantom, by which it is told from a scanned slide."""

_JPEG_QUALITY = 90

_MOST_THREADS = 4
"""Each holds some 80 MB while it draws."""


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
    """What a phantom slide holds: written to its truth_file."""

    slide: str
    width_px: int
    height_px: int
    um_per_px: float
    seed: int
    deposits: tuple[PlantedDeposit, ...]

    @property
    def label(self) -> str:
        """negative, itc, micro or macro: the class of the largest deposit, by the rules a report uses."""
        classes = (classify(Micrometers(d.diameter_um), cells=CellCount(d.nuclei)) for d in self.deposits)
        return max(classes, default=Metastasis.NONE).word

    @property
    def largest_deposit_um(self) -> float | None:
        return max((deposit.diameter_um for deposit in self.deposits), default=None)


def plan_phantom(
    diameters_um: tuple[float, ...], *, spacing_um: float, seed: int, shapes: tuple[Shape, ...] = ()
) -> PhantomPlan:
    """The plan behind `nodescan phantom`; without shapes: round, elongated and crescent in turn, small ones round."""
    turns = (Shape.ROUND, Shape.ELONGATED, Shape.CRESCENT)
    in_turn = (turns[index % len(turns)] for index in range(len(diameters_um)))
    fitting = tuple(
        shape if diameter >= 2 * SMALLEST_DIAMETERS_UM[shape] else Shape.ROUND
        for shape, diameter in zip(in_turn, diameters_um, strict=True)
    )
    return PhantomPlan("phantom", diameters_um, shapes or fitting, spacing_um, seed)


def make_phantom(path: Path, plan: PhantomPlan) -> PhantomTruth:
    """Write the slide (pyramidal tiled BigTIFF, JPEG) and its truth; returns the truth.

    The texture is drawn at 0.25 to 0.5 um/px. A slide of 0.25 um/px or finer is enlarged from that, so it shows
    the detail of 0.5 um/px; outlines are exact to one pixel of the drawing. Raises UsageError where the plan can't
    be met and OutputError where the files can't be written.
    """
    _check_writable(path)
    canvas = PhantomCanvas(plan)
    with written_beside(path) as part:
        write_pyramid(part, _levels(canvas), quality=_JPEG_QUALITY, software=_SOFTWARE)
        truth = _truth_of(path, canvas)
        _write_truth(truth_file(path), truth)
    return truth


def truth_file(slide: Path) -> Path:
    """Where the truth of a slide file stands."""
    return slide.with_name(f"{slide.stem}{TRUTH_ENDING}")


def is_phantom(path: Path) -> bool:
    """Whether the file is a TIFF that says it is a phantom; what can't be read as a TIFF says nothing."""
    return software_of(path) == _SOFTWARE


def _levels(canvas: PhantomCanvas) -> Iterator[PyramidLevel]:
    """Level 0 strip by strip, each next level from the means of 2 x 2 pixels of the one before. There are two at least:
    the smallest node is 1.3 mm wide, with 0.3 mm of glass on every side."""
    sizes = [(canvas.height_px, canvas.width_px)]
    while max(sizes[-1]) > 2 * TILE_PX and len(sizes) < 9:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    half = np.empty((*sizes[1], 3), dtype=np.uint8)
    for level, size in enumerate(sizes):
        tiles = _level_0(canvas, half) if level == 0 else tiles_of(half)
        yield PyramidLevel(tiles, size, canvas.plan.spacing_um * 2**level)
        if 0 < level < len(sizes) - 1:
            half = _halved(half)


def _level_0(canvas: PhantomCanvas, half: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """The tiles of level 0, row by row; fills `half` with level 1 on the way."""
    textures_of(canvas.drawn_um)  # once, and not in each thread
    threads = min(_MOST_THREADS, usable_cores())
    for top in range(0, canvas.height_px, 2 * TILE_PX):
        height = min(2 * TILE_PX, canvas.height_px - top)
        lefts = range(0, canvas.width_px, 2 * TILE_PX)
        boxes = [PixelBox(x, top, min(2 * TILE_PX, canvas.width_px - x), height) for x in lefts]
        waits = start_each("phantom", canvas.read, boxes, threads=threads)
        strip = np.concatenate([wait() for wait in waits], axis=1)
        half[top // 2 : (top + height) // 2] = _halved(strip)
        yield from tiles_of(strip)


def _halved(level: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Means of 2 x 2 pixels, halves rounded up."""
    return np.asarray(Image.fromarray(level).reduce(2))


def _truth_of(path: Path, canvas: PhantomCanvas) -> PhantomTruth:
    """The truth of a slide that has been drawn whole."""
    nuclei_um = canvas.nuclei_um()
    deposits = tuple(_planted(placed, nuclei_um) for placed in canvas.node.outlines)
    plan = canvas.plan
    return PhantomTruth(path.name, canvas.width_px, canvas.height_px, plan.spacing_um, plan.seed, deposits)


def _planted(placed: PlacedOutline, nuclei_um: NDArray[np.float64]) -> PlantedDeposit:
    shape = Polygon(placed.outline_um)
    centre_um = (shape.centroid.x, shape.centroid.y)
    nuclei = int(np.count_nonzero(points_in_poly(nuclei_um, placed.outline_um)))
    return PlantedDeposit(placed.shape, placed.diameter_um, centre_um, shape.area, nuclei, placed.outline_um)


def _write_truth(path: Path, truth: PhantomTruth) -> None:
    """JSON of the truth; coordinates to a nanometre."""
    content = {"label": truth.label, **asdict(truth)}
    for deposit in content["deposits"]:
        deposit["outline_um"] = np.round(deposit["outline_um"], 3).tolist()
    write_beside(path, text_bytes(json.dumps(content, indent=1) + "\n"))


def _check_writable(path: Path) -> None:
    """Fail before the drawing, which takes a while."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise UsageError(f"{path}: a phantom is a TIFF; give it a name that ends in .tif")
    if path.is_dir():
        raise OutputError(f"{path}: there is a folder of that name; choose another name")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} doesn't exist; make it first")
    with output_errors(path), tempfile.TemporaryFile(dir=path.parent):
        pass
