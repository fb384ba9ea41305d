"""Files that a user names, so read that none makes the program wait for ever, or fills memory without end."""

import errno
import os
import stat
from io import BytesIO
from pathlib import Path

_OF_A_SHELL = ("/dev/fd/", "/dev/stdin", "/proc/")
"""Where <(...) and standard input stand."""

_piped: dict[tuple[int, int], bytes] = {}
"""What pipes held, by device and number: it can be read once, and several ask for it."""


def given_bytes(path: Path) -> bytes:
    """What the file holds. Raises OSError, see check_file."""
    pipe = _pipe_at(path)
    if pipe is None:
        return path.read_bytes()
    if pipe not in _piped:
        _piped[pipe] = path.read_bytes()
    return _piped[pipe]


def file_to_seek(path: Path) -> Path | BytesIO:
    """The file itself, or what a pipe held, for a reader that goes back in it. Raises OSError, see check_file."""
    return path if _pipe_at(path) is None else BytesIO(given_bytes(path))


def check_file(path: Path) -> None:
    """Raises OSError for what is missing, and for what is neither a file nor a pipe that a shell made: one that was
    made by hand has perhaps no writer, and a device no end."""
    _pipe_at(path)


def is_pipe(path: Path) -> bool:
    """Whether a shell made it, as of <(...). Raises OSError, see check_file."""
    return _pipe_at(path) is not None


def _pipe_at(path: Path) -> tuple[int, int] | None:
    """Device and number of a pipe that a shell made; None for a file. Raises OSError, see check_file."""
    state = path.stat()
    if stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode):  # of a folder, reading itself says what it is
        return None
    if stat.S_ISFIFO(state.st_mode) and os.fspath(path).startswith(_OF_A_SHELL):
        return state.st_dev, state.st_ino
    raise OSError(errno.EINVAL, "it is a named pipe or a device, not a file", os.fspath(path))
