"""From deposits and what was examined to what may be said of the slide: status, class, and what to know."""

from collections.abc import Sequence
from dataclasses import dataclass

from nodescan.domain.classification import ITC_LIMIT_UM, Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.domain.report import Flag, Status

REVIEW_ITC_UM = 100.0
"""From here up to 0.2 mm a count of the cells could raise ITC to a micrometastasis (clinical-rules 1)."""

MANY_FOCI = 5
"""So many foci of ITC size may be one dispersed pattern of more than 200 cells (clinical-rules 1, 3, inferred)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """at_least: the class is a lower bound, because some tissue was not examined."""

    status: Status
    metastasis: Metastasis | None
    at_least: bool


def conclude(deposits: Sequence[Deposit], *, tissue_found: bool, all_examined: bool, classifiable: bool) -> Verdict:
    """The slide's status and class: the largest class of any deposit decides, sizes are never added (clinical-rules 2).

    Any unexamined tissue makes the slide incomplete and its class a lower bound; with nothing found there is no
    class, never "negative". classifiable: False for what the network can't judge (not H&E, constant output).
    """
    worst = max((deposit.metastasis for deposit in deposits), default=Metastasis.NONE)
    if not tissue_found or not classifiable:
        return Verdict(Status.INCOMPLETE, None, False)
    if all_examined:
        return Verdict(Status.COMPLETE, worst, False)
    found = worst is not Metastasis.NONE
    return Verdict(Status.INCOMPLETE, worst if found else None, found)


def deposit_flags(deposits: Sequence[Deposit]) -> tuple[Flag, ...]:
    """What a reader must know of the deposits: sizes near a limit, cells that were not counted."""
    return (*_borderline_flags(deposits), *_cell_count_flags(deposits))


def _borderline_flags(deposits: Sequence[Deposit]) -> list[Flag]:
    near = [deposit for deposit in deposits if deposit.borderline]
    if not near:
        return []
    worst = max(deposits, key=lambda deposit: deposit.diameter_um)
    names = ", ".join(
        f"no. {deposit.id} ({deposit.diameter_um:.0f} +- {deposit.diameter_uncertainty_um:.0f} um)"
        for deposit in near[:5]
    )
    more = f" and {len(near) - 5} more" if len(near) > 5 else ""
    decides = " The largest deposit is among them, so the slide's class may change." if worst.borderline else ""
    return [Flag("borderline", f"Size within its uncertainty of a limit between classes: {names}{more}.{decides}")]


def _cell_count_flags(deposits: Sequence[Deposit]) -> list[Flag]:
    small = [deposit for deposit in deposits if deposit.metastasis is Metastasis.ITC and deposit.cells is None]
    if not small:
        return []
    largest = max(deposit.diameter_um for deposit in small)
    decisive = all(deposit.metastasis <= Metastasis.ITC for deposit in deposits)
    if decisive and (largest >= REVIEW_ITC_UM or len(small) >= MANY_FOCI):
        text = (
            f"Cell count not assessed: more than 200 tumour cells would make a micrometastasis of what measures "
            f"{ITC_LIMIT_UM / 1000:g} mm or less; review {len(small)} small deposit(s), the largest {largest:.0f} um."
        )
        return [Flag("cell_count_review", text)]
    return [Flag("cell_count_not_assessed", "Cell count not assessed: small deposits are classed by size alone.")]
