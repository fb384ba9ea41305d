"""A slot has one worker at a time: when another is started, which one is ended, and what the log keeps of it."""

from pathlib import Path

import pytest

from nodescan.batch import slots
from nodescan.batch.progress import PlainViewer
from nodescan.batch.record import RUN_LOG
from nodescan.batch.slots import Slot
from nodescan.batch.worker_messages import ScanJob
from nodescan.batch.workers import Opened
from nodescan.domain.slide import SlideRef
from nodescan.errors import (
    CrowdedError,
    DeviceError,
    DisplacedError,
    ModelError,
    NodescanError,
    StalledError,
    WorkerDiedError,
    WorkerError,
)
from tests.fakes import ColourPredictor

READY = Opened(ColourPredictor.model, "cpu", "float32", 4, 1)


class FakeWorker:
    """A worker without a process. fails: what it raises, when it opens or scans, until it is empty."""

    def __init__(self, *fails: NodescanError) -> None:
        self.fails, self.there, self.asked, self.opened = list(fails), True, (), 0

    def open(self, job: ScanJob, number: int, *, stall_s: float) -> Opened:
        self.asked, self.opened = (job, number, stall_s), self.opened + 1
        self._fail()
        return READY

    def scan(self, ref: SlideRef, viewer: object, *, stall_s: float) -> str:
        self._fail()
        return f"{ref.slide_id} within {stall_s:g} s"

    def alive(self) -> bool:
        return self.there

    def end(self) -> None:
        self.there = False

    def last_words(self) -> str:
        return "its last words"

    def _fail(self) -> None:
        if self.fails:
            raise self.fails.pop(0)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int | None, FakeWorker]]:
    """Threads and worker of every one that the slot starts itself."""
    found: list[tuple[int | None, FakeWorker]] = []

    def start(*, threads: int | None) -> FakeWorker:
        found.append((threads, FakeWorker()))
        return found[-1][1]

    monkeypatch.setattr(slots, "Worker", start)
    return found


def job(folder: Path) -> ScanJob:
    return ScanJob(folder, folder, "cpu", "scan.yaml", "", ())


def slot(folder: Path, worker: FakeWorker | None = None) -> Slot:
    return Slot(job(folder), 3, stall_s=9.0, threads=2, worker=worker)


def test_a_worker_is_started_when_it_is_needed_and_once(tmp_path: Path, started: list) -> None:
    """With the slot's threads; it opens the job's model in the slot's place."""
    one = slot(tmp_path)
    assert (one.device, one.slides, started) == ("", 0, [])
    assert one.open() == one.open()
    ((threads, worker),) = started
    assert one.open() == (worker, READY)
    assert (threads, worker.opened, worker.asked) == (2, 1, (job(tmp_path), 3, 9.0))
    assert one.scan(worker, SlideRef("a", Path("a.svs")), PlainViewer()) == "a within 9 s"


def test_a_worker_that_was_started_before_is_used(tmp_path: Path, started: list) -> None:
    """Until it is lost: then another is started, and it is ended, whatever is left of it."""
    first = FakeWorker()
    one = slot(tmp_path, first)
    for _ in range(2):
        assert one.open() == (first, READY)
    assert (first.opened, started) == (1, [])
    first.there = False
    worker, _ = one.open()
    assert (worker, worker.opened) == (started[0][1], 1)
    assert one.open()[0] is worker


@pytest.mark.parametrize(("fails", "another"), [(WorkerError("no memory"), True), (ModelError("damaged"), False)])
def test_a_worker_that_cannot_begin_is_replaced_once(
    tmp_path: Path, started: list, fails: NodescanError, another: bool
) -> None:
    """Not for a model that no other could open either."""
    first = FakeWorker(fails)
    one = slot(tmp_path, first)
    if another:
        assert one.open() == (started[0][1], READY)
        assert (first.there, started[0][1].asked) == (False, (job(tmp_path), 3, 9.0))
    else:
        with pytest.raises(ModelError):
            one.open()
        assert started == []


def test_a_worker_after_a_lost_one_is_ready_only_when_its_own_model_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may stand without one, where its device was gone for a moment: what the lost one had open is not its own."""
    first, second = FakeWorker(), FakeWorker(DeviceError("no GPU"))
    monkeypatch.setattr(slots, "Worker", lambda **_: second)
    one = slot(tmp_path, first)
    one.open()
    first.there = False
    with pytest.raises(DeviceError):
        one.open()
    assert one.open() == (second, READY)
    assert second.opened == 2


@pytest.mark.parametrize(
    ("lost", "ended"), [(WorkerDiedError, True), (StalledError, True), (CrowdedError, False), (DisplacedError, False)]
)
@pytest.mark.parametrize("stopped", [False, True])
def test_what_a_lost_worker_said_is_kept_and_it_is_ended(
    tmp_path: Path, lost: type[NodescanError], ended: bool, stopped: bool
) -> None:
    """Not where another slide was in its way: the worker may go on. A run that was stopped ended it itself."""
    worker = FakeWorker()
    one = slot(tmp_path, worker)
    one.open()
    if stopped:
        one.end()
        assert not worker.there
        worker.there = True
    worker.fails = [lost("a", "it was killed")]
    with pytest.raises(lost):
        one.scan(worker, SlideRef("a", Path("a.svs")), PlainViewer())
    assert worker.there is not ended
    log = tmp_path / RUN_LOG
    assert log.exists() is (ended and not stopped)
    assert not log.exists() or log.read_text().endswith(" a\nit was killed\nits last words\n")


@pytest.mark.parametrize("used", [False, True])
def test_a_slot_that_was_ended_starts_no_other_worker(tmp_path: Path, started: list, used: bool) -> None:
    """Before its first, too."""
    one = slot(tmp_path, FakeWorker() if used else None)
    if used:
        one.open()
    one.end()
    with pytest.raises(WorkerError, match=r"^the run was stopped$"):
        one.open()
    assert started == []
