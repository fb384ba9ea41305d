"""Going on with a run: from which checkpoint, by the settings it was begun with, and with what is kept of it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
from jsonargparse import Namespace
from lightning.pytorch.callbacks import ModelCheckpoint

from nodescan.errors import UsageError
from training.fitting.checkpoints import run_settings, steps_of, stored_callback

LAST = "last.ckpt"
"""What ModelCheckpoint calls the newest checkpoint where it is told to save_last."""

_LASTS = re.compile(r"last(-v\d+)?\.ckpt")
"""LAST, and what ModelCheckpoint calls it beside one that it doesn't know."""

_MOVED_BY_SCHEDULE = {"lr": "max_lr", "betas": "max_momentum", "momentum": "max_momentum"}
"""An optimiser's settings that a schedule moves: where the optimiser holds the second, a cycle does."""


def last_checkpoint(folder: Path) -> Path:
    """The newest last.ckpt of all runs below a folder; beside others of its run, the one of most steps.

    Raises UsageError where there is none.
    """
    found = [path for path in folder.rglob("last*.ckpt") if _LASTS.fullmatch(path.name) and path.exists()]
    if not found:
        raise UsageError(f"{folder}: no {LAST} below it to resume from; leave out --ckpt_path to start a new run")
    newest = max(found, key=written_ns)
    beside = [path for path in found if path.parent == newest.parent]
    return newest if len(beside) == 1 else max(beside, key=lambda path: (steps_of(path)[0], written_ns(path)))


def written_ns(path: Path) -> int:
    """When a file was written, in ns."""
    return path.stat().st_mtime_ns


def check_same_settings(path: Path, asked: Namespace) -> None:
    """Raise UsageError where rate or weight decay are not the checkpoint's: its optimiser's state holds its own.

    asked: the run's configuration. An optimiser and a schedule that it names are compared by what that state tells.
    """
    hyper, groups = run_settings(path)
    if not asked.get("optimizer"):
        for name in ("learning_rate", "weight_decay"):
            _check_same(path, f"model.{name}", asked.model[name], hyper.get(name))
        return
    for group in groups[:1]:
        for name, value in asked.optimizer.get("init_args", {}).items():
            if _MOVED_BY_SCHEDULE.get(name) in group:
                continue
            stored = group.get("initial_lr") if name == "lr" and asked.get("lr_scheduler") else group.get(name)
            _check_same(path, f"optimizer.{name}", value, stored)
        if asked.get("lr_scheduler"):
            init = asked.lr_scheduler.get("init_args", {})
            _check_same(path, "lr_scheduler.max_lr", init.get("max_lr"), group.get("max_lr"))


def _check_same(path: Path, name: str, asked: object, stored: object) -> None:
    """Raise UsageError where a number isn't the one stored; where either isn't told there is nothing to compare."""
    if isinstance(asked, int | float) and isinstance(stored, int | float) and float(asked) != float(stored):
        raise UsageError(
            f"--{name} is {asked:g}, but the run of {path} resumes with {stored:g}; leave it out, or start from its "
            "weights: --model.init_from instead of --ckpt_path"
        )


class SameFolder(lightning.Callback):
    """Lets a run know its own checkpoints in the folder that it goes on in, however that is spelled, wherever it lay.

    ModelCheckpoint forgets all of them where its folder isn't, letter by letter, the one that the checkpoint names.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        states = checkpoint.get("callbacks", {})
        for callback in trainer.checkpoint_callbacks:
            if not isinstance(callback, ModelCheckpoint) or callback.dirpath is None:
                continue
            state = states.get(callback.state_key)
            if state and os.path.realpath(callback.dirpath) == os.path.realpath(self.path.parent):
                states[callback.state_key] = self._here(callback, state)
                best = states[callback.state_key]["best_model_path"]
                if callback.monitor and state["best_model_path"] and not best and trainer.is_global_zero:
                    print(
                        f"the best checkpoint so far, {Path(state['best_model_path']).name}, does not lie beside "
                        f"{self.path}: what is called the best is so from here on only",
                        flush=True,
                    )

    def _here(self, callback: ModelCheckpoint, state: Mapping[str, Any]) -> dict[str, Any]:
        """The state with those of its files that lie here, by their names here."""
        stored = state.get("best_k_models", {}) or self._best_since(callback, state)
        scores = {here: score for there, score in stored.items() if (here := self._own(callback, state, there))}
        falling = sorted(scores, key=lambda here: float(scores[here]), reverse=callback.mode == "max")
        last = self._own(callback, state, state.get("last_model_path", ""))
        if not last and callback.save_last and _LASTS.fullmatch(self.path.name):
            last = os.path.join(str(callback.dirpath), self.path.name)  # a link's file was written before the link was
        here = {**state, "dirpath": callback.dirpath, "best_k_models": scores, "last_model_path": last}
        if not stored:
            return {**here, "best_model_path": self._own(callback, state, state["best_model_path"])}
        return here | {
            "best_model_path": falling[0] if falling else "",
            "best_model_score": scores[falling[0]] if falling else None,
            "kth_best_model_path": falling[-1] if falling else "",
            "kth_value": scores[falling[-1]] if falling else callback.kth_value,
        }

    def _best_since(self, callback: ModelCheckpoint, state: Mapping[str, Any]) -> dict[str, Any]:
        """The first best checkpoint with its score, where it was written after the one that the run goes on from.

        That one knows of none, and Lightning would write the next best one under a second name. None where it may be
        of another run: one of as many steps or fewer, older, or written in another folder.
        """
        path = Path(str(callback.dirpath), f"{callback.filename}{callback.FILE_EXTENSION}")
        if not callback.monitor or not path.is_file() or written_ns(path) < written_ns(self.path):
            return {}
        other = stored_callback(path, callback.state_key)
        scores = {
            there: score for there, score in other.get("best_k_models", {}).items() if Path(there).name == path.name
        }
        later = steps_of(path)[0] > steps_of(self.path)[0]
        return scores if later and other.get("dirpath") == state.get("dirpath") else {}

    def _own(self, callback: ModelCheckpoint, state: Mapping[str, Any], there: str) -> str:
        """Where a file that the state names lies here; "" where it doesn't, or another run's has its name."""
        if not there or not callback.dirpath:
            return ""
        name = os.path.relpath(there, state.get("dirpath") or os.path.dirname(there))
        here = os.path.join(callback.dirpath, name)
        if not os.path.exists(here):
            return ""
        if os.path.realpath(here) == os.path.realpath(there) or os.path.realpath(here) == os.path.realpath(self.path):
            return here
        other = stored_callback(Path(here), callback.state_key)
        of_score = {os.path.basename(path): float(score) for path, score in other.get("best_k_models", {}).items()}
        score = state.get("best_k_models", {}).get(there)
        same_score = score is not None and of_score.get(os.path.basename(there)) == float(score)
        return here if same_score or other.get("dirpath") == state.get("dirpath") else ""
