"""What is planted, and planted beside found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nodescan import demo
from nodescan.cli import main
from nodescan.commands.demo import print_demo
from nodescan.demo import DemoSlide, Pair, demo_plans, paired
from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.domain.report import Status
from nodescan.domain.units import Micrometers, SquareMicrometers
from nodescan.errors import UsageError
from nodescan.phantoms import PlantedDeposit
from nodescan.phantoms.canvas import PhantomPlan
from nodescan.phantoms.outlines import Shape
from tests.fakes import paint_slide

SMALL = PhantomPlan("negative", (), (), 1.0, 11)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo of one phantom, a quarter as large; the command is stopped before it scans."""

    def stopped(*_: object) -> None:
        raise UsageError("the phantoms are made")

    monkeypatch.setattr(demo, "demo_plans", lambda: (SMALL,))
    monkeypatch.setattr(demo, "run_batch", stopped)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


@pytest.mark.parametrize(
    ("size_um", "x_um", "other_x_um", "shape", "gap_um"),
    [
        (658, 175, 350, Shape.PAIR, 30),
        (658, 175, 350, Shape.ROUND, None),
        (658, 0, 350, Shape.PAIR, None),
        (340, 175, 350, Shape.PAIR, None),
        (740, 220, 440, Shape.PAIR, None),
    ],
)
def test_two_foci_measured_as_one_are_no_error_of_size(
    size_um: float, x_um: float, other_x_um: float, shape: Shape, gap_um: float | None
) -> None:
    """Two of 320 um, 30 um apart; not if the deposit lies on one of them, is as short, or if they lie farther apart."""
    foci = [replace(planted(320, x), shape=shape) for x in (0, other_x_um)]
    pairs = paired(foci, [found(size_um, x_um)])
    assert sorted((pair.measured_um or 0, pair.gap_um) for pair in pairs)[1] == (size_um, gap_um)
    assert [pair.error_um for pair in pairs if pair.measured_um] == [None if gap_um else size_um - 320]


def test_the_table_says_that_two_foci_were_measured_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    """An error of +338 um at 0.32 mm would look like a fault of the measurement."""
    pairs = (Pair(320, 658, 30.0), Pair(320))
    print_demo((DemoSlide("pair", "micro", "micro", Status.COMPLETE, pairs, Path("report.html")),))
    row = capsys.readouterr().out.splitlines()[1]
    assert "0.66 mm    two foci 30 um apart, measured as one" in row
    assert "338" not in row


def test_a_size_near_a_limit_is_shown_as_its_class_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    """200.4 um is a micrometastasis, and "200 um" beside it would be none."""
    pairs = (Pair(199.0, 200.4),)
    print_demo((DemoSlide("near", "itc", "micro", Status.COMPLETE, pairs, Path("report.html")),))
    assert capsys.readouterr().out.splitlines()[1].split()[1:5] == ["0.20", "mm", "0.2004", "mm"]


@pytest.mark.parametrize("measured_um", [None, 310.0])
def test_a_deposit_without_a_size_is_explained(measured_um: float | None, capsys: pytest.CaptureFixture[str]) -> None:
    """A pair that ran together is one deposit of twice the size and one "not found", which looks like a fault."""
    pairs = (Pair(320, 658), Pair(320, measured_um))
    print_demo((DemoSlide("pair", "micro", "micro", Status.COMPLETE, pairs, Path("report.html")),))
    assert ("measured as one with a focus only 30 um away" in capsys.readouterr().out) is (measured_um is None)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["negative.tif", "negative.truth.json"])
@pytest.mark.parametrize("whose", ["a slide", "no slide"])
def test_a_users_slide_is_not_replaced_by_a_phantom(
    tmp_path: Path, name: str, whose: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is made where one of the names is taken by what isn't a phantom, or its truth."""
    (tmp_path / "slides").mkdir()
    mine = tmp_path / "slides" / name
    mine.write_text("mine")
    if whose == "a slide":
        paint_slide(mine.with_suffix(".tif")).rename(mine)
    before = content(tmp_path)
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert content(tmp_path) == before
    assert f"{name}: is there, and nodescan didn't write it" in capsys.readouterr().err


@pytest.mark.usefixtures("small")
def test_a_demo_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a whole one, after one that was stopped between truth and slide, but not over a phantom without truth."""

    def made_anew() -> None:
        main(["demo", "--out", str(tmp_path)])
        assert "the phantoms are made" in capsys.readouterr().err
        assert sorted(content(tmp_path)) == ["negative.tif", "negative.truth.json"]

    made_anew()
    slide = tmp_path / "slides" / "negative.tif"
    drawn = slide.read_bytes()
    monkeypatch.setattr(demo, "make_phantom", lambda path, _: path.write_bytes(drawn))  # it would take seconds again
    made_anew()
    slide.unlink()
    made_anew()
    (tmp_path / "slides" / "negative.truth.json").unlink()
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert "negative.tif: is there" in capsys.readouterr().err


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("linked", ["slides", "slides/negative.tif"])
def test_a_demo_writes_through_no_link(tmp_path: Path, linked: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither into a folder elsewhere, nor in the place of a link to a slide that is away."""
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "out" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / ("elsewhere" if linked == "slides" else "away.tif"))
    assert main(["demo", "--out", str(tmp_path / "out")]) == 2
    assert content(tmp_path) == {}
    assert link.is_symlink()
    assert linked in capsys.readouterr().err
