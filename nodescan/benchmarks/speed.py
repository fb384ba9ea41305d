"""How fast this machine reads, computes, and does both together: real slide, real model, the scan's own code."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.batch.progress import Viewer
from nodescan.benchmarks.scan_runs import ScanRun, scan
from nodescan.benchmarks.slide_tiles import tissue_tiles
from nodescan.config import load_config
from nodescan.domain.slide import SlideRef
from nodescan.examination import examine
from nodescan.examination.tile_batches import TileReader, readers_for
from nodescan.examination.tile_plan import Survey
from nodescan.inference.card import find_model
from nodescan.inference.operations import gflop_per_megapixel, matrix_gflop_s, reckoned_from
from nodescan.inference.slots import open_in_slot
from nodescan.interfaces import Slide, TilePredictor
from nodescan.machine import temporary_folder
from nodescan.phantoms import make_phantom, plan_phantom
from nodescan.slides import open_slide

MOST_TILES = 256
"""Decoded in one round; of a larger slide those in the middle, where tissue is."""

_COMPUTED_TILES, _COMPUTED_S = 64, 0.5
"""Of each round, at least: so many tiles through the network, for so long."""

_ROUNDS, _MOST_WARM_UPS, _ENOUGH_BATCHES = 3, 6, 4


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What the network asks for, and what the machine does at best: 1e9 operations for each megapixel, and a second.

    reckoned: how the second follows from what was measured, "" where it was measured itself.
    """

    gflop_per_mpx: float
    matrix_gflop_s: float
    reckoned: str = ""


@dataclass(frozen=True, slots=True)
class Speed:
    """Rates in megapixels of the analysis frame a second: decoding, the network alone, end to end, and from file to
    report.

    End to end: reading, network and float32 recheck, in tissue pixels.

    useful_share: pixels of cells that touch tissue / pixels fed. efficiency: see `efficiency`. Each rate is the median
    of three rounds, in which the stages take turns; no round finds tiles that another one decoded. answered: in words,
    how much was answered again by the reference, which counts as nothing done: guard_s are the seconds from the last
    first answer to the end, first_pass_efficiency is that of a scan that ends there. limits, command and
    file_to_report_mpx_s are None where they weren't measured. command: one `nodescan run` of the slide, from its start;
    file_to_report_mpx_s: of the slide in it, from its being opened to its reports.
    """

    device: str
    precision: str
    answered: str
    reader: str
    tiles: int
    tissue_megapixels: float
    decode_mpx_s: float
    network_mpx_s: float
    end_to_end_mpx_s: float
    useful_share: float
    efficiency: float
    first_pass_efficiency: float
    guard_s: float
    limits: Arithmetic | None = None
    command: ScanRun | None = None
    file_to_report_mpx_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Scan:
    """One examination: Mpx/s of tissue in its first pass, seconds after that, and what it was answered in."""

    first_pass: float
    guard_s: float
    answered: str


class _FirstPass(Viewer):
    """Notes when the last tile of the first pass was answered: those that are answered again aren't counted."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = time.perf_counter()

    def tiles_done(self, slide_id: str, tiles: int, megapixels: float) -> None:
        if tiles:
            self.ended = time.perf_counter()


def efficiency(mpx_s: float, *, decode: float, network: float, useful_share: float, shared_cores: bool) -> float:
    """Mpx of tissue a second over what both stages allow, a / decode and b / network seconds for each.

    a and b, the pixels decoded and fed for each pixel of tissue, are both 1 / useful_share: a tile is fed as read.
    Where the stages share the cores their times add up; beside a GPU the slower one is the limit.
    """
    seconds = [1 / (useful_share * decode), 1 / (useful_share * network)]
    return mpx_s * (sum(seconds) if shared_cores else max(seconds))


def measure_speed(slide: SlideRef | None, *, model: str | None, device: str, progress: Viewer) -> Speed:
    """The speed on a slide, or on a phantom made for the purpose. Raises SlideError, ModelError, DeviceError and
    OutputError."""
    folder = find_model(model)
    with temporary_folder("nodescan-bench-") as folder_for_it:  # first: torch, too, breaks without a place for one
        predictor, _ = open_in_slot(folder, device=device, slot=0)  # as a scan opens it
        needed, reckoned = gflop_per_megapixel(folder), reckoned_from(predictor.precision)
        product = partial(matrix_gflop_s, device, predictor.precision)
        measured = slide or _phantom(folder_for_it, progress)
        speed, best = measure_stages(measured, predictor, progress, product)
        command = _command(measured, model, device, progress)
    seconds = command.slides[0].seconds
    return replace(
        speed,
        limits=Arithmetic(needed, best, reckoned),
        command=command,
        file_to_report_mpx_s=speed.tissue_megapixels / seconds,
    )


def _phantom(folder: Path, progress: Viewer) -> SlideRef:
    made = folder / "phantom.tif"
    progress.note("making a phantom")
    make_phantom(made, plan_phantom((900.0,), spacing_um=0.5, seed=0))
    return SlideRef("phantom", made)


def measure_stages(
    ref: SlideRef, predictor: TilePredictor, progress: Viewer, product: Callable[[], float]
) -> tuple[Speed, float]:
    """Decoding, computing, both together and a matrix product, in turn, in this process; the product's rate, too.

    Raises SlideError where there is no tissue.
    """
    with tissue_tiles(ref, predictor) as found:
        survey, reader = found.survey, found.slide.info.reader
        tiles = TileReader(found.slide, survey)
        read = np.stack([tiles.read(tile) for tile in _middle(survey, predictor.batch_size)])
    if not _on_cpu(predictor) and len(survey.tiles) < _ENOUGH_BATCHES * predictor.batch_size:
        few = f"{len(survey.tiles)} tiles are few for batches of {predictor.batch_size}"
        progress.note(f"{few}: on a larger slide it would be faster end to end")
    # a whole one, its tiles repeated where there are too few: a GPU computes no less, however many it is fed
    batch = np.resize(read, (predictor.batch_size, *read.shape[1:]))
    scans: list[_Scan] = []
    stages: dict[str, Callable[[], float]] = {
        "decode": lambda: _on_fresh(ref, lambda slide: _decode(slide, survey, predictor)),
        "network": lambda: _compute(batch, predictor),
        "network pass": lambda: _on_fresh(ref, lambda slide: _scan(slide, survey, predictor, scans)),
        "product": product,
    }
    rates = _median_rates(stages, progress)
    useful = _tissue_px(survey, predictor) / (len(survey.tiles) * predictor.geometry.input_px**2)
    of_both = partial(
        efficiency,
        decode=rates["decode"],
        network=rates["network"],
        useful_share=useful,
        shared_cores=_on_cpu(predictor),
    )
    speed = Speed(
        device=predictor.device,
        precision=predictor.precision,
        answered=scans[-1].answered,
        reader=reader,
        tiles=len(survey.tiles),
        tissue_megapixels=_tissue_px(survey, predictor) / 1e6,
        decode_mpx_s=rates["decode"],
        network_mpx_s=rates["network"],
        end_to_end_mpx_s=rates["network pass"],
        useful_share=useful,
        efficiency=of_both(rates["network pass"]),
        first_pass_efficiency=of_both(statistics.median(one.first_pass for one in scans)),
        guard_s=statistics.median(one.guard_s for one in scans),
    )
    return speed, rates["product"]


def _median_rates(stages: Mapping[str, Callable[[], float]], progress: Viewer) -> Mapping[str, float]:
    """stages: by name, each returns its rate; product's is 1e9 operations a second, the others' Mpx/s."""
    _warm_up(stages["network"], progress)
    measured: dict[str, list[float]] = {name: [] for name in stages}
    for turn in range(1, _ROUNDS + 1):
        for name, stage in stages.items():
            rate = stage()
            measured[name].append(rate)
            unit = "GFLOP/s" if name == "product" else "Mpx/s"
            progress.note(f"round {turn} of {_ROUNDS}: {name} {rate:.1f} {unit}")
    return {name: statistics.median(found) for name, found in measured.items()}


def _warm_up(compute: Callable[[], float], progress: Viewer) -> None:
    """Until two rates in a row are alike: a network may be compiled meanwhile, which is no part of its speed."""
    before = compute()
    for _ in range(_MOST_WARM_UPS):
        rate = compute()
        progress.note(f"warming up: network {rate:.1f} Mpx/s")
        if abs(rate / before - 1) < 0.1:
            return
        before = rate


def _on_fresh(ref: SlideRef, work: Callable[[Slide], float]) -> float:
    """Mpx/s of `work`, which returns how many it did, on a slide just opened: nothing of it is decoded yet."""
    with closing(open_slide(ref)) as slide:
        return _rate(lambda: work(slide))


def _rate(work: Callable[[], float]) -> float:
    started = time.perf_counter()
    megapixels = work()
    return megapixels / (time.perf_counter() - started)


def _on_cpu(predictor: TilePredictor) -> bool:
    return predictor.device.startswith("cpu")


def _tissue_px(survey: Survey, predictor: TilePredictor) -> int:
    return int(np.count_nonzero(survey.wanted)) * predictor.geometry.stride_px**2


def _middle(survey: Survey, count: int) -> tuple[tuple[int, int], ...]:
    """So many tiles one after another, from the middle of the order in which a scan reads them."""
    first = max(0, (len(survey.tiles) - count) // 2)
    return survey.tiles[first : first + count]


def _decode(slide: Slide, survey: Survey, predictor: TilePredictor) -> float:
    """Read tiles as a scan does, with as many threads and in its order, and nothing else; Mpx."""
    reader = TileReader(slide, survey)
    with ThreadPoolExecutor(readers_for(predictor)) as pool:
        tiles = pool.map(lambda tile: reader.read(tile).size / 3e6, _middle(survey, MOST_TILES))
        return sum(tiles)


def _compute(batch: NDArray[np.uint8], predictor: TilePredictor) -> float:
    """Mpx/s of one batch answered again and again, the next handed over before the last is waited for."""

    def answered() -> float:
        waiting: deque[Callable[[], object]] = deque()
        batches, ends = 0, time.perf_counter() + _COMPUTED_S
        while batches * len(batch) < _COMPUTED_TILES or time.perf_counter() < ends:
            batches += 1
            waiting.append(predictor.start(batch))
            if len(waiting) == 2:
                waiting.popleft()()
        while waiting:
            waiting.popleft()()
        return batches * batch.size / 3e6

    return _rate(answered)


def _scan(slide: Slide, survey: Survey, predictor: TilePredictor, scans: list[_Scan]) -> float:
    """The scan's own way through all tiles; Mpx of tissue. scans: takes what is known of it."""
    settings, megapixels = load_config().settings, _tissue_px(survey, predictor) / 1e6
    started, first = time.perf_counter(), _FirstPass()
    found = examine(TileReader(slide, survey), predictor=predictor, settings=settings, progress=first)
    guard_s = time.perf_counter() - first.ended
    scans.append(_Scan(megapixels / (first.ended - started), guard_s, found.precision))
    return megapixels


def _command(ref: SlideRef, model: str | None, device: str, progress: Viewer) -> ScanRun:
    progress.note("nodescan run, from its start")
    spacing = [] if ref.mpp_um is None else ["--mpp", ref.mpp_um]
    options = [*spacing, "--override-mpp"] if ref.override_mpp else spacing
    run = scan([ref.path], model=model, device=device, options=options)
    if not run.slides[0].sound:
        progress.note(f"{run.slides[0].words}: a slide that is complete may take more time, or less")
    return run
