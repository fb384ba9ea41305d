"""What the released model finds on one phantom slide, kept: a change that alters a finding can't go unnoticed."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nodescan.batch.progress import Viewer
from nodescan.config import load_config
from nodescan.domain.report import RESULT_VERSION
from nodescan.domain.slide import SlideRef
from nodescan.inference.card import find_model
from nodescan.inference.known_tissue import known_tissue
from nodescan.inference.predictor import open_predictor
from nodescan.phantoms import make_phantom
from nodescan.phantoms.canvas import PhantomPlan
from nodescan.phantoms.outlines import Shape
from nodescan.scan import ScanTools, scan_slide
from nodescan.slides import open_slide

KEPT = Path(__file__).parent / "phantom.json"
PLAN = PhantomPlan("phantom", (150.0, 250.0, 600.0), (Shape.ROUND, Shape.ELONGATED, Shape.CRESCENT), 0.5, 7)
HOW = "python -m tests.golden: the released model in float32 on the phantom of tests/golden/__init__.py"


def findings(folder: Path) -> dict[str, Any]:
    """The phantom's slide, made in `folder` and scanned, in the words and numbers of report.json."""
    path = folder / "phantom.tif"
    make_phantom(path, PLAN)
    predictor = open_predictor(find_model(None), device="cpu", precision="float32")
    ref, settings = SlideRef("phantom", path), load_config(None).settings
    tools = ScanTools(open_slide, predictor, settings, known_tissue(find_model(None)))
    report = scan_slide(ref, tools, progress=Viewer()).report
    assert report.model is not None
    assert report.metastasis is not None
    return {
        "how": HOW,
        "made_with": {name: version(name) for name in ("numpy", "scikit-image", "scipy", "shapely", "torch")},
        "result_version": RESULT_VERSION,
        "card_sha256": report.model.card_sha256,
        "metastasis": report.metastasis.word,
        "tissue_area_mm2": report.tissue_area_mm2,
        "tumour_probability": report.tumour_probability,
        "flags": [flag.code for flag in report.flags],
        "deposits": [
            {
                "diameter_um": deposit.diameter_um,
                "diameter_uncertainty_um": deposit.diameter_uncertainty_um,
                "area_um2": deposit.area_um2,
                "centre_um": list(deposit.centre_um),
                "class": deposit.metastasis.word,
                "cell_count": deposit.cells and deposit.cells.number,
            }
            for deposit in report.deposits
        ],
    }


def kept() -> dict[str, Any]:
    """As they were when the result version was last counted up."""
    return json.loads(KEPT.read_text(encoding="utf-8"))
