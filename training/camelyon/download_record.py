"""What a folder's earlier downloads fetched, and how it was verified."""

import csv
from pathlib import Path
from typing import NamedTuple

from nodescan.csv_rows import csv_text
from nodescan.errors import UsageError
from nodescan.whole_files import write_beside

RECORD_FILE = "downloads.csv"


class Record(NamedTuple):
    """A file's size, how it was verified, by which sums, when it was last written to, ns, and its version in the bucket
    (bucket.RemoteFile); "" for sums or a version that isn't known."""

    size: int
    verified: str
    sums: str
    modified_ns: int
    version: str

    def same_file(self, other: "Record") -> bool:
        """Whether nothing but the version may differ."""
        return self[:-1] == other[:-1]

    def is_of_another_version(self, other: "Record") -> bool:
        """Whether both versions are known, and differ."""
        return bool(self.version and other.version) and self.version != other.version


def read_record(to: Path) -> dict[str, Record]:
    """What was fetched before, by key. Raises UsageError."""
    path = to / RECORD_FILE
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["key"]: _record(row) for row in csv.DictReader(file)}
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UsageError(
            f"{path}: can't be read ({error!r}); delete it, what is there is then verified anew"
        ) from error


def _record(row: dict[str, str]) -> Record:
    return Record(int(row["bytes"]), row["verified"], row["sums"], int(row["mtime_ns"]), row["version"])


def write_record(record: dict[str, Record], to: Path) -> None:
    """Replace the record of the folder `to`. Raises OutputError."""
    rows = ((key, *kept) for key, kept in sorted(record.items()))
    write_beside(to / RECORD_FILE, csv_text(("key", "bytes", "verified", "sums", "mtime_ns", "version"), rows).encode())
