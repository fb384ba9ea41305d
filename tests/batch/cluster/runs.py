"""Runs on a cluster of real processes, begun and looked at by tests."""

import io
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from nodescan.batch import run as batch
from nodescan.batch.progress import PlainViewer
from nodescan.batch.request import BatchRequest
from nodescan.batch.run import BatchResult, run_batch
from tests.batch.cluster.fakes import Farm, marks
from tests.fakes import paint_slide
from tests.faults import accounting
from tests.waiting import PATIENCE_S, until


class Run:
    """A run in a thread of this process, while a test does harm."""

    def __init__(self, request: BatchRequest) -> None:
        self.stream = io.StringIO()
        self._thread = ThreadPoolExecutor(1)
        self.future: Future[BatchResult] = self._thread.submit(run_batch, request, PlainViewer(self.stream))

    def result(self) -> BatchResult:
        return self.future.result(PATIENCE_S)

    @property
    def said(self) -> str:
        return self.stream.getvalue()

    def until_held(self, farm: Farm, times: int = 1) -> tuple[int, int]:
        """(worker process, Dask worker) that stands still in mid-slide."""
        until(lambda: len(marks("held", farm.folder)) >= times or self.future.done(), farm.logs)
        assert len(marks("held", farm.folder)) == times, (self.future.exception(), self.said, farm.logs())
        return marks("held", farm.folder)[-1]


def opener(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(batch, "ScanJob", partial(batch.ScanJob, opener=f"tests.batch.cluster.fakes:{name}"))


def request(folder: Path, farm: Farm, *slides: Path, **more: object) -> BatchRequest:
    asked = BatchRequest(tuple(map(str, slides)), folder / "out", reports=("json",), scheduler=farm.address)
    return batch.replace(asked, **more)


def slides(folder: Path, names: str, tumour_in: str) -> list[Path]:
    return [paint_slide(folder / f"{name}.tif", tumour_um=400 if name in tumour_in else 0) for name in names]


def rows(folder: Path) -> list[tuple[str, str, str]]:
    """(slide_id, status, flags) of each row, but for what the released model says of painted tissue."""
    told = accounting.rows(folder / "out")
    return [(row["slide_id"], row["status"], row["flags"].replace("unlike_training", "").strip("; ")) for row in told]
