"""The tissue that a model was taught is measured on patches, and named on its card."""

import shutil
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodescan.errors import UsageError
from nodescan.inference.card import find_model, load_card
from nodescan.inference.known_tissue import KNOWN_FILE, known_tissue
from training.patches.phantom_tiles import phantom_tile
from training.tuning import tissue
from training.tuning.tissue import write_known_tissue


def patches(file: Path, count: int, *, grey: int, glass: int = 0) -> Path:
    """A zip of patches in the folders that read_patches knows: grained ones about `grey`, and `glass` of white."""
    generator = np.random.default_rng(grey)
    with zipfile.ZipFile(file, "w") as made:
        for number in range(count + glass):
            grains = generator.integers(grey - 30, grey + 30, (24, 24, 3), dtype=np.uint8)
            pixels = (
                np.asarray(Image.fromarray(grains).resize((96, 96))) if number < count else np.full((96, 96, 3), 250)
            )
            held = BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(held, "PNG")
            made.writestr(f"{('normal', 'tumor')[number % 2]}/{number}.png", held.getvalue())
    return file


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find_model(None), tmp_path / "model"))


def test_fields_like_the_patches_are_known_and_others_are_not(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tissue, "_FEWEST", 100)
    monkeypatch.setattr(tissue, "_PHANTOMS", 80)
    before = load_card(model)
    said = write_known_tissue(
        model, [patches(tmp_path / "a.zip", 120, grey=100, glass=30)], patches(tmp_path / "b.zip", 100, grey=101)
    )
    assert said.startswith("120 stained training patches, ")
    assert "5 % of 100 validation patches look unlike the first" in said
    card, known = load_card(model), known_tissue(model)
    assert card.known_tissue is not None
    assert card.known_tissue.measured_on == said
    assert known is not None
    dark, like = np.full((20, 96, 96, 3), 20, np.uint8), np.random.default_rng(5).integers(70, 130, (20, 24, 24, 3))
    large = np.stack([np.asarray(Image.fromarray(one.astype(np.uint8)).resize((96, 96))) for one in like])
    assert known.unlike(dark).all()
    assert known.unlike(large).mean() < 0.3
    drawn = np.stack([phantom_tile(96, 0.95, np.random.default_rng(seed))[0] for seed in range(20)])
    assert known.unlike(drawn).mean() < 0.2
    # it is another model to whoever keeps reports, and neither its thresholds nor its answers are others
    assert card.sha256() != before.sha256()
    assert (card.untuned, card.network_sha256()) == (None, before.network_sha256())


def test_too_few_stained_patches_are_refused_and_the_model_stays_as_it_was(model: Path, tmp_path: Path) -> None:
    before = (model / "card.yaml").read_bytes(), (model / KNOWN_FILE).read_bytes()
    few = patches(tmp_path / "few.zip", 20, grey=100)
    with pytest.raises(UsageError, match=r"few\.zip: 20 stained patches are too few"):
        write_known_tissue(model, [few], few)
    assert ((model / "card.yaml").read_bytes(), (model / KNOWN_FILE).read_bytes()) == before
