"""The device that the network runs on. Names of devices are interpreted only here."""

import os
import platform
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from nodescan.errors import DeviceError, first_line
from nodescan.inference.gpu_errors import is_out_of_memory, no_room
from nodescan.inference.openvino_streams import importable
from nodescan.machine import eight_bit_precision
from nodescan.threads import own_warnings

_VOLTA = (7, 0)
"""The compute capability from which NVIDIA's GPUs compute faster in float16 (CUDA C++ Programming Guide)."""

_DRIVER = Path("/proc/driver/nvidia/version")
"""NVIDIA's driver on Linux; its first line tells the version."""


@dataclass(frozen=True, slots=True)
class Device:
    """device: torch's. description: in words for reports, e.g. "cpu (2 threads)" or "cuda:0 (NVIDIA H200)"."""

    device: torch.device
    description: str


def fast_dtype(device: torch.device) -> torch.dtype | None:
    """The type in which the device computes faster than in float32: float16 on a GPU, bfloat16 on a CPU, or None.

    A GPU rounds the sum of a convolution, and again after adding the bias. In bfloat16, which has three bits less, the
    released model is then further off than distrust() allows.
    """
    if device.type == "cuda":
        able = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= _VOLTA
        return torch.float16 if able else None
    return torch.bfloat16 if _cpu_has("avx512_bf16", "amx_tile") else None


def int8_precision(device: torch.device) -> str | None:
    """What a CPU computes in faster than in float32 (openvino_graph.STEPS); None where it doesn't.

    "int8" with instructions that multiply and add in 32 bits (VNNI, AMX), "int8-16" with those that add pairs in 16.
    """
    if device.type != "cpu":
        return None
    if _cpu_has("vnni", "amx_tile") or eight_bit_precision() == "int8":  # torch before 2.6 doesn't say
        return "int8"
    return "int8-16" if cpu_instructions() in ("AVX2", "AVX512") else None


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


def built_for() -> str:
    """What torch was built for: "CPU", or e.g. "CUDA 13.2"."""
    return f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"


def cpu_instructions() -> str:
    """Those that torch uses, e.g. "AVX2" or "DEFAULT"."""
    return torch.backends.cpu.get_cpu_capability()


def gpu_versions() -> dict[str, str]:
    """What a GPU's answers can depend on beside torch: CUDA's version, or ROCm's (hip), cuDNN's and the driver's own
    line. What isn't there, or isn't told, is left out."""
    found: dict[str, str | int | None] = {"cuda": torch.version.cuda, "hip": torch.version.hip}
    with suppress(RuntimeError):  # it fits torch no more, and torch refuses it
        found["cudnn"] = torch.backends.cudnn.version()
    with suppress(OSError, IndexError):
        found["gpu-driver"] = " ".join(_DRIVER.read_text(encoding="utf-8", errors="replace").splitlines()[0].split())
    return {name: str(version) for name, version in found.items() if version is not None}


def gpu_count() -> int:
    """How many GPUs torch can use."""
    _why_no_gpu()  # asked first, or it is said on stderr and then no more
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def choose_device(request: str) -> Device:
    """`auto` takes the first GPU that computes, else the CPU, saying why; others are taken at their word.

    Raises DeviceError for one that is missing or doesn't compute.
    """
    if request == "auto":
        return _first_that_computes()
    if request == "cpu":
        return _cpu()
    if not re.fullmatch(r"cuda(:[0-9]+)?", request):
        raise DeviceError(f"device {request!r} is not known; use auto, cpu, cuda or cuda:N")
    gpus, name = _gpus(), "cuda:0" if request == "cuda" else request
    if name not in gpus:
        raise DeviceError(f"device {request!r} was asked for but {_there(len(gpus))}; use --device auto or cpu")
    return _gpu(gpus.index(name))


def cpu_instead(error: DeviceError) -> Device:
    """The CPU, for a run that may take any device; its description says why no GPU."""
    return _cpu(f"; {str(error).partition(';')[0]}")


def hidden_by() -> str:
    """CUDA_VISIBLE_DEVICES as it is set, in words, where it may be why torch sees fewer GPUs than there are; else "".

    Schedulers as SLURM set it to what a job was given, which may be none. A program that finds the GPUs it names and
    can't use them gives another reason.
    """
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "" if said is None or _why_no_gpu() else f"CUDA_VISIBLE_DEVICES is {said!r}"


def devices_for(request: str) -> list[str]:
    """What several workers share: every GPU where there are any and none was named, else what was asked for."""
    return (_gpus() if request in ("auto", "cuda") else []) or [request]


def _gpus() -> list[str]:
    """Their names. A number that a user gives is never made a torch.device: it has 8 bits there, and 256 is 0."""
    return [f"cuda:{index}" for index in range(gpu_count())]


def _there(count: int) -> str:
    hidden = hidden_by()
    if count:
        found = f"there are {count} CUDA devices" if count > 1 else "there is 1 CUDA device"
        return f"{found} ({hidden})" if hidden else found
    why = _why_none_is_seen() or hidden
    return f"torch can use no GPU ({why})" if why else "this machine has no CUDA device"


@cache
def _why_no_gpu() -> str:
    """What torch warns of where it can't use a GPU that is there, as of a driver too old for it; else "".

    torch warns only once in a process, at the first question whether there is a GPU.
    """
    with own_warnings("always", record=True) as said:
        torch.cuda.is_available()
    for text in (str(warning.message) for warning in said):
        _, found, reason = text.partition("CUDA initialization: ")
        if found:
            return reason.partition("\n")[0].partition(" (Triggered")[0].rstrip(".")
    return ""


def _why_none_is_seen() -> str:
    """Why torch sees no GPU though there may be one; "" where there is no driver of one, or torch doesn't say."""
    if (why := _why_no_gpu()) or not _DRIVER.exists():
        return why
    built = torch.version.cuda or torch.version.hip
    return hidden_by() if built else "this torch is built without CUDA"


def _first_that_computes() -> Device:
    why = "" if (count := gpu_count()) else _why_none_is_seen()
    for index in range(count):
        try:
            return _gpu(index)
        except DeviceError as error:
            why = why or str(error).partition(";")[0]
    return _cpu(f"; {why}" if why else "")


def _cpu_has(*instructions: str) -> bool:
    """Whether torch says so of any of them, from 2.6 on; an older one says nothing."""
    asked = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in instructions)
    return any(able is not None and able() for able in asked)


def _cpu(note: str = "") -> Device:
    return Device(torch.device("cpu"), f"cpu ({platform.machine()}, {torch.get_num_threads()} threads{note})")


def _gpu(index: int) -> Device:
    """Raises DeviceError where nothing can be computed on it: this torch has no code for it, say, or it is full."""
    device, name = torch.device("cuda", index), f"cuda:{index}"
    _compute_in_whole_float32()
    try:
        name = f"{name} ({torch.cuda.get_device_name(index)})"
        _try_out(device)
    except (RuntimeError, AssertionError, torch.cuda.DeferredCudaCallError) as error:
        reason = first_line(error)
        if is_out_of_memory(error):
            raise no_room("a network", reason, gpu=name) from error
        raise DeviceError(f"device {name} doesn't compute ({reason}); use another, or --device cpu") from error
    return Device(device, name)


def _compute_in_whole_float32() -> None:
    """Make float32 exact: the reference that fast answers are compared with must not be rounded to 10 bits.

    torch before 2.9 has only allow_tf32. In newer versions it leaves an operation without a precision of its own, so
    that a global setting would count; therefore each operation gets "ieee". allow_tf32 is set as well, because torch's
    compiler reads it and fails if the two differ. The precision of matrix products is set first, because it changes
    other settings, and torch can't report it later.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    with own_warnings("ignore"):  # 2.9 and newer call the older settings deprecated
        torch.set_float32_matmul_precision("highest")
        cudnn.allow_tf32 = matmul.allow_tf32 = False
    for operation in (getattr(cudnn, "conv", None), getattr(cudnn, "rnn", None), matmul):
        if hasattr(operation, "fp32_precision"):
            operation.fp32_precision = "ieee"


def _try_out(device: torch.device) -> None:
    """Raises RuntimeError where the GPU can't do what a network asks of it."""
    ones = torch.ones((1, 1, 3, 3), device=device)
    try:
        torch.nn.functional.conv2d(ones, ones).item()
    finally:
        torch.cuda.synchronize(device)  # raises what happened where cuDNN says only that it found no way
