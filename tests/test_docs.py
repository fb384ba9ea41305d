"""What the documents list is what the program says."""

import re
from pathlib import Path

import nodescan
from nodescan.manifest import COLUMNS

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


def test_every_column_of_a_manifest_is_explained() -> None:
    """In docs/tables.md, in a row of its table."""
    assert set(COLUMNS) <= set(re.findall(r"`([a-z_]+)`", " ".join(cells[0] for cells in _rows("tables.md"))))


def _rows(name: str) -> list[list[str]]:
    """The cells of each row of a document's tables, headings too."""
    lines = (DOCS / name).read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
