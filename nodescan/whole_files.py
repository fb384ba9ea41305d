"""Files that are whole or not there: each is written beside its place and then renamed."""

import errno
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from secrets import token_hex

from nodescan.errors import OutputError

Json = Mapping[str, object]
"""What goes into a JSON file: a border type, never handed between rooms."""

PART_SUFFIX = ".part"
"""Ends the name of what is still being written; a file that carries it is left over from a run that was stopped."""

_NO_FLUSH = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})

_OPEN_S, _EACH_S = 10.0, 0.1
"""How long a file that another program has open is waited for: a virus scanner has each new file open for a moment."""

_left_open: set[Path] = set()
"""Files that stayed open after a wait, in a viewer perhaps. A table that every slide writes is waited for only once."""

_PART_NAME = re.compile(rf"\..+\.[0-9a-f]{{12}}{re.escape(PART_SUFFIX)}")

_REMEDIES = {
    errno.ENOSPC: "free some space or choose another output folder",
    errno.EDQUOT: "free some of your quota or choose another output folder",
    errno.EACCES: "get write permission or choose another output folder",
    errno.EPERM: "get write permission or choose another output folder",
    errno.EROFS: "choose an output folder on a disk that can be written",
    errno.ENAMETOOLONG: "choose an output folder with a shorter path",
    errno.ENOTDIR: "choose an output folder whose parents are folders",
    errno.EEXIST: "move what is there out of the way or choose another output folder",
    errno.EISDIR: "move the folder of that name out of the way",
}


def json_text(content: Json | Sequence[Json]) -> str:
    """Indented JSON with a line end. Raises ValueError on NaN and infinity, which JSON doesn't know."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def json_bytes(content: Json) -> bytes:
    """`json_text` in UTF-8, as it stands in a file."""
    return text_bytes(json_text(content))


def text_bytes(text: str) -> bytes:
    """The text in UTF-8. Bytes of a file's name that are no text stand there as \\udcXX, which JSON reads back."""
    return text.encode("utf-8", "backslashreplace")


def write_beside(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one step: a reader sees the old file or the new one, whole. Raises OutputError."""
    with written_beside(path) as part:
        part.write_bytes(data)


def write_set(files: Mapping[Path, bytes], *, obsolete: Iterable[Path] = ()) -> None:
    """Put each of `files` in its place, the first one last, and remove `obsolete`: none of it before all are written.

    What ends the writing, such as a full disk, leaves the older files as they are. Raises OutputError.
    """
    with ExitStack() as parts:
        for path, data in files.items():
            part = parts.enter_context(written_beside(path))
            part.write_bytes(data)
            _flush_to_disk(part)
        for path in obsolete:
            with output_errors(path):
                remove_once_closed(path)


def write_current(path: Path, data: bytes) -> None:
    """As `write_beside`, of a file that says what holds now: where it can't be written, the older one is removed, which
    would be taken for this one. Raises OutputError."""
    try:
        write_beside(path, data)
    except OutputError as error:
        with suppress(OSError):  # it is told already that nothing can be written there
            path.unlink()
            raise OutputError(f"{error} (the older one was removed, for it holds no longer)") from error
        raise


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, renamed to `path` when the block ends well and removed when it doesn't.

    For writers that need a file of their own. An OSError from the block or the rename becomes an OutputError.
    """
    part = part_path(path)
    try:
        with output_errors(path):
            yield part
            _flush_to_disk(part)
            once_closed(partial(os.replace, part, path), path)
    finally:
        with suppress(OSError):  # a disk that became read-only says so of a part that isn't there, too
            part.unlink(missing_ok=True)


def once_closed(change: Callable[[], object], path: Path) -> None:
    """Have `change` rename, replace or remove `path`, on Windows once no other program has it open: there that is
    refused until then. Raises OSError, and OutputError for a file that stays open."""
    end = time.monotonic() + (0.0 if path in _left_open else _OPEN_S)
    while True:
        try:
            change()
        except PermissionError as error:
            if sys.platform != "win32":
                raise
            if time.monotonic() >= end:
                _left_open.add(path)
                raise OutputError(
                    f"{path}: can't be written ({error.strerror}); another program may have it open (a viewer, a "
                    "spreadsheet): close it there, then run again"
                ) from error
            time.sleep(_EACH_S)
        else:
            _left_open.discard(path)
            return


def remove_once_closed(path: Path) -> None:
    """Remove the file, if it is there, see `once_closed`. Raises OSError and OutputError."""
    once_closed(partial(path.unlink, missing_ok=True), path)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Say in words a user can act on why `path` could not be written: an OSError becomes an OutputError."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        remedy = _REMEDIES.get(error.errno or 0, "check the output folder")
        raise OutputError(f"{path}: can't be written ({why}); {remedy}, then run again") from error


def remove_parts(folder: Path) -> None:
    """What stopped runs left half written in `folder`; only for the one run that holds it. Raises OutputError."""
    with output_errors(folder):
        for path in list(folder.iterdir()):
            if not _PART_NAME.fullmatch(path.name):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def part_path(path: Path) -> Path:
    """A new hidden name beside `path`, so that the later rename stays on one disk."""
    return path.with_name(f".{path.name}.{token_hex(6)}{PART_SUFFIX}")


def _flush_to_disk(path: Path) -> None:
    """A rename may reach the disk before the bytes do; after a power cut the file would be empty.

    Some disks, those of users' own programs above all, can't be told to hurry: there the file is as whole as it gets.
    """
    with path.open("rb+") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in _NO_FLUSH:
                raise


def refuse_link(folder: Path) -> None:
    """Raises OutputError where a folder of the output folder is a link: what it leads to isn't nodescan's to change."""
    with output_errors(folder):
        is_link = folder.is_symlink()
    if is_link:
        raise OutputError(f"{folder}: is a link, and nothing is written through it; remove it or choose another folder")


def prepare_folder(folder: Path) -> None:
    """Make the run's folder and try to write there, before an hour's work rather than after. Raises OutputError."""
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
