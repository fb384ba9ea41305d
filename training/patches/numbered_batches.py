"""Batches that are a function of their number: the same for any number of workers, and after a resume."""

import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from math import ceil
from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from nodescan.errors import UsageError
from training.patches.augment import AugmentSettings, augmented, blended, context_swapped

_TELL_EVERY_S = 30.0
_VALIDATION_BATCH = 256
"""Patches of a validation batch, at most."""


class Batch(NamedTuple):
    """patches : float32 (N, 3, P, P) in [0, 1], labels (N,); tiles : float32 (M, 3, T, T), cells (M, n, n).

    Of a tuple a DataLoader pins each part, and Lightning moves it to a GPU beside that one's work.
    """

    patches: Tensor
    labels: Tensor
    tiles: Tensor
    cells: Tensor


def made_batch(
    patches: tuple[np.ndarray, np.ndarray],
    tiles: tuple[np.ndarray, np.ndarray],
    settings: AugmentSettings,
    generator: torch.Generator,
    *,
    shown: Callable[[Tensor], Tensor] = lambda image: image,
) -> Batch:
    """Patches, uint8 (N, S, S, 3), with labels, and tiles with cells, changed at random. shown: what of patches is."""
    pixels, labels, tile_pixels, cells = map(torch.from_numpy, (*patches, *tiles))
    image = shown(augmented(context_swapped(pixels, settings.context_share, generator), settings, generator))
    image, labels = blended(image, labels.float(), settings, generator)
    return Batch(image, labels, augmented(tile_pixels, settings.in_place(), generator), cells)


class NumberedBatches(IterableDataset[Batch]):
    """Batches by number, without end; workers take turns, so that the order stays. len: batches of an epoch.

    start: number of the first batch of the next iteration.
    """

    start = 0

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def batch(self, number: int) -> Batch:
        """The batch of that number."""

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number, step = (self.start, 1) if worker is None else (self.start + worker.id, worker.num_workers)
        while True:
            yield self.batch(number)
            number += step


class ResumableLoader(DataLoader[Batch]):
    """Hands out an epoch of batches and knows how many it has handed out in all; says now and then how fast it is.

    position: how many batches were trained on, asked when the first batch is wanted. Lightning makes loaders before it
    restores its loops (a schedule asks for their length), so what it knew earlier would be wrong after a resume.
    pinned: batches lie in memory that a GPU fetches by itself.
    """

    def __init__(
        self,
        batches: NumberedBatches,
        *,
        workers: int,
        position: Callable[[], int] | None = None,
        tell_every_s: float = _TELL_EVERY_S,
        pinned: bool = False,
    ) -> None:
        # Its own generator: else starting workers would draw from the global one, which dropout needs undisturbed.
        generator = torch.Generator()
        super().__init__(
            batches,
            batch_size=None,
            num_workers=workers,
            generator=generator,
            pin_memory=pinned,
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,  # others copy all patches
        )
        self.batches, self.position = batches, position
        self.step = 0
        self.tell_every_s = tell_every_s

    def __iter__(self) -> Iterator[Batch]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.position is not None:
            self.step = self.position()
        self.batches.start = self.step
        coming = super().__iter__()
        told, waited, handed = time.monotonic(), 0.0, 0
        for _ in range(len(self)):
            asked = time.monotonic()
            batch = next(coming)
            waited += time.monotonic() - asked
            handed += len(batch.patches) + len(batch.tiles)
            self.step += 1
            if time.monotonic() - told >= self.tell_every_s:
                seconds = time.monotonic() - told
                share = f"training waited {100 * waited / seconds:.0f} % of the time"
                print(f"sampler: {handed / seconds:.0f} patches/s, {share}", flush=True)
                told, waited, handed = time.monotonic(), 0.0, 0
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = int(state["step"])


def resumable_loader(batches: NumberedBatches, trainer: lightning.Trainer | None, *, workers: int) -> ResumableLoader:
    """A loader that goes on where the trainer stands; from the beginning without one."""
    if trainer is None:
        return ResumableLoader(batches, workers=workers)
    progress = trainer.fit_loop.epoch_loop.batch_progress
    return ResumableLoader(batches, workers=workers, position=lambda: progress.total.completed, pinned=for_gpu(trainer))


class ValidationBatches(IterableDataset[tuple[Tensor, Tensor]]):
    """A process' share of the validation patches, in their order: each patch is in one process, once.

    Lightning would hand each process equally many patches, some of them twice, and their scores would not be those of
    one process. All processes have equally many batches: before each, the network's statistics are sent round.
    """

    def __init__(self, patches: tuple[Tensor, Tensor], *, rank: tuple[int, int] = (0, 1)) -> None:
        """rank: this process' number, and how many there are. Raises UsageError for fewer patches than processes."""
        number, processes = rank
        count = len(patches[0])
        if count < processes:
            raise UsageError(f"{count} validation patches are too few for {processes} processes, which share them out")
        batches = ceil(ceil(count / processes) / _VALIDATION_BATCH)
        shares = (part.tensor_split(processes)[number] for part in patches)
        self.batches = list(zip(*(share.tensor_split(batches) for share in shares), strict=True))

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.batches)


def validation_loader(patches: tuple[Tensor, Tensor], trainer: lightning.Trainer | None) -> DataLoader[Any]:
    """Of pixels, uint8 (N, S, S, 3), and labels, bool (N,), in their order; of several processes each its share."""
    rank = (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)
    batches = ValidationBatches(patches, rank=rank)
    return DataLoader(batches, batch_size=None, generator=torch.Generator(), pin_memory=for_gpu(trainer))


def for_gpu(trainer: lightning.Trainer | None) -> bool:
    """Whether the trainer trains on a GPU of CUDA; what is pinned for another device only costs memory."""
    return trainer is not None and trainer.strategy.root_device.type == "cuda"
