"""Folders that are called as a slide: a run replaces and removes what is in them only where nodescan wrote it."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path

from nodescan.errors import OutputError
from nodescan.overwrite_checks import begins_with, check_ours, is_branded, not_ours
from nodescan.reports import FILES, OLDER_JSON
from nodescan.reports.detections import DETECTIONS_COLUMNS, DETECTIONS_CSV
from nodescan.reports.geojson_report import DEPOSITS_GEOJSON
from nodescan.reports.html_report import REPORT_HTML
from nodescan.reports.json_report import REPORT_JSON
from nodescan.whole_files import once_closed, output_errors, remove_once_closed

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


def mark_of(folder: Path) -> Path:
    """report.json of a slide's folder, or the older one that `hide_mark` put aside where no run wrote a new one."""
    mark, older = folder / REPORT_JSON, folder / OLDER_JSON
    return older if older.is_file() and not mark.is_file() else mark


def hide_mark(folder: Path) -> None:
    """Put report.json, which says that what lies in the folder is a result, aside: only a run that would make it again
    takes it back, see `restore_mark`. Raises OutputError."""
    _rename(folder / REPORT_JSON, folder / OLDER_JSON)


def restore_mark(folder: Path) -> None:
    """Undo `hide_mark`. Raises OutputError."""
    if mark_of(folder).name == OLDER_JSON:
        _rename(folder / OLDER_JSON, folder / REPORT_JSON)


def unmark(folder: Path) -> None:
    """Remove report.json, put aside or not: no run takes it back. Raises OutputError."""
    for mark in (folder / REPORT_JSON, folder / OLDER_JSON):
        with output_errors(mark):
            remove_once_closed(mark)


def remove_older(folder: Path) -> None:
    """Remove page and outlines of an earlier run, if the page is nodescan's: no new report says that they are old.
    The report.json that was put aside goes with them, being no whole report's."""
    if is_branded(folder / REPORT_HTML):
        for name in (OLDER_JSON, REPORT_HTML, DEPOSITS_GEOJSON):
            with suppress(OSError, OutputError):  # it is told already that nothing can be written there
                remove_once_closed(folder / name)


def _rename(mark: Path, to: Path) -> None:
    """Rename the file where there is one. Raises OutputError."""
    with output_errors(mark), suppress(FileNotFoundError):
        once_closed(partial(os.replace, mark, to), mark)
