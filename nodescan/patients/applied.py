"""What a correction did, as patients.json keeps it, and whether it was made of an earlier scan."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from nodescan.patients.correction_rows import Correction
from nodescan.patients.deposit_places import may_mean_another
from nodescan.reports.report_reader import StoredReport


@dataclass(frozen=True, slots=True)
class Applied:
    """What a correction did, as patients.json has it. before: the deposit in words, as the software found it; after: as
    the row leaves it; "" where there is none.

    deposit_id: None of a whole slide that a reader read: before and after are its class then. centre_um: of a deposit
    that was added, None of those that were there. before_scan: it was made of an earlier scan, and may mean another
    deposit of this one.
    """

    slide_id: str
    deposit_id: int | None
    action: str
    before: str
    after: str
    by: str
    comment: str
    centre_um: tuple[float, float] | None = None
    before_scan: bool = False


_Row = tuple[str, int | None, str, str, str, str]

EarlierRows = Mapping[_Row, Sequence[Applied]]
"""Corrections of earlier stages, by what stood in their rows of the table."""


def by_row(earlier: Iterable[Applied]) -> EarlierRows:
    rows: dict[_Row, list[Applied]] = {}
    for one in earlier:
        rows.setdefault(_row(one), []).append(one)
    return rows


def is_before_scan(correction: Correction, applied: Applied, original: StoredReport, earlier: EarlierRows) -> bool:
    """Whether a row may mean another deposit than its reader saw: see Applied. earlier: see EarlierRows.

    It is older than the scan; or, for a table is copied, and rows are added to it, the same row was given before and
    the software's deposit was another then. What was once found stays so until the row says something else.
    """
    if applied.centre_um is not None or not may_mean_another(correction, original):
        return False
    scanned = _scanned(original)
    if scanned is not None and correction.written < scanned:
        return True
    return any(one.before_scan or one.before != applied.before for one in earlier.get(_row(applied), ()))


def _row(one: Applied) -> _Row:
    """What stood in the row, as far as it can be told from what it did: of a resize the size, of a class the class."""
    class_, _, size = one.after.partition(", ")
    value = {"resize": size, "class": class_, "read": class_}.get(one.action, "")
    return one.slide_id, one.deposit_id, one.action, value, one.by, one.comment


def _scanned(report: StoredReport) -> float | None:
    """When the slide was scanned, in seconds since 1970; None where the report doesn't say."""
    try:
        return None if report.provenance is None else datetime.fromisoformat(report.provenance.started).timestamp()
    except ValueError:
        return None
