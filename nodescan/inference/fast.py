"""Fast versions of a network, cast to a narrower type or compiled, and a test of how far off they are."""

import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nodescan.errors import DeviceError, ModelError, first_line
from nodescan.inference.card import ModelCard, checked_weights
from nodescan.inference.device import fast_dtype, int8_precision
from nodescan.inference.fast_predictor import TOLERANCE
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.openvino_streams import OpenVinoLanes, installed
from nodescan.inference.tile_streams import Lanes
from nodescan.inference.torch_streams import CpuLanes, CudaLanes
from nodescan.interfaces import TilePredictor, predict

_TRIED_TILES, _TRIED_CELLS = 4, 8
"""Made-up tiles, and cells along their sides: half a second on two cores."""


def cast(net: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy with weights of another type, once and for all; what is taken off the pixels stays in float32."""
    narrow = copy.deepcopy(net)
    for weights in narrow.parameters():
        weights.data = weights.data.to(dtype)
    return narrow


def distrust(lanes: Lanes, reference: TilePredictor, tiles: NDArray[np.uint8]) -> str:
    """Why a model's fast answers aren't used; "" where they lie within half of the tolerance.

    The other half is for slides not seen yet. tiles : uint8 (N, side, side, 3), of a size that the lanes take.
    """
    fast, true = lanes.start(tiles)(), predict(reference, tiles)
    off, most = float(np.abs(fast - true).max()), TOLERANCE[lanes.precision] / 2
    return "" if off <= most else f"{lanes.precision} was off by {off:.2g}, more than {most:g}"  # NaN isn't within


def lanes_on(net: nn.Module, device: torch.device, *, batch_size: int, precision: str = "float32") -> Lanes:
    """The lanes of a device that the network is on. precision: the network's."""
    if device.type == "cpu":
        return CpuLanes(net, precision=precision)
    return CudaLanes(net, device, batch_size=batch_size, precision=precision)


def compiled_lanes(
    card: ModelCard, folder: Path, reference: TilePredictor, device: torch.device
) -> tuple[Lanes | None, str]:
    """The network compiled by OpenVINO: int8 where the processor has it and the card its ranges, else bfloat16.

    None where it isn't installed, the device isn't a CPU that is faster in either, or it answers too far from the
    reference; and why, "" where it wasn't tried.
    """
    if device.type != "cpu" or not installed():
        return None, ""
    eight_bits = None if card.int8_ranges is None else int8_precision(device)
    precision = eight_bits or ("bfloat16" if fast_dtype(device) is not None else None)
    if precision is None:
        return None, ""
    try:
        weights = checked_weights(card, folder)
        lanes = OpenVinoLanes(card, weights, threads=torch.get_num_threads(), precision=precision)
        tiles = made_tiles(1, card.geometry().input_px)
        why = distrust(lanes, reference, tiles)
    except (ModelError, MemoryError) as error:  # then the network isn't compiled: slower, and as right
        return None, f"{precision} failed: {str(error).partition(' (')[0]}"  # a library's words may hold folders' names
    return (None if why else lanes), why


def narrow_lanes(plain: nn.Module, reference: TilePredictor, device: torch.device) -> tuple[Lanes | None, str]:
    """The network cast to the device's fast type; None where it has none, or fails in it or answers too far off; and
    why, "" where it wasn't tried. Raises DeviceError where a GPU can't answer in float32 either."""
    dtype = fast_dtype(device)
    if dtype is None:
        return None, ""
    name = str(dtype).removeprefix("torch.")
    tile, on_gpu = reference.geometry, device.type == "cuda"
    cells = tile.cells if on_gpu else min(_TRIED_CELLS, tile.cells)
    tiles = made_tiles(_TRIED_TILES, 2 * tile.margin_px + cells * tile.stride_px)
    if on_gpu:  # of a slide's size, and as many at once: others may be computed in another way there
        tiles = np.resize(tiles, (reference.batch_size, *tiles.shape[1:]))
    try:
        narrow = cast(plain, dtype).to(device, memory_format=torch.channels_last)
        lanes = lanes_on(narrow, device, batch_size=reference.batch_size, precision=name)
        why = distrust(lanes, reference, tiles)
    except (RuntimeError, DeviceError) as error:
        lanes, why = None, f"{name} failed: {first_line(error)}"
    if lanes is None and on_gpu:  # now, not with a slide's first tile, another device can be taken
        predict(reference, tiles)
    return (None if why else lanes), why
