"""An ablation runs each setting once, goes on where it broke off, and its table says how sure each figure is."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from nodescan.errors import UsageError
from nodescan.inference.models import build
from tests.training.made_patches import as_zip
from training.fitting.rivals import build_any, parameters
from training.model_cards.ablation import ablate, changed, is_done, read_plan, run_folder, write_table
from training.model_cards.ablation_table import Earlier, Run, rows, table

BASE = Path(__file__).parents[3] / "configs" / "train" / "pcam.yaml"


def small_plan(folder: Path) -> Path:
    """Two settings of a small network, two steps each."""
    base = yaml.safe_load(BASE.read_text())
    source = as_zip(folder / "patches.zip", {"normal": 8, "tumor": 8})
    base["model"]["architecture"] = "p4m-small"
    data = base["data"]["init_args"]
    other = as_zip(folder / "others.zip", {"normal": 8, "tumor": 8})
    data |= {"train": [str(source)], "valid": [str(other)], "cache": str(folder / "cache")}
    data["plan"] |= {"patches": 4, "tiles": 2, "phantom_share": 0.0}
    base["trainer"] |= {"accelerator": "cpu", "precision": "32-true"}
    (folder / "base.yaml").write_text(yaml.safe_dump(base))
    content = {
        "base": str(folder / "base.yaml"),
        "steps": 2,
        "seeds": [1],
        "results": str(folder / "results"),
        "table": str(folder / "ablation.md"),
        "settings": [{"name": "released", "change": {}}, {"name": "No tiles", "change": {"model.tile_weight": 0.0}}],
    }
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_each_setting_runs_once_and_the_rest_later(tmp_path: Path) -> None:
    """What is done isn't done again; the table names what is missing."""
    plan = read_plan(small_plan(tmp_path))
    told: list[str] = []
    ablate(plan, only="No tiles", run=True, tell=told.append)
    assert "Not run yet: released." in plan.table.read_text()
    ablate(plan, only=None, run=True, tell=told.append)
    assert [line for line in told if "seed" in line] == ["No tiles, seed 1: 2 steps", "released, seed 1: 2 steps"]
    text = plan.table.read_text()
    assert f"`{tmp_path}/base.yaml` with single values changed (`{tmp_path}/plan.yaml`), trained" in text
    assert "Not run yet" not in text
    weights = parameters(build("p4m-small"))
    assert text.count(f"{weights:,} |") == 2
    setting = yaml.safe_load((tmp_path / "results" / "no-tiles-2-steps-seed-1" / "setting.yaml").read_text())
    assert (setting["model"]["tile_weight"], setting["trainer"]["max_steps"]) == (0.0, 2)


def test_results_of_another_base_are_not_in_the_table(tmp_path: Path) -> None:
    """Nor those that don't say of which base they are: in one table they would be compared with each other."""
    path = small_plan(tmp_path)
    plan = read_plan(path)
    (setting, _), told = plan.settings, list[str]()
    ablate(plan, only=setting.name, run=True, tell=told.append)
    assert is_done(plan, setting, 1)
    text = plan.base.read_text()
    plan.base.write_text(text.replace("learning_rate: 0.001", "learning_rate: 0.01"))
    assert not is_done(plan, setting, 1)
    assert write_table(plan) == 0
    plan.base.write_text(text)
    assert write_table(plan) == 1
    result = run_folder(plan, setting, 1) / "result.json"
    result.write_text(json.dumps({"change": {}}))
    assert not is_done(plan, setting, 1)


def test_results_of_other_patches_are_not_compared(tmp_path: Path) -> None:
    """Labels that were corrected between two settings; of results that don't say, unlike labels are refused. One that
    was cut off is made again."""
    plan = read_plan(small_plan(tmp_path))
    told = list[str]()
    ablate(plan, only=None, run=True, tell=told.append)
    first, second = (run_folder(plan, setting, 1) for setting in plan.settings)
    result = (first / "result.json").read_text()
    before = (tmp_path / "others.zip").read_bytes()
    as_zip(tmp_path / "others.zip", {"normal": 9, "tumor": 7})
    assert write_table(plan) == 0
    (tmp_path / "others.zip").write_bytes(before)
    assert write_table(plan) == 2
    (first / "result.json").write_text(result[:60])
    assert write_table(plan) == 1
    (first / "result.json").write_text(result)
    stored = np.load(second / "answers.npz")
    np.savez(second / "answers.npz", logit=stored["logit"], truth=~stored["truth"])
    with pytest.raises(UsageError, match="released, seed 1, and No tiles, seed 1, were scored on different labels"):
        write_table(plan)


def test_a_change_of_a_key_that_is_not_there_is_refused() -> None:
    """A misspelt key would compare the base with itself."""
    base = {"model": {"tile_weight": 0.3}}
    assert changed(base, {"model.tile_weight": 0.0}) == {"model": {"tile_weight": 0.0}}
    assert base["model"]["tile_weight"] == 0.3
    with pytest.raises(UsageError, match=r"model\.tile_wait: the base configuration has no such key"):
        changed(base, {"model.tile_wait": 0.0})


def test_the_plan_in_the_repository_can_be_read() -> None:
    """Every key that it changes is there, and every network can be built."""
    plan = read_plan(BASE.parent / "ablation.yaml")
    names = {setting.change.get("model.architecture", "p4m") for setting in plan.settings}
    assert {net.margin_px for net in map(build_any, names)} == {32}


def run(name: str, seed: int, logit: list[float]) -> Run:
    return Run(name, seed, 250, np.array(logit), np.arange(8) < 4, 0.5, 1000)


def test_a_difference_is_paired_and_over_all_seeds() -> None:
    """The same answers differ by nothing in every resample: no interval. The mean of the seeds' AUC stands in a row."""
    right, wrong = [4.0, 3, 2, 1, -1, -2, -3, -4], [-4.0, -3, -2, -1, 1, 2, 3, 4]
    doubled = [run("a", 1, right), run("a", 2, wrong), run("b", 1, right), run("b", 2, wrong)]
    made = rows(doubled, ["a", "b", "c"])
    assert [row.name for row in made] == ["a", "b"]
    assert made[0].auc.value == 0.5
    assert made[0].difference is None
    assert made[1].difference is not None
    assert made[1].difference.value == 0
    assert (made[1].difference.low, made[1].difference.high) == (None, None)
    text = table(doubled, ["a", "b"], None, base="b.yaml", plan="p.yaml")
    assert "+0.0000 (no interval)" in text
    assert "| a | 250 | 2 | 0.5000 (" in text
    assert "from one training to the\nnext is not in them" in text


def test_earlier_trials_are_marked_as_such() -> None:
    """They have no interval, and count among the settings tried."""
    text = table([], ["a"], Earlier("250 steps, one seed", (("x", 0.867),)), base="b.yaml", plan="p.yaml")
    assert "Settings tried in all: 1." in text
    assert "Earlier trials (250 steps, one seed" in text
    assert "| x | 0.867 |" in text
