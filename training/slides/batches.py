"""Training batches straight from slides, each a function of its number."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from jsonargparse.typing import NonNegativeInt
from torch import Tensor
from torch.utils.data import DataLoader

from nodescan.errors import UsageError
from training.limits import check_answered, check_network, check_settings, least_px
from training.patches.augment import AugmentSettings
from training.patches.numbered_batches import (
    Batch,
    NumberedBatches,
    ResumableLoader,
    made_batch,
    resumable_loader,
    validation_loader,
)
from training.slides.index import STRIDE_PX
from training.slides.index_digest import hard_digest, index_digest
from training.slides.remarks import drawn_from, remarks, unused_hard_negatives
from training.slides.sampler import SamplePlan, SlideSampler

PATCH_PX = 96
_VALIDATION_STREAM = 1 << 32


@dataclass(frozen=True, slots=True)
class SlideBatchPlan:
    """How a batch is made up: lone patches and larger tiles. batches: of an epoch, which has no natural end here.

    valid_patches: drawn once from the validation slides. margin_px: the network's own.
    """

    patches: int
    tiles: int
    tile_px: int
    batches: int
    valid_patches: int
    margin_px: int
    seed: int

    def __post_init__(self) -> None:
        check_settings("plan", self, counts=("patches", "tiles", "batches", "valid_patches"))
        check_answered("plan.tile_px", self.tile_px, least_px(self.margin_px, STRIDE_PX))


class SlideBatches(NumberedBatches):
    """Batch number k of a rank is a function of (seed, rank, k) alone."""

    def __init__(self, sampler: SlideSampler, plan: SlideBatchPlan, augment: AugmentSettings, *, rank: int = 0) -> None:
        self.sampler, self.plan, self.augment, self.rank = sampler, plan, augment, rank

    def __len__(self) -> int:
        return self.plan.batches

    def batch(self, number: int) -> Batch:
        """The batch of that number."""
        rng = np.random.default_rng((self.plan.seed, self.rank, number))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        patches = [self.sampler.drawn_patch(rng, PATCH_PX) for _ in range(self.plan.patches)]
        tile_px, margin_px = self.plan.tile_px, self.plan.margin_px
        tiles = [self.sampler.drawn_tile(rng, tile_px, margin_px=margin_px) for _ in range(self.plan.tiles)]
        return made_batch(_stacked(patches), _stacked(tiles), self.augment, generator)


def _stacked(drawn: list[tuple[np.ndarray, Any]]) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = zip(*drawn, strict=True)
    return np.stack(pixels), np.stack(labels)


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
        workers: NonNegativeInt = 0,
        hard_negatives: Path | None = None,
    ) -> None:
        super().__init__()
        self.index, self.plan, self.sample, self.augment = Path(index), plan, sample, augment
        self.workers, self.hard_negatives = workers, hard_negatives

    def setup(self, stage: str) -> None:
        check_network(self.plan, self.trainer)
        validation = SlideSampler(self.index, "valid", self.sample)
        self.valid = _drawn_once(validation, self.plan)
        tumour = self.valid[1]
        if tumour.all() or not tumour.any():
            raise UsageError(
                f"plan.valid_patches is {self.plan.valid_patches}: all that were drawn are of one class, which has no "
                "AUC; draw more"
            )
        if stage == "fit":
            self.sampler = SlideSampler(self.index, "train", self.sample, hard_negatives=self.hard_negatives)
            if self.trainer is None or self.trainer.global_rank == 0:
                self._tell(validation)
            drawn = f"{self.plan.seed} {self.plan.valid_patches} {replace(self.sample, hard_share=0.0)}"
            hard = hard_digest(self.sampler.hard, self.sample.hard_share)
            self.digests = {
                "train": index_digest(self.index, self.sampler.rows) + hard,
                "valid": f"{index_digest(self.index, validation.rows)} {drawn}",
            }

    def _tell(self, validation: SlideSampler) -> None:
        if self.hard_negatives and not self.sampler.hard:
            print(f"{self.hard_negatives}: holds no hard negatives, so none are trained on")
        if self.trainer is None or not self.trainer.ckpt_path:  # a run that goes on can't take up others
            for line in unused_hard_negatives(self.index, self.hard_negatives):
                print(line)
        for line in remarks([*self.sampler.rows, *validation.rows], self.index):
            print(line)
        for sampler in (self.sampler, validation):
            print(drawn_from(sampler), flush=True)

    def train_dataloader(self) -> ResumableLoader:
        rank = 0 if self.trainer is None else self.trainer.global_rank
        batches = SlideBatches(self.sampler, self.plan, self.augment, rank=rank)
        return resumable_loader(batches, self.trainer, workers=self.workers)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return validation_loader(self.valid, self.trainer)


def _drawn_once(sampler: SlideSampler, plan: SlideBatchPlan) -> tuple[Tensor, Tensor]:
    """uint8 (N, 96, 96, 3) and bool (N,): the same patches in every run and epoch."""
    rng = np.random.default_rng((_VALIDATION_STREAM, plan.seed))
    drawn = [sampler.drawn_patch(rng, PATCH_PX) for _ in range(plan.valid_patches)]
    return torch.from_numpy(np.stack([p for p, _ in drawn])), torch.tensor([tumour for _, tumour in drawn])
