"""Hard negatives: where a checkpoint sees tumour on training slides that have none, as boxes to draw from next time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.batch.progress import Viewer
from nodescan.config import load_config
from nodescan.csv_rows import csv_text
from nodescan.domain.maps import ProbabilityMap, TissueMask
from nodescan.errors import UsageError
from nodescan.examination import examine
from nodescan.examination.tile_batches import TileReader
from nodescan.examination.tile_plan import plan
from nodescan.inference.models import MODELS
from nodescan.inference.predictor import open_predictor
from nodescan.interfaces import TilePredictor
from nodescan.machine import temporary_folder
from nodescan.whole_files import output_errors, write_beside
from training.configurations import read_yaml
from training.fitting.checkpoints import read_checkpoint
from training.fitting.export import export
from training.fitting.rivals import RIVALS
from training.slides.batches import PATCH_PX
from training.slides.index import SPACING_UM, STRIDE_PX, IndexRow, check_outlines, open_cells, open_prepared, read_index
from training.slides.sampler import HARD_COLUMNS

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class MiningSettings:
    """threshold: probability from which an answer on normal tissue is a false positive. apart_px: between two boxes.

    most_per_slide: boxes of one slide, the worst first, so that one odd slide doesn't fill the list.
    """

    threshold: float
    apart_px: int
    most_per_slide: int


@dataclass(frozen=True, slots=True)
class HardNegative:
    """A box of the analysis frame whose middle the network took for tumour; its fields are HARD_COLUMNS."""

    slide_id: str
    left_px: int
    top_px: int
    width_px: int
    height_px: int
    probability: float


def mine(predictor: TilePredictor, index: Path, *, settings: MiningSettings, tell: Tell) -> tuple[HardNegative, ...]:
    """False positives of a network over all tissue of the negative training slides.

    Only slides without any tumour are looked at: on others a false positive may be a lesion that nobody outlined.
    Raises UsageError where there is none, or where outlines of any slide changed since the index was made.
    """
    known = read_index(index)
    check_outlines(known)
    rows = [row for row in known if row.split == "train" and row.label == "negative" and row.exhaustive]
    if not rows:
        raise UsageError(f"{index}: no negative slide in the training split, so there is nothing to mine")
    found: list[HardNegative] = []
    for number, row in enumerate(rows, start=1):
        boxes = list(_false_positives(row, index, predictor, settings))
        found += boxes
        tell(f"{number}/{len(rows)} {row.slide_id}: {len(boxes)} hard negatives in {row.tissue_mm2:.1f} mm2")
    return tuple(found)


def open_checkpoint(checkpoint: Path, config: Path, *, device: str) -> TilePredictor:
    """A checkpoint behind the same door as a released model, by way of its export.

    Raises UsageError where its network is none that scans slides, or not the one that the configuration trains, and
    OutputError where there is no room for temporary files.
    """
    architecture, _ = read_checkpoint(checkpoint)
    if architecture in RIVALS:
        raise UsageError(
            f"{checkpoint}: {architecture} networks can be trained, but not scan slides, from which hard negatives are "
            f"mined; mine with a checkpoint of {', '.join(sorted(MODELS))}"
        )
    model = read_yaml(config).get("model")
    asked = model.get("architecture") if isinstance(model, dict) else None
    if asked not in {None, architecture}:
        raise UsageError(
            f"{checkpoint}: is of architecture {architecture}, and {config} trains a network {asked}; mine with a "
            "checkpoint of that configuration, or name the configuration that this one was trained by"
        )
    with temporary_folder("nodescan-mine-") as folder:
        export(checkpoint, folder, name="checkpoint", training_data="not stated")
        return open_predictor(folder, device=device, precision="float32")


def write_hard_negatives(found: Sequence[HardNegative], to: Path) -> None:
    """The boxes as the CSV that SlideData takes as hard_negatives, written beside and renamed."""
    with output_errors(to):
        to.parent.mkdir(parents=True, exist_ok=True)
    write_beside(to, csv_text(HARD_COLUMNS, map(astuple, found)).encode())


def peaks(map_: NDArray[np.float32], settings: MiningSettings) -> list[tuple[int, int]]:
    """(row, column) of cells at the threshold or above, the highest first, each apart_px or more from those before.

    map_ : float32 (H, W) in [0, 1], a cell each STRIDE_PX.
    """
    reach = settings.apart_px // STRIDE_PX - 1
    rows, columns = np.nonzero(map_ >= settings.threshold)
    order = np.argsort(-map_[rows, columns], kind="stable")
    taken = np.zeros(map_.shape, np.bool_)
    kept: list[tuple[int, int]] = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if len(kept) == settings.most_per_slide:
            break
        if not taken[row, column]:
            kept.append((row, column))
            taken[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = True
    return kept


def _false_positives(
    row: IndexRow, index: Path, predictor: TilePredictor, settings: MiningSettings
) -> Iterator[HardNegative]:
    map_ = _answers(row, index, predictor)
    seen = np.where(map_.examined, map_.values, np.float32(0))
    for y, x in peaks(seen, settings):
        left, top = (int((cell + 0.5) * STRIDE_PX) - PATCH_PX // 2 for cell in (x, y))
        yield HardNegative(row.slide_id, left, top, PATCH_PX, PATCH_PX, round(float(seen[y, x]), 4))


def _answers(row: IndexRow, index: Path, predictor: TilePredictor) -> ProbabilityMap:
    """What a scan of the slide would answer, on the cells of the index."""
    if predictor.spacing_range_um != SPACING_UM or predictor.geometry.stride_px != STRIDE_PX:
        raise UsageError(f"{index}: was prepared for another spacing or stride than the network has")
    tissue = np.zeros(row.rows * row.columns, np.bool_)
    tissue[open_cells(index, row)] = True
    mask = TissueMask(tissue.reshape(row.rows, row.columns), row.spacing.scaled(STRIDE_PX))
    with closing(open_prepared(row)) as slide:
        reader, settings = TileReader(slide, plan(slide, mask, predictor)), load_config().settings
        return examine(reader, predictor=predictor, settings=settings, progress=Viewer()).probability
