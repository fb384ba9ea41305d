"""Fast ways through a network whose answers may be a little off, each with the most it may be off and its reference."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nodescan.domain.decision import DecisionRule
from nodescan.domain.geometry import TileGeometry
from nodescan.domain.report import ModelIdentity
from nodescan.errors import ModelError
from nodescan.inference.card import ModelCard
from nodescan.inference.device import fast_dtype, multiplies_int8
from nodescan.inference.lanes import Answer, CpuLanes, CudaLanes, Lanes, SwitchingLanes
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.openvino_lanes import Converted, OpenVinoLanes, convert, converted, installed
from nodescan.inference.quantisation import quantised
from nodescan.interfaces import TilePredictor

TOLERANCE = {"bfloat16": 0.06, "int8": 0.14}
"""The most that a cell's probability is trusted to be off, by precision.

bfloat16: 2.4 times the largest difference measured, 0.025, in PyTorch and in OpenVINO alike: pcam-p4m, tiles of
composites of real patches (10,240 cells, 41 % of them between 0.2 and 0.8) and made-up ones. int8: 2.4 times 0.057, on
24,576 cells of such tiles. It is no bound: other weights may be further off, and cells that float32 doesn't answer too
aren't checked. So a model is tried when it is opened or compiled (near_enough), and wherever both answered a slide they
are compared (nodescan/guard.py). To measure a model or machine: `python -m nodescan.inference.agreement MODEL DEVICE`,
`nodescan bench --what precision`.
"""

SMOOTHED_TOLERANCE, SMOOTHED_FROM_UM = 0.03, 32.0
"""The same of the smoothed map, whichever the precision: 2.6 times the largest difference measured, 0.0114 (int8, on
the same cells, sigma 40 um). Rounding errs to both sides, so a mean is nearer. Of a rule that smooths by less than
SMOOTHED_FROM_UM no more is said than of a cell."""

_TRIED_TILES, _TRIED_CELLS = 4, 8
"""Made-up tiles, and cells along their sides: half a second on two cores."""

CONVERT_AFTER_TILES = 64
"""Converting for OpenVINO takes about as long as answering so many tiles: later it repays itself, and never twice."""


class FastPredictor:
    """Answers within `tolerance` of `reference`, a float32 predictor of the same model, or so it was measured."""

    def __init__(self, reference: TilePredictor, lanes: Lanes, *, precision: str, batch_size: int) -> None:
        """precision: the one that answers are furthest off in."""
        self.reference = reference
        self.tolerance = TOLERANCE[precision]
        self.batch_size = batch_size
        self._lanes = lanes

    @property
    def precision(self) -> str:
        """What it computes in at the moment: a compiled network may take over in mid-slide."""
        return self._lanes.precision

    @property
    def smoothed_tolerance(self) -> float:
        """As tolerance, of the map once smoothed as the model's decision asks."""
        smooth = self.decision.smoothing_um >= SMOOTHED_FROM_UM
        return min(SMOOTHED_TOLERANCE, self.tolerance) if smooth else self.tolerance

    @property
    def model(self) -> ModelIdentity:
        return self.reference.model

    @property
    def geometry(self) -> TileGeometry:
        return self.reference.geometry

    @property
    def decision(self) -> DecisionRule:
        return self.reference.decision

    @property
    def spacing_range_um(self) -> tuple[float, float]:
        return self.reference.spacing_range_um

    @property
    def device(self) -> str:
        return self.reference.device

    def start(self, tiles: NDArray[np.uint8]) -> Answer:
        """Begins to answer tiles, as predict(), and returns what waits for the answers."""
        return self._lanes.start(tiles)

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, input_px, input_px, 3) RGB -> float32 (N, cells, cells) in [0, 1]."""
        return self._lanes.start(tiles)()


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
            return lanes if float(np.abs(found() - expected()).max()) <= tolerance else None
        except ModelError:  # the way it is goes on: slower, and as right
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
