"""A copy is the slide itself in another place, never two too many, and gone when it isn't needed."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from types import SimpleNamespace

import pytest

from nodescan.batch import copy_folder
from nodescan.batch import local_copies as copies_module
from nodescan.batch import tools as run_tools
from nodescan.batch.copy_folder import prepare_copy_folder, remove_leftovers
from nodescan.batch.local_copies import LocalCopies
from nodescan.cli import main
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.slide import SlideRef
from nodescan.errors import OutputError
from nodescan.interfaces import Slide
from nodescan.slides import open_slide
from nodescan.slides.files import files_of_slide, fingerprint, state_of
from tests.fakes import ColourPredictor, paint_slide, scan_with
from tests.slides.made_dicom import write_dicom


def report(ref: SlideRef) -> SlideReport:
    return SlideReport(ref, Status.INCOMPLETE, None, False)


class Scan:
    """Finds nothing, and keeps where each slide was read."""

    def __init__(self) -> None:
        self.paths: list[Path] = []

    def __call__(self, given: SlideRef) -> SlideReport:
        self.paths.append(given.path)
        return report(given)


def mrxs(folder: Path) -> Path:
    (folder / "m").mkdir(parents=True)
    for name in ("Slidedat.ini", "Data0000.dat"):
        (folder / "m" / name).write_bytes(name.encode())
    (folder / "m.mrxs").write_bytes(b"index")
    (folder / "other.mrxs").write_bytes(b"another slide")
    return folder / "m.mrxs"


def vms(folder: Path) -> Path:
    folder.mkdir()
    (folder / "tiles.jpg").write_bytes(b"tiles")
    (folder / "v.vms").write_text("[Virtual Microscope Specimen]\nImageFile=tiles.jpg\n")
    return folder / "v.vms"


def dicom(folder: Path) -> Path:
    folder.mkdir()
    for name, uid in (("1", "1.2"), ("2.dcm", "1.2"), ("3.dcm", "9.9")):
        write_dicom(folder / name, uid, length=5)
    return folder / "2.dcm"


def plain(folder: Path) -> Path:
    folder.mkdir()
    (folder / "a b'ü.svs").write_bytes(bytes(range(256)) * 5000)
    (folder / "unrelated.txt").write_bytes(b"")
    return folder / "a b'ü.svs"


@pytest.mark.parametrize("make", [mrxs, vms, dicom, plain])
def test_a_copy_is_the_slide_with_all_its_files_and_no_other(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """The same names, fingerprint and times; the report is of the original; nothing is left."""
    path = make(tmp_path / "archive")
    for number, file in enumerate(files_of_slide(path)):
        os.utime(file, ns=(1, 1_500_000_000_123_456_789 + number))
    ref, seen = SlideRef("s", path, mpp_um=0.25), []

    def scan(given: SlideRef) -> SlideReport:
        copied = [file.relative_to(given.path.parent) for file in given.path.parent.rglob("*") if file.is_file()]
        assert sorted(copied) == [file.relative_to(path.parent) for file in files_of_slide(path)]
        assert fingerprint(given.path) == fingerprint(path)
        assert state_of(given.path) == state_of(path)
        assert given.mpp_um == 0.25
        seen.append(given.path)
        return report(given)

    with LocalCopies([ref], tmp_path / "local", seen.append, stall_s=60) as copies:
        assert copies.scan(ref, scan).slide == ref
        assert not seen[0].exists()
    assert len(seen) == 1
    assert seen[0].name == path.name
    assert seen[0].is_relative_to(tmp_path / "local")
    assert list((tmp_path / "local").iterdir()) == []


def slides(folder: Path, count: int) -> list[SlideRef]:
    folder.mkdir()
    refs = [SlideRef(f"s{number}", folder / f"s{number}.svs") for number in range(count)]
    for ref in refs:
        ref.path.write_bytes(ref.slide_id.encode())
    return refs


def copied_in(copies: LocalCopies) -> set[str]:
    return {file.stem for file in copies.own.rglob("*.svs")}


def settled(copies: LocalCopies) -> None:
    """Wait until what is being copied ahead is there."""
    for copy in list(copies._copies.values()):
        copy.made.result()


def test_one_slide_is_copied_ahead_and_no_more(tmp_path: Path) -> None:
    """While one is scanned, it and the next are there; a slide asked for again is copied again."""
    refs = slides(tmp_path / "in", 4)
    there: list[set[str]] = []
    with LocalCopies(refs, tmp_path / "local", print, stall_s=60) as copies:

        def scan(given: SlideRef) -> SlideReport:
            settled(copies)
            there.append(copied_in(copies))
            assert given.path.read_text() == given.slide_id
            return report(given)

        for ref in (*refs, refs[1]):
            copies.scan(ref, scan)
    assert there == [{"s0", "s1"}, {"s1", "s2"}, {"s2", "s3"}, {"s3"}, {"s1"}]


def test_a_slide_without_room_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is said, with numbers."""
    (ref,) = slides(tmp_path / "in", 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000_001))
    told: list[str] = []
    with LocalCopies([ref], tmp_path / "local", told.append, stall_s=60) as copies:
        assert copies.scan(ref, report).slide == ref
    assert len(told) == 1
    assert told[0].startswith("s0.svs: read where it lies, not copied: it has 0.00 GB and 1.00 GB are free")


def test_a_copy_that_is_short_is_never_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one of a slide that was written to meanwhile, nor of one that isn't there: the scan says that itself."""
    short, changed, gone = slides(tmp_path / "in", 3)
    gone.path.unlink()
    told: list[str] = []

    def spoil(source: Path, target: Path) -> None:
        if source == short.path:
            os.truncate(target, 1)
        if source == changed.path:
            source.write_bytes(b"longer than before")

    monkeypatch.setattr(copies_module, "_take_times", spoil)
    scan = Scan()
    with LocalCopies([], tmp_path / "local", told.append, stall_s=60) as copies:
        for ref in (short, changed, gone):
            copies.scan(ref, scan)
        assert copied_in(copies) == set()
    assert scan.paths == [short.path, changed.path, gone.path]
    assert [line.split("copied: ")[1] for line in told] == [
        "the copy of s0.svs has 1 bytes, not 2",
        "s1.svs was changed while it was copied",
        "the file isn't there",
    ]


def test_a_copy_of_files_of_two_slides_is_never_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of several files that is replaced once it was copied belongs to another slide than the rest."""
    path, told, scan = mrxs(tmp_path / "in"), [], Scan()
    copy_times = copies_module._take_times

    def replace_copied(source: Path, target: Path) -> None:
        copy_times(source, target)
        if source == path:
            os.utime(files_of_slide(path)[0], ns=(1, 1))

    monkeypatch.setattr(copies_module, "_take_times", replace_copied)
    assert files_of_slide(path)[0] != path
    with LocalCopies([], tmp_path / "local", told.append, stall_s=60) as copies:
        copies.scan(SlideRef("m", path), scan)
    assert scan.paths == [path]
    assert told == ["m.mrxs: read where it lies, not copied: m.mrxs was changed while it was copied"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    """Named in a manifest it would hold the copying for ever; the scan says what it is."""
    (tmp_path / "in").mkdir()
    ref, told = SlideRef("s", tmp_path / "in" / "s.svs"), []
    os.mkfifo(ref.path)
    with LocalCopies([ref], tmp_path / "local", told.append, stall_s=60) as copies:
        assert copies.scan(ref, report).slide == ref
    assert told == ["s.svs: read where it lies, not copied: neither a file nor a folder"]


class HungDisk:
    """_take_times() that doesn't come back until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.take_times = copies_module._take_times
        self.reached, self.released = threading.Event(), threading.Event()
        monkeypatch.setattr(copies_module, "_take_times", self.hang)

    def hang(self, source: Path, target: Path) -> None:
        self.reached.set()
        self.released.wait(120)
        self.take_times(source, target)


def test_a_disk_that_hangs_holds_up_nobody_for_longer_than_the_stall_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its slide and the next are read where they lie, leaving doesn't wait, and nothing is left."""
    refs, told, disk = slides(tmp_path / "in", 2), [], HungDisk(monkeypatch)
    with LocalCopies(refs, tmp_path / "local", told.append, stall_s=0.5) as copies:
        assert [copies.scan(ref, report).slide for ref in refs] == refs
    assert not disk.released.is_set()
    assert list((tmp_path / "local").iterdir()) == []
    disk.released.set()
    assert [line.split("copied: ")[1] for line in told] == ["copying got no further for 0.00833333 min"] * 2


def test_whoever_waits_for_a_disk_that_hangs_hears_that_the_run_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C needn't wait for the stall time."""
    (ref,), disk = slides(tmp_path / "in", 1), HungDisk(monkeypatch)
    monkeypatch.setattr("nodescan.batch.local_copies._LEAVING_S", 0.1)
    with LocalCopies([ref], tmp_path / "local", print, stall_s=600) as copies:
        threading.Thread(target=lambda: disk.reached.wait() and copies.stop()).start()
        with pytest.raises(CancelledError):
            copies.scan(ref, report)
    disk.released.set()


def test_copying_goes_on_once_the_disk_answers_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One slide is given up, and those after it are copied again."""
    (hung, later), disk = slides(tmp_path / "in", 2), HungDisk(monkeypatch)
    scan = Scan()
    with LocalCopies([], tmp_path / "local", lambda line: None, stall_s=0.5) as copies:
        copies.scan(hung, scan)
        assert scan.paths == [hung.path]
        disk.released.set()
        ends = time.monotonic() + 60
        while not scan.paths[-1].is_relative_to(tmp_path / "local") and time.monotonic() < ends:
            time.sleep(0.02)
            copies.scan(later, scan)
    assert scan.paths[-1].is_relative_to(tmp_path / "local")


def test_a_disk_with_coarser_times_of_files_is_not_copied_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy would pass for another slide, and each run would scan it again."""
    (ref,), told = slides(tmp_path / "in", 1), []
    os.utime(ref.path, ns=(1, 1_500_000_000_123_456_789))
    monkeypatch.setattr(
        copies_module, "_take_times", lambda source, target: os.utime(target, (1_500_000_000, 1_500_000_000))
    )
    scan = Scan()
    with LocalCopies([ref], tmp_path / "local", told.append, stall_s=60) as copies:
        copies.scan(ref, scan)
    assert scan.paths == [ref.path]
    assert told == ["s0.svs: read where it lies, not copied: the disk of the copies keeps coarser times of files"]


def test_a_scan_that_fails_leaves_no_copy(tmp_path: Path) -> None:
    """Its error comes through."""
    (ref,) = slides(tmp_path / "in", 1)

    def fail(given: SlideRef) -> SlideReport:
        raise OutputError("no room for reports")

    with LocalCopies([ref], tmp_path / "local", print, stall_s=60) as copies:
        with pytest.raises(OutputError, match="no room"):
            copies.scan(ref, fail)
        assert copied_in(copies) == set()


def test_once_stopped_nothing_more_is_copied(tmp_path: Path) -> None:
    """Whoever waits hears of it rather than scan half a slide; all is removed."""
    (ref,) = slides(tmp_path / "in", 1)
    with LocalCopies([ref], tmp_path / "local", print, stall_s=60) as copies:
        copies.stop()
        with pytest.raises(CancelledError):
            copies.scan(ref, report)
    assert list((tmp_path / "local").iterdir()) == []


def test_what_a_dead_run_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """A run that lives keeps its copies; files, other folders and links stay, whatever they are called."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom nodescan.batch.local_copies import LocalCopies\n"
        "copies = LocalCopies([], Path(sys.argv[1]), print, stall_s=60)\n"
        "(copies.own / 'slide.svs').write_bytes(b'x')\nos._exit(9)"
    )
    place = tmp_path / "local"
    assert subprocess.run([sys.executable, "-c", program, str(place)], check=False).returncode == 9
    (dead,) = place.iterdir()
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "lock").write_bytes(b"")
    (place / "mine.svs").write_bytes(b"x")
    (place / ".nodescan-copies-1-aaaaaaaaaaaa").mkdir()  # without a lock it isn't known to be a run's
    (place / ".nodescan-copies-1-bbbbbbbbbbbb").symlink_to(treasure)
    with LocalCopies([], place, print, stall_s=60) as alive:
        remove_leftovers(place)
        assert alive.own.is_dir()
        assert not dead.exists()
    assert {path.name for path in place.iterdir()} == {
        "mine.svs",
        ".nodescan-copies-1-aaaaaaaaaaaa",
        ".nodescan-copies-1-bbbbbbbbbbbb",
    }
    assert (treasure / "lock").exists()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to tell which files are open")
def test_on_windows_a_run_clears_its_folder_and_those_of_dead_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file that is open can be removed there, and no folder of one renamed."""
    rename, unlink = os.rename, os.unlink

    def check(place: str) -> None:
        opened = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
        if any(path.startswith(place) and path.endswith("lock") for path in opened):
            raise PermissionError(errno.EACCES, "Access is denied")

    def refuse_rename(source: Path, target: Path) -> None:
        check(str(source))
        rename(source, target)

    def refuse_unlink(path: Path, *, dir_fd: int | None = None) -> None:
        check(str(path) if dir_fd is None else os.path.join(os.path.realpath(f"/proc/self/fd/{dir_fd}"), path))
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "rename", refuse_rename)
    monkeypatch.setattr(os, "unlink", refuse_unlink)
    dead = tmp_path / f".nodescan-copies-9-{'a' * 12}"
    dead.mkdir()
    (dead / "lock").touch()
    prepare_copy_folder(tmp_path)
    with LocalCopies([], tmp_path, print, stall_s=9) as copies:
        remove_leftovers(tmp_path)
        assert list(tmp_path.iterdir()) == [copies.own]
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_refused_with_its_option(tmp_path: Path) -> None:
    """Before any work, on one line."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"--stage .*file.*; name a folder on a local disk"):
        LocalCopies([], tmp_path / "file" / "below", print, stall_s=60)


def test_a_disk_without_locks_is_refused_before_the_run_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is left there: it was refused when old reports were gone, and each run left a folder behind."""

    def take_lock(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(copy_folder, "_take_lock", take_lock)
    with pytest.raises(OutputError, match=r"can't be written \(No locks available\); name a folder on a local disk"):
        prepare_copy_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_was_tried_is_left_as_it_was(tmp_path: Path) -> None:
    """It is made where it isn't there, and stays empty."""
    prepare_copy_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_copy_is_this_users_whatever_the_slides_permissions(tmp_path: Path) -> None:
    """One that others may read, and its owner may not, was copied with that, so that nobody could read the copy."""
    path = plain(tmp_path / "archive")
    path.chmod(0o444)
    modes: list[int] = []

    def scan(given: SlideRef) -> SlideReport:
        modes.append(given.path.stat().st_mode & 0o600)
        return report(given)

    ref = SlideRef("s", path)
    with LocalCopies([ref], tmp_path / "local", pytest.fail, stall_s=60) as copies:
        copies.scan(ref, scan)
    assert modes == [0o600]


def test_a_stage_that_cannot_be_written_costs_no_older_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in the command, refused before the run touches what an earlier one made."""
    scan_with(ColourPredictor(), monkeypatch)
    monkeypatch.chdir(tmp_path)
    paint_slide(tmp_path / "a.tif")
    (tmp_path / "file").write_bytes(b"")
    command = ["run", "a.tif", "--out", "out", "--slots", "0", "--quiet"]
    assert main(command) == 0
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    assert main([*command, "--force", "--stage", "file/below"]) == 2
    assert {path: path.read_bytes() for path in files if path.exists()} == before


def test_a_run_with_stage_reports_the_slides_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole command: read from copies, named and fingerprinted as the originals, and kept by the next run."""
    scan_with(ColourPredictor(), monkeypatch)
    monkeypatch.chdir(tmp_path)
    original = paint_slide(tmp_path / "archive" / "a.tif", tumour_um=400)
    opened: list[Path] = []

    def spy(ref: SlideRef) -> Slide:
        opened.append(ref.path)
        return open_slide(ref)

    monkeypatch.setattr(run_tools, "open_slide", spy)
    command = ["run", "archive", "--out", "out", "--stage", "local", "--slots", "0", "--quiet"]
    assert main(command) == 0
    (place,) = opened
    assert place.is_relative_to(Path("local"))
    text = (tmp_path / "out" / "a" / "report.json").read_text()
    assert json.loads(text)["provenance"]["slide_fingerprint"] == fingerprint(original)
    assert ".nodescan-copies" not in text
    assert "a.tif" in (tmp_path / "out" / "summary.csv").read_text()
    assert "./a/report.html" in (tmp_path / "out" / "summary.html").read_text()
    assert list((tmp_path / "local").iterdir()) == []
    assert main(command) == 0
    assert len(opened) == 1


def test_a_defect_in_copying_is_told_with_its_cause_and_the_next_slide_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slide is read where it lies; the thread that copies lives on."""
    broken, whole = (SlideRef(name, plain(tmp_path / name)) for name in ("broken", "whole"))

    def files(path: Path) -> object:
        if path == broken.path:
            raise ZeroDivisionError("planted")
        return files_of_slide(path)

    monkeypatch.setattr("nodescan.batch.local_copies.files_of_slide", files)
    told: list[str] = []
    scan = Scan()
    with LocalCopies([broken, whole], tmp_path / "stage", told.append, stall_s=60) as copies:
        for ref in (broken, whole):
            copies.scan(ref, scan)
    assert scan.paths[0] == broken.path
    assert scan.paths[1].is_relative_to(tmp_path / "stage")
    name = broken.path.name
    why = "a defect in nodescan (ZeroDivisionError: planted); please report it"
    assert told == [f"{name}: read where it lies, not copied: {why}"]
