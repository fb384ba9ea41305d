"""Definitions of a slide's tumour probability are compared fairly, and composites are handed to evaluation whole."""

import json
from pathlib import Path

import numpy as np
import pytest

from nodescan.config import load_config
from nodescan.domain.classification import Metastasis
from nodescan.domain.decision import DecisionRule
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Spacing
from nodescan.errors import UsageError
from nodescan.evaluation.reference import read_reference
from nodescan.imaging.detections import find_detections
from training.composites import known_composite, linked
from training.known_slides import KnownSlide
from training.slide_scores import DEFINITIONS, compare_definitions
from training.telling import seed_range

RULE = DecisionRule(16.0, 0.5, 0.5, (), 0.0)
SETTINGS = load_config(None).settings.segmentation


def slide(background: float, *, deposit: bool = False, speck: bool = False) -> ProbabilityMap:
    """A map of 15.6 um cells; a deposit is 12 x 12 cells of 0.9, a speck a single cell of 0.99."""
    values = np.full((64, 64), background, np.float32)
    if deposit:
        values[20:32, 20:32] = 0.9
    if speck:
        values[50, 50] = 0.99
    return ProbabilityMap(values, np.ones((64, 64), bool), Spacing.square(15.6))


def test_a_speck_deceives_the_highest_cell_alone() -> None:
    """Two slides with deposits, two normal ones with one hot cell each: smoothing tells them apart."""
    maps = [slide(0.05, deposit=True), slide(0.1, deposit=True), slide(0.05, speck=True), slide(0.1, speck=True)]
    found = {s.name: s for s in compare_definitions(maps, np.array([True, True, False, False]), RULE, SETTINGS)}
    assert set(found) == set(DEFINITIONS)
    assert found["highest cell"].auc.value == 0.0
    for name in ("likeliest detection (reported)", "highest cell, 64 um smoothing", "mean of the largest deposit"):
        assert found[name].auc.value == 1.0
        assert found[name].separation > 0


def test_the_reported_definition_is_the_scans_own() -> None:
    """The score that nodescan run writes is the first of its detections."""
    map_ = slide(0.05, deposit=True)
    score = DEFINITIONS["likeliest detection (reported)"](map_, RULE, SETTINGS)
    expected = find_detections(map_, load_config(None).settings.detections)
    assert score == expected[0].confidence == pytest.approx(0.85, abs=0.04)
    assert DEFINITIONS["likeliest detection (reported)"](slide(0.01), RULE, SETTINGS) == 0.0


def test_slides_of_one_kind_can_t_be_told_apart() -> None:
    """Said, not a NaN."""
    with pytest.raises(UsageError, match="all tumour or all normal"):
        compare_definitions([slide(0.1)], np.array([False]), RULE, SETTINGS)


def composite(folder: Path, seed: int, sizes_um: tuple[float, ...]) -> KnownSlide:
    path = folder / f"valid-half2-{seed}.tif"
    folder.mkdir(exist_ok=True)
    path.write_bytes(b"slide")
    deposits = [{"centre_um": [3000.0, 3000.0], "diameter_um": size} for size in sizes_um]
    label = "micro" if sizes_um else "negative"
    truth = {"slide": path.stem, "um_per_px": 0.486, "label": label, "deposits": deposits}
    path.with_suffix(".truth.json").write_text(json.dumps(truth))
    return known_composite(path)


def test_linked_composites_are_a_reference_for_nodescan_evaluate(tmp_path: Path) -> None:
    """The folder holds the slides and their truth alone; a second set beside them would count as not run."""
    made = [composite(tmp_path / "work", 101, (500.0,)), composite(tmp_path / "work", 104, ())]
    for _ in range(2):
        linked(made, tmp_path / "set")
    reference = read_reference(tmp_path / "set")
    assert {name: found.label for name, found in reference.slides.items()} == {
        "valid-half2-101": Metastasis.MICRO,
        "valid-half2-104": Metastasis.NONE,
    }
    assert len(list((tmp_path / "set").iterdir())) == 4
    with pytest.raises(UsageError, match=r"holds valid-half2-101\.truth\.json of another set"):
        linked(made[1:], tmp_path / "set")


def test_a_range_of_seeds() -> None:
    """Both ends count; one number is a range; anything else is named."""
    assert (list(seed_range("3-5")), list(seed_range("7"))) == ([3, 4, 5], [7])
    with pytest.raises(UsageError, match="--seeds 'x'"):
        seed_range("x")
