"""Ctrl-C, SIGTERM and SIGHUP: each ends the program in order."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED, STOPPED = 130, "stopped by the user"
"""The exit code of what a signal ended, as of a shell's 128 and SIGINT's 2; and what is said of it."""

LEAVING_S = 5.0
"""Signals that come so soon after one that ended the block don't disturb its leaving."""


@contextmanager
def ended_like_ctrl_c(*, for_good: bool = False) -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as Ctrl-C does, so that it is left in order; what is ignored stays ignored.

    The first of them ends it; those that come in the next LEAVING_S, while it is left and its last record is written,
    are ignored. Later ones end it again: a library may have kept the first to itself.

    for_good: the program ends with the block. Where a signal ended it, those that come until the process is gone are
    ignored, too: they would take the place of its exit code.
    """
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():  # signals are for the main thread alone
        numbers = []
    unheard = (None, signal.SIG_IGN)
    before = {number: handler for number in numbers if (handler := signal.getsignal(number)) not in unheard}
    ended: float | None = None

    def end(_number: int, _frame: object) -> None:
        nonlocal ended
        now = time.monotonic()
        if ended is None or now - ended > LEAVING_S:
            ended = now
            raise KeyboardInterrupt

    try:
        for number in before:
            signal.signal(number, end)
        yield
    finally:
        leaving = for_good and ended is not None
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if leaving else handler)
