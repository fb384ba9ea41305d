"""Files that others made, so read that none makes the program wait for ever, or fills memory without end.

Those that a user names, and those that lie in a folder of results or of a model, which may be somebody else's.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

_OF_A_SHELL = ("/dev/fd/", "/dev/stdin", "/proc/")
"""Where <(...) and standard input stand."""

_NO_FILE = "it is a named pipe or a device, not a file"

_MOST_FOUND_BYTES = 256_000_000
"""Of a file in a folder of results: the outlines of 10,000 deposits of 0.3 mm have some 70 MB."""

_AT_ONCE_BYTES = 1_000_000
"""Memory is taken for what is there, not for all that might be."""

_piped: dict[tuple[int, int], bytes] = {}
"""What pipes held, by device and number: it can be read once, and several ask for it."""


def given_bytes(path: Path) -> bytes:
    """What the file holds. Raises OSError, see pipe_at."""
    pipe = pipe_at(path)
    if pipe is None:
        return path.read_bytes()
    if pipe not in _piped:
        _piped[pipe] = path.read_bytes()
    return _piped[pipe]


def file_to_seek(path: Path) -> Path | BytesIO:
    """The file itself, or what a pipe held, for a reader that goes back in it. Raises OSError, see pipe_at."""
    return path if pipe_at(path) is None else BytesIO(given_bytes(path))


def given_sha256(path: Path) -> str:
    """Of what the file holds, which needs no room in memory. Raises OSError, see pipe_at."""
    source = file_to_seek(path)
    with source.open("rb") if isinstance(source, Path) else source as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pipe_at(path: Path) -> tuple[int, int] | None:
    """Device and number of a pipe that a shell made, as of <(...); None for a file.

    Raises OSError for what is missing, and for what is neither: a pipe that was made by hand has perhaps no writer, and
    a device no end.
    """
    if is_file_or_folder(path):
        return None
    state = path.stat()
    if stat.S_ISFIFO(state.st_mode) and os.fspath(path).startswith(_OF_A_SHELL):
        return state.st_dev, state.st_ino
    raise OSError(errno.EINVAL, _NO_FILE, os.fspath(path))


def found_bytes(path: Path, most_bytes: int = _MOST_FOUND_BYTES) -> bytes:
    """What a file in a folder of results or of a model holds. Raises OSError, see opened_found, also where it has more
    than most_bytes."""
    with opened_found(path) as file:
        parts, left = list[bytes](), most_bytes
        while part := file.read(_AT_ONCE_BYTES):  # some disks in the network state no size
            parts.append(part)
            left -= len(part)
            if left < 0:
                said = f"it has more than {most_bytes:,} bytes, and such a file is read up to that size"
                raise OSError(errno.EFBIG, said, os.fspath(path))
    return b"".join(parts)


@contextmanager
def opened_found(path: Path) -> Iterator[BinaryIO]:
    """A file in such a folder, or one that a link there leads to. Raises OSError for what can't be opened, and for a
    named pipe or a device."""
    if not is_file_or_folder(path):
        raise OSError(errno.EINVAL, _NO_FILE, os.fspath(path))
    with path.open("rb") as file:
        yield file


def is_file_or_folder(path: Path) -> bool:
    """Whether it, or what it is a link to, is neither a pipe nor a device. Raises OSError for what is missing."""
    mode = path.stat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)  # of a folder, reading itself says what it is
