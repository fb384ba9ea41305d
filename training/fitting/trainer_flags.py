"""Flags of Lightning's trainer that no run here can have, each refused by its name and with what to do instead."""

import lightning
from jsonargparse import Namespace

from nodescan.errors import UsageError

_PRECISIONS = ("32-true", "32", "bf16-mixed", "bf16", "16-mixed", "16")
"""What of Lightning's precisions trains: in the others it casts all of a batch, the labels among them."""

_UNTRAINED = "nothing would be trained"
_UNVALIDATED = "nothing would be validated"
_ABOVE_0 = {
    "max_epochs": _UNTRAINED,
    "max_steps": _UNTRAINED,
    "limit_train_batches": _UNTRAINED,
    "accumulate_grad_batches": "no step would be made",
    "val_check_interval": _UNVALIDATED,
    "check_val_every_n_epoch": _UNVALIDATED,
}
"""What 0 would mean to a fit. Lightning divides by the last three."""

_WITHIN_PROGRAM = ("spawn", "fork", "notebook")
"""Ways to start processes, by which this one would not hold the run that they trained; averaged weights can't be sent
to those of the first."""

_WAYS = {
    "strategy": "use ddp for several devices, or leave it out",
    "accelerator": "use auto, cpu or gpu",
    "num_nodes": "give a number above 0, or leave it out",
    "devices": "give a number above 0, or leave it out",
}
"""What to do about a flag that Lightning refuses with an error of no kind of its own."""


_NEEDS = {
    "logger": ("LearningRateMonitor", "no log is written"),
    "enable_checkpointing": ("ModelCheckpoint", "the run keeps no checkpoint"),
}
"""A part of Lightning that can be turned off, the shipped configurations' callback that needs it, what it means."""


def check_flags(trainer: Namespace, command: str) -> None:
    """Raises UsageError for a flag that can't be had. trainer: of the configuration; command: fit or validate."""
    for name, meaning in _ABOVE_0.items() if command == "fit" else ():
        value = trainer[name]
        endless = name.startswith("max_") and value == -1
        if isinstance(value, int | float) and value <= 0 and not endless:
            raise UsageError(f"trainer.{name} is {value:g}: {meaning}; give a number above 0")
    if command == "fit" and not isinstance(trainer.val_check_interval, int | float | None):
        raise UsageError(
            f"trainer.val_check_interval is {trainer.val_check_interval}: not supported, only batches are "
            "counted, not time; give a number of batches, or a share of an epoch of at most 1.0"
        )
    if trainer.precision is not None and str(trainer.precision) not in _PRECISIONS:
        ways = ", ".join(name for name in _PRECISIONS if "-" in name)
        raise UsageError(f"trainer.precision is {trainer.precision}: training is in one of {ways}")
    if trainer.overfit_batches:
        raise UsageError(
            f"trainer.overfit_batches is {trainer.overfit_batches}: not supported, no epoch repeats the batches of "
            f"another; use --trainer.limit_train_batches {trainer.overfit_batches}"
        )
    if trainer.barebones:
        raise UsageError("trainer.barebones is true: not supported, no checkpoint would be kept; leave it out")
    way = _way_to_start(trainer.strategy)
    if any(name in way for name in _WITHIN_PROGRAM):
        raise UsageError(
            f"trainer.strategy starts its processes by {way}: not supported; use ddp, which starts each as a program "
            "of its own"
        )


def leave_out_callbacks(trainer: Namespace) -> list[str]:
    """Take the callbacks out of a configuration that need what its flags turn off; a line for each such flag.

    Lightning refuses them, and a command line can't take a callback out of a configuration.
    """
    said = []
    for flag, (kind, meaning) in _NEEDS.items():
        listed = trainer.callbacks if isinstance(trainer.callbacks, list) else []
        kept = [each for each in listed if each.class_path.rpartition(".")[2] != kind]
        if trainer[flag] is False and len(kept) < len(listed):
            trainer.callbacks = kept
            said.append(f"trainer.{flag} is false: {meaning}, and {kind} is left out")
    return said


def flag_refused(error: TypeError | ValueError, trainer: Namespace) -> UsageError | None:
    """What Lightning's trainer can't be made with, by the flag that its error names; None where it names none."""
    reason = str(error).partition(". ")[0].rstrip(".")
    found = next((name for name in _WAYS if name in reason), None)
    return None if found is None else UsageError(f"trainer.{found} is {trainer[found]}: {reason}; {_WAYS[found]}")


def interval_refused(error: ValueError, trainer: lightning.Trainer) -> UsageError | None:
    """What to raise where an epoch has too few batches for `val_check_interval`, which is known once data are read."""
    if "val_check_interval" not in str(error):
        return None
    return UsageError(
        f"trainer.val_check_interval is {trainer.val_check_interval}, but an epoch has {trainer.num_training_batches} "
        "batches: give as many at most, or count through all epochs with --trainer.check_val_every_n_epoch null"
    )


def _way_to_start(strategy: str | Namespace | None) -> str:
    """How a configured strategy starts its processes, or its name."""
    if isinstance(strategy, Namespace):
        return str(strategy.get("init_args", {}).get("start_method", ""))
    return strategy if isinstance(strategy, str) else ""
