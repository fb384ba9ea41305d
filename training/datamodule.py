"""What a training step sees: a batch of lone patches and a few laid-out tiles, phantoms among them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from nodescan.phantom_tiles import phantom_tile
from training.augment import AugmentSettings, augmented, context_swapped
from training.mosaics import MosaicMaker, MosaicSettings, cell_labels
from training.patches import Patches, read_patches

PATCH_SPACING_UM = 0.972


@dataclass(frozen=True, slots=True)
class Batch:
    """patches : float32 (N, 3, 96, 96) in [0, 1], labels (N,); tiles : float32 (M, 3, T, T), cells (M, n, n)."""

    patches: Tensor
    labels: Tensor
    tiles: Tensor
    cells: Tensor


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How a batch is made up. phantom_share: of the tiles. margin_px and stride_px: the network's own."""

    patches: int = 96
    tiles: int = 3
    phantom_share: float = 0.2
    margin_px: int = 32
    stride_px: int = 16
    seed: int = 0


class TrainingBatches(IterableDataset[Batch]):
    """One epoch is every patch once, in an order that the seed and the epoch decide."""

    def __init__(self, patches: Patches, plan: BatchPlan, mosaic: MosaicSettings, augment: AugmentSettings) -> None:
        self.patches, self.plan, self.augment = patches, plan, augment
        self.maker = MosaicMaker(patches, mosaic)
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.patches) // self.plan.patches

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng((self.plan.seed, self.epoch))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        self.epoch += 1
        order = rng.permutation(len(self.patches))
        for step in range(len(self)):
            index = np.sort(order[step * self.plan.patches : (step + 1) * self.plan.patches])
            yield self._batch(index, rng, generator)

    def _batch(self, index: np.ndarray, rng: np.random.Generator, generator: torch.Generator) -> Batch:
        pixels = torch.from_numpy(np.ascontiguousarray(self.patches.pixels[index]))
        pixels = context_swapped(pixels, self.augment.context_share, generator)
        labels = torch.from_numpy(self.patches.tumour[index].astype(np.float32))
        drawn = [self._tile(rng) for _ in range(self.plan.tiles)]
        tiles = torch.from_numpy(np.stack([np.ascontiguousarray(tile) for tile, _ in drawn]))
        cells = [cell_labels(m, margin_px=self.plan.margin_px, stride_px=self.plan.stride_px) for _, m in drawn]
        still = AugmentSettings(**{**_fields(self.augment), "affine_share": 0.0})  # labels lie on the tile's own grid
        return Batch(
            augmented(pixels, self.augment, generator),
            labels,
            augmented(tiles, still, generator),
            torch.from_numpy(np.stack(cells)),
        )

    def _tile(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if rng.random() < self.plan.phantom_share:
            return phantom_tile(self.maker.settings.tile_px, PATCH_SPACING_UM, rng)
        return self.maker.draw(rng)


def _fields(settings: AugmentSettings) -> dict[str, float]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


class PatchData(lightning.LightningDataModule):
    """Patches from zips, folders or HDF5 pairs: training ones and validation ones from other slides.

    Args:
        train: sources of training patches.
        valid: sources of validation patches; never trained on.
        cache: folder for decoded pixels, so that they are decoded once.
    """

    def __init__(  # noqa: PLR0913, PLR0917  LightningCLI reads its options off this signature
        self,
        train: list[Path],
        valid: list[Path],
        cache: Path,
        plan: BatchPlan,
        mosaic: MosaicSettings,
        augment: AugmentSettings,
    ) -> None:
        super().__init__()
        self.sources = {"train": train, "valid": valid}
        self.cache, self.plan, self.mosaic, self.augment = cache, plan, mosaic, augment

    def setup(self, stage: str) -> None:
        self.valid = read_patches(self.sources["valid"], cache=self.cache)
        if stage == "fit":
            train = read_patches(self.sources["train"], cache=self.cache)
            self.batches = TrainingBatches(train, self.plan, self.mosaic, self.augment)

    def train_dataloader(self) -> DataLoader[Batch]:
        # One worker prepares the next batches while the network learns; it lives on, since it counts the epochs.
        return DataLoader(self.batches, batch_size=None, num_workers=1, persistent_workers=True, prefetch_factor=4)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        pixels = torch.from_numpy(np.asarray(self.valid.pixels))
        labels = torch.from_numpy(self.valid.tumour)
        return DataLoader(torch.utils.data.TensorDataset(pixels, labels), batch_size=256)

    def transfer_batch_to_device(self, batch, device: torch.device, dataloader_idx: int):
        if isinstance(batch, Batch):
            return Batch(*(getattr(batch, name).to(device) for name in Batch.__dataclass_fields__))
        return super().transfer_batch_to_device(batch, device, dataloader_idx)
