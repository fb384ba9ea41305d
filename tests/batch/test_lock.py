"""One run at a time in a folder: who lives is left alone, who is dead is replaced, and who lost it notices."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from nodescan.batch.lock import LOCK_FILE, SILENT_S, Holder, held, process_start, read_holder, take, this_process
from nodescan.errors import LockLostError, OutputError


def lie(folder: Path, holder: Holder, *, silent_s: float = 0.0) -> Path:
    """Put a lock there that this test invents, last touched so many seconds ago."""
    path = folder / LOCK_FILE
    path.write_text(json.dumps(asdict(holder)))
    then = time.time() - silent_s
    os.utime(path, (then, then))
    return path


def dead_pid() -> int:
    """The number of a process that has just ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_run_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    """One line names process, host and since when; the first run's lock is untouched, and gone when it ends."""
    with held(tmp_path) as ticket:
        holder = read_holder(tmp_path / LOCK_FILE)
        assert holder is not None
        with pytest.raises(OutputError) as caught, held(tmp_path):
            pass
        said = str(caught.value)
        assert f"process {os.getpid()} on {holder.host}, since {holder.started}" in said
        assert "\n" not in said
        assert ticket.holds()
        assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]
    assert list(tmp_path.iterdir()) == []
    with held(tmp_path):
        pass


def test_a_link_to_nothing_is_no_run_to_wait_for(tmp_path: Path) -> None:
    """It would never end; the message says what to remove."""
    (tmp_path / LOCK_FILE).symlink_to(tmp_path / "gone")
    with pytest.raises(OutputError, match=r"is a link to nothing, and no run's lock; remove it"), held(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]


def test_the_lock_goes_when_the_run_is_interrupted(tmp_path: Path) -> None:
    """Ctrl-C leaves nothing behind."""
    with pytest.raises(KeyboardInterrupt), held(tmp_path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_dead_process_of_this_host_is_replaced_at_once(tmp_path: Path) -> None:
    """However fresh its heartbeat."""
    lie(tmp_path, replace(this_process(), pid=dead_pid()))
    with held(tmp_path) as ticket:
        assert ticket.holds()
        assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="needs /proc to tell processes apart")
def test_another_process_under_the_same_number_is_not_the_holder(tmp_path: Path) -> None:
    """This very process lives, but began at another time than the lock says."""
    lie(tmp_path, replace(this_process(), process_start="1"))
    with held(tmp_path) as ticket:
        assert ticket.holds()


def test_a_process_whose_start_is_not_known_counts_as_alive(tmp_path: Path) -> None:
    """In doubt nobody's results are taken from him."""
    lie(tmp_path, replace(this_process(), process_start=""), silent_s=10 * SILENT_S)
    with pytest.raises(OutputError, match="another run"), held(tmp_path):
        pass


def test_on_windows_no_process_is_asked_and_silence_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """os.kill(pid, 0) would send Ctrl-C to the holder there: to this very process, were it asked."""

    def hurt(pid: int, number: int) -> None:
        raise AssertionError(f"process {pid} was sent {number}")

    monkeypatch.setattr(os, "kill", hurt)
    monkeypatch.setattr(sys, "platform", "win32")
    lie(tmp_path, this_process(), silent_s=SILENT_S - 20)
    with pytest.raises(OutputError, match="wait for it"), held(tmp_path):
        pass
    lie(tmp_path, this_process(), silent_s=SILENT_S + 20)
    with held(tmp_path) as ticket:
        assert ticket.holds()


@pytest.mark.skipif(os.name != "posix", reason="a script stands in for ps")
def test_without_proc_a_run_lives_whatever_time_zone_it_is_asked_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On macOS, where ps tells when a process began, by the clock of whoever asks."""

    def hidden(*_: object, **options: object) -> str:
        raise FileNotFoundError

    ps = tmp_path / "ps"
    ps.write_text(f"#!{sys.executable}\nimport time\nprint(time.ctime(0))\n")
    ps.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(Path, "read_text", hidden)
    told = set[str | None]()
    for zone in ("UTC0", "CET-1"):
        monkeypatch.setenv("TZ", zone)
        told.add(process_start(os.getpid()))
    assert told == {"Thu Jan  1 00:00:00 1970"}


@pytest.mark.parametrize("name", ["host", "machine"])
def test_another_host_is_judged_by_its_silence_alone(tmp_path: Path, name: str) -> None:
    """Just under five minutes it lives, though no such process is here; just over, it may be replaced."""
    forged = replace(this_process(), pid=dead_pid(), **{name: "elsewhere"})
    lie(tmp_path, forged, silent_s=SILENT_S - 20)
    with pytest.raises(OutputError, match="wait for it"), held(tmp_path):
        pass
    lie(tmp_path, forged, silent_s=SILENT_S + 20)
    with held(tmp_path) as ticket:
        assert ticket.holds()


def test_clocks_of_hosts_do_not_matter(tmp_path: Path) -> None:
    """A heartbeat that says it is of next year, or of 1970, is as old as the disk says its file is."""
    for said in ("2099-01-01T00:00:00+00:00", "1970-01-01T00:00:00+00:00"):
        forged = replace(this_process(), host="elsewhere", heartbeat=said)
        lie(tmp_path, forged, silent_s=10)
        with pytest.raises(OutputError, match="elsewhere"), held(tmp_path):
            pass
        lie(tmp_path, forged, silent_s=SILENT_S + 20)
        with held(tmp_path):
            pass


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff\xfe", b'{"pid": 1e999}', b"[" * 100_000])
def test_a_lock_that_tells_nothing_is_judged_by_its_age(tmp_path: Path, content: bytes) -> None:
    """Half a file may be a run that just starts; after five minutes it is none."""
    path = tmp_path / LOCK_FILE
    path.write_bytes(content)
    with pytest.raises(OutputError, match="another run is writing there"), held(tmp_path):
        pass
    os.utime(path, (time.time() - SILENT_S - 20,) * 2)
    with held(tmp_path) as ticket:
        assert ticket.holds()


def test_of_many_that_find_a_dead_lock_one_gets_it(tmp_path: Path) -> None:
    """Twelve at once, ten times over: one wins, and the lock is its own."""
    for _ in range(10):
        lie(tmp_path, replace(this_process(), pid=dead_pid()))
        won: list[str] = []
        start = threading.Barrier(12)

        def grab(start: threading.Barrier = start, won: list[str] = won) -> None:
            me = this_process()
            start.wait()
            try:
                take(tmp_path / LOCK_FILE, me)
            except OutputError:
                return
            won.append(me.run_id)

        threads = [threading.Thread(target=grab) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        holder = read_holder(tmp_path / LOCK_FILE)
        assert holder is not None
        assert won == [holder.run_id]
        (tmp_path / LOCK_FILE).unlink()
        assert list(tmp_path.iterdir()) == []


def test_a_take_over_that_was_stopped_is_no_hindrance_for_long(tmp_path: Path) -> None:
    """Its second lock is in the way for a minute, then it is cleared."""
    lie(tmp_path, replace(this_process(), pid=dead_pid()))
    guard = tmp_path / f"{LOCK_FILE}.taking"
    guard.write_text("")
    with pytest.raises(OutputError, match="just starting"), held(tmp_path):
        pass
    os.utime(guard, (time.time() - 120,) * 2)
    with held(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["removed", "taken"])
def test_a_run_that_lost_its_lock_knows_and_leaves_the_winner_alone(tmp_path: Path, how: str) -> None:
    """check() raises, the heartbeat doesn't touch the winner's file, and at the end the winner's lock stays."""
    path = tmp_path / LOCK_FILE
    winner = replace(this_process(), host="elsewhere")
    with held(tmp_path, beat_every_s=0.01) as ticket:
        ticket.check()
        if how == "removed":
            path.unlink()
        else:
            other = tmp_path / "other"
            other.write_text(json.dumps(asdict(winner)))
            os.replace(other, path)
        time.sleep(0.1)
        assert not ticket.holds()
        with pytest.raises(LockLostError, match="no longer holds its output folder"):
            ticket.check()
    assert (read_holder(path) if path.exists() else None) == (winner if how == "taken" else None)


def test_the_heartbeat_is_seen_on_the_disk(tmp_path: Path) -> None:
    """It sets the file's time of change and keeps the rest of what stands in it."""
    path = tmp_path / LOCK_FILE
    with held(tmp_path, beat_every_s=0.01) as ticket:
        before = read_holder(path)
        os.utime(path, (0, 0))
        for _ in range(500):
            if path.stat().st_mtime > 0:
                break
            time.sleep(0.01)
        assert time.time() - path.stat().st_mtime < 60
        after = read_holder(path)
        assert before is not None
        assert after == replace(before, heartbeat=after.heartbeat if after else "")
        assert ticket.holds()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EXDEV, errno.EINVAL], ids=os.strerror)
def test_a_disk_without_links_gives_one_lock_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """FAT and some network disks have none."""

    def refuse(_source: Path, _target: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    with held(tmp_path), pytest.raises(OutputError, match="another run"), held(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full before the first slide: an OutputError, no traceback."""

    def full(_path: Path, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left on device"), held(tmp_path):
        pass


def test_processes_are_told_apart_by_when_they_began() -> None:
    """This one is there, a dead one isn't, and no number is too large to ask."""
    assert process_start(os.getpid()) is not None
    assert process_start(dead_pid()) is None
    assert process_start(2**70) is None


def test_a_killed_run_leaves_a_lock_that_the_next_one_takes(tmp_path: Path) -> None:
    """kill -9 in the middle: no waiting."""
    code = "import sys, time; from pathlib import Path; from nodescan.batch.lock import held\n"
    code += "with held(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(OutputError, match=f"process {process.pid} on "), held(tmp_path):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    assert (tmp_path / LOCK_FILE).is_file()
    with held(tmp_path) as ticket:
        assert ticket.holds()
