"""Flags of Lightning's trainer: what a run can't have is one line, with the flag and the way out, before it trains."""

import logging
import re
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning
import pytest
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint

from nodescan.errors import UsageError
from tests.training.made_runs import Watch, small_config
from training.__main__ import main
from training.fitting.lightning_cli import fit
from training.fitting.module import TumourModule
from training.fitting.monitors import check_monitors, scores_of_validation
from training.fitting.quiet import leave_out_no_news


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("overfit_batches 2", r"overfit_batches is 2: .*; use --trainer\.limit_train_batches 2"),
        ("val_check_interval 100", r"val_check_interval is 100, but an epoch has 8 batches: give as many at most"),
        ("val_check_interval 0", r"val_check_interval is 0: nothing would be validated; give a number above 0"),
        (
            "val_check_interval 00:00:01:00",
            r"val_check_interval is 00:00:01:00: not supported, .*; give a number of batch",
        ),
        (
            'val_check_interval {"minutes":1}',
            r"val_check_interval is \{'minutes': 1\}: not supported, .*; give a number of",
        ),
        ("check_val_every_n_epoch 0", r"check_val_every_n_epoch is 0: nothing would be validated; give"),
        ("accumulate_grad_batches 0", r"accumulate_grad_batches is 0: no step would be made; give a number above 0"),
        ("accumulate_grad_batches -2", r"accumulate_grad_batches is -2: no step would be made; give a number above 0"),
        ("limit_train_batches 0", r"limit_train_batches is 0: nothing would be trained; give a number above 0"),
        ("barebones true", r"barebones is true: not supported, .*; leave it out"),
        ("accelerator foo", r"accelerator is foo: .*; use auto, cpu or gpu"),
        ("strategy foo", r"strategy is foo: .*; use ddp for several devices, or leave it out"),
        ("strategy ddp_spawn", r"strategy starts its processes by ddp_spawn: not supported; use ddp"),
        ("strategy ddp_notebook", r"strategy starts its processes by ddp_notebook: not supported; use ddp"),
        ("strategy DDPStrategy --trainer.strategy.start_method fork", r"strategy starts its processes by fork: .*"),
        ("devices x", r"devices is x: .* should be an int > 0; give a number above 0"),
    ],
)
def test_a_flag_that_cannot_be_had_is_one_line(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    """Named, with what to do instead; Lightning would end most of them in a traceback."""
    config = small_config(tmp_path / "small.yaml", index)
    assert main(["fit", "--config", str(config), *f"--trainer.{words}".split()]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if line.startswith("error: ")] == told[-1:]
    assert re.match(rf"error: trainer\.{said}", told[-1])


@pytest.mark.parametrize(
    ("flag", "kind"), [("logger", "LearningRateMonitor"), ("enable_checkpointing", "ModelCheckpoint")]
)
def test_a_run_without_a_log_or_checkpoints_leaves_out_what_needs_them(
    index: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, flag: str, kind: str
) -> None:
    """Lightning would refuse the flag beside the shipped callbacks, which no flag takes out. It is told in one line."""
    config = small_config(tmp_path / "small.yaml", index, batches=2)
    words = ["fit", "--config", str(config), "--trainer.max_epochs=1"]
    with caplog.at_level(logging.INFO):
        cli = fit([*words, f"--trainer.{flag}=false"])
    assert [line for line in caplog.messages if kind in line] == [
        line for line in caplog.messages if line.startswith(f"trainer.{flag} is false: ")
    ]
    assert caplog.text.count(f"{kind} is left out") == 1
    assert kind not in {type(each).__name__ for each in cli.trainer.callbacks}
    assert "EarlyStopping" in {type(each).__name__ for each in cli.trainer.callbacks}
    assert bool(list((tmp_path / "runs").rglob("*.ckpt"))) is (flag == "logger")


@pytest.mark.parametrize(
    "callbacks",
    [
        [EarlyStopping("valid/acc")],
        [ModelCheckpoint(monitor="valid/lss")],
        [EarlyStopping("step")],
        [EarlyStopping("lr-AdamW/pg1")],
        [EarlyStopping("valid/loss"), ModelCheckpoint(monitor="train/auc"), LearningRateMonitor()],
    ],
)
def test_a_score_that_nothing_logs_is_not_watched(callbacks: list[Any]) -> None:
    """Told before the first epoch, with the names that there are."""
    module, named = TumourModule("p4m-small", 0.001, 0.03, 0.3), "train/patches, train/tiles, valid/loss, valid/auc"
    trainer = SimpleNamespace(callbacks=callbacks)
    with pytest.raises(UsageError, match=f"which the run does not log; set it to one of {named}"):
        check_monitors(trainer, module)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "callbacks",
    [
        [EarlyStopping("valid/auc", mode="max"), ModelCheckpoint(monitor="train/patches"), ModelCheckpoint()],
        [ModelCheckpoint(monitor="step"), ModelCheckpoint(monitor="epoch")],
        [EarlyStopping("lr-AdamW/pg1"), LearningRateMonitor()],
        [EarlyStopping("own/score"), Watch()],
    ],
)
def test_what_may_be_logged_can_be_watched(callbacks: list[Any]) -> None:
    """By the module, by Lightning itself, and by a callback of the user's own, of which nothing is known."""
    check_monitors(SimpleNamespace(callbacks=callbacks), TumourModule("p4m-small", 0.001, 0.03, 0.3))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", [EarlyStopping, ModelCheckpoint])
@pytest.mark.parametrize(
    ("name", "right"), [("valid/auc", "max"), ("valid/loss", "min"), ("train/patches", "min"), ("train/tiles", "min")]
)
def test_the_worst_score_is_not_watched_for_the_best(kind: type[Any], name: str, right: str) -> None:
    """Told with the right mode, beside callbacks of the user's own, too; with that one the run is taken."""
    module = TumourModule("p4m-small", 0.001, 0.03, 0.3)
    for mode in ("min", "max"):
        trainer: Any = SimpleNamespace(callbacks=[kind(monitor=name, mode=mode), Watch()])
        if mode == right:
            check_monitors(trainer, module)
            continue
        said = rf"mode of {kind.__name__} is {mode}, but {name} is better the (high|low)er it is: set mode to {right}$"
        with pytest.raises(UsageError, match=said):
            check_monitors(trainer, module)


PLATEAU = ["--optimizer=SGD", "--optimizer.lr=0.01", "--lr_scheduler=ReduceLROnPlateau"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["monitor=valid/auc"], "the mode of ReduceLROnPlateau is min, but valid/auc is better the higher it is: set"),
        (
            ["monitor=valid/loss", "mode=max"],
            "the mode of ReduceLROnPlateau is max, but valid/loss is better the lower",
        ),
        (["monitor=valid/acc"], "the monitor of ReduceLROnPlateau is valid/acc, which the run does not log; set it to"),
    ],
)
def test_a_rate_is_not_lowered_while_its_score_gets_better(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """It was, for the smallest AUC was taken for the best; told before the run makes its folder."""
    config = small_config(tmp_path / "small.yaml", index)
    assert main(["fit", "--config", str(config), *PLATEAU, *(f"--lr_scheduler.{word}" for word in words)]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "runs").exists()


def test_a_schedule_that_watches_a_score_the_right_way_is_taken(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A score of validation needs validation, for a schedule too; one that watches nothing is not asked."""
    config = small_config(tmp_path / "small.yaml", index, batches=2)
    words = ["fit", "--config", str(config), "--trainer.max_epochs=1", "--trainer.callbacks=null"]
    watching = [*PLATEAU, "--lr_scheduler.monitor=valid/auc", "--lr_scheduler.mode=max"]
    assert main([*words, *watching, "--trainer.limit_val_batches=0"]) == 2
    assert "the run is to watch valid/auc, which only validation tells" in capsys.readouterr().err
    assert main([*words, *watching]) == 0
    assert main([*words, *PLATEAU[:2], "--lr_scheduler=StepLR", "--lr_scheduler.step_size=1"]) == 0


def test_the_names_that_can_be_watched_are_those_that_a_run_logs(index: Path, tmp_path: Path) -> None:
    """But for the rates, which LearningRateMonitor names. Without validation a score of training can be watched."""
    config = small_config(tmp_path / "small.yaml", index, batches=2)
    cli = fit(["fit", "--config", str(config), "--trainer.max_epochs=1"])
    logged = {name for name in cli.trainer.callback_metrics if not name.startswith("lr-")}
    assert logged == set(cli.model.logged)
    assert TumourModule("p4m-small", 0.001, 0.03, 0.0).logged == ("train/patches", "valid/loss", "valid/auc")
    watching = [EarlyStopping("train/patches"), ModelCheckpoint(monitor="valid/auc"), ModelCheckpoint(monitor="step")]
    assert scores_of_validation(SimpleNamespace(callbacks=watching)) == ["valid/auc"]  # pyright: ignore[reportArgumentType]


def test_an_advertisement_and_a_deprecation_are_left_out_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """What a user can act on is still said."""
    log = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.INFO, log.name):
        warnings.simplefilter("always")
        leave_out_no_news()
        lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
        log.info("Tip: take care")
        warnings.warn("`isinstance(treespec, LeafSpec)` is deprecated, use another", FutureWarning, stacklevel=1)
        warnings.warn("another is deprecated", FutureWarning, stacklevel=1)
    assert "litlogger" not in caplog.text
    assert "GPU available" in caplog.text
    assert "Tip: take care" in caplog.text
    assert [str(each.message) for each in warned if each.category is FutureWarning] == ["another is deprecated"]
