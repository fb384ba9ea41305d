"""The network behind the TilePredictor door: bytes of tiles in, probabilities of cells out."""

from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from nodescan.domain.decision import DecisionRule
from nodescan.domain.geometry import TileGeometry
from nodescan.domain.report import ModelIdentity
from nodescan.errors import ModelError
from nodescan.inference.card import ModelCard, checked_weights, load_card
from nodescan.inference.device import Device, choose_device
from nodescan.inference.folding import PlainP4MNet
from nodescan.inference.models import P4MNet, build

CPU_BATCH, GPU_BATCH = 4, 32
"""Tiles at a time: on a CPU as many as its caches like, on a GPU as many as keep it busy."""


class TorchPredictor:
    """A loaded model on its device."""

    def __init__(
        self, card: ModelCard, net: nn.Module, device: Device, *, batch_size: int | None = None, rough: bool = False
    ) -> None:
        self._card = card
        self._device = device
        self._net = net.eval().to(device.device, memory_format=torch.channels_last)
        self.batch_size = batch_size or (CPU_BATCH if device.device.type == "cpu" else GPU_BATCH)
        self.precision = "bfloat16" if rough else "float32"

    @property
    def model(self) -> ModelIdentity:
        return self._card.identity()

    @property
    def geometry(self) -> TileGeometry:
        return self._card.geometry()

    @property
    def decision(self) -> DecisionRule:
        return self._card.decision.rule()

    @property
    def spacing_range_um(self) -> tuple[float, float]:
        return self._card.spacing_um

    @property
    def device(self) -> str:
        return self._device.description

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, input_px, input_px, 3) RGB -> float32 (N, cells, cells) in [0, 1]."""
        rough = torch.autocast(self._device.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")
        with torch.inference_mode(), rough:
            pixels = torch.from_numpy(np.require(tiles, requirements="W")).to(self._device.device).permute(0, 3, 1, 2)
            image = pixels.float().contiguous(memory_format=torch.channels_last)
            return self._net(image).cpu().numpy()


def open_predictor(
    folder: Path, *, device: str = "auto", batch_size: int | None = None, rough: bool = False
) -> TorchPredictor:
    """The model of a folder, its weights checked, on a device. Raises ModelError or DeviceError.

    rough: bfloat16, for trying many settings on many slides; a finding is always made in float32.
    """
    card = load_card(folder)
    net = load_network(card, folder)
    plain = PlainP4MNet(net, mean=torch.tensor(card.mean), std=torch.tensor(card.std), temperature=card.temperature)
    return TorchPredictor(card, plain, choose_device(device), batch_size=batch_size, rough=rough)


def load_network(card: ModelCard, folder: Path) -> P4MNet:
    """The network with its weights in float32. Raises ModelError where they don't fit the architecture."""
    content = checked_weights(card, folder)
    net = build(card.architecture)
    try:
        weights = {name: value.float() for name, value in safetensors.torch.load(content).items()}
        net.load_state_dict(weights)
    except (RuntimeError, ValueError, safetensors.SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{folder / card.weights}: not the weights of a {card.architecture} network ({reason})"
        ) from error
    if (net.margin_px, net.stride_px) != (card.margin_px, card.stride_px):
        raise ModelError(f"{folder}: margin and stride on the card are not those of a {card.architecture} network")
    return net.eval()
