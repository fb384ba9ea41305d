"""When a run's checkpoints are written, and how: whole, or not at all."""

from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from training.fitting.checkpoints import write_checkpoint


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it, so that the one before is there until the new one is whole.

    Lightning writes it to $TMPDIR; where that is another disk, it is then copied over the one before.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """As Lightning's. Raises OutputError."""
        write_checkpoint(checkpoint, Path(path))


class ValidatedFirst(ModelCheckpoint):
    """Checkpoints by steps or time; the one due at an epoch's last step is written once the epoch is validated.

    Lightning writes it before, and goes on from it without that validation and with one epoch too few counted.
    """

    @property
    def state_key(self) -> str:
        """ModelCheckpoint's, by which a checkpoint keeps its state."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def on_train_batch_end(self, trainer: lightning.Trainer, *arguments: Any) -> None:
        if not trainer.is_last_batch:
            super().on_train_batch_end(trainer, *arguments)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs=None, batch=None, batch_idx=0)
