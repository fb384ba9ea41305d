"""What a reader must know beside a finding, and which of it stands for what: every set of codes is here."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flag:
    """Something a reader must know. code: stable, snake_case; message: one sentence in plain words."""

    code: str
    message: str


NOT_JUDGED = frozenset({"not_he", "constant_output", "another_picture"})
"""Flags of a slide that the network can't judge: it gets no class, and what it says there is no finding."""

NOT_WHOLE = frozenset({"levels_disagree", "model_not_tuned"})
"""Flags of a slide on which tissue may not have been found, or tumour not told from it, though all that was found was
examined: it is incomplete."""

NOT_SHOWN = frozenset({"another_picture", "levels_disagree"})
"""Flags of a slide whose lower magnifications may be of something else, such as its label, which names a patient."""

DOUBTS = (
    "review_before_scan",
    "nuclei_out_of_scale",
    "borderline",
    "joining_gap",
    "may_be_one_deposit",
    "may_be_two_foci",
    "dispersed_pattern",
    "cell_count_review",
    "cell_count_near_limit",
    "cell_count_dispersed",
    "cell_count_decides",
    "class_against_size",
    "micro_by_reader",
    "deposit_cut_off",
    "tissue_cut_off",
    "tissue_meets_ink",
)
"""Flags of a slide that could change its class, the most important first."""

LEAPING_DOUBTS = frozenset(
    {
        "class_against_size",
        "deposit_cut_off",
        "joining_gap",
        "may_be_one_deposit",
        "nuclei_out_of_scale",
        "review_before_scan",
        "tissue_cut_off",
        "tissue_meets_ink",
    }
)
"""Doubts under which isolated tumour cells may turn out to be a macrometastasis; others reach the next class."""

REASONS = frozenset(
    {
        *NOT_JUDGED,
        *NOT_WHOLE,
        "no_tissue",
        "unread_tissue",
        "too_much_unread",
        "file_cut_off",
        "tissue_under_ink",
        "out_of_focus",
        "too_pale",
        "badly_scanned",
        "unmeasurable",
        "not_a_slide",
        "unreadable",
        "worker_died",
        "stalled",
        "not_written",
        "internal_error",
        "model_failed",
        "failed",
    }
)
"""Flags that are a reason for a slide not to be complete."""

RESTATED = frozenset(
    {
        "borderline",
        "cell_count_decides",
        "cell_count_dispersed",
        "cell_count_near_limit",
        "cell_count_not_assessed",
        "cell_count_review",
        "dispersed_pattern",
        "size_near_limit",
    }
)
"""Flags that follow from the deposits alone: after a review they are said anew, of the deposits that are left."""

AS_FOUND = frozenset(
    {
        "deposit_cut_off",
        "joining_gap",
        "may_be_one_deposit",
        "may_be_two_foci",
        "size_may_be_of_part",
        "size_may_span_foci",
        "tumour_on_glass",
    }
)
"""Flags of the deposits as the software found them: after a review they are kept, as said before it."""

TOLD_FIRST = (
    "node_unread",
    "nodes_share_slides",
    "nodes_without_slides",
    "mixed_reports",
    "older_reports",
    "slide_left_out",
    "same_file_unlisted",
    *DOUBTS,
    "neoadjuvant_not_stated",
    "treated",
    "not_complete_response",
)
"""Notes of a patient that a reader acts on, the most important first; the others are said below."""


def codes_of(flags: Iterable[Flag]) -> frozenset[str]:
    """Which codes there are, in no order."""
    return frozenset(flag.code for flag in flags)


def each_code(flags: Iterable[Flag]) -> tuple[str, ...]:
    """The codes in the order of the flags; one that several have stands once."""
    return tuple(dict.fromkeys(flag.code for flag in flags))


def reasons(flags: Iterable[Flag]) -> tuple[str, ...]:
    """Why a slide isn't complete, in the words of its flags."""
    return tuple(flag.message for flag in flags if flag.code in REASONS)
