"""A run resumes only with the data that it was begun with, and only then is its best checkpoint still the best."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.errors import UsageError
from tests.fakes import silent
from tests.training.made_patches import write_patches
from tests.training.made_runs import fit as fit_quietly
from tests.training.made_runs import patch_data, small_config
from tests.training.made_slides import DISCS, Disc, write_asap
from training.camelyon.manifest import read_data_manifest
from training.fitting.lightning_cli import fit
from training.fitting.same_data import SameData
from training.slides.index import index_rows, write_index
from training.slides.prepare import prepare
from training.slides.sampler import HARD_COLUMNS


@pytest.fixture(scope="module")
def begun(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of 8 steps, its last checkpoint of step 6, and its configuration."""
    folder = tmp_path_factory.mktemp("begun")
    fit(["fit", "--config", str(small_config(folder / "small.yaml", index, batches=4))])
    return folder


def resumed(begun: Path, index: Path, *words: str) -> int:
    """Steps of the run when it has resumed, in a copy of its folder, with the slides of an index."""
    return fit(resuming(begun, index, *words)).trainer.global_step


def resuming(begun: Path, index: Path, *words: str) -> list[str]:
    runs = Path(shutil.copytree(begun / "runs", index.parent / "resumed", symlinks=True))
    config = ["--config", str(begun / "small.yaml"), "--trainer.default_root_dir", str(runs), "--ckpt_path", "last"]
    return ["fit", *config, "--data.init_args.index", str(index), *words]


def other_outlines(slide_id: str, data_set: Path, folder: Path) -> Path:
    """The index of the data set, prepared anew with smaller outlines on one slide."""
    data = folder / "data"
    shutil.copytree(data_set, data)
    row = next(row for row in read_data_manifest(data / "manifest.csv") if row.slide_id == slide_id)
    write_asap(data / row.annotation_key, tuple(Disc(d.x_px, d.y_px, 0.8 * d.radius_px) for d in DISCS[slide_id]))
    prepare(read_data_manifest(data / "manifest.csv"), data, folder / "index", tell=silent)
    return folder / "index"


@pytest.mark.parametrize(("slide_id", "said"), [("tumor_001", "was trained"), ("tumor_002", "was validated")])
def test_corrected_outlines_are_other_data(
    begun: Path, data_set: Path, tmp_path: Path, slide_id: str, said: str
) -> None:
    """Of a slide of either split: the checkpoint that was the best on other labels would be exported."""
    index = other_outlines(slide_id, data_set, tmp_path)
    with pytest.raises(UsageError, match=rf"last\.ckpt: its run {said} on other data .*--model\.init_from instead"):
        resumed(begun, index)


def test_a_slide_in_another_split_is_other_data(begun: Path, index: Path, tmp_path: Path) -> None:
    """One that moved from the training slides to the validation slides changes both."""
    copy = Path(shutil.copytree(index, tmp_path / "index"))
    rows = [replace(r, split="valid") if r.slide_id == "normal_003" else r for r in index_rows(copy)]
    write_index(rows, copy)
    with pytest.raises(UsageError, match="its run was validated on other data"):
        resumed(begun, copy)


@pytest.mark.parametrize("words", ["plan.seed=9", "plan.valid_patches=40", "sample.near_share=0.3"])
def test_other_validation_patches_of_the_same_slides_are_refused(
    begun: Path, index: Path, tmp_path: Path, words: str
) -> None:
    """The best score so far was of the patches that were drawn before."""
    copy = Path(shutil.copytree(index, tmp_path / "index"))
    with pytest.raises(UsageError, match="was validated on other data"):
        resumed(begun, copy, f"--data.init_args.{words}")


def test_other_hard_negatives_or_none_are_other_data(begun: Path, tmp_path: Path) -> None:
    """A run that goes on without its flag would forget them in silence; with the same ones, moved, it goes on."""
    files = {name: tmp_path / f"{name}.csv" for name in ("first", "moved", "others")}
    for name, file in files.items():
        left = 300 if name == "others" else 100
        file.write_text(f"{','.join(HARD_COLUMNS)}\nnormal_003,{left},200,96,96,0.9\n")
    words = ["fit", "--config", str(begun / "small.yaml"), "--trainer.default_root_dir", str(tmp_path / "runs")]
    hard = "--data.init_args.hard_negatives"
    fit([*words, hard, str(files["first"])])
    again, half = [*words, "--ckpt_path", "last"], "--data.init_args.sample.hard_share=0.5"
    for changed in ([], [hard, str(files["others"])], [hard, str(files["first"]), half]):
        with pytest.raises(UsageError, match=r"was trained on other data \(.*hard negatives"):
            fit([*again, *changed])
    assert fit([*again, hard, str(files["moved"])]).trainer.global_step == 8


def test_the_same_data_in_another_place_resumes(
    begun: Path, data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Slides, outlines and index were moved, and prepared there anew."""
    data = Path(shutil.copytree(data_set, tmp_path / "data"))
    prepare(read_data_manifest(data / "manifest.csv"), data, tmp_path / "index", tell=silent)
    assert resumed(begun, tmp_path / "index") == 8
    assert "other settings" not in capsys.readouterr().out


def test_settings_that_changed_are_named_as_a_run_goes_on(
    begun: Path, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, each with what it was: of data and model alike."""
    copy = Path(shutil.copytree(index, tmp_path / "index"))
    words = ["data.init_args.plan.tiles=1", "data.init_args.augment.stain=0.1", "model.tile_weight=0.7"]
    assert resumed(begun, copy, *(f"--{word}" for word in words)) == 8
    (said,) = (line for line in capsys.readouterr().out.splitlines() if "other settings" in line)
    changed = "plan.tiles 1 instead of 2, augment.stain 0.1 instead of 0.07, model.tile_weight 0.7 instead of 0.3"
    assert said.endswith(f"last.ckpt: its run goes on with other settings: {changed}")


def test_a_run_that_is_refused_is_not_told_to_go_on(
    begun: Path, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Epochs of another length are refused after the data were compared."""
    copy = Path(shutil.copytree(index, tmp_path / "index"))
    with pytest.raises(UsageError, match="its epochs are of"):
        resumed(begun, copy, "--data.init_args.plan.batches=9")
    assert "other settings" not in capsys.readouterr().out


@pytest.mark.parametrize("change", ["train", "valid"])
def test_other_patches_are_refused_and_moved_ones_are_not(tmp_path: Path, change: str) -> None:
    """By pixels and labels, whatever their files are called."""
    source = write_patches(tmp_path / "first.zip", 40, seed=5)
    fit_quietly(tmp_path, tmp_path / "run", data=patch_data(source), beside=[SameData()])
    ckpt = tmp_path / "run" / "last.ckpt"
    moved = Path(shutil.copytree(tmp_path, tmp_path / "moved", ignore=shutil.ignore_patterns("cache", "run")))
    data = patch_data(moved / "first.zip")
    fit_quietly(tmp_path, tmp_path / "again", data=data, ckpt=ckpt, beside=[SameData()])
    data = patch_data(moved / "first.zip")
    data.sources[change] = [write_patches(moved / "new.zip", 40, seed=8)]
    with pytest.raises(UsageError, match=f"its run was {change}\\w+ on other data"):
        fit_quietly(tmp_path, tmp_path / "other", data=data, ckpt=ckpt, beside=[SameData()])
