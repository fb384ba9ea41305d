"""What a run starts from: a checkpoint, a packed model or a model folder, and clear words where it can't."""

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nodescan.errors import ModelError, NodescanError, UsageError
from nodescan.inference.card import find_model, load_card
from nodescan.inference.predictor import open_predictor
from tests.training.made_runs import made_checkpoint
from training.fitting.checkpoints import read_checkpoint, starting_weights
from training.fitting.export import export
from training.fitting.module import TumourModule
from training.fitting.transforms import as_image

TILES = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return made_checkpoint(tmp_path / "last.ckpt")


def module(architecture: str, source: str) -> TumourModule:
    return TumourModule(architecture, 0.001, 0.03, 0.3, init_from=source).eval()


def test_a_run_from_the_packed_model_starts_with_its_answers() -> None:
    """The module's probability of every cell, at the card's temperature, is what the packed model answers."""
    folder = find_model("pcam-p4m")
    card = load_card(folder)
    with torch.inference_mode():
        logits = module(card.architecture, "pcam-p4m")(as_image(torch.from_numpy(TILES)))
        answers = torch.sigmoid(logits / card.temperature).numpy()
    expected = open_predictor(folder, device="cpu", precision="float32").start(TILES)()
    assert expected.shape == (2, 4, 4)
    np.testing.assert_allclose(answers, expected, atol=1e-4)


def test_a_model_folder_and_its_checkpoint_start_alike(checkpoint: Path, tmp_path: Path) -> None:
    """But for the half precision that a folder is written in."""
    export(checkpoint, tmp_path / "model", name="model", training_data="none")
    found, weights = starting_weights(str(tmp_path / "model"))
    same, exact = starting_weights(str(checkpoint))
    assert found == same == "p4m-small"
    assert weights.keys() == exact.keys()
    for name, value in exact.items():
        torch.testing.assert_close(weights[name].float(), value.float(), rtol=1e-3, atol=1e-4)


def test_a_checkpoint_gives_its_weights_to_the_bit(checkpoint: Path) -> None:
    """And the name of its network."""
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    started = module("p4m-small", str(checkpoint)).net.state_dict()
    assert {f"net.{name}" for name in started} == state.keys()
    assert all(torch.equal(value, state[f"net.{name}"]) for name, value in started.items())


def test_weights_of_another_architecture_are_refused(checkpoint: Path) -> None:
    """By the name of the source and of both networks, packed models and checkpoints alike."""
    with pytest.raises(UsageError, match="pcam-p4m: of architecture p4m, the run is of p4m-small"):
        module("p4m-small", "pcam-p4m")
    with pytest.raises(UsageError, match=r"last.ckpt: of architecture p4m-small, the run is of p4m"):
        module("p4m", str(checkpoint))


@pytest.mark.parametrize("source", ["no-such-model", "nowhere/model", "nowhere/last.ckpt"])
def test_a_source_that_is_not_there_is_named_in_one_line(source: str) -> None:
    """Whether a name, a folder or a checkpoint was meant."""
    with pytest.raises(NodescanError) as caught:
        starting_weights(source)
    assert str(caught.value).startswith(f"{source}: no such ")
    assert "\n" not in str(caught.value)


def test_a_folder_with_damaged_weights_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    """Training doesn't start from what was changed since it was written."""
    export(checkpoint, tmp_path / "model", name="model", training_data="none")
    (tmp_path / "model" / "weights.safetensors").write_bytes(b"changed")
    with pytest.raises(ModelError, match=r"weights.safetensors: sha256 is"):
        starting_weights(str(tmp_path / "model"))


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    """Bytes of something else, and a torch file that fit didn't write."""
    (tmp_path / "bytes.ckpt").write_bytes(b"PK nothing")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.ckpt")
    for name in ("bytes.ckpt", "other.ckpt"):
        with pytest.raises(UsageError, match=f"{name}: not a checkpoint of python -m training fit"):
            read_checkpoint(tmp_path / name)


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"archive/{name}", content)
    return buffer.getvalue()


def stored(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no checkpoint, or is cut off"),
        (b"junk", "is no checkpoint, or is cut off"),
        (zipped(**{"data.pkl": b"junk", "version": b"3"}), "is no checkpoint, or is cut off"),
        (zipped(a=b"b"), "not a checkpoint .*; name a .ckpt file"),
        (bytes(1000), "not a checkpoint"),
        (pickle.dumps([1, 2]), "not a checkpoint"),
        (b"\x80\x09K\x01.", "not a checkpoint"),
        (stored({"state_dict": [1], "hyper_parameters": {"architecture": "p4m"}}), "not a checkpoint"),
        (stored({"state_dict": None, "hyper_parameters": None}), "not a checkpoint"),
        (stored({"state_dict": {"net.a": 1}, "hyper_parameters": {"architecture": "p4m"}}), "not a checkpoint"),
        (stored({"state_dict": {}, "hyper_parameters": {"architecture": 7}}), "not a checkpoint"),
    ],
)
def test_whatever_a_file_holds_no_other_error_comes(tmp_path: Path, content: bytes, said: str) -> None:
    """And no warning of torch's stands before it: of a pickle it speaks of protocols."""
    (tmp_path / "a.ckpt").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UsageError, match=rf"a\.ckpt: {said}"):
            read_checkpoint(tmp_path / "a.ckpt")


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    """The reason is said in words."""
    with pytest.raises(UsageError, match=r"can't be read \(Is a directory\); name a \.ckpt file"):
        read_checkpoint(tmp_path)


def test_the_loss_on_validation_patches_counts_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However they are shared out to batches, of which the last is smaller; test_resume.py has several processes."""
    module = TumourModule("p4m-small", 0.001, 0.03, 0.3).eval()
    monkeypatch.setattr(TumourModule, "trainer", SimpleNamespace(sanity_checking=True))
    monkeypatch.setattr(module, "log", lambda *_: None)
    pixels = torch.randint(0, 256, (4, 96, 96, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    labels, losses = torch.tensor([0, 1, 1, 0]), list[float]()
    for shares in ((4,), (3, 1), (1, 1, 2)):
        for batch in zip(pixels.split(shares), labels.split(shares), strict=True):
            module.validation_step(batch, 0)
        losses.append(float(module.valid_loss.compute()))
        module.valid_loss.reset()
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
    module.validation_step((pixels[:3], labels[:3]), 0)
    assert float(module.valid_loss.compute()) != pytest.approx(losses[0], rel=1e-3)
