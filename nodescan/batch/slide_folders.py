"""Folders that are called as a slide: a run replaces and removes what is in them only where nodescan wrote it."""

import os
from collections.abc import Mapping
from pathlib import Path

from nodescan.errors import UsageError
from nodescan.overwrite_checks import begins_with, check_ours, is_branded, not_ours
from nodescan.reports import FILES
from nodescan.reports.detections import DETECTIONS_COLUMNS, DETECTIONS_CSV
from nodescan.reports.geojson_report import DEPOSITS_GEOJSON
from nodescan.reports.html_report import REPORT_HTML
from nodescan.reports.json_report import REPORT_JSON
from nodescan.reports.report_reader import ReportFile
from nodescan.whole_files import output_errors

_REPORT_HEAD = '{\n  "schema_version": '


def check_slide_folder(folder: Path, *, of_a_run: bool) -> None:
    """Raises UsageError where the folder holds files of the names that a run writes there, and they aren't nodescan's.

    A run that was killed leaves a folder without report.json, or with some of the other files alone. They count as
    nodescan's by their page, or, since pictures tell nothing, by where they lie. of_a_run: whether a run's record
    stands beside the folder: a run writes it before it touches any. Of a folder whose report.json is whole, that is
    all that is read. What can't be looked at is for the writer to tell.
    """
    report = begins_with(folder / REPORT_JSON, _REPORT_HEAD)
    if report:
        return
    try:
        there = sorted(FILES.intersection(os.listdir(folder)))
    except OSError:
        return
    check_ours(folder / DETECTIONS_CSV, ",".join(DETECTIONS_COLUMNS))
    page = is_branded(folder / REPORT_HTML)
    if page is False:
        raise not_ours(folder / REPORT_HTML)
    if report is False and not page:
        raise not_ours(folder / REPORT_JSON)
    if there and not page and not of_a_run:
        raise not_ours(folder / there[0])


def unmark(folder: Path) -> None:
    """Remove report.json, and what else names that report's class: the page and the outlines.

    A page that isn't nodescan's stays, and so do outlines that were edited since: their size isn't the one that
    report.json states. Raises OutputError.
    """
    mark = folder / REPORT_JSON
    sizes = _sizes_beside(mark)
    with output_errors(mark):
        mark.unlink(missing_ok=True)
        for name in (REPORT_HTML, DEPOSITS_GEOJSON):
            path = folder / name
            if path.is_file() and (
                path.stat().st_size == sizes.get(name) or (name == REPORT_HTML and is_branded(path))
            ):
                path.unlink()


def _sizes_beside(mark: Path) -> Mapping[str, int]:
    """Of the files that belong to a report, in bytes; empty where there is no report, or a damaged one."""
    try:
        return ReportFile(mark).files_beside()
    except UsageError:
        return {}
