"""Ratios, medians and what counts as a run, without any other system."""

from pathlib import Path

import pytest

from nodescan.benchmarks.processes import Run
from tests.peers import __main__ as bench_peers
from tests.peers.comparison import compared, summarised, table
from tests.peers.environments import Place
from tests.peers.systems import Setting, System, failure, ours, tiatoolbox, timed, wsinfer


def run(seconds: float, gigabytes: float = 1.0) -> Run:
    return Run(0.0, seconds, int(gigabytes * 1e9), 0, "")


def test_a_further_slide_is_what_the_batch_takes_beyond_one() -> None:
    """(71 - 27) / 2 s a slide; of three rounds the median, also of memory."""
    found = summarised("A", "", [run(27), run(26), run(40)], [run(71, 2), run(70, 3), run(72, 9)])
    assert (found.command_s, found.per_slide_s, found.peak_rss_bytes) == (27, 22, 3 * 10**9)


def test_a_dense_slide_is_held_against_a_slide_and_not_against_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command of 250 s, of which 20 s are its start; where it would take too long it is reckoned, nine times one."""
    place, setting = Place(tmp_path, None), Setting(64, 2)
    monkeypatch.setattr(bench_peers, "timed", lambda *_: run(250))
    peer = tiatoolbox(place, setting)
    for further_s, seconds in ((40.0, 230.0), (80.0, 720.0)):
        sparse = summarised("B", "", [run(20 + further_s)], [run(20 + 3 * further_s)])
        assert bench_peers._dense(place, peer, sparse, tmp_path / "a.tif", scratch=tmp_path)[0] == seconds


def test_ratios_are_held_against_the_targets() -> None:
    """5 times a slide, 3 times a command, 50 times at a dense stride: met at the limit, missed below it."""
    us = summarised("nodescan", "its own", [run(9.0)], [run(17.0)])
    them = summarised("B", "batch 32", [run(26.9)], [run(66.9)])
    rows = compared(us, [them], dense_s={"B": 200.0})
    assert [(round(row.ratio, 2), row.met) for row in rows] == [(5.0, True), (2.99, False), (50.0, True)]
    said = table([us, them], rows)
    assert "| B | batch 32 | 26.9 s | 20.00 s | 1.00 GB |" in said
    assert "| B | per slide in a batch | 20.0 s | 4.00 s | 5.0 | 5, met |" in said
    assert "| B | one cold command | 26.9 s | 9.00 s | 3.0 | 3, missed |" in said


def test_a_slide_left_out_is_a_failed_run() -> None:
    """A system that skips a slide would look fast."""
    assert failure("B", run(1.0), done=3, asked=3) == ""
    assert "results of 2 of 3 slides" in failure("B", run(1.0), done=2, asked=3)
    broken = Run(0.0, 1.0, 0, 1, "loading\nout of memory\n")
    assert failure("B", broken, done=3, asked=3).endswith("out of memory")


def test_a_system_runs_in_an_empty_folder_that_is_gone_afterwards(tmp_path: Path) -> None:
    """Its command writes a result for each slide; the next run finds nothing of it."""
    program = "import sys; open(sys.argv[1] + '/done', 'x').write('')"
    fake = System("B", lambda slides, out: ["python3", "-c", program, str(out)], "done")
    for _ in range(2):
        assert timed(fake, [tmp_path / "a.tif"], tmp_path / "scratch").exit_code == 0
        assert not (tmp_path / "scratch").exists()
    with pytest.raises(RuntimeError, match="results of 1 of 2 slides"):
        timed(fake, [tmp_path / "a.tif", tmp_path / "b.tif"], tmp_path / "scratch")


def test_all_systems_are_given_the_same_slides(tmp_path: Path) -> None:
    """WSInfer through a folder of links, the others by name; batch and workers as set."""
    slides = [tmp_path / "a.tif", tmp_path / "b.tif"]
    for slide in slides:
        slide.write_bytes(b"x")
    place, setting = Place(tmp_path, None), Setting(64, 2)
    words = wsinfer(place, setting).command(slides, tmp_path)
    assert words[words.index("--batch-size") + 1 :][:3] == ["64", "--num-workers", "2"]
    assert [link.resolve() for link in sorted((tmp_path / "slides").iterdir())] == slides
    dense = tiatoolbox(place, setting, stride_px=32).command(slides, tmp_path)
    assert dense[-6:] == ["96", "32", "64", "2", *map(str, slides)]
    assert set(map(str, slides)) <= set(ours(tmp_path).command(slides, tmp_path))
