"""What can be said of an installation without loading it: versions, processor, memory and the disk for results."""

import os
import platform
import shutil
import sys
import tempfile
import threading
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from nodescan.domain.naming import how_many
from nodescan.domain.versions import VERSION_WORDS
from nodescan.errors import WorkerError, more_threads
from nodescan.machine import (
    installed_version,
    memory_bytes,
    processor_flags,
    untried_system,
    usable_cores,
    visible_cores,
)
from nodescan.threads import thread_errors

OLDEST_PYTHON = (3, 11)

NO_ROOM_BYTES, LITTLE_ROOM_BYTES = 200_000_000, 5_000_000_000
"""A slide's reports take 2 to 10 MB: under the first not even a few slides fit, under the second not a night's."""

_THREADS_BESIDE_CORES = 8
"""A scan on 2 cores has 12 threads at most: beside these two for each core, for OpenBLAS and for OpenVINO."""

LITTLE_MEMORY_BYTES = 4_000_000_000
"""One slide in work takes 1 to 2 GB with the network loaded; the system wants the rest."""

_WITH_WHAT = "with its wheel, or '.' in a checkout"
_INSTALL_AGAIN = f"install nodescan again into a fresh environment: pip install --force-reinstall {_WITH_WHAT}"

REPAIR_TORCHVISION = (
    "scans don't use torchvision: remove it (pip uninstall torchvision), or install it in one step with torch, both "
    "from one index (pip install --force-reinstall torch torchvision; for the CPU alone with --index-url "
    "https://download.pytorch.org/whl/cpu)"
)

_BF16_FLAGS = ("avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16")
"""Instructions on bfloat16 numbers, as Linux names them: the first three of x86, the last of ARM."""

_VECTOR_FLAGS = ("avx2", "avx512f", "asimd")


class State(StrEnum):
    """Whether results can be trusted: warn says that they can, but something is worth knowing."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. found: what is there; remedy: what to do, "" where nothing is needed."""

    name: str
    state: State
    found: str
    remedy: str = ""


def check_python() -> Check:
    """The interpreter's version."""
    found = f"Python {platform.python_version()} ({platform.system()}, {platform.machine()})"
    if sys.version_info[:2] < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        return Check("python", State.FAIL, found, f"install Python {wanted} or newer, and nodescan into it")
    return Check("python", State.OK, found)


def check_system() -> Check:
    """Whether nodescan was tried on such a system."""
    untried = untried_system()
    if untried:
        return Check("system", State.WARN, untried, "compare its results with those of a Linux machine")
    return Check("system", State.OK, f"{platform.system()} {platform.release()}")


_WITHOUT = ("openslide-bin", "torchvision")
"""Scans do without, and each has a check of its own: the system's OpenSlide does as well, and torchvision is for who
works on networks."""


def check_packages() -> Check:
    """Every package that a scan needs is there, in a version that nodescan accepts."""
    try:
        asked = requires("nodescan") or []
    except PackageNotFoundError:
        found = "nodescan runs from a folder and isn't installed, so the versions it needs are not known"
        return Check("packages", State.WARN, found, f"install it: pip install {_WITH_WHAT}")
    from packaging.requirements import Requirement

    problems: list[str] = []
    count = 0
    for needed in map(Requirement, asked):
        without = needed.marker is not None and not needed.marker.evaluate({"extra": ""})
        if without or needed.name in _WITHOUT:
            continue
        count += 1
        there = installed_version(needed.name)
        if there is None:
            problems.append(f"{needed.name} is missing")
        elif not needed.specifier.contains(there, prereleases=True):
            problems.append(f"{needed.name} is {there}, needed is {needed.specifier}")
    if problems:
        return Check("packages", State.FAIL, "; ".join(problems), _INSTALL_AGAIN)
    return Check("packages", State.OK, f"nodescan {VERSION_WORDS}, and the {count} packages that a scan needs")


def check_torch_pair() -> Check:
    """torch and torchvision come from releases that belong together.

    What torchvision's own metadata asks for decides. Where it says nothing: torch 2.N goes with torchvision
    0.(N + 15) (the release table of pytorch/vision).
    """
    torch, vision = installed_version("torch"), installed_version("torchvision")
    if torch is None:
        remedy = "install it: https://pytorch.org/get-started/locally says how for this machine"
        return Check("torch", State.FAIL, "torch isn't installed", remedy)
    if vision is None:
        return Check("torch", State.OK, f"torch {torch}; torchvision isn't installed, and scans don't use it")
    found = f"torch {torch}, torchvision {vision}"
    asked = _asked_of_torch()
    if asked:
        from packaging.specifiers import SpecifierSet

        if SpecifierSet(asked).contains(torch, prereleases=True):
            return Check("torch", State.OK, found)
        why = f"{found}, which asks for torch {asked}"
    elif _minor(vision) == _minor(torch) + 15:
        return Check("torch", State.OK, found)
    else:
        why = f"{found}: not of the same release (torch 2.N goes with torchvision 0.(N + 15))"
    return Check("torch", State.WARN, why, REPAIR_TORCHVISION)


def check_processor() -> Check:
    """Cores that this process may use, and which instructions they have; by what they can do, not by their name."""
    cores = usable_cores()
    flags = processor_flags()
    words = f"{how_many(cores, 'core')} of {os.cpu_count() or cores} usable"
    if not flags:
        return Check("processor", State.OK, f"{words}; its instructions are not known here")
    rough = [flag for flag in _BF16_FLAGS if flag in flags]
    vectors = [flag for flag in _VECTOR_FLAGS if flag in flags]
    found = f"{words}; vectors: {', '.join(vectors) or 'none'}; bfloat16: {', '.join(rough) or 'none'}"
    if not vectors:
        return Check(
            "processor", State.WARN, found, "the network will be slow: use a machine with AVX2 or NEON, or a GPU"
        )
    return Check("processor", State.OK, found)


def check_threads() -> Check:
    """As many threads as a scan takes can be started: libraries end the whole process where one is refused them."""
    wanted, over = _THREADS_BESIDE_CORES + 2 * visible_cores(), threading.Event()
    started: list[threading.Thread] = []
    try:
        with thread_errors():
            for _ in range(wanted):
                thread = threading.Thread(target=over.wait, name="doctor", daemon=True)
                thread.start()
                started.append(thread)
    except WorkerError:
        found = f"the system gives {len(started)} more threads, and a scan takes {wanted}"
        return Check("threads", State.FAIL, found, more_threads())
    finally:
        over.set()
        for thread in started:
            thread.join()
    return Check("threads", State.OK, f"the system gives the {wanted} that a scan takes")


def check_memory() -> Check:
    """Memory of the machine, or of the container where that is less."""
    total = memory_bytes()
    if total is None:
        return Check("memory", State.OK, "not known on this system")
    found = f"{total / 1e9:.1f} GB"
    if total < LITTLE_MEMORY_BYTES:
        return Check("memory", State.WARN, found, "run one slide at a time, or on a machine with 4 GB or more")
    return Check("memory", State.OK, found)


def check_output(folder: Path) -> Check:
    """Files can be written and renamed where results will go, and there is room; nothing is left behind.

    A folder that isn't there yet is judged by the nearest one above it.
    """
    place = next((above for above in (folder, *folder.absolute().parents) if above.is_dir()), None)
    shown = "the current folder" if folder == Path() else str(folder)
    elsewhere = "name another folder by --out"
    if folder.exists() and not folder.is_dir():
        return Check("output", State.FAIL, f"{shown} is a file", elsewhere)
    if place is None:
        return Check("output", State.FAIL, f"{shown}: no folder above it exists", elsewhere)
    try:
        _write_and_rename(place)
        free = shutil.disk_usage(place).free
    except OSError as error:
        why = f"{shown} can't be written ({error.strerror or error})"
        return Check("output", State.FAIL, why, f"get permission to write there, free space, or {elsewhere}")
    room = f"{shown} can be written, {free / 1e9:.1f} GB free"
    if free < NO_ROOM_BYTES:
        return Check("output", State.FAIL, room, f"free space, or {elsewhere}: a slide's reports take 2 to 10 MB")
    if free < LITTLE_ROOM_BYTES:
        return Check("output", State.WARN, room, "enough for some slides; 1,000 slides take 2 to 10 GB")
    return Check("output", State.OK, room)


def _write_and_rename(folder: Path) -> None:
    """A report is written beside its place and renamed: some network disks allow the first and not the second."""
    with tempfile.TemporaryDirectory(prefix=".nodescan-doctor-", dir=folder) as inside:
        first, second = Path(inside, "first"), Path(inside, "second")
        first.write_bytes(b"first")
        second.write_bytes(b"second")
        os.replace(second, first)
        if first.read_bytes() != b"second":
            raise OSError("a file that was renamed over another still holds the old bytes")


def _asked_of_torch() -> str:
    """The versions of torch that the installed torchvision accepts, "" where it doesn't say."""
    from packaging.requirements import Requirement

    asked = (Requirement(text) for text in requires("torchvision") or ())
    return next((str(needed.specifier) for needed in asked if needed.name == "torch"), "")


def _minor(release: str) -> int:
    return int(release.split(".")[1])
