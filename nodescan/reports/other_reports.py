"""Reports that earlier runs left in a run's folder, of slides that the run was not asked for."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nodescan.domain.naming import few, how_many
from nodescan.domain.report import Status
from nodescan.given_files import found_bytes
from nodescan.reports.json_report import REPORT_JSON

MOST_NAMED = 20
"""Slides named in one sentence; the folder has them all."""


@dataclass(frozen=True, slots=True)
class OtherReports:
    """count: how many there are. without_result: slides that failed or could not be measured, and damaged reports."""

    count: int
    without_result: tuple[str, ...]


NO_OTHERS = OtherReports(0, ())


def other_reports(folder: Path, asked: Iterable[str]) -> OtherReports:
    """The reports in `folder` of other slides than the run was `asked` for, by slide_id.

    Only their status is read: about 0.3 s for 1,000 reports of 4 kB each on one busy core.
    """
    own = {slide_id.casefold() for slide_id in asked}  # a disk may not tell case apart
    there = sorted(path.parent.name for path in folder.glob(f"*/{REPORT_JSON}"))
    others = [name for name in there if name[0] != "." and name.casefold() not in own]
    return OtherReports(len(others), tuple(name for name in others if not _has_result(folder / name / REPORT_JSON)))


def other_words(others: OtherReports) -> str:
    """What to say below a list that lacks them; "" where there are none."""
    if not others.count:
        return ""
    lacking, named = len(others.without_result), few(others.without_result, MOST_NAMED)
    without = f", {lacking} of them without a result ({named})" if lacking else ""
    return (
        f"Not listed here: {how_many(others.count, 'more report')} of earlier runs in this folder{without}. To list "
        "every slide, give all slides or the whole manifest to one nodescan run; it keeps finished reports."
    )


def _has_result(path: Path) -> bool:
    try:
        return not Status(json.loads(found_bytes(path))["status"]).without_result
    except (OSError, ValueError, RecursionError, KeyError, TypeError):  # it is damaged, or no report
        return False
