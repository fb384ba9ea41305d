"""How far each fast way through a network is from float32, on the tissue of a slide."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nodescan.benchmarks.slide_tiles import tissue_tiles
from nodescan.domain.slide import SlideRef
from nodescan.inference.card import find_model
from nodescan.inference.predictor import open_predictor
from nodescan.interfaces import ApproximatePredictor, TilePredictor, predict

MOST_TILES = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """Of probabilities from float32's, over cells. p999: 99.9 % of them lie no further off.

    way: "as scanned" is what `run` uses; "narrow" is what a CPU would use without OpenVINO, where there is such a way.
    tolerance: what a scan trusts it with, None where it is unguarded.
    """

    way: str
    precision: str
    cells: int
    largest: float
    p999: float
    tolerance: float | None


def measure_precision(
    slide: SlideRef, *, model: str | None, device: str, tell: Callable[[str], None]
) -> tuple[Difference, ...]:
    """Every fast way of the device against the float32 reference; none where the device has no faster type."""
    folder = find_model(model)
    reference = open_predictor(folder, device=device, precision="float32")
    scanned = open_predictor(folder, device=device)
    if not isinstance(scanned, ApproximatePredictor):
        return ()
    ways: dict[str, TilePredictor] = {"as scanned": scanned}
    if scanned.device.startswith("cpu"):  # a GPU has no other
        narrow = open_predictor(folder, device=device, rough=True, compiled=False)
        if narrow.precision != "float32":
            ways["narrow"] = narrow
    apart: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    with tissue_tiles(slide, reference) as found:
        for count, tile in enumerate(found.tiles(MOST_TILES), start=1):
            true = predict(reference, tile)
            for name, way in ways.items():
                apart[name].append(np.abs(predict(way, tile) - true).ravel())
            if count % 20 == 0:
                tell(f"{count} tiles compared")
    return tuple(_difference(name, way, np.concatenate(apart[name])) for name, way in ways.items())


def _difference(name: str, way: TilePredictor, apart: np.ndarray) -> Difference:
    tolerance = getattr(way, "tolerance", None)
    p999 = float(np.quantile(apart, 0.999))
    return Difference(name, way.precision, apart.size, float(apart.max()), p999, tolerance)
