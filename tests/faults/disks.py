"""Disks that are full, read-only or gone, files that vanish, and permissions that are missing."""

import ctypes
import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.faults.accounting import check_report
from tests.faults.room import COMPLETE, NOT_COMPLETE, WRONG_USAGE, Room, Skipped, as_nobody, check
from tests.faults.scene import Scene

_CLONE_NEWNS = 0x00020000


def mount_tmpfs(folder: Path, *options: str) -> None:
    """A small disk in memory, seen by this process alone and gone with it. Raises Skipped where that isn't allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    if not hasattr(ctypes, "CDLL") or os.name != "posix" or os.geteuid() != 0:
        raise Skipped("only root on Linux can mount a small disk")
    try:
        unshared = ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS)
    except (OSError, AttributeError):
        unshared = -1
    if unshared != 0:
        raise Skipped(f"no mount namespace of its own ({os.strerror(ctypes.get_errno())})")
    for words in (["--make-rprivate", "/"], ["-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]):
        try:
            done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
        except OSError as error:
            raise Skipped(f"mount can't be run ({error.strerror})") from None
        if done.returncode:
            raise Skipped(f"this machine doesn't allow mounts ({done.stderr.strip()})")


def _disk_fills(room: Room) -> str:
    """There is room for the first slide's reports and not for the second's."""
    first, second = room.good("a.tif"), room.good("b.tif")
    room.run(first, expect=COMPLETE)
    size = sum(path.stat().st_size for path in room.out.rglob("*") if path.is_file())
    mount_tmpfs(room.out, f"size={int(size * 1.5) // 4096 * 4096}")
    ran = room.run(first, second, expect=NOT_COMPLETE)
    check(ran.status("a") == "complete", ran.reason("a"))
    check("No space left" in ran.reason("b"), f"{ran.status('b')}: {ran.reason('b')}")
    return f"1 complete, {ran.status('b')}: {ran.reason('b')}"


def _disk_full_at_once(room: Room) -> str:
    """Not even summary.csv can be written: that is said, and is no success."""
    slide = room.good("a.tif")
    mount_tmpfs(room.out, "size=16k")
    with suppress(OSError):  # it is to fail: the disk is full then
        (room.out / "filler").write_bytes(bytes(16 * 1024))
    ran = room.command("run", str(slide), *room.options(), expect=WRONG_USAGE)
    check("No space left" in ran.lines[0] and "out" in ran.lines[0], ran.lines[0])
    return ran.lines[0].replace(str(room.folder), "")


def _no_room_for_a_second_result(room: Room) -> str:
    """A second run meets a full disk: the older report isn't left to pass for its own."""
    slide = room.good("a.tif")
    mount_tmpfs(room.out, "size=4m")
    room.run(slide, expect=COMPLETE)
    free = os.statvfs(room.out).f_bavail * os.statvfs(room.out).f_frsize
    (room.out / "filler").write_bytes(bytes(max(0, free - 64 * 1024)))
    ran = room.run(slide, expect=NOT_COMPLETE, options=["--force"])
    check(any("No space left" in line for line in ran.lines), " | ".join(ran.lines))
    standing = [json.loads(path.read_text())["status"] for path in room.out.glob("*/report.json")]
    check(standing in ([], ["failed"]), f"the older report stands: {standing}")  # a failure is short, and may find room
    return ran.lines[0].replace(str(room.folder), "")


def _read_only(room: Room) -> str:
    slide = room.good("a.tif")
    mount_tmpfs(room.out, "ro")
    ran = room.run(slide, expect=WRONG_USAGE)
    check("Read-only" in ran.lines[0], ran.lines[0])
    return ran.lines[0].replace(str(room.folder), "")


def _output_removed(room: Room) -> str:
    """Whoever removes the folder wants nothing more written there: the run stops and says so."""
    room.mishap("remove folder", "bad", "tiles", path=room.out)
    slides = [str(room.good("a.tif")), str(room.good("bad.tif")), str(room.good("c.tif"))]
    ran = room.command("run", *slides, *room.options(), expect=NOT_COMPLETE)
    left = [path.name for path in room.out.rglob("*")] if room.out.exists() else []
    check(not left, f"after that it wrote {left}")
    return ran.lines[0].replace(str(room.folder), "")


def _output_is_a_file(room: Room) -> str:
    room.out.write_text("kept")
    ran = room.run(room.good(), expect=WRONG_USAGE)
    check(room.out.read_text() == "kept", "the file was overwritten")
    return ran.lines[0].replace(str(room.folder), "")


def _summary_is_a_folder(room: Room) -> str:
    """The slides are scanned all the same, and the run is no success."""
    (room.out / "summary.csv").mkdir(parents=True)
    ran = room.command("run", str(room.good()), *room.options(), expect=NOT_COMPLETE)
    check("summary.csv" in ran.lines[0], " | ".join(ran.lines))
    check_report(room.out / "good" / "report.json")
    return ran.lines[0].replace(str(room.folder), "")


def _vanishes_before_its_turn(room: Room) -> str:
    gone = room.good("gone.tif")
    room.mishap("unlink", "good", "tiles", path=gone)
    ran = room.run(room.good(), gone, expect=NOT_COMPLETE)
    check(ran.status("good") == "complete", ran.reason("good"))
    check("isn't there" in ran.reason("gone"), ran.reason("gone"))
    return f"{ran.status('gone')}: {ran.reason('gone')}"


def _vanishes_while_read(room: Room) -> str:
    gone = room.good("gone.tif")
    mishap = room.mishap("unlink", "gone", "tiles", path=gone)
    ran = room.run(gone, room.good(), expect=NOT_COMPLETE)
    check(mishap.happened() == 1, "the file was never removed")
    check(ran.status("good") == "complete", ran.reason("good"))
    check(ran.status("gone") == "failed", f"{ran.status('gone')}: a report of a file that nobody can look at again")
    return f"{ran.status('gone')}: {ran.reason('gone')}"


def _folder_vanishes(room: Room) -> str:
    """A network drive that is gone: every slide on it fails in its own row."""
    room.good("share/a.tif")
    room.good("share/b.tif")
    room.mishap("remove folder", "a", "tiles", path=room.slides / "share")
    ran = room.run(room.slides / "share" / "a.tif", room.slides / "share" / "b.tif", room.good(), expect=NOT_COMPLETE)
    check(ran.status("good") == "complete", ran.reason("good"))
    return f"b {ran.status('b')}: {ran.reason('b')}"


def _unreadable_slide(room: Room) -> str:
    bad, good = room.good("bad.tif"), room.good()
    bad.chmod(0)
    _for_everyone(room)
    with as_nobody():
        ran = room.run(bad, good, expect=NOT_COMPLETE)
    check(ran.status("good") == "complete", ran.reason("good"))
    check("permission" in ran.reason("bad"), ran.reason("bad"))
    return f"{ran.status('bad')}: {ran.reason('bad')}"


def _unreadable_folder(room: Room) -> str:
    """Passed over in silence, it could be a patient's only positive node."""
    room.good()
    closed = room.good("closed/a.tif").parent
    closed.chmod(0)
    row = "folder-not-listed"
    _for_everyone(room)
    with as_nobody():
        ran = room.run(room.slides, expect=NOT_COMPLETE, asked=[row, "good"])
    check(ran.status(row) == "failed" and "ermission" in ran.reason(row), f"{ran.status(row)}: {ran.reason(row)}")
    check(ran.status("good") == "complete", ran.status("good"))
    return f"{row} {ran.status(row)}: {ran.reason(row)}"


def _unwritable_output(room: Room) -> str:
    slide = room.good()
    room.out.mkdir()
    with as_nobody():
        ran = room.run(slide, expect=WRONG_USAGE)
    check("ermission" in ran.lines[0], ran.lines[0])
    return ran.lines[0].replace(str(room.folder), "")


def _another_users_report(room: Room) -> str:
    """A slide's folder that belongs to somebody else costs that slide, and its old report stays whole."""
    slides = [room.good("a.tif"), room.good("b.tif")]
    room.run(slides[0], expect=COMPLETE)
    (room.out / "a").chmod(0o755)
    _for_everyone(room)
    for name in ("summary.csv", "run.json", "summary.html"):
        (room.out / name).unlink(missing_ok=True)
    with as_nobody():
        ran = room.run(*slides, expect=NOT_COMPLETE, options=["--force"])
    check(ran.status("b") == "complete", ran.reason("b"))
    check("ermission" in ran.reason("a"), f"{ran.status('a')}: {ran.reason('a')}")
    check("./a/" not in (room.out / "summary.html").read_text(), "summary.html leads to the old report")
    return f"a {ran.status('a')}: {ran.reason('a')}"


def _for_everyone(room: Room) -> None:
    room.out.mkdir(exist_ok=True)
    room.out.chmod(0o777)


DISKS: tuple[Scene, ...] = (
    Scene("disk fills", "that slide failed; what stood is whole", _disk_fills),
    Scene("disk full from the start", "exit 2 with one line", _disk_full_at_once),
    Scene("disk full at the second run", "said; no older report stands", _no_room_for_a_second_result),
    Scene("output on a read-only disk", "exit 2 with one line", _read_only),
    Scene("output folder removed in mid-run", "the run stops and writes nothing more", _output_removed),
    Scene("output folder is a file", "exit 2; the file is left alone", _output_is_a_file),
    Scene("summary.csv is a folder", "said; exit 1; the reports are written", _summary_is_a_folder),
    Scene("file vanishes before its turn", "failed: isn't there; the other complete", _vanishes_before_its_turn),
    Scene("file vanishes while it is read", "failed with the reason", _vanishes_while_read),
    Scene("the slides' folder vanishes", "each fails in its own row", _folder_vanishes),
    Scene("slide of another user", "failed: no permission; the other complete", _unreadable_slide),
    Scene("folder of another user", "failed: it can't be listed; the other complete", _unreadable_folder),
    Scene("output folder of another user", "exit 2 with one line", _unwritable_output),
    Scene("slide's results of another user", "that slide failed; its old report is whole", _another_users_report),
)
