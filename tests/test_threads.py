"""A system that gives no more threads ends a run in one line, or costs a slide; nothing is left behind."""

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from nodescan.batch.lock import held
from nodescan.batch.progress import PlainViewer
from nodescan.batch.viewers import JsonLog
from nodescan.batch.workers import Worker
from nodescan.cli import main
from nodescan.domain.report import Status
from nodescan.domain.slide import SlideRef
from nodescan.errors import WorkerError, more_memory, more_threads
from nodescan.machine import check_address_space
from nodescan.threads import thread_errors
from tests.batch.run_tools import in_this_process, scan_slides, slide_tools
from tests.batch.test_workers import job, scanned
from tests.fakes import paint_slide

SAID = "no thread can be started; end other programs, or raise the limit of processes (ulimit -u)"

Refuse = Callable[[str], None]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Threads whose name begins so can't be started."""
    start = threading.Thread.start

    def use(name: str) -> None:
        def refused(self: threading.Thread) -> None:
            if self.name.startswith(name):
                raise RuntimeError("can't start new thread")
            start(self)

        monkeypatch.setattr(threading.Thread, "start", refused)

    return use


def test_a_worker_that_cannot_be_listened_to_is_ended(refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it isn't left to itself."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def noted(*given: object, **more: object) -> subprocess.Popen[bytes]:
        started.append(popen(*given, **more))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", noted)
    refuse("listen")
    with pytest.raises(WorkerError) as error:
        Worker()
    assert str(error.value) == SAID
    assert [process.poll() is not None for process in started] == [True]


def test_a_limit_of_memory_is_named_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """ulimit -v: each thread names memory of its own, too. Far too little for a scan is told before it begins."""
    resource, gb = pytest.importorskip("resource"), 10**9

    def limited(to: int) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (to, resource.RLIM_INFINITY))

    limited(resource.RLIM_INFINITY)
    assert "ulimit -v" not in more_threads() + more_memory()
    check_address_space()
    limited(2 * gb)
    assert "ulimit -v" in more_threads()
    assert "ulimit -v" in more_memory()
    check_address_space()
    limited(4 * gb // 10)
    with pytest.raises(WorkerError, match=r"may have 0\.4 GB of memory \(ulimit -v\).*raise the limit"):
        check_address_space()
    assert main(["run", "a.tif", "--out", "out"]) == 1


def test_a_lock_without_a_heartbeat_is_given_back(refuse: Refuse, tmp_path: Path) -> None:
    """The next run finds the folder free."""
    refuse("heartbeat")
    with pytest.raises(WorkerError, match="no thread can be started"), held(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_log_without_a_heartbeat_is_no_log(refuse: Refuse, tmp_path: Path) -> None:
    """One line, not a traceback."""
    refuse("log-heartbeat")
    with pytest.raises(WorkerError, match="no thread can be started"):
        JsonLog(tmp_path / "log.jsonl")


def test_a_batch_without_threads_for_its_slots_is_one_error(refuse: Refuse, tmp_path: Path) -> None:
    """No slide is failed for it."""
    refuse("slot")
    with pytest.raises(WorkerError, match="no thread can be started"):
        scanned(job(tmp_path, "open_deadly"), [SlideRef("a", paint_slide(tmp_path / "a.tif"))], slots=1)
    assert not (tmp_path / "out" / "a").exists()


@pytest.mark.parametrize("name", ["read", "close-up", "report"])
def test_a_slide_without_threads_fails_and_says_why(name: str, refuse: Refuse, tmp_path: Path) -> None:
    """It is no defect, and the batch goes on."""
    (tmp_path / "out").mkdir()
    tools = slide_tools(tmp_path / "out")
    refs = [SlideRef(slide, paint_slide(tmp_path / f"{slide}.tif", tumour_um=400)) for slide in "ab"]
    refuse(name)
    result = scan_slides(refs, in_this_process(tools), PlainViewer())
    assert [report.status for report in result.reports] == [Status.FAILED] * 2
    assert {report.flags[0].message for report in result.reports} == {SAID}
    assert not (tmp_path / "out" / "run.log").exists()


def test_other_errors_pass() -> None:
    """RuntimeError says many things."""
    with pytest.raises(RuntimeError, match="another"), thread_errors():
        raise RuntimeError("another")
