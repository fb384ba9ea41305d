"""Training batches straight from slides: the same for any number of workers, and after a resume."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, get_worker_info

from nodescan.errors import UsageError
from training.augment import AugmentSettings, augmented, context_swapped
from training.datamodule import Batch
from training.mosaics import IGNORED
from training.sampler import SamplePlan, SlideSampler

PATCH_PX = 96
_TELL_EVERY_S = 30.0
_VALIDATION_STREAM = 1 << 32
_DRAWS = 100


@dataclass(frozen=True, slots=True)
class SlideBatchPlan:
    """How a batch is made up: lone patches and larger tiles. batches: of an epoch, which has no natural end here.

    valid_patches: drawn once from the validation slides. margin_px: the network's own.
    """

    patches: int = 64
    tiles: int = 8
    tile_px: int = 192
    batches: int = 1000
    valid_patches: int = 4096
    margin_px: int = 32
    seed: int = 0


class SlideBatches(IterableDataset[Batch]):
    """Batch number k of a rank is a function of (seed, rank, k) alone; workers take turns, so that order stays.

    start: number of the first batch of the next iteration. There is no last one.
    """

    def __init__(self, sampler: SlideSampler, plan: SlideBatchPlan, augment: AugmentSettings, *, rank: int = 0) -> None:
        self.sampler, self.plan, self.augment, self.rank = sampler, plan, augment, rank
        self.start = 0

    def __len__(self) -> int:
        return self.plan.batches

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number, step = (self.start, 1) if worker is None else (self.start + worker.id, worker.num_workers)
        while True:
            yield self.batch(number)
            number += step

    def batch(self, number: int) -> Batch:
        """The batch of that number."""
        rng = np.random.default_rng((self.plan.seed, self.rank, number))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        patches = [self.sampler.patch(self.sampler.draw(rng), PATCH_PX) for _ in range(self.plan.patches)]
        tiles = [self._tile(rng) for _ in range(self.plan.tiles)]
        pixels = torch.from_numpy(np.stack([patch for patch, _ in patches]))
        tile_pixels = torch.from_numpy(np.stack([tile for tile, _ in tiles]))
        still = AugmentSettings(**{**_fields(self.augment), "affine_share": 0.0})  # labels lie on the tile's own grid
        return Batch(
            augmented(context_swapped(pixels, self.augment.context_share, generator), self.augment, generator),
            torch.tensor([float(tumour) for _, tumour in patches]),
            augmented(tile_pixels, still, generator),
            torch.from_numpy(np.stack([cells for _, cells in tiles])),
        )

    def _tile(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A tile with at least one cell whose label is known: a loss over none would be no number."""
        for _ in range(_DRAWS):
            place = self.sampler.draw(rng)
            pixels, cells = self.sampler.tile(place, self.plan.tile_px, margin_px=self.plan.margin_px)
            if (cells != IGNORED).any():
                return pixels, cells
        raise UsageError(f"{self.sampler.folder}: {_DRAWS} tiles in a row held no cell whose label is known")


class ResumableLoader(DataLoader[Batch]):
    """Hands out an epoch of batches and knows how many it has handed out in all; says now and then how fast it is.

    position: how many batches were trained on, asked when the first batch is wanted. Lightning makes loaders before it
    restores its loops (a schedule asks for their length), so what it knew earlier would be wrong after a resume.
    """

    def __init__(
        self,
        batches: SlideBatches,
        *,
        workers: int,
        position: Callable[[], int] | None = None,
        tell_every_s: float = _TELL_EVERY_S,
    ) -> None:
        # Its own generator: else starting workers would draw from the global one, which dropout needs undisturbed.
        super().__init__(batches, batch_size=None, num_workers=workers, generator=torch.Generator())
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
                print(f"sampler: {handed / seconds:.0f} patches/s from slides, {share}", flush=True)
                told, waited, handed = time.monotonic(), 0.0, 0
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step = int(state["step"])


class SlideData(lightning.LightningDataModule):
    """Patches and tiles from the slides of a sampling index; its validation slides give the validation patches.

    Args:
        index: folder that python -m training prepare wrote.
        workers: processes that read; 0: the training process itself.
        hard_negatives: boxes that python -m training mine wrote; none in a first run.
    """

    def __init__(  # noqa: PLR0913, PLR0917  these are the keys of `data:` in a training configuration
        self,
        index: Path,
        plan: SlideBatchPlan,
        sample: SamplePlan,
        augment: AugmentSettings,
        workers: int = 0,
        hard_negatives: Path | None = None,
    ) -> None:
        super().__init__()
        self.index, self.plan, self.sample, self.augment = Path(index), plan, sample, augment
        self.workers, self.hard_negatives = workers, hard_negatives

    def setup(self, stage: str) -> None:
        self.valid = _drawn_once(SlideSampler(self.index, "valid", self.sample), self.plan)
        if stage == "fit":
            self.sampler = SlideSampler(self.index, "train", self.sample, hard_negatives=self.hard_negatives)

    def train_dataloader(self) -> ResumableLoader:
        trainer = self.trainer
        if trainer is None:
            return ResumableLoader(SlideBatches(self.sampler, self.plan, self.augment), workers=self.workers)
        batches = SlideBatches(self.sampler, self.plan, self.augment, rank=trainer.global_rank)
        progress = trainer.fit_loop.epoch_loop.batch_progress
        return ResumableLoader(batches, workers=self.workers, position=lambda: progress.total.completed)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(*self.valid), batch_size=256, generator=torch.Generator())

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        if isinstance(batch, Batch):
            return Batch(*(getattr(batch, name).to(device) for name in Batch.__dataclass_fields__))
        return super().transfer_batch_to_device(batch, device, dataloader_idx)


def _drawn_once(sampler: SlideSampler, plan: SlideBatchPlan) -> tuple[Tensor, Tensor]:
    """uint8 (N, 96, 96, 3) and bool (N,): the same patches in every run and epoch."""
    rng = np.random.default_rng((_VALIDATION_STREAM, plan.seed))
    drawn = [sampler.patch(sampler.draw(rng), PATCH_PX) for _ in range(plan.valid_patches)]
    return torch.from_numpy(np.stack([p for p, _ in drawn])), torch.tensor([tumour for _, tumour in drawn])


def _fields(settings: AugmentSettings) -> dict[str, float]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}
