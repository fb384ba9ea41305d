"""A model for each of several workers on one machine: a GPU for each where there are GPUs."""

from pathlib import Path

from nodescan.errors import DeviceError
from nodescan.inference.tile_streams import Precision
from nodescan.inference.without_torch import open_without_torch
from nodescan.interfaces import TilePredictor


def open_in_slot(folder: Path, *, device: str, slot: int, precision: Precision = "auto") -> tuple[TilePredictor, int]:
    """The model on the device of this slot, and how many slots the machine has devices for.

    "auto" and "cuda" take a GPU for each slot, in turn, where there are any; a device with a number, and "cpu",
    are taken by every slot. Where that GPU doesn't compute, or has no room, "auto" takes another, or the CPU. Raises
    ModelError or DeviceError.
    """
    opened = open_without_torch(folder, device=device) if precision == "auto" else None
    if opened is not None:
        return opened, 1
    from nodescan.inference.device import cpu_instead, devices_for
    from nodescan.inference.predictor import open_predictor

    devices = devices_for(device)
    try:
        return open_predictor(folder, device=devices[slot % len(devices)], precision=precision), len(devices)
    except DeviceError:
        if device != "auto":
            raise
    try:
        return open_predictor(folder, device="auto", precision=precision), len(devices)
    except DeviceError as error:  # a GPU that can do a small sum, and has no room for the network
        return open_predictor(folder, device=cpu_instead(error), precision=precision), len(devices)
