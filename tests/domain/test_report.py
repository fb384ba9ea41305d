"""What a slide's deposits and numbers rest on."""

from dataclasses import replace

import pytest

from nodescan.domain.flags import FLAGS, NOT_JUDGED, STOPS_COMPLETE, Flag
from nodescan.domain.report import Outcome, Status
from tests.reports.factory import VARIANTS

ENDS = {
    "failed": Outcome.NOT_READ,
    "unmeasurable": Outcome.NOT_READ,
    "no_tissue": Outcome.NO_TISSUE,
    "not_he": Outcome.NOT_JUDGED,
    "nothing_examined": Outcome.NOTHING_EXAMINED,
    "incomplete_nothing": Outcome.JUDGED,
    "negative": Outcome.JUDGED,
    "macro": Outcome.JUDGED,
}


@pytest.mark.parametrize(("variant", "outcome"), ENDS.items())
def test_a_slide_has_one_outcome(variant: str, outcome: Outcome) -> None:
    """Each way that a slide can end has its own."""
    assert VARIANTS[variant]().report.outcome is outcome


def test_the_first_outcome_that_holds_stands() -> None:
    """A slide of another stain stays one where all of it is blurred; a slide that failed unseen is only that."""
    unseen = VARIANTS["nothing_examined"]().report
    stained = replace(unseen, flags=(Flag("not_he", "The stain is not H&E."), *unseen.flags))
    assert stained.outcome is Outcome.NOT_JUDGED
    assert not stained.looked_at
    assert replace(stained, status=Status.FAILED).outcome is Outcome.NOT_READ
    assert replace(stained, status=Status.FAILED, examined_fraction=0.4).outcome is Outcome.NOT_JUDGED


@pytest.mark.parametrize("variant", ["negative", "macro"])
def test_a_report_is_complete_or_has_a_flag_that_stops_it(variant: str) -> None:
    """Never both: a page would say "negative" beside the reason why it can't be known."""
    assert NOT_JUDGED <= STOPS_COMPLETE
    complete = VARIANTS[variant]().report
    for code in FLAGS:
        flagged = (Flag(code, "Scan the slide again."),)
        if code in STOPS_COMPLETE:
            with pytest.raises(ValueError, match=f"no slide with {code} is complete"):
                replace(complete, flags=flagged)
        else:
            assert replace(complete, flags=flagged).status is Status.COMPLETE
