"""Folders that are called as a slide: a run replaces and removes what is in them only where nodescan wrote it."""

import os
from contextlib import suppress
from pathlib import Path

from nodescan.errors import OutputError
from nodescan.overwrite_checks import begins_with, check_ours, is_branded, not_ours
from nodescan.reports import FILES
from nodescan.reports.detections import DETECTIONS_COLUMNS, DETECTIONS_CSV
from nodescan.reports.geojson_report import DEPOSITS_GEOJSON
from nodescan.reports.html_report import REPORT_HTML
from nodescan.reports.json_report import REPORT_JSON
from nodescan.whole_files import output_errors, remove_once_closed

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
    """Remove report.json, which says that what lies in the folder is a result. Raises OutputError."""
    mark = folder / REPORT_JSON
    with output_errors(mark):
        remove_once_closed(mark)


def remove_older(folder: Path) -> None:
    """Remove page and outlines of an earlier run, if the page is nodescan's: no new report says that they are old."""
    if is_branded(folder / REPORT_HTML):
        for name in (REPORT_HTML, DEPOSITS_GEOJSON):
            with suppress(OSError, OutputError):  # it is told already that nothing can be written there
                remove_once_closed(folder / name)
