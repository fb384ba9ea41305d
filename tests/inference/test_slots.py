"""Which device a slot takes."""

from pathlib import Path

import pytest
import torch
from torch import nn

from nodescan.errors import DeviceError
from nodescan.inference import device as device_module
from nodescan.inference import predictor, slots
from nodescan.inference.random_model import random_model
from nodescan.inference.slots import open_in_slot


@pytest.mark.parametrize(
    ("request_", "gpus", "devices", "advised"),
    [
        ("auto", 3, ["cuda:0", "cuda:1", "cuda:2", "cuda:0"], 3),
        ("cuda", 2, ["cuda:0", "cuda:1", "cuda:0", "cuda:1"], 2),
        ("cuda:1", 3, ["cuda:1"] * 4, 1),
        ("cpu", 3, ["cpu"] * 4, 1),
        ("auto", 0, ["auto"] * 4, 1),
        ("cuda", 0, ["cuda"] * 4, 1),
    ],
)
def test_each_slot_has_a_gpu_while_there_are_any(
    monkeypatch: pytest.MonkeyPatch, request_: str, gpus: int, devices: list[str], advised: int
) -> None:
    """In turn where there are more slots than GPUs; a device asked for by number is everybody's."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(slots, "open_without_torch", lambda *_, **__: None)
    monkeypatch.setattr(predictor, "open_predictor", lambda folder, *, device, precision: device)
    assert [open_in_slot(Path(), device=request_, slot=slot) for slot in range(4)] == [
        (device, advised) for device in devices
    ]


def test_a_slot_whose_gpu_does_not_compute_takes_another_under_auto_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that was asked for is never replaced in silence."""

    def open_predictor(folder: Path, *, device: str, precision: str) -> str:
        if device == "cuda:1":
            raise DeviceError("device cuda:1 doesn't compute")
        return device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(slots, "open_without_torch", lambda *_, **__: None)
    monkeypatch.setattr(predictor, "open_predictor", open_predictor)
    assert [open_in_slot(Path(), device="auto", slot=slot)[0] for slot in range(2)] == ["cuda:0", "auto"]
    with pytest.raises(DeviceError):
        open_in_slot(Path(), device="cuda", slot=1)


FULL = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has 139 GiB."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.mark.parametrize("error", FULL, ids=str)
def test_a_gpu_that_fills_up_while_the_model_is_opened_is_passed_over_under_auto_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: RuntimeError
) -> None:
    """It can do the small sum that is tried first; the CPU's description says why it isn't used."""
    folder = random_model(tmp_path / "model", "p4m-small", core_px=64)
    to = nn.Module.to

    def only_to_cpu(net: nn.Module, where: torch.device, **how: object) -> nn.Module:
        if where.type == "cuda":
            raise error
        return to(net, where, **how)

    monkeypatch.setattr(nn.Module, "to", only_to_cpu)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "NVIDIA H200")
    monkeypatch.setattr(device_module, "_try_out", lambda device: None)
    monkeypatch.setattr(slots, "open_without_torch", lambda *_, **__: None)
    said = f"the GPU has no room for the network ({str(error).partition('. ')[0]})"
    opened, _ = open_in_slot(folder, device="auto", slot=0)
    assert opened.device.startswith("cpu (")
    assert opened.device.endswith(f"; {said})")
    with pytest.raises(DeviceError) as raised:
        open_in_slot(folder, device="cuda", slot=0)
    assert str(raised.value) == f"{said}; end other programs on it, or use --device cpu"
