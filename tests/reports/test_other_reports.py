"""Reports of earlier runs that a run's tables leave out are counted, and those without a result named."""

from pathlib import Path

import pytest

from nodescan.reports.other_reports import NO_OTHERS, OtherReports, other_reports, other_words
from nodescan.reports.summary_page import render
from tests.patients.made_reports import report, write_findings
from tests.reports.factory import RUN
from tests.reports.test_html_report import Page


def test_only_other_slides_count_whatever_the_case_of_their_folders(tmp_path: Path) -> None:
    """Nor do folders without a report, hidden ones, or reports that are kept a folder further down."""
    write_findings(tmp_path, [report("a"), report("b", (900.0,)), report("C")])
    write_findings(tmp_path / "earlier-reports", [report("d")])
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "report.json").write_text("{}")
    (tmp_path / "patients").mkdir()
    assert other_reports(tmp_path, ["a", "c"]) == OtherReports(1, ())
    assert other_reports(tmp_path, ["a", "b", "C"]) == NO_OTHERS


@pytest.mark.parametrize(
    "content", ['{"status": "failed"}', '{"status": "unmeasurable"}', "{", "[]", '{"status": 1}', "{}", None]
)
def test_what_has_no_result_is_named(tmp_path: Path, content: str | None) -> None:
    """A report that can't be read is no result either."""
    write_findings(tmp_path, [report("whole")])
    path = tmp_path / "bad" / "report.json"
    path.parent.mkdir()
    path.mkdir() if content is None else path.write_text(content)
    assert other_reports(tmp_path, []) == OtherReports(2, ("bad",))


def test_the_page_names_its_table_for_this_run_where_others_are_left_out(tmp_path: Path) -> None:
    """ "All slides" over one of nine, beside "1 of 1 slide complete", would hide eight."""
    some, none = (
        render([report("a")], tmp_path, asked=1, run=RUN, others=one) for one in (OtherReports(8, ("b<",)), NO_OTHERS)
    )
    assert "Not listed here: 8 more reports of earlier runs in this folder, 1 of them without a result (b<)." in (
        Page(some).text
    )
    assert ('id="all">Slides of this run<' in some, 'id="all">All slides<' in none) == (True, True)
    assert "Not listed" not in none
    assert other_words(OtherReports(1, ())).startswith("Not listed here: 1 more report of earlier runs in this folder.")
