"""Reads files that others made, so that none makes the program wait for ever or fills the memory.

These are files that a user names, and files in a folder of results or of a model, which may be somebody else's.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NO_FILE = "it is a pipe or a device, not a file"

_MOST_FOUND_BYTES = 256_000_000
"""Of a file in a folder of results: the outlines of 10,000 deposits of 0.3 mm have some 70 MB."""

_AT_ONCE_BYTES = 1_000_000
"""Read in pieces, so that memory is used only for what the file really holds."""


def given_bytes(path: Path) -> bytes:
    """What the file holds. Raises OSError, see check_is_file."""
    check_is_file(path)
    return path.read_bytes()


def given_sha256(path: Path) -> str:
    """The sha256 of the file's content, read in pieces. Raises OSError, see check_is_file."""
    check_is_file(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_is_file(path: Path) -> None:
    """Raises OSError for what is missing, and for a pipe, device or socket: a pipe may have no writer, a device no end.

    A folder passes: reading it says what it is.
    """
    if not is_file_or_folder(path):
        raise OSError(errno.EINVAL, _NO_FILE, os.fspath(path))


def found_bytes(path: Path, most_bytes: int = _MOST_FOUND_BYTES) -> bytes:
    """What a file in a folder of results or of a model holds. Raises OSError, see opened_found, also where it has more
    than most_bytes."""
    parts = list[bytes]()
    with opened_found(path) as file:
        left = -1 if os.fstat(file.fileno()).st_size > most_bytes else most_bytes
        while left >= 0 and (part := file.read(_AT_ONCE_BYTES)):  # some disks in the network state no size
            parts.append(part)
            left -= len(part)
    if left < 0:
        said = f"it has more than {most_bytes:,} bytes, and such a file is read up to that size"
        raise OSError(errno.EFBIG, said, os.fspath(path))
    return b"".join(parts)


@contextmanager
def opened_found(path: Path) -> Iterator[BinaryIO]:
    """A file in such a folder, or one that a link there leads to. Raises OSError for what can't be opened, see also
    check_is_file."""
    check_is_file(path)
    with path.open("rb") as file:
        yield file


def is_file_or_folder(path: Path) -> bool:
    """Whether it, or what it is a link to, is neither a pipe nor a device. Raises OSError for what is missing."""
    mode = path.stat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
