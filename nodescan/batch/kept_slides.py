"""Slides whose reports of an earlier run are kept because this run would make the same, and what the user is told."""

from collections.abc import Sequence
from pathlib import Path

from nodescan.batch.record import RUN_JSON
from nodescan.batch.resume import MOST_NAMED, ResumeOutcome, plan_resume
from nodescan.batch.slide_folders import EARLIER_REPORTS, restore_mark, set_report_aside
from nodescan.batch.slide_task import RunTools
from nodescan.domain.naming import few, how_many
from nodescan.domain.slide import SlideRef
from nodescan.manifest import Manifest
from nodescan.patients.slide_rows import check_spacings
from nodescan.reports.geojson_report import DEPOSITS_GEOJSON
from nodescan.whole_files import refuse_link

_MOST_REASONS = 20
"""What stays readable on a terminal; run.json has them all."""


def report_kept_slides(manifest: Manifest | None, refs: Sequence[SlideRef], tools: RunTools) -> ResumeOutcome:
    """The slides that an earlier run did as this one would, and those that are redone; why is told, but for those
    that are lost, see put_in_place. Nothing is moved or written.

    Raises UsageError where a manifest's row contradicts one that would be kept: its size isn't the row's.
    """
    found, viewer = plan_resume(refs, tools), tools.viewer
    if manifest is not None:
        check_spacings({slide_id: report.info for slide_id, report in found.kept.items()}, manifest)
    for words in _redone_words(found.redone):
        viewer.note(words)
    same = len(found.kept) - len(found.contradicted) - len(found.given_before)
    if same:
        count = f"{same} of {len(refs)}"
        viewer.note(f"{count} slides kept from an earlier run with the same files and settings (--force redoes them)")
    if found.unseen:
        viewer.note(f"kept, although their files can't be read now: {few(found.unseen, MOST_NAMED)}")
    if found.contradicted:
        said = "kept as measured with the pixel size of their files, which --mpp contradicts"
        remedy = "leave out --mpp for these, or add --override-mpp if the files are wrong"
        viewer.error(f"{said}: {few(found.contradicted, MOST_NAMED)}; {remedy}")
    if found.given_before:
        said = "kept as measured with the pixel size given earlier (--force redoes them without it)"
        viewer.note(f"{said}: {few(found.given_before, MOST_NAMED)}")
    return found


def _redone_words(redone: Sequence[tuple[str, str]]) -> list[str]:
    """Each reason once, the most frequent first, with a few of the slides; where there are many reasons, a few."""
    by_reason: dict[str, list[str]] = {}
    for slide_id, why in redone:
        by_reason.setdefault(why, []).append(slide_id)
    reasons = sorted(by_reason.items(), key=lambda one: -len(one[1]))
    told = [f"{few(slides, MOST_NAMED)}: redone: {why}" for why, slides in reasons[:_MOST_REASONS]]
    more = sum(len(slides) for _, slides in reasons[_MOST_REASONS:])
    if more:
        told.append(f"{how_many(more, 'more slide')} redone for other reasons: see redone in {RUN_JSON}")
    return told


def put_in_place(found: ResumeOutcome, tools: RunTools) -> None:
    """Take back each report that a stopped run put aside. Keep each report, and all outlines that somebody edited,
    that this run would lose; tell in which folder.

    This comes once no stage stands that was made of them. Raises LockLostError and OutputError.
    """
    if found.replaced:
        refuse_link(tools.job.folder / EARLIER_REPORTS)  # now, and not after a night's scans, whose reports need it
    for slide_id in found.hidden:
        tools.job.may_write()
        restore_mark(tools.job.folder / slide_id)
    for slide_id, why in found.lost:
        place = _set_aside(slide_id, tools)
        tools.viewer.note(
            f"{slide_id}: its file can't be read now, so its report is kept in {place}, although it is not as asked "
            f"for ({why})"
        )
    for slide_id in found.edited:
        place = _set_aside(slide_id, tools)
        why = f"{DEPOSITS_GEOJSON} was changed since the scan"
        tools.viewer.note(f"{slide_id}: {why}, so the earlier report is kept in {place}")


def _set_aside(slide_id: str, tools: RunTools) -> Path:
    tools.job.may_write()
    return set_report_aside(tools.job.folder, slide_id).relative_to(tools.job.folder)
