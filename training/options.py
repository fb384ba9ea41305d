"""The options that several commands of python -m training share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str | None, typer.Option(help="Name or folder of a model.", show_default="the released model")]
Patches = Annotated[Path, typer.Option(help="Zip of labelled validation patches.")]
Tool = Annotated[
    Path | None,
    typer.Option(help="Script that composes slides from patches.", show_default="the built-in composer"),
]
Half = Annotated[int, typer.Option(help="Which half of the patches to use: 1 for tuning, 2 for reporting.")]
Seeds = Annotated[str, typer.Option(help="Seeds of the slides, as first-last.")]
Work = Annotated[Path, typer.Option(help="Folder in which slides and maps are kept for later runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

Manifest = Annotated[Path, typer.Option(help="A CSV of data_manifests/.")]
Slides = Annotated[str, typer.Option(help="Slide ids, separated by commas; * and ? are wildcards.")]

TILES512_SPACING_UM = 0.94
"""Of the pictures of tiles512, that outlines are judged on."""

WORK = Path("runs/composites")

LIGHTNING = ("fit", "validate")
"""Commands that aren't ours but LightningCLI's, with options of their own."""


class Tuned(StrEnum):
    """What `tune --only` takes: a part of what it chooses."""

    DECISION = "decision"
    UNCERTAINTY = "uncertainty"
