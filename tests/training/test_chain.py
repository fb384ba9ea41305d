"""The whole way on small slides: download, prepare, fit, mine, fit again, export, tune, and nodescan runs the model."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from lightning import LightningDataModule
from lightning.pytorch.cli import LightningCLI
from typer.testing import CliRunner

from nodescan.cli import main as nodescan
from nodescan.inference.card import load_card
from tests.training.made_slides import DISCS, SPACING_UM
from training.commands import app
from training.module import TumourModule

boto3 = pytest.importorskip("boto3", reason="boto3 fills the bucket of the test server")
moto_server = pytest.importorskip("moto.server", reason="moto is the test server")

CONFIG = Path(__file__).parents[2] / "configs" / "train" / "camelyon16.yaml"


@pytest.fixture(scope="module")
def endpoint(data_set: Path) -> Iterator[str]:
    """A server that holds the data set in a bucket of CAMELYON's name."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-west-2"}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **keys)
    where = {"LocationConstraint": "us-west-2"}
    client.create_bucket(Bucket="camelyon-dataset", CreateBucketConfiguration=where)
    for file in data_set.rglob("CAMELYON16/**/*.*"):
        key = file.relative_to(data_set).as_posix()
        client.put_object(Bucket="camelyon-dataset", Key=key, Body=file.read_bytes(), ACL="public-read")
    yield f"http://{host}:{port}"
    server.stop()


def command(*words: object) -> str:
    """What a command of python -m training says."""
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def small_config(path: Path) -> Path:
    """The released configuration, with a small network, few short steps, on one core."""
    content = yaml.safe_load(CONFIG.read_text())
    content["model"] |= {"architecture": "p4m-small", "learning_rate": 0.02}
    content["data"]["init_args"] |= {"index": "index", "workers": 0}
    plan = {"patches": 16, "tiles": 2, "tile_px": 128, "batches": 40, "valid_patches": 64}
    content["data"]["init_args"]["plan"] |= plan
    trainer = {"accelerator": "cpu", "devices": 1, "precision": "32-true", "max_epochs": 2}
    content["trainer"] |= trainer | {"enable_progress_bar": False, "enable_model_summary": False}
    content["trainer"]["callbacks"][0]["init_args"]["decay"] = 0.9
    path.write_text(yaml.safe_dump(content))
    return path


def fit(config: Path, *options: str) -> None:
    """python -m training fit."""
    args = ["fit", "--config", str(config), *options]
    LightningCLI(TumourModule, LightningDataModule, subclass_mode_data=True, args=args)


@pytest.fixture(autouse=True)
def little_to_tune_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """One set of phantoms for six, and few resamples: what tuning chooses is tested elsewhere. So small a network
    doesn't know phantoms, with which no slide would be complete."""
    monkeypatch.setattr("training.discs.DISC_SEEDS_TUNED", range(1, 2))
    monkeypatch.setattr("training.discs.found_from_um", lambda _: 900.0)
    monkeypatch.setattr("nodescan.evaluation.bootstrap.RESAMPLES", 40)


@pytest.mark.timeout(900)  # a minute on a quiet machine
def test_from_the_bucket_to_a_report(
    data_set: Path, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step by its command; what was learned on training slides finds and sizes a validation slide's deposit."""
    monkeypatch.chdir(tmp_path)
    manifest = data_set / "manifest.csv"
    assert "9 files" in command("download", "--manifest", manifest, "--to", "data", "--endpoint", endpoint)
    said = command("prepare", "--manifest", manifest, "--data", "data", "--to", "index")
    assert "6 slides (4 train, 2 valid, 0 test)" in said
    config = small_config(tmp_path / "small.yaml")
    fit(config)
    mined = command(
        "mine", "--config", config, "--ckpt", newest("best*.ckpt"), "--to", "hard.csv", "--threshold", "0.01"
    )
    assert re.search(r"hard.csv: [1-9]\d* hard negatives", mined)
    assert "patches/s from 4 slides" in command("sample", "--config", config, "--seconds", "1")
    fit(config, "--data.init_args.hard_negatives=hard.csv")
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
