"""Refuses to resume a run with other data: its best checkpoint would be the best by another validation set."""

from typing import Any, Protocol, runtime_checkable

import lightning

from nodescan.errors import UsageError

DATA = "data_digests"
"""Where a checkpoint holds the digests of the data that its run learns from and is validated on."""

_REMEDY = (
    "resume with the data that the run was begun with, or start from its weights: --model.init_from instead of "
    "--ckpt_path"
)
_DIFFERS = {
    "train": "was trained on other data (slides, outlines, patches, or hard negatives: data.init_args.hard_negatives, "
    "sample.hard_share)",
    "valid": "was validated on other data (slides, outlines or patches, or another way to draw them), so its best "
    "score says nothing of this data",
}
"""What is wrong with a checkpoint, by the digest that differs."""


@runtime_checkable
class DigestedData(Protocol):
    """A data module that knows its data. digests: of `train` and `valid`, once it is set up to fit."""

    digests: dict[str, str]


class SameData(lightning.Callback):
    """Keeps the digests of the data in checkpoints, and compares them where a run resumes."""

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[DATA] = _digests(trainer)

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Raise UsageError where the data differ. Lightning has set up the data by then."""
        stored, here = checkpoint.get(DATA, {}), _digests(trainer)
        for name in ("valid", "train"):
            if name in stored and name in here and stored[name] != here[name]:
                raise UsageError(f"{trainer.ckpt_path}: its run {_DIFFERS[name]}; {_REMEDY}")


def _digests(trainer: lightning.Trainer) -> dict[str, str]:
    data = getattr(trainer, "datamodule", None)
    return dict(data.digests) if isinstance(data, DigestedData) else {}
