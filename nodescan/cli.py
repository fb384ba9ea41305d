"""The command line: arguments in, exit code out.

0: every slide complete; 1: any other status; 2: wrong usage; 130: stopped by Ctrl-C or another signal.
"""

import sys
from typing import Annotated

import typer

from nodescan.commands.bench import bench
from nodescan.commands.demo import demo
from nodescan.commands.doctor import doctor
from nodescan.commands.evaluate import evaluate
from nodescan.commands.grouped_help import GroupedCommand
from nodescan.commands.info import info
from nodescan.commands.manifest import manifest
from nodescan.commands.measure import measure
from nodescan.commands.models import models
from nodescan.commands.options import (
    COMPLETE,
    NOT_COMPLETE,
    WRONG_USAGE,
    check_current_folder,
    check_not_empty,
    failed_by_files,
    keeping_words,
    usage_words,
)
from nodescan.commands.phantom import phantom
from nodescan.commands.run import run
from nodescan.commands.stage import stage
from nodescan.domain.versions import VERSION_WORDS
from nodescan.errors import (
    AnnotationError,
    ClusterError,
    DeviceLostError,
    LockLostError,
    NodescanError,
    NoRoomLeftError,
    SlideError,
    StoppedError,
    WorkerError,
)
from nodescan.interrupts import INTERRUPTED, STOPPED, ended_like_ctrl_c
from nodescan.streams import make_usable, say

app = typer.Typer(
    name="nodescan",
    help="Find, measure and classify tumour deposits in slides of sentinel lymph nodes. Not for clinical use.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_OF_THE_WORK = (
    SlideError,
    AnnotationError,
    ClusterError,
    DeviceLostError,
    LockLostError,
    NoRoomLeftError,
    WorkerError,
)
"""What may end a command that was asked for rightly."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Whatever goes wrong is one line on stderr that names the file, the reason and the way out.

    arguments: None for those typed; then the process ends with the command.
    """
    make_usable()
    with ended_like_ctrl_c(for_good=arguments is None):
        return _told(sys.argv[1:] if arguments is None else arguments)


def _told(arguments: list[str]) -> int:
    """The command's exit code, once whatever went wrong was told."""
    try:
        check_current_folder()
        check_not_empty(arguments)
        with keeping_words(arguments):
            code = _done(arguments)
        sys.stdout.flush()
    except (StoppedError, KeyboardInterrupt, typer.Abort) as error:
        return _fail(str(error) or STOPPED, INTERRUPTED)
    except _OF_THE_WORK as error:
        return _fail(str(error), NOT_COMPLETE)
    except NodescanError as error:
        return _fail(str(error), WRONG_USAGE)
    except typer.TyperException as error:
        return _fail(usage_words(error, "nodescan"), WRONG_USAGE)
    except (ImportError, OSError) as error:
        return _fail_by_machine(error)
    return code if isinstance(code, int) else COMPLETE


def _fail_by_machine(error: ImportError | OSError) -> int:
    """The exit code where the installation or a file system failed. Raises the error where that isn't the user's."""
    if isinstance(error, ImportError):
        if (error.name or "").partition(".")[0] == "nodescan":
            raise error
        return _fail(f"the installation lacks a part, or it is broken ({error}); see nodescan doctor", NOT_COMPLETE)
    return failed_by_files(error)


def _done(arguments: list[str]) -> object:
    """What the command returned. Raises KeyboardInterrupt also where others kept it, or made another error of it."""
    try:
        code: object = app(args=arguments, prog_name="nodescan", standalone_mode=False)
    except RuntimeError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Python before 3.12, in the midst of an import
            raise KeyboardInterrupt from error
        raise
    if code == INTERRUPTED:  # typer
        raise KeyboardInterrupt
    return code


_COMMANDS = (
    (run, "Scan slides and write a report for each."),
    (demo, "Scan synthetic slides; compare sizes."),
    (measure, "Measure deposits in a mask or in outlines."),
    (phantom, "Write a synthetic slide with known deposits."),
    (info, "Show what is known about a slide file."),
    (models, "List the installed models."),
    (stage, "Stage patients from the reports of a run."),
    (evaluate, "Score a run against a reference."),
    (manifest, "Draft a patient manifest to fill in."),
    (bench, "Measure how fast this machine is."),
    (doctor, "Check whether this installation works."),
)
"""Each with its line in `nodescan --help`, which fits in 80 columns. Its own --help says more."""

for _command, _short in _COMMANDS:
    app.command(short_help=_short, cls=GroupedCommand if _command in (run, evaluate) else None)(_command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nodescan {VERSION_WORDS}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def _fail(message: str, code: int) -> int:
    say(message)
    return code
