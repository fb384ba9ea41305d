"""Which device a slot takes."""

from pathlib import Path

import pytest
import torch

from nodescan.errors import DeviceError
from nodescan.inference import predictor, slots
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
