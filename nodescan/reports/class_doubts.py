"""What stands beside a class or a stage that may be another one, in a few words each."""

from collections.abc import Container

from nodescan.domain.flags import codes_of
from nodescan.domain.report import SlideReport
from nodescan.domain.verdict import class_range
from nodescan.reports.wording import CLASS_WORDS

ONE_OR_SEVERAL = frozenset({"joining_gap", "may_be_one_deposit", "may_be_two_foci"})
"""Flags of a slide, notes of a patient, whose class would be another if other areas formed one deposit."""


def class_doubts(report: SlideReport) -> tuple[str, ...]:
    """What a slide's class may hang on, whatever was examined; a slide without a class has its pixel size alone."""
    codes, (lowest, highest) = codes_of(report.flags), class_range(report.deposits)
    classes = [words.lower() for found, words in CLASS_WORDS.items() if lowest <= found <= highest]
    classed = report.metastasis is not None
    borderline = (f"borderline: {' or '.join(classes)}",) if classed and lowest is not highest else ()
    return (*borderline, *noted_doubts(codes, classed=classed))


def noted_doubts(codes: Container[str], *, classed: bool) -> tuple[str, ...]:
    """Of a slide or a patient with these flags or notes. classed: whether there is a class or a category to doubt."""
    doubts = (
        ("one deposit or several", classed and any(code in codes for code in ONE_OR_SEVERAL)),
        ("pixel size in doubt", "nuclei_out_of_scale" in codes),
    )
    return tuple(words for words, holds in doubts if holds)
