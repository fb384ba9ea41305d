"""Predictors that answer in steps, and fast ones that are off by a given amount; slides that make these matter."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit
from nodescan.domain.geometry import TileGeometry
from nodescan.domain.report import SlideReport
from tests.fakes import ColourPredictor
from tests.painted import painted

PALE = (225, 150, 190)
"""Far from PURPLE in green, by which Graded answers; paler than any H&E, which isn't asked here."""


def pale(tumour_px: int = 0) -> NDArray[np.uint8]:
    """painted(), of tissue that Graded finds unlikely to be tumour."""
    return painted(tumour_px, tissue=PALE)


class Graded(ColourPredictor):
    """The darker a cell, the likelier tumour, in many steps: PALE about 0.1, PURPLE about 0.9."""

    decision = DecisionRule(16.0, 0.5, 0.8, ((100.0, 90.0), (300.0, 280.0)), 5.0)

    def __init__(self) -> None:
        super().__init__()
        self.tiles = 0

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.tiles += len(tiles)
        cells = self.geometry.cells
        core = tiles[:, 32:-32, 32:-32, 1].reshape(len(tiles), cells, 16, cells, 16)
        green = core.mean(axis=(2, 4))
        return np.clip(1.4 - green / 115, 0.02, 0.98).astype(np.float32)


class InSmallTiles(Graded):
    """The same in tiles of 6 x 6 cells: they fit neither the first tiles nor the blocks that focus is judged on."""

    geometry = TileGeometry(core_px=96, margin_px=32, stride_px=16)


@dataclass
class Fast:
    """Answers as its reference, off by `error` at most: by noise where `seed` is given, else all by as much."""

    error: float
    tolerance: float = 0.05
    smoothed_tolerance: float = 0.05
    seed: int | None = None
    answer: float | None = None
    reference: Graded = field(default_factory=Graded)
    second_look: Graded = field(default_factory=InSmallTiles)
    precision: str = "fast"

    model = ColourPredictor.model
    geometry = ColourPredictor.geometry
    spacing_range_um = ColourPredictor.spacing_range_um
    device = "cpu"
    batch_size = 2
    decision = Graded.decision

    def __post_init__(self) -> None:
        self._own, self._random = Graded(), np.random.default_rng(self.seed)

    def start(self, tiles: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        true = self._own.predict(tiles)
        if self.answer is not None:
            return lambda: np.full_like(true, self.answer)
        noise = 1.0 if self.seed is None else self._random.uniform(-1, 1, true.shape)
        answers = np.clip(true + self.error * noise, 0, 1).astype(np.float32)
        return lambda: answers


def spotted(seed: int) -> NDArray[np.uint8]:
    """Tissue with blots of many sizes and shades, about as dark as the thresholds."""
    pixels, random = pale().astype(float), np.random.default_rng(seed)
    rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    for _ in range(14):
        row, column, radius = random.uniform(200, 820), random.uniform(200, 820), random.uniform(12, 90)
        high, wide = (slice(int(middle - radius), int(middle + radius) + 2) for middle in (row, column))
        inside = np.hypot(rows[high] - row, columns[:, wide] - column) < radius
        pixels[high, wide][inside] -= random.uniform(20, 90)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def findings(report: SlideReport) -> tuple[object, ...]:
    """All that a fast way through the network may not change."""
    deposits = [replace(deposit, outline=()) for deposit in report.deposits]
    return report.status, report.metastasis, report.flags, deposits, outlines(report.deposits)


def outlines(deposits: tuple[Deposit, ...]) -> list[list[list[float]]]:
    """(x, y) in um, polygon after polygon."""
    return [polygon.exterior.tolist() for deposit in deposits for polygon in deposit.outline]
