"""Composites are handed to evaluation whole, and seeds are read as a range."""

import json
from pathlib import Path

import pytest

from nodescan.domain.classification import Metastasis
from nodescan.errors import UsageError
from nodescan.evaluation.reference import read_reference
from training.composites import known_composite, linked
from training.known_slides import KnownSlide
from training.telling import seed_range


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
