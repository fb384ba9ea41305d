"""A class is called a lower bound only where nothing that was measured or counted may make it lower."""

from dataclasses import replace

import pytest

from nodescan.domain.class_bounds import LowerBy, lower_by, lowest_by_size
from nodescan.domain.classification import CellCount, Metastasis, classify
from nodescan.domain.deposits import Deposit
from nodescan.domain.report import Status
from nodescan.domain.units import Micrometers
from nodescan.domain.verdict import class_found
from tests.patients.made_reports import disc, report


def deposit(number: int, size_um: float, unsure_um: float, cells: CellCount | None = None) -> Deposit:
    """A disc of this size and count."""
    made = disc(number, size_um, (3000.0 * number, 3000.0))
    found = classify(Micrometers(size_um), cells=cells)
    return replace(made, diameter_uncertainty_um=Micrometers(unsure_um), cells=cells, metastasis=found)


MANY = CellCount(300, 60)


@pytest.mark.parametrize(
    ("deposits", "reasons"),
    [
        ((deposit(1, 300.0, 30.0),), ()),
        ((deposit(1, 210.0, 30.0),), (LowerBy.SIZE,)),
        ((deposit(1, 150.0, 4.0, MANY),), (LowerBy.CELLS,)),
        ((deposit(1, 210.0, 30.0, MANY),), (LowerBy.SIZE, LowerBy.CELLS)),
        ((deposit(1, 210.0, 30.0), deposit(2, 150.0, 4.0, MANY)), (LowerBy.SIZE, LowerBy.CELLS)),
        ((deposit(1, 300.0, 30.0), deposit(2, 150.0, 4.0, MANY)), ()),
        ((deposit(1, 2010.0, 30.0), deposit(2, 150.0, 4.0, MANY)), (LowerBy.SIZE,)),
    ],
)
def test_what_may_make_a_class_lower(deposits: tuple[Deposit, ...], reasons: tuple[LowerBy, ...]) -> None:
    """Sizes at their shortest, and a count that alone keeps the class where they are so short."""
    made = replace(report("a", (300.0,), status=Status.INCOMPLETE), deposits=deposits, metastasis=class_found(deposits))
    assert lower_by(made) == reasons


def test_a_class_that_a_reader_gave_hangs_on_no_size() -> None:
    """0.15 mm, called a micrometastasis."""
    given = replace(deposit(1, 150.0, 30.0), metastasis=Metastasis.MICRO, class_given=True)
    assert lowest_by_size([given]) is Metastasis.MICRO
