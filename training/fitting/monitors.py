"""The scores that a run's callbacks and schedule watch, by their names: one that nothing logs would end the run after
its first epoch."""

from collections.abc import Iterator
from dataclasses import dataclass

import lightning
from jsonargparse import Namespace
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


@dataclass(frozen=True, slots=True)
class _Watcher:
    """name: of its class. mode: "min" or "max", which way it takes the score that it watches for better.

    counts: whether it knows _COUNTED by itself.
    """

    name: str
    monitor: str
    mode: str
    counts: bool = False


def check_monitors(trainer: lightning.Trainer, module: TumourModule, *, schedule: Namespace | None = None) -> None:
    """Raises UsageError where EarlyStopping, ModelCheckpoint or ReduceLROnPlateau watches what the run doesn't log, or
    takes the worst of its scores for the best.

    schedule: `lr_scheduler` as it was asked for. Nothing is known of what a callback that isn't Lightning's or ours
    logs: with one of those nothing is refused for its name.
    """
    watchers = tuple(_watchers(trainer, schedule))
    for each in watchers:
        if each.monitor in module.logged:
            _check_mode(each)
    if not all(type(each).__module__.startswith(_OURS) for each in trainer.callbacks):
        return
    rates = any(isinstance(each, LearningRateMonitor) for each in trainer.callbacks)
    for each in watchers:
        counted = each.counts and each.monitor in _COUNTED
        if each.monitor in module.logged or counted or (rates and each.monitor.startswith(_RATE)):
            continue
        names = ", ".join((*module.logged, f"{_RATE}... (a rate by LearningRateMonitor)") if rates else module.logged)
        raise UsageError(
            f"the monitor of {each.name} is {each.monitor}, which the run does not log; set it to one of {names}"
        )


def _watchers(trainer: lightning.Trainer, schedule: Namespace | None) -> Iterator[_Watcher]:
    for each in trainer.callbacks:
        if isinstance(each, EarlyStopping | ModelCheckpoint) and each.monitor is not None:
            yield _Watcher(type(each).__name__, each.monitor, each.mode, counts=isinstance(each, ModelCheckpoint))
    watched = _monitor_of(schedule)
    if schedule is not None and watched is not None:
        yield _Watcher(schedule.class_path.rpartition(".")[2], watched, schedule.init_args.mode)


def _monitor_of(schedule: Namespace | None) -> str | None:
    """What ReduceLROnPlateau watches; None for the other schedules, which go by the number of steps."""
    return None if schedule is None else schedule.get("init_args", {}).get("monitor")


def _check_mode(watcher: _Watcher) -> None:
    mode, better = ("max", "higher") if watcher.monitor in _RISING else ("min", "lower")
    if watcher.mode != mode:
        raise UsageError(
            f"the mode of {watcher.name} is {watcher.mode}, but {watcher.monitor} is better the {better} it is: set "
            f"mode to {mode}"
        )


def scores_of_validation(trainer: lightning.Trainer, schedule: Namespace | None = None) -> list[str]:
    """The scores that callbacks and the schedule watch, and that only validation tells."""
    watched = [*(getattr(each, "monitor", None) for each in trainer.callbacks), _monitor_of(schedule)]
    return [name for name in watched if name and not name.startswith(("train/", _RATE)) and name not in _COUNTED]
