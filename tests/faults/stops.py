"""Workers and whole runs that are killed, hang, break or are interrupted, and the run after that."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tests.faults.accounting import account, check_report, check_reports
from tests.faults.room import COMPLETE, INTERRUPTED, NOT_COMPLETE, Room, check
from tests.faults.scene import Scene
from tests.faults.stand_ins import STAGES

_ONE_SLOT = ("--slots", "1")
_STALL_MINUTES = 0.3
_PATIENCE_S = 250.0


def _worker_killed_once(stage: str) -> Scene:
    """The slide is tried again in a new worker, and comes out complete."""

    def act(room: Room) -> str:
        mishap = room.mishap("kill", "bad", stage)
        ran = room.run(room.good("bad.tif"), room.good(), expect=COMPLETE, options=_ONE_SLOT)
        check(mishap.happened() == 1, f"the worker was killed {mishap.happened()} times, not once")
        return f"{ran.status('bad')} at the second try"

    return Scene(f"worker killed once: {stage}", "tried again, complete; the other too", act)


def _worker_killed_twice(room: Room) -> str:
    mishap = room.mishap("kill", "bad", "tiles", times=9)
    ran = room.run(room.good("bad.tif"), room.good(), expect=NOT_COMPLETE, options=_ONE_SLOT)
    check(mishap.happened() == 2, f"it was tried {mishap.happened()} times, not twice")
    check(ran.status("good") == "complete", ran.reason("good"))
    check("SIGKILL" in ran.reason("bad"), ran.reason("bad"))
    check(len(set(mishap.pids())) == 2, "the same process was killed twice")
    return f"{ran.status('bad')}: {ran.reason('bad')}"


def _worker_crashes(room: Room) -> str:
    mishap = room.mishap("crash", "bad", "tissue", times=9)
    ran = room.run(room.good("bad.tif"), room.good(), expect=NOT_COMPLETE, options=_ONE_SLOT)
    check(mishap.happened() == 2, f"it was tried {mishap.happened()} times, not twice")
    check("SIGSEGV" in ran.reason("bad"), ran.reason("bad"))
    check(ran.status("good") == "complete", ran.reason("good"))
    return f"{ran.status('bad')}: {ran.reason('bad')}"


def _worker_leaves(room: Room) -> str:
    room.mishap("leave", "bad", "opening", times=9)
    ran = room.run(room.good("bad.tif"), room.good(), expect=NOT_COMPLETE, options=_ONE_SLOT)
    check("exit code 3" in ran.reason("bad"), ran.reason("bad"))
    check(ran.status("good") == "complete", ran.reason("good"))
    return f"{ran.status('bad')}: {ran.reason('bad')}"


def _worker_hangs(room: Room) -> str:
    mishap = room.mishap("hang", "bad", "tiles", times=9)
    options = ("--slots", "2", "--stall-minutes", str(_STALL_MINUTES))
    ran = room.run(room.good("bad.tif"), room.good(), expect=NOT_COMPLETE, options=options)
    check("no progress" in ran.reason("bad"), ran.reason("bad"))
    check(ran.status("good") == "complete", ran.reason("good"))
    check(not _alive(mishap.pids()), "the process that hung is still there")
    return f"{ran.status('bad')}: {ran.reason('bad')}"


def _defect(room: Room) -> str:
    """A defect of the program costs a slide; only its kind is said, and the traceback is kept in run.log."""
    room.mishap("break", "bad", "tissue", times=9)
    with_defect = room.command("run", *_both(room), *room.options(), expect=NOT_COMPLETE)
    reason = with_defect.reason("bad")
    check("ZeroDivisionError" in reason and "run.log" in reason, reason)
    check("planted by a fault case" not in reason, "the exception's text may hold paths, and stands in the summary")
    check("planted by a fault case" in (room.out / "run.log").read_text(), "no traceback in run.log")
    check(with_defect.status("good") == "complete", with_defect.reason("good"))
    account(room.out, ["bad", "good"], defects=["bad"])
    return f"{with_defect.status('bad')}: {reason}"


def _driver_killed(stage: str) -> Scene:
    """The finished slide's report stays as it is, and the second run does the rest."""

    def act(room: Room) -> str:
        slides = [room.good("a.tif"), room.good("bad.tif"), room.good("c.tif")]
        room.mishap("kill", "bad", stage)
        code = room.run_until_dead(*slides)
        check(code == -signal.SIGKILL, f"the run ended with {code}, it was to be killed")
        return f"killed with 1 of 3 done; resumed: {_resumed(room, slides, kept='a')}"

    return Scene(f"driver killed: {stage}", "the second run does the rest alone", act)


def _driver_killed_over_workers(room: Room) -> str:
    """Its workers end by themselves: nobody is left to write into the folder when the next run begins."""
    slides = [room.good("a.tif"), room.good("bad.tif")]
    mishap = room.mishap("hang", "bad", "tiles")
    driver = room.begin(*slides, options=("--slots", "2"))
    _until(lambda: mishap.happened() == 1 and (room.out / "a" / "report.json").is_file(), "a slide hangs, one is done")
    os.kill(driver, signal.SIGKILL)
    os.waitpid(driver, 0)
    _until(lambda: not _alive(mishap.pids()), "the worker of a dead driver has ended")
    return f"its worker ended too; resumed: {_resumed(room, slides, kept='a')}"


def _interrupted(number: signal.Signals, name: str) -> Scene:
    def act(room: Room) -> str:
        slides = [room.good("a.tif"), room.good("bad.tif")]
        mishap = room.mishap("hang", "bad", "tiles")
        driver = room.begin(*slides, options=("--slots", "2"))
        _until(
            lambda: mishap.happened() == 1 and (room.out / "a" / "report.json").is_file(), "a slide hangs, one is done"
        )
        os.kill(driver, number)
        code = os.waitstatus_to_exitcode(os.waitpid(driver, 0)[1])
        said = (room.folder / "said").read_text().splitlines()
        check(code == INTERRUPTED, f"exit code {code}: {' | '.join(said)}")
        check(len(said) == 1 and said[0].startswith("error: stopped"), " | ".join(said))
        check(not _alive(mishap.pids()), "a worker is left running")
        check_reports(room.out)
        return f"exit 130, {said[0][:50]}...; resumed: {_resumed(room, slides, kept='a')}"

    return Scene(name, "exit 130, no worker left, resume works", act)


def _resumed(room: Room, slides: Sequence[Path], *, kept: str) -> str:
    """The run after: complete, and without a second scan of what was done."""
    _whole_reports(room)
    done = room.out / kept / "report.json"
    before = done.stat().st_mtime_ns
    room.run(*slides, expect=COMPLETE)
    check(done.stat().st_mtime_ns == before, f"{kept} was whole, and scanned again")
    return f"{len(slides)} complete"


def _whole_reports(room: Room) -> None:
    """Whatever was killed: a report that stands is whole. Half-written files lie hidden beside, until the next run."""
    for part in room.out.rglob("*.part"):
        check(part.name.startswith("."), f"{part.name} can be taken for a result")
    for report in room.out.glob("*/report.json"):
        if not report.parent.name.startswith("."):
            check_report(report)


def _both(room: Room) -> tuple[str, str]:
    return str(room.good("bad.tif")), str(room.good())


def _alive(pids: Sequence[int]) -> bool:
    """Whether one of them runs; one that has ended and isn't reaped yet doesn't."""
    for pid in pids:
        with suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                return True
    return False


def _until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not holds():
        check(time.monotonic() < end, f"waited in vain until {what}")
        time.sleep(0.05)


STOPS: tuple[Scene, ...] = (
    *(_worker_killed_once(stage) for stage in STAGES),
    Scene("worker killed twice", "failed with the signal; the other complete", _worker_killed_twice),
    Scene("worker crashes in a library", "failed with the signal; the other complete", _worker_crashes),
    Scene("worker leaves by itself", "failed with its exit code", _worker_leaves),
    Scene("worker hangs", "stopped and recorded; the other complete", _worker_hangs),
    Scene("defect in the program", "costs one slide; traceback in run.log", _defect),
    *(_driver_killed(stage) for stage in STAGES),
    Scene("driver killed over two workers", "they end; the second run does the rest", _driver_killed_over_workers),
    _interrupted(signal.SIGINT, "Ctrl-C"),
    _interrupted(signal.SIGTERM, "SIGTERM"),
)
