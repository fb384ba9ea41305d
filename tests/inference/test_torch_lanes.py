"""Lanes of a GPU, as far as they can be tried without one."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nodescan.errors import DeviceError
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.torch_lanes import CudaLanes
from tests.gpu_fakes import OnNoGpu, without_a_gpu

CPU = torch.device("cpu")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    without_a_gpu(monkeypatch)


class Means(nn.Module):
    """Of each 16 px square's first colour; there is room for so many tiles. computed: the batches that were tried."""

    def __init__(self, room: int = 32) -> None:
        super().__init__()
        self.room = room
        self.computed: list[int] = []

    def forward(self, pixels: Tensor) -> Tensor:
        self.computed.append(len(pixels))
        if len(pixels) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return nn.functional.avg_pool2d(pixels[:, 0].float(), 16)


def means(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    return Means(len(tiles))(torch.from_numpy(tiles).permute(0, 3, 1, 2)).numpy()


@pytest.mark.usefixtures("no_gpu")
def test_lanes_of_a_gpu_do_without_memory_that_cannot_be_pinned() -> None:
    """The batch for which it is refused and those after it, of the same shape and another, are answered alike."""
    lanes = CudaLanes(Means(), CPU, batch_size=2)
    for side in (32, 32, 64):
        tiles = made_tiles(2, side)
        assert np.array_equal(lanes.start(tiles)(), means(tiles))


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("room", [1, 2, 3, 7, 11, 32])
def test_answers_do_not_depend_on_the_room_there_is(room: int) -> None:
    """Answers under way when the room ends, and those after it, are each in their place, in parts that fit."""
    net = Means()
    lanes, tiles = CudaLanes(net, CPU, batch_size=32), made_tiles(70, 32)
    before = lanes.start(tiles[:7])
    net.room = room
    after = [lanes.start(tiles[7:40]), lanes.start(tiles[40:])]
    assert np.array_equal(np.concatenate([answer() for answer in (before, *after)]), means(tiles))


@pytest.mark.usefixtures("no_gpu")
def test_the_size_that_fits_is_remembered() -> None:
    """Halved until it does, and not tried again with more."""
    net = Means(room=3)
    lanes, tiles = CudaLanes(net, CPU, batch_size=8), made_tiles(4, 32)
    lanes.start(tiles)()
    lanes.start(tiles)()
    assert net.computed == [8, 4, 2, 2, 2, 2]


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_without_room_for_one_tile_is_an_error() -> None:
    """There is nothing left to halve, and something to do about it."""
    with pytest.raises(DeviceError, match=r"^the GPU has no room for one tile; end other programs on it"):
        CudaLanes(Means(room=0), CPU, batch_size=4).start(made_tiles(2, 32))


@pytest.mark.usefixtures("no_gpu")
def test_answers_are_waited_for_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that asks a GPU again and again takes a core from those that read tiles."""
    asked: list[dict[str, object]] = []

    def event(**how: object) -> OnNoGpu:
        asked.append(how)
        return OnNoGpu()

    monkeypatch.setattr(torch.cuda, "Event", event)
    CudaLanes(Means(), CPU, batch_size=1).start(made_tiles(1, 32))()
    assert asked
    assert all(how == {"blocking": True} for how in asked)


@pytest.mark.usefixtures("no_gpu")
def test_other_errors_are_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only want of memory is cured by halving."""
    net = Means()

    def broken(pixels: Tensor) -> Tensor:
        net.computed.append(len(pixels))
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(net, "forward", broken)
    with pytest.raises(RuntimeError, match="unspecified"):
        CudaLanes(net, CPU, batch_size=4).start(made_tiles(4, 32))
    assert net.computed == [4]
