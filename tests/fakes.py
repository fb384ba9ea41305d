"""Small stand-ins that behave: a predictor that knows tumour by its colour, and slide files painted for it."""

import errno
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from numpy.typing import NDArray

from nodescan.batch.progress import Viewer
from nodescan.domain.decision import DecisionRule
from nodescan.domain.geometry import TileGeometry
from nodescan.domain.report import ModelIdentity, SlideReport
from nodescan.tissue_check import FieldCheck

if TYPE_CHECKING:  # worker processes import this, and wait for all that it loads
    import pytest

PINK, PURPLE = (175, 98, 150), (168, 60, 150)


class ColourPredictor:
    """Answers 0.98 for a cell that is mostly PURPLE, else at most 0.04. raises: what start() raises instead.

    asked_precision: that scan_with() was to open it in.
    """

    model = ModelIdentity("colour", "none", weights_sha256="0" * 64, threshold=0.5, found_from_um=200.0)
    geometry = TileGeometry(core_px=256, margin_px=32, stride_px=16)
    decision = DecisionRule(0.0, 0.5, 0.6, (), 5.0)
    spacing_range_um = (0.90, 1.00)
    device = "cpu"
    precision = "float32"
    batch_size = 4
    asked_precision = ""

    def __init__(self, raises: BaseException | None = None) -> None:
        self.raises = raises

    def start(self, tiles: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        answers = self.predict(tiles)
        return lambda: answers

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.raises is not None:
            raise self.raises
        margin, cells, stride = self.geometry.margin_px, self.geometry.cells, self.geometry.stride_px
        core = tiles[:, margin:-margin, margin:-margin, 1].reshape(len(tiles), cells, stride, cells, stride)
        green = core.mean(axis=(2, 4)) / 255
        return np.where(green < 0.31, 0.98, 0.04 * (1 - green)).astype(np.float32)


class Busy(ColourPredictor):
    """A colour predictor that does something else before its first answer."""

    def __init__(self, deed: Callable[[], object]) -> None:
        super().__init__()
        self.deed: Callable[[], object] | None = deed

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.deed is not None:
            self.deed()
            self.deed = None
        return super().predict(tiles)


def scan_with(predictor: ColourPredictor, patch: "pytest.MonkeyPatch") -> None:
    """Have scans in this process use the predictor, whatever model they open; the tissue itself is not checked."""

    def open_in_slot(folder: Path, *, device: str, slot: int, precision: str = "auto") -> tuple[ColourPredictor, int]:
        predictor.asked_precision = precision
        return predictor, 1

    patch.setattr("nodescan.inference.slots.open_in_slot", open_in_slot)
    patch.setattr("nodescan.scan.check_fields", no_fields)


def no_fields(*_: object) -> FieldCheck:
    """Stands for the check of a slide's tissue, half a scan's time on a painted slide; test_tissue_check.py has it."""
    return FieldCheck()


class Listener(Viewer):
    """Keeps what it is told. scanned: the slides that were finished."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.errors: list[str] = []
        self.scanned: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def slide_finished(self, report: SlideReport, seconds: float) -> None:
        self.scanned.append(report.slide.slide_id)

    def error(self, line: str) -> None:
        self.errors.append(line)


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


def content(folder: Path) -> dict[str, bytes]:
    """Every file in a folder and below, by its place there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def held_on_windows(patch: "pytest.MonkeyPatch", *names: str, tries: int = 2) -> None:
    """There another program has each file of these names open, so that it can't be removed for so many tries."""
    unlink, asked = Path.unlink, Counter[Path]()

    def refuse(path: Path, missing_ok: bool = False) -> None:
        asked[path] += path.name in names
        if path.name in names and path.exists() and asked[path] <= tries:
            raise PermissionError(errno.EACCES, "Access is denied")
        unlink(path, missing_ok=missing_ok)

    patch.setattr(sys, "platform", "win32")
    patch.setattr(Path, "unlink", refuse)
