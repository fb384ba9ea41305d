"""torchvision is the yardstick: its datasets read what ours read, and its ResNet-18 answers what ours answers."""

from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.datasets import PCAM, ImageFolder
from torchvision.models import resnet18

from nodescan.inference.resnet import ResNet18
from training.patches.labelled import read_patches


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, 96, 96, 3), np.uint8)


def test_patchcamelyon_is_read_as_by_torchvision(tmp_path: Path) -> None:
    """The official pair of files, under the names that torchvision gives them."""
    pixels, tumour = noise(5), np.array([0, 1, 1, 0, 1], np.uint8)
    stem = tmp_path / "pcam" / "camelyonpatch_level_2_split_valid"
    stem.parent.mkdir()
    with h5py.File(f"{stem}_x.h5", "w") as file:
        file["x"] = pixels
    with h5py.File(f"{stem}_y.h5", "w") as file:
        file["y"] = tumour.reshape(-1, 1, 1, 1)
    theirs = list(PCAM(str(tmp_path), split="val"))
    ours = read_patches([Path(f"{stem}_x.h5")])
    assert ours.tumour.tolist() == [label == 1 for _, label in theirs] == tumour.astype(bool).tolist()
    np.testing.assert_array_equal(ours.pixels, np.stack([np.asarray(image) for image, _ in theirs]))


def test_a_folder_of_patches_is_read_as_by_torchvision(tmp_path: Path) -> None:
    """Classes by folder; its order of classes, by name, is normal and then tumour."""
    for index, (image, label) in enumerate(zip(noise(4), ("normal", "tumor", "tumor", "normal"), strict=True)):
        (tmp_path / label).mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / label / f"{index}.png")
    theirs = ImageFolder(str(tmp_path))
    ours = read_patches([tmp_path])
    assert ours.tumour.tolist() == [theirs.classes[label] == "tumor" for _, label in theirs]
    assert list(ours.names) == [Path(path).relative_to(tmp_path).as_posix() for path, _ in theirs.samples]
    np.testing.assert_array_equal(ours.pixels, np.stack([np.asarray(image) for image, _ in theirs]))


def test_the_residual_network_answers_as_torchvisions_does() -> None:
    """Its ResNet-18 with the same weights, whose last stage takes every pixel and whose answer is one for each cell."""
    torch.manual_seed(5)
    ours, theirs = ResNet18().eval(), resnet18(weights=None, num_classes=1).eval()
    for norm in (layer for layer in ours.modules() if isinstance(layer, nn.BatchNorm2d)):
        nn.init.uniform_(norm.running_mean, -0.2, 0.2)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
    theirs.layer4[0].conv1.stride = theirs.layer4[0].downsample[0].stride = (1, 1)
    # Both name their layers in the order of their making, but that torchvision makes a short cut last in its block.
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)) | as_linear(ours))
    theirs.avgpool, theirs.fc = nn.Identity(), nn.Identity()
    image = torch.randn(2, 3, 128, 160)
    with torch.no_grad():
        features = theirs(image).view(2, 512, 8, 10)
        cells = ours.answer(features).squeeze(1)[:, 2:-2, 2:-2]
        torch.testing.assert_close(ours(image), cells)


def as_linear(net: ResNet18) -> dict[str, torch.Tensor]:
    """The last layer's weights in the shape of a linear layer's."""
    return {"fc.weight": net.answer.weight.flatten(1), "fc.bias": net.answer.bias}
