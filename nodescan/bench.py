"""How fast this machine reads, computes, and does both together: real slide, real model, the scan's own code."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.config import load_config
from nodescan.domain.maps import TissueMask
from nodescan.domain.slide import SlideRef
from nodescan.errors import SlideError
from nodescan.examination import Survey, examine, plan
from nodescan.imaging.tissue import find_tissue
from nodescan.inference.card import find_model
from nodescan.inference.predictor import open_predictor
from nodescan.interfaces import Progress, Slide, TilePredictor
from nodescan.phantoms import make_phantom, plan_phantom
from nodescan.scan import view_whole
from nodescan.slides import open_slide

_TILES, _ROUNDS = 48, 3


@dataclass(frozen=True, slots=True)
class Speed:
    """Megapixels of the analysis frame a second: decoded, fed to the network, and of tissue from end to end.

    useful_share: pixels of cells that touch tissue / pixels fed. efficiency: end to end over what both stages
    allow where they share
    the cores, 1 / (a / decode + b / network), a and b the pixels decoded and fed for each pixel of tissue; on a
    GPU over the slower of the two. Each rate is the median of three rounds.
    """

    device: str
    precision: str
    tiles: int
    tissue_megapixels: float
    decode_mpx_s: float
    network_mpx_s: float
    end_to_end_mpx_s: float
    useful_share: float
    efficiency: float


def measure_speed(slide: Path | None, *, model: str | None, device: str, progress: Progress) -> Speed:
    """The speed on a slide, or on a phantom made for the purpose. Raises SlideError, ModelError or DeviceError."""
    predictor = open_predictor(find_model(model), device=device)
    if slide is not None:
        return _measured(slide, predictor, progress)
    with tempfile.TemporaryDirectory(prefix="nodescan-bench-") as folder:
        made = Path(folder) / "phantom.tif"
        make_phantom(made, plan_phantom((900.0,), spacing_um=0.5, seed=0))
        return _measured(made, predictor, progress)


def _measured(path: Path, predictor: TilePredictor, progress: Progress) -> Speed:
    settings = load_config().settings
    slide = open_slide(SlideRef(path.stem, path))
    try:
        overview, _ = view_whole(slide, settings.overview)
        tissue = find_tissue(overview.pixels, overview.spacing, settings.tissue)
        survey = plan(slide, tissue, predictor)
        if not survey.tiles:
            raise SlideError(
                path.name, "no tissue was found, so there is nothing to measure", "name a slide with tissue"
            )
        decode = _median_rate(lambda: _decode(slide, survey))
        network = _median_rate(lambda: _compute(slide, survey, predictor))

        def whole() -> float:
            return _scan(slide, tissue, survey, predictor=predictor, progress=progress)

        end_to_end = _median_rate(whole)
    finally:
        slide.close()
    tile = predictor.geometry
    useful = _tissue_px(survey, predictor) / max(len(survey.tiles) * tile.input_px**2, 1)
    seconds = [1 / (useful * decode), 1 / (useful * network)]
    limit = 1 / (sum(seconds) if predictor.device.startswith("cpu") else max(seconds))
    return Speed(
        device=predictor.device,
        precision=predictor.precision,
        tiles=len(survey.tiles),
        tissue_megapixels=_tissue_px(survey, predictor) / 1e6,
        decode_mpx_s=decode,
        network_mpx_s=network,
        end_to_end_mpx_s=end_to_end,
        useful_share=useful,
        efficiency=end_to_end / limit,
    )


def _median_rate(megapixels: Callable[[], float]) -> float:
    """Megapixels a second: the median of some rounds, each of which says how many it did."""
    rates = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        done = megapixels()
        rates.append(done / (time.perf_counter() - started))
    return statistics.median(rates)


def _tissue_px(survey: Survey, predictor: TilePredictor) -> int:
    return int(np.count_nonzero(survey.wanted)) * predictor.geometry.stride_px**2


def _tile(slide: Slide, survey: Survey, tile: tuple[int, int]) -> NDArray[np.uint8]:
    return slide.read(survey.grid.input_box(*tile), survey.spacing)


def _decode(slide: Slide, survey: Survey) -> float:
    """Read tiles with a thread for each core, and nothing else."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return sum(
            pixels.shape[0] * pixels.shape[1] / 1e6
            for pixels in pool.map(lambda tile: _tile(slide, survey, tile), islice(survey.tiles, _TILES))
        )


def _compute(slide: Slide, survey: Survey, predictor: TilePredictor) -> float:
    """Answer a batch again and again; its pixels are read once, before the clock matters."""
    batch = np.stack([_tile(slide, survey, tile) for tile in survey.tiles[: predictor.batch_size]])
    rounds = max(1, _TILES // len(batch))
    for _ in range(rounds):
        predictor.predict(batch)
    return rounds * batch.shape[0] * batch.shape[1] * batch.shape[2] / 1e6


def _scan(slide: Slide, tissue: TissueMask, survey: Survey, *, predictor: TilePredictor, progress: Progress) -> float:
    """The scan's own way through all tiles."""
    examine(slide, tissue, predictor=predictor, quality=load_config().settings.quality, progress=progress)
    return _tissue_px(survey, predictor) / 1e6
