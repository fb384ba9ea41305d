"""A run that is killed goes on as if nothing had happened; two processes share the work; NaN stops it well."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningCLI

from nodescan.errors import UsageError
from tests.training.made_patches import write_patches
from tests.training.made_runs import CONFIG, VALIDATED, Cut, Watch, be_killed, fit, patch_data, small_config, validated
from training.fitting import lightning_cli as fitting
from training.fitting.checkpoints import steps_of
from training.fitting.resume import last_checkpoint
from training.patches.datamodule import TrainingBatches
from training.patches.numbered_batches import ValidationBatches

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.timeout(900)  # half a minute on a quiet machine
def test_after_a_kill_the_next_20_losses_are_those_of_the_unbroken_run(index: Path, tmp_path: Path) -> None:
    """Killed in mid-epoch with two workers, weight averaging, dropout and augmentation; compared to the last bit.

    The unbroken run has one worker less, none: the number of workers changes nothing either.
    """
    be_killed(lambda: fit(index, tmp_path, epochs=3, workers=2, watch=Watch(kill_after=8)))
    unbroken, resumed = Watch(), Watch()
    whole = fit(index, tmp_path / "whole", epochs=3, watch=unbroken)
    again = fit(index, tmp_path / "again", epochs=3, workers=2, watch=resumed, ckpt=tmp_path / "resume.ckpt")
    assert len(unbroken.losses) == 27
    assert len(set(unbroken.seen)) == 27
    assert resumed.seen == unbroken.seen[5:]
    assert resumed.losses[:20] == unbroken.losses[5:25]
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


@pytest.mark.timeout(900)
def test_a_run_on_patches_goes_on_after_a_kill_too(tmp_path: Path) -> None:
    """The same for the data that the released model is trained on: patches, laid-out tiles and phantoms."""
    source = write_patches(tmp_path / "patches.zip", 72)
    data = patch_data(source, workers=2)
    be_killed(lambda: fit(source, tmp_path, epochs=3, data=data, watch=Watch(kill_after=8)))
    unbroken, resumed = Watch(), Watch()
    fit(source, tmp_path / "whole", epochs=3, watch=unbroken, data=patch_data(source))
    fit(source, tmp_path / "again", epochs=3, watch=resumed, data=data, ckpt=tmp_path / "resume.ckpt")
    assert len(set(unbroken.seen)) == 27
    assert resumed.seen == unbroken.seen[5:]
    assert resumed.losses[:20] == unbroken.losses[5:25]


def test_an_epoch_is_every_patch_once_however_many_processes_share_it(tmp_path: Path) -> None:
    """Two ranks' batches together are the patches of one; the next epoch has another order."""
    data = patch_data(write_patches(tmp_path / "patches.zip"))
    data.setup("fit")
    seen: dict[int, list[int]] = {1: [], 2: []}
    for ranks in seen:
        for rank in range(ranks):
            batches = TrainingBatches(data.train, data.plan, data.maker, data.augment, rank=(rank, ranks))
            seen[ranks] += [int(i) for step in range(len(batches)) for i in batches.patches_of(step)]
    assert sorted(seen[1]) == sorted(seen[2]) == list(range(96))
    one = TrainingBatches(data.train, data.plan, data.maker, data.augment)
    assert one.patches_of(0).tolist() != one.patches_of(len(one)).tolist()


def test_a_run_goes_on_from_the_end_of_an_epoch(index: Path, tmp_path: Path) -> None:
    """The second epoch draws other batches than the first, and the same ones where the run broke between."""
    unbroken, resumed = Watch(), Watch()
    fit(index, tmp_path / "whole", epochs=2, watch=unbroken, limit_train_batches=5)
    with pytest.raises(RuntimeError, match="power cut"):
        fit(index, tmp_path, epochs=2, watch=Cut(at=7), limit_train_batches=5)
    fit(index, tmp_path / "on", epochs=2, watch=resumed, limit_train_batches=5, ckpt=tmp_path / "resume.ckpt")
    assert len(set(unbroken.seen)) == 10
    assert resumed.seen == unbroken.seen[5:]
    assert resumed.losses == unbroken.losses[5:]


@pytest.fixture(scope="module")
def unbroken(index: Path, tmp_path_factory: pytest.TempPathFactory) -> LightningCLI:
    """A configured run of three epochs of six steps, with a checkpoint every three."""
    return run_configured(index, tmp_path_factory.mktemp("unbroken"), at=-1)


def run_configured(
    index: Path, folder: Path, *words: str, at: int, validating: bool = False, timed: bool = False
) -> LightningCLI:
    """timed: the checkpoint to go on from is due by time, and at once."""
    folder.mkdir(exist_ok=True)
    config = small_config(folder / "small.yaml", index, batches=6)
    if timed:
        content = yaml.safe_load(config.read_text())
        settings = resuming(content)
        del settings["every_n_train_steps"]
        settings["train_time_interval"] = "0:00:00"
        config.write_text(yaml.safe_dump(content))
    cut = [f"--trainer.callbacks.at={at}", f"--trainer.callbacks.validating={validating}"]
    watch = ["--trainer.max_epochs=3", "--trainer.callbacks+=tests.training.made_runs.Cut", *cut]
    return fitting.fit(["fit", "--config", str(config), *watch, *words])


def resuming(content: dict[str, Any]) -> dict[str, Any]:
    """The settings of a configuration's checkpoint to go on from."""
    every = [each.get("init_args", {}) for each in content["trainer"]["callbacks"]]
    return next(settings for settings in every if settings.get("filename") == "resume")


def validations(cli: LightningCLI) -> set[tuple[str, str]]:
    """Step and AUC of every validation, of a run and of those that it goes on from."""
    logs = Path(cli.trainer.default_root_dir).rglob("metrics.csv")
    rows = [row for log in logs for row in csv.DictReader(log.open(encoding="utf-8"))]
    return {(row["step"], row["valid/auc"]) for row in rows if row.get("valid/auc")}


def outcome(cli: LightningCLI) -> tuple[object, ...]:
    """What a run comes to, to the last bit: its weights, its best score, what EarlyStopping counted."""
    weights = [weight.tolist() for weight in cli.model.parameters()]
    early, best = cli.trainer.early_stopping_callback, cli.trainer.checkpoint_callback
    assert early is not None
    assert isinstance(best, ModelCheckpoint)
    return weights, best.best_model_score, early.wait_count, early.best_score


@pytest.mark.parametrize("cuts", [[(7, False), (13, False)], [(7, False), (10, False)], [(6, True)], [(18, True)]])
def test_a_run_that_broke_at_the_end_of_an_epoch_is_the_unbroken_one(
    index: Path, tmp_path: Path, unbroken: LightningCLI, cuts: list[tuple[int, bool]]
) -> None:
    """Broken after the epoch's checkpoint and again later, or in its validation: no batch and no validation differs."""
    goes_on: list[str] = []
    for at, validating in cuts:
        with pytest.raises(RuntimeError, match="power cut"):
            run_configured(index, tmp_path, *goes_on, at=at, validating=validating)
        goes_on = ["--ckpt_path=last"]
    resumed = run_configured(index, tmp_path, *goes_on, at=-1)
    whole, rest = (next(c for c in cli.trainer.callbacks if isinstance(c, Cut)) for cli in (unbroken, resumed))
    assert (len(whole.losses), len(validations(unbroken))) == (18, 3)
    assert rest.losses == whole.losses[-len(rest.losses) :]
    assert validations(resumed) == validations(unbroken)
    assert outcome(resumed) == outcome(unbroken)


def test_a_checkpoint_that_is_due_by_time_is_gone_on_from(index: Path, tmp_path: Path, unbroken: LightningCLI) -> None:
    """As the configuration for slides has it: after five minutes, here after none, so that a break costs no step."""
    assert resuming(yaml.safe_load(CONFIG.read_text()))["train_time_interval"] == "0:05:00"
    with pytest.raises(RuntimeError, match="power cut"):
        run_configured(index, tmp_path, at=4, timed=True)
    assert steps_of(last_checkpoint(tmp_path)) == (4, 18)
    resumed = run_configured(index, tmp_path, "--ckpt_path=last", at=-1, timed=True)
    whole, rest = (next(c for c in cli.trainer.callbacks if isinstance(c, Cut)) for cli in (unbroken, resumed))
    assert rest.losses == whole.losses[4:]
    assert outcome(resumed) == outcome(unbroken)


@pytest.mark.parametrize(("timed", "batches", "cuts"), [(True, 6, [3, 3]), (False, 8, [7, 7])])
def test_a_run_of_gathered_gradients_that_broke_within_a_step_is_the_unbroken_one(
    index: Path, tmp_path: Path, *, timed: bool, batches: int, cuts: list[int]
) -> None:
    """Its checkpoints lie between steps, by time and by steps, also right after it went on: they hold no gradients."""
    words = ["--trainer.accumulate_grad_batches=2", f"--data.init_args.plan.batches={batches}"]
    whole = run_configured(index, tmp_path / "whole", *words, at=-1, timed=timed)
    goes_on: list[str] = []
    for number in cuts:
        cut = f"--trainer.callbacks.before_batch={number}"
        with pytest.raises(RuntimeError, match="power cut"):
            run_configured(index, tmp_path / "cut", *words, *goes_on, cut, at=-1, timed=timed)
        goes_on = ["--ckpt_path=last"]
    resumed = run_configured(index, tmp_path / "cut", *words, *goes_on, at=-1, timed=timed)
    done, rest = (next(c for c in cli.trainer.callbacks if isinstance(c, Cut)) for cli in (whole, resumed))
    assert rest.losses == done.losses[cuts[-1] - 1 :]
    assert outcome(resumed) == outcome(whole)


def test_a_checkpoint_from_within_a_step_is_not_gone_on_from(index: Path, tmp_path: Path) -> None:
    """One that a validation in mid-step writes, by its name and with the way out; its weights can be started from."""
    words = ["--trainer.accumulate_grad_batches=2", "--trainer.val_check_interval=3", "--trainer.max_epochs=1"]
    with pytest.raises(RuntimeError, match="power cut"):
        run_configured(index, tmp_path, *words, "--trainer.callbacks.before_batch=4", at=-1)
    (best,) = tmp_path.rglob("best.ckpt")
    with pytest.raises(UsageError, match=r"best\.ckpt: was written within a step, .* of the 1 of its batches"):
        run_configured(index, tmp_path, *words, f"--ckpt_path={best}", at=-1)
    run_configured(index, tmp_path, *words, f"--model.init_from={best}", at=-1)


@pytest.fixture(scope="module")
def of_two(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes wrote of their runs."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "tests.training.made_runs", str(index), str(folder)]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=280)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


def test_two_processes_draw_other_batches_and_learn_one_network(of_two: Path) -> None:
    """Over gloo on the CPU: no batch is seen by both, and the weights are the same to the bit."""
    ranks = [json.loads((of_two / f"rank{rank}.json").read_text()) for rank in range(2)]
    assert ranks[0]["backend"] == "gloo"
    assert len({*ranks[0]["seen"], *ranks[1]["seen"]}) == 8
    assert ranks[0]["weights"] == ranks[1]["weights"]


@pytest.mark.parametrize("rank", [0, 1])
def test_two_processes_validate_as_one_does(of_two: Path, rank: int) -> None:
    """Each patch counts once, for an odd number of them, too, and where a share is just more than a batch."""
    shared = json.loads((of_two / f"scores-rank{rank}.json").read_text())
    for count, scores in zip(VALIDATED, shared, strict=True):
        assert scores == pytest.approx(validated(count), rel=1e-6)


def test_every_process_validates_as_many_batches() -> None:
    """Where one has more of them, it waits for the others for ever."""
    for count, processes in ((513, 2), (1025, 4), (4, 4), (7, 4), (256, 1), (257, 1)):
        patches = torch.arange(count).reshape(-1, 1, 1, 1), torch.zeros(count)
        shares = [ValidationBatches(patches, rank=(number, processes)) for number in range(processes)]
        assert len({len(share) for share in shares}) == 1
        assert all(1 <= len(labels) <= 256 for share in shares for _, labels in share)
        assert torch.cat([pixels for share in shares for pixels, _ in share]).flatten().tolist() == list(range(count))
    with pytest.raises(UsageError, match="3 validation patches are too few for 4 processes"):
        ValidationBatches((torch.zeros(3, 1, 1, 1), torch.zeros(3)), rank=(0, 4))


@pytest.mark.parametrize("spoilt", [0, 1])
def test_a_loss_that_is_no_number_ends_all_processes(of_two: Path, spoilt: int) -> None:
    """In the same step and with the reason: one that ended alone would leave the other waiting for its gradients."""
    said = [(of_two / f"spoilt{spoilt}-rank{rank}.txt").read_text() for rank in range(2)]
    assert said[spoilt] == "the loss became nan at step 3"
    assert said[1 - spoilt] == "the loss became no number in another process at step 3"
