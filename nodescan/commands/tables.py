"""What commands say on a terminal: small tables, and words that several of them share."""

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from nodescan.streams import one_line, tell

if TYPE_CHECKING:  # commands import this module, and --help costs nothing
    from rich.console import Console

    from nodescan.domain.slide import SpacingSource
    from nodescan.domain.units import Spacing
    from nodescan.whole_files import Json

_SPACING_SOURCES = {
    "file": "file",
    "tiff": "file's TIFF resolution tags",
    "user": "command line",
    "user-override": "command line, against the file",
}

_PIPE_WIDTH = 10_000
"""Columns of a table that goes to a file or a pipe: a row is one line there, to be searched."""


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, styles: Mapping[str, str] | None = None
) -> None:
    """A table without lines, as wide as the terminal allows; what doesn't fit goes on below it.

    Nothing is cut: names of slides often differ at their end alone. styles: how a row's first cell looks, by its words.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        first, *others = row
        style = (styles or {}).get(first, "")
        table.add_row(Text(one_line(first), style=style), *(Text(one_line(cell)) for cell in others))
    _console().print(table)


def print_facts(rows: Iterable[tuple[str, str]]) -> None:
    """One line for each name with its value."""
    for name, value in rows:
        tell(f"{name + ':':<17} {value}")


def print_json(content: "Json | Sequence[Json]") -> None:
    """The content as one JSON document, written as in nodescan's files."""
    from nodescan.whole_files import json_text

    print(json_text(content), end="")


def spacing_words(spacing: "Spacing", source: "SpacingSource") -> str:
    """The pixel size and where it came from, as "0.25 x 0.25 um/px, from the file"."""
    return f"{spacing.x:g} x {spacing.y:g} um/px, from the {_SPACING_SOURCES[source]}"


def _console() -> "Console":
    from rich.console import Console

    class Printing(Console):
        """Leaves it to the command what follows where nobody reads any more; rich would end it with 1."""

        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704  called while the error is handled

    columns, lines = shutil.get_terminal_size()  # of a terminal that is "dumb" rich takes 80 columns without these two
    return Printing(file=sys.stdout, width=columns if sys.stdout.isatty() else _PIPE_WIDTH, height=lines)
