"""Refuses to resume a run with other data: its best checkpoint would be the best by another validation set.

With other settings of the lesson a run goes on, and says with which.
"""

from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

import lightning

from nodescan.errors import UsageError

DATA = "data_digests"
"""Where a checkpoint holds the digests of the data that its run learns from and is validated on."""

SETTINGS = "lesson_settings"
"""Where a checkpoint holds the settings that may change as its run goes on, by their names in a configuration."""

_OF_DATA = ("plan", "sample", "mosaic", "augment")
"""The sections of either data module, dataclasses of numbers."""

_OF_MODEL = ("tile_weight", "label_smoothing", "teachers", "teacher_share")

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
    """Keeps the digests of the data and the settings in checkpoints, and compares them where a run resumes."""

    def __init__(self) -> None:
        self._changed: list[str] = []

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[DATA], checkpoint[SETTINGS] = _digests(trainer), _settings(trainer, pl_module)

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Raise UsageError where the data differ; note which settings do. Lightning has set up the data by then."""
        stored, here = checkpoint.get(DATA, {}), _digests(trainer)
        for name in ("valid", "train"):
            if name in stored and name in here and stored[name] != here[name]:
                raise UsageError(f"{trainer.ckpt_path}: its run {_DIFFERS[name]}; {_REMEDY}")
        before, now = checkpoint.get(SETTINGS, {}), _settings(trainer, pl_module)
        known = [name for name in now if name in before]
        changed = [f"{name} {now[name]} instead of {before[name]}" for name in known if now[name] != before[name]]
        self._changed = changed

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say it only now: SameLength, before this one, may have refused to go on."""
        if self._changed and trainer.is_global_zero:
            print(f"{trainer.ckpt_path}: its run goes on with other settings: {', '.join(self._changed)}", flush=True)


def _digests(trainer: lightning.Trainer) -> dict[str, str]:
    data = getattr(trainer, "datamodule", None)
    return dict(data.digests) if isinstance(data, DigestedData) else {}


def _settings(trainer: lightning.Trainer, module: lightning.LightningModule) -> dict[str, Any]:
    data = getattr(trainer, "datamodule", None)
    named = _OF_DATA if isinstance(data, DigestedData) else ()
    sections = {name: asdict(getattr(data, name)) for name in named if hasattr(data, name)}
    sections["model"] = {name: module.hparams[name] for name in _OF_MODEL if name in module.hparams}
    return {f"{section}.{name}": value for section, part in sections.items() for name, value in part.items()}
