"""One run at a time in an output folder: a lock file that names its holder, has a heartbeat, and can be lost."""

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from nodescan.errors import LockLostError, OutputError
from nodescan.given_files import found_bytes
from nodescan.threads import thread_errors

LOCK_FILE = ".run.lock"
"""Hidden, so that no slide's folder can have this name."""

BEAT_EVERY_S = 30.0

SILENT_S = 300.0
"""A run on another host without a heartbeat for so long counts as dead."""

_TAKING_S = 60.0
"""Taking a lock over takes milliseconds. A run that began it so long ago was stopped meanwhile."""

_MOST_BYTES = 1_000_000
"""Of a lock file: they have about 300."""

_NO_LINKS = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL}
)
"""How disks without links put it: FAT, and disks in the network or of the user's own programs, each in its way."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who runs here, as it stands in the lock file. started, heartbeat: ISO 8601, UTC, by the holder's own clock.

    machine: tells apart hosts, restarts of one and containers that share a host's name. process_start: as the system
    gives it, so that another process under the same number isn't taken for this one. "": not known.
    """

    host: str
    pid: int
    process_start: str
    machine: str
    run_id: str
    started: str
    heartbeat: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """A run's claim to its folder, for whoever writes there, in this process or another."""

    path: Path
    run_id: str

    def holds(self) -> bool:
        """Whether the lock is still there and this run's. What can't be read for now counts as held."""
        try:
            holder = read_holder(self.path)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return holder is not None and holder.run_id == self.run_id

    def check(self) -> None:
        """Raises LockLostError where the lock is gone or another run's."""
        if not self.holds():
            raise LockLostError(
                f"{self.path.parent}: this run no longer holds its output folder (the lock {self.path.name} was "
                "removed or taken by another run); it has stopped and writes nothing more: see that no other run works "
                "there, then run again"
            )


def read_holder(path: Path) -> Holder | None:
    """What stands in a lock file, None where that isn't a lock. Raises OSError."""
    try:
        content = json.loads(found_bytes(path, _MOST_BYTES))
        return Holder(**{name: kind(content.get(name, "")) for name, kind in Holder.__annotations__.items()})
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


@contextmanager
def held(folder: Path, *, beat_every_s: float = BEAT_EVERY_S, option: str = "--out") -> Iterator[Ticket]:
    """Hold the folder's lock for the length of the block, with a heartbeat. Raises OutputError where another run does,
    and WorkerError where no thread can be started.

    Whether a run on this host lives is asked of the system. On another host it is judged by the age of its last
    heartbeat, by the clock of the disk alone: each heartbeat sets the lock's time of change, and so does the file that
    is made here to compare it with. What the hosts' clocks say is only shown.

    option: what the command calls the folder.
    """
    me = this_process()
    path = folder / LOCK_FILE
    take(path, me, option=option)
    stop = threading.Event()
    thread = threading.Thread(target=_beat, args=(path, me, stop, beat_every_s), name="heartbeat", daemon=True)
    ticket = Ticket(path, me.run_id)
    try:
        with thread_errors():
            thread.start()
        yield ticket
    finally:
        stop.set()
        if thread.ident is not None:  # it was started
            thread.join(timeout=5)
        if ticket.holds():
            with suppress(OSError):
                path.unlink(missing_ok=True)


def take(path: Path, me: Holder, *, option: str = "--out") -> None:
    """Make the lock at `path` this run's. Raises OutputError where another run lives, or the disk refuses.

    Of several that find a dead run's lock one gets it: they queue up by a second lock, and each judges anew.
    """
    candidate = path.with_name(f"{path.name}.{token_hex(6)}.new")
    try:
        candidate.write_bytes(_content(me))
        if _put(candidate, path):
            return
        guard = path.with_name(f"{path.name}.taking")
        _remove_if_left(guard, than=candidate)
        if not _put(candidate, guard):
            raise OutputError(
                f"{path.parent}: another run is just starting there; wait for it or choose another {option}"
            )
        try:
            if _is_dead(path, candidate, option=option):
                os.replace(candidate, path)
            elif not _put(candidate, path):
                raise OutputError(f"{path.parent}: another run has just started there; wait for it")
        finally:
            guard.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise OutputError(f"{path}: can't be written ({why}); check the output folder, then run again") from error
    finally:
        with suppress(OSError):
            candidate.unlink(missing_ok=True)


def this_process() -> Holder:
    """This process as the holder of a new lock."""
    said = datetime.now(UTC).isoformat(timespec="seconds")
    pid = os.getpid()
    return Holder(socket.gethostname(), pid, process_start(pid) or "", _machine(), token_hex(8), said, said)


def process_start(pid: int) -> str | None:
    """When the process began, in the system's own words, "" where it won't say; None where there is no such process."""
    if sys.platform == "win32":  # os.kill() would send Ctrl-C there, or end the process
        return ""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        state, *rest = text.rpartition(")")[2].split()
        return None if state in "ZX" else rest[18]  # a zombie has ended; field 22 of all is the start, in clock ticks
    except (OSError, ValueError, IndexError):
        return _start_by_ps(pid)


def _start_by_ps(pid: int) -> str | None:
    """For systems without /proc. In one time zone and language: whoever asks next may have others."""
    if sys.platform.startswith("linux"):
        return ""
    try:
        said = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            env=os.environ | {"LC_ALL": "C", "TZ": "UTC0"},
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()


def _machine() -> str:
    """The boot of this host and the space its process numbers count in; "" where the system has neither."""
    parts: list[str] = []
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _is_dead(path: Path, candidate: Path, *, option: str) -> bool:
    """Whether there is a dead run's lock; False if there is no lock. Raises OutputError if its holder lives or may
    live, or if the lock is a link to nothing."""
    try:
        holder, changed = read_holder(path), path.stat().st_mtime
    except FileNotFoundError:
        if path.is_symlink():
            raise OutputError(f"{path}: is a link to nothing, and no run's lock; remove it, then run again") from None
        return False
    silent_s = candidate.stat().st_mtime - changed
    if holder is None:
        lives, who = silent_s < SILENT_S, "another run"
    else:
        lives = _lives(holder, silent_s)
        who = f"another run (process {holder.pid} on {holder.host}, since {holder.started})"
    if lives:
        raise OutputError(
            f"{path.parent}: {who} is writing there (last sign {max(0.0, silent_s):.0f} s ago); wait for it, choose "
            f"another {option}, or remove {path} if you are sure that it is dead"
        )
    return True


def _lives(holder: Holder, silent_s: float) -> bool:
    """On this host the system knows whether the process lives. On another host, and on Windows, only its last heartbeat
    tells."""
    if sys.platform == "win32" or (holder.host, holder.machine) != (socket.gethostname(), _machine()):
        return silent_s < SILENT_S
    start = process_start(holder.pid) if holder.pid > 0 else None
    return start is not None and (not start or not holder.process_start or start == holder.process_start)


def _put(candidate: Path, path: Path) -> bool:
    """The candidate's content at `path` in one step, unless a file is there: whether it was put. Raises OSError.

    A link is atomic on network disks too, and never shows half a file; where there are no links, O_EXCL must do.
    """
    try:
        os.link(candidate, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            with path.open("xb") as file:
                file.write(candidate.read_bytes())
        except FileExistsError:
            return False
    return True


def _remove_if_left(guard: Path, *, than: Path) -> None:
    """Remove the second lock of a run that was stopped while it took a lock over."""
    with suppress(FileNotFoundError):
        if than.stat().st_mtime - guard.stat().st_mtime > _TAKING_S:
            guard.unlink()


def _beat(path: Path, me: Holder, stop: threading.Event, every_s: float) -> None:
    """Write the time into the lock until told to stop.

    Into the very file that was made here, held open: the lock of a run that took over can't be written to.
    """
    try:
        file = path.open("r+b", buffering=0)
    except OSError:
        return
    with file:
        if (there := read_holder(path)) is None or there.run_id != me.run_id:
            return
        while not stop.wait(every_s):
            now = datetime.now(UTC).isoformat(timespec="seconds")
            with suppress(OSError):  # a disk that is gone for a moment: the next beat may reach it
                file.seek(0)
                file.write(_content(replace(me, heartbeat=now)))
                os.fsync(file.fileno())


def _content(holder: Holder) -> bytes:
    """Of the same length at every heartbeat."""
    return (json.dumps(asdict(holder), indent=2) + "\n").encode()
