"""Folders that are called as a slide: a run replaces and removes what is in them only where nodescan wrote it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from nodescan.domain.report import SlideReport, Status
from nodescan.errors import OutputError, UsageError
from nodescan.given_files import found_bytes
from nodescan.overwrite_checks import begins_with, check_ours, is_branded, not_ours
from nodescan.reports import FILES, OLDER_JSON, REPLACED_JSON
from nodescan.reports.detections import DETECTIONS_COLUMNS, DETECTIONS_CSV
from nodescan.reports.geojson_report import DEPOSITS_GEOJSON
from nodescan.reports.html_report import REPORT_HTML
from nodescan.reports.json_report import REPORT_JSON, report_as_json
from nodescan.reports.json_values import DAMAGE
from nodescan.reports.report_reader import NewerReportError, ReportFile, content_of
from nodescan.whole_files import once_closed, output_errors, refuse_link, remove_once_closed, write_beside

EARLIER_REPORTS = "earlier-reports"
"""Where reports lie that are kept beside a run's own: one folder further down, where no table or stage looks."""

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
    """Put report.json, put aside before or not, where no run takes it back. Raises OutputError."""
    for name in (OLDER_JSON, REPORT_JSON):
        _rename(folder / name, folder / REPLACED_JSON)


def remove_older(folder: Path) -> None:
    """Remove page and outlines of an earlier run, if the page is nodescan's: no new report says that they are old.
    No run takes the report.json that was put aside back then, being no whole report's."""
    if is_branded(folder / REPORT_HTML):
        with suppress(OutputError):  # it is told already that nothing can be written there
            unmark(folder)
        for name in (REPORT_HTML, DEPOSITS_GEOJSON):
            with suppress(OSError, OutputError):
                remove_once_closed(folder / name)


def set_report_aside(folder: Path, slide_id: str) -> Path:
    """Move a slide's folder to where reports are kept beside a run's own; its new place. Raises OutputError."""
    kept = folder / EARLIER_REPORTS
    with output_errors(kept):
        place = next(place for place in _places_aside(kept, slide_id) if not os.path.lexists(place))
        once_closed(partial((folder / slide_id).rename, place), folder / slide_id)
    _rename(_last_mark(place), place / REPORT_JSON)
    return place


def keep_replaced(folder: Path, report: SlideReport) -> None:
    """Copy the report.json that `report` is to replace to where reports are kept, if it has a finding that a new scan
    as `report`'s may not give again, and isn't there yet. Raises OutputError.

    folder: the run's. Of a report.json that is no report nothing is kept.
    """
    slide_id = report.slide.slide_id
    mark, kept = _last_mark(folder / slide_id), folder / EARLIER_REPORTS
    try:
        if not _may_differ(mark, report):
            return
        data = found_bytes(mark)
    except (UsageError, OSError):
        return
    with output_errors(kept):
        for place in _places_aside(kept, slide_id):
            with suppress(OSError):
                if found_bytes(place / REPORT_JSON) == data:  # of a run that was stopped before it replaced it
                    return
            with suppress(FileExistsError):  # of an earlier scan, or of a slide that is called so
                place.mkdir()
                write_beside(place / REPORT_JSON, data)
                return


def _may_differ(mark: Path, report: SlideReport) -> bool:
    """As _found_otherwise; a newer nodescan's report may, whatever stands in it. Raises UsageError and OSError."""
    try:
        ReportFile(mark).check_not_newer()
        return _found_otherwise(content_of(mark)[0], report)
    except NewerReportError:
        return True


def _found_otherwise(content: Mapping[str, Any], report: SlideReport) -> bool:
    """Whether a report.json holds a result, or deposits of a slide without one, and was made of other bytes of the
    slide, by another model, with other settings or options, or by another result version, than `report`; or whether
    `report` is a failure that found nothing.

    Of a report of another version that is all that is read. False where it can't be told.
    """
    now = _made_of(report_as_json(report))
    with suppress(*DAMAGE):
        found = bool(content["deposits"]) or not Status(content["status"]).without_result
        found_nothing_now = report.status.without_result and not report.deposits
        return found and (found_nothing_now or _made_of(content) != now)
    return False


def _made_of(content: Mapping[str, Any]) -> list[object]:
    """All that a finding follows from. Device and kinds of files bear on none, nor does where the slide lies."""
    provenance = content["provenance"] or {}
    parts = (
        (content["model"] or {}, ("weights_sha256", "card_sha256", "threshold")),
        (provenance, ("slide_fingerprint", "config_sha256", "result_version")),
        (provenance.get("asked") or {}, ("mpp_um", "override_mpp", "max_unread_percent")),
    )
    return [part.get(name) for part, names in parts for name in names]


def _places_aside(kept: Path, slide_id: str) -> Iterator[Path]:
    """Where a report of the slide may lie in `kept`, which is made: without end, the first one first. Raises OSError
    and OutputError."""
    refuse_link(kept)
    kept.mkdir(exist_ok=True)
    return (kept / (slide_id if number == 1 else f"{slide_id}-{number}") for number in count(1))


def _last_mark(folder: Path) -> Path:
    """report.json of a slide's folder, put aside or not, for good or not; there may be none."""
    mark = mark_of(folder)
    return mark if mark.is_file() else folder / REPLACED_JSON


def _rename(mark: Path, to: Path) -> None:
    """Rename the file where there is one. Raises OutputError."""
    with output_errors(mark), suppress(FileNotFoundError):
        once_closed(partial(os.replace, mark, to), mark)
