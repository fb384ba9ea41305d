"""What a stage doesn't exclude: deposits too small for the model to find each of them, where they would change it."""

from collections.abc import Sequence

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.flags import Flag
from nodescan.domain.patient import Staged
from nodescan.domain.section import Section
from nodescan.domain.units import Micrometers
from nodescan.reports.report_reader import StoredReport
from nodescan.reports.wording import limit_words

DETECTION_LIMIT = "detection_limit"
"""Code of the note on what a stage doesn't exclude."""


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
