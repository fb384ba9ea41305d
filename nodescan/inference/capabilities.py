"""What torch was built for and what it can use here, for whoever asks why a device was chosen."""

from dataclasses import dataclass

import torch

from nodescan.inference.device import Device, fast_dtype, gpu_count, int8_precision
from nodescan.inference.openvino_lanes import importable


@dataclass(frozen=True, slots=True)
class Capabilities:
    """built_for: "CPU" or e.g. "CUDA 13.2". cpu: the instructions torch uses, e.g. "AVX2" or "DEFAULT"."""

    built_for: str
    cuda_devices: int
    cpu: str


def capabilities() -> Capabilities:
    """What torch says of itself."""
    built_for = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    return Capabilities(built_for, gpu_count(), torch.backends.cpu.get_cpu_capability())


def precision_words(device: Device) -> str:
    """What the network will compute in on this device, and why."""
    eight_bits = int8_precision(device.device)
    if eight_bits is not None and importable():
        return f"{eight_bits} where the model allows, float32 for all that could change a finding"
    narrow = fast_dtype(device.device)
    if narrow is None:
        on_cpu = device.device.type == "cpu"
        why = "nodescan uses no narrower type on this processor" if on_cpu else "there are no instructions for float16"
        return f"float32, as {why}"
    return f"{str(narrow).removeprefix('torch.')} where it is faster, float32 for all that bears on a finding"
