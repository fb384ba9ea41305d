"""Waits for what other processes do, and tells whether one has ended."""

import os
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 120.0
"""For a machine that is busy; on a free one each step takes a second or two."""


def until(true: Callable[[], object], why: Callable[[], str] = lambda: "") -> None:
    """Wait for something to come true. why: what to say where it doesn't."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, why()
        time.sleep(0.05)


def gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has collected yet has."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return stat.is_file() and stat.read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True
