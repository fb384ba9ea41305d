"""The whole way on small slides: download, prepare, fit, mine, fit again, export, tune, and nodescan runs the model."""

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from nodescan.cli import main as nodescan
from nodescan.inference.card import load_card
from tests.training.made_bucket import Server
from tests.training.made_runs import small_config
from tests.training.made_slides import DISCS, SPACING_UM
from training.commands.app import app
from training.fitting.lightning_cli import fit


def command(*words: object) -> str:
    """What a command of python -m training says."""
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(autouse=True)
def little_to_tune_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """One set of phantoms for six: what tuning chooses is tested elsewhere. So small a network
    doesn't know phantoms, with which no slide would be complete."""
    monkeypatch.setattr("training.tuning.card.DISC_SEEDS_TUNED", range(1, 2))
    monkeypatch.setattr("training.tuning.card.found_from_um", lambda _: 900.0)


@pytest.mark.usefixtures("few_resamples")
@pytest.mark.timeout(900)  # a minute on a quiet machine
def test_from_the_bucket_to_a_report(
    data_set: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step by its command; what was learned on training slides finds and sizes a validation slide's deposit."""
    monkeypatch.chdir(tmp_path)
    files = data_set.rglob("CAMELYON16/**/*.*")
    endpoint = server.fill({file.relative_to(data_set).as_posix(): file.read_bytes() for file in files}).endpoint
    manifest = data_set / "manifest.csv"
    assert "9 files" in command("download", "--manifest", manifest, "--to", "data", "--endpoint", endpoint)
    said = command("prepare", "--manifest", manifest, "--data", "data", "--to", "index")
    assert "6 slides (4 train, 2 valid, 0 test)" in said
    config = small_config(tmp_path / "small.yaml", Path("index"), every=100, patches=16, batches=40, valid_patches=64)
    fit(["fit", "--config", str(config)])
    mined = command(
        "mine", "--config", config, "--ckpt", newest("best*.ckpt"), "--to", "hard.csv", "--threshold", "0.01"
    )
    assert re.search(r"hard.csv: [1-9]\d* hard negatives", mined)
    assert "patches/s from 4 slides" in command("sample", "--config", config, "--seconds", "1")
    fit(["fit", "--config", str(config), "--data.init_args.hard_negatives=hard.csv"])
    command("export", newest("best*.ckpt"), "--to", "models/mine", "--training-data", "six drawn slides")
    said = command("tune", "--model", "models/mine", "--manifest", manifest, "--data", "data", "--work", "work")
    assert "2/2 normal_002: negative, examined" in said
    decision = yaml.safe_load(Path("models/mine/card.yaml").read_text())["decision"]
    assert decision["chosen_on"].startswith("2 outlined slides of split valid of manifest.csv")
    assert load_card(Path("models/mine")).untuned is None
    slides = [str(tmp_path / f"data/CAMELYON16/images/{name}.tif") for name in ("tumor_002", "normal_002")]
    assert nodescan(["run", *slides, "--out", "out", "--model", "models/mine", "--quiet"]) == 0
    report = json.loads(Path("out/tumor_002/report.json").read_text())
    assert report["status"] == "complete"
    assert report["model"]["name"] == "mine"
    planted_um = 2 * DISCS["tumor_002"][0].radius_px * SPACING_UM
    assert report["largest_deposit_um"] == pytest.approx(planted_um, rel=0.25)
    assert json.loads(Path("out/normal_002/report.json").read_text())["metastasis"] == "negative"


def newest(pattern: str) -> Path:
    return max(Path().rglob(pattern), key=lambda path: path.stat().st_mtime_ns)
