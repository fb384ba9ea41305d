"""Ctrl-C, SIGTERM, SIGHUP and Windows' Ctrl-Break: each ends the program in order."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nodescan.errors import no_thread

INTERRUPTED, STOPPED = 130, "stopped by the user"
"""The exit code after a signal (a shell's 128 plus SIGINT's 2), and the message."""

LEAVING_S = 5.0
"""Signals that come so soon after the one that ended the block are ignored, so that the block can end in order."""


_IMPORTING = "<frozen importlib._bootstrap>"


class _Heard:
    """at: by time.monotonic(), when a signal ended the block that is innermost now; None where none did."""

    at: float | None = None


def raise_if_ended() -> None:
    """Raises KeyboardInterrupt where a signal came already, and nobody heard of it.

    Python only prints an exception that is raised while an object is deleted, or in a callback from other code.
    """
    if _Heard.at is not None:
        raise KeyboardInterrupt


@contextmanager
def ended_like_ctrl_c(*, for_good: bool = False) -> Iterator[None]:
    """SIGTERM, SIGHUP and SIGBREAK end the block as Ctrl-C does, so that it is left in order.

    What is ignored stays ignored. The first of them ends it; those that come in the next LEAVING_S, while it is left
    and its last record is written, are ignored. Later ones end it again: a library may have kept the first to itself.
    Raises WorkerError in the midst of an import where the system gives no more threads: it is OpenBLAS that raises
    SIGINT then, in its own process.

    for_good: the program ends with the block. Where a signal ended it, those that come until the process is gone are
    ignored, too: they would take the place of its exit code.
    """
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # each system lacks one, at least
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():  # signals are for the main thread alone
        numbers = []
    unheard = (None, signal.SIG_IGN)
    before = {number: handler for number in numbers if (handler := signal.getsignal(number)) not in unheard}
    outside, _Heard.at = _Heard.at, None

    def end(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if _Heard.at is None or now - _Heard.at > LEAVING_S:
            _Heard.at = now
            raise no_thread() if number == signal.SIGINT and _starved(frame) else KeyboardInterrupt

    try:
        for number in before:
            signal.signal(number, end)
        yield
    finally:
        leaving = for_good and _Heard.at is not None
        _Heard.at = outside
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if leaving else handler)


def _starved(frame: FrameType | None) -> bool:
    """Whether something is being imported, and no thread can be started."""
    while frame is not None and frame.f_code.co_filename != _IMPORTING:
        frame = frame.f_back
    if frame is None:
        return False
    try:
        threading.Thread(target=int, daemon=True).start()
    except RuntimeError:
        return True
    return False
