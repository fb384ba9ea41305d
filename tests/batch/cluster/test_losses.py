"""Whatever is lost of a Dask cluster in mid-run costs no result, and a slide is counted by the driver alone."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event, Lock
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import pytest

pytest.importorskip("distributed", reason="Dask is not installed: pip install '.[cluster]'")

from distributed.comm.core import CommClosedError

from nodescan.batch.cluster import connection, executor
from nodescan.batch.cluster.connection import Cluster
from nodescan.batch.progress import PlainViewer
from nodescan.errors import ClusterError
from tests.batch.cluster.fakes import Farm, marks
from tests.batch.cluster.runs import Run, opener, request, rows, slides
from tests.waiting import PATIENCE_S, gone, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc")


def test_slide_whose_machine_is_lost_is_read_on_another(
    tmp_path: Path, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has one row and one whole report; each machine opens the model once, and nothing is left running or lying."""
    opener(monkeypatch, "open_holding_once")
    farm.ready(2)
    run = Run(request(tmp_path, farm, *slides(tmp_path, "abcd", tumour_in="a")))
    _process, dask_worker = run.until_held(farm)
    os.kill(dask_worker, signal.SIGKILL)
    result = run.result()
    assert result.complete
    assert rows(tmp_path) == [(name, "complete", "") for name in "abcd"]
    assert result.reports[0].metastasis is not None
    assert result.reports[0].slide.path == tmp_path / "a.tif"
    assert "a.tif: the Dask worker that read it was lost" in run.said
    assert run.said.count("a: complete, micro") == 1
    opened = marks("opened", farm.folder)
    assert len(opened) == 2
    until(lambda: all(gone(pid) for pid, _ in opened))
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")) == []


def test_slide_whose_machine_is_lost_twice_is_failed(
    tmp_path: Path, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although Dask would try it four times: the driver counts. The other slide is whole."""
    opener(monkeypatch, "open_holding_twice")
    farm.ready(3)
    run = Run(request(tmp_path, farm, *slides(tmp_path, "ab", tumour_in="a")))
    for times in (1, 2):
        os.kill(run.until_held(farm, times)[1], signal.SIGKILL)
    run.result()
    assert rows(tmp_path) == [("a", "failed", "worker_died"), ("b", "complete", "")]
    report = json.loads((tmp_path / "out" / "a" / "report.json").read_text())
    assert report["flags"][0]["message"].startswith("the Dask worker that read it was lost twice; if memory ran out")


def test_slide_that_kills_its_process_twice_is_failed_and_no_machine_is_lost(
    tmp_path: Path, farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Dask worker beside the process lives on; the log holds both deaths."""
    opener(monkeypatch, "open_dying")
    farm.ready(2)
    run = Run(request(tmp_path, farm, *slides(tmp_path, "ab", tumour_in="a")))
    run.result()
    assert rows(tmp_path) == [("a", "failed", "worker_died"), ("b", "complete", "")]
    assert len(marks("died", farm.folder)) == 2
    assert [worker.poll() for worker in farm.workers] == [None, None]
    assert "was ended by SIGKILL twice" in run.said
    assert (tmp_path / "out" / "run.log").read_text().count(" a\n") == 2


def test_slides_are_read_in_two_network_namespaces_and_one_may_be_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine whose cable is pulled in mid-slide: the slide is read on the other, once."""
    opener(monkeypatch, "open_holding_once")
    (tmp_path / "farm").mkdir()
    farm = Farm(tmp_path / "farm", listens="0.0.0.0")
    with two_namespaces() as (names, addresses):
        try:
            farm.ready(0)
            for name, address in zip(names, addresses, strict=True):
                farm.add(before=["ip", "netns", "exec", name], address=f"tcp://{address}:{farm.port}")
            farm.wait_for(2)
            run = Run(request(tmp_path, farm, *slides(tmp_path, "abc", tumour_in="a")))
            _, dask_worker = run.until_held(farm)
            cut = names[[worker.pid for worker in farm.workers].index(dask_worker)]
            subprocess.run(["ip", "link", "set", f"{cut}h", "down"], check=True)
            farm.miss(addresses[names.index(cut)].removesuffix("1") + "2")
            assert run.result().complete
            assert rows(tmp_path) == [(name, "complete", "") for name in "abc"]
            assert run.said.count("a: complete, micro") == 1
        finally:
            farm.end()


class two_namespaces:
    """Two network namespaces, each with a cable to this one: (names, this side's addresses)."""

    def __enter__(self) -> tuple[list[str], list[str]]:
        self.names = [f"nds{os.getpid() % 10000}{letter}" for letter in "ab"]
        addresses: list[str] = []
        try:
            for number, name in enumerate(self.names):
                net = f"10.213.{os.getpid() % 100 * 2 + number}"
                for words in (
                    f"netns add {name}",
                    f"link add {name}h type veth peer name {name}n netns {name}",
                    f"addr add {net}.1/24 dev {name}h",
                    f"link set {name}h up",
                    f"-n {name} addr add {net}.2/24 dev {name}n",
                    f"-n {name} link set {name}n up",
                    f"-n {name} link set lo up",
                ):
                    subprocess.run(["ip", *words.split()], check=True, capture_output=True)
                addresses.append(f"{net}.1")
        except (OSError, subprocess.CalledProcessError) as error:
            self.__exit__()
            pytest.skip(f"network namespaces can't be made here ({getattr(error, 'stderr', error)!r})")
        return self.names, addresses

    def __exit__(self, *_: object) -> None:
        for name in self.names:
            for words in (f"link del {name}h", f"netns del {name}"):
                try:
                    subprocess.run(["ip", *words.split()], check=False, capture_output=True)
                except OSError:
                    return


class Asked:
    """A task in Dask's hands, whose outcome never comes, or comes as an error."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def __await__(self) -> Iterator[None]:
        if self.error is not None:
            raise self.error
        while True:
            yield


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Iterator[executor.ClusterExecutor]:
    """An executor whose scheduler is none; its client's `asked` is what becomes of a task."""
    monkeypatch.setattr(executor, "_LOOK_EVERY_S", 0.01)
    loop = asyncio.new_event_loop()
    running = ThreadPoolExecutor(1)
    running.submit(loop.run_forever)
    asking = object.__new__(executor.ClusterExecutor)
    asking._client = SimpleNamespace(status="running", loop=SimpleNamespace(asyncio_loop=loop), cancel=lambda _: None)
    asking._cluster, asking._unfit = Cluster("tcp://here:1", 600.0), {}
    asking._asked, asking._ended, asking._lock, asking._over = WeakSet(), None, Lock(), Event()
    yield asking
    loop.call_soon_threadsafe(loop.stop)
    running.shutdown()


def test_a_connection_that_breaks_while_a_result_comes_over_it_ends_the_run(asking: executor.ClusterExecutor) -> None:
    """Dask's own executor left whoever waits for the result waiting for ever."""
    asking._client.submit = lambda *_, **__: Asked(CommClosedError("reset by peer"))
    with pytest.raises(ClusterError, match="tcp://here:1: the Dask scheduler stopped or can't be reached any more"):
        asking._result(Event)


def test_a_result_that_never_comes_holds_up_no_run_that_ends(asking: executor.ClusterExecutor) -> None:
    """As of a scheduler whose machine lost its power in the middle of an answer."""
    asked = Asked(None)
    asking._client.submit = lambda *_, **__: asked
    with ThreadPoolExecutor(1) as thread:
        waits = thread.submit(asking._result, Event)
        until(lambda: asked in asking._asked)
        asking._end(ClusterError("the run was stopped"))
        with pytest.raises(ClusterError, match="the run was stopped"):
            waits.result(PATIENCE_S)


def silent_client(silent: Event) -> Any:
    """Of a scheduler that says nothing until it is told to."""
    return SimpleNamespace(scheduler_info=lambda n_workers: silent.wait(10))


def test_a_scheduler_that_stands_still_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It neither answers nor refuses, as one that was stopped in its window: told as soon as a worker's silence is."""
    silent = Event()
    monkeypatch.setattr(executor, "_LOOK_EVERY_S", 0.01)
    cluster = Cluster("tcp://here:1", 0.05)
    watched = SimpleNamespace(
        _cluster=cluster,
        _workers=lambda: connection.workers_of(silent_client(silent), cluster),
        _over=Event(),
        _lock=Lock(),
        _asked=[],
        _ended=None,
    )
    watched._end = partial(executor.ClusterExecutor._end, watched)
    executor.ClusterExecutor._watch(watched)  # pyright: ignore[reportArgumentType]
    silent.set()
    assert isinstance(watched._ended, ClusterError)
    assert "tcp://here:1: the Dask scheduler doesn't answer; what" in str(watched._ended)


def test_a_scheduler_that_stands_still_before_there_is_a_worker_ends_the_run() -> None:
    """It took the client in, and was stopped before it said who works for it."""
    silent, cluster = Event(), Cluster("tcp://here:1", 0.05)
    with pytest.raises(ClusterError, match=r"tcp://here:1: the Dask scheduler doesn't answer; what is finished stays"):
        connection.first_workers(silent_client(silent), cluster, PlainViewer(io.StringIO()))
    silent.set()


def test_what_was_met_instead_of_a_schedulers_answer_is_told() -> None:
    """A defect here isn't taken for a scheduler that is only silent."""
    cluster = Cluster("tcp://here:1", 0.05)
    assert "answer (KeyError: 'workers'); what" in str(connection.silent_scheduler(cluster, KeyError("workers")))
