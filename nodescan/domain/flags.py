"""One table of all flag codes and their consequences. A flag tells a reader what to know beside a finding."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


@dataclass(frozen=True, slots=True)
class Flag:
    """Something a reader must know. code: stable, snake_case; message: plain sentences that say what to do."""

    code: str
    message: str


class Doubt(Enum):
    """How far a doubt could change a slide's class."""

    NEXT_CLASS = auto()
    ANY_CLASS = auto()
    """Isolated tumour cells may turn out to be a macrometastasis."""


class Review(Enum):
    """What a reader's review of the deposits does to a flag; other flags stay as they are."""

    RESTATED = auto()
    """The flag follows from the deposits alone, so it is computed again from the deposits that are left."""
    AS_FOUND = auto()
    """The flag describes the deposits as the software found them, so it is kept and marked as such."""


@dataclass(frozen=True, slots=True)
class FlagKind:
    """What follows from a flag.

    title: as the pages print it.
    stops_complete: no slide with it is complete, unless somebody read the slide whole; its message says why.
    reason_if_incomplete: it is stated as a reason if a slide is incomplete, but doesn't make a slide incomplete.
    not_judged: the network can't judge the slide. It gets no class, and the network's marks on it are no findings.
    not_shown: the lower magnifications may show something else, such as the label, which names a patient.
    doubt: how far the flag could change the slide's class; None if it can't.
    review: what a review does to the flag; None if it leaves the flag as it is.
    note_first: a patient's page names the note under "Look here first", as it names every doubt.
    """

    title: str
    stops_complete: bool = False
    reason_if_incomplete: bool = False
    not_judged: bool = False
    not_shown: bool = False
    doubt: Doubt | None = None
    review: Review | None = None
    note_first: bool = False


FLAGS: Final[Mapping[str, FlagKind]] = {
    # of a slide that is not complete
    "no_tissue": FlagKind("No tissue", stops_complete=True),
    "unread_tissue": FlagKind("Unread tissue", stops_complete=True),
    "too_much_unread": FlagKind("Too much unread", stops_complete=True),
    "tissue_under_ink": FlagKind("Tissue under ink", stops_complete=True),
    "out_of_focus": FlagKind("Out of focus", stops_complete=True),
    "too_pale": FlagKind("Too pale", stops_complete=True),
    "badly_scanned": FlagKind("Badly scanned", stops_complete=True),
    "not_he": FlagKind("Not H&E", stops_complete=True, not_judged=True),
    "levels_disagree": FlagKind("Levels disagree", stops_complete=True, not_shown=True),
    "model_not_tuned": FlagKind("Model not tuned", stops_complete=True),
    "another_picture": FlagKind("Another picture", stops_complete=True, not_judged=True, not_shown=True),
    "constant_output": FlagKind("Constant output", stops_complete=True, not_judged=True),
    "file_cut_off": FlagKind("File cut off", reason_if_incomplete=True),
    # of a slide without a result
    "unmeasurable": FlagKind("Unmeasurable", stops_complete=True),
    "not_a_slide": FlagKind("Not a slide", stops_complete=True),
    "unreadable": FlagKind("Unreadable", stops_complete=True),
    "worker_died": FlagKind("Worker died", stops_complete=True),
    "stalled": FlagKind("Stalled", stops_complete=True),
    "not_written": FlagKind("Not written", stops_complete=True),
    "internal_error": FlagKind("Internal error", stops_complete=True),
    "model_failed": FlagKind("Model failed", stops_complete=True),
    "failed": FlagKind("Failed", stops_complete=True),
    # of a slide, for information
    "tissue_excluded_pen": FlagKind("Tissue excluded: pen marks"),
    "tissue_excluded_edge": FlagKind("Tissue excluded: edges"),
    "tissue_excluded_debris": FlagKind("Tissue excluded: debris"),
    "tissue_excluded_small": FlagKind("Tissue excluded: specks"),
    "overview_unreadable": FlagKind("Overview unreadable"),
    "level_ignored": FlagKind("Level ignored"),
    "strong_compression": FlagKind("Strong compression"),
    "spacing_overridden": FlagKind("Spacing overridden"),
    "spacing_absurd_in_file": FlagKind("Spacing absurd in file"),
    # of a patient, to act on
    "review_aside": FlagKind("Review aside", note_first=True),
    "node_unread": FlagKind("Node unread", note_first=True),
    "fewer_pieces_than_nodes": FlagKind("Fewer pieces than nodes", note_first=True),
    "nodes_share_slides": FlagKind("Nodes share slides", note_first=True),
    "nodes_without_slides": FlagKind("Nodes without slides", note_first=True),
    "mixed_reports": FlagKind("Mixed reports", note_first=True),
    "older_reports": FlagKind("Older reports", note_first=True),
    "newer_reports": FlagKind("Newer reports", note_first=True),
    "slide_left_out": FlagKind("Slide left out", note_first=True),
    "file_not_compared": FlagKind("File not compared", note_first=True),
    "same_file_unlisted": FlagKind("Same file unlisted", note_first=True),
    # of a slide, doubts about its class, the most important first
    "review_of_other_file": FlagKind("Review of another file", doubt=Doubt.ANY_CLASS),
    "review_before_scan": FlagKind("Review before scan", doubt=Doubt.ANY_CLASS),
    "nuclei_out_of_scale": FlagKind("Nuclei out of scale", doubt=Doubt.ANY_CLASS),
    "scan_fault": FlagKind("Scan fault", doubt=Doubt.ANY_CLASS),
    "unlike_training": FlagKind("Unlike the training tissue", doubt=Doubt.ANY_CLASS),
    "borderline": FlagKind("Borderline", doubt=Doubt.NEXT_CLASS, review=Review.RESTATED),
    "joining_gap": FlagKind("Joining gap", doubt=Doubt.ANY_CLASS, review=Review.AS_FOUND),
    "may_be_one_deposit": FlagKind("May be one deposit", doubt=Doubt.ANY_CLASS, review=Review.AS_FOUND),
    "may_be_two_foci": FlagKind("May be two foci", doubt=Doubt.NEXT_CLASS, review=Review.AS_FOUND),
    "dispersed_pattern": FlagKind("Dispersed pattern", doubt=Doubt.NEXT_CLASS, review=Review.RESTATED),
    "cell_count_review": FlagKind("Cell count review", doubt=Doubt.NEXT_CLASS, review=Review.RESTATED),
    "cell_count_near_limit": FlagKind("Cell count near limit", doubt=Doubt.NEXT_CLASS, review=Review.RESTATED),
    "cell_count_dispersed": FlagKind("Cell count dispersed", doubt=Doubt.NEXT_CLASS, review=Review.RESTATED),
    "cell_count_decides": FlagKind("Cell count decides", doubt=Doubt.NEXT_CLASS, review=Review.RESTATED),
    "read_against_software": FlagKind("Reading against software", doubt=Doubt.ANY_CLASS),
    "class_against_size": FlagKind("Class against size", doubt=Doubt.ANY_CLASS),
    "micro_by_reader": FlagKind("Micro by reader", doubt=Doubt.NEXT_CLASS),
    "deposit_cut_off": FlagKind("Deposit cut off", doubt=Doubt.ANY_CLASS, review=Review.AS_FOUND),
    "tissue_cut_off": FlagKind("Tissue cut off", doubt=Doubt.ANY_CLASS),
    "tissue_meets_ink": FlagKind("Tissue meets ink", doubt=Doubt.ANY_CLASS),
    "small_pale_area": FlagKind("Small pale area", doubt=Doubt.ANY_CLASS),
    # of deposits, without an effect on the class
    "size_near_limit": FlagKind("Size near limit", review=Review.RESTATED),
    "tumour_on_glass": FlagKind("Tumour on glass", review=Review.AS_FOUND),
    "size_may_span_foci": FlagKind("Size may span foci", review=Review.AS_FOUND),
    "size_may_be_of_part": FlagKind("Size may be of a part", review=Review.AS_FOUND),
    "foci_joined": FlagKind("Foci joined"),
    "cell_count_not_assessed": FlagKind("Cell count not assessed", review=Review.RESTATED),
    # of a patient, about treatment
    "neoadjuvant_not_stated": FlagKind("Neoadjuvant not stated", note_first=True),
    "treated": FlagKind("Treated", note_first=True),
    "not_complete_response": FlagKind("Not complete response", note_first=True),
    # of a patient, for information
    "read_by_reader": FlagKind("Read by a reader"),
    "size_by_reader": FlagKind("Size by reader"),
    "no_node_id": FlagKind("No node_id"),
    "sentinel_modifier": FlagKind("Sentinel modifier"),
    "detection_limit": FlagKind("Detection limit"),
}
"""Every code, with what follows from it. Doubts and notes stand in the order in which readers see them."""

NOT_JUDGED = frozenset(code for code, kind in FLAGS.items() if kind.not_judged)
STOPS_COMPLETE = frozenset(code for code, kind in FLAGS.items() if kind.stops_complete)
NOT_SHOWN = frozenset(code for code, kind in FLAGS.items() if kind.not_shown)
REASONS = STOPS_COMPLETE | {code for code, kind in FLAGS.items() if kind.reason_if_incomplete}
RESTATED = frozenset(code for code, kind in FLAGS.items() if kind.review is Review.RESTATED)
AS_FOUND = frozenset(code for code, kind in FLAGS.items() if kind.review is Review.AS_FOUND)
LEAPING_DOUBTS = frozenset(code for code, kind in FLAGS.items() if kind.doubt is Doubt.ANY_CLASS)

DOUBTS = tuple(code for code, kind in FLAGS.items() if kind.doubt)
"""Flags of a slide that could change its class, the most important first."""

ANSWERS_IN_DOUBT = frozenset({"scan_fault", "unlike_training"})
"""With these flags the network may be wrong anywhere on the slide: what it found may be no tumour."""

MAY_BE_NONE = "Deposits found here may be no tumour."
"""A sentence in their messages, which holds as long as something rests on deposits that no reader accepted."""

OF_OTHER_NODES = frozenset(
    {
        "size_near_limit",
        "size_may_span_foci",
        "size_may_be_of_part",
        "cell_count_near_limit",
        "cell_count_not_assessed",
    }
)
"""These flags don't affect the slide's class, but matter for the other nodes if several share the slide."""

SETTLED_BY_MACRO = frozenset({"joining_gap", "may_be_one_deposit", "may_be_two_foci", "deposit_cut_off"})
"""Doubts about the extent of deposits. They don't affect the class of a node with a certain macrometastasis."""

RAISING_DOUBTS = frozenset(
    {"may_be_one_deposit", "deposit_cut_off", "tissue_cut_off", "tissue_meets_ink", "small_pale_area"}
)
"""Doubts that could raise a class, but never lower it."""

UNEXAMINED = {
    "unread_tissue": "unreadable or never scanned",
    "tissue_under_ink": "under ink",
    "out_of_focus": "out of focus",
    "too_pale": "too pale",
    "badly_scanned": "too dark or badly scanned",
}
"""Flags that begin with how much of the tissue was not examined, and why that was."""

TOLD_FIRST = tuple(code for code, kind in FLAGS.items() if kind.doubt or kind.note_first)
"""Notes of a patient that a reader acts on, the most important first. The others are listed below them."""


def codes_of(flags: Iterable[Flag]) -> frozenset[str]:
    """Which codes there are, in no order."""
    return frozenset(flag.code for flag in flags)


def each_code(flags: Iterable[Flag]) -> tuple[str, ...]:
    """The codes in the order of the flags, each once."""
    return tuple(dict.fromkeys(flag.code for flag in flags))


def reasons(flags: Iterable[Flag]) -> tuple[str, ...]:
    """Why a slide isn't complete, in the words of its flags."""
    return tuple(flag.message for flag in flags if flag.code in REASONS)
