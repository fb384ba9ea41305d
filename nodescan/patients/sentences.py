"""What the page of a patient says of the stage in sentences."""

from nodescan.domain.classification import ITC_CELL_LIMIT, Metastasis, classify
from nodescan.domain.flags import codes_of
from nodescan.domain.lengths import size_in_mm
from nodescan.domain.naming import how_many
from nodescan.domain.patient import Staged
from nodescan.reports.class_doubts import ONE_OR_SEVERAL

_BY_CLASS = {
    Metastasis.NONE: "No tumour was found in the sections examined.",
    Metastasis.ITC: "Isolated tumour cells only, in the sections examined.",
    Metastasis.MICRO: "Micrometastases, none larger than 2 mm, in the sections examined.",
    Metastasis.MACRO: "At least one deposit larger than 2 mm in the sections examined.",
}

_AT_LEAST = {
    Metastasis.ITC: "Isolated tumour cells, in the sections examined.",
    Metastasis.MICRO: "Micrometastases, in the sections examined.",
}
"""What is said of them where there may be larger ones."""

_IN_DOUBT = {**_AT_LEAST, Metastasis.MACRO: "A macrometastasis, as measured, in the sections examined."}
"""What is said of them where it is not certain what was measured."""

_BY_READER = {
    Metastasis.ITC: "Isolated tumour cells in the sections examined, by the reader's class.",
    Metastasis.MICRO: "Micrometastases in the sections examined; by the reader's class, none is a macrometastasis.",
    Metastasis.MACRO: "At least one macrometastasis in the sections examined, by the reader's class.",
}
"""What is said of them where the largest size has another class."""

_MICRO_BY_READER = "Micrometastases in the sections examined, by the reader's class."

_BY_CELLS = frozenset({"cell_count_decides", "cell_count_dispersed"})
"""Notes on a micrometastasis up to 0.2 mm that needs no reader's word."""

_BY_SPLIT = (
    "Dispersed tumour cells in the sections examined, on a slide that several nodes share. They are a micrometastasis "
    f"if more than {ITC_CELL_LIMIT} lie in one node, so the true stage may be higher."
)

_UNSURE = {
    "scan_fault": "a scan has a fault",
    "unlike_training": "tissue looks unlike the tissue that the model was trained on",
}
"""Why the network may be wrong anywhere on a slide (flags.ANSWERS_IN_DOUBT), in words."""

_SLIDES = 3
"""So many slides without a class are named."""

_ABOVE = {
    Metastasis.ITC: "0.2 mm between isolated tumour cells and a micrometastasis",
    Metastasis.MICRO: "2 mm between a micro- and a macrometastasis",
}
"""The limits above these classes."""


def headline(staged: Staged) -> str:
    """The stage, or that there is none."""
    words = staged.words
    return words if words.startswith(f"{staged.prefix}pN") else words[:1].upper() + words[1:]


def answer(staged: Staged) -> str:
    """The sentence under the headline."""
    if staged.not_removed:
        return "No regional lymph nodes were removed for study, as the manifest states."
    if not staged.specimen.nodes:
        return "No lymph node was examined, so this is not a negative result."
    found, cut_off = staged.specimen.largest_class, staged.specimen.cut_off and staged.at_least
    split = staged.specimen.certain_class is not found
    doubts = _doubts(staged)
    may_be_larger = cut_off or staged.n_in_part or staged.specimen.unclassed_um is not None
    larger = _IN_DOUBT if doubts else _AT_LEAST if may_be_larger else {}
    told = _BY_SPLIT if split else _by_reader(staged) or larger.get(found, _BY_CLASS[found])
    said = " ".join((_by_size(staged) or told, *doubts))
    if not staged.n_unread and not cut_off:
        spread = f"Several nodes share a slide, so {_higher(staged)}: it depends on how the deposits are spread"
        return f"{said} {spread} over the nodes." if staged.at_least and not split else said
    missing = _missing(staged)
    if cut_off:
        cut = "a deposit is cut off"
        missing = f"{missing}, and {cut}" if staged.n_unread else cut.capitalize()
    seen = "".join(f"{one} " for one in _unclassed(staged))
    if found is Metastasis.NONE:  # the headline says how many nodes were not read whole
        return f"{seen}This is not a negative result."
    return f"{said} {seen}{missing}{_what_else(staged)}."


def _higher(staged: Staged) -> str:
    """Of a stage that may rise."""
    return f"the true stage may be higher{', or lower because of the borderline size' if staged.may_fall else ''}"


def _missing(staged: Staged) -> str:
    """How many of all nodes have no slide, were not read, or only in part; the first of these says of how many."""
    absent, part = staged.n_without_slides, staged.n_in_part
    counts = (
        (absent, ("has no slide here", "have no slide here")),
        (staged.n_unread - absent - part, ("was not read", "were not read")),
        (part, ("was read only in part", "were read only in part")),
    )
    said = [(count, one if count == 1 else more) for count, (one, more) in counts if count]
    return ", ".join(
        f"{count} {'' if number else f'of {staged.n_nodes} nodes '}{words}"
        for number, (count, words) in enumerate(said)
    )


def _unclassed(staged: Staged) -> list[str]:
    """Which slides show tumour that has no class, and the largest deposit there."""
    sections = [one for one in staged.specimen.sections if one.unclassed_um is not None]
    said: list[str] = []
    for one in sections[:_SLIDES]:
        unread = one.metastasis is None
        size = size_in_mm(one.unclassed_um or 0.0, one.uncertainty_um if unread else None)
        why = "the slide has no class. Review it." if unread else "the review left it open. Accept or reject it."
        said.append(f"A deposit of {size} was found on slide {one.slide_id}, but {why}")
    more = len(sections) - _SLIDES
    return [*said, f"So it is on {how_many(more, 'more slide')}."] if more > 0 else said


def _doubts(staged: Staged) -> list[str]:
    """What a category hangs on beside the uncertainty of sizes, the pixel size first: all sizes follow from it."""
    if staged.category is None:
        return []
    codes = codes_of(staged.notes)
    said = ["The pixel size is in doubt, and with it every size."] if "nuclei_out_of_scale" in codes else []
    if unsure := [why for code, why in _UNSURE.items() if code in codes]:
        found = any(one.unaccepted and one.metastasis for one in staged.specimen.sections)
        what = "deposits there may be no tumour, and tumour" if found else "tumour"
        why = " and ".join(unsure)
        said.append(f"{why[0].upper()}{why[1:]}, so {what} may have been missed.")
    if not codes.isdisjoint(ONE_OR_SEVERAL):
        said.append("It is uncertain which areas form one deposit, and the stage may depend on it.")
    return said


def _what_else(staged: Staged) -> str:
    """Which other categories a stage leaves possible that does not rest on every node read whole."""
    return f", so {_higher(staged)}" if staged.may_rise else f". {whatever_is_unread(staged)}"


def whatever_is_unread(staged: Staged) -> str:
    """That the category of "at least" stays, or can't be higher, whatever the unread nodes hold; "" where it can."""
    if not staged.at_least or staged.may_rise:
        return ""
    holds = "that node holds" if staged.n_unread == 1 else "those nodes hold"
    if staged.category_stays:
        return f"The category stays {staged.category} whatever {holds}; only counts and sizes may change"
    lower = "; it may be lower because of the borderline size" if staged.may_fall else ""
    return f"No higher category than {staged.category} is possible, whatever {holds}{lower}"


def _by_size(staged: Staged) -> str:
    """Which limits a size reaches, where that leaves the largest class open; "" where it doesn't."""
    classes = [node.classes for node in staged.specimen.nodes]  # there are some: see `answer`
    lowest, highest = max(low for low, *_ in classes), max(found[-1] for found in classes)
    if lowest is highest:
        return ""
    limits = [words for found, words in _ABOVE.items() if lowest <= found < highest]
    largest = staged.specimen.largest
    foci = None if largest is None else largest.foci
    alone = foci is not None and foci.total == 1  # then its slide's classes are its own
    alone &= staged.specimen.unclassed_um is None and not staged.specimen.unsized
    whose = "the largest" if largest is not None and alone and largest.classes[-1] is highest else "a"
    return (
        f"Within its uncertainty, the size of {whose} deposit in the sections examined reaches the limit of "
        f"{' and that of '.join(limits)}."
    )


def _by_reader(staged: Staged) -> str:
    """Whose class it is where the largest size has another one; "" where it has this one, or no reader said so."""
    found, largest = staged.specimen.largest_class, staged.specimen.largest
    longest_um = None if largest is None or staged.specimen.unsized else largest.largest_um
    by_size = None if longest_um is None else classify(longest_um)
    if by_size is found or not staged.class_by_reader:
        return ""
    if (by_size, found) == (Metastasis.ITC, Metastasis.MICRO):
        return _MICRO_BY_READER if not codes_of(staged.notes) & _BY_CELLS else ""
    return _BY_READER.get(found, "")
