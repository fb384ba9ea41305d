"""What several commands share: exit codes, options and their checks, and what a run that was stopped says."""

import errno
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

import typer
from typer.models import OptionInfo

from nodescan.commands import grouped_help as groups
from nodescan.domain.slide import COARSEST_UM, FINEST_UM
from nodescan.domain.units import plain_number
from nodescan.errors import StoppedError, UsageError, nothing_there
from nodescan.interrupts import STOPPED
from nodescan.streams import lost, say

COMPLETE, NOT_COMPLETE, WRONG_USAGE = 0, 1, 2
"""Exit codes: all is well, something isn't (a slide not complete, a class wrong, a check failed), the user's mistake.
Of Ctrl-C: interrupts.INTERRUPTED."""


_NO_WHOLE_NUMBER = re.compile("Input should be a valid integer.*")


def number(option: str) -> Callable[[str | float], float]:
    """How an option's word is read. It raises UsageError for what is no number, e.g. one with a decimal comma."""

    def read(word: str | float) -> float:
        try:
            return plain_number(str(word))
        except ValueError:
            raise UsageError(f"{option}: {word!r} is not a number; write it as in 0.25, with a point") from None

    return read


def usage_words(error: typer.TyperException, program: str) -> str:
    """What is wrong with the words of a command, and where its help is. program: as it is called."""
    said = _NO_WHOLE_NUMBER.sub("it must be a whole number", error.format_message().rstrip("."))
    context = getattr(error, "ctx", None)
    return f"{said.replace('Input should be', 'it must be')}; see {context.command_path if context else program} --help"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def mpp_option(text: str, *, group: str = groups.PIXEL_SIZE) -> OptionInfo:
    """--mpp UM, with what a command's help says of it."""
    return typer.Option("--mpp", metavar="UM", parser=number("--mpp"), help=text, rich_help_panel=group)


Mpp = Annotated[
    float | None,
    mpp_option(
        "Pixel size at full resolution (um per pixel), for files that state none or an implausible one. If the file "
        "states another plausible value, the slide is refused; see --override-mpp."
    ),
]
OverrideMpp = Annotated[
    bool,
    typer.Option(
        "--override-mpp",
        help="Use --mpp even if the file states another plausible pixel size. The report then says so.",
        rich_help_panel=groups.PIXEL_SIZE,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|FOLDER",
        help="Name or folder of a model.",
        show_default="the released model",
        rich_help_panel=groups.MODEL,
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", metavar="auto|cpu|cuda[:N]", help="Where the network runs.", rich_help_panel=groups.SPEED),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show errors only.")]


def check_not_empty(arguments: list[str]) -> None:
    """An empty word, of a shell's variable that isn't set say, would be taken for the current folder, or for no word.

    Raises UsageError; only a phantom's diameters may be none.
    """
    for before, word in zip(["", *arguments], arguments, strict=False):
        option, _, value = word.partition("=") if word.startswith("--") and "=" in word else (before, "", word)
        if not value and option != "--diameters-um":
            where = option if option.startswith("-") else "an argument"
            raise UsageError(f"{where}: is empty, perhaps because a variable isn't set; give a value, or leave it out")


def check_current_folder() -> None:
    """Raises UsageError where the folder that typed paths begin from was removed."""
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError(
            f"the current folder can't be used ({error.strerror}): it was removed or closed to you; change to another, "
            "then run again"
        ) from error


def failed_by_files(error: OSError) -> int:
    """The exit code where a path is too long or stdout is lost, once that is told. Raises any other error."""
    if error.errno == errno.ENAMETOOLONG:
        say(f"{error.filename}: {error.strerror}; give a shorter path")
        return WRONG_USAGE
    why = lost(error)
    if why is None:
        raise error
    if why:
        say(f"the output can't be written ({why}); send it elsewhere")
    return NOT_COMPLETE


def check_there(path: Path) -> None:
    """Raises UsageError for a file that isn't there: one that is, and can't be read, is another matter."""
    if not os.path.lexists(path):
        raise nothing_there(path)


def check_one_slide(path: Path) -> None:
    """Raises UsageError for a path that names nothing, or a folder: many slides may lie there."""
    check_there(path)
    if path.is_dir():
        named = "name one slide file (of a DICOM series, any one file)"
        raise UsageError(f"{path}: is a folder; {named}, or list the slides in it with nodescan manifest {path}")


def check_spacing(mpp: float | None, override: bool) -> None:
    """Raises UsageError for a pixel size that no slide is measured with, and where there is none to override with."""
    if mpp is not None:
        check_mpp(mpp)
    elif override:
        raise UsageError("--override-mpp: needs --mpp, which is not given; add --mpp UM")


def check_mpp(mpp: float) -> None:
    """Raises UsageError for a pixel size at level 0 that can't be a slide scanner's."""
    if not FINEST_UM <= mpp <= COARSEST_UM:
        raise UsageError(f"--mpp: write um per pixel at level 0, from {FINEST_UM} to {COARSEST_UM}, not {mpp:g}")


def positive(value: float, option: str, unit: str = "um") -> float:
    """The value of an option. Raises UsageError unless it is finite and above 0."""
    if not 0 < value < float("inf"):
        raise UsageError(f"{option}: must be a number of {unit} above 0, not {value:g}")
    return value


_TYPED: ContextVar[tuple[str, ...]] = ContextVar("_TYPED", default=())


@contextmanager
def keeping_words(arguments: Sequence[str]) -> Iterator[None]:
    """Around a command: words_typed() gives these arguments, which may be others than those of the program."""
    before = _TYPED.set(tuple(arguments))
    try:
        yield
    finally:
        _TYPED.reset(before)


def words_typed() -> tuple[str, ...]:
    """The whole command, for the run's record."""
    return ("nodescan", *_TYPED.get())


@contextmanager
def stops_told(folder: Path, *, go_on: str = "") -> Iterator[None]:
    """Around a run into `folder`: Ctrl-C becomes what it says of its rows, if it has written any.

    go_on: how the run is gone on with then. Raises StoppedError. Rows that were there before are an earlier run's.
    """
    rows = folder / "summary.csv"
    before = _writing_of(rows)
    try:
        yield
    except KeyboardInterrupt:
        done = _writing_of(rows) != before and _has_rows(rows)
        said = "; ".join(filter(None, (f"the slides done so far are in {rows}", go_on)))
        raise StoppedError(f"{STOPPED}; {said}" if done else STOPPED) from None


def _writing_of(rows: Path) -> tuple[int, int] | None:
    """Which writing of the file it is: each makes a new one. None where there is none."""
    try:
        found = rows.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _has_rows(rows: Path) -> bool:
    """Whether there is a line below the head's."""
    try:
        return rows.read_bytes().count(b"\n") > 1
    except OSError:
        return False
