"""Notes on a patient's stage: whether its reports were made alike and by this program's rules, and what it does not
exclude."""

from collections.abc import Sequence

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.flags import Flag
from nodescan.domain.patient import Staged
from nodescan.domain.report import RESULT_VERSION
from nodescan.domain.section import Section
from nodescan.domain.units import Micrometers
from nodescan.reports.made_with import MadeWith, differences, way_out
from nodescan.reports.report_reader import StoredReport
from nodescan.reports.wording import limit_words

DETECTION_LIMIT = "detection_limit"
"""Code of the note on what a stage doesn't exclude."""


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


def limit_notes(staged: Staged, reports: Sequence[StoredReport]) -> list[Flag]:
    """What a stage doesn't exclude, where deposits as small as the models' cards leave out would make another of it.

    So it is for pN0 and pN0(i+). Missed micrometastases make no other stage of pN1mi; of pN1a they do where there are
    nodes enough, because nodes with micrometastases count as positive (clinical-rules 5). Of slides that a reader read
    whole, the models' limits say nothing but in how many of several nodes tumour lies.
    """
    looked = {section.slide_id for section in staged.specimen.sections if _by_software(section)}
    found_from_um = max(
        (one.found_from_um for one in reports if one.found_from_um and one.slide_id in looked), default=None
    )
    if found_from_um is None or staged.category is None or staged.lowest is None:
        return []
    missed, least = classify(Micrometers(found_from_um)), staged.lowest
    positive = _most_positive(staged) if missed >= Metastasis.MICRO else staged.counts.positive.lowest
    if staged.table.rule_for(max(least.largest, missed), positive) == least:
        return []
    return [Flag(DETECTION_LIMIT, limit_words(found_from_um))]


def _most_positive(staged: Staged) -> int:
    """How many nodes are positive if the software missed a deposit in each that no reader read whole."""
    return sum(
        node.n_nodes if any(map(_by_software, node.sections)) else node.counts.positive.highest
        for node in staged.specimen.nodes
    )


def _by_software(section: Section) -> bool:
    """Whether it is the software's word which nodes on the slide are free of tumour: a reader's is of the slide."""
    reading = section.reading
    if reading is None:
        return True
    positive = section.metastasis is not None and section.metastasis >= Metastasis.MICRO
    return reading.foci_known and section.nodes_on_slide > 1 and positive
