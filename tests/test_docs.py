"""What the documents list is what the program says."""

import re
from pathlib import Path

import nodescan
from nodescan.manifest import COLUMNS

SOURCE, DOCS = Path(nodescan.__file__).parent, Path(__file__).parents[1] / "docs"

_CODE = re.compile(r'(?:Flag\(\s*|code = )"([a-z_]+)"')
"""A flag's code where it is made: Flag("code", ...), or an error's code."""


def test_every_flag_is_explained() -> None:
    """docs/flags.md has each code that the source makes, and none that it doesn't."""
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    made = set(_CODE.findall(text)) | {"detection_limit"}
    assert len(made) > 30
    made |= {f"tissue_excluded_{reason}" for reason in ("pen", "edge", "debris", "small")}
    listed = set(
        re.findall(r"`([a-z_]+)`", (DOCS / "flags.md").read_text(encoding="utf-8").replace("`_", "`tissue_excluded_"))
    )
    assert made - listed == set()
    assert {code for code in listed if "_" in code} - made == set()


def test_every_column_of_a_manifest_is_explained() -> None:
    """In docs/tables.md, in a row of its table."""
    rows = [line.split("|")[1] for line in (DOCS / "tables.md").read_text(encoding="utf-8").splitlines() if "|" in line]
    assert set(COLUMNS) <= set(re.findall(r"`([a-z_]+)`", " ".join(rows)))
