"""The flags as a slide's page lists them."""

from nodescan.domain.flags import DOUBTS, REASONS, Flag
from nodescan.domain.report import Outcome, SlideReport, Status
from nodescan.reports.first_look import told_whole
from nodescan.reports.web_page import Fact
from nodescan.reports.wording import flag_title, without_paths

_WITHOUT_EFFECT = frozenset({"size_near_limit", "size_may_span_foci", "size_may_be_of_part"})
"""Of deposits whose sizes leave the class as it is."""


def flags(report: SlideReport) -> tuple[Fact, ...]:
    """Title and sentence of each flag: why the slide is incomplete, then what its class hangs on, then the rest.

    Not those that stand above already: as the reason under the headline, or whole under “Look here first”.
    """
    listed = [flag for flag in _not_told(report) if flag.code not in _WITHOUT_EFFECT]
    listed.sort(key=lambda flag: _rank(flag.code))
    return tuple(Fact(flag_title(flag.code), without_paths(flag.message, report)) for flag in listed)


def flags_without_effect(report: SlideReport) -> str:
    """The sentences of the flags that can't change the class, and that they can't; "" where there are none.

    Of a slide without a class they tell of the deposits alone.
    """
    said = [flag.message for flag in _not_told(report) if flag.code in _WITHOUT_EFFECT]
    if report.metastasis is None:
        said = list(map(_without_class, said))
    lead = "Of the deposits found" if report.metastasis is None else "Without an effect on the class"
    return f"{lead}: {' '.join(said)}" if said else ""


def _without_class(message: str) -> str:
    """The message less the sentence that says that the class stays the same."""
    kept = [said for said in message.rstrip(".").split(". ") if "slide's class" not in said]
    return f"{'. '.join(kept)}."


def _not_told(report: SlideReport) -> tuple[Flag, ...]:
    if report.outcome is Outcome.NOT_READ:
        return ()
    said = report.flags[1:] if report.status is Status.FAILED else report.flags
    told = {"small_pale_area"} if report.not_judged else told_whole(report)  # no area of it was looked at for tumour
    return tuple(flag for flag in said if flag.code not in told)


def _rank(code: str) -> int:
    if code in REASONS:
        return -1
    return DOUBTS.index(code) if code in DOUBTS else len(DOUBTS)
