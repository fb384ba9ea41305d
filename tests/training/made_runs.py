"""Fits a small network on the test slides; run as a program, it is one of two processes."""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning import LightningDataModule
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint

from tests.training.made_patches import write_patches
from training.fitting.module import TumourModule
from training.fitting.randomness import KeepRandomness
from training.fitting.rivals import build_any
from training.patches.augment import AugmentSettings
from training.patches.datamodule import BatchPlan, PatchData
from training.patches.mosaics import MosaicSettings
from training.patches.numbered_batches import Batch, validation_loader
from training.slides.batches import SlideBatchPlan, SlideData
from training.slides.sampler import SamplePlan

CONFIG = Path(__file__).parents[2] / "configs" / "train" / "camelyon16.yaml"
SAMPLE = SamplePlan(tumour_share=0.5, edge_share=0.5, edge_normal_share=0.2, near_share=0.2, hard_share=0.25)
AUGMENT = AugmentSettings(0.2, 0.05, 0.04, 0.5, 0.12, 4.0, 0.25, 0.2, 0.3, 0.0, 0.4, 0.5)
OFF = AugmentSettings(*[0.0] * 10, 0.4, 0.0)
PLAN = SlideBatchPlan(patches=8, tiles=2, tile_px=96, batches=9, valid_patches=16, margin_px=32, seed=3)


@dataclass
class Watch(lightning.Callback):
    """Notes loss and digest of every batch; kills its own process, as a power cut would, after `kill_after` batches."""

    kill_after: int = 0
    losses: list[float] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        self.losses.append(float(outputs["loss"]))
        self.seen.append(hashlib.sha256(batch.patches.cpu().contiguous().numpy().tobytes()).hexdigest()[:12])
        if 0 < trainer.global_step == self.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Cut(Watch):
    """Ends the run as a cut of power would once `at` steps are made: before the next one, or as they are validated.

    before_batch: of an epoch, by its number, whatever steps are made.
    """

    at: int = -1
    validating: bool = False
    before_batch: int = -1

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        if (not self.validating and trainer.global_step == self.at) or batch_idx == self.before_batch:
            raise RuntimeError("power cut")

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self.validating and trainer.global_step == self.at:
            raise RuntimeError("power cut")


class Poison(lightning.Callback):
    """Makes a batch no number, so that the loss is none either."""

    def __init__(self, at: int = 7) -> None:
        self.at = at

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        if batch_idx == self.at:
            batch.patches[:] = float("nan")


class Grown(lightning.Callback):
    """Makes a weight far too large for a model, but still a number, once `at` steps are made."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        if trainer.global_step == self.at:
            with torch.no_grad():
                list(pl_module.parameters())[-1].fill_(1e9)


class Signalled(lightning.Callback):
    """Sends its own process a signal before the batch of that number, as a scheduler or a user would."""

    def __init__(self, number: int, at: int) -> None:
        self.number, self.at = number, at

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        if batch_idx == self.at:
            signal.raise_signal(self.number)

    def on_validation_batch_start(self, *_: Any) -> None:
        signal.raise_signal(self.number)


class OfOneProcess(Poison):
    """Poisons the batch of one process of several, by its number."""

    def __init__(self, rank: int) -> None:
        super().__init__(at=3)
        self.rank = rank

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        if trainer.global_rank == self.rank:
            super().on_train_batch_start(trainer, pl_module, batch, batch_idx)


QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "max_epochs": 1,
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
    "num_sanity_val_steps": 0,
}


def small(content: dict[str, Any], folder: Path, *, every: int) -> dict[str, Any]:
    """A configuration, with a small network on one core; it writes into a folder, a checkpoint every so many steps."""
    content["model"]["architecture"] = "p4m-small"
    trainer = {"accelerator": "cpu", "devices": 1, "precision": "32-true", "max_epochs": 2, "log_every_n_steps": 1}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    content["trainer"] |= trainer | quiet | {"default_root_dir": str(folder)}
    for logger in content["trainer"]["logger"]:
        logger["init_args"]["save_dir"] = str(folder)
    average, _, resume, *_ = content["trainer"]["callbacks"]
    average["init_args"]["decay"] = 0.9
    resume["init_args"].pop("train_time_interval", None)
    resume["init_args"]["every_n_train_steps"] = every
    return content


def small_config(path: Path, index: Path, *, workers: int = 0, every: int = 3, **plan: int) -> Path:
    """The released configuration for slides, small, with few short steps."""
    content = small(yaml.safe_load(CONFIG.read_text()), path.parent / "runs", every=every)
    content["model"]["learning_rate"] = 0.02
    content["data"]["init_args"] |= {"index": str(index), "workers": workers}
    few = {"patches": 8, "tiles": 2, "tile_px": 128, "batches": 8, "valid_patches": 32}
    content["data"]["init_args"]["plan"] |= few | plan
    path.write_text(yaml.safe_dump(content))
    return path


def made_checkpoint(
    path: Path,
    architecture: str = "p4m-small",
    *,
    seed: int = 3,
    change: Callable[[str, torch.Tensor], object] = lambda *_: None,
) -> Path:
    """As a run of that network leaves it, with weights drawn at random; change: handed each by its name."""
    torch.manual_seed(seed)
    state = {f"net.{name}": weight for name, weight in build_any(architecture).state_dict().items()}
    for name, weight in state.items():
        change(name, weight)
    torch.save({"state_dict": state, "hyper_parameters": {"architecture": architecture}}, path)
    return path


def slide_data(index: Path, *, workers: int = 0, hard_negatives: Path | None = None) -> SlideData:
    return SlideData(index, PLAN, SAMPLE, AUGMENT, workers=workers, hard_negatives=hard_negatives)


def patch_data(source: Path, *, workers: int = 0) -> PatchData:
    """A batch for every eight patches, tiles and phantoms among them."""
    plan = BatchPlan(patches=8, tiles=2, phantom_share=0.3, margin_px=32, stride_px=16, seed=3, patch_px=96)
    mosaic = MosaicSettings(tile_px=96, pool=20, kept=0.25, jpeg_share=0.5)
    others = write_patches(source.with_name("others.zip"), 16, seed=6)
    return PatchData([source], [others], source.parent / "cache", plan, mosaic, AUGMENT, workers=workers)


def fit(  # noqa: PLR0913  a test says each of them
    index: Path,
    folder: Path,
    *,
    epochs: int = 1,
    workers: int = 0,
    learning_rate: float = 0.003,
    ckpt: Path | None = None,
    watch: Watch | None = None,
    data: LightningDataModule | None = None,
    beside: Sequence[lightning.Callback] = (),
    **trainer: Any,
) -> TumourModule:
    """Train on the CPU in float32, with dropout, augmentation, weight averaging and a checkpoint every 5 steps."""
    lightning.seed_everything(11)
    module = TumourModule("p4m-small", learning_rate, weight_decay=0.03, tile_weight=0.5)
    module.net.dropout.p = 0.2
    callbacks = [
        EMAWeightAveraging(decay=0.9, use_buffers=True),
        KeepRandomness(),
        watch or Watch(),
        ModelCheckpoint(folder, filename="resume", every_n_train_steps=5, save_last=True),
        *beside,
    ]
    lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **trainer,
    ).fit(module, data or slide_data(index, workers=workers), ckpt_path=ckpt)
    return module


def be_killed(run: Callable[[], object]) -> None:
    """In a process of its own, which begins without imports and ends by a signal that none can handle."""
    process = get_context("fork").Process(target=run)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def validated(count: int, **trainer: Any) -> dict[str, float]:
    """Scores of one network on patches of noise; the processes of a trainer share the patches."""
    generator = torch.Generator().manual_seed(7)
    pixels = torch.randint(0, 256, (count, 96, 96, 3), generator=generator, dtype=torch.uint8)
    labels = torch.rand(count, generator=generator) < 0.4
    torch.manual_seed(3)
    module = TumourModule("p4m-small", 0.003, weight_decay=0.03, tile_weight=0.5)
    (scores,) = lightning.Trainer(**QUIET, **trainer).validate(module, _OfPatches(pixels, labels), verbose=False)
    return scores


class _OfPatches(lightning.LightningDataModule):
    """Validation patches alone, as either data module hands them out."""

    def __init__(self, pixels: torch.Tensor, labels: torch.Tensor) -> None:
        super().__init__()
        self.patches = pixels, labels

    def val_dataloader(self) -> object:
        return validation_loader(self.patches, self.trainer)


VALIDATED = (37, 513)
"""Numbers of patches, odd; two processes hold 257 and 256 of 513, of which a batch holds 256."""


def main(index: Path, folder: Path) -> None:
    """One of two processes: they fit and validate together, and fit twice with a batch of one of them spoilt.

    What it met is written.
    """
    torch.set_num_threads(1)
    watch = Watch()
    module = fit(index, folder, watch=watch, devices=2, strategy="ddp", limit_train_batches=4)
    weights = torch.cat([p.detach().flatten() for p in module.net.parameters()])
    digest = hashlib.sha256(weights.numpy().tobytes()).hexdigest()
    content = {"seen": watch.seen, "weights": digest, "backend": torch.distributed.get_backend()}
    (folder / f"rank{module.global_rank}.json").write_text(json.dumps(content))
    scores = [validated(count, devices=2, strategy="ddp") for count in VALIDATED]
    (folder / f"scores-rank{module.global_rank}.json").write_text(json.dumps(scores))
    for spoilt in range(2):
        module = TumourModule("p4m-small", 0.003, weight_decay=0.03, tile_weight=0.5)
        trainer = lightning.Trainer(**QUIET, callbacks=[OfOneProcess(spoilt)], devices=2, strategy="ddp")
        try:
            trainer.fit(module, slide_data(index))
        except FloatingPointError as error:
            (folder / f"spoilt{spoilt}-rank{module.global_rank}.txt").write_text(str(error))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
