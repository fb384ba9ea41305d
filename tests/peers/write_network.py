"""Runs in WSInfer's own Python: one ResNet-18 of random weights as TorchScript, and the file that tells WSInfer of it.

write_network.py OUT PATCH_PX
"""

import json
import sys
from pathlib import Path

import torch
import torchvision

SPACING_UM = 0.972
MEAN, STD = [0.70, 0.54, 0.69], [0.24, 0.28, 0.21]


def main(out: Path, patch_px: int) -> None:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None, num_classes=1).eval()
    out.mkdir(parents=True, exist_ok=True)
    torch.jit.save(torch.jit.script(network), out / "model.pt")
    steps = [
        {"name": "Resize", "arguments": {"size": patch_px}},
        {"name": "ToTensor"},
        {"name": "Normalize", "arguments": {"mean": MEAN, "std": STD}},
    ]
    told = {
        "spec_version": "1.0",
        "architecture": "resnet18",
        "name": "resnet18-random",
        "num_classes": 1,
        "class_names": ["Tumor"],
        "patch_size_pixels": patch_px,
        "spacing_um_px": SPACING_UM,
        "transform": steps,
    }
    (out / "config.json").write_text(json.dumps(told, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
