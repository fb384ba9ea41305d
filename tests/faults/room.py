"""The room that each fault case gets to itself: a folder, good slides to spoil, and the commands run there."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nodescan.batch import run as batch
from nodescan.batch.worker_messages import ScanJob
from nodescan.cli import main
from tests.fakes import paint_slide
from tests.faults import stand_ins
from tests.faults.accounting import account, check_lines, rows
from tests.faults.stand_ins import Mishap

COMPLETE, NOT_COMPLETE, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
NOBODY = 65534


class Skipped(Exception):
    """What this machine can't do; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One command that has ended. lines: of stderr; rows: of summary.csv, by slide_id."""

    code: int
    lines: tuple[str, ...]
    rows: dict[str, dict[str, str]]

    def status(self, slide_id: str) -> str:
        return self.rows[slide_id]["status"]

    def reason(self, slide_id: str) -> str:
        return self.rows[slide_id]["reason"]


@dataclass(slots=True)
class Room:
    """A folder for one case, with `slides` and `out` in it. network: True where the real one is to be opened."""

    folder: Path
    network: bool = False

    def __post_init__(self) -> None:
        self.slides.mkdir(parents=True, exist_ok=True)

    @property
    def slides(self) -> Path:
        return self.folder / "slides"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def good(self, name: str = "good.tif", *, tumour_um: int = 0) -> Path:
        """A slide that nothing is wrong with."""
        return paint_slide(self.slides / name, tumour_um=tumour_um)

    def mishap(self, what: str, slide: str, stage: str, *, times: int = 1, path: Path | None = None) -> Mishap:
        """Lay one in wait for a slide."""
        laid = Mishap(what, slide, stage, str(self.folder / "mishap"), times, "" if path is None else str(path))
        laid.lay()
        return laid

    def run(
        self,
        *inputs: Path | str,
        expect: int,
        options: Sequence[str] = (),
        asked: Sequence[str] | None = None,
    ) -> Ran:
        """`nodescan run`, in this process where `options` don't say --slots; then the accounts must add up.

        expect: the exit code. asked: ids of the slides, the stems of `inputs` if not given.
        """
        given = [str(path) for path in inputs]
        ran = self.command("run", *given, *self.options(*options), expect=expect)
        if expect in (COMPLETE, NOT_COMPLETE):
            account(self.out, [Path(path).stem for path in given] if asked is None else asked)
        return ran

    def options(self, *given: str) -> tuple[str, ...]:
        """Of `nodescan run`: quiet, into this room, and in this process unless `given` says how many slots."""
        slots = () if "--slots" in given else ("--slots", "0")
        return "--out", str(self.out), "--quiet", *slots, *given

    def command(self, *words: str, expect: int) -> Ran:
        """Any command of nodescan, with what it says on stderr."""
        with heard() as said, self.wired():
            code = main(list(words))
        lines = said()
        check_lines(lines)
        if code != expect:
            raise AssertionError(f"exit code {code}, not {expect}; it said: {' | '.join(lines) or 'nothing'}")
        if code in (WRONG_USAGE, INTERRUPTED) and len(lines) != 1:
            raise AssertionError(f"exit code {code} wants one line on stderr, not: {' | '.join(lines) or 'nothing'}")
        return Ran(code, lines, {row["slide_id"]: row for row in rows(self.out)})

    def run_until_dead(self, *inputs: Path | str, options: Sequence[str] = ()) -> int:
        """`nodescan run` in a process of its own, until that ends: its exit code, or minus the signal."""
        pid = self.begin(*inputs, options=options)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def begin(self, *inputs: Path | str, options: Sequence[str] = ()) -> int:
        """Start `nodescan run` in a process of its own: its number. Its words are kept in the file `said`."""
        pid = os.fork()
        if pid == 0:
            with (self.folder / "said").open("ab") as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
            with self.wired():
                os._exit(main(["run", *map(str, inputs), *self.options(*options)]))
        return pid

    @contextmanager
    def wired(self) -> Iterator[None]:
        """The stand-in in the network's place, which costs seconds and answers for nothing here."""
        if self.network:
            yield
            return
        kept = batch.ScanJob
        batch.ScanJob = partial(ScanJob, opener=stand_ins.OPENER)  # pyright: ignore[reportAttributeAccessIssue]
        try:
            yield
        finally:
            batch.ScanJob = kept


@contextmanager
def heard() -> Iterator[Callable[[], tuple[str, ...]]]:
    """Catches stderr below Python, where native libraries write too; stdout goes nowhere. Yields what gives the lines.

    The lines may be asked for inside the block and after it.
    """
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file, open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(file.fileno(), 2)
        lines: list[str] = []

        def said() -> tuple[str, ...]:
            if not file.closed:
                sys.stderr.flush()
                text = os.pread(file.fileno(), 1_000_000, 0).decode("utf-8", "replace")
                lines[:] = text.splitlines()
            return tuple(lines)

        try:
            yield said
        finally:
            sys.stdout.flush()
            said()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.close(kept[0])
            os.close(kept[1])


@contextmanager
def as_nobody() -> Iterator[None]:
    """Under another uid, for root may read everything. Raises Skipped where that can't be had."""
    if os.geteuid() != 0:
        raise Skipped("only root can become another user")
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def check(holds: bool, otherwise: str) -> None:
    """Raise AssertionError, with what was seen instead, unless it holds."""
    if not holds:
        raise AssertionError(otherwise)
