"""What a correction did, as patients.json keeps it, and whether it was made of an earlier scan or of another file."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from nodescan.patients.correction_rows import Correction, Place
from nodescan.patients.deposit_places import NEAR_UM, may_mean_another
from nodescan.reports.report_reader import StoredReport


@dataclass(frozen=True, slots=True)
class Applied:
    """What a correction did, as patients.json has it. before: the deposit in words, as the software found it; after: as
    the row leaves it; "" where there is none.

    deposit_id: None of a whole slide that a reader read: before and after are its class then. centre_um: of a deposit
    that was added, None of those that were there. before_scan: it was made of an earlier scan, and may mean another
    deposit of this one. date: when the reader made it, "" where the row doesn't say. row_centre_um: the centre that the
    row gives, None where it gives a number or none. slide_fingerprint: of the file that it was applied to, "" where the
    report has none. found_centre_um: of the deposit as the software found it, None where it found none. file: how the
    fingerprint begins according to the row, "" where it doesn't say. other_file: the same row was first applied to
    another file of the slide's name.
    """

    slide_id: str
    deposit_id: int | None
    action: str
    before: str
    after: str
    by: str
    comment: str
    centre_um: Place | None = None
    before_scan: bool = False
    date: str = ""
    row_centre_um: Place | None = None
    slide_fingerprint: str = ""
    file: str = ""
    other_file: bool = False
    found_centre_um: Place | None = None

    @property
    def said(self) -> tuple[object, ...]:
        """What its reader said of which deposit. An added one goes by its centre: its number is the next that is free.

        What the software found is no part of it, nor which file the reader looked at.
        """
        return *self._said_of(self.centre_um or self.deposit_id), self.date

    @property
    def row(self) -> tuple[object, ...]:
        """What stood in the row, wherever that lies on the slide. A date that was added later is no other word."""
        return self._said_of(self.row_centre_um or self.centre_um or self.deposit_id)

    def _said_of(self, which: Place | int | None) -> tuple[object, ...]:
        """The row, its value as far as it can be told from what it did: of a size the size, of a class the class."""
        class_, _, size = self.after.partition(", ")
        value = {"resize": size, "add": size, "class": class_, "read": class_}.get(self.action, "")
        return self.slide_id, which, self.action, value, self.by, self.comment


EarlierRows = Mapping[tuple[object, ...], Sequence[Applied]]
"""Corrections of earlier stages, by what stood in their rows of the table."""


def applied_in(stored: Mapping[str, Any]) -> Applied:
    """A correction as it stands in patients.json; what isn't as nodescan writes it there is left out."""
    readings = {
        str: lambda value: str(value or ""),
        bool: bool,
        int | None: lambda value: value if isinstance(value, int) else None,
        Place | None: _place,
    }
    return Applied(**{one.name: readings[one.type](stored.get(one.name)) for one in fields(Applied)})


def lacking(earlier: Iterable[Applied], given: Iterable[Applied]) -> list[Applied]:
    """Those of `earlier` that `given` doesn't repeat: of the same deposit, or in the same row wherever that lies.

    A scan may number deposits otherwise, and a place stands for a number. A date may have been added to a row, but none
    may be lost.
    """
    repeated = {(*words, date) for one in given for words in (one.said[:-1], one.row) for date in (one.date, "")}
    return [one for one in earlier if repeated.isdisjoint((one.said, (*one.row, one.date)))]


def by_row(earlier: Iterable[Applied]) -> EarlierRows:
    rows: dict[tuple[object, ...], list[Applied]] = {}
    for one in earlier:
        rows.setdefault(one.row, []).append(one)
    return rows


def is_before_scan(correction: Correction, applied: Applied, original: StoredReport, earlier: EarlierRows) -> bool:
    """Whether a row may mean another deposit than its reader saw: see Applied. earlier: see EarlierRows.

    True if the row is older than the scan, or if nothing tells its age, or if the same row was given before, when the
    software's deposit was another one: tables are copied, and get more rows. The answer stays true until the row says
    something else. Naming this file counts as a change only if the row was first applied to another file.
    """
    if applied.centre_um is not None or not may_mean_another(correction, original):
        return False
    scanned, made_by = _scanned(original), correction.made_by_s
    if scanned is not None and (made_by is None or made_by < scanned):
        return True
    known = earlier.get(applied.row, ())
    return any(one.before_scan or _is_of_another(applied, one) for one in known if _is_same_word(applied, one))


def _is_of_another(applied: Applied, one: Applied) -> bool:
    """Whether the software's deposit that a row means was another when the row was `one`: in words, or by its place."""
    there, then = applied.found_centre_um, one.found_centre_um
    moved = there is not None and then is not None and math.dist(there, then) > NEAR_UM
    return moved or one.before != applied.before


def _is_same_word(applied: Applied, one: Applied) -> bool:
    """Whether a row says no more of its file now than when it was `one`."""
    this_file = one.slide_fingerprint == applied.slide_fingerprint and not one.other_file
    return applied.file in ("", one.file) or this_file


def is_of_other_file(applied: Applied, earlier: EarlierRows) -> bool:
    """Whether the same row was first applied to another file: see Applied.

    A row that names its file is of that one. What was once found stays so on that file until the row says something
    else, even if the stages of the first file are gone.
    """
    known = [one for one in earlier.get(applied.row, ()) if one.slide_fingerprint]
    if applied.file or not applied.slide_fingerprint or not known:
        return False
    return applied.slide_fingerprint not in {one.slide_fingerprint for one in known if not one.other_file}


def _place(value: object) -> Place | None:
    """x and y of a JSON file; None where that isn't two numbers."""
    numbers = [one for one in value if isinstance(one, int | float)] if isinstance(value, list) else []
    return (float(numbers[0]), float(numbers[1])) if len(numbers) == 2 else None


def _scanned(report: StoredReport) -> float | None:
    """When the slide was scanned, in seconds since 1970; None where the report doesn't say."""
    try:
        return None if report.provenance is None else datetime.fromisoformat(report.provenance.started).timestamp()
    except ValueError:
        return None
