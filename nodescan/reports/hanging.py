"""What a slide's class hangs on: which deposits, and whether their sizes, their ends or their cells."""

from nodescan.domain.bounds import LowerBy, lower_by
from nodescan.domain.classification import ITC_LIMIT_UM, MICRO_LIMIT_UM, Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.domain.report import SlideReport


def cut_and_open(report: SlideReport) -> tuple[Deposit, ...]:
    """Deposits that go on where nobody looked, where that could raise the class."""
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
