"""What may be said of a slide follows from the largest deposit and from what was examined."""

from dataclasses import replace

import numpy as np
import pytest

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.deposits import Deposit, Polygon
from nodescan.domain.report import Status
from nodescan.domain.units import Micrometers, SquareMicrometers
from nodescan.domain.verdict import Verdict, conclude, deposit_flags


def deposit(diameter_um: float, *, uncertainty_um: float = 5, cells: int | None = None, number: int = 1) -> Deposit:
    return Deposit(
        id=number,
        diameter_um=Micrometers(diameter_um),
        diameter_uncertainty_um=Micrometers(uncertainty_um),
        endpoints_um=((0, 0), (diameter_um, 0)),
        area_um2=SquareMicrometers(1),
        centre_um=(0, 0),
        metastasis=classify(Micrometers(diameter_um), cells=cells),
        outline=(Polygon(np.zeros((3, 2))),),
        cells=cells,
    )


def codes(*deposits: Deposit) -> set[str]:
    return {flag.code for flag in deposit_flags(deposits)}


@pytest.mark.parametrize(
    ("deposits", "examined", "expected"),
    [
        ((), True, Verdict(Status.COMPLETE, Metastasis.NONE, False)),
        ((), False, Verdict(Status.INCOMPLETE, None, False)),
        ((deposit(900), deposit(700)), True, Verdict(Status.COMPLETE, Metastasis.MICRO, False)),
        ((deposit(900),), False, Verdict(Status.INCOMPLETE, Metastasis.MICRO, True)),
        ((deposit(1200), deposit(1200)), True, Verdict(Status.COMPLETE, Metastasis.MICRO, False)),
    ],
)
def test_the_largest_deposit_decides(deposits: tuple[Deposit, ...], examined: bool, expected: Verdict) -> None:
    """Sizes are never added, and with tissue unread the class is a lower bound or none at all."""
    assert conclude(deposits, tissue_found=True, all_examined=examined, classifiable=True) == expected


@pytest.mark.parametrize(("tissue", "classifiable"), [(False, True), (True, False)])
def test_no_tissue_or_an_unknown_stain_gives_no_class(tissue: bool, classifiable: bool) -> None:
    """Whatever was found there, it isn't judged."""
    verdict = conclude((deposit(900),), tissue_found=tissue, all_examined=True, classifiable=classifiable)
    assert verdict == Verdict(Status.INCOMPLETE, None, False)


def test_a_size_near_a_limit_is_borderline() -> None:
    """198 +- 5 um may be above 0.2 mm, 150 +- 5 um may not."""
    assert "borderline" in codes(deposit(198))
    assert "borderline" not in codes(deposit(150))


def test_a_small_deposit_that_cells_could_raise_is_up_for_review() -> None:
    """From 0.1 mm on, or with many foci, a count could make a micrometastasis of ITC."""
    assert codes(deposit(120)) == {"cell_count_review"}
    assert codes(deposit(60)) == {"cell_count_not_assessed"}
    assert codes(*[replace(deposit(40), id=n) for n in range(1, 6)]) == {"cell_count_review"}
    assert codes(deposit(120), deposit(900)) == {"cell_count_not_assessed"}
    assert codes(deposit(120, cells=150)) == set()
