"""The run after: locks that were left, forged or lost, and reports that no longer fit what is asked."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from nodescan.batch.lock import LOCK_FILE, SILENT_S, Holder, held, process_start, this_process
from nodescan.config import default_config_path
from tests.faults import spoilt, stand_ins
from tests.faults.accounting import check_report
from tests.faults.room import COMPLETE, NOT_COMPLETE, WRONG_USAGE, Room, check
from tests.faults.scene import Scene


def _put_lock(room: Room, holder: Holder | None, *, silent_s: float = 0.0) -> Path:
    """A lock file in the output folder; None: of no sense."""
    room.out.mkdir(exist_ok=True)
    lock = room.out / LOCK_FILE
    lock.write_text("not a lock" if holder is None else json.dumps(asdict(holder)))
    then = time.time() - silent_s
    os.utime(lock, (then, then))
    return lock


def _taken(room: Room) -> str:
    """The run goes through, and leaves no lock."""
    room.run(room.good(), expect=COMPLETE)
    check(not (room.out / LOCK_FILE).exists(), "the lock is left behind")
    return "taken over, complete"


def _refused(room: Room) -> str:
    """The run is refused with one line, and the lock is as it was."""
    lock = room.out / LOCK_FILE
    before = lock.read_bytes()
    ran = room.run(room.good(), expect=WRONG_USAGE)
    check("another" in ran.lines[0] and "out" in ran.lines[0], ran.lines[0])
    check(lock.read_bytes() == before, "the lock was changed")
    return ran.lines[0].replace(str(room.folder), "")


def _dead_holder() -> Holder:
    """This host, and a process that has ended."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return replace(this_process(), pid=pid)


def _left_behind(room: Room) -> str:
    _put_lock(room, _dead_holder())
    return _taken(room)


def _number_reused(room: Room) -> str:
    """Another process lives under the dead run's number."""
    _put_lock(room, replace(this_process(), pid=os.getppid(), process_start="1"))
    check(process_start(os.getppid()) != "1", "the parent began at the system's first tick")
    return _taken(room)


def _other_host(silent_s: float) -> Callable[[Room], str]:
    def act(room: Room) -> str:
        _put_lock(room, replace(this_process(), host="elsewhere", machine="another"), silent_s=silent_s)
        return _refused(room) if silent_s < SILENT_S else _taken(room)

    return act


def _second_run(room: Room) -> str:
    """The first run lives, in a worker of another process here."""
    room.out.mkdir()
    with held(room.out):
        return _refused(room)


def _nonsense_lock(room: Room) -> str:
    _put_lock(room, None, silent_s=SILENT_S + 60)
    return _taken(room)


def _fresh_nonsense(room: Room) -> str:
    _put_lock(room, None)
    return _refused(room)


def _lock_lost(room: Room) -> str:
    """From then on nothing more is written: the slide that ran has no report, the finished one is whole."""
    room.out.mkdir()
    room.mishap("unlink", "bad", "tiles", path=room.out / LOCK_FILE)
    slides = [str(room.good("a.tif")), str(room.good("bad.tif")), str(room.good("c.tif"))]
    ran = room.command("run", *slides, *room.options(), expect=NOT_COMPLETE)
    check("no longer holds" in ran.lines[0], ran.lines[0])
    check_report(room.out / "a" / "report.json")
    for name in ("bad", "c"):
        check(not (room.out / name / "report.json").exists(), f"{name} was reported all the same")
    return ran.lines[0].replace(str(room.folder), "")


def _untouched(room: Room) -> str:
    """Nothing changed, so nothing is done again."""
    made = _made(room)
    room.run(*_two(room), expect=COMPLETE)
    check(_made(room) == made, "a slide was scanned again")
    return "both kept"


def _corrupt(name: str, how: str, content: bytes | None) -> Scene:
    """One file of the first slide's report is damaged."""

    def act(room: Room) -> str:
        made = _made(room)
        path = room.out / "a" / name
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        room.run(*_two(room), expect=COMPLETE)
        check(_made(room)["b"] == made["b"], "the other slide was scanned again")
        check(_made(room)["a"] != made["a"], "the damaged report was kept")
        return "redone; the other kept"

    return Scene(f"earlier {name} {how}", "that slide redone, the other kept", act)


def _changed_slide(room: Room) -> str:
    made = _made(room)
    first, second = _two(room)
    spoilt.plain_tiff(first)
    room.run(first, second, expect=COMPLETE)
    check(_made(room)["a"] != made["a"], "the report of the old file was kept")
    check(_made(room)["b"] == made["b"], "the other slide was scanned again")
    return "redone; the other kept"


def _slide_lost(room: Room) -> str:
    """The file isn't there now, as when its disk is away: nothing could be scanned, so nothing finished is lost."""
    made = _made(room)
    first, second = _two(room)
    first.unlink()
    first.symlink_to("nowhere.tif")
    ran = room.run(first, second, expect=COMPLETE)
    check(ran.status("a") == "complete", f"a is {ran.status('a')}")
    check(_made(room) == made, "a report was replaced")
    return "kept, and said"


def _changed_config(room: Room) -> str:
    made = _made(room)
    config = room.folder / "other.yaml"
    config.write_text(
        default_config_path().read_text(encoding="utf-8").replace("joining_gap_um: 0.0", "joining_gap_um: 9.0")
    )
    room.run(*_two(room), expect=COMPLETE, options=["--config", str(config)])
    check(all(made[name] != now for name, now in _made(room).items()), "a report of other settings was kept")
    return "both redone"


def _changed_weights(room: Room) -> str:
    made = _made(room)
    stand_ins.predictor.model = replace(stand_ins.predictor.model, weights_sha256="f" * 64)
    room.run(*_two(room), expect=COMPLETE)
    check(all(made[name] != now for name, now in _made(room).items()), "a report of other weights was kept")
    return "both redone"


def _force(room: Room) -> str:
    made = _made(room)
    room.run(*_two(room), expect=COMPLETE, options=["--force"])
    check(all(made[name] != now for name, now in _made(room).items()), "a slide was kept in spite of --force")
    return "both redone"


def _two(room: Room) -> tuple[Path, Path]:
    return room.slides / "a.tif", room.slides / "b.tif"


def _made(room: Room) -> dict[str, int]:
    """When each report was made; the first call makes them."""
    if not room.out.exists():
        room.run(room.good("a.tif"), room.good("b.tif"), expect=COMPLETE)
    return {path.parent.name: path.stat().st_mtime_ns for path in room.out.glob("*/report.json")}


AGAIN: tuple[Scene, ...] = (
    Scene("lock left behind by a dead run", "taken over", _left_behind),
    Scene("lock of a number that was reused", "taken over", _number_reused),
    Scene("lock of another host, fresh", "exit 2 with one line", _other_host(1.0)),
    Scene("lock of another host, silent 6 min", "taken over", _other_host(SILENT_S + 60)),
    Scene("lock that is no lock, fresh", "exit 2 with one line", _fresh_nonsense),
    Scene("lock that is no lock, old", "taken over", _nonsense_lock),
    Scene("second run while the first lives", "exit 2 with one line", _second_run),
    Scene("lock lost in mid-run", "stops, writes nothing more", _lock_lost),
    Scene("nothing changed", "both slides kept", _untouched),
    _corrupt("report.json", "corrupt", b"{ not json"),
    _corrupt("report.json", "empty", b""),
    _corrupt("report.json", "nested without end", b"[" * 50_000),
    _corrupt("heatmap.png", "cut off", b"half"),
    _corrupt("probability.ome.tif", "missing", None),
    Scene("slide file changed", "redone; the other kept", _changed_slide),
    Scene("slide file gone since", "kept: a disk that is away costs no result", _slide_lost),
    Scene("settings changed", "both redone", _changed_config),
    Scene("weights changed", "both redone", _changed_weights),
    Scene("--force", "both redone", _force),
)
