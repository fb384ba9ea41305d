"""The arithmetic of the benchmarks gives back what was planted."""

import json
import sys
from pathlib import Path

import pytest

from nodescan.benchmarks import growth, processes
from nodescan.benchmarks.growth import GrowthPoint, fit_line
from nodescan.benchmarks.margins import MarginStudy, margin_table
from nodescan.benchmarks.processes import Run, run_watched
from nodescan.benchmarks.scan_runs import ScanRun, SlideTimes, read_log, scan, scan_run, slide_times
from nodescan.benchmarks.speed import efficiency
from nodescan.errors import NodescanError
from nodescan.inference.seams import Seam
from tests.fakes import silent


def point(tissue_mm2: float, seconds: float) -> GrowthPoint:
    return GrowthPoint(1, tissue_mm2, seconds, 1.0, 10**9)


def test_a_line_is_found_exactly() -> None:
    """Two seconds and a tenth for each mm2; every point lies on it."""
    fit = fit_line([point(area, 2 + 0.1 * area) for area in (10, 50, 100, 400)])
    assert fit is not None
    assert (fit.slope_s_per_mm2, fit.intercept_s, fit.r2) == pytest.approx((0.1, 2.0, 1.0))


def test_a_bent_line_explains_less() -> None:
    """Quadratic growth isn't passed off as linear, and one area makes no line."""
    fit = fit_line([point(area, area**2) for area in (10, 50, 100, 400)])
    assert fit is not None
    assert fit.r2 < 0.98
    assert fit_line([point(10, 1), point(10, 1.1)]) is None


def test_efficiency_of_planted_rates() -> None:
    """Half of the pixels useful, decode 40, network 10: both together allow 4 Mpx/s on shared cores, 5 beside a GPU."""
    rates = {"decode": 40.0, "network": 10.0}
    assert efficiency(3.6, **rates, useful_share=0.5, shared_cores=True) == pytest.approx(0.9)
    assert efficiency(3.6, **rates, useful_share=0.5, shared_cores=False) == pytest.approx(0.72)


def test_memory_is_not_measured_where_the_system_does_not_tell_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows: 0 bytes would be no measurement."""
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NodescanError, match="this system has neither"):
        processes.check_memory_told()


def test_memory_of_a_child_is_seen() -> None:
    """A process that holds little starts one that holds 200 MB for half a second."""
    child = "import time; held = bytearray(200_000_000); time.sleep(0.6)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True); print('done')"
    run = run_watched([sys.executable, "-c", program])
    assert (run.exit_code, run.output) == (0, "done\n")
    assert 200e6 < run.peak_rss_bytes < 400e6


def test_a_command_that_is_not_there_is_named() -> None:
    """One line, not a traceback."""
    with pytest.raises(NodescanError, match="no-such-program: can't be started"):
        run_watched(["no-such-program"])


def test_times_come_from_the_log(tmp_path: Path) -> None:
    """Started at second 0; a sign of life, the first tile after 2.5 s, the last after 9 s, the report 0.4 s later."""
    lines = [
        {"ts": "1970-01-01T00:00:00.500+00:00", "event": "tiles_done", "slide_id": "a", "tiles_done": 0, "tiles": 0},
        {"ts": "1970-01-01T00:00:01.000+00:00", "event": "slide_started", "slide_id": "a", "tiles": 8},
        {"ts": "1970-01-01T00:00:02.500+00:00", "event": "tiles_done", "slide_id": "a", "tiles_done": 4, "tiles": 8},
        {"ts": "1970-01-01T00:00:09.000+00:00", "event": "tiles_done", "slide_id": "a", "tiles_done": 8, "tiles": 8},
        {
            "ts": "1970-01-01T00:00:09.400+00:00",
            "event": "slide_finished",
            "slide_id": "a",
            "status": "complete",
            "seconds": 8.5,
            "after_network_s": 0.4,
        },
    ]
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "report.json").write_text(json.dumps({"tissue_area_mm2": 38.0, "flags": [{"code": "edge"}]}))
    events = read_log(log)
    times = slide_times(events, tmp_path)
    found = scan_run(Run(0.0, 11.0, 10**9, 0, ""), events, times)
    assert found.first_tile_s == pytest.approx(2.5)
    assert [(one.slide_id, one.status, one.tissue_mm2, one.flags) for one in times] == [
        ("a", "complete", 38.0, ("edge",))
    ]
    assert times[0].after_network_s == pytest.approx(0.4)
    with pytest.raises(NodescanError, match="no tile was answered"):
        scan_run(Run(0.0, 11.0, 10**9, 0, ""), events[:1], ())


@pytest.mark.parametrize(
    ("status", "flags", "refused"),
    [
        ("complete", ("borderline",), False),
        ("incomplete", ("another_picture",), True),
        ("incomplete", ("model_not_tuned",), False),
    ],
)
def test_a_slide_that_is_not_complete_has_no_figures(
    monkeypatch: pytest.MonkeyPatch, status: str, flags: tuple[str, ...], refused: bool
) -> None:
    """But of a model made for a comparison, of which every slide is incomplete though all was examined."""
    times = SlideTimes("10mm2-0", status, 3.0, 0.1, 10.4, flags)
    monkeypatch.setattr(growth, "make_sparse_slide", lambda *_: None)
    monkeypatch.setattr(growth, "scan", lambda *_, **__: ScanRun(4.0, 1.0, 10**9, (times,)))
    how = {"slots": 1, "model": None, "device": "cpu", "tell": silent}
    if not refused:
        assert growth.measure_growth((10.0,), **how) == (GrowthPoint(1, 10.4, 3.0, 1.0, 10**9),)
        return
    with pytest.raises(NodescanError, match=r"10mm2-0 is incomplete \(another_picture\)"):
        growth.measure_growth((10.0,), **how)


def test_a_run_whose_slide_failed_measures_nothing(tmp_path: Path) -> None:
    """Its tissue was never examined; the slide is named."""
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"no slide")
    with pytest.raises(NodescanError, match=r"broken is failed \(.+\): there is nothing to measure"):
        scan([broken], model=None, device="cpu", options=())


def test_margins_make_a_markdown_table() -> None:
    """One row a margin, differences to two digits, pixels in per cent."""
    table = margin_table([MarginStudy("net", 512, (Seam(0, 0.25, 0.01, 3.0, 0.0), Seam(32, 0.0, 0.0, 0.0, 0.265625)))])
    assert table.splitlines()[2:] == [
        "| net, core 512 | 0 | 0.25 | 0.01 | 3 | 0% |",
        "| net, core 512 | 32 | 0 | 0 | 0 | 27% |",
    ]
