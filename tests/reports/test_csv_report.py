"""The CSV files: planted numbers, the right frame, nothing a spreadsheet runs."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.flags import Flag
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.slide import SlideRef
from nodescan.reports import csv_report
from nodescan.reports.csv_report import SUMMARY_COLUMNS, SummaryTable, summary_row
from nodescan.reports.detections import write_detections
from tests.reports.factory import FOLDER, SPACING, VARIANTS


def _write_summary(reports: Sequence[SlideReport], path: Path) -> None:
    SummaryTable(path, [report.slide for report in reports]).write(reports)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_detections_stand_in_level_0_pixels_the_likeliest_first(macro_folder: Path) -> None:
    """Um over the spacing of each axis; the full canvas, no bounds subtracted."""
    rows = _rows(macro_folder / "detections.csv")
    assert list(rows[0]) == ["confidence", "x", "y"]
    assert rows[0] == {"confidence": "0.988", "x": f"{5200 / SPACING.x:.2f}", "y": f"{4300 / SPACING.y:.2f}"}
    assert rows[-1] == {"confidence": "0.0625", "x": "28000.00", "y": "20000.00"}
    assert len(rows) == 5


@pytest.mark.parametrize("variant", ["failed", "unmeasurable", "nothing_examined"])
def test_a_slide_nobody_looked_at_has_no_list_of_detections(variant: str, tmp_path: Path) -> None:
    """An empty list would read as "nothing there"."""
    write_detections(VARIANTS[variant](), tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_summary_has_a_row_for_every_slide(tmp_path: Path) -> None:
    """Also for those that failed, with the reason; what can't be said is empty, not 0."""
    reports = [VARIANTS[name]().report for name in ("macro", "negative", "incomplete_micro", "failed")]
    _write_summary(reports, tmp_path / "summary.csv")
    macro, negative, micro, failed = _rows(tmp_path / "summary.csv")
    assert tuple(macro) == SUMMARY_COLUMNS
    assert (macro["metastasis"], macro["largest_deposit_um"], macro["n_foci"]) == ("macro", "2624.0", "3")
    assert (macro["flags"], macro["seconds"], macro["reason"]) == ("cell_count_not_assessed", "83.4", "")
    assert (negative["metastasis"], negative["largest_deposit_um"], negative["n_foci"]) == ("negative", "", "0")
    assert (micro["status"], micro["metastasis"], micro["at_least"]) == ("incomplete", "micro", "true")
    assert micro["reason"].startswith("Part of the tissue could not be read")
    assert (failed["metastasis"], failed["n_foci"], failed["tissue_area_mm2"]) == ("", "", "")
    assert failed["reason"] == "scan-7731.svs: the file ends early; copy it again from the scanner, then run again."
    assert (failed["file"], failed["at_least"]) == ("scan-7731.svs", "false")
    assert {(row["patient_id"], row["node_id"]) for row in (macro, negative, micro, failed)} == {("", "")}


def test_each_cell_of_a_row_stands_below_its_column(tmp_path: Path) -> None:
    """A row whose cells are all different, and no column without one."""
    report = replace(
        VARIANTS["incomplete_micro"]().report,
        slide=SlideRef("s1", FOLDER / "scan 1.svs", patient_id="p1", node_id="n1"),
        tumour_probability=0.75,
        tissue_area_mm2=123.456,
        examined_fraction=0.875,
        flags=(Flag("borderline", "A size."), Flag("out_of_focus", "Scan it again.")),
    )
    _write_summary([report], tmp_path / "summary.csv")
    expected = {
        "slide_id": "s1",
        "status": "incomplete",
        "metastasis": "micro",
        "at_least": "true",
        "largest_deposit_um": repr(float(report.deposits[0].diameter_um)),
        "n_foci": "1",
        "tumour_probability": "0.75",
        "tissue_area_mm2": "123.456",
        "examined_fraction": "0.875",
        "flags": "borderline;out_of_focus",
        "reason": "Scan it again.",
        "seconds": "83.4",
        "file": "scan 1.svs",
        "patient_id": "p1",
        "node_id": "n1",
    }
    assert _rows(tmp_path / "summary.csv") == [expected]
    assert len(set(expected.values())) == len(expected) == len(SUMMARY_COLUMNS)


def test_a_flag_that_is_no_reason_is_none_in_the_summary(tmp_path: Path) -> None:
    """Such as that of an overview that can't be read: the slide is incomplete for another."""
    report = VARIANTS["incomplete_micro"]().report
    told = replace(report, flags=(Flag("overview_unreadable", "0.95 mm2 can't be read."), *report.flags))
    _write_summary([report, told], tmp_path / "summary.csv")
    plain, flagged = _rows(tmp_path / "summary.csv")
    assert flagged["reason"] == plain["reason"] != ""
    assert flagged["flags"] == f"overview_unreadable;{plain['flags']}"


def test_a_flag_of_two_sentences_is_one_code(tmp_path: Path) -> None:
    """Of deposits cut off by what wasn't examined, and by the edge: the code stands once, where it came first."""
    report = VARIANTS["incomplete_micro"]().report
    cut, edge = (Flag("deposit_cut_off", f"Deposit {number} may be larger.") for number in (1, 2))
    _write_summary([replace(report, flags=(cut, edge, Flag("borderline", "A size.")))], tmp_path / "summary.csv")
    (row,) = _rows(tmp_path / "summary.csv")
    assert row["flags"] == "deposit_cut_off;borderline"


def test_a_table_that_grows_puts_each_report_into_words_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written after each slide: in words again each time, 3,000 slides took minutes. A report that took the place
    of another is told."""
    asked: list[str] = []

    def row(report: SlideReport, *, file: str) -> tuple[str, ...]:
        asked.append(report.slide.slide_id)
        return summary_row(report, file=file)

    monkeypatch.setattr(csv_report, "summary_row", row)
    slides = [SlideRef(name, FOLDER / f"{name}.svs") for name in "abc"]
    reports = [replace(VARIANTS["macro"]().report, slide=slide) for slide in slides]
    table = SummaryTable(tmp_path / "summary.csv", slides)
    for n in range(4):
        table.write(reports[:n])
        assert [row["slide_id"] for row in _rows(tmp_path / "summary.csv")] == list("abc"[:n])
    assert asked == list("abc")
    table.write([replace(reports[0], status=Status.FAILED, metastasis=None), *reports[1:]])
    assert [row["status"] for row in _rows(tmp_path / "summary.csv")] == ["failed", "complete", "complete"]
    assert asked == list("abca")


@pytest.mark.parametrize(
    ("places", "files"),
    [(("a/s.svs", "b/s.svs"), ["a/s.svs", "b/s.svs"]), (("patient a/a.svs", "patient b/b.svs"), ["a.svs", "b.svs"])],
)
def test_files_are_named_with_their_folders_where_these_tell_them_apart(
    tmp_path: Path, places: tuple[str, str], files: list[str]
) -> None:
    """Of one name, where ids have a hash that says nothing; a folder may be named after a patient."""
    slides = [SlideRef(f"s-{number}", FOLDER / place) for number, place in enumerate(places)]
    _write_summary([replace(VARIANTS["macro"]().report, slide=slide) for slide in slides], tmp_path / "summary.csv")
    assert [row["file"] for row in _rows(tmp_path / "summary.csv")] == files


def test_files_that_a_manifest_renamed_are_named_without_folders(tmp_path: Path) -> None:
    """Their ids tell them apart; beside them, files of one name still have theirs."""
    places = {"P1": "Ada/s.svs", "P2": "Bob/s.svs", "s-1": "a/s.svs", "s-2": "b/s.svs"}
    slides = [SlideRef(name, FOLDER / place, renamed=name[0] == "P") for name, place in places.items()]
    _write_summary([replace(VARIANTS["macro"]().report, slide=slide) for slide in slides], tmp_path / "summary.csv")
    assert [row["file"] for row in _rows(tmp_path / "summary.csv")] == ["s.svs", "s.svs", "a/s.svs", "b/s.svs"]


def test_a_complete_slide_needs_no_reason(tmp_path: Path) -> None:
    """Though the end of its file is missing: no tissue was lost with it."""
    report = replace(VARIANTS["negative"]().report, flags=(Flag("file_cut_off", "The end is missing."),))
    _write_summary([report], tmp_path / "summary.csv")
    (row,) = _rows(tmp_path / "summary.csv")
    assert (row["status"], row["flags"], row["reason"]) == ("complete", "file_cut_off", "")


def test_the_summary_ends_with_the_manifests_patient_and_node(tmp_path: Path) -> None:
    """So that a row can be found by patient; the columns are there without a manifest too, empty."""
    assert SUMMARY_COLUMNS[-2:] == ("patient_id", "node_id")
    slide = SlideRef("a", FOLDER / "a.svs", patient_id="=P1", node_id="2")
    _write_summary([replace(VARIANTS["macro"]().report, slide=slide)], tmp_path / "summary.csv")
    (row,) = _rows(tmp_path / "summary.csv")
    assert (row["patient_id"], row["node_id"]) == ("'=P1", "2")


def test_no_cell_of_the_summary_starts_a_formula(tmp_path: Path) -> None:
    """A name or reason that a spreadsheet would run gets an apostrophe; commas and line ends stay in their cell."""
    slide = SlideRef("=HYPERLINK(1)", FOLDER / "@evil.svs")
    flag = Flag("failed", '-1+1, "x"\nnext line')
    report: SlideReport = replace(VARIANTS["failed"]().report, slide=slide, flags=(flag,))
    _write_summary([report], tmp_path / "summary.csv")
    (row,) = _rows(tmp_path / "summary.csv")
    assert (row["slide_id"], row["file"]) == ("'=HYPERLINK(1)", "'@evil.svs")
    assert row["reason"] == '\'-1+1, "x" next line'
    assert str(FOLDER) not in (tmp_path / "summary.csv").read_text()


def test_what_does_not_print_is_escaped_in_the_summary(tmp_path: Path) -> None:
    """A name that steers a terminal, or turns the rest of the line round; a blank of another width is one."""
    slide = SlideRef("a", FOLDER / "a\x1b[31m\u202eb\u00a0c\u200cd.svs")
    _write_summary([replace(VARIANTS["macro"]().report, slide=slide)], tmp_path / "summary.csv")
    (row,) = _rows(tmp_path / "summary.csv")
    assert row["file"] == "a\\x1b[31m\\u202eb\u00a0c\u200cd.svs"
