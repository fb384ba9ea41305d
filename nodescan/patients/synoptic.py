"""The CAP synoptic elements of the regional nodes, filled in as far as sections on H&E can."""

from collections.abc import Sequence

from nodescan.domain.classification import Metastasis
from nodescan.domain.flags import Flag, codes_of
from nodescan.domain.lengths import size_in_mm
from nodescan.domain.naming import how_many
from nodescan.domain.patient import TUMOUR_UNCLASSED, UNDETERMINED, Node, Staged
from nodescan.domain.patient_stage import SN_CONDITION
from nodescan.domain.section import Section
from nodescan.domain.staging import AJCC8, CountRange, borderline_stage_words
from nodescan.reports.class_doubts import noted_doubts
from nodescan.reports.web_page import Fact
from nodescan.reports.wording import bound_words

NOT_ASSESSED = f"{UNDETERMINED} (not assessed by software)"
NOT_MEASURED = f"{UNDETERMINED} (not measured)"

MACRO_ELEMENT = "Number of Lymph Nodes with Macrometastases (greater than 2 mm)"
MICRO_ELEMENT = (
    "Number of Lymph Nodes with Micrometastases (greater than 0.2 mm to 2 mm and / or greater than 200 cells)"
)
ITC_ELEMENT = "Number of Lymph Nodes with Isolated Tumor Cells (0.2 mm or less OR 200 cells or less)"

_BY_READER = "the reader's class counts where it is not that of the size"


def synoptic(staged: Staged) -> tuple[Fact, ...]:
    """The elements of clinical-rules 7, in the order and with the names of the CAP protocol."""
    counts = staged.counts
    return (
        Fact("Regional Lymph Node Status", _status(staged)),
        Fact(MACRO_ELEMENT, count_words(counts.macro, staged), _count_note(Metastasis.MACRO, staged)),
        Fact(MICRO_ELEMENT, count_words(counts.micro, staged), _count_note(Metastasis.MICRO, staged)),
        Fact(ITC_ELEMENT, count_words(counts.itc, staged), _count_note(Metastasis.ITC, staged)),
        Fact("Size of Largest Nodal Metastatic Deposit", _size(staged), _size_note(staged)),
        Fact("Extranodal Extension", NOT_ASSESSED),
        Fact("Total Number of Lymph Nodes Examined (sentinel and non-sentinel)", *_examined(staged)),
        Fact("Number of Sentinel Nodes Examined", *_sentinels(staged)),
        Fact("pN Category (node component only)", staged.words, _category_note(staged)),
    )


def count_words(count: CountRange, staged: Staged) -> str:
    """The number where it is certain, else what it lies between."""
    if staged.not_removed:
        return "not applicable"
    if not staged.specimen.nodes:
        return UNDETERMINED
    return count.words if count.exact else f"{UNDETERMINED} ({count.words})"


def patient_size_words(staged: Staged) -> str:
    """Greatest diameter over all nodes and its uncertainty, "at least ..." for a lower bound, "... as measured" where
    it may be less, too; "" where not known."""
    largest = staged.specimen.largest
    if largest is None or largest.largest_um is None:
        return ""
    return section_size_words(largest, at_least=staged.size_at_least)


def unclassed_size_words(staged: Staged) -> str:
    """The largest deposit that got no class, in the words of `patient_size_words`; "" where there is none."""
    size_um = staged.specimen.unclassed_um
    if size_um is None:
        return ""
    first = next(section for section in staged.specimen.sections if section.unclassed_um == size_um)
    size = size_in_mm(size_um, first.uncertainty_um if first.metastasis is None else None)
    return _largest_words(size, first, at_least=staged.size_at_least)


def section_size_words(section: Section, *, at_least: bool) -> str:
    """The largest deposit of a slide, in the words of `patient_size_words`; "" where none was measured."""
    size_um = section.unclassed_um if section.largest_um is None else section.largest_um
    if size_um is None:
        return ""
    return _largest_words(size_in_mm(size_um, section.uncertainty_um), section, at_least=at_least)


def _largest_words(size: str, section: Section, *, at_least: bool) -> str:
    """The size of a largest deposit, on `section`: "at least ..." where that is so (at_least) and nothing may make it
    less, "... as measured" where something may."""
    if at_least and section.size_may_be_less:
        return f"{size} as measured"
    return bound_words(size, at_least=at_least)


def unsized_words(staged: Staged) -> str:
    """Which slides a reader gave a class without a size, so that a larger deposit may be there; "" for none."""
    read = [(one.slide_id, one.metastasis) for one in staged.specimen.unsized if one.reading is not None]
    return "; ".join(f"slide {slide_id} was read as {found.word} without a size" for slide_id, found in read if found)


def may_be(staged: Staged) -> list[str]:
    """The categories between which its sizes leave it open, without modifiers; none where they don't."""
    return [rule.category for rule in staged.may_be] if staged.borderline else []


def borderline_words(staged: Staged) -> str:
    """What the category may be by its sizes, e.g. "borderline: pN1mi or pN1a"; "" where they leave no doubt."""
    return borderline_stage_words(may_be(staged), stage=staged.words, bound=staged.bound)


def doubt_words(staged: Staged, notes: Sequence[Flag]) -> str:
    """What must not be overlooked beside the stage; "" where there is nothing. notes: all of the patient's."""
    noted = noted_doubts(codes_of(notes), classed=staged.category is not None)
    return "; ".join(filter(None, (borderline_words(staged), *noted)))


def stage_words(staged: Staged) -> str:
    """The stage and what it may be by its sizes, e.g. "pN1mi, borderline: pN1mi or pN1a"."""
    return ", ".join(filter(None, (staged.words, borderline_words(staged))))


def largest_size_words(staged: Staged) -> str:
    """`patient_size_words`, or that a deposit was not measured though others were; "" where there is none."""
    some_sized = any(section.largest_um is not None for section in staged.specimen.sections)
    return patient_size_words(staged) or (NOT_MEASURED if some_sized else "")


def determination(staged: Staged) -> str:
    """Whether the stage is determined, on every page in the same words; if not, how many nodes were not read whole."""
    if staged.determined:
        return "determined, borderline" if staged.borderline else "determined"
    if not staged.at_least or not staged.n_unread:
        return "not determined"
    how = "missing" if staged.n_unread == staged.n_without_slides else "not read whole"
    named = f"{how_many(staged.n_unread, 'node')} {how}"
    return f"{'category stays' if staged.category_stays else 'not determined'}; {named}"


def borderline_of_them(count: int) -> str:
    """How many of the stages that are called determined are borderline, to follow their number; "" for none."""
    return f", {count} of them borderline" if count else ""


def n_borderline(staged: Staged, found: Metastasis | None = None) -> int:
    """The most nodes that may be of this class (None: of any) or of another, by their sizes."""
    nodes = staged.specimen.nodes
    return sum(
        node.most_borderline
        if found is None or (node.borderline and found in node.classes)
        else node.more_by_size(found)
        for node in nodes
    )


def _count_note(found: Metastasis, staged: Staged) -> str:
    """How many nodes may count or not, by a size that is within its uncertainty of a limit; and whose class counts."""
    unsure = n_borderline(staged, found)
    notes = [f"{unsure} borderline by size, which may or may not count here"] if unsure else []
    return "; ".join([*notes, _BY_READER] if staged.class_by_reader else notes)


def _status(staged: Staged) -> str:
    if staged.not_removed:
        return "Not applicable (no regional lymph nodes submitted or found)"
    if staged.specimen.largest_class > Metastasis.NONE:
        return "Tumor present in regional lymph node(s)"
    if staged.complete:
        removed = staged.specimen.nodes_removed
        of_all = f"{staged.n_nodes}, number removed not stated" if removed is None else f"{staged.n_nodes} of {removed}"
        return f"All regional lymph nodes negative for tumor (in the sections examined; nodes examined: {of_all})"
    if staged.specimen.unclassed_um is not None:
        return f"{UNDETERMINED} ({TUMOUR_UNCLASSED})"
    if staged.n_without_slides:
        return f"{UNDETERMINED} ({staged.n_unread} of {staged.n_nodes} nodes not fully read)"
    return f"{UNDETERMINED} (not every node was fully read)"


def _size(staged: Staged) -> str:
    size = patient_size_words(staged)
    if size:
        return size
    if staged.not_removed or (staged.complete and staged.specimen.largest_class is Metastasis.NONE):
        return "not applicable (no deposit)"
    if staged.specimen.unclassed_um is not None:
        return f"{UNDETERMINED} ({TUMOUR_UNCLASSED})"
    return NOT_MEASURED


def _size_note(staged: Staged) -> str:
    unclassed, unsized = staged.specimen.unclassed_um, unsized_words(staged)
    if not patient_size_words(staged):
        return unsized
    left_out = "" if unclassed is None else f"a deposit of {size_in_mm(unclassed, None)} that has no class is left out"
    return "; ".join(filter(None, ("one contiguous deposit in one section; sizes are never added", unsized, left_out)))


def _examined(staged: Staged) -> tuple[str, str]:
    notes = (
        f"{staged.n_in_part} of them read in part" if staged.n_in_part else "",
        _more_unread(staged.specimen.nodes),
        f"removed without slides here: {staged.n_without_slides}" if staged.n_without_slides else "",
    )
    return str(staged.specimen.n_examined), "; ".join(filter(None, notes))


def _sentinels(staged: Staged) -> tuple[str, str]:
    nodes = staged.specimen.nodes
    if staged.not_removed:
        return "0", ""
    if not nodes or any(node.sentinel is None for node in nodes):
        return UNDETERMINED, "the table does not say for every node whether it is a sentinel node"
    sentinels = [node for node in nodes if node.sentinel]
    return str(sum(node.n_examined for node in sentinels)), _more_unread(sentinels)


def _more_unread(nodes: Sequence[Node]) -> str:
    count = sum(node.n_nodes - node.n_examined for node in nodes)
    return f"{count} more {'was' if count == 1 else 'were'} not read" if count else ""


def _category_note(staged: Staged) -> str:
    unsure = borderline_words(staged)
    if staged.table is not AJCC8:
        said = f"by the table {staged.table.name}, which has no modifiers"
        return f"{unsure}; {said}" if unsure else said
    sentinel = "sentinel_modifier" in codes_of(staged.notes) and any(node.sentinel for node in staged.specimen.nodes)
    edition = f"AJCC 8th edition; pN0(mol+), pN1b, pN1c, pN2b, pN3b and pN3c {NOT_ASSESSED}"
    return ". ".join(filter(None, (SN_CONDITION if sentinel else "", unsure, edition)))
