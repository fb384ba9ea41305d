"""Keeps torch's random numbers in checkpoints, so that dropout after a resume is what it would have been."""

from typing import Any

import lightning
import torch


class KeepRandomness(lightning.Callback):
    """State of the CPU's generator, and of the GPU's where training runs on one; taken up again before the first batch.

    List it in the trainer's callbacks. With several processes the state is that of the first.
    """

    def __init__(self) -> None:
        self._state: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        # Where nothing uses the GPU, asking for its state would take memory on it, and fail where that is full.
        gpu = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
        return {"cpu": torch.get_rng_state(), "gpu": gpu}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._state = state_dict

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: object, batch_idx: int
    ) -> None:
        if self._state is None:
            return
        torch.set_rng_state(self._state["cpu"].cpu())
        if self._state["gpu"] is not None and torch.cuda.is_initialized():
            torch.cuda.set_rng_state(self._state["gpu"].cpu())
        self._state = None
