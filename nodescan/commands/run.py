"""`nodescan run`: slides scanned, and what became of each."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodescan.batch.limits import MAX_UNREAD_PERCENT, STALL_MINUTES
from nodescan.commands import grouped_help as groups
from nodescan.commands.options import (
    COMPLETE,
    NOT_COMPLETE,
    Device,
    Model,
    Mpp,
    OverrideMpp,
    Quiet,
    check_spacing,
    number,
    stops_told,
    words_typed,
)
from nodescan.commands.stage import print_staging
from nodescan.commands.tables import print_table
from nodescan.interrupts import raise_if_ended
from nodescan.streams import printing, tell

if TYPE_CHECKING:  # a command imports what it needs when it runs, so that --help costs nothing
    from nodescan.batch.run import BatchResult

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SLIDE|FOLDER|GLOB...",
        help="Slide files, folders of slides, or patterns.",
        show_default=False,
        rich_help_panel=groups.SCAN,
    ),
]
ManifestFile = Annotated[
    Path | None,
    typer.Option(
        "--manifest",
        metavar="CSV",
        help="Scan the slides that this table lists, then stage the patients that it names. Replaces the arguments.",
        rich_help_panel=groups.SCAN,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="YAML",
        help="Settings of the analysis.",
        show_default="the packaged settings",
        rich_help_panel=groups.MODEL,
    ),
]
Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Folder for the results.", rich_help_panel=groups.RESULTS)
]
Reports = Annotated[
    str | None,
    typer.Option(
        "--reports",
        metavar="NAMES",
        help="Reports to write, separated by commas: json, csv, html, geojson. report.json, the map and the pictures "
        "are always written.",
        show_default="all",
        rich_help_panel=groups.RESULTS,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Scan every slide again, even if it has a complete, up-to-date report.",
        rich_help_panel=groups.RESULTS,
    ),
]
MaxUnread = Annotated[
    float,
    typer.Option(
        "--max-unread",
        metavar="PERCENT",
        parser=number("--max-unread"),
        help="Mark a slide as failed if more than PERCENT of its tissue cannot be read. With less it is incomplete.",
        rich_help_panel=groups.RESULTS,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="auto|float32",
        help="auto computes in the fastest format of this machine and repeats in float32 whatever decides a deposit. "
        "float32 computes everything in float32. Both give the same status and class. Sizes differ by at most 1 um; "
        "scores of faint detections, and rarely a slide's probability, differ by at most 0.16.",
        rich_help_panel=groups.SPEED,
    ),
]
Slots = Annotated[
    int | None,
    typer.Option(
        "--slots",
        metavar="N",
        min=0,
        max=1024,
        help="How many slides to scan at once, each in its own process. With 1, or one per GPU, the next slide is "
        "opened meanwhile. 0 scans in this process; a slide that hangs is then not stopped.",
        show_default="1, or one per GPU",
        rich_help_panel=groups.SPEED,
    ),
]
StallMinutes = Annotated[
    float,
    typer.Option(
        "--stall-minutes",
        metavar="MIN",
        parser=number("--stall-minutes"),
        help="Mark a slide as failed after MIN minutes without progress. With --slots 0 this applies only while the "
        "slide is copied.",
        rich_help_panel=groups.LARGE,
    ),
]
CopyTo = Annotated[
    Path | None,
    typer.Option(
        "--stage",
        metavar="DIR",
        help="Copy each slide to this folder on a local disk before it is scanned, and delete the copy afterwards.",
        rich_help_panel=groups.LARGE,
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="Scan on the workers of this Dask scheduler.",
        rich_help_panel=groups.LARGE,
    ),
]
LogJson = Annotated[
    Path | None, typer.Option("--log-json", metavar="FILE", help="Also write the progress to FILE, as JSON lines.")
]


def run(
    out: Out,
    inputs: Inputs = None,
    manifest: ManifestFile = None,
    config: Config = None,
    model: Model = None,
    device: Device = "auto",
    mpp: Mpp = None,
    override_mpp: OverrideMpp = False,
    reports: Reports = None,
    slots: Slots = None,
    stall_minutes: StallMinutes = STALL_MINUTES,
    precision: Precision = "auto",
    force: Force = False,
    max_unread: MaxUnread = MAX_UNREAD_PERCENT,
    stage: CopyTo = None,
    scheduler: Scheduler = None,
    quiet: Quiet = False,
    log_json: LogJson = None,
) -> int:
    """Scan slides and write a report for each, summary.csv and run.json; for patients of a manifest, patients.csv."""
    check_spacing(mpp, override_mpp)
    from nodescan.batch.workers import started_ahead

    first = started_ahead(0 if scheduler else slots)  # it loads what it needs while this process does
    from nodescan.batch.request import BatchRequest
    from nodescan.batch.run import run_batch
    from nodescan.batch.viewers import open_viewer
    from nodescan.reports import CHOICES

    raise_if_ended()
    request = BatchRequest(
        inputs=tuple(inputs or ()),
        folder=out,
        manifest=manifest,
        config=config,
        model=model,
        device=device,
        mpp_um=mpp,
        override_mpp=override_mpp,
        reports=CHOICES if reports is None else tuple(filter(None, map(str.strip, reports.split(",")))),
        command=words_typed(),
        slots=slots,
        stall_minutes=stall_minutes,
        precision=precision,
        force=force,
        max_unread_percent=max_unread,
        copy_to=stage,
        scheduler=scheduler,
    )
    with stops_told(out, go_on=request.go_on), first or nullcontext():
        result = run_batch(request, open_viewer(quiet=quiet, folder=out, log_json=log_json), first=first)
    if not quiet:
        _show(result, request.command)
    return COMPLETE if result.complete else NOT_COMPLETE


def print_batch(result: "BatchResult", command: Sequence[str]) -> None:
    """Status, class, size and flags of each slide, where the reports are, and what tries the failed ones again.

    command: the words as typed.
    """
    from nodescan.batch.record import redo_command, to_redo
    from nodescan.domain.class_bounds import class_word
    from nodescan.domain.flags import each_code
    from nodescan.domain.naming import few
    from nodescan.domain.report import NOT_FOR_CLINICAL_USE, Status
    from nodescan.reports.other_reports import other_words
    from nodescan.reports.summary_page import MOST_NAMES
    from nodescan.reports.wording import causes_fixed, slide_size_words

    rows = [
        (
            report.slide.slide_id,
            report.status.value,
            class_word(report),
            slide_size_words(report),
            ", ".join(each_code(report.flags)),
        )
        for report in result.reports
    ]
    print_table(("slide", "status", "class", "largest", "flags"), rows)
    complete = sum(report.status is Status.COMPLETE for report in result.reports)
    kept = f", {result.kept} of them kept from an earlier run" if result.kept else ""
    tell(f"{complete} of {len(result.reports)} complete{kept}. Reports: {result.folder}, rows: {result.summary}")
    unstaged = bool(result.manifest) and result.staging is None
    no_stages = f"No stages were made, because {result.manifest} names no patients." if unstaged else ""
    for words in (_contradicted_words(result), other_words(result.others), no_stages):
        if words:
            tell(words)
    for why in dict.fromkeys(result.unwritten):
        tell(f"Exit code 1: {why}")
    failed = to_redo(result.reports)
    if failed and command:
        fixed, again = causes_fixed(result.reports), redo_command(command)
        tell(f"Without a result: {few(failed, MOST_NAMES)}. {fixed}, scan only these slides with: {again}")
    tell(NOT_FOR_CLINICAL_USE)


def _contradicted_words(result: "BatchResult") -> str:
    """Why the run ends with exit code 1 though every report may be complete; "" where no pixel size is the reason."""
    from nodescan.domain.naming import few

    if not result.contradicted:
        return ""
    given = " if the manifest's column mpp has the pixel size of each slide that needs one"
    return (
        f"Exit code 1: --mpp contradicts the pixel size of {few(result.contradicted, 5)}, whose reports were kept. "
        f"The next run can leave out --mpp{given if result.manifest else ''}."
    )


def _show(result: "BatchResult", command: tuple[str, ...]) -> None:
    with printing(f"they are in {result.summary}"):
        print_batch(result, command)
        if result.staging is not None:
            print_staging(result.staging)
