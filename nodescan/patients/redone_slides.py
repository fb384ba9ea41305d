"""The stages that stand in a folder when a run that makes none scans slides of their patients."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodescan.domain.naming import few
from nodescan.errors import UsageError
from nodescan.patients.earlier_stages import (
    all_corrections_in,
    dicts,
    missing_aside,
    places_aside,
    put_back,
    set_aside,
    stages_in,
    unreadable_words,
    words,
)
from nodescan.patients.grouping import section_of
from nodescan.patients.run_page import tell_patients
from nodescan.reports.json_report import REPORT_JSON
from nodescan.reports.report_reader import StoredReport, read_report


@dataclass(frozen=True, slots=True)
class Outdated:
    """Stages that were moved to `aside`. failed: the reports on which they rest and which the run makes again.

    None where one of those is no failure's, or is newer than the stages: then they can't be moved back.
    """

    aside: Path
    failed: tuple[StoredReport, ...] | None


def move_outdated(folder: Path, scanned: Iterable[str], tell: Callable[[str], None]) -> Outdated | None:
    """Before slides are `scanned`, move the stages that rest on one of them; None where none does.

    This comes before any report is removed or written: whenever the run is stopped, no stage stands beside a report
    that it wasn't made of. Slides of no patient don't matter. tell: hears where the stages are. Raises OutputError.
    """
    stages = stages_in(folder)
    rest_on = None if stages is None else _slides_of(stages)
    again = sorted(one for one in scanned if rest_on is None or one.casefold() in rest_on)
    before = [_report(folder, slide_id) for slide_id in again]
    aside = set_aside(folder) if again else None
    if aside is None:
        return None
    if stages is None:
        tell(unreadable_words(aside))
        return Outdated(aside, None)
    why = f"because reports of their slides change: {few(again, 5)}"
    if all_corrections_in(stages):
        remedy = "repeat nodescan stage --corrections to review the new ones"
        tell(f"the reviewed stages were moved to {aside.name}, {why}; {remedy}")
    else:
        tell(f"stages of earlier reports were moved to {aside.name}, {why}; run nodescan stage to make new ones")
    not_run = {slide_id.casefold() for slide_id in words(stages.get("slides_not_run"))}
    failed = tuple(report for report in before if report is not None and _is_plain_failure(report))
    held = len(failed) == len(again) and not_run.isdisjoint(slide_id.casefold() for slide_id in again)
    return Outdated(aside, failed if held else None)


def move_back(folder: Path, outdated: Outdated, tell: Callable[[str], None]) -> None:
    """Once the slides are scanned, move the stages back where every slide failed again as before: they still hold.

    Stages that aren't whole stay where they are, and why is told. Raises OutputError.
    """
    if outdated.failed is None:
        return
    for before in outdated.failed:
        after = _report(folder, before.slide_id)
        if after is None or not _is_plain_failure(after) or _said(after) != _said(before):
            return
    missing = missing_aside(outdated.aside)
    if missing:
        tell(_not_whole(folder, outdated.aside, missing))
        return
    put_back(folder, outdated.aside)
    slides = few([report.slide_id for report in outdated.failed], 5)
    tell(
        f"the stages were moved back from {outdated.aside.name}, because these slides failed again as before: {slides}"
    )
    tell_patients(folder)


def _not_whole(folder: Path, aside: Path, missing: Sequence[str]) -> str:
    """Why the stages in `aside` aren't moved back, and which other folder holds what they lack."""
    others = [place for place in reversed(places_aside(folder)) if place != aside]
    holding = [next((place.name for place in others if (place / name).is_file()), "") for name in missing]
    found = few(list(dict.fromkeys(filter(None, holding))), 5)
    where = f"look for them in {found}" if found else "they are in no other folder of earlier stages"
    return (
        f"the stages stay in {aside.name}, for not all of their files are there: {few(missing, 5)}; a run that was "
        f"stopped while it moved stages leaves some of them elsewhere: {where}, or make the stages anew with "
        "nodescan stage"
    )


def _slides_of(stages: Mapping[str, Any]) -> set[str] | None:
    """The slides on which the stages rest, in small letters, since some disks don't tell case apart.

    Those are in it, too, that were not run when the stages were made. None where a patient's nodes aren't told.
    """
    patients = dicts(stages.get("patients"))
    if not all(isinstance(patient.get("nodes"), list) for patient in patients):
        return None
    nodes = [node for patient in patients for node in dicts(patient["nodes"])]
    return {str(slide.get("slide_id")).casefold() for node in nodes for slide in dicts(node.get("slides"))}


def _report(folder: Path, slide_id: str) -> StoredReport | None:
    """None where there is none, or one that isn't whole."""
    with suppress(UsageError):
        return read_report(folder / slide_id / REPORT_JSON)
    return None


def _is_plain_failure(report: StoredReport) -> bool:
    """Whether it has no result, nor a deposit that a reader may have corrected."""
    return report.status.without_result and not report.deposits


def _said(report: StoredReport) -> tuple[object, ...]:
    """All of a report without a result that a stage depends on."""
    return section_of(report), report.made_with, report.fingerprint
