"""The commands of python -m training on slides laid out of patches: make them, judge a model, compare slide scores."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from nodescan.config import load_config
from nodescan.domain.classification import Metastasis
from nodescan.imaging.segmentation import find_deposits
from nodescan.inference.card import find_model
from nodescan.inference.predictor import open_predictor
from nodescan.inference.slots import open_in_slot
from training.composites import Composite, SlideScore, half_of, linked, make_composites, score_slide, summarise
from training.slide_scores import compare_definitions
from training.telling import flat, seed_range, tell
from training.tuning import probability_map

_Model = Annotated[str | None, typer.Option(help="name or folder of a model; default: the released one")]
_Patches = Annotated[Path, typer.Option(help="zip of labelled validation patches")]
_Tool = Annotated[Path, typer.Option(help="the script that lays slides out of patches")]
_Half = Annotated[int, typer.Option(help="which half of the patches: 1 for tuning, 2 for reporting")]
_Seeds = Annotated[str, typer.Option(help="first-last")]
_Work = Annotated[Path, typer.Option(help="folder for slides and maps, kept for the next time")]
_Json = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]


def add_composite_commands(app: typer.Typer) -> None:
    """Register make-composites, evaluate-composites and compare-slide-scores."""
    app.command("make-composites")(make_composites_command)
    app.command("evaluate-composites")(evaluate_composites_command)
    app.command("compare-slide-scores")(compare_slide_scores_command)


def make_composites_command(
    patches: _Patches,
    tool: _Tool,
    to: Annotated[Path, typer.Option(help="folder for these slides and their truth, and nothing else")],
    half: _Half = 2,
    seeds: _Seeds = "101-140",
    work: _Work = Path("runs/composites"),
) -> None:
    """Put composite slides and their truth into a folder of their own, for nodescan run and nodescan evaluate."""
    composites = make_composites(tool, half_of(patches, work, half=half), seed_range(seeds), to=work)
    linked(composites, to)
    typer.echo(f"{to}: {len(composites)} slides. Next:")
    typer.echo(f"nodescan run {to} --out {to}-scan")
    typer.echo(f"nodescan evaluate {to}-scan --reference {to}")


def evaluate_composites_command(
    patches: _Patches,
    tool: _Tool,
    model: _Model = None,
    half: _Half = 2,
    seeds: _Seeds = "101-140",
    work: _Work = Path("runs/composites"),
    as_json: _Json = False,
) -> None:
    """Score a model on slides laid out of real patches with planted deposits: class, false deposits, recall, sizes."""
    predictor, _ = open_in_slot(find_model(model), device="auto", slot=0)  # as a scan opens it
    settings = load_config(None).settings.segmentation
    composites = make_composites(tool, half_of(patches, work, half=half), seed_range(seeds), to=work)
    scores = []
    for composite in composites:
        map_ = probability_map(composite.path, predictor, cache=work / "maps")
        scores.append(score_slide(composite, find_deposits(map_, predictor.decision, settings)))
        if not as_json:
            typer.echo(_one_slide(composite, scores[-1]))
    tell(flat(summarise(scores)), as_json=as_json)


def compare_slide_scores_command(
    patches: _Patches,
    tool: _Tool,
    model: _Model = None,
    half: _Half = 1,
    seeds: _Seeds = "1-40",
    work: _Work = Path("runs/composites"),
    as_json: _Json = False,
) -> None:
    """Compare definitions of a slide's tumour probability by AUC, on the composites that settings are tuned on."""
    predictor = open_predictor(find_model(model), precision="float32")
    composites = make_composites(tool, half_of(patches, work, half=half), seed_range(seeds), to=work)
    maps = [probability_map(composite.path, predictor, cache=work / "maps") for composite in composites]
    tumour = np.array([composite.label is not Metastasis.NONE for composite in composites])
    found = compare_definitions(maps, tumour, predictor.decision, load_config(None).settings.segmentation)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(scored) for scored in found]))
        return
    typer.echo(f"{tumour.sum()} tumour, {(~tumour).sum()} normal slides")
    for scored in found:
        typer.echo(f"{scored.name:<36} AUC {scored.auc}  separation {scored.separation:+.3f}")


def _one_slide(composite: Composite, score: SlideScore) -> str:
    sizes = ", ".join(
        f"{planted:.0f} -> {'missed' if measured is None else f'{measured:.0f}'} um"
        for planted, measured in zip(score.planted_um, score.measured_um, strict=True)
    )
    right = "right" if score.truth is score.found else "WRONG"
    classes = f"{score.truth.word:8} found {score.found.word:8} {right}"
    return f"seed {composite.seed:3d}  {classes}  {score.false_deposits:3d} false  {sizes}"
