"""What a slide's class depends on: whether it is a lower bound, what may lower it, and which deposits may change it."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from enum import StrEnum
from typing import Final

from nodescan.domain.classification import ITC_LIMIT_UM, MICRO_LIMIT_UM, Metastasis, classify
from nodescan.domain.deposits import Deposit
from nodescan.domain.flags import Flag, codes_of
from nodescan.domain.lengths import millimetres, two_digits
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.verdict import class_range


class LowerBy(StrEnum):
    """Why a class may be lower than was found, in words."""

    SIZE = "borderline size"
    JOINING = "one deposit or several"
    CELLS = "number of cells"
    SCALE = "pixel size in doubt"
    FAULT = "a fault of the scan"
    UNLIKE = "tissue unlike the training tissue"


OF_WHOLE_SLIDE: Final[Mapping[str, LowerBy]] = {
    "nuclei_out_of_scale": LowerBy.SCALE,
    "scan_fault": LowerBy.FAULT,
    "unlike_training": LowerBy.UNLIKE,
}
"""Flags that put everything found on the slide in doubt, the most important first, each with its reason in words."""


def lower_by(report: SlideReport) -> tuple[LowerBy, ...]:
    """Why the class may be lower than was found, by one reason or by several together.

    Only the class that the sizes alone give, each at its shortest, is certain. A count of cells is an estimate.
    """
    found = report.metastasis or Metastasis.NONE
    by_size, with_cells = lowest_by_size(report.deposits), class_range(report.deposits)[0]
    reasons = {*sizes_doubted(codes_of(report.flags))}
    if by_size < found and not decided_by_cells(report):
        reasons.add(LowerBy.SIZE)
    if by_size < min(found, with_cells):
        reasons.add(LowerBy.CELLS)
    return tuple(reason for reason in LowerBy if reason in reasons)


def lowest_by_size(deposits: Sequence[Deposit]) -> Metastasis:
    """The class that sizes alone give, each at its shortest, and the classes that a reader gave."""
    return max(map(_lowest_by_size, deposits), default=Metastasis.NONE)


def _lowest_by_size(deposit: Deposit) -> Metastasis:
    if deposit.class_given:
        return deposit.metastasis
    return classify(deposit.shortest_um)


def sizes_doubted(codes: Set[str]) -> tuple[LowerBy, ...]:
    """Why a size may be wrong by more than its "±": the deposit may be shorter, several foci, or no tumour.

    codes: of the slide's flags.
    """
    parts = "may_be_two_foci" in codes or {"joining_gap", "foci_joined"} <= codes
    whole = (reason for code, reason in OF_WHOLE_SLIDE.items() if code in codes)
    return (*([LowerBy.JOINING] if parts else ()), *whole)


def bound_holds(report: SlideReport) -> bool:
    """Whether the class is a lower bound, and nothing may make it lower."""
    return report.class_at_least and not lower_by(report)


def size_bound_holds(report: SlideReport) -> bool:
    """Whether the largest size, within its uncertainty, is a lower bound."""
    return report.size_at_least and not sizes_doubted(codes_of(report.flags))


def failed_if_unread(report: SlideReport, most_percent: float) -> SlideReport:
    """The report, turned into a failure if more than most_percent of the tissue could not be read from the file.

    A failure has neither class nor score. Its deposits stay and the reason names the largest, because they may already
    be enough to act on.
    """
    unread = report.unread_fraction
    if unread is None or not unread > most_percent / 100:
        return report
    found = f"{_found(report)}, but " if report.deposits and not report.not_judged else ""
    reason = (
        f"{found}{two_digits(100 * unread)} % of the tissue could not be read from the file or was never scanned. That "
        f"is more than the {most_percent:g} % allowed (--max-unread), so the slide gets no class."
    )
    flags = (Flag("too_much_unread", reason), *report.flags)
    return replace(report, status=Status.FAILED, metastasis=None, at_least=False, tumour_probability=None, flags=flags)


def _found(report: SlideReport) -> str:
    least = "at least " if size_bound_holds(report) else ""
    largest = f"{least}{millimetres(report.deposits[0].diameter_um)} mm"
    if report.n_foci == 1:
        return f"A deposit of {largest} was found"
    return f"{report.n_foci} deposits were found, the largest {largest}"


def class_word(report: SlideReport) -> str:
    """The class in a few words.

    "at least micro" if it can't be lower, "micro as measured" if it may be lower or higher, "no class" if there is
    none.
    """
    if report.metastasis is None:
        return "no class"
    if not report.class_at_least:
        return report.metastasis.word
    word = report.metastasis.word
    return f"at least {word}" if bound_holds(report) else f"{word} as measured"


def decided_by_cells(report: SlideReport) -> bool:
    """Whether the class is above what any deposit's size gives."""
    return report.metastasis is Metastasis.MICRO and all(d.diameter_um <= ITC_LIMIT_UM for d in report.deposits)


def cut_and_open(report: SlideReport) -> tuple[Deposit, ...]:
    """Deposits that may go on in tissue that nobody examined, if that could raise the class."""
    if report.metastasis in (None, Metastasis.MACRO):
        return ()
    return tuple(deposit for deposit in report.deposits if deposit.cut_off)


def hanging_on_cells(report: SlideReport) -> tuple[Deposit, ...]:
    """Deposits whose cells make the slide's class, or might raise it."""
    if LowerBy.CELLS in lower_by(report):
        return tuple(deposit for deposit in report.deposits if deposit.raised_by_cells)
    if report.metastasis is Metastasis.ITC:
        return tuple(deposit for deposit in report.deposits if deposit.count_near_limit)
    return ()


def nearest_limit(deposit: Deposit) -> tuple[float, str, str]:
    """The limit nearest to its size and the classes on its two sides."""
    if abs(deposit.diameter_um - ITC_LIMIT_UM) < abs(deposit.diameter_um - MICRO_LIMIT_UM):
        return ITC_LIMIT_UM, "isolated tumour cells", "micrometastasis"
    return MICRO_LIMIT_UM, "micrometastasis", "macrometastasis"
