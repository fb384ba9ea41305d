"""What the system grants a process, whoever limits it."""

import os
from pathlib import Path

import pytest

from nodescan import machine
from nodescan.machine import computing_threads, free_memory_bytes, killer, memory_bytes, usable_cores

GROUPS_2, GROUPS_1 = "0::/jobs/7/step\n", "9:memory:/jobs/7\n4:cpu,cpuacct:/jobs/7\n0::/\n"


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of control groups of a machine with eight cores; this process' own stand in `own` beside it."""
    root = tmp_path / "cgroup"
    root.mkdir()
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(machine, "_siblings", str)
    monkeypatch.setattr(machine, "_CGROUPS", root)
    monkeypatch.setattr(machine, "_OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return root


def _put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("own", "files", "cores", "memory"),
    [
        (GROUPS_2, {}, 8, None),
        (GROUPS_2, {"jobs/7/step/cpu.max": "max 100000", "jobs/7/step/memory.max": "max"}, 8, None),
        (GROUPS_2, {"jobs/7/step/cpu.max": "150000 100000", "jobs/7/step/memory.max": "1000"}, 2, 1000),
        (GROUPS_2, {"jobs/7/cpu.max": "300000 100000", "jobs/memory.max": "2000", "jobs/7/memory.max": "max"}, 3, 2000),
        (GROUPS_2, {"cpu.max": "400000 100000", "memory.max": "3000"}, 4, 3000),
        (GROUPS_2, {"other/cpu.max": "100000 100000", "other/memory.max": "4000"}, 8, None),
        (
            GROUPS_1,
            {
                "cpu/jobs/7/cpu.cfs_quota_us": "250000",
                "cpu/jobs/7/cpu.cfs_period_us": "100000",
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/jobs/memory.limit_in_bytes": "5000",
            },
            3,
            5000,
        ),
        (GROUPS_1, {"memory/memory.limit_in_bytes": "6000", "cpu/jobs/7/cpu.cfs_quota_us": "damaged"}, 8, 6000),
        ("nonsense\n", {"memory.max": "7000", "cpu.max": "100000 100000"}, 1, 7000),
        ("0::/../..\n", {"memory.max": "8000"}, 8, 8000),
        (None, {"memory.max": "9000", "cpu.max": "5000 100000"}, 1, 9000),
    ],
)
def test_the_least_of_all_control_groups_above_a_process_holds(
    groups: Path, own: str | None, files: dict[str, str], cores: int, memory: int | None
) -> None:
    """A container shows its group as the root; a job of a batch system lies further down, of either version."""
    if own is not None:
        machine._OWN_CGROUPS.write_text(own)
    _put(groups, files)
    assert usable_cores() == computing_threads() == cores
    assert memory_bytes() == (_physical() if memory is None else memory)


@pytest.mark.parametrize(
    ("said", "limit", "free"),
    [
        ("MemTotal: 9 kB\nMemAvailable:  6 kB\nSwapFree:   2 kB\nHugePages_Total: 0\n", "max", 8 * 1024),
        ("MemAvailable: 6 kB\nSwapFree: 2 kB\n", "5000", 5000),
        ("MemAvailable: 6 kB\n", "5000", 5000),
        (None, "5000", 5000),
    ],
)
def test_free_is_what_the_system_and_every_limit_leave(groups: Path, said: str | None, limit: str, free: int) -> None:
    """What lies in caches is free, as Linux reckons; where it doesn't say it, the limit alone counts."""
    _put(groups, {"memory.max": limit})
    if said is not None:
        machine._MEMINFO.write_text(said)
    assert free_memory_bytes() == free


@pytest.mark.parametrize("version", [1, 2])
def test_what_a_control_group_uses_is_not_free(groups: Path, version: int) -> None:
    """As of a job on a cluster, whose limit others of its processes share; files that it caches it can give back."""
    folder, limit, used, prefix = {
        1: ("memory/", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        2: ("", "memory.max", "memory.current", ""),
    }[version]
    stat = f"anon 6000\n{prefix}inactive_file 1500"
    _put(groups, {folder + limit: "9000", folder + used: "8000", f"{folder}memory.stat": stat})
    assert free_memory_bytes() == 2500
    _put(groups, {folder + used: "12000"})
    assert free_memory_bytes() == 1


def _physical() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_threads_that_were_asked_for_are_taken(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the share of time is."""
    _put(groups, {"cpu.max": "100000 100000"})
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    assert computing_threads() == 6


def test_threads_are_told_where_the_system_names_no_cores(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS and Windows, which can't say on which cores a process may run."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert computing_threads() == usable_cores() == 5


@pytest.mark.parametrize(
    ("code", "what"),
    [(0, ""), (1, ""), (255, ""), (-9, "SIGKILL"), (-250, "signal 250"), (0xC0000005, "error 0xC0000005 of Windows")],
)
def test_what_ended_a_process_is_told_of_signals_and_of_windows(code: int, what: str) -> None:
    """A crash there has a large exit code, never one below 0."""
    assert killer(code) == what
