"""Where the network runs; device words are spoken here and nowhere else."""

import platform
from dataclasses import dataclass

import torch

from nodescan.errors import DeviceError


@dataclass(frozen=True, slots=True)
class Device:
    """device: torch's. description: in words for reports, e.g. "cpu (2 threads)" or "cuda:0 (NVIDIA H200)"."""

    device: torch.device
    description: str


def fast_dtype(device: torch.device) -> torch.dtype | None:
    """bfloat16 where the device computes faster in it than in float32, by what it can do; else None.

    float16, all that older GPUs have, isn't used: how far off it is has not been measured.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    # of torch 2.6 and later; an older one computes in float32
    asked = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return torch.bfloat16 if any(able is not None and able() for able in asked) else None


def multiplies_int8(device: torch.device) -> bool:
    """Whether the processor multiplies whole numbers of eight bits faster than float32 (VNNI, AMX)."""
    asked = (getattr(torch.cpu, name, None) for name in ("_is_vnni_supported", "_is_amx_tile_supported"))
    return device.type == "cpu" and any(able is not None and able() for able in asked)


def choose_device(request: str) -> Device:
    """`auto` takes the first GPU, else the CPU; others are taken at their word. DeviceError for one that is missing."""
    if request == "auto":
        request = "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(request)
    except RuntimeError as error:
        raise DeviceError(f"device {request!r} is not known; use auto, cpu, cuda or cuda:N") from error
    if device.type == "cpu":
        return Device(device, f"cpu ({platform.machine()}, {torch.get_num_threads()} threads)")
    if device.type != "cuda":
        raise DeviceError(f"device {request!r} is not supported; use auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = device.index or 0
    if index >= count:
        there = f"there are {count} CUDA devices" if count else "this machine has no CUDA device"
        raise DeviceError(f"device {request!r} was asked for but {there}; use --device auto or cpu")
    # float32 means float32: the reference that fast answers are held against may not be rounded to 10 bits
    torch.backends.cudnn.allow_tf32 = False
    return Device(torch.device("cuda", index), f"cuda:{index} ({torch.cuda.get_device_name(index)})")


def devices_for(request: str) -> list[str]:
    """What several workers share: every GPU where there are any and none was named, else what was asked for."""
    if request not in ("auto", "cuda") or not torch.cuda.is_available():
        return [request]
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
