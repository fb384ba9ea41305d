"""The headline, and what stands beside a class or a stage that may be another one, in a few words each."""

from collections.abc import Container

from nodescan.domain.class_bounds import OF_WHOLE_SLIDE, LowerBy, bound_holds, lower_by
from nodescan.domain.classification import Metastasis
from nodescan.domain.flags import codes_of
from nodescan.domain.report import Outcome, SlideReport, Status
from nodescan.domain.verdict import class_range
from nodescan.reports.wording import CLASS_WORDS, not_excluded_words, percent

ONE_OR_SEVERAL = ("may_be_one_deposit", "joining_gap", "may_be_two_foci")
"""Flags of a slide, notes of a patient, whose class would be another if other areas formed one deposit. The first of
them says most."""


TUMOUR_WITHOUT_CLASS = "No class, but tumour found"


def class_words(report: SlideReport) -> str:
    """The headline: the class in words, "At least ..." where it is a lower bound that holds, "... as measured" where it
    may be lower or higher; or why there is none."""
    if report.status is Status.FAILED:
        if report.outcome is Outcome.NOT_READ:
            return "Not read"
        return TUMOUR_WITHOUT_CLASS if tumour_without_class(report) else "No class: too much could not be read"
    if report.status is Status.UNMEASURABLE:
        return "No class: cannot be measured"
    if report.metastasis is None:
        return "No class"
    words = CLASS_WORDS[report.metastasis]
    if not report.class_at_least:
        return words
    return f"At least {words[0].lower()}{words[1:]}" if bound_holds(report) else f"{words} as measured"


def tumour_without_class(report: SlideReport) -> bool:
    """Whether deposits were found on a slide that has no class, because too much of it could not be read."""
    return report.status is Status.FAILED and bool(report.deposits) and not report.not_judged


def joining_doubt(report: SlideReport) -> str:
    """The flag that tells most of which areas form one deposit, where the class hangs on it; "" where it doesn't."""
    codes = codes_of(report.flags) if report.metastasis is not None else ()
    return next((code for code in ONE_OR_SEVERAL if code in codes), "")


def class_doubts(report: SlideReport) -> tuple[str, ...]:
    """What a slide's class may hang on, and what a negative one leaves open; a slide without a class has its pixel size
    alone, and whether anything was found on it."""
    codes, (lowest, highest) = codes_of(report.flags), class_range(report.deposits)
    lower = lower_by(report) if report.class_at_least else ()
    said: list[str] = [_of_failed(report)]
    if report.metastasis is Metastasis.NONE and report.model is not None:
        said.append(not_excluded_words(report.model.found_from_um))
    if lower:
        higher = "cut off" if report.status is Status.COMPLETE else report.status.value
        said.append(f"may be lower ({', '.join(lower)}) or higher ({higher})")
    elif report.metastasis is not None and lowest is not highest:
        said.append(f"borderline: {_either(lowest, highest)}")
    noted = noted_doubts(codes, classed=report.metastasis is not None)
    said.extend(_with_classes(report) if words == LowerBy.JOINING else words for words in noted if words not in lower)
    return tuple(filter(None, said))


def noted_doubts(codes: Container[str], *, classed: bool) -> tuple[str, ...]:
    """Of a slide or a patient with these flags or notes. classed: whether there is a class or a category to doubt.

    What a negative slide does not exclude, class_doubts says; what a stage does not, a note.
    """
    doubts = (
        (LowerBy.JOINING, classed and any(code in codes for code in ONE_OR_SEVERAL)),
        *((words, code in codes) for code, words in OF_WHOLE_SLIDE.items()),
        ("smaller deposits not excluded", "detection_limit" in codes),
        ("earlier corrections left out", "review_aside" in codes),
        ("corrections may be of another file", "review_of_other_file" in codes),
        ("corrections may be of an earlier scan", "review_before_scan" in codes),
    )
    return tuple(words for words, holds in doubts if holds)


def _with_classes(report: SlideReport) -> str:
    """That it is uncertain what forms one deposit, with the two classes that it is between, where these are known."""
    codes, found = codes_of(report.flags), report.metastasis
    fewer = bool(codes & {"may_be_one_deposit", "joining_gap"})  # then there is a longer deposit
    more = "may_be_two_foci" in codes
    if fewer is more or "foci_joined" in codes:
        return LowerBy.JOINING
    if fewer and found is Metastasis.NONE:  # of specks, each too small to be a deposit
        return f"{LowerBy.JOINING}: negative or tumour"
    if fewer and found is Metastasis.ITC:
        return f"{LowerBy.JOINING}: {CLASS_WORDS[Metastasis.ITC].lower()} or more"
    ends = {
        (True, Metastasis.MICRO): (Metastasis.MICRO, Metastasis.MACRO),
        (False, Metastasis.MICRO): (Metastasis.ITC, Metastasis.MICRO),
        (False, Metastasis.MACRO): (Metastasis.MICRO, Metastasis.MACRO),
    }.get((fewer, found or Metastasis.NONE))
    return f"{LowerBy.JOINING}: {_either(*ends)}" if ends else LowerBy.JOINING


def _either(lowest: Metastasis, highest: Metastasis) -> str:
    return " or ".join(words.lower() for found, words in CLASS_WORDS.items() if lowest <= found <= highest)


def _of_failed(report: SlideReport) -> str:
    """Of a slide that is failed because too much of it was unread: what is known of the rest."""
    if report.status is not Status.FAILED or report.outcome is not Outcome.JUDGED:
        return ""
    if report.deposits or report.examined_fraction is None:
        return "too much could not be read"
    return f"nothing found in the {percent(report.examined_fraction)} that was examined"
