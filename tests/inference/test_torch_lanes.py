"""Lanes of a GPU, as far as they can be tried without one."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.torch_lanes import CudaLanes


class OnNoGpu:
    """A stream or an event that does nothing."""

    def __init__(self, *_: object) -> None: ...

    def wait_stream(self, other: "OnNoGpu") -> None: ...

    def record(self, stream: "OnNoGpu") -> None: ...

    def synchronize(self) -> None: ...


def test_lanes_of_a_gpu_do_without_memory_that_cannot_be_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch for which it is refused and those after it, of the same shape and another, are answered alike."""
    empty, asked = torch.empty, []

    def refused(*shape: Any, pin_memory: bool = False, **more: Any) -> Tensor:
        if pin_memory:
            asked.append(shape)
            raise RuntimeError("CUDA error: out of memory")
        return empty(*shape, **more)

    for name in ("Stream", "Event"):
        monkeypatch.setattr(torch.cuda, name, OnNoGpu)
    monkeypatch.setattr(torch.cuda, "current_stream", OnNoGpu)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: None)
    monkeypatch.setattr(torch, "empty", refused)
    net = nn.AvgPool2d(16)
    lanes = CudaLanes(nn.Sequential(InFloat32(), net), torch.device("cpu"), batch_size=2)
    for side in (32, 32, 64):
        tiles = made_tiles(2, side)
        expected = net(torch.from_numpy(tiles).float().permute(0, 3, 1, 2)).numpy()
        assert np.array_equal(lanes.start(tiles)(), expected)
    assert asked


class InFloat32(nn.Module):
    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.float()
