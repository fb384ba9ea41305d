"""What a terminal shows of a run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.batch.run import BatchResult
from nodescan.commands.run import print_batch
from nodescan.domain.flags import Flag
from nodescan.reports.other_reports import other_reports
from nodescan.reports.summary_page import render
from tests.reports.factory import RUN, VARIANTS
from tests.reports.test_html_report import Page


def test_a_flag_of_two_sentences_stands_once_in_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Deposits cut off by what wasn't examined, and others by the edge, have one code and a sentence each."""
    report = VARIANTS["incomplete_micro"]().report
    cut, edge = (Flag("deposit_cut_off", f"Deposit {number} may be larger.") for number in (1, 2))
    flagged = replace(report, flags=(cut, edge, Flag("borderline", "A size.")))
    print_batch(BatchResult(Path("out"), (flagged,), (), 0), ())
    assert capsys.readouterr().out.splitlines()[1].endswith("deposit_cut_off, borderline")


def test_reports_of_earlier_runs_that_the_table_lacks_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slide that was run alone leaves the failed ones of the run before out of every table."""
    own = VARIANTS["macro"]().report
    names = {"old": "complete", "gone": "failed", "scale": "unmeasurable", own.slide.slide_id: "failed"}
    for name, status in names.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(json.dumps({"status": status}))
    print_batch(BatchResult(tmp_path, (own,), (), 0, others=other_reports(tmp_path, [own.slide.slide_id])), ())
    told = capsys.readouterr().out
    assert (
        "Not listed here: 3 more reports of earlier runs in this folder, 2 of them without a result (gone, scale)."
        in told
    )
    print_batch(BatchResult(tmp_path / "old", (own,), (), 0), ())
    assert "Not listed" not in capsys.readouterr().out


@pytest.mark.parametrize("table", ["", "m.csv"])
def test_a_run_whose_reports_are_complete_says_why_it_ends_with_1(
    capsys: pytest.CaptureFixture[str], table: str
) -> None:
    """What others need --mpp for is remembered, but not where a manifest names the slides."""
    report = VARIANTS["macro"]().report
    print_batch(BatchResult(Path("out"), (report,), (), 1, manifest=table, contradicted=("a", "b")), ())
    lines = capsys.readouterr().out.splitlines()
    after = lines[[line.startswith("1 of 1 complete") for line in lines].index(True) + 1]
    said = "Exit code 1: --mpp contradicts the pixel size of a, b, whose reports were kept. The next run can leave out"
    given = " if the manifest's column mpp has the pixel size of each slide that needs one"
    assert after == f"{said} --mpp{given if table else ''}."


def test_of_many_slides_without_a_result_the_first_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """What to do stands at the end of that line: behind 3,000 names nobody reads it."""
    failed = VARIANTS["failed"]().report
    reports = tuple(replace(failed, slide=replace(failed.slide, slide_id=f"s{number}")) for number in range(25))
    print_batch(BatchResult(Path("out"), reports, (), 0), ("nodescan", "run", "slides"))
    out = capsys.readouterr().out
    assert "Without a result: s0, s1, " in out
    assert ", s19 and 5 more. After fixing the causes, scan only these slides with: nodescan run slides" in out


def test_a_table_that_could_not_be_written_is_named_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    """Else an older one, open in a spreadsheet, is taken for this run's."""
    print_batch(BatchResult(Path("out"), (VARIANTS["macro"]().report,), ("patients.csv: can't be written",) * 2, 0), ())
    assert capsys.readouterr().out.count("Exit code 1: patients.csv: can't be written\n") == 1


@pytest.mark.parametrize(("variant", "told"), [("unmeasurable", True), ("failed", False)])
def test_a_missing_pixel_size_has_its_cure_beside_the_command(
    capsys: pytest.CaptureFixture[str], variant: str, told: bool
) -> None:
    """The same command alone would not measure the slide: so says the page, too."""
    report = VARIANTS[variant]().report
    print_batch(BatchResult(Path("out"), (report,), (), 0), ("nodescan", "run", "slides"))
    cure = "After fixing the causes (for a missing pixel size with --mpp UM, or the manifest's column mpp), "
    assert (cure + "scan only these slides with: nodescan run slides" in capsys.readouterr().out) is told
    assert (cure + "the same command" in Page(render([report], Path("out"), asked=1, run=RUN)).text) is told
