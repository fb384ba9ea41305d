"""The driver of a run on a Dask cluster: what it says before any slide, and what stays where its run ends early."""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("distributed", reason="Dask is not installed: pip install '.[cluster]'")

from nodescan import __version__
from nodescan.batch import run as batch
from nodescan.batch.cluster import connection, processes, task
from nodescan.batch.cluster.processes import threads_of_a_task
from nodescan.batch.cluster.task import Attempt
from nodescan.batch.progress import PlainViewer
from nodescan.batch.request import BatchRequest
from nodescan.batch.run import run_batch
from nodescan.batch.worker_messages import ScanJob
from nodescan.domain.report import RESULT_VERSION, Status
from nodescan.domain.slide import SlideRef
from nodescan.errors import ClusterError, DeviceLostError, NodescanError, StalledError, UsageError
from nodescan.slides.files import fingerprint_here
from tests.batch.cluster.fakes import REPOSITORY, Farm, kill, marks
from tests.batch.cluster.runs import Run, opener, request, rows, slides
from tests.batch.worker_fakes import RUN
from tests.fakes import paint_slide
from tests.waiting import PATIENCE_S, gone, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc")


def driver(folder: Path, farm: Farm, names: str) -> subprocess.Popen[str]:
    given = [f"{name}.tif" for name in names]
    command = [sys.executable, "-c", RUN, "tests.batch.cluster.fakes:open_holding_once", "run", *given]
    return subprocess.Popen(
        [*command, "--out", "out", "--reports", "json", "--scheduler", farm.address],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stderr=(folder / "said").open("w"),
        stdout=subprocess.DEVNULL,
        text=True,
    )


def until_one_is_done_and_one_held(folder: Path, farm: Farm, process: subprocess.Popen[str]) -> tuple[int, int]:
    def why() -> str:
        return (folder / "said").read_text() + farm.logs()

    until(lambda: process.poll() is not None or (marks("held", farm.folder) and "a: complete" in why()), why)
    assert process.poll() is None, why()
    return marks("held", farm.folder)[0]


def test_killed_driver_is_resumed_and_what_it_left_running_ends(
    tmp_path: Path, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finished slide is kept; the process that still held the other is ended, since its run has lost the lock."""
    farm.ready(2)
    given = slides(tmp_path, "ab", tumour_in="b")
    killed = driver(tmp_path, farm, "ab")
    orphan, _ = until_one_is_done_and_one_held(tmp_path, farm, killed)
    kill(killed)
    assert not gone(orphan)
    assert not (tmp_path / "out" / "b").exists()
    opener(monkeypatch, "open_holding_once")
    run = Run(request(tmp_path, farm, *given))
    result = run.result()
    assert (result.complete, result.kept) == (True, 1), run.said
    assert rows(tmp_path) == [("a", "complete", ""), ("b", "complete", "")]
    until(lambda: gone(orphan))
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


def test_interrupted_driver_leaves_nothing_running(tmp_path: Path, farm: Farm) -> None:
    """Ctrl-C: exit code 130, finished slides stay, the slide in the works is dropped on its machine too."""
    farm.ready(2)
    slides(tmp_path, "ab", tumour_in="b")
    process = driver(tmp_path, farm, "ab")
    held, _ = until_one_is_done_and_one_held(tmp_path, farm, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130
    assert rows(tmp_path) == [("a", "complete", "")]
    until(lambda: gone(held))
    assert not (tmp_path / "out" / "b").exists()


def test_stopped_scheduler_is_one_line_and_exit_code_1(tmp_path: Path, farm: Farm) -> None:
    """What is finished stays, the state is said, and the command works again."""
    farm.ready(2)
    slides(tmp_path, "ab", tumour_in="b")
    process = driver(tmp_path, farm, "ab")
    held, _ = until_one_is_done_and_one_held(tmp_path, farm, process)
    assert farm.scheduler is not None
    kill(farm.scheduler)
    assert process.wait(PATIENCE_S) == 1
    said = (tmp_path / "said").read_text().splitlines()
    assert [line for line in said if not re.match(r"slide |done |model |tcp:|b: \d", line)] == [
        f"error: {farm.address}: the Dask scheduler stopped or can't be reached any more; what is finished stays; see "
        "that the scheduler runs, then run the same command again"
    ]
    assert rows(tmp_path) == [("a", "complete", ""), ("b", "failed", "failed")]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["state"] == "interrupted"
    assert not (tmp_path / "out" / ".run.lock").exists()
    until(lambda: gone(held))


def may_unshare() -> bool:
    tool = shutil.which("unshare")
    return (
        tool is not None and subprocess.run([tool, "--mount", "true"], check=False, capture_output=True).returncode == 0
    )


def test_worker_that_sees_another_disk_is_named_before_any_slide(tmp_path: Path, farm: Farm) -> None:
    """The folder is there, but it is another one: what would be written there would be lost."""
    if not may_unshare():
        pytest.skip("mount namespaces can't be made here")
    farm.ready(1)
    mount = f'mount -t tmpfs none {tmp_path} && mkdir {tmp_path}/out && exec "$@"'
    blind = farm.add(before=["unshare", "--mount", "sh", "-c", mount, "sh"])
    try:
        farm.wait_for(2)
        with pytest.raises(ClusterError, match=r"the worker on .*/out: this folder isn't seen .* choose an --out"):
            run_batch(request(tmp_path, farm, paint_slide(tmp_path / "a.tif")), PlainViewer(io.StringIO()))
    finally:
        kill(blind)
    assert not (tmp_path / "out" / "a").exists()


def said_of_a_slide(tmp_path: Path, farm: Farm, slide: Path, *, mount: str) -> str:
    """Why it failed, by the only worker, which sees other disks by that command."""
    farm.ready(0)
    farm.add(before=["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"])
    farm.wait_for(1)
    result = run_batch(request(tmp_path, farm, slide), PlainViewer(io.StringIO()))
    assert result.reports[0].status is Status.FAILED
    return result.reports[0].flags[0].message


def test_slide_on_a_disk_of_the_driver_alone_fails_saying_so(
    tmp_path: Path, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report says what to do, and names neither path nor host."""
    if not may_unshare():
        pytest.skip("mount namespaces can't be made here")
    opener(monkeypatch, "open_quietly")
    slide = paint_slide(tmp_path / "local" / "a.tif")
    assert re.fullmatch(
        r"a worker has no such file; put the slides on a disk that all machines see under the same path",
        said_of_a_slide(tmp_path, farm, slide, mount=f"mount -t tmpfs none {slide.parent}"),
    )


def test_slide_that_is_another_file_at_the_worker_fails_saying_so(
    tmp_path: Path, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same path, size and time of change; what the worker would have found is of no slide of the run."""
    if not may_unshare():
        pytest.skip("mount namespaces can't be made here")
    opener(monkeypatch, "open_quietly")
    here, there = paint_slide(tmp_path / "here" / "a.tif", tumour_um=400), tmp_path / "there" / "a.tif"
    shutil.copytree(here.parent, there.parent)
    content = there.read_bytes()
    there.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(there, ns=(here.stat().st_atime_ns, here.stat().st_mtime_ns))
    assert re.fullmatch(
        r"a worker sees another file under this path; put the slides on a disk that all machines "
        "see under the same path",
        said_of_a_slide(tmp_path, farm, here, mount=f"mount --bind {there.parent} {here.parent}"),
    )


def test_a_slide_with_another_time_of_change_at_the_worker_is_the_same(tmp_path: Path) -> None:
    """As a network disk has it that keeps whole seconds; one that the driver can't look at is not compared."""
    slide = tmp_path / "a.tif"
    slide.write_bytes(b"tiles")
    seen = fingerprint_here(slide)
    os.utime(slide, ns=(5, 5))
    assert task._unlike(Attempt(SlideRef("a", slide), tmp_path / "marker", seen)) == ""
    slide.write_bytes(b"tales")
    assert task._unlike(Attempt(SlideRef("a", slide), tmp_path / "marker", seen)) == "sees another file under this path"
    assert fingerprint_here(tmp_path / "none.tif") is None
    assert task._unlike(Attempt(SlideRef("a", slide), tmp_path / "marker", "")) == ""


def test_cluster_that_cannot_do_the_work_is_said_before_any_slide(
    tmp_path: Path, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No GPU among the workers, no worker at all, no model that opens, a slide's file or a model that isn't there."""
    farm.ready(1)
    slide = paint_slide(tmp_path / "a.tif")
    viewer = PlainViewer(io.StringIO())
    with pytest.raises(ClusterError, match=r'no Dask worker that offers a GPU.*--resources "GPU=1"'):
        run_batch(request(tmp_path, farm, slide, device="cuda"), viewer)
    opener(monkeypatch, "open_missing")
    with pytest.raises(NodescanError, match=r"the worker on .*: a worker process can't start"):
        run_batch(request(tmp_path, farm, slide), viewer)
    farm.ready(0)
    with pytest.raises(ClusterError, match=r"there is no Dask worker; start some with: dask worker tcp://"):
        run_batch(request(tmp_path, farm, slide, stall_minutes=0.01), viewer)
    monkeypatch.setattr(connection, "_CONNECTING_S", 0.5)
    with pytest.raises(ClusterError, match=r"no Dask scheduler can be reached there \(nobody answers\)"):
        run_batch(request(tmp_path, farm, slide, scheduler="tcp://127.0.0.1:1"), viewer)
    assert not (tmp_path / "out" / "a").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"slots": 2}, "--slots: applies to this machine"),
        ({"copy_to": Path("copies")}, "--stage: copies to a disk of this machine"),
        ({"scheduler": " "}, "--scheduler: no address is given"),
        ({"scheduler": "tcp://nowhere"}, "--scheduler tcp://nowhere: no address of a Dask scheduler"),
    ],
)
def test_wrong_use_is_refused_in_words(tmp_path: Path, given: dict[str, object], words: str) -> None:
    """What only one machine can do, and what is no address."""
    asked = BatchRequest((str(paint_slide(tmp_path / "a.tif")),), tmp_path / "out", scheduler="tcp://localhost:1")
    with pytest.raises(UsageError, match=words):
        run_batch(batch.replace(asked, **given), PlainViewer(io.StringIO()))


@pytest.mark.filterwarnings("ignore:The 'ucx' protocol")
@pytest.mark.parametrize("address", ["foo", "tcp://nowhere", "tcp://localhost:port", "ucx://localhost:1"])
def test_what_is_no_address_is_refused_without_a_client(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One made in vain would hold up the end of the program for half a minute, and end it with a traceback."""
    monkeypatch.setattr(connection.distributed, "Client", lambda *_, **__: pytest.fail("a client was made"))
    with pytest.raises(UsageError, match="no address of a Dask scheduler"), connection.connected(address):
        pass


def test_without_dask_the_command_to_install_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and no traceback."""
    for name in [name for name in sys.modules if name.startswith("nodescan.batch.cluster")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "distributed", None)
    asked = BatchRequest((str(paint_slide(tmp_path / "a.tif")),), tmp_path / "out", scheduler="tcp://localhost:1")
    with pytest.raises(UsageError, match=r"Dask is not installed .* pip install '\.\[cluster\]' in the checkout"):
        run_batch(asked, PlainViewer(io.StringIO()))


def test_a_gpu_that_fails_on_a_machine_is_told_with_its_remedy_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error ends in the remedy by itself."""

    def lost(_job: task.ClusterJob) -> None:
        raise DeviceLostError("the GPU failed (it fell off the bus)", "look at it")

    monkeypatch.setattr(task, "check_here", lost)
    monkeypatch.setattr(task.socket, "gethostname", lambda: "node7")
    said = task.look(cast("task.ClusterJob", None))
    assert said == "the worker on node7: the GPU failed (it fell off the bus); look at it"


def test_dask_is_imported_only_where_a_scheduler_is_named() -> None:
    """A run on this machine costs nothing for it."""
    program = "import nodescan.batch.run, sys; sys.exit('dask' in sys.modules or 'distributed' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_machine_with_another_nodescan_gets_no_slides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its findings would be of two versions; the result version counts as well as the name that pip knows."""
    monkeypatch.setattr(task, "_FIT", set())
    monkeypatch.setattr(task, "_check_seen", lambda job: None)
    monkeypatch.setattr(task, "model_here", lambda job: None)
    scan = ScanJob(tmp_path, tmp_path, "cpu", "scan.yaml", "", ("json",), run_id="r")

    def said(*made_with: object) -> str:
        return task.look(SimpleNamespace(scan=replace(scan, made_with=made_with)))  # pyright: ignore[reportArgumentType]

    for other in (("0.0", RESULT_VERSION), (__version__, RESULT_VERSION + 1)):
        assert f"nodescan {__version__} is installed there, not {other[0]}; install the same on all" in said(*other)
    assert said(__version__, RESULT_VERSION) == ""


@pytest.mark.parametrize(("hangs", "unfit"), [("begin", True), ("exists", False), ("fingerprint_here", False)])
def test_a_disk_that_hangs_before_the_scan_costs_the_worker_or_the_slide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs: str, unfit: bool
) -> None:
    """Where the run's folder hangs the worker gets no slides; where the slide's does it has stalled. None waits on."""
    woken = Event()
    monkeypatch.setattr(task.distributed, "get_worker", lambda: SimpleNamespace(address="tcp://me"))
    monkeypatch.setattr(task, "check_here", lambda job: None)
    hanging: object = {"begin": Attempt, "exists": Path, "fingerprint_here": task}[hangs]
    monkeypatch.setattr(hanging, hangs, lambda _: woken.wait(PATIENCE_S))
    (tmp_path / "a.tif").touch()
    attempt = Attempt(SlideRef("a", tmp_path / "a.tif"), tmp_path / "marker", seen="51de")
    told = task.scan_here(attempt, SimpleNamespace(stall_s=0.01))  # pyright: ignore[reportArgumentType]
    woken.set()
    assert told.unfit == unfit
    assert isinstance(told.error, ClusterError if unfit else StalledError)
    assert "its disk didn't answer" in str(told.error)
    if isinstance(told.error, StalledError):
        assert told.error.in_reports.startswith("a worker: its disk didn't answer")


def test_a_defect_in_looking_after_processes_is_told_once_and_the_watch_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In the Dask worker's log, with its traceback; it comes at each look."""
    looks: list[str] = []

    class Broken(processes.KeptProcesses):
        def end_unwanted(self) -> None:
            looks.append("looked")
            raise ZeroDivisionError("planted")

    def sleep(_: float) -> None:
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(processes, "time", SimpleNamespace(sleep=sleep))
    with pytest.raises(KeyboardInterrupt):
        Broken()._watch_on()
    assert len(looks) == 3
    assert caplog.text.count("ZeroDivisionError: planted") == 1


def test_attempt_begins_once(tmp_path: Path) -> None:
    """Whatever Dask repeats, and wherever."""
    attempt = Attempt(SlideRef("a", tmp_path / "a.tif"), tmp_path / "marker", seen="51de")
    assert [attempt.begin(), attempt.begin()] == [True, False]
    assert attempt.marker.read_text() == f"{socket.gethostname()} {os.getpid()}"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_attempt_on_a_full_disk_begins_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The marker stays empty, and no worker is unfit for it: the slide's reports meet the full disk and say so."""
    attempt = Attempt(SlideRef("a", tmp_path / "a.tif"), tmp_path / "marker", seen="51de")
    opened = Path.open

    def full(path: Path, mode: str = "r", **more: Any) -> object:
        if mode == "x":
            path.touch()
        return opened(Path("/dev/full") if mode in ("x", "r+") else path, "w" if mode in ("x", "r+") else mode, **more)

    monkeypatch.setattr(Path, "open", full)
    assert [attempt.begin(), attempt.begin()] == [True, False]


def test_a_worker_that_can_make_no_marker_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets no slides, and where no other is left the run ends so, with exit code 1."""
    monkeypatch.setattr(task.distributed, "get_worker", lambda: SimpleNamespace(address="tcp://me"))
    monkeypatch.setattr(task.socket, "gethostname", lambda: "node7")
    monkeypatch.setattr(task, "check_here", lambda job: None)
    marker = tmp_path / "not a folder" / "marker"
    marker.parent.touch()
    attempt = Attempt(SlideRef("a", tmp_path / "a.tif"), marker, seen="51de")
    told = task.scan_here(attempt, SimpleNamespace(stall_s=PATIENCE_S))  # pyright: ignore[reportArgumentType]
    assert (told.unfit, type(told.error)) == (True, ClusterError)
    assert str(told.error) == (
        f"the worker on node7: {marker}: can't be written (Not a directory); choose an output folder whose parents are "
        "folders, then run again"
    )


@pytest.mark.parametrize(
    ("said", "nanny", "own_threads", "known", "expected"),
    [
        ("1", "tcp://nanny", 1, 1, 16),
        ("1", "tcp://nanny", 2, 1, 8),
        ("1", "tcp://nanny", 1, 4, 4),
        ("1", "tcp://nanny", 40, 1, 1),
        ("1", None, 1, 1, None),
        ("3", "tcp://nanny", 1, 1, None),
        ("", None, 4, 1, 4),
    ],
)
def test_task_gets_its_share_of_the_cores_but_for_the_users_own_word(  # noqa: PLR0913, PLR0917
    monkeypatch: pytest.MonkeyPatch, said: str, nanny: str | None, own_threads: int, known: int, expected: int | None
) -> None:
    """On 16 cores: Dask's nanny says 1 where nobody else says anything, which is nobody's word."""
    worker = SimpleNamespace(address="tcp://me", nanny=nanny, state=SimpleNamespace(nthreads=own_threads))
    monkeypatch.setattr(processes, "CPU_COUNT", 16)
    monkeypatch.setattr(processes.distributed, "get_worker", lambda: worker)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert threads_of_a_task(SimpleNamespace(tasks_on={"tcp://me": known})) == expected  # pyright: ignore[reportArgumentType]
