"""Lanes of a GPU, as far as they can be tried without one."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from threading import get_ident

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nodescan.errors import DeviceError, DeviceLostError, first_line
from nodescan.inference import torch_streams
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.tile_streams import Answer
from nodescan.inference.torch_streams import CudaLanes
from tests.inference.gpu_fakes import OnNoGpu, without_a_gpu
from tests.inference.late_gpu import DEVICE, LateGpu, LateNet

CPU = torch.device("cpu")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    without_a_gpu(monkeypatch)


class Means(nn.Module):
    """Of each 16 px square's first colour; there is room for so many tiles. computed: the batches that were tried."""

    def __init__(self, room: int = 32, *, error: RuntimeError | None = None) -> None:
        super().__init__()
        self.room = room
        self.error = error or torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")
        self.computed: list[int] = []

    def forward(self, pixels: Tensor) -> Tensor:
        self.computed.append(len(pixels))
        if len(pixels) > self.room:
            raise self.error
        return nn.functional.avg_pool2d(pixels[:, 0].float(), 16)


def means(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    return Means(len(tiles))(torch.from_numpy(tiles).permute(0, 3, 1, 2)).numpy()


@pytest.mark.usefixtures("no_gpu")
def test_lanes_of_a_gpu_do_without_memory_that_cannot_be_pinned() -> None:
    """The batch for which it is refused and those after it, of the same shape and another, are answered alike."""
    lanes = CudaLanes(Means(), CPU, batch_size=2, precision="float32")
    for side in (32, 32, 64):
        tiles = made_tiles(2, side)
        assert np.array_equal(lanes.start(tiles)(), means(tiles))


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("room", [1, 2, 3, 7, 11, 32])
def test_answers_do_not_depend_on_the_room_there_is(room: int) -> None:
    """Answers under way when the room ends, and those after it, are each in their place, in parts that fit."""
    net = Means()
    lanes, tiles = CudaLanes(net, CPU, batch_size=32, precision="float32"), made_tiles(70, 32)
    before = lanes.start(tiles[:7])
    net.room = room
    after = [lanes.start(tiles[7:40]), lanes.start(tiles[40:])]
    assert np.array_equal(np.concatenate([answer() for answer in (before, *after)]), means(tiles))


@pytest.mark.parametrize("room", [2, 8])
@pytest.mark.parametrize("seed", range(25))
def test_answers_are_right_however_late_a_gpu_works(monkeypatch: pytest.MonkeyPatch, seed: int, room: int) -> None:
    """Copies, computing and the host each wait for what they need, and for nothing else's end: as a scan hands batches
    over, and all at once, of one size of tiles and another."""
    gpu = LateGpu(monkeypatch, seed)
    lanes = CudaLanes(LateNet(gpu, Means(), room=room), DEVICE, batch_size=4, precision="float32")
    for side, at_once in ((32, 2), (48, 9), (32, 1)):
        tiles = made_tiles(26, side, seed=seed)
        under_way: deque[tuple[int, Answer]] = deque()
        for first in range(0, len(tiles), 3):
            room_for_them = tiles[first : first + 3].copy()
            under_way.append((first, lanes.start(room_for_them)))
            room_for_them[:] = 0  # as a scan, which lays the next tiles there
            if len(under_way) == at_once:
                check_means(tiles, *under_way.popleft())
        for first, answer in under_way:
            check_means(tiles, first, answer)


def check_means(tiles: NDArray[np.uint8], first: int, answer: Answer) -> None:
    assert np.array_equal(answer(), means(tiles[first : first + 3]))


@pytest.mark.usefixtures("no_gpu")
def test_the_size_that_fits_is_remembered() -> None:
    """Halved until it does, and not tried with more at once."""
    net = Means(room=3)
    lanes, tiles = CudaLanes(net, CPU, batch_size=8, precision="float32"), made_tiles(4, 32)
    lanes.start(tiles)()
    lanes.start(tiles)()
    assert net.computed == [4, 2, 2, 2, 2]


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_computes_for_all_slides_in_one_thread() -> None:
    """In others it would find out anew how to compute each layer; an error reaches whoever asked."""
    threads: set[int] = set()
    net = Means()
    net.register_forward_pre_hook(lambda *_: threads.add(get_ident()))
    lanes, tiles = CudaLanes(net, CPU, batch_size=8, precision="float32"), made_tiles(9, 32)
    for _ in range(2):
        with ThreadPoolExecutor(1) as slide:
            assert np.array_equal(slide.submit(lanes.start, tiles).result()(), means(tiles))
    assert len(threads) == 1
    assert get_ident() not in threads
    net.room = 0
    with pytest.raises(DeviceError, match="one tile"):
        lanes.start(tiles)


@pytest.mark.usefixtures("no_gpu")
def test_few_tiles_are_not_computed_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """One picture takes the work and the pinned memory of one, not of 32; a slide's last few use what is there."""
    pinned: list[int] = []
    monkeypatch.setattr(torch_streams, "_pinned", lambda shape, dtype: pinned.append(shape[0]) or torch.zeros(shape))
    net = Means()
    lanes = CudaLanes(net, CPU, batch_size=32, precision="float32")
    for count, side in ((1, 64), (3, 32), (2, 32), (5, 32), (40, 32), (3, 32), (1, 64)):
        tiles = made_tiles(count, side)
        assert np.array_equal(lanes.start(tiles)(), means(tiles))
    assert net.computed == [1, 4, 4, 8, 32, 32, 32, 1]
    assert list(dict.fromkeys(pinned)) == [1, 4, 8, 32]
    assert pinned[-1] == 1


@pytest.mark.usefixtures("no_gpu")
def test_the_size_grows_back_once_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubled after so many batches that went well, up to the first size; halved again where there still is none."""
    monkeypatch.setattr(torch_streams, "_GOOD_BATCHES", 3)
    net = Means(room=2)
    lanes, tiles = CudaLanes(net, CPU, batch_size=7, precision="float32"), made_tiles(7, 32)
    assert np.array_equal(lanes.start(tiles)(), means(tiles))
    assert net.computed == [7, 3, 1, 1, 1, 2, 2, 2]  # three single tiles went well, and so do two at a time
    net.computed = []
    assert np.array_equal(lanes.start(tiles)(), means(tiles))
    assert net.computed == [4, 2, 2, 2, 1]  # four are tried, for which there is no room yet
    net.room, net.computed = 32, []
    waiting = [lanes.start(tiles) for _ in range(4)]
    assert all(np.array_equal(answer(), means(tiles)) for answer in waiting)
    assert net.computed[-1] == 7
    assert max(net.computed) == 7


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError('NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/c10/CUDACachingAllocator.cpp":1154, please report'),
        getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: out of memory\nSearch for `cudaErrorMemory...'"),
    ],
    ids=str,
)
def test_want_of_memory_has_many_names(error: RuntimeError) -> None:
    """A batch is halved whichever of the libraries found no room; where one tile has none, it is said which."""
    net, tiles = Means(room=3, error=error), made_tiles(4, 32)
    assert np.array_equal(CudaLanes(net, CPU, batch_size=8, precision="float32").start(tiles)(), means(tiles))
    assert net.computed == [4, 2, 2]
    net.room = 0
    with pytest.raises(DeviceError) as raised:
        CudaLanes(net, CPU, batch_size=2, precision="float32").start(tiles)
    said = str(error).partition("\n")[0].partition(". ")[0]
    assert str(raised.value).startswith(f"the GPU has no room for one tile ({said}); end other programs on it")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.filterwarnings("error")
def test_tiles_may_be_turned_or_locked() -> None:
    """As for lanes on a CPU: an array that can't be written to, or that runs backwards."""
    tiles = made_tiles(3, 32)
    locked = tiles.copy()
    locked.flags.writeable = False
    lanes = CudaLanes(Means(), CPU, batch_size=4, precision="float32")
    assert np.array_equal(lanes.start(locked)(), means(tiles))
    assert np.array_equal(lanes.start(tiles[::-1, ::-1])(), means(tiles[::-1, ::-1].copy()))


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_without_room_for_one_tile_is_an_error() -> None:
    """There is nothing left to halve, and something to do about it."""
    with pytest.raises(
        DeviceError, match=r"^the GPU has no room for one tile \(CUDA out of memory\); end other programs"
    ):
        CudaLanes(Means(room=0), CPU, batch_size=4, precision="float32").start(made_tiles(2, 32))


@pytest.mark.usefixtures("no_gpu")
def test_answers_are_waited_for_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that asks a GPU again and again takes a core from those that read tiles."""
    asked: list[dict[str, object]] = []

    def event(**how: object) -> OnNoGpu:
        asked.append(how)
        return OnNoGpu()

    monkeypatch.setattr(torch.cuda, "Event", event)
    CudaLanes(Means(), CPU, batch_size=1, precision="float32").start(made_tiles(1, 32))()
    assert asked
    assert all(how == {"blocking": True} for how in asked)


LOST = [
    RuntimeError("CUDA error: unspecified launch failure\nSearch for `cudaErrorLaunchFailure' in ..."),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: an illegal memory access was encountered"),
]
"""What a GPU fails with that isn't want of memory; torch before 2.8 has no class of its own for it."""


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("error", LOST, ids=str)
def test_a_gpu_that_fails_is_told_as_such_and_not_tried_again(error: RuntimeError) -> None:
    """Only want of memory is cured by halving; the first line alone is said, with what to do."""
    net = Means(room=0, error=error)
    with pytest.raises(DeviceLostError) as raised:
        CudaLanes(net, CPU, batch_size=4, precision="float32").start(made_tiles(4, 32))
    assert net.computed == [4]
    assert raised.value.reason == f"the GPU failed ({first_line(error)})"
    assert str(raised.value).endswith("; look at it with nvidia-smi and run again, or use --device cpu")


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("error", LOST, ids=str)
def test_a_gpu_that_fails_later_is_told_as_such_where_it_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, error: RuntimeError
) -> None:
    """CUDA tells of a failure at whatever call comes next: the wait for the answers, or the next batch's."""

    def synchronize(_: OnNoGpu) -> None:
        raise error

    lanes, tiles = CudaLanes(Means(), CPU, batch_size=1, precision="float32"), made_tiles(3, 32)
    answer = lanes.start(tiles)
    monkeypatch.setattr(OnNoGpu, "synchronize", synchronize)
    with pytest.raises(DeviceLostError, match=r"^the GPU failed \("):
        answer()
    with pytest.raises(DeviceLostError, match=r"^the GPU failed \("):
        lanes.start(tiles)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("error", LOST, ids=str)
def test_a_gpu_that_fails_while_cudnn_looks_for_a_way_is_not_taken_for_a_full_one(
    monkeypatch: pytest.MonkeyPatch, error: RuntimeError, count: int
) -> None:
    """cuDNN says the same of both; the next call tells of the failure, and no smaller batch is tried."""

    def fail(*_: object) -> None:
        raise error

    net = Means(room=0, error=RuntimeError("GET was unable to find an engine to execute this computation"))
    lanes = CudaLanes(net, CPU, batch_size=4, precision="float32")
    for name in ("synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, fail)
    with pytest.raises(DeviceLostError) as raised:
        lanes.start(made_tiles(count, 32))
    assert net.computed == [count]
    assert raised.value.reason == f"the GPU failed ({first_line(error)})"


@pytest.mark.usefixtures("no_gpu")
def test_errors_that_are_not_the_gpus_are_passed_on() -> None:
    """What torch says of wrong shapes is a defect, and says so."""
    net = Means(room=0, error=RuntimeError("Expected 3D or 4D input to conv2d"))
    with pytest.raises(RuntimeError, match="Expected 3D"):
        CudaLanes(net, CPU, batch_size=4, precision="float32").start(made_tiles(4, 32))
    assert net.computed == [4]
