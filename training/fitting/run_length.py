"""How long a run is: as long as the one that it goes on with, long enough to be validated, and why it ended early."""

from math import isfinite
from typing import Any

import lightning
from lightning.pytorch.callbacks import EarlyStopping

from nodescan.domain.naming import how_many
from nodescan.errors import UsageError
from training.fitting.checkpoints import STEPS

_EPOCH = "batches_an_epoch"
"""Where a checkpoint says how long the epochs of its run are."""


class SameLength(lightning.Callback):
    """Refuses to go on with epochs of another length, or with a schedule that ends before the run does.

    Batches are counted through: other epochs would begin and end elsewhere, or be more than the schedule is of.
    """

    def __init__(self) -> None:
        self._batches: int | None = None

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[_EPOCH] = trainer.num_training_batches
        steps = trainer.estimated_stepping_batches
        checkpoint[STEPS] = int(steps) if isfinite(steps) else None

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._batches = checkpoint.get(_EPOCH)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self._batches not in (None, trainer.num_training_batches):
            raise UsageError(
                f"{trainer.ckpt_path}: its epochs are of {self._batches} batches, this run's of "
                f"{trainer.num_training_batches}; go on with the data and the plan that it was trained by, or start "
                "from its weights: --model.init_from instead of --ckpt_path"
            )
        asked = trainer.estimated_stepping_batches
        for config in trainer.lr_scheduler_configs:
            planned = getattr(config.scheduler, "total_steps", asked) if config.interval == "step" else asked
            if planned < asked:
                raise UsageError(
                    f"{trainer.ckpt_path}: its schedule of learning rates is of {planned} steps, this run of "
                    f"{asked:.0f}; go on as long as was planned, or start from its weights: --model.init_from instead "
                    "of --ckpt_path"
                )


class ValidatedOnce(lightning.Callback):
    """Refuses a run that is to watch a score of validation, and ends before the first: it would fail at its end."""

    def __init__(self, watched: list[str]) -> None:
        self.watched = watched

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        asked = trainer.estimated_stepping_batches
        unseen = ((trainer.check_val_every_n_epoch or 1) - 1) * trainer.num_training_batches
        first = unseen + (trainer.val_check_batch or 0)  # None by time alone, which check_flags refuses
        if self.watched and asked * trainer.accumulate_grad_batches < first:
            raise UsageError(
                f"the run is of {asked:.0f} steps and would first be validated after {first} batches, but is to watch "
                f"{self.watched[0]}, which only validation tells; train longer, or validate earlier with "
                "--trainer.val_check_interval"
            )


def why_stopped_early(trainer: lightning.Trainer) -> str:
    """A line that says which EarlyStopping ended a run before its last step, and why; "" where none did."""
    done, asked = trainer.global_step, trainer.estimated_stepping_batches
    stopping = [each for each in trainer.callbacks if isinstance(each, EarlyStopping) and each.stopping_reason_message]
    if done >= asked or not stopping:
        return ""
    first = stopping[0]
    why = (
        f"{first.monitor} not better for {how_many(first.wait_count, 'validation')} (patience of EarlyStopping)"
        if first.wait_count >= first.patience
        else first.stopping_reason_message
    )
    return f"stopped early, at step {done} of {asked:.0f}: {why}"
