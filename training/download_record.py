"""What a folder's earlier downloads fetched, and how it was verified."""

import csv
from pathlib import Path

from nodescan.csv_rows import csv_text
from nodescan.errors import UsageError
from nodescan.whole_files import write_beside

RECORD_FILE = "downloads.csv"

Record = tuple[int, str, str, int]
"""A file's size, how it was verified, by which sums, and when it was last written to, ns; 0 where that isn't known."""


def read_record(to: Path) -> dict[str, Record]:
    """What was fetched before, by key. Raises UsageError."""
    path = to / RECORD_FILE
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            return {
                row["key"]: (int(row["bytes"]), row["verified"], row.get("sums") or "", int(row.get("mtime_ns") or 0))
                for row in rows
            }
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UsageError(
            f"{path}: can't be read ({error!r}); delete it, what is there is then verified anew"
        ) from error


def write_record(record: dict[str, Record], to: Path) -> None:
    """Replace the record of the folder `to`. Raises OutputError."""
    rows = ((key, *kept) for key, kept in sorted(record.items()))
    write_beside(to / RECORD_FILE, csv_text(("key", "bytes", "verified", "sums", "mtime_ns"), rows).encode())
