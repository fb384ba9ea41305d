"""A model for each of several workers on one machine: a GPU for each where there are GPUs."""

from pathlib import Path

import torch

from nodescan.inference.predictor import Precision, open_predictor
from nodescan.interfaces import TilePredictor


def open_in_slot(folder: Path, *, device: str, slot: int, precision: Precision = "auto") -> tuple[TilePredictor, int]:
    """The model on the device of this slot, and how many slots the machine has devices for.

    "auto" and "cuda" take a GPU for each slot, in turn, where there are any; a device with a number, and "cpu",
    are taken by every slot. Raises ModelError or DeviceError.
    """
    devices = _devices(device)
    return open_predictor(folder, device=devices[slot % len(devices)], precision=precision), len(devices)


def open_reference_in_slot(folder: Path, *, device: str, slot: int) -> tuple[TilePredictor, int]:
    """As open_in_slot, computing in float32 throughout."""
    return open_in_slot(folder, device=device, slot=slot, precision="float32")


def _devices(request: str) -> list[str]:
    if request not in ("auto", "cuda") or not torch.cuda.is_available():
        return [request]
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
