"""A manifest: one row for each slide of a data set, with its label, its split and every fault that is known of it."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from nodescan.csv_rows import CsvRow, csv_text, read_table
from nodescan.domain.naming import few
from nodescan.errors import UsageError
from nodescan.manifest import looks
from nodescan.whole_files import write_beside

LABELS = ("negative", "itc", "micro", "macro", "tumour")
"""tumour: of unknown size. An empty one: not published."""

SPLITS = ("train", "valid", "test")
DIGESTS = {64: "sha256", 32: "md5"}
"""Length of a checksum in hexadecimal digits to the algorithm that makes it."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class DataSlide:
    """One slide. key, annotation_key: places below the data folder, and of public slides in the bucket alike; an empty
    annotation_key: nothing is outlined.

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


COLUMNS = tuple(field.name for field in fields(DataSlide))


def read_data_manifest(path: Path) -> tuple[DataSlide, ...]:
    """The rows of a manifest CSV. Raises UsageError that names the file, the line and the way out."""
    lines = read_table(path, columns=COLUMNS, required=COLUMNS)
    rows = [_row(line) for line in lines]
    _check_unique(lines, "slide_id", [row.slide_id for row in rows])
    for name in ("key", "annotation_key"):
        keys = [getattr(row, name) for row in rows]
        _check_unique(lines, name, [str(PurePosixPath(key)) if key else "" for key in keys])
    _check_unique(lines, "checksum", [row.checksum for row in rows])
    _check_splits(lines, rows)
    return tuple(rows)


def write_data_manifest(rows: Iterable[DataSlide], path: Path) -> None:
    """The rows as a manifest CSV."""
    write_beside(path, csv_text(COLUMNS, ([_text(value) for value in astuple(row)] for row in rows)).encode())


def chosen(rows: Sequence[DataSlide], patterns: str) -> tuple[DataSlide, ...]:
    """The rows whose slide_id matches one of the comma-separated wildcards, without those that are excluded.

    Raises UsageError for a wildcard that matches nothing, and where it names an excluded slide only.
    """
    found: dict[str, DataSlide] = {}
    for pattern in (part.strip() for part in patterns.split(",")):
        matching = [row for row in rows if fnmatchcase(row.slide_id, pattern)]
        if not matching:
            raise UsageError(f"--slides {pattern!r}: no slide of the manifest has such an id")
        kept = [row for row in matching if not row.excluded]
        if not kept:
            raise UsageError(f"--slides {pattern!r}: {matching[0].slide_id} is excluded ({matching[0].why})")
        found |= {row.slide_id: row for row in kept}
    return tuple(row for row in rows if row.slide_id in found)


def files_missing(files: Sequence[Path]) -> UsageError:
    """Of slides and outlines that a manifest names and that aren't there: public ones, or a lab's own."""
    return UsageError(
        f"{few(files, 3)}: not there; `key` and `annotation_key` are places below --data. Put the files there (public "
        "slides: python -m training download), or choose other slides with --slides"
    )


def digest_of(file: Path, algorithm: str) -> str:
    """The file's checksum in hexadecimal digits, by an algorithm that hashlib knows. Raises OSError."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _text(value: str | bool) -> str:
    return value if isinstance(value, str) else ("yes" if value else "no")


def _row(line: CsvRow) -> DataSlide:
    if not _ID.fullmatch(line.text("slide_id")):
        raise line.error(f"slide_id {line.text('slide_id')!r} must be letters, digits, '.', '_' or '-'")
    for name in ("key", "annotation_key"):
        text, parts = line.text(name), PurePosixPath(line.text(name))
        names_a_file = bool(parts.name) if text else name != "key"
        if not names_a_file or parts.is_absolute() or ".." in parts.parts or "\\" in text or not text.isprintable():
            raise line.error(
                f"{name} {text!r} does not name a file below --data; write a relative path with forward slashes and "
                "without '..', such as images/a.tif (public slides: their place in the bucket)"
            )
    row = DataSlide(
        **{
            **line.cells,
            "checksum": line.text("checksum").lower(),
            "label": line.one_of("label", LABELS),
            "exhaustive": _filled(line, "exhaustive", line.yes_or_no("exhaustive", may_be_empty=False)),
            "split": _filled(line, "split", line.one_of("split", SPLITS)),
            "excluded": _filled(line, "excluded", line.yes_or_no("excluded", may_be_empty=False)),
        }
    )
    if row.checksum and (len(row.checksum) not in DIGESTS or set(row.checksum) - set("0123456789abcdef")):
        raise line.error(f"checksum {row.checksum!r} is neither SHA-256 nor MD5 in hexadecimal digits")
    if row.excluded and not row.why:
        raise line.error("is excluded, but 'why' is empty; say the reason")
    if row.label == "negative" and row.annotation_key:
        raise line.error("is negative, and names outlines; empty annotation_key, or correct the label")
    return row


def _filled(line: CsvRow, column: str, value: str | bool | None) -> str | bool:
    """The value of a cell that may not be empty."""
    if value is None or value == "":
        raise line.error(f"{column} is empty; write {', '.join(SPLITS) if column == 'split' else 'yes or no'}")
    return value


def _check_unique(lines: Sequence[CsvRow], name: str, values: Sequence[str]) -> None:
    """Two rows of one slide file could be learned from and tested on; one slide's outlines fit no other. Empty values
    are of no file."""
    seen: dict[str, int] = {}
    for line, value in zip(lines, values, strict=True):
        if value and value in seen:
            raise line.error(f"{name} {value!r} stands in line {seen[value]} already")
        seen[value] = line.line


def _check_splits(lines: Sequence[CsvRow], rows: Sequence[DataSlide]) -> None:
    """One patient in two splits would be tested on what was learned, however its name is written."""
    seen: dict[str, tuple[int, DataSlide]] = {}
    for line, row in zip(lines, rows, strict=True):
        if row.excluded:
            continue
        first, before = seen.setdefault(looks(row.group), (line.line, row))
        if before.split != row.split:
            alike = "" if before.group == row.group else f" as {before.group!r}"
            remedy = "" if before.group == row.group else "; where they are two, give them names that differ more"
            raise line.error(
                f"patient {row.group!r} is in split {row.split!r} here, but in {before.split!r} in line {first}{alike}"
                f"; a patient belongs to one split{remedy}"
            )
