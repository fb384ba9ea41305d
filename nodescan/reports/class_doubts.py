"""What stands beside a class or a stage that may be another one, in a few words each."""

from collections.abc import Container

from nodescan.domain.flags import codes_of
from nodescan.domain.report import SlideReport
from nodescan.domain.verdict import class_range
from nodescan.reports.wording import CLASS_WORDS

ONE_OR_SEVERAL = frozenset({"joining_gap", "may_be_one_deposit", "may_be_two_foci"})
"""Flags of a slide that would have another class if other areas formed one deposit."""


def class_doubts(report: SlideReport) -> tuple[str, ...]:
    """What a slide's class may hang on, whatever was examined; a slide without a class has its pixel size alone."""
    codes, (lowest, highest) = codes_of(report.flags), class_range(report.deposits)
    classes = [words.lower() for found, words in CLASS_WORDS.items() if lowest <= found <= highest]
    doubts = (
        (f"borderline: {' or '.join(classes)}", report.metastasis is not None and lowest is not highest),
        ("one deposit or several", report.metastasis is not None and bool(codes & ONE_OR_SEVERAL)),
        (scale_doubt(codes), True),
    )
    return tuple(words for words, holds in doubts if words and holds)


def scale_doubt(codes: Container[str]) -> str:
    """Of a slide or a patient with these flags or notes: that nuclei contradict the pixel size, or ""."""
    return "pixel size in doubt" if "nuclei_out_of_scale" in codes else ""
