"""The table of a reader's corrections: each row says one thing of one deposit or of a whole slide, or is refused."""

import re
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from nodescan.csv_rows import CsvRow, read_table, table_sha256
from nodescan.domain.classification import Metastasis
from nodescan.domain.report import FILE_SIGNS
from nodescan.domain.units import Micrometers
from nodescan.labels import CLASS_OF

COLUMNS = ("slide_id", "deposit_id", "centre_x_um", "centre_y_um", "action", "value", "by", "comment", "date", "file")
ACTIONS = ("accept", "reject", "add", "resize", "class", "read")

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FINGERPRINT = re.compile(rf"[0-9a-f]{{{FILE_SIGNS},64}}")
_FIRST_ZONE, _LAST_ZONE = timedelta(hours=14), timedelta(hours=12)
"""A day begins so long before it does in Greenwich, at most, and ends so long after (UTC+14, UTC-12)."""
_CLOCKS_APART_S = 300.0
"""A file server's clock may be so far ahead of this machine's."""

Place = tuple[float, float]
"""x and y in um from the canvas' top left."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One row. deposit: its number, or a place at it; where it lies if it is added; None where a whole slide was read.

    size_um: for add and resize. label: for class and read. written: when the table was written last, in seconds since
    1970, None where its time lies in the future. day: when the reader made it, None where the row doesn't say. file:
    how the fingerprint of the slide's file begins, "" where the row doesn't say.
    """

    where: CsvRow
    slide_id: str
    deposit: int | Place | None
    action: str
    size_um: Micrometers | None
    label: Metastasis | None
    by: str
    comment: str
    written: float | None
    day: date | None = None
    file: str = ""

    @property
    def made_by_s(self) -> float | None:
        """When it had been made, in seconds since 1970: its day was over everywhere, or the table was written; None
        where neither is known."""
        if self.day is None:
            return self.written
        over = datetime.combine(self.day, datetime.min.time(), UTC) + timedelta(days=1) + _LAST_ZONE
        return over.timestamp() if self.written is None else min(self.written, over.timestamp())


@dataclass(frozen=True, slots=True)
class CorrectionsFile:
    """The file of a review. name: without its folder, which may name a patient; sha256: of its bytes, as hex."""

    name: str
    sha256: str


def corrections_file(path: Path) -> CorrectionsFile:
    """The file at `path` as patients' pages name it. Raises UsageError where it can't be read."""
    return CorrectionsFile(path.name, table_sha256(path))


def read_corrections(path: Path) -> tuple[Correction, ...]:
    """The corrections at `path`. Raises UsageError, naming the line, on whatever doesn't say one thing."""
    rows = read_table(path, columns=COLUMNS, required=("slide_id", "action", "by"), option="--corrections")
    written = path.stat().st_mtime
    known = written <= time.time() + _CLOCKS_APART_S
    return tuple(_correction(row, written if known else None) for row in rows)


def _correction(row: CsvRow, written: float | None) -> Correction:
    action = row.one_of("action", ACTIONS)
    for column, what in (("slide_id", "which slide"), ("action", ", ".join(ACTIONS)), ("by", "whose word it is")):
        if not row.text(column):
            raise row.error(f"{column} is empty; write {what}")
    deposit, (size_um, label) = _deposit(row, action), _value(row, action)
    slide_id, by, comment = row.text("slide_id"), row.name("by"), row.text("comment")
    return Correction(
        row, slide_id, deposit, action, size_um, label, by, comment, written, day=_day(row), file=_file(row)
    )


def _day(row: CsvRow) -> date | None:
    """When the correction was made; a day that is nowhere yet is a slip."""
    text = row.text("date")
    if not text:
        return None
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise row.error(f"date is {text!r}; write year, month and day as 2026-11-30, or leave it empty")
    if day > (datetime.now(UTC) + _FIRST_ZONE).date():
        raise row.error(f"date is {text}, which is still to come; write the day on which the correction was made")
    return day


def _file(row: CsvRow) -> str:
    """How the fingerprint of the slide's file begins. A spreadsheet may spoil one that looks like a number."""
    text = row.text("file").casefold()
    if text and not _FINGERPRINT.fullmatch(text):
        raise row.error(
            f"file is {row.text('file')!r}; write the first {FILE_SIGNS} signs of the slide's fingerprint, or all, as "
            "its page has them, in a column of the format text; or leave it empty"
        )
    return text


def _deposit(row: CsvRow, action: str) -> int | Place | None:
    """Which deposit the row is of; None for the whole slide."""
    number = row.whole_number("deposit_id", smallest=1)
    x, y = row.number("centre_x_um"), row.number("centre_y_um")
    if (x is None) != (y is None):
        raise row.error("a centre needs centre_x_um and centre_y_um")
    centre = None if x is None or y is None else (x, y)
    if action == "read":
        if number or centre:
            raise row.error("read is of the whole slide; leave deposit_id, centre_x_um and centre_y_um empty")
        return None
    if action == "add" and (centre is None or number is not None):
        raise row.error("add needs centre_x_um and centre_y_um, and no deposit_id")
    deposit = number or centre
    if deposit is None or (number and centre):
        raise row.error(f"{action} needs either a deposit_id or a centre")
    return deposit


def _value(row: CsvRow, action: str) -> tuple[Micrometers | None, Metastasis | None]:
    """The size, or the class, that the row gives."""
    if action in ("add", "resize"):
        size_um = row.size_um("value")
        if not size_um:
            raise row.error(f"{action} needs the greatest diameter in um as value")
        return Micrometers(size_um), None
    if action in ("class", "read"):
        words = [word for word in CLASS_OF if action == "read" or word != "negative"]
        label = CLASS_OF.get(row.one_of("value", words))
        if label is None and action == "read":
            raise row.error("read needs negative, itc, micro or macro as value")
        if label is None:
            raise row.error("class needs itc, micro or macro as value (a deposit that is none is rejected)")
        return None, label
    if row.text("value"):
        raise row.error(f"{action} takes no value")
    return None, None
