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
    check_file(path)
    state = path.stat()
    if not stat.S_ISFIFO(state.st_mode):
        return path.read_bytes()
    pipe = (state.st_dev, state.st_ino)
    if pipe not in _piped:
        _piped[pipe] = path.read_bytes()
    return _piped[pipe]


def file_to_seek(path: Path) -> Path | BytesIO:
    """The file itself, or what a pipe held, for a reader that goes back in it. Raises OSError, see check_file."""
    check_file(path)
    return BytesIO(given_bytes(path)) if stat.S_ISFIFO(path.stat().st_mode) else path


def check_file(path: Path) -> None:
    """Raises OSError for what is missing, and for what is neither a file nor a pipe that a shell made: one that was
    made by hand has perhaps no writer, and a device no end."""
    kind = path.stat().st_mode
    piped = stat.S_ISFIFO(kind) and os.fspath(path).startswith(_OF_A_SHELL)
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or piped):  # of a folder, reading itself says what it is
        raise OSError(errno.EINVAL, "it is a named pipe or a device, not a file", os.fspath(path))
