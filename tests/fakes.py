"""Small stand-ins that behave: a predictor that knows tumour by its colour, and slide files painted for it."""

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from nodescan.batch.progress import Viewer
from nodescan.domain.decision import DecisionRule
from nodescan.domain.geometry import TileGeometry
from nodescan.domain.report import ModelIdentity, SlideReport

PINK, PURPLE = (175, 98, 150), (110, 60, 150)


class ColourPredictor:
    """Answers 0.98 for a cell that is mostly PURPLE, else at most 0.04. raises: what predict() raises instead."""

    model = ModelIdentity("colour", "none", weights_sha256="0" * 64, threshold=0.5, found_from_um=200.0)
    geometry = TileGeometry(core_px=256, margin_px=32, stride_px=16)
    decision = DecisionRule(0.0, 0.5, 0.6, (), 5.0)
    spacing_range_um = (0.90, 1.00)
    device = "cpu"
    precision = "float32"
    batch_size = 4

    def __init__(self, raises: BaseException | None = None) -> None:
        self.raises = raises

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.raises is not None:
            raise self.raises
        margin, cells, stride = self.geometry.margin_px, self.geometry.cells, self.geometry.stride_px
        core = tiles[:, margin:-margin, margin:-margin, 1].reshape(len(tiles), cells, stride, cells, stride)
        green = core.mean(axis=(2, 4)) / 255
        return np.where(green < 0.31, 0.98, 0.04 * (1 - green)).astype(np.float32)


class Listener(Viewer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, object]] = []

    def slide_started(self, slide_id: str, tiles: int) -> None:
        self.events.append(("started", slide_id))

    def slide_finished(self, report: SlideReport, seconds: float) -> None:
        self.events.append(("finished", report.slide.slide_id))

    def error(self, line: str) -> None:
        self.events.append(("error", line))

    def errors(self) -> list[str]:
        return [str(what) for event, what in self.events if event == "error"]


def silent(_text: str) -> None:
    """A `tell` that nobody hears."""


def paint_slide(
    path: Path, *, tumour_um: int = 0, spacing_um: float | None = 0.95, compression: str = "deflate"
) -> Path:
    """A tiled TIFF of pink tissue on glass, with a square of tumour, tumour_um along its sides (0: none)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    pixels = np.full((768, 768, 3), 245, dtype=np.uint8)
    pixels[96:672, 96:672] = PINK
    grain = rng.integers(-14, 15, pixels.shape[:2])[..., None]
    if tumour_um and spacing_um:
        side = round(tumour_um / spacing_um)
        pixels[160 : 160 + side, 160 : 160 + side] = PURPLE
        grain[160 : 160 + side, 160 : 160 + side] *= 2  # dark stain as even as the rest would be out of focus
    pixels[96:672, 96:672] = np.clip(pixels[96:672, 96:672] + grain[96:672, 96:672], 0, 255)
    resolution = {} if spacing_um is None else {"resolution": (1e4 / spacing_um,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(
        path, pixels, tile=(256, 256), photometric="rgb", compression=compression, metadata=None, **resolution
    )
    return path
