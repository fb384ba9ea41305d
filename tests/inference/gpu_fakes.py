"""The CPU in a GPU's place, for lanes that know only GPUs."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor


class OnNoGpu:
    """A stream or an event that does nothing."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def wait_stream(self, other: "OnNoGpu") -> None: ...

    def record(self, stream: "OnNoGpu") -> None: ...

    def synchronize(self) -> None: ...


def without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams and events do nothing, as all is done when it is asked for; no memory can be pinned."""
    for name in ("Stream", "Event"):
        monkeypatch.setattr(torch.cuda, name, OnNoGpu)
    monkeypatch.setattr(torch.cuda, "current_stream", OnNoGpu)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: None)
    monkeypatch.setattr(torch, "empty", _without_pinned_memory)


_empty = torch.empty


def _without_pinned_memory(*shape: Any, pin_memory: bool = False, **more: Any) -> Tensor:
    if pin_memory:
        raise RuntimeError("CUDA error: out of memory")
    return _empty(*shape, **more)
