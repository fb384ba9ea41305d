"""The lesson: a network, its loss on patches and tiles, and how its weights move."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf, isfinite
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanMetric
from torchmetrics.classification import BinaryAUROC

from nodescan.errors import UsageError
from nodescan.inference.equivariance import GroupNorm8
from training.fitting.checkpoints import are_sound, starting_weights
from training.fitting.rivals import build_any
from training.fitting.teachers import Teachers, patch_logit
from training.fitting.transforms import as_image, normalised
from training.limits import check_number
from training.patches.mosaics import IGNORED
from training.patches.numbered_batches import Batch

_MOST = {"learning_rate": inf, "weight_decay": inf, "tile_weight": inf, "label_smoothing": 1.0, "teacher_share": 1.0}
"""The module's numbers and what each may be at most; none may be below 0."""


@contextmanager
def fixed_statistics(net: nn.Module) -> Iterator[None]:
    """Normalise by the running statistics, as at inference: a few tiles of one stain say nothing of all slides."""
    norms = [layer for layer in net.modules() if isinstance(layer, GroupNorm8 | nn.BatchNorm2d) and layer.training]
    try:
        for norm in norms:
            norm.eval()
        yield
    finally:
        for norm in norms:
            norm.train()


class TumourModule(lightning.LightningModule):
    """Learns the centre rule from lone patches and the cell rule from laid-out tiles.

    Args:
        architecture: a name in nodescan's table of networks, or in that of their rivals.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: AdamW's, on kernels only.
        tile_weight: weight of the tiles' loss beside the patches'; at 0 tiles aren't looked at.
        label_smoothing: how far labels are drawn from 0 and 1.
        init_from: a checkpoint (*.ckpt), or a model by name or folder, whose weights the run starts with.
        teachers: checkpoints or models whose mean answer to a patch its label is drawn to.
        teacher_share: how far, from 0 to 1.
    """

    def __init__(  # noqa: PLR0913, PLR0917  LightningCLI reads its options off this signature
        self,
        architecture: str,
        learning_rate: float,
        weight_decay: float,
        tile_weight: float,
        label_smoothing: float = 0.0,
        init_from: str | None = None,
        teachers: list[str] | None = None,
        teacher_share: float = 0.5,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        for name, most in _MOST.items():
            check_number(f"model.{name}", self.hparams[name], most=most)
        if teachers and teacher_share == 0:
            raise UsageError("model.teacher_share: is 0, so model.teachers would teach nothing; give both, or neither")
        self.net = build_any(architecture)
        if init_from is not None:
            found, weights = starting_weights(init_from)
            if found != architecture:
                raise UsageError(f"{init_from}: of architecture {found}, the run is of {architecture}")
            self.net.load_state_dict(weights)
        self.teachers = Teachers(teachers) if teachers else None
        self.auc, self.valid_loss = BinaryAUROC(), MeanMetric()

    @property
    def logged(self) -> tuple[str, ...]:
        """The names of all that it logs, which callbacks can watch."""
        tiles = ("train/tiles",) if self.hparams["tile_weight"] else ()
        return ("train/patches", *tiles, "valid/loss", "valid/auc")

    def forward(self, image: Tensor) -> Tensor:
        """float (N, 3, H, W) in [0, 1] -> logits (N, n, n)."""
        return self.net(normalised(image))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another architecture by name, before its shapes fail to fit."""
        found = checkpoint.get("hyper_parameters", {}).get("architecture")
        if found != self.hparams["architecture"]:
            raise UsageError(f"the checkpoint is of architecture {found}, the run of {self.hparams['architecture']}")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to write the weights of a network that blew up over sound ones: they may be so before a loss is.

        Both where a run averages weights, the mean and those that it goes on from. What is too large for a model is no
        better than what is no number.
        """
        both = [checkpoint[name] for name in ("state_dict", "current_model_state") if name in checkpoint]
        if not self._in_all(all(map(are_sound, both))):
            raise FloatingPointError(
                f"by step {self.global_step} the weights became no numbers, or too large for a model's half precision"
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        lone, laid_out = self._answers(batch)
        patches = self._loss(patch_logit(lone), self._taught(batch))
        loss = patches
        if laid_out is not None:
            if laid_out.shape != batch.cells.shape:
                answered, labelled = tuple(laid_out.shape[1:]), tuple(batch.cells.shape[1:])
                raise UsageError(
                    f"a tile has {labelled} cells, of which {self.hparams['architecture']} answers {answered}: leave "
                    "tiles out with --model.tile_weight 0, or choose another network"
                )
            known = batch.cells != IGNORED
            tiles = self._loss(laid_out[known], batch.cells[known])
            loss = patches + self.hparams["tile_weight"] * tiles
            self.log("train/tiles", tiles)
        own = float(loss.detach())
        if not self._in_all(isfinite(own)):
            became = "no number in another process" if isfinite(own) else own
            raise FloatingPointError(f"the loss became {became} at step {self.global_step}")
        self.log("train/patches", patches)
        return loss

    def _in_all(self, sound: bool) -> bool:
        """Whether it is so in every process: one that ended alone would leave the others waiting for its gradients."""
        return self.trainer.strategy.reduce_boolean_decision(sound)

    def _taught(self, batch: Batch) -> Tensor:
        """float (N,): the patches' labels, drawn towards what the teachers say of the very same pictures."""
        if self.teachers is None:
            return batch.labels
        share = self.hparams["teacher_share"]
        return (1 - share) * batch.labels + share * self.teachers.probability(normalised(batch.patches))

    def _answers(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Logits of patches and of tiles; of one size they go through together, and share their statistics."""
        if self.hparams["tile_weight"] == 0:
            return self(batch.patches).float(), None
        if batch.patches.shape[1:] == batch.tiles.shape[1:]:
            logits = self(torch.cat([batch.patches, batch.tiles])).float()
            return logits[: len(batch.patches)], logits[len(batch.patches) :]
        lone = self(batch.patches).float()
        with fixed_statistics(self.net):
            return lone, self(batch.tiles).float()

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        smooth = self.hparams["label_smoothing"]
        return functional.binary_cross_entropy_with_logits(logits, labels * (1 - smooth) + smooth / 2)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        pixels, labels = batch
        logits = patch_logit(self(as_image(pixels)).float())
        loss = functional.binary_cross_entropy_with_logits(logits, labels.float())
        self.valid_loss.update(
            loss, len(labels)
        )  # what Lightning makes of all processes' means is 3 % off of 37 patches
        self.log("valid/loss", self.valid_loss)
        if self.trainer.sanity_checking:  # Lightning's look at a few batches before it begins: they may be of one label
            return
        self.auc.update(logits.double().sigmoid(), labels.long())  # of logits it guesses that they are, batch by batch
        self.log("valid/auc", self.auc, prog_bar=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Raises UsageError for a run without an end: its schedule has one."""
        steps = self.trainer.estimated_stepping_batches
        if not 0 < steps < inf:
            raise UsageError(
                f"trainer.max_epochs is {self.trainer.max_epochs}: say how long to train, by it or max_steps"
            )
        kernels = [p for p in self.parameters() if p.ndim > 1]
        rest = [p for p in self.parameters() if p.ndim <= 1]
        groups = [
            {"params": kernels, "weight_decay": self.hparams["weight_decay"]},
            {"params": rest, "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(groups, lr=self.hparams["learning_rate"])
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            max_lr=self.hparams["learning_rate"],
            total_steps=int(steps),
            pct_start=0.15,
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
