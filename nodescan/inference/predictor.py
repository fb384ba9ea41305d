"""The network as a TilePredictor: bytes of tiles in, probabilities of cells out."""

import copy
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from nodescan.domain.geometry import TileGeometry
from nodescan.errors import ModelError
from nodescan.inference.card import CARD_FILE, CardFacts, ModelCard, check_numbers, checked_weights, load_card
from nodescan.inference.device import Device, choose_device
from nodescan.inference.fast import compiled_lanes, lanes_on, narrow_lanes
from nodescan.inference.fast_predictor import FastPredictor, second_look_tile
from nodescan.inference.folding import Plain
from nodescan.inference.gpu_errors import gpu_errors
from nodescan.inference.models import build
from nodescan.inference.tile_streams import GPU_BATCH, Answer, Lanes, Precision, check_not_forked, lane_count, started


class TorchPredictor(CardFacts):
    """A loaded model on its device, in one precision."""

    def __init__(
        self,
        card: ModelCard,
        net: nn.Module,
        device: Device,
        *,
        lanes: Lanes | None = None,
    ) -> None:
        """net: fed with pixels, in float32. lanes: others than its own, for answers that may be off.

        Raises DeviceError where a GPU has no room for the network, or fails.
        """
        super().__init__(card)
        self.device = device.description
        self.batch_size = lane_count(torch.get_num_threads()) if device.device.type == "cpu" else GPU_BATCH
        with gpu_errors("the network"):
            net = net.eval().to(device.device, memory_format=torch.channels_last)
            self._lanes = lanes or lanes_on(net, device.device, batch_size=self.batch_size)
        self.precision = self._lanes.precision

    def in_tiles(self, tile: TileGeometry) -> "TorchPredictor":
        """The same, asked in tiles of another size."""
        other = copy.copy(self)
        other.geometry = tile
        return other

    def start(self, tiles: NDArray[np.uint8]) -> Answer:
        return started(self._lanes, tiles)


def open_predictor(
    folder: Path,
    *,
    device: str | Device = "auto",
    precision: Precision = "auto",
    rough: bool = False,
    compiled: bool = True,
) -> TorchPredictor | FastPredictor:
    """The model of a folder, its weights checked, on a device. Raises ModelError or DeviceError.

    precision: with "auto" answers may be a little off, and a scan computes again in float32 whatever can change a
    finding. It is float32 throughout if the device has nothing faster, or if this model's fast answers are too far off;
    the predictor's precision says so. "float32" is for answers that are used as they are. rough: fast answers without a
    recheck, for trying many settings. compiled: False for the network as torch computes it.

    torch keeps some settings for the whole process. On a CPU, threads that start later compute with as many threads as
    one lane has (CpuLanes). On a GPU, matrix products and convolutions in float32 are no longer rounded to TF32.
    """
    check_not_forked()
    card = load_card(folder)
    plain = plain_network(card, folder)
    place = device if isinstance(device, Device) else choose_device(device)
    reference = TorchPredictor(card, plain, place)
    if precision == "float32" and not rough:
        return reference
    lanes, uncompiled = compiled_lanes(card, folder, reference, place.device) if compiled else (None, "")
    too_narrow = ""
    if lanes is None:
        lanes, too_narrow = narrow_lanes(plain, reference, place.device)
    if rough:
        return TorchPredictor(card, plain, place, lanes=lanes) if lanes else reference
    if lanes is None:
        if refused := "; ".join(filter(None, (uncompiled, too_narrow))):
            reference.precision += f" ({refused})"
        return reference
    return FastPredictor(reference, reference.in_tiles(second_look_tile(card)), lanes)


def load_network(card: ModelCard, folder: Path) -> nn.Module:
    """The network with its weights in float32. Raises ModelError where they don't fit the architecture."""
    content = checked_weights(card, folder)
    try:
        net = build(card.architecture, margin_px=card.margin_px).float()  # whatever torch's default type is
    except ModelError as error:
        raise ModelError(f"{folder / CARD_FILE}: {error}") from error
    try:
        weights = {name: value.float() for name, value in safetensors.torch.load(content).items()}
        net.load_state_dict(weights)
        check_numbers({name: value.numpy() for name, value in weights.items()})
    except (RuntimeError, ValueError, safetensors.SafetensorError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise ModelError(
            f"{folder / card.weights}: not the weights of a {card.architecture} network ({reason})"
        ) from error
    if (net.margin_px, net.stride_px) != (card.margin_px, card.stride_px):
        raise ModelError(f"{folder}: margin and stride on the card are not those of a {card.architecture} network")
    return net.eval()


def plain_network(card: ModelCard, folder: Path) -> nn.Module:
    """The network in the form that scans, fed with bytes, its answers probabilities. Raises ModelError as load_network
    does."""
    net = load_network(card, folder)
    return Plain(net, mean=card.mean, std=card.std, temperature=card.temperature).eval()
