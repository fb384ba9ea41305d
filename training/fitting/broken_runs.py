"""A training run that broke: what it met, and what can be done."""

import re
from pathlib import Path
from shlex import quote

import lightning
import torch

from nodescan import errors
from nodescan.errors import DeviceError, DeviceLostError, NodescanError, SlideError, first_line
from nodescan.inference.gpu_errors import is_lost, is_out_of_memory, lost
from training.fitting.checkpoints import are_sound, read_checkpoint
from training.fitting.resume import written_ns

_TOLD_BY_WORKER = re.compile(r"^nodescan\.errors\.(\w+): (.+)$", re.MULTILINE)

_RAISED = re.compile(r"^[\w.]*Error: (.+)$", re.MULTILINE)
"""The line of a traceback that names what was raised."""


def met_by_worker(error: Exception) -> NodescanError | None:
    """What a worker met, of the class that it was raised as: a slide's is made of its name and the rest. None of an
    error that holds no worker's."""
    told = _TOLD_BY_WORKER.findall(str(error))
    if not told:
        return None
    kind, text = told[-1]
    met = getattr(errors, kind)
    return met(*text.split(": ", 1)) if issubclass(met, SlideError) else met(text)


def gpu_failure(error: Exception, trainer: lightning.Trainer, *, full: str, again: str) -> DeviceError | None:
    """What the GPU failed with, or that its memory is full; None of an error that isn't the GPU's.

    full: what can be done where memory is wanting. again: what can be done once the GPU works again.
    """
    if not isinstance(error, RuntimeError):
        return None
    found, device = _met_by_thread(error), trainer.strategy.root_device
    try:
        if device.type == "cuda" and is_out_of_memory(found):
            torch.cuda.synchronize(device)
    except RuntimeError as later:
        found = later
    if is_lost(found):
        return DeviceLostError(lost(found).reason, f"look at it with nvidia-smi, then {again}")
    return DeviceError(f"the GPU's memory is full: {full}") if is_out_of_memory(found) else None


def _met_by_thread(error: RuntimeError) -> RuntimeError:
    """What the thread met that pins batches, where it is that thread's: torch hands its traceback over, as text."""
    met = _RAISED.findall(str(error)) if " in pin memory thread " in first_line(error) else []
    return RuntimeError(met[-1]) if met else error


def what_failed(error: OSError, trainer: lightning.Trainer) -> str:
    where = error.filename or trainer.default_root_dir
    why = error.strerror or str(error).splitlines()[-1]  # a worker's error holds its traceback
    return f"{where}: {why}; fix that"


def how_to_go_on(trainer: lightning.Trainer) -> str:
    """What can be done after the run broke: whether there is a checkpoint to go on from."""
    there = _checkpoints_left(trainer)
    return f"resume with --ckpt_path {quote(str(there[0]))}" if there else "start again, no checkpoint was written yet"


def how_to_start_again(trainer: lightning.Trainer) -> str:
    """What can be done after the loss blew up: which of its checkpoints can be started from, the newest first."""
    slower = "with a lower --model.learning_rate"
    there = _checkpoints_left(trainer)
    if not there:
        return f"no checkpoint was written yet; start again {slower}"
    good = next((path for path in there if are_sound(read_checkpoint(path)[1])), None)
    if good is None:
        return f"no checkpoint in {there[0].parent} holds weights that can be used; start again {slower}"
    return f"{good} is good; start from it: --model.init_from {quote(str(good))}, {slower}"


def with_less_at_once(trainer: lightning.Trainer) -> str:
    """What can be done after a step had no room: epochs of fewer patches are of more batches, and not gone on with."""
    there = _checkpoints_left(trainer)
    if not there:
        return "show it less at once (plan.patches, plan.tiles), then start again, no checkpoint was written yet"
    anew = f"with fewer plan.patches start from its weights, --model.init_from {quote(str(there[0]))}"
    return f"use fewer plan.tiles and {how_to_go_on(trainer)}; {anew}"


def _checkpoints_left(trainer: lightning.Trainer) -> list[Path]:
    """The checkpoints that are left of a run, the newest first."""
    names = ("last_model_path", "best_model_path")
    kept = [getattr(callback, name, "") for name in names for callback in reversed(trainer.checkpoint_callbacks)]
    return sorted((Path(path) for path in kept if path and Path(path).is_file()), key=written_ns, reverse=True)
