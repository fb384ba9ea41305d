"""What several commands of the command line share: exit codes, options and their checks; and the many of `run`."""

from pathlib import Path
from typing import Annotated

import typer

from nodescan.errors import UsageError

COMPLETE, NOT_COMPLETE, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: all is well, something isn't (a slide not complete, a class wrong, a check failed), the user's mistake,
Ctrl-C."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Mpp = Annotated[
    float | None, typer.Option("--mpp", metavar="UM", help="Pixel size at level 0 in um, where the file has none.")
]
OverrideMpp = Annotated[
    bool,
    typer.Option("--override-mpp", help="Let --mpp replace a plausible pixel size in the file; the report says so."),
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="YAML", help="Settings; the packed ones if not given.")
]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME|FOLDER", help="The released model if not given.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda[:N]", help="Where the network runs.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show errors only.")]
LogJson = Annotated[Path | None, typer.Option("--log-json", metavar="FILE", help="Progress as JSON lines.")]

Inputs = Annotated[
    list[str] | None, typer.Argument(metavar="SLIDE|FOLDER|GLOB...", help="What to scan.", show_default=False)
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")]
ManifestFile = Annotated[
    Path | None,
    typer.Option("--manifest", metavar="CSV", help="Scan the slides it names instead, and stage its patients."),
]
Reports = Annotated[
    str | None, typer.Option("--reports", metavar="NAMES", help="E.g. json,csv,html,geojson; all if not given.")
]
Slots = Annotated[
    int | None,
    typer.Option(
        "--slots",
        metavar="N",
        min=0,
        help="Slides at a time, each in a process of its own; 0: in this one. One, or one a GPU, if not given.",
    ),
]
StallMinutes = Annotated[
    float, typer.Option("--stall-minutes", metavar="MIN", help="A slide without progress for so long has failed.")
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="auto|float32",
        help="auto: the fastest here, with float32 for what bears on deposits; or float32 throughout. Status and class "
        "are the same, sizes within 1 um; faint detections, and seldom a slide's probability, within 0.14.",
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Scan also the slides that have a whole report of the same files and settings."),
]
MaxUnread = Annotated[
    float,
    typer.Option(
        "--max-unread",
        metavar="PERCENT",
        help="A slide with more of its tissue unread has failed; up to that it is incomplete.",
    ),
]
Stage = Annotated[
    Path | None,
    typer.Option("--stage", metavar="DIR", help="Copy each slide to this local disk ahead of use; removed after."),
]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="tcp://HOST:PORT", help="Scan on the workers of this Dask scheduler."),
]
TasksAtOnce = Annotated[
    int | None,
    typer.Option("--tasks-at-once", metavar="N", min=1, help="Slides handed to it at a time; 256 if not given."),
]


def check_not_empty(arguments: list[str]) -> None:
    """An empty word, of a shell's variable that isn't set say, would be taken for the current folder, or for no word.

    Raises UsageError; only a phantom's diameters may be none.
    """
    for before, word in zip(["", *arguments], arguments, strict=False):
        option, _, value = word.partition("=") if word.startswith("--") and "=" in word else (before, "", word)
        if not value and option != "--diameters-um":
            where = option if option.startswith("-") else "an argument"
            raise UsageError(f"{where}: is empty, as a variable that isn't set; give a value, or leave it out")


def check_spacing(mpp: float | None, override: bool) -> None:
    """Raises UsageError for a pixel size that is none, and where there is none to override with."""
    if mpp is not None:
        positive(mpp, "--mpp")
    elif override:
        raise UsageError("--override-mpp: says that --mpp wins, but --mpp is not given; add --mpp UM")


def check_limits(stall_minutes: float, max_unread: float) -> None:
    """Raises UsageError where --stall-minutes isn't above 0, or --max-unread is no percentage."""
    positive(stall_minutes, "--stall-minutes", "min")
    if not 0 <= max_unread <= 100:
        raise UsageError(f"--max-unread: must be a percentage from 0 to 100, not {max_unread:g}")


def positive(value: float, option: str, unit: str = "um") -> float:
    """The value of an option. Raises UsageError unless it is finite and above 0."""
    if not 0 < value < float("inf"):
        raise UsageError(f"{option}: must be a number of {unit} above 0, not {value:g}")
    return value


def number(word: str, option: str) -> float:
    """One of an option's numbers, separated by commas. Raises UsageError unless it is one above 0."""
    try:
        return positive(float(word), option)
    except ValueError:
        raise UsageError(f"{option}: {word.strip()!r} is not a number; separate numbers by commas") from None
