"""The lesion task's isolated tumour cells by exact size, however coarse a slide's level 0 is."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from nodescan.evaluation.compare import compare
from nodescan.evaluation.figures import figures
from nodescan.evaluation.froc import FrocMode
from nodescan.evaluation.reference import read_reference
from nodescan.evaluation.slide_results import subjects_of_challenge

COARSE_UM = 0.972
"""Of level 0, as an overview's: a pixel of the lesion task is 31 um."""


def ellipse(centre_um: tuple[float, float], long_um: float, wide_um: float) -> list[list[float]]:
    """The outline of an ellipse at a slant."""
    turn, slant = np.arange(128) * (2 * math.pi / 128), 0.4
    x, y = long_um / 2 * np.cos(turn), wide_um / 2 * np.sin(turn)
    turned = np.column_stack((x * math.cos(slant) - y * math.sin(slant), x * math.sin(slant) + y * math.cos(slant)))
    return (turned + centre_um).tolist()


def lesions_scored(folder: Path, outlines: list[list[list[float]]], *, kind: str) -> int:
    """How many lesions of one slide the lesion task counts, from outlines in um."""
    reference, csvs = folder / "reference", folder / "csv"
    reference.mkdir()
    csvs.mkdir()
    (csvs / "s1.csv").write_text("0.9,3000,3000\n")
    if kind == "truth":
        deposits = [
            {"outline_um": ring, "diameter_um": max(math.dist(a, b) for a in ring for b in ring)} for ring in outlines
        ]
        content = {"um_per_px": COARSE_UM, "label": "micro", "deposits": deposits}
        (reference / "s1.truth.json").write_text(json.dumps(content))
    else:
        polygons = [{"type": "Polygon", "coordinates": [np.divide([*r, r[0]], COARSE_UM).tolist()]} for r in outlines]
        features = [{"type": "Feature", "properties": {}, "geometry": each} for each in polygons]
        (reference / "s1.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    subjects, truth = subjects_of_challenge(csvs), read_reference(reference)
    found = compare(subjects, truth, FrocMode.EVERY_SLIDE, as_submitted=False, mpp_um=COARSE_UM)
    task = figures(found).lesion_task
    return 0 if task is None else task.n_lesions


@pytest.mark.parametrize("kind", ["truth", "outlines"])
@pytest.mark.parametrize(("long_um", "counted"), [(190.0, 0), (199.9, 0), (200.2, 1), (215.0, 1), (240.0, 1)])
@pytest.mark.parametrize("shape", [1.0, 0.4])
def test_a_lesion_counts_from_its_exact_size_on(
    tmp_path: Path, kind: str, long_um: float, counted: int, shape: float
) -> None:
    """0.2 mm, round or thin; by its pixels of 31 um one of 240 um may count as isolated tumour cells."""
    ring = ellipse((800.0, 800.0), long_um, long_um * shape)
    assert lesions_scored(tmp_path, [ring], kind=kind) == counted


@pytest.mark.parametrize(("gap_um", "counted"), [(30.0, 1), (160.0, 0)])
def test_outlines_that_are_one_lesion_have_one_size(tmp_path: Path, gap_um: float, counted: int) -> None:
    """Two of 150 um are one lesion above 0.2 mm where the growth closes the gap between them, else two too small."""
    apart = 150.0 + gap_um
    rings = [ellipse((800.0 + apart * side, 800.0), 150.0, 150.0) for side in (0, 1)]
    assert lesions_scored(tmp_path, rings, kind="outlines") == counted


@pytest.mark.parametrize(("long_um", "counted"), [(200.0, 0), (200.04, 1)])
def test_a_planted_size_is_the_stated_one(tmp_path: Path, long_um: float, counted: int) -> None:
    """Its outline is rounded: 200 um are not above 0.2 mm, and the next size is."""
    ring = np.round(ellipse((800.0, 800.0), long_um, 120.0), 6).tolist()
    assert lesions_scored(tmp_path, [ring], kind="truth") == counted
