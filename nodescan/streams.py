"""stdout and stderr may be closed, full, or unable to encode a name. None of that changes a command's result."""

import codecs
import io
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

_PLAIN = "nodescan.plain"


def make_usable() -> None:
    """Have all three streams open, and escape what an output's encoding lacks; "±" is "+/-" there.

    A stream that is closed at the start would leave its number to the next file that is opened, and what a library
    prints would go into that.
    """
    codecs.register_error(_PLAIN, _in_plain_signs)
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  open as long as the program
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_PLAIN)


def _in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    """The first sign that can't be encoded, and where to go on: "±" stands in each size."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign = error.object[error.start]
    return "+/-" if sign == "±" else _escaped(sign), error.start + 1


def lost(error: OSError) -> str | None:
    """Why nothing more can be printed: in words, "" where nobody reads any more; None where stdout works, so that the
    error is of something else.

    Where stdout is lost, what is still to be written to it goes nowhere, also at the program's end.
    """
    try:
        print(flush=True)  # what failed before is given up: only a new try tells
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return "" if isinstance(error, BrokenPipeError) else error.strerror or type(error).__name__
    return None


@contextmanager
def printing(instead: str) -> Iterator[None]:
    """Around printed results: where they can't be printed, stderr says where else they are (`instead`), and the command
    goes on, because its exit code speaks of the slides alone."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        why = lost(error)
        if why is None:
            raise
        if why:
            say(f"the results can't be printed ({why}); {instead}")


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Around output that is all a command gives: a reader that has seen enough of it, as `head`, changes no exit code.
    Raises OSError where it can't be written for another reason."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError as error:
        if lost(error) is None:
            raise


def say(message: str) -> None:
    """An error, on one line of stderr, as far as anybody listens; "error: " is put before it. Lines of a library's
    message are joined; blanks stay, as a file's name may hold two."""
    with suppress(OSError, ValueError):
        print("error: " + one_line(" ".join(map(str.strip, message.splitlines()))), file=sys.stderr, flush=True)


def tell(text: str, stream: TextIO | None = None, *, flush: bool = False) -> None:
    """One line of a command's output, on stdout if no stream is named, with what could steer a terminal escaped."""
    print(
        f"{one_line(text)}\n", end="", file=stream, flush=flush
    )  # in one piece: threads of two slides may tell at once


def one_line(text: str) -> str:
    """The text with line breaks, and all else that doesn't print, escaped: names of files may hold them."""
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)


_NOT_PLAIN = re.compile(r"[^ -~\t\n\r]")

_JOINERS = "\u200c\u200d"
"""What joins or parts the letters of Persian and Indic words and the parts of an emoji."""


def shown(text: str) -> str:
    """The text for a file that people look at: what doesn't print is escaped, but for blanks, line breaks, and what
    joins or parts letters of a word. It could turn round the order of what stands beside it, or steer the terminal that
    a table is listed on."""
    return _NOT_PLAIN.sub(lambda found: found[0] if _is_harmless(found[0]) else _escaped(found[0]), text)


def _is_harmless(sign: str) -> bool:
    blank = unicodedata.category(sign) == "Zs"  # of which Python calls the plain one printable
    return sign.isprintable() or sign in _JOINERS or blank


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")
