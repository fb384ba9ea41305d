"""The CSV files: planted numbers, the right frame, nothing a spreadsheet runs."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.flags import Flag
from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.reports.csv_report import SUMMARY_COLUMNS, write_detections, write_summary
from tests.reports.factory import FOLDER, SPACING, VARIANTS


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


@pytest.mark.parametrize("variant", ["failed", "unmeasurable"])
def test_a_slide_nobody_looked_at_has_no_list_of_detections(variant: str, tmp_path: Path) -> None:
    """An empty list would read as "nothing there"."""
    write_detections(VARIANTS[variant](), tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_summary_has_a_row_for_every_slide(tmp_path: Path) -> None:
    """Also for those that failed, with the reason; what can't be said is empty, not 0."""
    reports = [VARIANTS[name]().report for name in ("macro", "negative", "incomplete_micro", "failed")]
    write_summary(reports, tmp_path / "summary.csv")
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


def test_a_flag_that_is_no_reason_is_none_in_the_summary(tmp_path: Path) -> None:
    """Such as that of an overview that can't be read: the slide is incomplete for another."""
    report = VARIANTS["incomplete_micro"]().report
    told = replace(report, flags=(Flag("overview_unreadable", "0.95 mm2 can't be read."), *report.flags))
    write_summary([report, told], tmp_path / "summary.csv")
    plain, flagged = _rows(tmp_path / "summary.csv")
    assert flagged["reason"] == plain["reason"] != ""
    assert flagged["flags"] == f"overview_unreadable;{plain['flags']}"


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    """Ids have a hash then, which says nothing to a reader."""
    slides = [SlideRef(f"s-{name}", FOLDER / name / "s.svs") for name in ("a", "b")]
    write_summary([replace(VARIANTS["macro"]().report, slide=slide) for slide in slides], tmp_path / "summary.csv")
    assert [row["file"] for row in _rows(tmp_path / "summary.csv")] == ["a/s.svs", "b/s.svs"]


def test_the_summary_ends_with_the_manifests_patient_and_node(tmp_path: Path) -> None:
    """So that a row can be found by patient; the columns are there without a manifest too, empty."""
    assert SUMMARY_COLUMNS[-2:] == ("patient_id", "node_id")
    slide = SlideRef("a", FOLDER / "a.svs", patient_id="=P1", node_id="2")
    write_summary([replace(VARIANTS["macro"]().report, slide=slide)], tmp_path / "summary.csv")
    (row,) = _rows(tmp_path / "summary.csv")
    assert (row["patient_id"], row["node_id"]) == ("'=P1", "2")


def test_no_cell_of_the_summary_starts_a_formula(tmp_path: Path) -> None:
    """A name or reason that a spreadsheet would run gets an apostrophe; commas and line ends stay in their cell."""
    slide = SlideRef("=HYPERLINK(1)", FOLDER / "@evil.svs")
    flag = Flag("failed", '-1+1, "x"\nnext line')
    report: SlideReport = replace(VARIANTS["failed"]().report, slide=slide, flags=(flag,))
    write_summary([report], tmp_path / "summary.csv")
    (row,) = _rows(tmp_path / "summary.csv")
    assert (row["slide_id"], row["file"]) == ("'=HYPERLINK(1)", "'@evil.svs")
    assert row["reason"] == '\'-1+1, "x" next line'
    assert str(FOLDER) not in (tmp_path / "summary.csv").read_text()
