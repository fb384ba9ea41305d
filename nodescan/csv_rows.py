"""Reads and writes CSV files. Reading is strict: a column or cell without a clear meaning is an error that names the
line."""

import csv
import difflib
import io
import math
import re
import unicodedata
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodescan.domain.naming import how_many
from nodescan.domain.units import plain_number
from nodescan.errors import UsageError
from nodescan.given_files import given_bytes, given_sha256
from nodescan.streams import shown

SMALLEST_SIZE_UM, LARGEST_SIZE_UM = 5.0, 50_000.0
"""A tumour cell is 10 um and more, a lymph node 50 mm and less: a size outside is in another unit."""

_MOST_DIGITS = 9
"""Of a whole number: a count of nodes or cells has fewer, and Python reads 4,300 at most."""

_LONGEST_CELL = 4096
"""Characters: the longest path that systems take. An open quotation mark makes a cell of all that follows."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet runs a cell that begins so (OWASP, "CSV Injection")."""

_SPACE = "Zs"
"""Unicode's category of spaces, of which only the plain one counts as printable in Python."""

_BEHIND_SEPARATOR = re.compile(r'([;\t\r\n]"*)([=+\-@])')

_NAMED_SEPARATOR = re.compile('"?sep=([,;\t])"?')
"""A first line that tells a spreadsheet how columns are separated."""

_LINE_END = re.compile("\r\n|\r|\n")

_NO_NAME = re.compile(
    r"#[^\W\d][\w/]*[!?]|#n/?[adv]|#{2,}|<?n/?a>?|n\.a\.|nan|null|none|nil|unknown|missing|[-?.*]+", re.IGNORECASE
)
"""Written by spreadsheets and programs for a missing value or an error: rows with such a cell don't belong together."""

_SHORTENED = re.compile(r"[0-9](?:[.,][0-9]+)?e\+[0-9]+", re.IGNORECASE)
"""How a spreadsheet shows, and saves, a number of more than 11 digits."""

_WORKBOOKS = {b"PK\x03\x04": "a zip file, as workbooks are (.xlsx, .ods)", b"\xd0\xcf\x11\xe0": "a workbook (.xls)"}
_OTHER_TEXTS = {"<": "XML", "{": "JSON", "[": "JSON"}
"""How files begin that users often name instead of a CSV."""

_YES, _NO = ("yes", "true", "1", "y"), ("no", "false", "0", "n")


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row. file, line: where it stands, for errors; cells: column -> text without blanks around it."""

    file: str
    line: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """The cell, "" where it is empty or the column isn't there."""
        return self.cells.get(column, "")

    def name(self, column: str) -> str:
        """The cell, whose text will be shown as the name of a patient, node or slide: it must print on one line."""
        text = self.text(column)
        wrong = [sign for sign in text if not sign.isprintable() and unicodedata.category(sign) != _SPACE]
        if wrong:
            raise self.error(f"{column} {text!r} holds {wrong[0]!r}, which doesn't print; write it anew")
        return text

    def shared_name(self, column: str) -> str:
        """The `name` of a patient or node that several rows may share. Refuses placeholders, which would join unrelated
        rows."""
        text = self.name(column)
        if _NO_NAME.fullmatch(text):
            raise self.error(f"{column} is {text!r}, which names nothing; write its name, or leave the cell empty")
        if _SHORTENED.fullmatch(text):
            raise self.error(
                f"{column} is {text!r}, a number that a spreadsheet shortened, so several may read alike; write all of "
                "its digits, in a column of the format text"
            )
        return text

    def error(self, problem: str) -> UsageError:
        """The error to raise: file, line and problem."""
        return UsageError(f"{self.file}, line {self.line}: {problem}")

    def yes_or_no(self, column: str, *, may_be_empty: bool = True) -> bool | None:
        """yes or no, None for an empty cell. may_be_empty: whether another word's error offers that."""
        word = self.text(column).casefold()
        if word and word not in (*_YES, *_NO):
            or_nothing = ", or leave it empty" if may_be_empty else ""
            raise self.error(f"{column} is {self.text(column)!r}; write yes or no{or_nothing}")
        return word in _YES if word else None

    def whole_number(self, column: str, *, smallest: int) -> int | None:
        """A whole number of at least `smallest`, None for an empty cell."""
        text = self.text(column)
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text) >= smallest):
            raise self.error(f"{column} is {text!r}; write a whole number of at least {smallest}")
        return int(text)

    def number(self, column: str) -> float | None:
        """A finite number, None for an empty cell."""
        text = self.text(column)
        if not text:
            return None
        try:
            value = plain_number(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(f"{column} is {text!r}, which is not a number (write decimals with a point)")
        return value

    def size_um(self, column: str) -> float | None:
        """A deposit's size in um, 0 for none, None for an empty cell. A number that is clearly in mm is refused."""
        value = self.number(column)
        if value is not None and value != 0 and not SMALLEST_SIZE_UM <= value <= LARGEST_SIZE_UM:
            hint = "less than half a cell: is it in mm?" if value < SMALLEST_SIZE_UM else "longer than any lymph node."
            raise self.error(f"{column} is {self.text(column)}, in um {hint} Write sizes in um (2 mm is 2000)")
        return value

    def one_of(self, column: str, choices: Collection[str]) -> str:
        """One of `choices`, whatever its case; "" for an empty cell."""
        word = self.text(column).casefold()
        if word and word not in choices:
            known = ", ".join(filter(None, choices))
            raise self.error(f"{column} is {self.text(column)!r}, which is not known; write {known}")
        return word


def read_table(
    path: Path, *, columns: Collection[str], required: Collection[str], option: str = "the table"
) -> tuple[CsvRow, ...]:
    """The rows of a CSV file with a header. Raises UsageError on an unknown or a missing column.

    option: which names the file, for errors.
    """
    lines = read_lines(path, option=option)
    header = [name.casefold() for name in lines[0].cells.values()]
    named = len(header)
    while not header[named - 1]:  # a spreadsheet writes the columns beside a table, too
        named -= 1
    _check_header(path, header[:named], columns, required)
    rows = tuple(_row(line, header, named) for line in lines[1:])
    if not rows:
        raise UsageError(f"{path.name}: holds a header and no rows; write its rows below the header")
    return rows


def tables_in(folder: Path) -> list[Path]:
    """The CSV files of a folder, by name; hidden ones are other programs' own."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.name[0] != ".")


def table_sha256(path: Path) -> str:
    """Of the file's bytes. Raises UsageError where it can't be read."""
    try:
        return given_sha256(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def read_lines(path: Path, *, option: str = "the table") -> tuple[CsvRow, ...]:
    """The lines of a CSV file that aren't blank, their columns named "0", "1", ... Raises UsageError without any.

    Columns are separated by commas, or, if the first line has none, by semicolons or tabs: what a spreadsheet writes
    where the comma is for decimals. option: see read_table.
    """
    text = _text(path, option)
    if "\0" in text:
        raise UsageError(f"{path.name}: is no CSV file (it holds a NUL character); save it as CSV in UTF-8")
    first, *others = _LINE_END.split(text, maxsplit=1)
    named = _NAMED_SEPARATOR.fullmatch(first.strip())
    if named is not None:
        text = "".join(others)
    header = next(filter(str.strip, _LINE_END.split(text)), "")
    separator = named[1] if named is not None else next((sign for sign in ",;\t" if sign in header), ",")
    lines: list[CsvRow] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    before = int(named is not None)
    start = before + 1
    try:
        for cells in reader:
            start = reader.line_num + before + 1
            if any(cell.strip() for cell in cells):
                cells_by_place = {str(index): cell.strip() for index, cell in enumerate(cells)}
                lines.append(CsvRow(path.name, reader.line_num + before, cells_by_place))
    except csv.Error as error:
        raise UsageError(
            f"{path.name}, line {start}: is no CSV file from here on ({error}); check its quotation marks"
        ) from error
    if not lines:
        raise UsageError(f"{path.name}: is empty; fill it in, or name another")
    for line in lines:
        if max(map(len, line.cells.values())) > _LONGEST_CELL:
            raise line.error(f"has a cell of more than {_LONGEST_CELL:,} characters; check its quotation marks")
    return tuple(lines)


def _text(path: Path, option: str) -> str:
    try:
        content = given_bytes(path)
        for begin, kind in _WORKBOOKS.items():
            if content.startswith(begin):
                raise UsageError(f"{path.name}: is {kind}, and {option} is a CSV; save its sheet as CSV in UTF-8")
        text = content.decode("utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")
    except OSError as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name}: is not UTF-8 text; save it as CSV in UTF-8") from error
    kind = _OTHER_TEXTS.get(text.lstrip()[:1])
    if kind is not None:
        raise UsageError(f"{path.name}: is {kind}, and {option} is a CSV; name a CSV file")
    return text


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path}: can't be read ({error.strerror or error}); name a CSV file")


def _check_header(path: Path, header: Sequence[str], columns: Collection[str], required: Collection[str]) -> None:
    for name in header:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the columns are {', '.join(columns)}"
            raise UsageError(f"{path.name}: unknown column {name!r}; {hint}")
        if header.count(name) > 1:
            raise UsageError(f"{path.name}: the column {name!r} stands twice; leave one of them out")
    missing = [name for name in required if name not in header]
    if missing:
        raise UsageError(f"{path.name}: the column {', '.join(map(repr, missing))} is missing; add it to the header")


def _row(line: CsvRow, header: Sequence[str], named: int) -> CsvRow:
    """The row's cells by the header; beyond its named columns they must be empty."""
    cells = list(line.cells.values())
    if len(cells) != len(header):
        cells_here = how_many(len(cells), "cell")
        raise line.error(f"has {cells_here}, the header {len(header)}; write one for each column")
    if any(cells[named:]):
        raise line.error("has a cell in a column that the header gives no name; name the column, or empty the cell")
    return CsvRow(line.file, line.line, dict(zip(header[:named], cells[:named], strict=True)))


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A CSV file as text: a line for the header, then one for each row; a cell that is None is empty."""
    return "".join(csv_line(cells) for cells in (header, *rows))


def csv_line(cells: Sequence[object]) -> str:
    """One line, written with \\r\\n at its end: only so a cell with a lone \\r is quoted by Python before 3.13."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def plain_cell(text: str) -> str:
    """The text as it can be shown, with an apostrophe in front of what a spreadsheet would run as a formula.

    A spreadsheet that separates columns by semicolons or tabs begins a new cell after each of these, and after a line
    end, with or without a quotation mark.
    """
    text = _BEHIND_SEPARATOR.sub(r"\1'\2", shown(text))
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
