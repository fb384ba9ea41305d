"""What must hold after every fault: each slide once in summary.csv, each report whole, each error one line."""

import csv
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from nodescan.reports import ALWAYS, CHOICES, REPORTS
from nodescan.reports.json_report import REPORT_JSON
from tests.schemas import REPORT, schema_of

_LONGEST_LINE = 1000
_OF_FAILED = ("json", "html")
"""Reports of a slide that could not be looked at."""


def account(
    out: Path, asked: Iterable[str], *, reports: Sequence[str] = CHOICES, defects: Collection[str] = ()
) -> None:
    """Raise AssertionError unless summary.csv names each slide of `asked` once, and every report in `out` is whole.

    reports: the kinds that were asked for. defects: slides under which the program is made to break.
    """
    table = rows(out)
    found, wanted = Counter(row["slide_id"] for row in table), Counter(asked)
    if found != wanted:
        raise AssertionError(f"summary.csv names {dict(found)}, asked for was {dict(wanted)}")
    for row in table:
        check_row(row, defect=row["slide_id"] in defects)
    check_reports(out, reports)


def check_reports(out: Path, reports: Sequence[str] = CHOICES) -> None:
    """Raise AssertionError unless every report is whole and nothing half-written lies about."""
    for report in sorted(out.glob(f"*/{REPORT_JSON}")):
        check_report(report, reports)
    parts = sorted(path.name for path in out.rglob("*.part"))
    if parts:
        raise AssertionError(f"left half-written: {', '.join(parts)}")


def rows(out: Path) -> list[dict[str, str]]:
    """The rows of summary.csv, none where it isn't there."""
    path = out / "summary.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_row(row: Mapping[str, str], *, defect: bool = False) -> None:
    """What isn't complete has a reason, on one line; a defect of the program is one only where it was planted."""
    name, reason = row["slide_id"], row["reason"]
    if row["status"] == "complete":
        return
    if not reason.strip():
        raise AssertionError(f"{name} is {row['status']} without a reason")
    if "\n" in reason or "Traceback" in reason:
        raise AssertionError(f"{name}: the reason is not one line: {reason!r}")
    if ("internal_error" in row["flags"].split(";")) != defect:
        raise AssertionError(f"{name}: {reason}")
    if row["metastasis"] == "negative":
        raise AssertionError(f"{name} is {row['status']} and called negative")


def check_report(path: Path, reports: Sequence[str] = CHOICES) -> None:
    """The report holds to its schema, and every file that goes with it, or that it names, is there in full."""
    folder = path.parent
    content = json.loads(path.read_bytes())
    errors = [error.message for error in schema_of(REPORT).iter_errors(content)]
    if errors:
        raise AssertionError(f"{folder.name}/{path.name} breaks its schema: {errors[0]}")
    kinds = {*reports, *ALWAYS} if content["status"] in ("complete", "incomplete") else {*_OF_FAILED}
    wanted = [name for kind in kinds for name in REPORTS[kind].files]
    missing = [name for name in wanted if not (folder / name).is_file() or not (folder / name).stat().st_size]
    missing += [name for name, size in content["files"].items() if _size(folder / name) != size]
    if missing:
        raise AssertionError(f"{folder.name} has a report.json but no {', '.join(missing)}")
    if not (folder / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise AssertionError(f"{folder.name}/report.html ends early")


def check_lines(lines: Sequence[str]) -> None:
    """A quiet command says nothing but errors, each on one line that begins so: no traceback, no library's word."""
    for line in lines:
        if not line.startswith("error: "):
            raise AssertionError(f"on stderr stands {line!r}, among: {' | '.join(lines)[:_LONGEST_LINE]}")
        if len(line) > _LONGEST_LINE:
            raise AssertionError(f"an error of {len(line)} characters: {line[:200]}")


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
