"""The table of a reader's corrections: each row says one thing of one deposit, or is refused."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from nodescan.csv_rows import CsvRow, read_table
from nodescan.domain.classification import Metastasis
from nodescan.domain.units import Micrometers
from nodescan.errors import UsageError
from nodescan.given_files import given_bytes
from nodescan.labels import CLASS_OF

COLUMNS = ("slide_id", "deposit_id", "centre_x_um", "centre_y_um", "action", "value", "by", "comment")
ACTIONS = ("accept", "reject", "add", "resize", "class")


Place = tuple[float, float]
"""x and y in um from the canvas' top left."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One row. deposit: its number, or a place at it; where it lies if it is added. size_um: for add and resize.

    label: for class. written: when the table was written last, in seconds since 1970.
    """

    where: CsvRow
    slide_id: str
    deposit: int | Place
    action: str
    size_um: Micrometers | None
    label: Metastasis | None
    by: str
    comment: str
    written: float


@dataclass(frozen=True, slots=True)
class CorrectionsFile:
    """The file of a review. name: without its folder, which may name a patient; sha256: of its bytes, as hex."""

    name: str
    sha256: str


def corrections_file(path: Path) -> CorrectionsFile:
    """The file at `path` as patients' pages name it. Raises UsageError where it can't be read."""
    try:
        content = given_bytes(path)
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror or error}); name a CSV file") from error
    return CorrectionsFile(path.name, hashlib.sha256(content).hexdigest())


def read_corrections(path: Path) -> tuple[Correction, ...]:
    """The corrections at `path`. Raises UsageError, naming the line, on whatever doesn't say one thing."""
    rows = read_table(path, columns=COLUMNS, required=("slide_id", "action", "by"), option="--corrections")
    written = path.stat().st_mtime
    return tuple(_correction(row, written) for row in rows)


def _correction(row: CsvRow, written: float) -> Correction:
    action = row.one_of("action", ACTIONS)
    for column, what in (("slide_id", "which slide"), ("action", ", ".join(ACTIONS)), ("by", "whose word it is")):
        if not row.text(column):
            raise row.error(f"{column} is empty; write {what}")
    number = row.whole_number("deposit_id", smallest=1)
    x, y = row.number("centre_x_um"), row.number("centre_y_um")
    if (x is None) != (y is None):
        raise row.error("a centre needs centre_x_um and centre_y_um")
    centre = None if x is None or y is None else (x, y)
    if action == "add" and (centre is None or number is not None):
        raise row.error("add needs centre_x_um and centre_y_um, and no deposit_id")
    deposit = number or centre
    if deposit is None or (number and centre):
        raise row.error(f"{action} needs either a deposit_id or a centre")
    size_um = label = None
    if action in ("add", "resize"):
        size_um = row.size_um("value")
        if not size_um:
            raise row.error(f"{action} needs the greatest diameter in um as value")
    elif action == "class":
        label = CLASS_OF.get(row.one_of("value", [word for word in CLASS_OF if word != "negative"]))
        if label is None:
            raise row.error("class needs itc, micro or macro as value (a deposit that is none is rejected)")
    elif row.text("value"):
        raise row.error(f"{action} takes no value")
    diameter = None if size_um is None else Micrometers(size_um)
    slide_id, by, comment = row.text("slide_id"), row.text("by"), row.text("comment")
    return Correction(row, slide_id, deposit, action, diameter, label, by, comment, written)
