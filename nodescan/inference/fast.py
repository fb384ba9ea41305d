"""Makes fast ways through a network: cast to a narrower type, quantised, compiled; and tries how far off they are."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from nodescan.errors import ModelError
from nodescan.inference.card import ModelCard
from nodescan.inference.device import fast_dtype, multiplies_int8
from nodescan.inference.fast_predictor import TOLERANCE
from nodescan.inference.lanes import Lanes, SwitchingLanes
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.openvino_conversion import convert
from nodescan.inference.openvino_lanes import Converted, OpenVinoLanes, converted, installed
from nodescan.inference.quantisation import quantised
from nodescan.inference.torch_lanes import CpuLanes, CudaLanes
from nodescan.interfaces import TilePredictor

_TRIED_TILES, _TRIED_CELLS = 4, 8
"""Made-up tiles, and cells along their sides: half a second on two cores."""

CONVERT_AFTER_TILES = 8
"""A slide of fewer tiles isn't converted for. It takes as long as answering 25 or so, once for all slides."""


def cast(net: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy with weights of another type, once and for all; what is taken off the pixels stays in float32."""
    narrow = copy.deepcopy(net)
    for weights in narrow.parameters():
        weights.data = weights.data.to(dtype)
    return narrow


def near_enough(lanes: Lanes, reference: TilePredictor, precision: str) -> bool:
    """Whether a model's fast answers to made-up tiles lie within half of the tolerance: the rest is for real ones."""
    tile = reference.geometry
    tiles = made_tiles(_TRIED_TILES, 2 * tile.margin_px + min(_TRIED_CELLS, tile.cells) * tile.stride_px)
    fast, true = lanes.start(tiles)(), reference.predict(tiles)
    return bool(np.abs(fast - true).max() <= TOLERANCE[precision] / 2)  # NaN is not


def lanes_on(net: nn.Module, device: torch.device, *, batch_size: int, precision: str = "float32") -> Lanes:
    """The lanes of a device that the network is on. precision: the network's."""
    if device.type == "cpu":
        return CpuLanes(net, precision=precision)
    return CudaLanes(net, device, batch_size=batch_size, precision=precision)


@dataclass(frozen=True, slots=True)
class Compilable:
    """A network that OpenVINO may compile.

    net: plain convolutions in float32, on the CPU, quantised for int8; kept: where it is kept; threads: to compute
    with; precision: int8 or bfloat16.
    """

    net: nn.Module
    kept: Converted
    threads: int
    precision: str

    def lanes(self, eager: Lanes, *, tolerance: float) -> Lanes:
        """At once where a converted network is kept, after some tiles where it is still to be made.

        eager: what goes on where it can't be made, or answers otherwise by more than the tolerance.
        """
        if self.kept.sound:
            return self._compiled(eager, tolerance) or eager
        return SwitchingLanes(eager, lambda: self._made(eager, tolerance), after_tiles=CONVERT_AFTER_TILES)

    def _made(self, eager: Lanes, tolerance: float) -> Lanes | None:
        try:
            convert(self.net, self.kept)
        except ModelError:
            return None
        return self._compiled(eager, tolerance)

    def _compiled(self, eager: Lanes, tolerance: float) -> Lanes | None:
        try:
            lanes = OpenVinoLanes(self.kept, threads=self.threads, precision=self.precision)
            probe = made_tiles(1, self.kept.tile_px)
            expected, found = eager.start(probe), lanes.start(probe)
            if float(np.abs(found() - expected()).max()) <= tolerance:
                return lanes
            self.kept.discard()
        except ModelError:  # the way it is goes on: slower, and as right
            pass
        return None


def compilable(net: nn.Module, card: ModelCard, *, tile_px: int, device: torch.device) -> Compilable | None:
    """None where OpenVINO isn't installed, or the device isn't a CPU that is faster in int8 or bfloat16.

    net: plain, in float32. int8 where the processor has it and the card its ranges, else bfloat16.

    To be asked in the main thread: the one that makes a network ready later is told of a single thread by torch.
    """
    if device.type != "cpu" or not installed():
        return None
    if card.int8_ranges is not None and multiplies_int8(device):
        net, precision = quantised(net, card.int8_ranges), "int8"
    elif fast_dtype(device) is not None:
        precision = "bfloat16"
    else:
        return None
    return Compilable(net, converted(card.sha256(), tile_px, precision), torch.get_num_threads(), precision)
