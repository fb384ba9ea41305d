"""Converts a network for OpenVINO, and keeps what was made."""

import json
import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from nodescan.errors import ModelError
from nodescan.inference.openvino_lanes import MODEL, SUMS, WEIGHTS, Converted, first_line, openvino_module, sha256_of


def convert(net: nn.Module, target: Converted) -> None:
    """Convert a network that is fed with pixels, and keep it. Raises ModelError where that can't be done."""
    openvino = openvino_module()
    example = torch.zeros(1, target.tile_px, target.tile_px, 3, dtype=torch.uint8)
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # torch.jit says that it is old
            model = openvino.convert_model(_FedWithTiles(net), example_input=example, input=[tuple(example.shape)])
        home = target.folder.parent
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as made:
            place = Path(made) / "whole"
            place.mkdir()
            openvino.save_model(model, place / MODEL, compress_to_fp16=False)
            sums = {name: sha256_of(place / name) for name in (MODEL, WEIGHTS)}
            (place / SUMS).write_text(json.dumps(sums), encoding="utf-8")
            _put(place, target.folder)
    except (RuntimeError, OSError) as error:
        raise ModelError(f"OpenVINO: the network can't be converted ({first_line(error)})") from error


class _FedWithTiles(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, tiles: Tensor) -> Tensor:
        return self.net(tiles.permute(0, 3, 1, 2))


def _put(made: Path, place: Path) -> None:
    """Into its place, instead of what a quicker process put there, or of what has been damaged."""
    if place.exists():
        place.rename(Path(tempfile.mkdtemp(dir=made.parent)) / "old")
    made.rename(place)
