"""python -m training fit: what is asked for is trained, a run goes on from its last checkpoint, errors are one line."""

import errno
import itertools
import os
import re
import signal
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import lightning
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from nodescan.errors import OutputError, UsageError
from nodescan.inference.models import MODELS
from nodescan.inference.random_model import random_model
from nodescan.slides.files import fingerprint
from tests.training.made_patches import write_patches
from tests.training.made_runs import CONFIG, be_killed, made_checkpoint, small, small_config
from training.__main__ import main
from training.fitting.averaging import average
from training.fitting.broken_runs import how_to_start_again
from training.fitting.checkpoint_writing import WholeCheckpoints
from training.fitting.checkpoints import STEPS, read_checkpoint
from training.fitting.lightning_cli import TrainingCLI, _progress_in_words, fit
from training.fitting.module import TumourModule
from training.fitting.resume import last_checkpoint
from training.patches.numbered_batches import Batch
from training.slides.index import read_index

REPOSITORY = Path(__file__).parents[3]


FEW = ["--data.init_args.plan.batches", "4"]
"""Of an epoch: half as many as a configuration here has."""


@pytest.fixture(scope="module")
def finished(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a run of 16 steps that was brought to its end."""
    config = small_config(tmp_path_factory.mktemp("finished") / "small.yaml", index)
    fit(["fit", "--config", str(config)])
    return config


@pytest.fixture
def config(index: Path, tmp_path: Path) -> Path:
    """The configuration of a run of 16 steps that writes below tmp_path."""
    return small_config(tmp_path / "small.yaml", index)


def said_of(words: list[str], capsys: pytest.CaptureFixture[str], *, code: int = 2, command: str = "fit") -> str:
    """The one line that a fit, or a validation, which fails ends with."""
    capsys.readouterr()
    assert main([command, *words]) == code
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
    return lines[-1]


def test_last_is_the_newest_checkpoint_of_all_runs_of_the_folder(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every run has a folder of its own; --ckpt_path last goes on from the newest, and has nothing left to do here."""
    newest = last_checkpoint(finished.parent / "runs")
    cli = fit(["fit", "--config", str(finished), "--ckpt_path", "last"])
    assert cli.trainer.ckpt_path == str(newest)
    assert cli.trainer.global_step == 16
    assert cli.trainer.fit_loop.epoch_loop.batch_progress.total.started == 16
    assert f"goes on from {newest}, step 15 of 16\n" in capsys.readouterr().out


@pytest.mark.parametrize(("instructions", "computed_in"), [("AVX2", "32-true"), ("AVX512", "bf16-mixed")])
def test_bfloat16_is_not_imitated(
    finished: Path, monkeypatch: pytest.MonkeyPatch, instructions: str, computed_in: str
) -> None:
    """The released configurations ask for it; where it takes nine times as long, a run is in float32."""
    monkeypatch.setattr("training.fitting.lightning_cli.fast_dtype", lambda device: None)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: instructions)
    cli = fit(["fit", "--config", str(finished), "--ckpt_path", "last", "--trainer.precision", "bf16-mixed"])
    assert cli.trainer.precision == computed_in


@pytest.mark.parametrize("precision", ["bf16-true", "16-true", "64-true", "64"])
def test_a_precision_that_casts_batches_is_refused(
    finished: Path, capsys: pytest.CaptureFixture[str], precision: str
) -> None:
    """In one line, before anything is read: what can be trained in is named."""
    line = said_of(["--config", str(finished), "--trainer.precision", precision], capsys)
    assert line == f"error: trainer.precision is {precision}: training is in one of 32-true, bf16-mixed, 16-mixed"


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_precisions_go_by_their_short_names_too(finished: Path, precision: str) -> None:
    """As Lightning reads them; numbers as well as words."""
    cli = fit(["fit", "--config", str(finished), "--ckpt_path", "last", "--trainer.precision", precision])
    assert cli.trainer.precision == {"32": "32-true", "bf16": "bf16-mixed"}[precision]


def test_a_run_that_is_over_is_told_from_one_that_broke(tmp_path: Path) -> None:
    """The newest checkpoint may be of an earlier run, which nobody meant."""
    for steps, said in ((15, "step 15 of 16"), (16, "step 16 of 16; that run is complete: leave out --ckpt_path")):
        torch.save({"global_step": steps, STEPS: 16}, tmp_path / "last.ckpt")
        assert _progress_in_words(tmp_path / "last.ckpt").startswith(said)


def test_a_run_by_another_optimiser_goes_on(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Optimiser and schedule can be named on the command line; not every schedule says of how many steps it is."""
    root = ["--config", str(finished), "--trainer.default_root_dir", str(tmp_path), *FEW]
    rate = ["--optimizer", "SGD", "--optimizer.lr", "0.01"]
    for schedule in (
        [],
        ["--lr_scheduler", "CosineAnnealingLR", "--lr_scheduler.T_max", "2"],
        ["--lr_scheduler", "OneCycleLR", "--lr_scheduler.max_lr", "0.01", "--lr_scheduler.total_steps", "2"],
    ):
        fit(["fit", *root, *rate, *schedule])
        cli = fit(["fit", *root, *rate, *schedule, "--ckpt_path", "last"])
        assert type(cli.trainer.optimizers[0]) is torch.optim.SGD
        assert f"goes on from {cli.trainer.ckpt_path}, step 6 of 8\n" in capsys.readouterr().out
        assert cli.trainer.global_step == 8


def test_a_schedule_without_its_optimiser_is_refused(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lightning would leave it out in silence."""
    words = ["--config", str(finished), "--lr_scheduler", "CosineAnnealingLR", "--lr_scheduler.T_max", "2"]
    assert said_of(words, capsys).startswith("error: lr_scheduler is given without an optimizer")


def test_the_root_of_the_command_line_is_where_a_run_writes(finished: Path, tmp_path: Path) -> None:
    """Lightning's loggers know nothing of it; last is looked for there, too."""
    root = ["--trainer.default_root_dir", str(tmp_path / "elsewhere"), *FEW]
    before = sorted((finished.parent / "runs").rglob("*"))
    fit(["fit", "--config", str(finished), *root])
    assert sorted((finished.parent / "runs").rglob("*")) == before
    cli = fit(["fit", "--config", str(finished), *root, "--ckpt_path", "last"])
    assert cli.trainer.ckpt_path == str(last_checkpoint(tmp_path / "elsewhere"))


def test_last_is_looked_for_where_the_loggers_write(finished: Path, tmp_path: Path) -> None:
    """A configuration may give them another folder than its root: checkpoints lie beside their files."""
    content = yaml.safe_load(finished.read_text())
    content["trainer"]["default_root_dir"] = str(tmp_path / "root")
    config = tmp_path / "two_roots.yaml"
    config.write_text(yaml.safe_dump(content))
    cli = fit(["fit", "--config", str(config), "--ckpt_path", "last"])
    assert cli.trainer.ckpt_path == str(last_checkpoint(finished.parent / "runs"))


def test_weights_without_a_run_cannot_be_gone_on_with(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An average of networks, say: it can be started from."""
    path = tmp_path / "mean.ckpt"
    average([str(last_checkpoint(finished.parent / "runs"))] * 2, path)
    line = said_of(["--config", str(finished), "--ckpt_path", str(path)], capsys)
    assert line == f"error: {path}: holds only weights, not a run to resume; start from it: --model.init_from"


def test_a_run_that_goes_on_remembers_its_best_checkpoint(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was the best before the break stays the best until a better one comes."""
    (best,) = (finished.parent / "runs").rglob("best.ckpt")
    fit(["fit", "--config", str(finished), "--ckpt_path", "last"])
    assert f": {best}" in capsys.readouterr().out
    assert list((finished.parent / "runs").rglob("best*.ckpt")) == [best]


def test_of_several_runs_the_newest_is_gone_on_with(tmp_path: Path) -> None:
    """By the time of its last checkpoint, whatever the folders are called."""
    for name, time in (("version_0", 30), ("version_1", 10), ("version_2", 20)):
        path = tmp_path / name / "checkpoints" / "last.ckpt"
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (time, time))
    assert last_checkpoint(tmp_path) == tmp_path / "version_0" / "checkpoints" / "last.ckpt"


def test_where_there_is_no_last_nothing_starts_anew(config: Path) -> None:
    """A run that was to go on is never begun from scratch in silence."""
    with pytest.raises(UsageError, match=r"runs: no last.ckpt below it to resume from; leave out --ckpt_path"):
        fit(["fit", "--config", str(config), "--ckpt_path", "last"])


def test_a_checkpoint_of_another_architecture_is_refused_by_file(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The checkpoint's network doesn't take the place of the one asked for."""
    words = ["--config", str(finished), "--model.architecture", "plain", "--ckpt_path", "last"]
    assert said_of(words, capsys).endswith("last.ckpt: is of architecture p4m-small, the run of plain")


@pytest.mark.parametrize("name", ["none.ckpt", "garbage.ckpt"])
def test_a_checkpoint_that_cannot_be_read_is_named(
    finished: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing or of something else: one line with its name."""
    (tmp_path / "garbage.ckpt").write_bytes(b"PK no checkpoint")
    assert f"{name}: " in said_of(["--config", str(finished), "--ckpt_path", str(tmp_path / name)], capsys)


def test_a_schedule_that_is_over_cannot_be_gone_on_with(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Told before the first step, with the way out."""
    words = ["--config", str(finished), "--ckpt_path", "last", "--trainer.max_epochs", "3"]
    line = said_of(words, capsys)
    assert "last.ckpt: its schedule of learning rates is of 16 steps, this run of 24" in line
    assert "--model.init_from" in line


def test_tiles_that_a_network_answers_otherwise_are_refused(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The residual network answers a picture as one: tiles have no place in its lesson."""
    words = ["--config", str(small_config(tmp_path / "small.yaml", index, batches=1)), "--trainer.max_epochs=1"]
    line = said_of([*words, "--model.architecture", "residual"], capsys)
    assert "a tile has (4, 4) cells, of which residual answers (1, 1)" in line
    assert "--model.tile_weight 0" in line


def test_an_unknown_architecture_is_told_all_there_are(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that can be exported first, then those that can't."""
    config = small_config(tmp_path / "small.yaml", index, batches=1)
    line = said_of(["--config", str(config), "--model.architecture", "nonsense"], capsys)
    assert f"no architecture named 'nonsense'; there are {', '.join(sorted(MODELS))}, and" in line
    assert line.endswith("not exported: p4m-half, p4m-wide-first, plain, residual")


@pytest.mark.parametrize(("architecture", "told"), [("residual", False), ("p4m", True)])
def test_only_of_a_network_that_scans_it_is_said_how_to_make_a_model(
    architecture: str, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """export would refuse a rival's checkpoint."""
    best = SimpleNamespace(best_model_path="my runs/best.ckpt", monitor="valid/auc", best_model_score=0.9)
    trainer = SimpleNamespace(
        checkpoint_callbacks=[best], callbacks=[best], is_global_zero=True, global_step=6, estimated_stepping_batches=6
    )
    cli = SimpleNamespace(trainer=trainer, model=SimpleNamespace(hparams={"architecture": architecture}))
    TrainingCLI.after_fit(cli)
    said = capsys.readouterr().out
    assert "best checkpoint, valid/auc 0.9000: my runs/best.ckpt" in said
    assert ("python -m training export 'my runs/best.ckpt' --to" in said) == told


@pytest.mark.parametrize(("batches", "epochs"), [(4, 4), (5, 3)])
def test_epochs_of_another_length_cannot_be_gone_on_with(
    finished: Path, batches: int, epochs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """With as many steps in all, too: what is done counts in epochs, and the schedule would be over too early."""
    words = [f"--data.init_args.plan.batches={batches}", f"--trainer.max_epochs={epochs}"]
    line = said_of(["--config", str(finished), "--ckpt_path", "last", *words], capsys)
    assert f"last.ckpt: its epochs are of 8 batches, this run's of {batches}; go on with the data" in line
    assert "--model.init_from" in line


def test_a_run_says_where_its_best_checkpoint_is(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its score, and the command that makes a model of it."""
    config = small_config(tmp_path / "small.yaml", index, batches=2)
    fit(["fit", "--config", str(config), "--trainer.max_epochs", "1"])
    out = capsys.readouterr().out
    (best,) = (tmp_path / "runs").rglob("best.ckpt")
    assert f": {best}" in out
    assert f"python -m training export {best} --to" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("data.sample.edge_normal_share 0.9", "sample.edge_normal_share and sample.near_share are shares of one"),
        ("data.sample.tumour_share 1.0", "sample.tumour_share is 1: without both classes nothing is learned"),
        ("data.plan.tile_px 64", "plan.tile_px is 64: the network answers nothing below 80 px"),
        ("data.plan.tiles 0", "plan.tiles is 0: it must be 1 or more"),
        ("data.plan.batches 0", "plan.batches is 0: it must be 1 or more"),
        ("data.augment.stain -1", "augment.stain is -1: it must be 0 or more"),
        ("data.augment.scale 1e9", "augment.scale is 1e+09: it must lie between 0 and 0.5"),
        ("data.augment.shift_px 1e7", "augment.shift_px is 1e+07: it must lie between 0 and 16"),
        ("data.augment.blur_share 1.5", "augment.blur_share is 1.5: a share is 1 at most"),
        ("data.workers -1", "-1 does not conform to restriction v>=0"),
        ("trainer.devices 0", "value is not a valid input using cpu accelerator"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    config: Path, words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A share that isn't one, a count of none, a device that isn't there: the configuration and the key are named."""
    key, value = words.replace("data.", "data.init_args.", 1).split()
    line = said_of(["--config", str(config), f"--{key}", value], capsys)
    assert line.startswith(f"error: {config}: ")
    assert said in line


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("learning_rate", -1.0, "it must be 0 or more"),
        ("learning_rate", float("inf"), "it must be 0 or more"),
        ("weight_decay", float("nan"), "it must be 0 or more"),
        ("tile_weight", -1.0, "it must be 0 or more"),
        ("label_smoothing", 2.5, "it must lie between 0 and 1"),
        ("teacher_share", 1.1, "it must lie between 0 and 1"),
    ],
)
def test_a_modules_number_out_of_its_range_is_named(name: str, value: float, said: str) -> None:
    """Before anything is read; what is above 1 of a share would turn labels round."""
    numbers = {"learning_rate": 0.001, "weight_decay": 0.03, "tile_weight": 0.3}
    with pytest.raises(UsageError, match=f"model.{name} is {value:g}: {said}"):
        TumourModule("p4m-small", **numbers | {name: value})


def test_a_run_without_an_end_is_refused(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its schedule of learning rates needs one; a number of steps is one, too."""
    words = ["--config", str(small_config(tmp_path / "small.yaml", index, batches=1)), "--trainer.max_epochs", "-1"]
    assert "trainer.max_epochs is -1: say how long to train, by it or max_steps" in said_of(words, capsys)
    assert fit(["fit", *words, "--trainer.max_epochs", "1"]).trainer.global_step == 1


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("trainer.max_epochs", "0", "trainer.max_epochs is 0: nothing would be trained"),
        ("trainer.max_steps", "0", "trainer.max_steps is 0: nothing would be trained"),
        ("trainer.limit_train_batches", "0", "trainer.limit_train_batches is 0: nothing would be trained"),
        ("model.init_from", "", "the name of a checkpoint or model to start from is empty"),
    ],
)
def test_a_run_that_would_train_nothing_or_start_from_nowhere_is_refused(
    config: Path, key: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would end well with an untrained network; no name would be that of the released model."""
    assert said in said_of(["--config", str(config), f"--{key}={value}"], capsys)


def test_a_configuration_in_another_encoding_is_named(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As an editor of Windows saves it."""
    config.write_bytes(config.read_bytes() + "# Müller\n".encode("latin-1"))
    line = said_of(["--config", str(config)], capsys)
    assert line.startswith(f"error: {config}: is not text in UTF-8 (")


@pytest.mark.parametrize(("name", "value", "own"), [("margin_px", 26, 32), ("margin_px", 48, 32), ("stride_px", 8, 16)])
def test_a_plan_for_another_network_is_refused(
    config: Path, name: str, value: int, own: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of slides and of patches: its labels would lie beside the cells that they are compared with."""
    if name == "stride_px":
        content = yaml.safe_load(config.read_text())
        content["data"] = yaml.safe_load((REPOSITORY / "configs" / "train" / "pcam.yaml").read_text())["data"]
        config.write_text(yaml.safe_dump(content))
    line = said_of(["--config", str(config), f"--data.init_args.plan.{name}", str(value)], capsys)
    assert line == f"error: plan.{name} is {value}: the network's own is {own}"


def test_only_a_checkpoint_whose_weights_are_sound_is_called_good(index: Path, tmp_path: Path) -> None:
    """Of those that are left the newest sound one is named; where a step ruined them all, that is said."""
    trainer = lightning.Trainer(logger=False, callbacks=[ModelCheckpoint(tmp_path, every_n_epochs=n) for n in (1, 2)])
    for number, callback in enumerate(trainer.checkpoint_callbacks):
        path = made_checkpoint(
            tmp_path / f"{number}.ckpt", change=lambda _, w, number=number: w.ndim > 1 and w.mul_(1e30**number)
        )
        os.utime(path, (number, number))
        callback.last_model_path = str(path)  # pyright: ignore[reportAttributeAccessIssue]
    assert how_to_start_again(trainer).startswith(f"{tmp_path / '0.ckpt'} is good; start from it: --model.init_from")
    (tmp_path / "0.ckpt").unlink()
    assert "holds weights that can be used; start again with a lower" in how_to_start_again(trainer)


@pytest.mark.parametrize("spoilt", [float("nan"), float("-inf"), 1e6])
@pytest.mark.parametrize("which", ["state_dict", "current_model_state"])
def test_weights_that_cannot_be_used_are_never_written(
    monkeypatch: pytest.MonkeyPatch, which: str, spoilt: float
) -> None:
    """A step may ruin them before any loss says so, and the mean of a run's weights later than the last of them.

    A checkpoint with weights that half precision doesn't hold can't be exported.
    """
    alone = SimpleNamespace(strategy=SimpleNamespace(reduce_boolean_decision=bool))
    monkeypatch.setattr(TumourModule, "trainer", alone)
    module = TumourModule("p4m-small", 0.001, 0.03, 0.3)
    both = {name: {key: value.clone() for key, value in module.state_dict().items()} for name in ("state_dict", which)}
    module.on_save_checkpoint(both)
    next(iter(both[which].values())).view(-1)[0] = spoilt
    with pytest.raises(FloatingPointError, match="by step 0 the weights became no numbers, or too large for a model"):
        module.on_save_checkpoint(both)


def test_a_run_that_blows_up_keeps_its_last_good_checkpoint(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights too large for a model, but finite, are not written over it: it is named as what to start from."""
    words = ["--trainer.callbacks+=tests.training.made_runs.Grown", "--trainer.callbacks.at=5"]
    line = said_of(["--config", str(config), *words], capsys, code=1)
    (last,) = (tmp_path / "runs").rglob("last.ckpt")
    assert re.match(rf"error: by step 6 the weights became .*; \S+/{last.name} is good; start from it", line)
    assert torch.load(last, weights_only=True)["global_step"] == 3


@pytest.mark.parametrize(("at", "way_on"), [(1, "no checkpoint was written yet"), (5, "last.ckpt is good; start from")])
def test_a_loss_that_is_no_number_names_its_step_and_what_is_left(
    config: Path, tmp_path: Path, at: int, way_on: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, one line; a checkpoint is named where there is one, and it is from before."""
    content = yaml.safe_load(config.read_text())
    content["trainer"]["callbacks"] += [{"class_path": "tests.training.made_runs.Poison", "init_args": {"at": at}}]
    config.write_text(yaml.safe_dump(content))
    line = said_of(["--config", str(config)], capsys, code=1)
    assert f"the loss became nan at step {at}; " in line
    assert way_on in line
    kept = list((tmp_path / "runs").rglob("last.ckpt"))
    assert len(kept) == (at > 3)
    assert all(torch.load(path, weights_only=True)["global_step"] == 3 for path in kept)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("at", "way_on"), [(1, "start again, no checkpoint was"), (5, "resume with --ckpt_path /")])
def test_a_run_that_is_stopped_says_how_to_go_on(
    config: Path, number: int, at: int, way_on: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 130 and one line, by Ctrl-C and by a scheduler's signal alike: a script must not take it for done."""
    line = said_of(["--config", str(config), *signalled(number, at)], capsys, code=130)
    assert line.startswith(f"error: stopped by the user; {way_on}")
    if at == 5:
        assert read_checkpoint(Path(line.rpartition(" ")[2]))[0] == "p4m-small"


def test_a_validation_that_is_stopped_is_not_done(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lightning would end it with exit code 0 or 1, and without a word."""
    words = ["--config", str(finished), "--ckpt_path", "last", *signalled(signal.SIGTERM, 0)]
    assert said_of(words, capsys, code=130, command="validate") == "error: stopped by the user"


def test_an_untrained_network_is_not_validated(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be given a score; a checkpoint, or a model to start from, has one of its own."""
    words = ["--config", str(finished)]
    line = said_of(words, capsys, command="validate")
    assert line.startswith("error: validate: the network would be an untrained one; name a checkpoint with --ckpt_path")
    assert main(["validate", *words, "--ckpt_path", "last"]) == 0
    model = random_model(tmp_path / "model", "p4m-small")
    assert main(["validate", *words, "--model.init_from", str(model)]) == 0


def test_weights_alone_are_validated_as_a_start(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mean of checkpoints holds no run: Lightning would end in a traceback."""
    mean, last = tmp_path / "mean.ckpt", last_checkpoint(finished.parent)
    average([str(last), str(last)], mean)
    line = said_of(["--config", str(finished), "--ckpt_path", str(mean)], capsys, command="validate")
    assert line == f"error: {mean}: holds only weights, not a run to resume; start from it: --model.init_from"
    assert main(["validate", "--config", str(finished), "--model.init_from", str(mean)]) == 0


FULL = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: out of memory\nSearch for `cudaErrorMemory...'"),
]


@pytest.mark.parametrize("error", FULL, ids=str)
def test_a_full_gpu_is_told_with_what_to_do(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: RuntimeError
) -> None:
    """Less at once, and whether there is a checkpoint, whichever library had no room; in a validation, too."""

    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(TumourModule, "training_step", full)
    line = said_of(["--config", str(finished)], capsys)
    assert line.startswith(
        "error: the GPU's memory is full: show it less at once (plan.patches, plan.tiles), then start"
    )
    monkeypatch.setattr(TumourModule, "validation_step", full)
    last = str(last_checkpoint(finished.parent))
    line = said_of(["--config", str(finished), "--ckpt_path", last], capsys, command="validate")
    assert line.startswith("error: the GPU's memory is full: end other programs on it")


def test_a_gpu_that_fails_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, with the checkpoint to go on from, and going on from it works; in a validation, too."""
    config, step, steps = on_patches(tmp_path), TumourModule.training_step, itertools.count(1)
    words = ["--config", str(config)]

    def fails_at_last(module: TumourModule, batch: Batch, number: int) -> object:
        if next(steps) == 10:
            raise RuntimeError("CUDA error: unspecified launch failure\nSearch for `cudaErrorLaunchFailure' in ...")
        return step(module, batch, number)

    def fails(*_: object) -> None:
        raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")

    with monkeypatch.context() as patch:
        patch.setattr(TumourModule, "training_step", fails_at_last)
        line = said_of(words, capsys, code=1)
        last = last_checkpoint(tmp_path)
        assert line == (
            "error: the GPU failed (CUDA error: unspecified launch failure); look at it with nvidia-smi, then resume "
            f"with --ckpt_path {last}"
        )
        patch.setattr(TumourModule, "validation_step", fails)
        assert said_of([*words, "--ckpt_path", str(last)], capsys, code=1, command="validate") == (
            "error: the GPU failed (cuDNN error: CUDNN_STATUS_EXECUTION_FAILED); look at it with nvidia-smi, then "
            "validate again, or use --trainer.accelerator cpu"
        )
    assert main(["fit", *words, "--ckpt_path", str(last)]) == 0


def test_what_a_full_gpu_advises_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where patches are gone through, an epoch of fewer at once is of more batches: SameLength refuses to go on."""
    config, step, steps = on_patches(tmp_path), TumourModule.training_step, itertools.count(1)

    def full_at_last(module: TumourModule, batch: Batch, number: int) -> object:
        if next(steps) == 10:
            raise FULL[0]
        return step(module, batch, number)

    with monkeypatch.context() as patch:
        patch.setattr(TumourModule, "training_step", full_at_last)
        line = said_of(["--config", str(config)], capsys)
    last = last_checkpoint(tmp_path)
    assert line == (
        f"error: the GPU's memory is full: use fewer plan.tiles and resume with --ckpt_path {last}; with fewer "
        f"plan.patches start from its weights, --model.init_from {last}"
    )
    words, plan = ["fit", "--config", str(config)], "--data.init_args.plan"
    assert main([*words, "--ckpt_path", str(last), f"{plan}.tiles", "1"]) == 0
    assert main([*words, "--model.init_from", str(last), f"{plan}.patches", "4", "--trainer.max_epochs", "1"]) == 0


def on_patches(folder: Path) -> Path:
    """The configuration of two epochs of patches, eight at a time, with a checkpoint every fourth step."""
    content = small(yaml.safe_load((CONFIG.parent / "pcam.yaml").read_text()), folder / "runs", every=4)
    data = content["data"]["init_args"]
    data |= {"train": [str(write_patches(folder / "t.zip", 48))], "cache": str(folder / "cache"), "workers": 0}
    data |= {"valid": [str(write_patches(folder / "v.zip", 32, seed=9))]}
    data["plan"] |= {"patches": 8, "tiles": 2}
    data["mosaic"] |= {"pool": 20}
    path = folder / "patches.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_run_that_watches_a_score_is_not_left_without_validation(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lightning would end it in a traceback; one that watches none needs no validation."""
    words = ["--config", str(finished), "--trainer.limit_val_batches", "0"]
    line = said_of(words, capsys)
    assert line.startswith(
        "error: trainer.limit_val_batches is 0: the run is to watch valid/auc, which only validation"
    )
    assert "nothing would be validated" in said_of([*words, "--ckpt_path", "last"], capsys, command="validate")
    assert main(["fit", *words, "--trainer.callbacks=null", "--trainer.max_epochs", "1"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--trainer.max_steps=7", "of 7 steps and would first be validated after 8 batches"),
        ("--trainer.check_val_every_n_epoch=3", "of 16 steps and would first be validated after 24 batches"),
    ],
)
def test_a_run_that_watches_a_score_is_long_enough_to_be_validated(
    finished: Path, words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told before the first step, not in a traceback after the last."""
    line = said_of(["--config", str(finished), words], capsys)
    assert f"error: the run is {said}, but is to watch valid/auc, which only validation tells" in line


@pytest.mark.parametrize("words", ["--trainer.max_steps=8", "--trainer.max_steps=4 --trainer.val_check_interval=4"])
def test_one_validation_is_enough(finished: Path, words: str) -> None:
    """At the last step of the run, be that an epoch's or not."""
    assert main(["fit", "--config", str(finished), *words.split()]) == 0


def signalled(number: int, at: int) -> list[str]:
    """The words that add a callback which sends a signal."""
    names = {"number": int(number), "at": at}
    given = [f"--trainer.callbacks.{name}={value}" for name, value in names.items()]
    return ["--trainer.callbacks+=tests.training.made_runs.Signalled", *given]


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_worker_met_is_one_line(
    index: Path, tmp_path: Path, workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slide spoilt after it was prepared ends the run by its name and with exit code 1, whoever reads it."""
    config = small_config(tmp_path / "small.yaml", damaged_index(index, tmp_path), workers=workers)
    assert said_of(["--config", str(config)], capsys, code=1).startswith("error: normal_001.tif: ")


def damaged_index(index: Path, folder: Path) -> Path:
    """An index like the given one, but normal_001 lost its head, so that it can't be opened."""
    rows = read_index(index)
    (row,) = (row for row in rows if row.slide_id == "normal_001")
    content = bytearray(Path(row.path).read_bytes())
    content[:64] = bytes(64)
    (folder / "normal_001.tif").write_bytes(content)
    made = folder / "index"
    made.mkdir()
    for file in index.iterdir():
        text = file.read_bytes()
        if file.name == "index.csv":
            text = text.replace(row.path.encode(), str(folder / "normal_001.tif").encode())
            text = text.replace(row.fingerprint.encode(), fingerprint(folder / "normal_001.tif").encode())
        (made / file.name).write_bytes(text)
    return made


def test_a_checkpoint_that_cannot_be_written_whole_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full in the middle: the old bytes stay, nothing lies beside them, and the way out is said."""
    path = tmp_path / "new" / "resume.ckpt"
    WholeCheckpoints().save_checkpoint({"global_step": 3}, path)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(
        OutputError, match=r"resume.ckpt: can't be written \(No space left on device\); free some space"
    ):
        WholeCheckpoints().save_checkpoint({"global_step": 6}, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    assert WholeCheckpoints().load_checkpoint(path) == {"global_step": 3}


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half written when the process dies: what was there is whole, whatever $TMPDIR is."""
    path = tmp_path / "resume.ckpt"
    WholeCheckpoints().save_checkpoint({"global_step": 3}, path)

    def half(path: Path, content: bytes) -> None:
        with suppress(OSError):
            full_disk(path, content)
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        be_killed(lambda: WholeCheckpoints().save_checkpoint({"global_step": 6}, path))
    assert WholeCheckpoints().load_checkpoint(path) == {"global_step": 3}


@pytest.mark.parametrize(("at", "way_on"), [(1, "start again, no checkpoint"), (2, "resume with --ckpt_path")])
def test_a_full_disk_ends_a_run_in_one_line(  # noqa: PLR0913, PLR0917
    config: Path,
    tmp_path: Path,
    at: int,
    way_on: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """When a checkpoint is to be written over: it is named, and what to go on from; the old one is whole."""
    write, written = Path.write_bytes, list[Path]()

    def write_some(path: Path, content: bytes) -> int:
        written.append(path)
        return write(path, content) if len(written) < at else full_disk(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_some)
    line = said_of(["--config", str(config)], capsys, code=1)
    assert f"resume.ckpt: can't be written (No space left on device); fix that, then {way_on}" in line
    assert "run again" not in line
    kept = list((tmp_path / "runs").rglob("resume.ckpt"))
    assert [torch.load(path, weights_only=True)["global_step"] for path in kept] == [3] * (at - 1)
    assert not list((tmp_path / "runs").rglob("*.part"))


def test_a_log_that_cannot_be_written_ends_a_run_in_one_line(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What Lightning itself can't write, too."""

    def refuse(self: CSVLogger) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "metrics.csv")

    monkeypatch.setattr(CSVLogger, "save", refuse)
    line = said_of(["--config", str(config)], capsys, code=1)
    assert (
        line == "error: metrics.csv: No space left on device; fix that, then start again, no checkpoint was written yet"
    )


def full_disk(path: Path, content: bytes) -> int:
    """Writes half of it."""
    with path.open("wb") as file:
        file.write(bytes(content)[: len(content) // 2])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
