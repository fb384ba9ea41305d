"""The command line: arguments in, exit code out (0 every slide complete, 1 any other status, 2 wrong usage)."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from nodescan import __version__
from nodescan.errors import AnnotationError, NodescanError, SlideError

COMPLETE, NOT_COMPLETE, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="nodescan",
    help="Find, measure and classify tumour deposits in slides of sentinel lymph nodes. Not for clinical use.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Mpp = Annotated[
    float | None, typer.Option("--mpp", metavar="UM", help="Pixel size at level 0 in um, where the file has none.")
]
OverrideMpp = Annotated[
    bool, typer.Option("--override-mpp", help="Let --mpp replace a plausible pixel size in the file; the report says so.")
]
Config = Annotated[Path | None, typer.Option("--config", metavar="YAML", help="Settings; the packed ones if not given.")]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME|FOLDER", help="The released model if not given.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda[:N]", help="Where the network runs.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show errors only.")]
LogJson = Annotated[Path | None, typer.Option("--log-json", metavar="FILE", help="Progress as JSON lines.")]


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Whatever goes wrong is one line on stderr that names the file, the reason and the way out."""
    try:
        code = app(args=arguments, prog_name="nodescan", standalone_mode=False)
        sys.stdout.flush()
    except (SlideError, AnnotationError) as error:
        return _fail(str(error), NOT_COMPLETE)
    except NodescanError as error:
        return _fail(str(error), WRONG_USAGE)
    except typer.TyperException as error:
        message = error.format_message().rstrip(".")
        return _fail(f"{message}; see nodescan --help", WRONG_USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("stopped by the user", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has gone; nothing more may be written to it, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_COMPLETE
    return code if isinstance(code, int) else COMPLETE


@app.command()
def run(
    inputs: Annotated[list[str], typer.Argument(metavar="SLIDE|FOLDER|GLOB...", help="What to scan.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")],
    config: Config = None,
    model: Model = None,
    device: Device = "auto",
    mpp: Mpp = None,
    override_mpp: OverrideMpp = False,
    reports: Annotated[
        str | None, typer.Option("--reports", metavar="NAMES", help="E.g. json,csv,html,geojson; all if not given.")
    ] = None,
    quiet: Quiet = False,
    log_json: LogJson = None,
) -> int:
    """Scan slides and write a report for each, summary.csv and run.json."""
    from nodescan.batch import BatchRequest, run_batch
    from nodescan.progress import open_viewer
    from nodescan.reports import WRITERS

    request = BatchRequest(
        inputs=tuple(inputs),
        folder=out,
        config=config,
        model=model,
        device=device,
        mpp_um=mpp,
        override_mpp=override_mpp,
        reports=tuple(WRITERS) if reports is None else tuple(filter(None, reports.split(","))),
        command=_words(),
    )
    try:
        result = run_batch(request, open_viewer(quiet=quiet, log_json=log_json))
    except KeyboardInterrupt:
        return _fail(f"stopped by the user; the slides done so far are in {out / 'summary.csv'}", INTERRUPTED)
    if not quiet:
        from nodescan.tables import print_batch

        print_batch(result)
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
    from nodescan.progress import open_viewer
    from nodescan.tables import print_demo

    request = DemoRequest(folder=out, model=model, device=device, command=_words())
    result = run_demo(request, open_viewer(quiet=quiet))
    print_demo(result)
    return COMPLETE if result.right else NOT_COMPLETE


@app.command()
def models() -> int:
    """List the models at hand, with their cards."""
    from nodescan.inference.card import list_models
    from nodescan.tables import print_models

    print_models(list_models())
    return COMPLETE


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nodescan {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    pass


def _words() -> tuple[str, ...]:
    return ("nodescan", *sys.argv[1:])


def _fail(message: str, code: int) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return code
