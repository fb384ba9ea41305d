"""Going on with a run keeps its rate, its best checkpoint and its last, wherever its folder lies."""

import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from nodescan.errors import UsageError
from tests.training.made_runs import small_config
from training.fitting.checkpoints import steps_of
from training.fitting.lightning_cli import fit
from training.fitting.resume import last_checkpoint


@pytest.fixture(scope="module")
def finished(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a run of 8 steps, its checkpoints of steps 4 and 7, that was brought to its end."""
    config = small_config(tmp_path_factory.mktemp("finished") / "small.yaml", index, batches=4)
    fit(["fit", "--config", str(config)])
    return config


def with_high_score(folder: Path, score: float = 2.0) -> None:
    """As if the best checkpoint so far were one that nothing that follows can beat."""
    for path in folder.rglob("*.ckpt"):
        if path.is_symlink():
            continue
        content = torch.load(path, weights_only=True)
        for state in content["callbacks"].values():
            if isinstance(state, dict) and state.get("best_k_models"):
                state["best_model_score"] = state["kth_value"] = torch.tensor(score)
                state["best_k_models"] = dict.fromkeys(state["best_k_models"], torch.tensor(score))
        torch.save(content, path)


@pytest.mark.parametrize(("name", "value"), [("learning_rate", "0.001"), ("weight_decay", "0.5")])
def test_another_rate_than_the_checkpoints_is_refused(finished: Path, name: str, value: str) -> None:
    """The optimiser's state, with the schedule, would go on with its own and say nothing."""
    said = rf"--model\.{name} is {value}, but the run of .* resumes with 0\.0\d+; .*init_from"
    with pytest.raises(UsageError, match=said):
        fit(["fit", "--config", str(finished), "--ckpt_path", "last", f"--model.{name}", value])


def test_another_rate_of_a_named_optimiser_is_refused(finished: Path, tmp_path: Path) -> None:
    """Its settings are in the optimiser's state alone; the same ones go on."""
    root = ["--config", str(finished), "--trainer.default_root_dir", str(tmp_path), "--optimizer", "SGD"]
    again = ["fit", *root, "--ckpt_path", "last", "--optimizer.lr"]
    fit(["fit", *root, "--optimizer.lr", "0.01"])
    assert fit([*again, "0.01"]).trainer.global_step == 8
    with pytest.raises(UsageError, match=r"--optimizer\.lr is 0\.5, but the run of .* resumes with 0\.01"):
        fit([*again, "0.5"])


@pytest.mark.parametrize("how", ["relative", "moved"])
def test_the_best_checkpoint_is_remembered_by_any_name_of_its_folder(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    """A worse one would be told as the best, and exported; nothing is written under a second name."""
    runs = tmp_path / "runs"
    shutil.copytree(finished.parent / "runs", runs, symlinks=True)
    if how == "relative":
        old, new = str(finished.parent / "runs"), str(runs)
        for path in runs.rglob("*.ckpt"):
            if not path.is_symlink():
                content = torch.load(path, weights_only=True)
                content["callbacks"] = renamed(content["callbacks"], old, new)
                torch.save(content, path)
    with_high_score(runs)
    before = sorted(path.name for path in runs.rglob("*.ckpt"))
    last = last_checkpoint(runs)
    monkeypatch.chdir(tmp_path)
    named = last.relative_to(tmp_path) if how == "relative" else last
    capsys.readouterr()
    fit(["fit", "--config", str(finished), "--trainer.default_root_dir", str(runs), "--ckpt_path", str(named)])
    assert "best checkpoint, valid/auc 2.0000: " in capsys.readouterr().out
    assert sorted(path.name for path in runs.rglob("*.ckpt")) == before
    assert last_checkpoint(runs) == last
    assert steps_of(last)[0] > 6


def renamed(content: object, old: str, new: str) -> object:
    """With another folder in all texts."""
    if isinstance(content, str):
        return content.replace(old, new)
    if isinstance(content, dict):
        return {renamed(key, old, new): renamed(value, old, new) for key, value in content.items()}
    return [renamed(each, old, new) for each in content] if isinstance(content, list) else content


def test_another_runs_checkpoint_of_the_same_name_is_not_taken_for_ones_own(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside which a checkpoint was put by itself: it stays as it is, and the best so far is told to be missing."""
    stranger = tmp_path / "best.ckpt"
    (best,) = (finished.parent / "runs").rglob("best.ckpt")
    content = torch.load(best, weights_only=True)
    content["callbacks"] = renamed(content["callbacks"], str(best.parent), "/another/run")
    torch.save(content, stranger)
    with_high_score(tmp_path, 3.0)
    shutil.copy(last_checkpoint(finished.parent), tmp_path / "mine.ckpt")
    before = stranger.read_bytes()
    fit(["fit", "--config", str(finished), "--ckpt_path", str(tmp_path / "mine.ckpt")])
    assert stranger.read_bytes() == before
    assert "the best checkpoint so far, best.ckpt, does not lie beside" in capsys.readouterr().out


@pytest.mark.parametrize("whose", ["own", "older", "another's"])
def test_a_first_best_checkpoint_that_the_last_one_does_not_know_keeps_its_name(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], whose: str
) -> None:
    """As where a run is killed between both. What may be of another run in the same folder stays as it is."""
    runs = tmp_path / "runs"
    shutil.copytree(finished.parent / "runs", runs, symlinks=True)
    last, (best,) = last_checkpoint(runs), runs.rglob("best.ckpt")
    unknowing, content = torch.load(last, weights_only=True), torch.load(best, weights_only=True)
    content["global_step"] = unknowing["global_step"] + 1
    if whose == "another's":
        content["callbacks"] = renamed(content["callbacks"], str(finished.parent / "runs"), "/another/run")
    torch.save(content, best)
    with_high_score(best.parent, 2.0)
    for state in unknowing["callbacks"].values():
        if isinstance(state, dict) and str(state.get("best_model_path", "")).endswith("best.ckpt"):
            state |= {"best_k_models": {}, "best_model_path": "", "best_model_score": None, "kth_value": None}
    torch.save(unknowing, last)
    written = last.stat().st_mtime_ns + (-1 if whose == "older" else 1) * 10**9
    os.utime(best, ns=(written, written))
    before = best.read_bytes()
    capsys.readouterr()
    fit(["fit", "--config", str(finished), "--trainer.default_root_dir", str(runs), "--ckpt_path", str(last)])
    told = "best checkpoint, valid/auc 2.0000: " in capsys.readouterr().out
    names = sorted(path.name for path in runs.rglob("best*.ckpt"))
    assert (told, names) == ((True, ["best.ckpt"]) if whose == "own" else (False, ["best-v1.ckpt", "best.ckpt"]))
    assert best.read_bytes() == before


@pytest.mark.parametrize(
    ("patience", "said"),
    [(1, "stopped early, at step 4 of 6: valid/auc not better for 1 validation (patience of EarlyStopping)"), (9, "")],
)
def test_a_run_says_why_it_stopped_early(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], patience: int, said: str
) -> None:
    """No score exceeds the best by min_delta; a run that makes all of its steps says nothing."""
    config = small_config(tmp_path / "small.yaml", index, batches=2)
    content = yaml.safe_load(config.read_text())
    (early,) = (each for each in content["trainer"]["callbacks"] if each["class_path"].endswith("EarlyStopping"))
    early["init_args"] |= {"patience": patience, "min_delta": 2.0}
    config.write_text(yaml.safe_dump(content))
    fit(["fit", "--config", str(config), "--trainer.max_epochs", "3"])
    out = capsys.readouterr().out.splitlines()
    assert [line for line in out if "stopped early" in line] == ([said] if said else [])


def test_of_several_lasts_the_one_of_most_steps_is_gone_on_with(tmp_path: Path) -> None:
    """A run that didn't know its own wrote a second beside it."""
    for name, step in (("last.ckpt", 5), ("last-v1.ckpt", 9), ("last-v2.ckpt", 7), ("lasting.ckpt", 11)):
        torch.save({"global_step": step}, tmp_path / name)
    assert last_checkpoint(tmp_path).name == "last-v1.ckpt"
