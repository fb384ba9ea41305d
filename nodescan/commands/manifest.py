"""`nodescan manifest`: an example of a patient manifest, or a draft of one for the slides in a folder."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from nodescan.commands.options import COMPLETE
from nodescan.errors import UsageError
from nodescan.streams import shown

EXAMPLE = {
    "path": "slides/a.svs",
    "slide_id": "a",
    "patient_id": "patient-1",
    "laterality": "left",
    "node_id": "1",
    "nodes_on_slide": "1",
    "nodes_removed": "2",
    "sentinel": "yes",
    "neoadjuvant": "no",
    "recurrence": "no",
    "stain": "H&E",
}
"""The row of --template; the cells left out are empty in it."""

_CAMELYON17 = re.compile(r"(patient_[0-9]+)_node_([0-9]+)", re.IGNORECASE)

Folder = Annotated[
    str | None,
    typer.Argument(metavar="FOLDER", help="Draft a manifest of the slides in this folder and its subfolders."),
]
Template = Annotated[bool, typer.Option("--template", help="Print the columns and one example row.")]
To = Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write to this file instead of printing.")]


def manifest(folder: Folder = None, template: Template = False, to: To = None) -> int:
    """Print a manifest to fill in. It says which slide shows which node of which patient."""
    if template == (folder is not None):
        raise UsageError("manifest: name the folder whose slides to list, or give --template, one of the two")
    if to is not None and to.exists():
        raise UsageError(f"{to}: already exists; choose another name, or move it away first")
    rows = [EXAMPLE] if folder is None else _draft(folder, Path() if to is None else to.parent)
    text = _csv_text(rows)
    if to is None:
        print(shown(text) if sys.stdout.isatty() else text, end="")  # else another program reads names as they are
    else:
        from nodescan.whole_files import text_bytes, write_beside

        mark = "" if text.isascii() else "\ufeff"  # a spreadsheet takes it for UTF-8 then
        write_beside(to, text_bytes(mark + text))
    nameless = sum(not row.get("patient_id") for row in rows)
    if nameless == len(rows):
        print("note: no row has a patient_id: a run scans these slides, but makes no stages", file=sys.stderr)
    elif nameless:
        print(f"note: {nameless} of {len(rows)} rows need a patient_id before they can be used", file=sys.stderr)
    return COMPLETE


def _draft(folder: str, place: Path) -> list[dict[str, str]]:
    """A row for each slide; patient and node only where the file's name says them as CAMELYON17's do.

    Raises UsageError for a folder that can't be listed: a table of slides lacks those in it.
    """
    from nodescan.slides.discovery import find_slides, unlisted_error

    rows: list[dict[str, str]] = []
    for ref in find_slides([folder], mpp_um=None, override_mpp=False):
        if ref.path.is_dir():
            raise unlisted_error(ref.path)
        row = {"path": _path_from(ref.path, place), "slide_id": ref.slide_id}
        named = _CAMELYON17.fullmatch(ref.path.stem)
        if named is not None:
            row |= {"patient_id": named[1].lower(), "node_id": named[2]}
        rows.append(row)
    return rows


def _path_from(path: Path, place: Path) -> str:
    """The path as a manifest in `place` names it: relative where it lies below, else absolute.

    It begins with a dot where a spreadsheet would take it for a formula, and where blanks around it would be lost.
    """
    from nodescan.csv_rows import FORMULA_STARTS

    whole, root = path.absolute(), place.absolute()
    if not whole.is_relative_to(root):
        return whole.as_posix()
    text = whole.relative_to(root).as_posix()
    return f"./{text}" if text.startswith(FORMULA_STARTS) or text != text.strip() else text


def _csv_text(rows: list[dict[str, str]]) -> str:
    from nodescan.csv_rows import csv_text
    from nodescan.manifest import COLUMNS

    return csv_text(COLUMNS, ([row.get(column, "") for column in COLUMNS] for row in rows))
