"""Fixtures that many rooms' tests share."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from nodescan.phantoms import make_phantom, plan_phantom

settings.register_profile("nodescan", deadline=None)  # how long one example takes says nothing on a busy machine
settings.load_profile("nodescan")

# Threads of torch that wait for each other turn in a loop, and keep the cores from the tests beside them; told
# otherwise, they sleep. Whatever tests start is told, too. It must be said before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A shell has what it starts in the background ignore Ctrl-C, and so would the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SLOWEST_FIRST = (
    "test_faults.py",
    "test_chain.py",
    "test_wheel.py",
    "test_resume.py",
    "test_fitting.py",
    "test_workers.py",
)
"""Files that take a minute or more: where three processes share the tests, none of them begins last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in SLOWEST_FIRST)


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom slide of 0.5 um/px with a deposit of 0.9 mm and fat around its node, to be read alone."""
    path = tmp_path_factory.mktemp("phantom") / "phantom.tif"
    make_phantom(path, plan_phantom((900.0,), spacing_um=0.5, seed=3))
    return path


@pytest.fixture
def unnumbered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that numbers every file 0, as some disks in the network do on Windows."""
    told = os.stat

    def without_number(*args: Any, **options: Any) -> os.stat_result:
        state = told(*args, **options)
        return os.stat_result((state.st_mode, 0, 0, *state[3:]))

    monkeypatch.setattr(os, "stat", without_number)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of folders that nobody may list; root may list all others."""
    names: set[str] = set()
    listed = os.scandir

    def refused(path: str) -> Any:
        if Path(path).name in names:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refused)
    return names


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, where there is one; tests that need it skip without it."""
    for place in (os.environ.get("NODESCAN_SHARED"), Path(__file__).parents[2] / "shared"):
        if place and (Path(place) / "data").is_dir():
            return Path(place)
    pytest.skip("no folder of real data: set NODESCAN_SHARED or put it at ../shared")


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals from 40 resamples, for tests that don't look at them: 1,000 take a second for each evaluation."""
    monkeypatch.setattr("nodescan.evaluation.bootstrap.RESAMPLES", 40)
