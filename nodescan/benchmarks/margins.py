"""What a margin is worth: the error at seams between tiles, and what each costs in pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodescan.benchmarks.slide_tiles import tissue_tiles
from nodescan.domain.slide import SlideRef
from nodescan.inference.card import find_model
from nodescan.inference.predictor import open_predictor
from nodescan.inference.random_model import random_model
from nodescan.inference.seams import Seam, region_side_px, seams
from nodescan.machine import temporary_folder

YARDSTICK = "resnet18"


@dataclass(frozen=True, slots=True)
class MarginStudy:
    """The seams of one network on one region."""

    model: str
    core_px: int
    seams: tuple[Seam, ...]


def study_margins(slide: SlideRef, *, model: str | None) -> tuple[MarginStudy, ...]:
    """The model, and a padded ResNet-18 of random weights, on tissue of the slide; in float32 on the CPU."""
    with temporary_folder("nodescan-bench-") as folder:
        yardstick = random_model(folder, YARDSTICK)
        return tuple(_study(slide, place) for place in (find_model(model), yardstick))


def margin_table(studies: Sequence[MarginStudy]) -> str:
    """Markdown, as ARCHITECTURE.md keeps it."""
    lines = [
        "| network | margin px | largest difference | mean | largest in logits | extra pixels |",
        "|---|---|---|---|---|---|",
    ]
    for study in studies:
        name = f"{study.model}, core {study.core_px}"
        lines += [
            f"| {name} | {seam.margin_px} | {seam.largest:.2g} | {seam.mean:.2g} | {seam.largest_logit:.2g} | "
            f"{seam.extra_pixels:.0%} |"
            for seam in study.seams
        ]
    return "\n".join(lines)


def _study(slide: SlideRef, folder: Path) -> MarginStudy:
    predictor = open_predictor(folder, device="cpu", precision="float32")
    with tissue_tiles(slide, predictor) as found:
        region = found.middle(region_side_px(folder))
    return MarginStudy(predictor.model.name, predictor.geometry.core_px, seams(folder, region))
