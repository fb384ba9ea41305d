"""A file read piece by piece from several threads, which must stay the file that it was when it was opened."""

import os
import threading
from pathlib import Path

_BINARY = getattr(os, "O_BINARY", 0)  # Windows turns line ends without it


class TileFile:
    """Pieces of one open file by offset and length. Raises OSError where it can't be opened."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._lock = threading.Condition()
        self._reading = 0
        self._closed = False
        self._file = os.open(path, os.O_RDONLY | _BINARY)
        self._state = _state(self._file)

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes.

        Raises OSError where they can't be read, lie beyond the end, or the file was changed since it was opened, and
        ValueError once closed.
        """
        self._enter()
        try:
            if _state(self._file) != self._state:
                raise OSError(None, "the file was changed while it was read")
            if offset + length > self._state[0]:  # asked first: some offsets are more than a system call takes
                raise OSError(None, "its data lie beyond the end of the file")
            piece = self._piece(offset, length)
            while 0 < len(piece) < length and (more := self._piece(offset + len(piece), length - len(piece))):
                piece += more  # a network's disk may give less than it is asked for
        finally:
            self._leave()
        if len(piece) < length:
            raise OSError(None, "the file ended before its data did")
        return piece

    def close(self) -> None:
        """Waits for the reads under way: the number of a closed file may be given to another one at once."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._lock.wait_for(lambda: self._reading == 0)
            os.close(self._file)

    def _piece(self, offset: int, length: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file, length, offset)
        with self._lock:  # Windows has one place in the file for all threads
            os.lseek(self._file, offset, os.SEEK_SET)
            return os.read(self._file, length)

    def _enter(self) -> None:
        with self._lock:
            if self._closed:
                raise ValueError(f"{self._name} is closed")
            self._reading += 1

    def _leave(self) -> None:
        with self._lock:
            self._reading -= 1
            if self._closed:
                self._lock.notify_all()


def _state(file: int) -> tuple[int, int]:
    """Size and time of the last change."""
    status = os.fstat(file)
    return status.st_size, status.st_mtime_ns
