"""Training on a GPU; where there is none, as far as it can be tried without."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import lightning
import numpy as np
import pytest
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch.utils.data._utils.pin_memory import pin_memory

from nodescan.inference.card import load_card
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.predictor import open_predictor
from nodescan.interfaces import predict
from tests.training.made_patches import write_patches
from tests.training.made_runs import QUIET, patch_data, slide_data, small_config
from training.__main__ import main
from training.fitting.lightning_cli import fit
from training.fitting.module import TumourModule
from training.fitting.randomness import KeepRandomness
from training.fitting.resume import last_checkpoint
from training.patches.numbered_batches import Batch

BATCH = Batch(torch.zeros(2, 3, 8, 8), torch.zeros(2), torch.ones(1, 3, 8, 8), torch.ones(1, 2, 2))


def trainer_on(device: str) -> Any:
    """What a data module asks of a trainer."""
    progress = SimpleNamespace(total=SimpleNamespace(completed=0))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress))
    strategy = SimpleNamespace(root_device=torch.device(device))
    return SimpleNamespace(strategy=strategy, fit_loop=loop, global_rank=0, world_size=1, ckpt_path=None)


@pytest.mark.parametrize(("device", "pinned"), [("cuda:0", True), ("cpu", False)])
def test_batches_for_a_gpu_are_pinned(index: Path, tmp_path: Path, device: str, pinned: bool) -> None:
    """Of either kind of data, to train on and to validate on; a run on the CPU needs none, beside a GPU too."""
    for data in (patch_data(write_patches(tmp_path / "patches.zip")), slide_data(index)):
        data.trainer = trainer_on(device)
        data.setup("fit")
        assert [data.train_dataloader().pin_memory, data.val_dataloader().pin_memory] == [pinned, pinned]


def test_a_loader_pins_each_part_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it doesn't know it would leave where it is."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor, *_: tensor + 7)
    pinned = pin_memory(BATCH)
    assert isinstance(pinned, Batch)
    assert all(torch.equal(part, before + 7) for part, before in zip(pinned, BATCH, strict=True))


@pytest.mark.parametrize(("device", "beside"), [("cuda", True), ("cpu", False)])
def test_a_gpu_fetches_a_batch_beside_its_work(monkeypatch: pytest.MonkeyPatch, device: str, beside: bool) -> None:
    """On the way back nobody would know when it is whole."""
    asked: list[tuple[str, bool]] = []

    def to(tensor: torch.Tensor, place: torch.device, *, non_blocking: bool = False) -> torch.Tensor:
        asked.append((place.type, non_blocking))
        return tensor

    monkeypatch.setattr(torch.Tensor, "to", to)
    move_data_to_device(BATCH, torch.device(device))
    assert asked == [(device, beside)] * 4


@pytest.mark.parametrize("used", [True, False])
def test_the_state_of_a_gpu_is_kept_where_it_is_used(monkeypatch: pytest.MonkeyPatch, used: bool) -> None:
    """Asking for it would take memory on one that a run on the CPU leaves alone, and fail where that is full."""
    state, given = torch.arange(4, dtype=torch.uint8), []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: state if used else pytest.fail("the GPU is woken"))
    monkeypatch.setattr(torch.cuda, "set_rng_state", given.append)
    kept = KeepRandomness()
    found = kept.state_dict()
    assert (found["gpu"] is state) == used
    kept.load_state_dict(found | {"gpu": state})
    kept.on_train_batch_start(cast(Any, None), cast(Any, None), None, 0)
    assert len(given) == used


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_on_a_gpu_goes_on_and_becomes_a_model(index: Path, tmp_path: Path, precision: str) -> None:
    """With its average, its workers and its validation; what it learned is weights for any device."""
    config = small_config(tmp_path / "small.yaml", index, workers=2)
    words = ["--config", str(config), "--trainer.accelerator", "gpu", "--trainer.precision", precision]
    cli = fit(["fit", *words])
    assert cli.trainer.strategy.root_device.type == "cuda"
    assert cli.trainer.global_step == 16
    again = fit(["fit", *words, "--ckpt_path", "last"])
    assert again.trainer.global_step == 16
    assert all(value.isfinite().all() for value in again.model.state_dict().values())
    for run in (cli, again):
        assert 0 <= float(run.trainer.callback_metrics["valid/auc"]) <= 1
    last = last_checkpoint(tmp_path / "runs")
    assert main(["export", str(last), "--to", str(tmp_path / "model")]) == 0
    side = load_card(tmp_path / "model").geometry().input_px
    tiles = made_tiles(2, side)
    on_gpu, on_cpu = (
        predict(open_predictor(tmp_path / "model", device=device, precision="float32"), tiles)
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-4, rtol=0)


class Anywhere(CPUAccelerator):
    """The CPU, taken for a device that networks are yet to be moved to."""

    def setup_device(self, device: torch.device) -> None: ...


class SetUp(Exception): ...


class Look(lightning.Callback):
    """Ends a run before the network is moved."""

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        raise SetUp


def test_averaged_weights_lie_where_the_network_is_trained() -> None:
    """From before it is moved there: else each step would copy all weights to the CPU."""
    averaging = EMAWeightAveraging(decay=0.9, use_buffers=True)
    strategy = SingleDeviceStrategy(device=torch.device("meta"), accelerator=Anywhere())
    trainer = lightning.Trainer(**QUIET | {"accelerator": "auto"}, strategy=strategy, callbacks=[averaging, Look()])
    with pytest.raises(SetUp):
        trainer.fit(TumourModule("p4m-small", 0.001, 0.03, 0.3), torch.utils.data.DataLoader([0]))
    assert averaging._average_model is not None
    assert {value.device.type for value in averaging._average_model.state_dict().values()} == {"meta"}
