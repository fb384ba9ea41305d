"""The options that several commands of python -m training share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str | None, typer.Option(help="name or folder of a model; default: the released one")]
Patches = Annotated[Path, typer.Option(help="zip of labelled validation patches")]
Tool = Annotated[Path | None, typer.Option(help="a script that lays slides out of patches; default: what is built in")]
Half = Annotated[int, typer.Option(help="which half of the patches: 1 for tuning, 2 for reporting")]
Seeds = Annotated[str, typer.Option(help="first-last")]
Work = Annotated[Path, typer.Option(help="folder for slides and maps, kept for the next time")]
Json = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]

Manifest = Annotated[Path, typer.Option(help="a CSV of data_manifests/")]
Slides = Annotated[str, typer.Option(help="ids of slides, comma-separated, with * and ?")]

TILES512_SPACING_UM = 0.94
"""Of the pictures of tiles512, that outlines are judged on."""

WORK = Path("runs/composites")

LIGHTNING = ("fit", "validate")
"""Commands that aren't ours but LightningCLI's, with options of their own."""


class Tuned(StrEnum):
    """What `tune --only` takes: a part of what it chooses."""

    DECISION = "decision"
    UNCERTAINTY = "uncertainty"
