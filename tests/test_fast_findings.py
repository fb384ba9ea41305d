"""The fast way through the released network finds what float32 does: whole slides, from the file to what is said."""

from pathlib import Path

import pytest

from nodescan.batch.progress import Viewer
from nodescan.config import load_config
from nodescan.domain.report import SlideResult
from nodescan.domain.slide import SlideRef
from nodescan.inference.card import find_model
from nodescan.inference.slots import open_in_slot
from nodescan.interfaces import TilePredictor
from nodescan.phantoms import make_phantom
from nodescan.phantoms.canvas import PhantomPlan
from nodescan.phantoms.outlines import Shape
from nodescan.scan import ScanTools, scan_slide
from nodescan.slides import open_slide

PLANS = (
    PhantomPlan("limits", (190.0, 210.0, 260.0), (Shape.ROUND, Shape.ROUND, Shape.ELONGATED), 0.5, 11),
    PhantomPlan("nothing", (), (), 0.5, 13),
)


@pytest.fixture(scope="module")
def fast() -> TilePredictor:
    """As a run on a CPU opens the model."""
    opened, _ = open_in_slot(find_model(None), device="cpu", slot=0)
    if opened.precision == "float32":
        pytest.skip("this processor, or what is installed, has no faster way than float32")
    return opened


@pytest.fixture(scope="module")
def reference() -> TilePredictor:
    return open_in_slot(find_model(None), device="cpu", slot=0, precision="float32")[0]


def said(path: Path, predictor: TilePredictor) -> SlideResult:
    settings = load_config().settings
    ref = SlideRef(path.stem, path)
    return scan_slide(ref, ScanTools(open_slide, predictor, settings), progress=Viewer())


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_the_fast_way_finds_what_float32_does(
    plan: PhantomPlan, tmp_path: Path, fast: TilePredictor, reference: TilePredictor
) -> None:
    """Status, class, flags, and each deposit's size to 1 um."""
    path = tmp_path / "phantom.tif"
    make_phantom(path, plan)
    result = said(path, fast)
    found, true = result.report, said(path, reference).report
    assert result.precision != "float32"
    assert (found.status, found.metastasis, found.at_least) == (true.status, true.metastasis, true.at_least)
    assert [flag.code for flag in found.flags] == [flag.code for flag in true.flags]
    assert bool(true.deposits) == bool(plan.diameters_um)
    assert [one.metastasis for one in found.deposits] == [one.metastasis for one in true.deposits]
    for one, other in zip(found.deposits, true.deposits, strict=True):
        assert one.diameter_um == pytest.approx(other.diameter_um, abs=1)
        assert one.centre_um == pytest.approx(other.centre_um, abs=2)
