"""How the commands of python -m training read a range of seeds, and tell errors and tables of figures."""

import dataclasses
import json
from typing import Any

import typer

from nodescan.commands.options import NOT_COMPLETE, WRONG_USAGE
from nodescan.errors import (
    AnnotationError,
    DeviceLostError,
    NodescanError,
    OutputError,
    SlideError,
    StoppedError,
    UsageError,
    WorkerError,
    first_line,
)
from nodescan.interrupts import INTERRUPTED
from nodescan.streams import say
from training.camelyon.bucket import DownloadError


def seed_range(text: str) -> range:
    """The seeds of "first-last", both included. Raises UsageError for anything else."""
    first, _, last = text.partition("-")
    try:
        seeds = range(int(first), int(last or first) + 1)
    except ValueError as error:
        raise UsageError(f"--seeds {text!r}: expected first-last, as in 1-40") from error
    if not seeds:
        raise UsageError(f"--seeds {text!r}: the first is above the last; write {last}-{first}")
    return seeds


_FAILED = (SlideError, AnnotationError, DeviceLostError, OutputError, WorkerError, DownloadError, FloatingPointError)
"""What isn't the command's fault."""


def told(error: NodescanError | FloatingPointError) -> int:
    """The exit code, once the error is told in one line: 1 where the work failed, 2 where what was asked for can't be
    done, 130 where the user stopped it."""
    say(first_line(error))
    if isinstance(error, StoppedError):
        return INTERRUPTED
    return NOT_COMPLETE if isinstance(error, _FAILED) else WRONG_USAGE


def without_package(error: ImportError) -> UsageError:
    """In words: what `training` needs and nodescan doesn't is an extra."""
    return UsageError(
        f"training needs a package that isn't installed ({error}); install it with: pip install '.[train]'"
    )


def flat(scores: Any) -> dict[str, object]:
    """The fields of a scores dataclass; an estimate becomes its value and, as name_95 and name_n, the ends of
    its interval and its n: of a share, the denominator. None is what isn't defined, since nothing was found, say."""
    from nodescan.evaluation.bootstrap import Estimate

    content: dict[str, object] = {}
    for field in dataclasses.fields(scores):
        value = getattr(scores, field.name)
        if isinstance(value, Estimate):
            ends = [None if end is None else round(end, 4) for end in (value.low, value.high)]
            content |= {field.name: value.value, f"{field.name}_95": ends, f"{field.name}_n": value.n}
        else:
            content[field.name] = value
    return content


def tell(content: dict[str, object], *, as_json: bool) -> None:
    """A flat table of figures, as JSON or as aligned lines."""
    if as_json:
        typer.echo(json.dumps(content, allow_nan=False))
        return
    width = max(map(len, content))
    for name, value in content.items():
        typer.echo(f"{name:<{width}}  {_shown(value)}")


def _shown(value: object) -> str:
    if value is None or value == [None, None]:
        return "not defined"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
