"""Runs a command as a user would, and watches what it and its children hold in memory."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodescan.errors import NodescanError

SAMPLE_S = 0.1
_ENDING_S = 20.0
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Run:
    """A finished command. started: seconds since 1970; peak_rss_bytes: summed over its processes, at its highest.

    Pages that processes share count once for each; what lives for less than SAMPLE_S may be missed.
    """

    started: float
    seconds: float
    peak_rss_bytes: int
    exit_code: int
    output: str


def run_watched(command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> Run:
    """Run a command to its end. Raises NodescanError where it can't be started; a failure is in exit_code.

    environment: added to this process' own.
    """
    words = [str(word) for word in command]
    started, clock = time.time(), time.perf_counter()
    try:
        process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(environment or {})},
        )
    except OSError as error:
        raise NodescanError(f"{words[0]}: can't be started ({error.strerror}); check that it is installed") from error
    watch = _Watch(process.pid)
    watch.start()
    try:
        output, _ = process.communicate()
    finally:
        _end(process)
        watch.stop()
    return Run(started, time.perf_counter() - clock, watch.peak_bytes, process.returncode, output)


def _end(process: "subprocess.Popen[str]") -> None:
    """In order, so that it ends what it started; at once where that takes it longer than _ENDING_S."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def check_memory_told() -> None:
    """Raises NodescanError where the system doesn't tell what memory a process takes."""
    if not (_told_by_proc() or shutil.which("ps")):
        raise NodescanError("--what memory: needs /proc or the command ps, and this system has neither; use Linux")


def tree_rss_bytes(root: int) -> int:
    """Resident memory of a process and all its descendants, 0 where it has ended. Linux reads /proc, others ask ps."""
    rows = _from_proc() if _told_by_proc() else _from_ps()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in rows.items():
        children.setdefault(parent, []).append(pid)
    waiting, total = [root], 0
    while waiting:
        pid = waiting.pop()
        total += rows[pid][1] if pid in rows else 0
        waiting.extend(children.get(pid, ()))
    return total


class _Watch(threading.Thread):
    """Looks at a tree of processes every SAMPLE_S."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root, self._ended = root, threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        while not self._ended.is_set():
            self.peak_bytes = max(self.peak_bytes, tree_rss_bytes(self._root))
            self._ended.wait(SAMPLE_S)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _told_by_proc() -> bool:
    return (_PROC / "self" / "stat").exists()


def _from_proc() -> dict[int, tuple[int, int]]:
    """Process -> its parent and its resident bytes."""
    page = os.sysconf("SC_PAGE_SIZE")
    rows: dict[int, tuple[int, int]] = {}
    for name in os.listdir(_PROC):
        if name.isdigit():
            try:
                text = (_PROC / name / "stat").read_text(errors="replace")
            except OSError:  # it ended meanwhile
                continue
            words = text[text.rindex(")") + 2 :].split()  # the name before may hold anything
            rows[int(name)] = int(words[1]), int(words[21]) * page
    return rows


def _from_ps() -> dict[int, tuple[int, int]]:
    if shutil.which("ps") is None:
        return {}
    said = subprocess.run(["ps", "-axo", "pid=,ppid=,rss="], capture_output=True, text=True, check=False).stdout
    rows = (line.split() for line in said.splitlines())
    return {int(pid): (int(parent), int(kilobytes) * 1024) for pid, parent, kilobytes in rows}
