"""The scores that a run's callbacks watch, by their names: one that nothing logs would end it after its first epoch."""

import lightning
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint

from nodescan.errors import UsageError
from training.fitting.module import TumourModule

_RATE = "lr-"
"""How the names begin that LearningRateMonitor gives to rates."""

_COUNTED = ("epoch", "step")
"""What ModelCheckpoint, alone, knows without anything logged."""

_RISING = ("valid/auc",)
"""The scores that are better the higher they are; of the others that a run logs, all losses, the lower is better."""

_OURS = ("lightning.", "training.")


def check_monitors(trainer: lightning.Trainer, module: TumourModule) -> None:
    """Raises UsageError where EarlyStopping or ModelCheckpoint watches what the run doesn't log, or takes the worst of
    its scores for the best.

    Nothing is known of what a callback that isn't Lightning's or ours logs: with one of those nothing is refused.
    """
    for callback in trainer.callbacks:
        if isinstance(callback, EarlyStopping | ModelCheckpoint) and callback.monitor in module.logged:
            _check_mode(callback)
    if not all(type(each).__module__.startswith(_OURS) for each in trainer.callbacks):
        return
    rates = any(isinstance(each, LearningRateMonitor) for each in trainer.callbacks)
    for callback in trainer.callbacks:
        name = callback.monitor if isinstance(callback, EarlyStopping | ModelCheckpoint) else None
        counted = isinstance(callback, ModelCheckpoint) and name in _COUNTED
        if name is None or name in module.logged or counted or (rates and name.startswith(_RATE)):
            continue
        names = ", ".join((*module.logged, f"{_RATE}... (a rate by LearningRateMonitor)") if rates else module.logged)
        raise UsageError(
            f"the monitor of {type(callback).__name__} is {name}, which the run does not log; set it to one of {names}"
        )


def _check_mode(callback: EarlyStopping | ModelCheckpoint) -> None:
    mode, better = ("max", "higher") if callback.monitor in _RISING else ("min", "lower")
    if callback.mode != mode:
        raise UsageError(
            f"the mode of {type(callback).__name__} is {callback.mode}, but {callback.monitor} is better the {better} "
            f"it is: set mode to {mode}"
        )


def scores_of_validation(trainer: lightning.Trainer) -> list[str]:
    """The scores that callbacks watch and that only validation tells."""
    names = [name for each in trainer.callbacks if (name := getattr(each, "monitor", None))]
    return [name for name in names if not name.startswith(("train/", _RATE)) and name not in _COUNTED]
