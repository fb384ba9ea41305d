"""The command line: arguments in, exit code out (0 every slide complete, 1 any other status, 2 wrong usage)."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodescan import __version__
from nodescan.bench_command import bench
from nodescan.doctor_command import doctor
from nodescan.errors import (
    AnnotationError,
    ClusterError,
    LockLostError,
    NodescanError,
    SlideError,
    StoppedError,
    UsageError,
    WorkerError,
)
from nodescan.evaluate_command import evaluate
from nodescan.interrupts import ended_like_ctrl_c
from nodescan.manifest_command import manifest as manifest_
from nodescan.options import (
    COMPLETE,
    INTERRUPTED,
    NOT_COMPLETE,
    WRONG_USAGE,
    Config,
    Device,
    Force,
    Inputs,
    LogJson,
    ManifestFile,
    MaxUnread,
    Model,
    Mpp,
    Out,
    OverrideMpp,
    Precision,
    Quiet,
    Reports,
    Scheduler,
    Slots,
    Stage,
    StallMinutes,
    TasksAtOnce,
    check_limits,
    check_not_empty,
    check_spacing,
    number,
    positive,
)
from nodescan.run_limits import MAX_UNREAD_PERCENT, STALL_MINUTES
from nodescan.stage_command import print_staging
from nodescan.stage_command import stage as stage_
from nodescan.streams import lost, make_usable, printing, say

if TYPE_CHECKING:
    from nodescan.batch import BatchResult

_STOPPED = "stopped by the user"

app = typer.Typer(
    name="nodescan",
    help="Find, measure and classify tumour deposits in slides of sentinel lymph nodes. Not for clinical use.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Whatever goes wrong is one line on stderr that names the file, the reason and the way out."""
    make_usable()
    with ended_like_ctrl_c():
        return _told(sys.argv[1:] if arguments is None else arguments)


def _told(arguments: list[str]) -> int:
    """The command's exit code, once whatever went wrong was told."""
    try:
        check_not_empty(arguments)
        code = app(args=arguments, prog_name="nodescan", standalone_mode=False)
        if code == INTERRUPTED:
            raise KeyboardInterrupt  # which typer kept to itself
        sys.stdout.flush()
    except (StoppedError, KeyboardInterrupt, typer.Abort) as error:
        return _fail(str(error) or _STOPPED, INTERRUPTED)
    except (SlideError, AnnotationError, ClusterError, LockLostError, WorkerError) as error:
        return _fail(str(error), NOT_COMPLETE)
    except NodescanError as error:
        return _fail(str(error), WRONG_USAGE)
    except typer.TyperException as error:
        message = error.format_message().rstrip(".")
        context = getattr(error, "ctx", None)
        return _fail(f"{message}; see {context.command_path if context else 'nodescan'} --help", WRONG_USAGE)
    except OSError as error:
        why = lost(error)
        if why is None:
            raise
        return _fail(f"the output can't be written ({why}); send it elsewhere", NOT_COMPLETE) if why else NOT_COMPLETE
    return code if isinstance(code, int) else COMPLETE


@app.command()
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
    stage: Stage = None,
    scheduler: Scheduler = None,
    tasks_at_once: TasksAtOnce = None,
    quiet: Quiet = False,
    log_json: LogJson = None,
) -> int:
    """Scan slides and write a report for each, summary.csv and run.json; with a manifest, patients.csv too."""
    check_spacing(mpp, override_mpp)
    check_limits(stall_minutes, max_unread)
    from nodescan.workers import started_ahead

    first = started_ahead(0 if scheduler else slots)  # it loads what it needs while this process does
    from nodescan.batch import run_batch
    from nodescan.batch_request import BatchRequest
    from nodescan.reports import CHOICES
    from nodescan.viewers import open_viewer

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
        command=_words(),
        slots=slots,
        stall_minutes=stall_minutes,
        precision=precision,
        force=force,
        max_unread_percent=max_unread,
        stage=stage,
        scheduler=scheduler,
        tasks_at_once=tasks_at_once,
    )
    try:
        with first or nullcontext():
            result = run_batch(request, open_viewer(quiet=quiet, folder=out, log_json=log_json), first=first)
    except KeyboardInterrupt:
        raise _stopped(out) from None
    if not quiet:
        _show(result, request.command)
    return COMPLETE if result.complete else NOT_COMPLETE


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for slides and results.")] = Path(
        "nodescan-demo"
    ),
    model: Model = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> int:
    """Make phantom slides with deposits of known size, scan them, and show planted beside measured."""
    from nodescan.demo import DemoRequest, run_demo
    from nodescan.tables import print_demo
    from nodescan.viewers import open_viewer

    request = DemoRequest(folder=out, model=model, device=device, command=_words())
    try:
        result = run_demo(request, open_viewer(quiet=quiet, folder=out))
    except KeyboardInterrupt:
        raise _stopped(out / "results") from None
    with printing(f"they are in {out / 'results'}"):
        print_demo(result)
    return COMPLETE if result.right else NOT_COMPLETE


@app.command()
def measure(
    mask: Annotated[Path, typer.Argument(metavar="MASK", help="Mask image, ASAP XML or QuPath GeoJSON.")],
    mpp: Mpp = None,
    value: Annotated[
        int | None, typer.Option("--value", metavar="N", help="Pixel value that is tumour; all but 0 if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with the names of report.json.")] = False,
) -> int:
    """Measure the deposits in a mask image or an outline file: sizes and class."""
    from nodescan.config import load_config
    from nodescan.domain.units import Micrometers, Spacing
    from nodescan.measurement import measure_file
    from nodescan.tables import print_measurement

    spacing = None if mpp is None else Spacing.square(positive(mpp, "--mpp"))
    gap_um = Micrometers(load_config().settings.segmentation.joining_gap_um)
    print_measurement(measure_file(mask, mpp=spacing, value=value, joining_gap_um=gap_um), as_json=as_json)
    return COMPLETE


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(metavar="OUT.tif", help="The slide to write; its truth goes beside it.")],
    diameters: Annotated[
        str,
        typer.Option(
            "--diameters-um", metavar="UM,UM,...", help='Greatest diameters to plant, e.g. 150,900,2600; "" for none.'
        ),
    ],
    spacing: Annotated[float, typer.Option("--spacing", metavar="UM", help="Pixel size at level 0.")] = 0.25,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed gives the same slide.")] = 0,
) -> int:
    """Write a synthetic slide with deposits of known size, and its truth as JSON."""
    planted = tuple(number(word, "--diameters-um") for word in diameters.split(",") if word.strip())
    from nodescan.phantoms import make_phantom, plan_phantom
    from nodescan.tables import print_phantom

    if out.exists():
        raise UsageError(f"{out}: is there already; choose another name, or remove it first")
    plan = plan_phantom(planted, spacing_um=positive(spacing, "--spacing"), seed=seed)
    print_phantom(make_phantom(out, plan), out)
    return COMPLETE


@app.command()
def info(
    slide: Annotated[Path, typer.Argument(metavar="SLIDE", help="A slide file.")],
    mpp: Mpp = None,
    override_mpp: OverrideMpp = False,
) -> int:
    """Show a slide's format, size, spacing and where it came from, and whether it can be measured."""
    check_spacing(mpp, override_mpp)
    from nodescan.domain.slide import SlideRef
    from nodescan.slides import slide_facts
    from nodescan.tables import print_facts

    facts = slide_facts(SlideRef(slide_id=slide.stem, path=slide, mpp_um=mpp, override_mpp=override_mpp))
    print_facts(facts, slide)
    return COMPLETE if facts.measurable else NOT_COMPLETE


@app.command()
def models() -> int:
    """List the models at hand, with their cards."""
    from nodescan.inference.card import list_models
    from nodescan.tables import print_models

    print_models(list_models())
    return COMPLETE


app.command(name="stage")(stage_)
app.command()(evaluate)
app.command(name="manifest")(manifest_)
app.command()(bench)
app.command()(doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nodescan {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def _show(result: "BatchResult", command: tuple[str, ...]) -> None:
    from nodescan.tables import print_batch

    with printing(f"they are in {result.summary}"):
        print_batch(result, command)
        if result.staging is not None:
            print_staging(result.staging)


def _words() -> tuple[str, ...]:
    return ("nodescan", *sys.argv[1:])


def _stopped(folder: Path) -> StoppedError:
    rows = folder / "summary.csv"
    return StoppedError(f"{_STOPPED}{f'; the slides done so far are in {rows}' if rows.is_file() else ''}")


def _fail(message: str, code: int) -> int:
    say(message)
    return code
