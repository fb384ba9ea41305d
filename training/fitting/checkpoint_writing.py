"""When a run's checkpoints are written, and how: whole, or not at all."""

from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from nodescan.errors import UsageError
from training.fitting.checkpoints import write_checkpoint

_BEGUN = "batches_of_unfinished_step"
"""Where a checkpoint says how many batches' gradients were gathered for its next step."""


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it, so that the one before is there until the new one is whole.

    Lightning writes it to $TMPDIR; where that is another disk, it is then copied over the one before.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """As Lightning's. Raises OutputError."""
        write_checkpoint(checkpoint, Path(path))


class WholeSteps(lightning.Callback):
    """Refuses to go on from within a step of several batches: a checkpoint doesn't hold the gradients gathered so far.

    A validation in mid-step writes such a checkpoint, and so does an exception where that is asked for.
    """

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[_BEGUN] = _batches_of_unfinished_step(trainer)

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        begun = checkpoint.get(_BEGUN, 0)
        if begun:
            raise UsageError(
                f"{trainer.ckpt_path}: was written within a step, and holds no gradients of the {begun} of its "
                "batches that were done (trainer.accumulate_grad_batches); resume from a checkpoint written between "
                "steps, such as last.ckpt, or start from its weights: --model.init_from instead of --ckpt_path"
            )


class ValidatedFirst(ModelCheckpoint):
    """Checkpoints by steps or time; the one due at an epoch's last step is written once the epoch is validated.

    Lightning writes it before, and goes on from it without that validation and with one epoch too few counted. One that
    is due while gradients are gathered for a step is written after that step.
    """

    @property
    def state_key(self) -> str:
        """ModelCheckpoint's, by which a checkpoint keeps its state."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def on_train_batch_end(self, trainer: lightning.Trainer, *arguments: Any) -> None:
        if not trainer.is_last_batch and not _batches_of_unfinished_step(trainer):
            super().on_train_batch_end(trainer, *arguments)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs=None, batch=None, batch_idx=0)


def _batches_of_unfinished_step(trainer: lightning.Trainer) -> int:
    """How many batches were trained on since the last step; the last batch of an epoch always ends one."""
    batches = trainer.fit_loop.epoch_loop.batch_progress.current.processed
    return batches % trainer.accumulate_grad_batches if batches < trainer.num_training_batches else 0
