"""A manifest: one row for each slide of a data set, with its label, its split and every fault that is known of it."""

import csv
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from nodescan.csv_rows import csv_text
from nodescan.errors import UsageError
from nodescan.reports.files import write_beside

LABELS = ("negative", "itc", "micro", "macro", "tumour", "")
"""tumour: of unknown size. Empty: not published."""

SPLITS = ("train", "valid", "test")
DIGESTS = {64: "sha256", 32: "md5"}
"""Length of a checksum in hexadecimal digits to the algorithm that makes it."""

_YES_NO = {"yes": True, "no": False}
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One slide. key, annotation_key: in the bucket, and below the data folder alike; "" where nothing is outlined.

    checksum: hexadecimal digest of the slide file, "" where unknown. exhaustive: whatever the annotation does not
    outline is normal (true of a negative slide without any). why: the reason for `excluded`, or for not exhaustive.
    """

    slide_id: str
    patient_id: str
    node_id: str
    centre: str
    key: str
    checksum: str
    label: str
    annotation_key: str
    exhaustive: bool
    split: str
    excluded: bool
    why: str

    @property
    def group(self) -> str:
        """What must stay in one split: the patient, or the slide where the patient isn't known."""
        return self.patient_id or self.slide_id


COLUMNS = tuple(field.name for field in fields(ManifestRow))


def read_manifest(path: Path) -> tuple[ManifestRow, ...]:
    """The rows of a manifest CSV. Raises UsageError that names the file, the row and the way out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: can't be read as a manifest ({error}); name a CSV file in UTF-8") from error
    if not lines:
        raise UsageError(f"{path}: the file is empty; a manifest starts with the columns {', '.join(COLUMNS)}")
    header, numbered = lines[0], [(number, line) for number, line in enumerate(lines[1:], start=2) if line]
    _check_header(path, header)
    rows = {number: _row(path, number, header=header, line=line) for number, line in numbered}
    if not rows:
        raise UsageError(f"{path}: holds no slides")
    _check_unique(path, "slide_id", {number: row.slide_id for number, row in rows.items()})
    _check_unique(path, "key", {number: str(PurePosixPath(row.key)) for number, row in rows.items()})
    _check_unique(path, "checksum", {number: row.checksum for number, row in rows.items() if row.checksum})
    _check_splits(path, rows)
    return tuple(rows.values())


def write_manifest(rows: Iterable[ManifestRow], path: Path) -> None:
    """The rows as a manifest CSV."""
    write_beside(path, csv_text(COLUMNS, ([_text(value) for value in astuple(row)] for row in rows)).encode())


def chosen(rows: Sequence[ManifestRow], patterns: str) -> tuple[ManifestRow, ...]:
    """The rows whose slide_id matches one of the comma-separated wildcards, without those that are excluded.

    Raises UsageError for a wildcard that matches nothing, and where it names an excluded slide only.
    """
    found: dict[str, ManifestRow] = {}
    for pattern in (part.strip() for part in patterns.split(",")):
        matching = [row for row in rows if fnmatchcase(row.slide_id, pattern)]
        if not matching:
            raise UsageError(f"--slides {pattern!r}: no slide of the manifest has such an id")
        kept = [row for row in matching if not row.excluded]
        if not kept:
            raise UsageError(f"--slides {pattern!r}: {matching[0].slide_id} is excluded ({matching[0].why})")
        found |= {row.slide_id: row for row in kept}
    return tuple(row for row in rows if row.slide_id in found)


def digest_of(file: Path, expected: str) -> str:
    """The file's checksum in hexadecimal digits, by the algorithm that `expected` was made with. Raises OSError."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, DIGESTS[len(expected)]).hexdigest()


def _text(value: str | bool) -> str:
    return value if isinstance(value, str) else ("yes" if value else "no")


def _check_header(path: Path, header: Sequence[str]) -> None:
    for column in header:
        if column not in COLUMNS:
            raise UsageError(f"{path}: unknown column {column!r}; a manifest has {', '.join(COLUMNS)}")
    for column in COLUMNS:
        if header.count(column) != 1:
            wrong = "is missing" if column not in header else "stands twice"
            raise UsageError(f"{path}: column {column!r} {wrong}; a manifest has {', '.join(COLUMNS)}")


def _row(path: Path, number: int, *, header: Sequence[str], line: Sequence[str]) -> ManifestRow:
    if len(line) != len(header):
        raise UsageError(f"{path}: row {number} has {len(line)} values for {len(header)} columns")
    cells = {name: value.strip() for name, value in zip(header, line, strict=True)}
    where = f"{path}: row {number} ({cells['slide_id'] or 'no slide_id'})"
    if not _ID.fullmatch(cells["slide_id"]):
        raise UsageError(f"{where}: slide_id {cells['slide_id']!r} must be letters, digits, '.', '_' or '-'")
    for name, allowed in (("label", LABELS), ("split", SPLITS), ("exhaustive", _YES_NO), ("excluded", _YES_NO)):
        if cells[name] not in allowed:
            words = ", ".join(word or "(empty)" for word in allowed)
            raise UsageError(f"{where}: {name} {cells[name]!r} is not one of {words}")
    for name in ("key", "annotation_key"):
        parts = PurePosixPath(cells[name])
        if parts.is_absolute() or ".." in parts.parts or "\\" in cells[name] or (name == "key" and not cells[name]):
            raise UsageError(f"{where}: {name} {cells[name]!r} is not a path inside the bucket")
    checksum = cells["checksum"].lower()
    if checksum and (len(checksum) not in DIGESTS or set(checksum) - set("0123456789abcdef")):
        raise UsageError(f"{where}: checksum {checksum!r} is neither SHA-256 nor MD5 in hexadecimal digits")
    if cells["excluded"] == "yes" and not cells["why"]:
        raise UsageError(f"{where}: is excluded, but 'why' is empty; say the reason")
    if cells["label"] == "negative" and cells["annotation_key"]:
        raise UsageError(f"{where}: is negative, and names outlines; empty annotation_key, or correct the label")
    flags = {name: _YES_NO[cells[name]] for name in ("exhaustive", "excluded")}
    return ManifestRow(**{**cells, **flags, "checksum": checksum})


def _check_unique(path: Path, name: str, values: dict[int, str]) -> None:
    """Two rows of one slide file could be learned from and tested on."""
    seen: dict[str, int] = {}
    for number, value in values.items():
        if value in seen:
            raise UsageError(f"{path}: row {number}: {name} {value!r} stands in row {seen[value]} already")
        seen[value] = number


def _check_splits(path: Path, rows: dict[int, ManifestRow]) -> None:
    """One patient in two splits would be tested on what was learned."""
    seen: dict[str, tuple[int, str]] = {}
    for number, row in rows.items():
        if row.excluded:
            continue
        first, split = seen.setdefault(row.group, (number, row.split))
        if split != row.split:
            raise UsageError(
                f"{path}: row {number} ({row.slide_id}): patient {row.group!r} is in split {row.split!r} here, "
                f"but in {split!r} in row {first}; a patient belongs to one split"
            )
