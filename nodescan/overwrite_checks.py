"""Files that a command must not overwrite: those that it reads, and files under its output names that aren't
nodescan's."""

import io
import os
from collections.abc import Iterable
from pathlib import Path

from nodescan.errors import UsageError
from nodescan.given_files import is_file_or_folder, opened_found

BRAND = b'<p class="brand">nodescan</p>'
"""Stands in every page of nodescan's, by sheet.html, below the style."""

_PAGE_HEAD_BYTES = 64 * 1024
"""Bytes of a page in which to search for the brand: it comes after about 14 kB, behind 13 kB of style."""


def check_inputs(read: Iterable[tuple[str, Path | None]], written: Iterable[Path]) -> None:
    """Raises UsageError where what a command reads would be written over, removed or moved by that command.

    read: the option's name with its file or folder; of a folder, the files in it count. written: files and folders; of
    a folder, all in it. They are compared by where they really lie, and as disks that don't tell case apart do.
    """
    named = [(option, path, {_place(path), _real(path)}) for option, path in read if path is not None]
    for target in written:
        there = _place(target)
        for option, path, places in named:
            inside = path.is_dir() and there.parent in places and target.exists()
            if inside or any(there in (place, *place.parents) for place in places):
                raise UsageError(
                    f"{option} {path}: this command itself writes {target}, so what is read would be lost; "
                    "move or rename it, or choose another folder for the results"
                )


def check_ours(path: Path, head: str) -> None:
    """Raises UsageError where a file stands at `path` that doesn't begin with `head`, as what nodescan writes there.

    What can't be read is for the writer to tell.
    """
    if begins_with(path, head) is False:
        raise not_ours(path)


def begins_with(path: Path, head: str) -> bool | None:
    """Whether the file begins with `head`, though a spreadsheet may have saved it again. None where there is nothing
    to tell it by: no file, an empty one, or one that can't be read."""
    try:
        if not is_file_or_folder(path):
            return False
        with opened_found(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", errors="replace")
            begun = text.read(len(head) + 1).removeprefix("\ufeff")[: len(head)]
    except OSError:
        return None
    return begun.replace(";", ",").replace("\t", ",") == head if begun else None


def is_branded(page: Path) -> bool | None:
    """Whether it is a page of nodescan's; None where there is none, an empty one, or one that can't be read."""
    try:
        if not is_file_or_folder(page):
            return False
        with opened_found(page) as file:
            head = file.read(_PAGE_HEAD_BYTES)
    except OSError:
        return None
    return BRAND in head if head else None


def not_ours(path: Path) -> UsageError:
    """The error for a file that would be lost."""
    return UsageError(f"{path}: is there, and nodescan didn't write it; move or rename it, or choose another folder")


def _place(path: Path) -> Path:
    """Where the name stands, whatever it is a link to."""
    return Path(str(Path(os.path.realpath(path.parent), path.name)).casefold())


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path).casefold())
