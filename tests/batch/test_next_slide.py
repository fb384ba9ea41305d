"""The next slide is looked through while the network answers for one, which whatever happens to it costs nothing.

Slides a, b and c: b is in a's process when something happens.
"""

from pathlib import Path

import pytest

from nodescan.batch.run import BatchResult
from nodescan.domain.report import Status
from tests.batch.test_workers import job, ref, scanned
from tests.fakes import paint_slide
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
    assert [report.class_word for report in result.reports] == ["micro", "negative", "negative"]


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
