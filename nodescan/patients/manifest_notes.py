"""What the reader of one patient's stage must know that the rows and reports of its own slides don't tell."""

from collections.abc import Container, Mapping, Sequence

from nodescan.domain.flags import Flag
from nodescan.domain.naming import few
from nodescan.domain.patient import Staged
from nodescan.manifest import ManifestRow, NodeFacts
from nodescan.reports.report_reader import StoredReport

_NAMED = 5
"""So many names stand in a note."""


def reported_twice(rows: Sequence[ManifestRow], reports: Mapping[str, StoredReport]) -> Mapping[str, Sequence[str]]:
    """The slides that rows list -> the names of reports of the same file that none does.

    It may be another patient's of an earlier manifest, so that one file counts for two. But a slide that was renamed
    leaves its old report there, too, so nothing is refused.
    """
    listed = {row.slide_id for row in rows if row.has_slide}
    unlisted: dict[str, list[str]] = {}
    for slide_id in sorted(reports.keys() - listed):
        unlisted.setdefault(reports[slide_id].fingerprint, []).append(slide_id)
    prints = {slide_id: reports[slide_id].fingerprint for slide_id in sorted(listed & reports.keys())}
    return {slide_id: unlisted[of] for slide_id, of in prints.items() if of and of in unlisted}


def same_file_told(twice: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The names that `same_file_notes` keeps from pages, which may be handed on alone: for the terminal.

    twice: of reported_twice.
    """
    return tuple(
        f"one file under several names: the file of slide {slide_id} was also reported as {few(names, _NAMED)}"
        for slide_id, names in twice.items()
    )


def same_file_notes(staged: Staged, twice: Container[str]) -> tuple[Flag, ...]:
    """Slides of a patient of which the folder holds a second report, by a name that no row lists.

    twice: of reported_twice.
    """
    return tuple(
        Flag(
            "same_file_unlisted",
            f"Slide {section.slide_id}: the folder also holds a report of the same file under a name that this "
            "manifest doesn't list. If that name is another patient's slide, one of the two is the wrong file. If this "
            "slide was renamed, move the old report out of the folder.",
        )
        for section in staged.specimen.sections
        if section.slide_id in twice
    )


def treatment_notes(staged: Staged, facts: Sequence[NodeFacts]) -> tuple[Flag, ...]:
    """That nothing is said of treatment here, but of the patient's other side or specimen; "no" is something.

    facts: of all rows. A spreadsheet's cell that was joined over both sides leaves the second one's empty.
    """
    one = staged.specimen
    here = [fact.neoadjuvant for fact in facts if fact.specimen == one.names]
    elsewhere = [fact.neoadjuvant for fact in facts if fact.patient_id == one.patient_id and fact.specimen != one.names]
    if not staged.table.with_modifiers or not one.nodes or set(here) != {None} or True not in elsewhere:
        return ()
    text = (
        "According to the table, another specimen or side of this patient was removed after neoadjuvant treatment. For "
        "this one it says nothing, so the stage has no y. Fill in neoadjuvant here, too."
    )
    return (Flag("neoadjuvant_not_stated", text),)
