"""Lanes that PyTorch computes in.

On a CPU two single-threaded lanes beat one of two threads: no layer waits for the slower thread, which matters most
where the same cores read tiles. On a GPU copies run beside the computation.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nodescan.errors import first_line
from nodescan.inference.gpu_errors import gpu_errors, is_lost, is_out_of_memory, lost, no_room
from nodescan.inference.tile_streams import Answer, lane_count

_CHUNK_PX = 400_000
"""Small pictures, as in training, share a lane's turn up to so many pixels; a slide's tile has a turn of its own."""

_GOOD_BATCHES = 100
"""After so many batches that fitted, a halved batch size is doubled again, because memory may be free again. If it
isn't, one batch is begun twice."""


def as_pixels(tiles: NDArray[np.uint8]) -> Tensor:
    """uint8 (N, h, w, 3) as the network is fed, (N, 3, h, w), channels last in memory; copied only where locked."""
    return torch.from_numpy(np.require(tiles, requirements="W")).permute(0, 3, 1, 2)


class CpuLanes:
    """A thread for each lane; each tile is computed alone, so that its answer can't depend on the batch it came in."""

    def __init__(self, net: nn.Module, *, precision: str) -> None:
        threads = torch.get_num_threads()
        count = lane_count(threads)
        self.precision = precision
        self._net = net
        each = max(1, threads // count)
        # sets the lane's own threads and those of threads yet to come: whoever opens lanes in one is told the number
        self._pool = ThreadPoolExecutor(
            count, thread_name_prefix="lane", initializer=torch.set_num_threads, initargs=(each,)
        )

    def start(self, tiles: NDArray[np.uint8]) -> Answer:
        size = max(1, _CHUNK_PX // max(1, tiles.shape[1] * tiles.shape[2]))
        chunks = [tiles[first : first + size] for first in range(0, len(tiles), size)]
        answers: list[Future[NDArray[np.float32]]] = [self._pool.submit(self._answered, chunk) for chunk in chunks]
        return lambda: np.concatenate([answer.result() for answer in answers])

    def _answered(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return self._net(as_pixels(tiles)).numpy()


class CudaLanes:
    """Batches of one shape through pinned buffers: copied in, computed and copied out on streams of their own.

    A batch of fewer tiles is computed as one of the next power of two, or as large as one before it, whose buffers are
    there. If a batch doesn't fit into the GPU's memory, it and those after it are halved until many have fitted. Each
    tile is answered by itself, so but for rounding its answer doesn't depend on the batch. All batches are begun in one
    thread, whichever asks: cuDNN keeps how it computes a layer for each thread, and would find it out anew.
    """

    def __init__(self, net: nn.Module, device: torch.device, *, batch_size: int, precision: str) -> None:
        self.precision = precision
        self._net, self._device, self._batch_size = net, device, batch_size
        self._largest_batch, self._good = batch_size, 0
        self._copies, self._work = torch.cuda.Stream(device), torch.cuda.Stream(device)
        self._work.wait_stream(torch.cuda.current_stream(device))  # on which the weights were copied to the device
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gpu")
        self._slots: Iterator[_Slot] | None = None
        self._slots_of = 0
        self._shape: tuple[int, ...] = ()

    def start(self, tiles: NDArray[np.uint8]) -> Answer:
        """As Lanes'. Raises DeviceError where not even one tile fits into the GPU's memory, and DeviceLostError, as
        what it returns does, where the GPU fails."""
        return self._thread.submit(self._begun, tiles).result()

    def _begun(self, tiles: NDArray[np.uint8]) -> Answer:
        if self._good >= _GOOD_BATCHES and self._batch_size < self._largest_batch:
            self._resize(min(2 * self._batch_size, self._largest_batch))
        most = self._batch_size
        if len(tiles) > most:
            answers = [self._begun(tiles[first : first + most]) for first in range(0, len(tiles), most)]
            return lambda: np.concatenate([answer() for answer in answers])
        try:
            answer = self._started(tiles)
        except RuntimeError as error:
            if is_lost(error):
                raise lost(error) from error
            if not is_out_of_memory(error):
                raise
            why = first_line(error)
        else:
            self._good += 1
            return answer
        # Not while the error is handled: it holds on to the tensors of the batch that didn't fit.
        with gpu_errors("one tile"):
            torch.cuda.synchronize(self._device)
            torch.cuda.empty_cache()
        computed = self._slots_of
        if computed == 1:
            raise no_room("one tile", why)
        self._resize(computed // 2)
        return self._begun(tiles)

    def _resize(self, batch_size: int) -> None:
        self._batch_size, self._slots, self._good = batch_size, None, 0

    def _started(self, tiles: NDArray[np.uint8]) -> Answer:
        slot = next(self._slots_for(tiles))
        slot.settle()
        slot.fill(tiles)
        with torch.inference_mode():
            with torch.cuda.stream(self._copies):
                there = slot.pixels.to(self._device, non_blocking=True)
            self._work.wait_stream(self._copies)
            with torch.cuda.stream(self._work):
                there.record_stream(self._work)
                found = self._net(there.permute(0, 3, 1, 2))
                if slot.answers is None:
                    slot.answers = _pinned(found.shape, found.dtype)
                slot.answers.copy_(found, non_blocking=True)
                slot.ready.record(self._work)
        return slot.asked_for(len(tiles))

    def _slots_for(self, tiles: NDArray[np.uint8]) -> "Iterator[_Slot]":
        """Those for batches of the tiles' shape, and of as many at least."""
        if self._slots is None or self._shape != tiles.shape[1:] or self._slots_of < len(tiles):
            self._slots, self._shape = None, tiles.shape[1:]  # until there is memory for the new ones
            self._slots_of = min(self._batch_size, 1 << (len(tiles) - 1).bit_length())
            self._slots = cycle([_Slot((self._slots_of, *self._shape)) for _ in range(3)])
        return self._slots


class _Slot:
    """Pinned buffers of one batch under way. Its answers are taken out before it is used anew."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.pixels = _pinned(shape, torch.uint8)
        self.answers: Tensor | None = None
        self.ready = torch.cuda.Event(blocking=True)  # waited for asleep: the cores are for those who read tiles
        self._taken: list[NDArray[np.float32]] = []
        self._asked = 0

    def fill(self, tiles: NDArray[np.uint8]) -> None:
        """With the next batch; what is left of an earlier one behind it is computed, and not read.

        By NumPy: torch would wake a thread for each core, which then spin for a while beside those that read tiles.
        """
        np.copyto(self.pixels.numpy()[: len(tiles)], tiles)

    def asked_for(self, count: int) -> Answer:
        self._asked, self._taken = count, []
        taken = self._taken

        def wait() -> NDArray[np.float32]:
            if not taken:
                with gpu_errors("the answers of tiles"):
                    self.settle()
            return taken[0]

        return wait

    def settle(self) -> None:
        """Wait for the batch under way, and keep a copy of its answers for whoever asked."""
        if self._asked and self.answers is not None:
            self.ready.synchronize()
            self._taken.append(self.answers[: self._asked].numpy().copy())
            self._asked = 0


def _pinned(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A buffer that the device reads and writes by itself; where the system grants none, ordinary memory, slower."""
    try:
        return torch.empty(shape, dtype=dtype, pin_memory=True)
    except RuntimeError:
        return torch.empty(shape, dtype=dtype)
