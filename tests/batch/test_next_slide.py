"""The next slide is looked through while the network answers for one, which whatever happens to it costs nothing.

Slides a, b and c: b is in a's process when something happens.
"""

from pathlib import Path

import pytest

from nodescan.batch.progress import Viewer
from nodescan.batch.run import BatchResult
from nodescan.batch.slide_task import scan_one
from nodescan.domain.class_bounds import class_word
from nodescan.domain.report import Status
from nodescan.errors import CrowdedError, ModelError, WorkerError
from nodescan.slide_queue import Turns, alone
from tests.batch.run_tools import slide_tools
from tests.batch.test_workers import job, ref, scanned
from tests.fakes import ColourPredictor, paint_slide
from tests.waiting import PATIENCE_S


def scan_with(opener: str, tmp_path: Path, *, stall_s: float = PATIENCE_S) -> BatchResult:
    """a with tumour, b and c without, in one slot."""
    slides = [ref(paint_slide(tmp_path / f"{name}.tif", tumour_um=um)) for name, um in (("a", 400), ("b", 0), ("c", 0))]
    return scanned(job(tmp_path, opener), slides, slots=1, stall_s=stall_s)


def codes(result: BatchResult) -> list[tuple[str, str]]:
    """Status and first flag of each slide."""
    return [(report.status.value, report.flags[0].code if report.flags else "") for report in result.reports]


def test_the_next_slides_first_tiles_are_read_while_the_network_answers(tmp_path: Path) -> None:
    """Here the network doesn't answer before they are: one slide after another would take for ever."""
    result = scan_with("open_waiting_for_b", tmp_path)
    assert codes(result) == [("complete", "")] * 3
    assert [class_word(report) for report in result.reports] == ["micro", "negative", "negative"]


def test_a_next_slide_that_kills_the_process_costs_itself_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody can tell which of the two it was: both are tried again alone, where one of them does it again."""
    assert codes(scan_with("open_where_b_kills", tmp_path)) == [
        ("complete", ""),
        ("failed", "worker_died"),
        ("complete", ""),
    ]
    said = capsys.readouterr().err
    for name in "ab":
        assert f"{name}.tif: the process that read it was ended by SIGKILL; it is tried once more, alone" in said


def test_a_next_slide_that_hangs_is_waited_for_when_the_current_one_is_done(tmp_path: Path) -> None:
    """The first goes on for longer than a slide may stand still, is never tried again, and the hang is b's."""
    result = scan_with("open_where_b_hangs", tmp_path, stall_s=5)
    assert codes(result) == [("complete", ""), ("failed", "stalled"), ("complete", "")]
    assert " a\n" not in (tmp_path / "out" / "run.log").read_text()


def test_a_slide_that_lacks_memory_beside_another_is_tried_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine with room for one slide finds in each what it always did."""
    assert {report.status for report in scan_with("open_where_b_lacks_memory_once", tmp_path).reports} == {
        Status.COMPLETE
    }
    assert "b.tif: memory ran out beside another slide; it is tried once more, alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    "shortage",
    [
        MemoryError(),
        WorkerError("no thread can be started"),
        ModelError("OpenVINO: a tile can't be answered (memory ran out)"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_whatever_says_that_memory_or_threads_ran_out_is_no_slides_fault_beside_another(
    tmp_path: Path, shortage: Exception
) -> None:
    """Alone it is what it was before: a failed slide, or a defect."""
    predictor, slide = ColourPredictor(), ref(paint_slide(tmp_path / "a.tif", tumour_um=400))
    predictor.raises = shortage
    tools = slide_tools(tmp_path / "out", predictor, reports=("json",))
    turns = Turns()
    first, behind = turns.arrive(), turns.arrive()
    with pytest.raises(CrowdedError, match="memory ran out beside another slide"):
        scan_one(slide, Viewer(), tools=tools, turn=first)
    assert behind.accompanied
    assert scan_one(slide, Viewer(), tools=tools, turn=alone()).status is Status.FAILED


def test_a_slide_beside_one_whose_gpu_fails_is_never_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It begins anew in the next process, in its turn; only the other one is tried once more."""
    result = scan_with("open_on_gpu_that_fails_once", tmp_path)
    assert codes(result) == [("complete", "")] * 3
    said = capsys.readouterr().err + (tmp_path / "out" / "run.log").read_text()
    assert "a.tif: the GPU failed" in said
    assert "b.tif" not in said
