"""What a training step sees: a batch of lone patches and a few laid-out tiles, phantoms among them."""

from dataclasses import dataclass, replace
from pathlib import Path

import lightning
import numpy as np
import torch
from jsonargparse.typing import NonNegativeInt
from torch import Tensor
from torch.utils.data import DataLoader

from nodescan.errors import UsageError
from training.limits import check_answered, check_network, check_settings, least_px
from training.patches.augment import AugmentSettings, cropped
from training.patches.labelled import LABELLED_PX, PATCH_SPACING_UM, Patches, centred, files_of, in_both, read_patches
from training.patches.mosaics import MosaicMaker, MosaicSettings, cell_labels
from training.patches.numbered_batches import (
    Batch,
    NumberedBatches,
    ResumableLoader,
    made_batch,
    resumable_loader,
    validation_loader,
)
from training.patches.phantom_tiles import phantom_tile

_ORDER_STREAM = 1 << 32
"""Keeps the random numbers of an epoch's order apart from those of its batches."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How a batch is made up. phantom_share: of the tiles. margin_px and stride_px: the network's own.

    patch_px: how much of a patch is shown; less than all of it is cut out at random so that the centre of the piece
    stays half a cell or more within the central 32 px, of which the label speaks.
    """

    patches: int
    tiles: int
    phantom_share: float
    margin_px: int
    stride_px: int
    seed: int
    patch_px: int

    def __post_init__(self) -> None:
        check_settings("plan", self, counts=("patches", "tiles", "stride_px"))
        self.check_answered("plan.patch_px", self.patch_px)

    @property
    def least_px(self) -> int:
        """Side of the smallest picture that the network answers."""
        return least_px(self.margin_px, self.stride_px)

    def check_answered(self, name: str, side_px: int) -> None:
        """Raises UsageError where the network answers no cell of a picture of that side."""
        check_answered(name, side_px, self.least_px)

    def check_shown(self, side_px: int) -> None:
        """Raises UsageError where what is shown of patches of that side has no whole cells about its middle.

        What is left over lies to the right and below: the answer would be of a place up and left of the label's.
        """
        self.check_answered("the side of the patches", side_px)
        if (min(self.patch_px, side_px) - self.least_px) % self.stride_px:
            whole = ", ".join(map(str, range(self.least_px, side_px + 1, self.stride_px)))
            raise UsageError(f"plan.patch_px is {self.patch_px}: of patches of {side_px} px {whole} can be shown")


class TrainingBatches(NumberedBatches):
    """One epoch is every patch once, in an order that the seed and the epoch decide.

    Batch number k of a rank is a function of (seed, rank, k) alone. rank: this process' number, and how many there are;
    each takes its share of the epoch.
    """

    def __init__(
        self,
        patches: Patches,
        plan: BatchPlan,
        maker: MosaicMaker,
        augment: AugmentSettings,
        *,
        rank: tuple[int, int] = (0, 1),
    ) -> None:
        self.patches, self.plan, self.maker, self.augment = patches, plan, maker, augment
        self.rank, self.ranks = rank
        if not len(self):
            raise UsageError(f"{len(patches)} training patches are too few for a batch of {plan.patches} a process")
        self._order = (-1, np.zeros(0, np.intp))

    def __len__(self) -> int:
        return len(self.patches) // (self.plan.patches * self.ranks)

    def batch(self, number: int) -> Batch:
        """The batch of that number: numbers go on from epoch to epoch."""
        rng = np.random.default_rng((self.plan.seed, self.rank, number))
        generator, index = torch.Generator().manual_seed(int(rng.integers(2**62))), self.patches_of(number)
        tiles, masks = zip(*(self._tile(rng) for _ in range(self.plan.tiles)), strict=True)
        cells = [cell_labels(m, margin_px=self.plan.margin_px, stride_px=self.plan.stride_px) for m in masks]

        def shown(image: Tensor) -> Tensor:
            if self.plan.patch_px >= image.shape[-1]:
                return image
            wander_px = LABELLED_PX // 2 - self.plan.stride_px // 2
            return cropped(image, self.plan.patch_px, wander_px=wander_px, generator=generator)

        patches = np.ascontiguousarray(self.patches.pixels[index]), self.patches.tumour[index]
        return made_batch(patches, (np.stack(tiles), np.stack(cells)), self.augment, generator, shown=shown)

    def patches_of(self, number: int) -> np.ndarray:
        """intp (n,): which patches are in the batch of that number, sorted."""
        epoch, step = divmod(number, len(self))
        first = (step * self.ranks + self.rank) * self.plan.patches
        return np.sort(self._order_of(epoch)[first : first + self.plan.patches])

    def _order_of(self, epoch: int) -> np.ndarray:
        """The epoch's order of all patches, the same on every rank."""
        if self._order[0] != epoch:
            rng = np.random.default_rng((_ORDER_STREAM, self.plan.seed, epoch))
            self._order = epoch, rng.permutation(len(self.patches))
        return self._order[1]

    def _tile(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if rng.random() < self.plan.phantom_share:
            return phantom_tile(self.maker.settings.tile_px, PATCH_SPACING_UM, rng)
        return self.maker.draw(rng)


class PatchData(lightning.LightningDataModule):
    """Patches from zips, folders or HDF5 pairs: training ones and validation ones from other slides.

    Args:
        train: sources of training patches.
        valid: sources of validation patches; never trained on.
        cache: folder for decoded pixels, so that they are decoded once.
        workers: processes that prepare batches; one is enough for two cores. 0: the training process itself.
        centre: patches are moved to where their labels lie (patches.centred).
    """

    def __init__(  # noqa: PLR0913, PLR0917  LightningCLI reads its options off this signature
        self,
        train: list[Path],
        valid: list[Path],
        cache: Path,
        plan: BatchPlan,
        mosaic: MosaicSettings,
        augment: AugmentSettings,
        workers: NonNegativeInt = 1,
        centre: bool = True,
    ) -> None:
        super().__init__()
        plan.check_answered("mosaic.tile_px", mosaic.tile_px)
        for name, paths in (("train", train), ("valid", valid)):
            if not paths:
                raise UsageError(f"data.init_args.{name} is empty: name at least one source of patches")
        self.workers, self.centre = workers, centre
        self.sources = {"train": train, "valid": valid}
        self.cache, self.plan, self.mosaic, self.augment = cache, plan, mosaic, augment

    def setup(self, stage: str) -> None:
        check_network(self.plan, self.trainer)
        both = set.intersection(*({file.resolve() for file in files_of(paths)} for paths in self.sources.values()))
        if both:
            raise UsageError(f"{min(both)}: is to be trained on and validated on; name other patches for one of them")
        self.valid = self._read("valid")
        self.plan.check_answered("the side of the patches", self.valid.pixels.shape[1])
        if self.valid.tumour.all() or not self.valid.tumour.any():
            sources = ", ".join(map(str, self.sources["valid"]))
            raise UsageError(f"{sources}: validation patches of one class have no AUC; both classes are needed")
        if stage == "fit":
            self.train = self._read("train")
            self.plan.check_shown(self.train.pixels.shape[1])
            self._check_apart()
            self.digests = {"train": self.train.digest(), "valid": self.valid.digest()}
            self.maker = MosaicMaker(self.train, self.mosaic)

    def _check_apart(self) -> None:
        """Raises UsageError where patches are trained on that are validated on, in whatever file they lie."""
        found = in_both(self.train, self.valid)
        if found:
            sources, (name, other) = ", ".join(map(str, self.sources["train"])), found[0]
            raise UsageError(
                f"{sources}: {len(found)} of the training patches, {name} the first, are validation patches, too "
                f"({other}), pixel for pixel; take them out of one of the two"
            )

    def _read(self, which: str) -> Patches:
        patches = read_patches(self.sources[which], cache=self.cache)
        return replace(patches, pixels=centred(patches.pixels)) if self.centre else patches

    def train_dataloader(self) -> ResumableLoader:
        trainer = self.trainer
        rank = (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)
        batches = TrainingBatches(self.train, self.plan, self.maker, self.augment, rank=rank)
        return resumable_loader(batches, trainer, workers=self.workers)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        patches = torch.from_numpy(np.array(self.valid.pixels)), torch.from_numpy(self.valid.tumour)
        return validation_loader(patches, self.trainer)
