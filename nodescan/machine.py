"""What this machine and its system offer: cores, instructions, memory, packages, and a place for temporary files."""

import errno
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nodescan.errors import OutputError, WorkerError
from nodescan.process_limits import address_limit_bytes

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
SET_TMPDIR = "free some space, or set TMPDIR to a folder with room"

_LEAST_ERROR = 0x80000000
"""Exit codes from here on are errors on Windows, which ends a process with the number of its error."""

_LEAST_ADDRESSES_BYTES = 1_200_000_000
"""No scan ever succeeded with less address space. On 2 cores one succeeded with 2 GB."""

_CPUINFO, _MEMINFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")
_EIGHT_BITS = {"avx512_vnni": "int8", "amx_tile": "int8", "avx2": "int8-16"}
"""Instructions as Linux names them, and the precision that they allow; the first that the processor has decides.
inference.device.int8_precision() asks torch the same, and this where torch doesn't say."""

_CGROUPS, _OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def untried_system() -> str:
    """In words, that nodescan was not tried on this system; "" on Linux."""
    system = {"win32": "Windows", "darwin": "macOS"}.get(sys.platform, sys.platform)
    return "" if sys.platform.startswith("linux") else f"nodescan was not tried on {system}"


def visible_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cores() -> int:
    """The cores that this process may use: those visible, limited by its control groups' share of processor time,
    rounded up."""
    return min([visible_cores(), *filter(None, map(_share_of_time, _control_groups("cpu")))])


def computing_threads() -> int:
    """As many as torch takes on Linux: what OMP_NUM_THREADS says, else one for each whole core that it may run on.

    If control groups give it less time, only as many threads as that time allows: more would wait for each other.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    if not hasattr(os, "sched_getaffinity"):  # not Linux
        return usable_cores()
    cores = {_siblings(cpu) for cpu in os.sched_getaffinity(0)}
    return max(1, min(len(cores), usable_cores()))


def processor_flags() -> frozenset[str]:
    """The instructions of the first core, as Linux lists them; empty where it doesn't."""
    with suppress(OSError):
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, words = line.partition(":")
            if key.strip() in ("flags", "Features"):
                return frozenset(words.split())
    return frozenset()


def eight_bit_precision() -> str | None:
    """The eight-bit precision that suits this processor; None if none does, or if that isn't known."""
    flags = processor_flags()
    return next((precision for name, precision in _EIGHT_BITS.items() if name in flags), None)


def memory_bytes() -> int | None:
    """Memory of the machine, or of its control groups where that is less; None where nobody says it."""
    sizes: list[int] = []
    with suppress(OSError, ValueError, AttributeError):
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for group in _control_groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):  # "max" where there is no limit
                sizes.append(int((group / name).read_text(encoding="ascii")))
    return min(sizes, default=None)


def check_address_space() -> None:
    """Raises WorkerError if this process may have less address space than the libraries of a scan need: OpenBLAS would
    wait for ever."""
    limit = address_limit_bytes()
    if limit is not None and limit < _LEAST_ADDRESSES_BYTES:
        raise WorkerError(
            f"this process may have {limit / 1e9:.1f} GB of memory (ulimit -v), and a scan takes 2 GB; raise the limit"
        )


def free_memory_bytes() -> int | None:
    """Memory that a process can still get; None if it isn't known.

    That is the system's free memory with swap, and no more than its control groups leave. Cached files count as
    free.
    """
    sizes = [memory_bytes(), *filter(None, map(_left_by, _control_groups("memory")))]
    with suppress(OSError, ValueError, KeyError):  # no Linux
        lines = (line.partition(":") for line in _MEMINFO.read_text(encoding="ascii").splitlines())
        kib = {name: int(words.split()[0]) for name, _, words in lines if name in ("MemAvailable", "SwapFree")}
        sizes.append((kib["MemAvailable"] + kib["SwapFree"]) * 1024)
    return min(filter(None, sizes), default=None)


def _left_by(group: Path) -> int | None:
    """Bytes that a control group may still take; None where it has no limit. Of files it caches it can do without."""
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        with suppress(OSError, ValueError):  # "max" where there is no limit
            most, now = (int((group / name).read_text(encoding="ascii")) for name in (limit, used))
            words = (group / "memory.stat").read_text(encoding="ascii").split()
            given_back = dict(zip(words[::2], words[1::2], strict=False)).get(cached, "0")
            return max(1, most - now + int(given_back))
    return None


@cache
def installed_version(package: str) -> str | None:
    """The version of a package, None where none of that name is installed; looked up once in a process."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def killer(exit_code: int) -> str:
    """What ended a process, "" where it ended by itself: a signal, as SIGKILL, by its number where it has no name here;
    on Windows an error, as 0xC0000005 for a wrong address."""
    if exit_code >= _LEAST_ERROR:
        return f"error 0x{exit_code:08X} of Windows"
    try:
        return "" if exit_code >= 0 else signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"


def made_temporary(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """A new folder, to be used in a with statement. Raises OutputError where there is no place or no room for one."""
    try:
        return tempfile.TemporaryDirectory(prefix=prefix)
    except OSError as error:
        raise OutputError(f"no place for temporary files ({error.strerror or error}); {SET_TMPDIR}") from error


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder that is gone after the block. Raises OutputError where there is no place or no room for one."""
    with made_temporary(prefix) as name:
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


def _control_groups(kind: str) -> list[Path]:
    """The folders of this process' control groups of a kind, "cpu" or "memory", and of those above, which limit it too.

    Version 2 has one tree for all kinds, version 1 one for each, in a folder of its name. A container often shows its
    own group as the root; a batch system's job lies further down.
    """
    found = {_CGROUPS, _CGROUPS / kind}
    with suppress(OSError, ValueError):
        for line in _OWN_CGROUPS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            _, kinds, name = line.split(":", 2)
            if not kinds or kind in kinds.split(","):
                own = (_CGROUPS / kind if kinds else _CGROUPS) / name.lstrip("/")
                found.update(above for above in (own, *own.parents) if above.is_relative_to(_CGROUPS))
    return sorted(found)


def _share_of_time(group: Path) -> int | None:
    """How many cores a control group's time amounts to, rounded up; None where it has no limit."""
    with suppress(OSError, ValueError):  # "max 100000" where there is none, or -1
        if (group / "cpu.max").exists():
            words = (group / "cpu.max").read_text(encoding="ascii").split()
        else:
            words = [(group / f"cpu.cfs_{what}_us").read_text(encoding="ascii") for what in ("quota", "period")]
        quota, period = map(int, words)
        return max(1, -(-quota // period)) if quota > 0 else None
    return None
