"""The network behind the TilePredictor door: bytes of tiles in, probabilities of cells out."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from nodescan.domain.geometry import TileGeometry
from nodescan.errors import DeviceError, ModelError, first_line
from nodescan.inference.card import CARD_FILE, CardFacts, ModelCard, check_numbers, checked_weights, load_card
from nodescan.inference.device import Device, choose_device, fast_dtype
from nodescan.inference.fast import TRIED_TILES, cast, compiled_lanes, distrust, lanes_on
from nodescan.inference.fast_predictor import FastPredictor, second_look_tile
from nodescan.inference.folding import plain_form
from nodescan.inference.gpu_errors import gpu_errors
from nodescan.inference.lanes import GPU_BATCH, Answer, Lanes, Precision, lane_count
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.models import build
from nodescan.interfaces import predict


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
        return self._lanes.start(tiles)


def open_predictor(
    folder: Path,
    *,
    device: str | Device = "auto",
    precision: Precision = "auto",
    rough: bool = False,
    compiled: bool = True,
) -> TorchPredictor | FastPredictor:
    """The model of a folder, its weights checked, on a device. Raises ModelError or DeviceError.

    precision: "auto" may answer a little off, and a scan then recomputes in float32 whatever bears on a finding; it is
    float32 throughout where the device has nothing faster or this model's fast answers are too far off, which its
    precision then says. "float32": where answers are used as they are. rough: the fast answers unguarded, for trying
    many settings. compiled: False for the network as torch computes it.
    """
    card = load_card(folder)
    plain = plain_network(card, folder)
    place = device if isinstance(device, Device) else choose_device(device)
    reference = TorchPredictor(card, plain, place)
    if precision == "float32" and not rough:
        return reference
    refused: list[str] = []
    lanes = compiled_lanes(card, folder, reference, place.device, tell=refused.append) if compiled else None
    lanes = lanes or _narrow_lanes(plain, reference, place, tell=refused.append)
    if rough:
        return TorchPredictor(card, plain, place, lanes=lanes) if lanes else reference
    if lanes is None:
        if refused:
            reference.precision += f" ({'; '.join(refused)})"
        return reference
    return FastPredictor(reference, reference.in_tiles(second_look_tile(card)), lanes)


def _narrow_lanes(
    plain: nn.Module, reference: TorchPredictor, place: Device, *, tell: Callable[[str], None]
) -> Lanes | None:
    """The network cast to the device's fast type; None where it has none, or fails in it or answers too far off.

    tell: hears why, where it was tried. Raises DeviceError where a GPU can't answer in float32 either.
    """
    dtype = fast_dtype(place.device)
    if dtype is None:
        return None
    name = str(dtype).removeprefix("torch.")
    # On a GPU tiles of a slide's size: others may be computed in another way there.
    tiles = made_tiles(TRIED_TILES, reference.geometry.input_px) if place.device.type == "cuda" else None
    lanes = None
    try:
        narrow = cast(plain, dtype).to(place.device, memory_format=torch.channels_last)
        lanes = lanes_on(narrow, place.device, batch_size=reference.batch_size, precision=name)
        why = distrust(lanes, reference, tiles=tiles)
    except (RuntimeError, DeviceError) as error:
        lanes, why = None, f"{name} failed: {first_line(error)}"
    if not why:
        return lanes
    tell(why)
    if lanes is None and tiles is not None:  # now, not with a slide's first tile, another device can be taken
        predict(reference, tiles)
    return None


def load_network(card: ModelCard, folder: Path) -> nn.Module:
    """The network with its weights in float32. Raises ModelError where they don't fit the architecture."""
    content = checked_weights(card, folder)
    try:
        net = build(card.architecture, margin_px=card.margin_px)
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
    return plain_form(net, mean=card.mean, std=card.std, temperature=card.temperature).eval()
