"""What the documents list is what the program says."""

import re
from pathlib import Path

import pytest

import nodescan
from nodescan.manifest import COLUMNS
from nodescan.patients.patient_files import CSV_COLUMNS
from nodescan.reports.csv_report import SUMMARY_COLUMNS

SOURCE, DOCS = Path(nodescan.__file__).parent, Path(__file__).parents[1] / "docs"

_CODE = re.compile(r'(?:Flag\(\s*|code = )"([a-z_]+)"')
"""A flag's code where it is made: Flag("code", ...), or an error's code."""


def test_every_flag_is_explained() -> None:
    """docs/flags.md has a row of each code that the source makes, and of none that it doesn't."""
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    made = set(_CODE.findall(text)) | {"detection_limit"}
    assert len(made) > 30
    made |= {f"tissue_excluded_{reason}" for reason in ("pen", "edge", "debris", "small")}
    first_cells = " ".join(cells[0] for cells in _rows("flags.md")).replace("`_", "`tissue_excluded_")
    assert set(re.findall(r"`([a-z_]+)`", first_cells)) == made


def test_every_flag_says_what_to_do() -> None:
    """Each table of docs/flags.md ends in that column, and no cell of it is empty."""
    assert [cells[-1] for cells in _rows("flags.md") if cells[0] == "code"] == ["what to do"] * 4
    assert all(all(cells) for cells in _rows("flags.md"))


@pytest.mark.parametrize(
    ("heading", "columns"),
    [("The manifest", COLUMNS), ("summary.csv", SUMMARY_COLUMNS), ("patients.csv", CSV_COLUMNS)],
)
def test_every_column_is_explained(heading: str, columns: tuple[str, ...]) -> None:
    """docs/tables.md has, under the table's heading, a row of each of its columns, and of no other."""
    told = (DOCS / "tables.md").read_text(encoding="utf-8").partition(f"\n## {heading}")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"`([a-z0-9_]+)`", " ".join(cells[0] for cells in _cells(told)))) == sorted(columns)


def _rows(name: str) -> list[list[str]]:
    """The cells of each row of a document's tables, headings too."""
    return _cells((DOCS / name).read_text(encoding="utf-8"))


def _cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
