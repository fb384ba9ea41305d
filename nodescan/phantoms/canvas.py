"""Level 0 of a phantom slide, drawn piece by piece from its plan."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import COARSEST_UM, FINEST_UM
from nodescan.errors import UsageError
from nodescan.phantoms.look import Look
from nodescan.phantoms.node import plan_node, scene_of
from nodescan.phantoms.outlines import Shape
from nodescan.phantoms.pyramid import TILE_PX
from nodescan.phantoms.texture import COARSEST_DRAWN_UM, block_mean, draw, scan_noise

SMALLEST_DIAMETERS_UM = {Shape.ROUND: 40.0, Shape.PAIR: 40.0, Shape.ELONGATED: 100.0, Shape.CRESCENT: 150.0}
"""Below these an outline is too narrow for tumour nuclei of 10 to 16 um to lie wholly inside."""

LARGEST_DIAMETER_UM = 12_000.0

_MOST_PIXELS = 2.4e9
"""Level 1 is held in memory while level 0 is written: 1.8 GB at this size."""


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
        for diameter, shape in zip(self.diameters_um, self.shapes, strict=True):
            smallest, largest = SMALLEST_DIAMETERS_UM[shape], LARGEST_DIAMETER_UM
            if not smallest <= diameter <= largest:
                limits = f"{smallest:g} to {largest:g} um"
                raise UsageError(f"a {shape} deposit of a phantom measures {limits}, not {diameter:g}")
        if not FINEST_UM <= self.spacing_um <= COARSEST_UM:
            raise UsageError(f"spacing must lie within {FINEST_UM} to {COARSEST_UM} um/px, not {self.spacing_um:g}")
        if self.seed < 0:
            raise UsageError(f"the seed must not be negative, but is {self.seed}")


class PhantomCanvas:
    """Level 0 of a phantom: reads like a slide, and remembers the tumour nuclei of what was read.

    drawn_um: spacing of the texture, more than half of COARSEST_DRAWN_UM and at most that. A coarser slide is
    averaged from it (`shrink`), a finer one enlarged (`enlarge`: 1, 2 or 4).
    """

    def __init__(self, plan: PhantomPlan) -> None:
        planted = tuple(zip(plan.shapes, plan.diameters_um, strict=True))
        node = plan_node(planted, np.random.default_rng([plan.seed, 1]))
        self.plan, self.node = plan, node
        self.look = Look.drawn(np.random.default_rng([plan.seed, 2]), spread=0.5)
        self.shrink = max(1, math.ceil(plan.spacing_um / COARSEST_DRAWN_UM - 1e-9))
        self.enlarge = 1 if self.shrink > 1 else 2 ** math.floor(math.log2(COARSEST_DRAWN_UM / plan.spacing_um) + 1e-9)
        self.drawn_um = plan.spacing_um * self.enlarge / self.shrink
        # Whole tiles, so that every level is half the one before.
        self.width_px, self.height_px = (
            math.ceil(size / plan.spacing_um / TILE_PX) * TILE_PX for size in (node.width_um, node.height_um)
        )
        if self.width_px * self.height_px > _MOST_PIXELS:
            raise UsageError(
                f"the phantom would have {self.width_px} x {self.height_px} px; choose a coarser spacing than "
                f"{plan.spacing_um:g} um/px or smaller deposits"
            )
        self._nuclei_px: list[NDArray[np.int64]] = []

    def nuclei_um(self) -> NDArray[np.float64]:
        """float64 (n, 2): x and y in um of the tumour nuclei in all that was read so far, each once."""
        every = np.concatenate([np.zeros((0, 2), dtype=np.int64), *self._nuclei_px])
        return (np.unique(every, axis=0) + 0.5) * self.drawn_um

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
            self._nuclei_px.append(drawing.nuclei_px)
            light = block_mean(drawing.light, k)
        else:
            light = np.broadcast_to(np.array(self.look.glass, dtype=np.float32), (box.height, box.width, 3))
        noisy = light + 0.007 * scan_noise(box, self.plan.seed)
        return (np.clip(noisy, 0, 1) * 255 + 0.5).astype(np.uint8)
