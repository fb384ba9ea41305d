"""What is planted, and planted beside found."""

from pathlib import Path

import numpy as np
import pytest

from nodescan.commands.demo import print_demo
from nodescan.demo import DemoResult, DemoSlide, Pair, demo_plans, paired
from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.domain.report import Status
from nodescan.domain.units import Micrometers, SquareMicrometers
from nodescan.phantoms import PlantedDeposit
from nodescan.phantoms.outlines import Shape


def planted(diameter_um: float, x_um: float) -> PlantedDeposit:
    return PlantedDeposit(Shape.ROUND, diameter_um, (x_um, 0.0), 1.0, 9, np.zeros((3, 2)))


def found(diameter_um: float, x_um: float) -> Deposit:
    return Deposit(
        id=1,
        diameter_um=Micrometers(diameter_um),
        diameter_uncertainty_um=Micrometers(1.0),
        endpoints_um=((0.0, 0.0), (diameter_um, 0.0)),
        area_um2=SquareMicrometers(1.0),
        centre_um=(x_um, 0.0),
        metastasis=Metastasis.ITC,
        outline=(),
    )


def test_demo_holds_every_class_and_a_pair() -> None:
    """The demo's plans cover the four classes by their largest diameter, with one pair among them."""
    largest = [max(plan.diameters_um, default=0.0) for plan in demo_plans()]
    assert any(size == 0 for size in largest)
    assert any(0 < size <= 200 for size in largest)
    assert any(200 < size <= 2000 for size in largest)
    assert any(size > 2000 for size in largest)
    assert any(Shape.PAIR in plan.shapes for plan in demo_plans())


def test_each_planted_deposit_meets_the_one_at_its_place() -> None:
    """Not the one of the nearest size."""
    pairs = paired([planted(150, 0), planted(300, 5000)], [found(160, 5010), found(290, 8)])
    assert pairs == (Pair(300, 160), Pair(150, 290))
    assert [pair.error_um for pair in pairs] == [-140, 140]


def test_speck_inside_is_not_the_deposit_around_it() -> None:
    """Of two found at the same place, the size decides."""
    pairs = paired([planted(900, 0)], [found(60, 5), found(930, 40)])
    assert pairs == (Pair(900, 930), Pair(None, 60))


def test_missed_and_invented_deposits_show() -> None:
    """What was planted and not found has no size, and what was found elsewhere is left over."""
    pairs = paired([planted(150, 0)], [found(80, 900)])
    assert pairs == (Pair(150, None), Pair(None, 80))
    assert pairs[0].error_um is None


def test_two_foci_found_as_one_leave_one_missed() -> None:
    """A found deposit answers for one planted one only."""
    pairs = paired([planted(300, 0), planted(300, 330)], [found(630, 165)])
    assert pairs == (Pair(300, 630), Pair(300, None))


def test_a_size_near_a_limit_is_shown_as_its_class_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    """200.4 um is a micrometastasis, and "200 um" beside it would be none."""
    pairs = (Pair(199.0, 200.4),)
    print_demo(DemoResult((DemoSlide("near", "itc", "micro", Status.COMPLETE, pairs, Path("report.html")),)))
    assert capsys.readouterr().out.splitlines()[1].split()[1:5] == ["0.20", "mm", "0.2004", "mm"]


@pytest.mark.parametrize("measured_um", [None, 310.0])
def test_a_deposit_without_a_size_is_explained(measured_um: float | None, capsys: pytest.CaptureFixture[str]) -> None:
    """A pair that ran together is one deposit of twice the size and one "not found", which looks like a fault."""
    pairs = (Pair(320, 658), Pair(320, measured_um))
    print_demo(DemoResult((DemoSlide("pair", "micro", "micro", Status.COMPLETE, pairs, Path("report.html")),)))
    assert ("so near (30 um) that they are measured as one" in capsys.readouterr().out) is (measured_um is None)
