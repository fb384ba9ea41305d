"""What this machine and its system offer: cores, instructions, memory, packages, and a place for temporary files."""

import errno
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nodescan.errors import OutputError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
SET_TMPDIR = "free some space, or set TMPDIR to a folder with room"

_CPUINFO = Path("/proc/cpuinfo")
_CGROUP_SHARE = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def visible_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cores() -> int:
    """As many of them as its container's share of processor time amounts to, rounded up."""
    with suppress(OSError, ValueError):  # "max 100000" where there is no limit
        quota, period = map(int, _CGROUP_SHARE.read_text(encoding="ascii").split())
        return min(visible_cores(), max(1, -(-quota // period)))
    return visible_cores()


def computing_threads() -> int:
    """As many as torch takes on Linux: what OMP_NUM_THREADS says, else one for each whole core that it may run on."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    logical = os.sched_getaffinity(0)
    cores = {_siblings(cpu) for cpu in logical}
    return max(1, len(cores))


def processor_flags() -> frozenset[str]:
    """The instructions of the first core, as Linux lists them; empty where it doesn't."""
    with suppress(OSError):
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, words = line.partition(":")
            if key.strip() in ("flags", "Features"):
                return frozenset(words.split())
    return frozenset()


def memory_bytes() -> int | None:
    """Memory of the machine, or of the container where that is less; None where nobody says it."""
    sizes: list[int] = []
    with suppress(OSError, ValueError, AttributeError):
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # "max" where there is no limit
            sizes.append(int(limit.read_text(encoding="ascii")))
    return min(sizes, default=None)


@cache
def installed_version(package: str) -> str | None:
    """The version of a package, None where none of that name is installed; looked up once in a process."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def signal_name(number: int) -> str:
    """What ended a process, as SIGKILL; a number that has no name here by the number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder that is gone after the block. Raises OutputError where there is no place or no room for one."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=prefix)
    except OSError as error:
        raise OutputError(f"no place for temporary files ({error.strerror or error}); {SET_TMPDIR}") from error
    with folder as name:
        try:
            yield Path(name)
        except OutputError as error:
            raise OutputError(f"{str(error).partition(';')[0]}; {SET_TMPDIR}") from error
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise OutputError(f"{name}: no room for temporary files ({error.strerror}); {SET_TMPDIR}") from error


def _siblings(cpu: int) -> str:
    """What tells a core from others: the numbers of its threads."""
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text(encoding="ascii")
    except OSError:
        return str(cpu)
