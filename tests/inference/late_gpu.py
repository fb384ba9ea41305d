"""A GPU made up of queues, which works when it likes: what a lane doesn't wait for, or gives back early, is wrong."""

import random
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

DEVICE = torch.device("cuda", 0)

_SPOILT = 251
"""What stands in memory that was never written, or was given back."""


class LateGpu:
    """In the place of CUDA. Between calls it does as much as chance has it do, some streams before others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
        self.streams: list[LateStream] = []
        self._chance, self._at_work = random.Random(seed), False
        self._most = self._chance.choice((0, 1, 3, 20))
        self.current = LateStream(self)
        monkeypatch.setattr(torch.cuda, "Stream", lambda _device: LateStream(self))
        monkeypatch.setattr(torch.cuda, "Event", lambda **_: LateEvent(self))
        monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: self.current)
        monkeypatch.setattr(torch.cuda, "stream", self._on)
        monkeypatch.setattr(torch.cuda, "synchronize", self._work_off)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
        monkeypatch.setattr(torch.Tensor, "to", self._sent(torch.Tensor.to))
        monkeypatch.setattr(torch.Tensor, "copy_", self._fetched(torch.Tensor.copy_))

    def empty(self, shape: Any, dtype: torch.dtype) -> "LateTensor":
        """Memory for what the current stream is to write."""
        return LateTensor(torch.full(tuple(shape), _SPOILT, dtype=dtype), self.current)

    def work_a_while(self) -> None:
        for _ in range(self._chance.randint(0, self._most)):
            if not self._step():
                return

    def work_until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            assert self._step(), "what is waited for never comes"

    def _work_off(self, _device: torch.device) -> None:
        all_reached = [stream.reached() for stream in self.streams]
        self.work_until(lambda: all(reached() for reached in all_reached))

    def _step(self) -> bool:
        able = [stream for stream in self.streams if stream.able]
        if self._at_work or not able:
            return False
        self._at_work = True
        with torch.inference_mode():  # in which the buffers of answers are made
            (self._chance.choice(able) if self._chance.random() < 0.3 else able[0]).step()
        self._at_work = False
        return True

    @contextmanager
    def _on(self, stream: "LateStream") -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before

    def _sent(self, to: Callable[..., Any]) -> Callable[..., Any]:
        """Tensor.to(), from the CPU's memory to this GPU, without waiting."""

        def sent(tensor: Tensor, *where: Any, **how: Any) -> Any:
            if where != (DEVICE,):
                return to(tensor, *where, **how)
            assert how == {"non_blocking": True}
            there = self.empty(tensor.shape, tensor.dtype)
            values = there.values
            self.current.put(lambda: values.copy_(tensor))
            return there

        return sent

    def _fetched(self, copy: Callable[..., Any]) -> Callable[..., Any]:
        """Tensor.copy_(), from this GPU, without waiting."""

        def fetched(tensor: Tensor, source: Any, **how: Any) -> Any:
            if isinstance(source, Tensor):
                return copy(tensor, source, **how)
            assert how == {"non_blocking": True}
            values = source.values
            self.current.put(lambda: copy(tensor, values))
            return tensor

        return fetched


class LateStream:
    """Pieces of work, one after another, each begun once something is reached."""

    def __init__(self, gpu: LateGpu) -> None:
        self._gpu = gpu
        self._waiting: deque[tuple[Callable[[], bool], Callable[[], object]]] = deque()
        self._asked = self._done = 0
        gpu.streams.append(self)

    def put(self, work: Callable[[], object], *, once: Callable[[], bool] = lambda: True) -> None:
        self._waiting.append((once, work))
        self._asked += 1
        self._gpu.work_a_while()

    def reached(self) -> Callable[[], bool]:
        """Says later on whether all is done that it was asked for until now."""
        mark = self._asked
        return lambda: self._done >= mark

    def wait_stream(self, other: "LateStream") -> None:
        self.put(lambda: None, once=other.reached())

    @property
    def able(self) -> bool:
        return bool(self._waiting) and self._waiting[0][0]()

    def step(self) -> None:
        _, work = self._waiting.popleft()
        work()
        self._done += 1


class LateEvent:
    def __init__(self, gpu: LateGpu) -> None:
        self._gpu = gpu
        self._reached: Callable[[], bool] = lambda: True

    def record(self, stream: LateStream) -> None:
        self._reached = stream.reached()

    def synchronize(self) -> None:
        self._gpu.work_until(self._reached)


class LateTensor:
    """Memory of the GPU. Once nobody holds it, the stream that it was made on writes to it, when all is done that the
    streams it was recorded for were asked for by then."""

    def __init__(self, values: Tensor, stream: LateStream, *, view_of: "LateTensor | None" = None) -> None:
        self.values, self._stream, self._view_of = values, stream, view_of
        self.shape, self.dtype = values.shape, values.dtype
        self._recorded: list[LateStream] = []
        if view_of is None:
            weakref.finalize(self, _given_back, values, stream, self._recorded)

    def record_stream(self, stream: LateStream) -> None:
        self._recorded.append(stream)

    def permute(self, *axes: int) -> "LateTensor":
        return LateTensor(self.values.permute(*axes), self._stream, view_of=self)


def _given_back(values: Tensor, stream: LateStream, recorded: list[LateStream]) -> None:
    marks = [other.reached() for other in recorded]
    stream.put(lambda: values.fill_(_SPOILT), once=lambda: all(reached() for reached in marks))


class LateNet(nn.Module):
    """A network on that GPU, which has room for so many tiles at a time."""

    def __init__(self, gpu: LateGpu, net: nn.Module, *, room: int) -> None:
        super().__init__()
        self._gpu, self._net, self._room = gpu, net, room

    def forward(self, pixels: LateTensor) -> LateTensor:
        if len(pixels.values) > self._room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        fed = pixels.values
        found = self._gpu.empty(self._net(torch.zeros_like(fed)).shape, torch.float32)
        values = found.values
        self._gpu.current.put(lambda: values.copy_(self._net(fed)))
        return found
