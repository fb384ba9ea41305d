"""Whether the reports that stages rest on were made alike, and by rules that are this program's."""

from collections.abc import Sequence

from nodescan.domain.flags import Flag
from nodescan.domain.report import RESULT_VERSION
from nodescan.reports.made_with import MadeWith, differences, way_out
from nodescan.reports.report_reader import StoredReport


def mixed_words(reports: Sequence[StoredReport]) -> str:
    """How these reports differ in what they were made with; "" where they were made alike."""
    return differences(_made(reports))


def mixed_way_out(reports: Sequence[StoredReport]) -> str:
    """What to do where the reports were not made alike."""
    return way_out(_made(reports).values())


def _made(reports: Sequence[StoredReport]) -> dict[str, MadeWith]:
    """By slide_id, without those that no network judged."""
    return {report.slide_id: report.made_with for report in reports if report.made_with is not None}


def _versions(reports: Sequence[StoredReport]) -> list[int]:
    """The result versions that made these reports, sorted."""
    return sorted({report.provenance.result_version for report in reports if report.provenance is not None})


def older_words(reports: Sequence[StoredReport]) -> str:
    """That these reports, made alike, are of another result version than this program's, and what to do; "" else."""
    versions = _versions(reports)
    if {*versions} <= {RESULT_VERSION} or mixed_words(reports):
        return ""
    made = f"from result version {', '.join(map(str, versions))}"
    if versions[-1] > RESULT_VERSION:
        return (
            f"{made}, of a newer nodescan than this one, which gives those of result version {RESULT_VERSION}; use the "
            "newer one to stage them, and do not run the slides again with this one"
        )
    return f"{made}, but nodescan now gives other results ({RESULT_VERSION}); run the slides again"


def made_notes(reports: Sequence[StoredReport]) -> list[Flag]:
    """Slides of one patient that were judged by different rules: the stage is of no one model. Or all by rules that
    aren't this program's."""
    mixed, older = mixed_words(reports), older_words(reports)
    text = f"This patient's reports were not made alike: {mixed}; {mixed_way_out(reports)}."
    notes = [Flag("mixed_reports", text)] if mixed else []
    if not older:
        return notes
    newer = _versions(reports)[-1] > RESULT_VERSION
    told = f"This patient's reports are {older}."
    return [*notes, Flag("newer_reports", told) if newer else Flag("older_reports", told)]
