"""What tissue a model was taught is known from its first layers, and told only of the files that its card names."""

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

from nodescan.errors import ModelError
from nodescan.inference.card import checked_weights, find_model, load_card, save_card
from nodescan.inference.known_tissue import (
    KNOWN_FILE,
    MeasuredTissue,
    Textures,
    is_stained,
    known_tissue,
    measured_kind,
)
from nodescan.inference.predictor import load_network


def fields(count: int, *, seed: int, low: int = 40, high: int = 220) -> NDArray[np.uint8]:
    """Pink fields with grains of 2 to 12 px, uint8 (count, 96, 96, 3)."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(count):
        side = 48 // (1 + number % 6)
        grains = generator.integers(low, high, (side, side, 3), dtype=np.uint8)
        made.append(np.asarray(Image.fromarray(grains).resize((96, 96), Image.Resampling.BICUBIC)))
    return np.stack(made)


@pytest.fixture(scope="module")
def textures() -> Textures:
    folder = find_model(None)
    return Textures(load_card(folder), checked_weights(load_card(folder), folder))


def test_textures_are_means_and_deviations_of_the_networks_own_features(textures: Textures) -> None:
    folder = find_model(None)
    card = load_card(folder)
    net = load_network(card, folder)
    seen: list[torch.Tensor] = []
    net.get_submodule("middle").register_forward_hook(lambda _net, _fed, made: seen.append(made))
    pictures = fields(11, seed=1)
    with torch.inference_mode():
        fed = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
        net((fed - torch.tensor(card.mean).view(1, 3, 1, 1)) / torch.tensor(card.std).view(1, 3, 1, 1))
    features = seen[0].unflatten(1, (-1, 8)).mean(dim=2)
    expected = torch.cat([features.mean(dim=(2, 3)), features.std(dim=(2, 3), correction=0)], dim=1).numpy()
    np.testing.assert_allclose(textures.of(pictures), expected, rtol=1e-3, atol=1e-4)


def test_textures_do_not_depend_on_how_a_field_is_turned(textures: Textures) -> None:
    pictures = fields(4, seed=2)
    turned = np.rot90(pictures, axes=(1, 2)).copy()
    np.testing.assert_allclose(textures.of(pictures), textures.of(turned[:, ::-1]), rtol=1e-3, atol=1e-4)


def test_no_field_has_no_texture(textures: Textures) -> None:
    assert textures.of(np.zeros((0, 96, 96, 3), np.uint8)).shape == (0, 32)


def test_a_field_is_stained_from_half_of_its_area_on() -> None:
    pictures = np.full((3, 96, 96, 3), 240, np.uint8)
    pictures[0, :48, :, 1] = 199
    pictures[1, :48, :, 1] = 199
    pictures[1, 0, 0, 1] = 200
    pictures[2, :, :, 1] = 200
    assert is_stained(pictures).tolist() == [True, False, False]


def test_one_in_twenty_validation_fields_is_unlike_and_nearly_all_of_another_texture(textures: Textures) -> None:
    known = fields(240, seed=3)
    tissue = MeasuredTissue(textures, [measured_kind(textures, known, fields(240, seed=4))])
    assert tissue.unlike(fields(240, seed=4)).mean() == pytest.approx(0.05, abs=0.005)
    assert tissue.unlike(fields(240, seed=5)).mean() == pytest.approx(0.05, abs=0.04)
    assert tissue.unlike(fields(100, seed=6) // 2).mean() > 0.95


def test_a_model_without_known_tissue_says_nothing_and_one_with_a_wrong_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(find_model(None), folder)
    assert known_tissue(folder) is not None
    known_tissue.cache_clear()
    file = folder / KNOWN_FILE
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(ModelError, match="not the file that the card names"):
        known_tissue(folder)
    file.unlink()
    with pytest.raises(ModelError, match="the card names it"):
        known_tissue(folder)
    card = (folder / "card.yaml").read_text()
    before, _, after = card.partition("known_tissue:")
    (folder / "card.yaml").write_text(before + after[after.index("decision:") :])
    assert known_tissue(folder) is None


def test_a_field_is_unlike_that_is_like_no_kind(textures: Textures) -> None:
    light = measured_kind(textures, fields(120, seed=3), fields(120, seed=4))
    dark = measured_kind(textures, fields(120, seed=5) // 2, fields(120, seed=6) // 2)
    mixed = np.concatenate([fields(40, seed=7), fields(40, seed=8) // 2, fields(40, seed=9) // 8])
    told = MeasuredTissue(textures, [light, dark]).unlike(mixed)
    assert told[:80].mean() < 0.15
    assert told[80:].all()
    assert MeasuredTissue(textures, [light]).unlike(mixed)[40:].mean() > 0.9


def test_a_feature_that_never_fires_leaves_other_texture_unlike(
    textures: Textures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A constant has no correlation; with it all numbers would be NaN, and no field unlike."""
    whole = textures.of

    def without_one(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = whole(pictures)
        found[:, [3, 19]] = 0
        return found

    monkeypatch.setattr(textures, "of", without_one)
    tissue = MeasuredTissue(textures, [measured_kind(textures, fields(120, seed=3), fields(120, seed=4))])
    assert tissue.unlike(fields(50, seed=6) // 2).mean() > 0.9


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("limit", np.array(3.0), "unsized object"),
        ("limit", np.array([]), "not of 32 features"),
        ("limit", np.array([np.inf, 1.0]), "aren't finite"),
        ("limit", np.array([1.0, 0.0]), "no distance"),
        ("centre", np.zeros((2, 8)), "not of 32 features"),
        ("metric", np.full((2, 32, 32), np.nan), "aren't finite"),
        ("metric", np.stack([np.eye(32), -np.eye(32)]), "no distance"),
    ],
)
def test_numbers_that_would_never_or_always_tell_are_refused(
    tmp_path: Path, name: str, value: NDArray[np.float64], reason: str
) -> None:
    folder = Path(shutil.copytree(find_model(None), tmp_path / "model"))
    content = safetensors.numpy.save({**safetensors.numpy.load((folder / KNOWN_FILE).read_bytes()), name: value})
    (folder / KNOWN_FILE).write_bytes(content)
    card = load_card(folder)
    assert card.known_tissue is not None
    known = card.known_tissue.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    save_card(card.model_copy(update={"known_tissue": known}), folder)
    with pytest.raises(ModelError, match=reason):
        known_tissue(folder)


def test_blas_has_its_threads_again_after_two_slides_at_once(textures: Textures) -> None:
    def threads() -> list[int]:
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(4) as pool:
        before = threads()
        list(pool.map(textures.of, [fields(6, seed=seed) for seed in range(12)]))
        assert threads() == before


@pytest.mark.parametrize("centre", range(5))
def test_regions_of_five_centres_look_like_training_tissue(shared: Path, centre: int) -> None:
    """Each is 2048 px at 0.243 um/px: 25 fields at 0.972."""
    (path,) = (shared / "data/regions").glob(f"centre_{centre}_*.jpeg")
    whole = Image.open(path).convert("RGB")
    pixels = np.asarray(whole.resize((512, 512), Image.Resampling.BOX))[:480, :480]
    cut = pixels.reshape(5, 96, 5, 96, 3).swapaxes(1, 2).reshape(25, 96, 96, 3)
    tissue = known_tissue(find_model(None))
    assert tissue is not None
    assert tissue.unlike(cut).mean() <= 0.08
