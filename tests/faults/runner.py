"""Runs each case in a process of its own, with a clock over it, and says what came of it."""

import json
import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.faults.room import NOT_COMPLETE, Room, Skipped

MEMORY_BYTES = 6 * 2**30
"""What a case may take beyond what it starts with: an absurd slide must not cost the machine."""

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Case(Protocol):
    """act: makes the fault, asserts what must hold and says what happened; raises Skipped where it can't be made.

    limit_s: from then on it hangs.
    """

    @property
    def name(self) -> str: ...

    @property
    def must(self) -> str: ...

    @property
    def limit_s(self) -> float: ...

    @property
    def act(self) -> Callable[[Room], str]: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one case. result: PASSED, FAILED or SKIPPED; happened: one line."""

    case: Case
    result: str
    happened: str
    seconds: float


@dataclass(slots=True)
class _Child:
    case: Case
    pid: int
    answer: int
    folder: Path
    started: float


def run_cases(cases: Sequence[Case], *, jobs: int = 1, patience: float = 1.0) -> Iterator[Verdict]:
    """Each case's verdict as soon as it is known, `jobs` of them at a time. patience: multiplies every limit."""
    _warm_up()
    waiting, running = list(reversed(cases)), list[_Child]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_begin(waiting.pop()))
            for child in list(running):
                verdict = _look(child, patience)
                if verdict is not None:
                    running.remove(child)
                    yield verdict
            time.sleep(0.01)
    finally:
        for child in running:
            _end(child)


def _warm_up() -> None:
    """Scan here first, so that what is imported late is imported once, and is there for a case under another uid."""
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        room = Room(Path(folder))
        (room.slides / "bad.tif").write_bytes(b"not a slide")
        room.run(room.good(tumour_um=400), room.slides / "bad.tif", expect=NOT_COMPLETE)


def _begin(case: Case) -> _Child:
    folder = Path(tempfile.mkdtemp(prefix="fault-"))
    folder.chmod(0o755)  # a case may go on as another user
    answer, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(answer)
        os.setpgid(0, 0)
        _child(case, folder, write)
    os.close(write)
    with suppress(OSError):  # the child may have done it already
        os.setpgid(pid, pid)
    return _Child(case, pid, answer, folder, time.monotonic())


def _child(case: Case, folder: Path, write: int) -> None:
    """The rest of a child's life."""
    try:
        _limit_memory()
        os.chdir(folder)
        result, happened = _acted(case.act, Room(folder))
    except BaseException as error:
        result, happened = FAILED, f"{type(error).__name__}: {error}"
    os.write(write, json.dumps([result, " ".join(happened.split())[:2000]]).encode())
    os._exit(0)


def _acted(act: Callable[[Room], str], room: Room) -> tuple[str, str]:
    try:
        return PASSED, act(room)
    except Skipped as reason:
        return SKIPPED, str(reason)
    except AssertionError as error:
        return FAILED, str(error)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _look(child: _Child, patience: float) -> Verdict | None:
    """The verdict where the child has ended or its time is up."""
    seconds, limit_s = time.monotonic() - child.started, child.case.limit_s * patience
    pid, status = os.waitpid(child.pid, os.WNOHANG)
    if pid == 0 and seconds < limit_s:
        return None
    if pid == 0:
        _end(child)
        return Verdict(child.case, FAILED, f"hung: still at it after {limit_s:g} s", seconds)
    answer = os.read(child.answer, 65536)
    _end(child, reaped=True)
    if not answer:
        return Verdict(child.case, FAILED, f"the process died ({_death(status)})", seconds)
    result, happened = json.loads(answer)
    return Verdict(child.case, result, happened, seconds)


def _end(child: _Child, *, reaped: bool = False) -> None:
    """Whatever the case started ends with it, and its folder goes."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    if not reaped:
        os.waitpid(child.pid, 0)
    os.close(child.answer)
    shutil.rmtree(child.folder, ignore_errors=True)


def _death(status: int) -> str:
    number = os.waitstatus_to_exitcode(status)
    return f"signal {signal.Signals(-number).name}" if number < 0 else f"exit code {number}"
