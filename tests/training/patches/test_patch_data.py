"""Which patches are not trained on: each refused by name before the first step."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from nodescan.errors import UsageError
from tests.training.made_patches import png, unzipped, write_patches
from tests.training.made_runs import patch_data
from training.patches.datamodule import PatchData


def data_of(train: Path, valid: Path) -> PatchData:
    """Of given sources, with every other setting as the tests have it."""
    data = patch_data(write_patches(train.with_name("any.zip"), 2))
    data.sources = {"train": [train], "valid": [valid]}
    return data


@pytest.mark.parametrize("train", ["all", "all/valid/normal"])
def test_a_folder_within_another_is_not_trained_on_and_validated_on(tmp_path: Path, train: str) -> None:
    """Whichever of the two holds the other: patches would be validated on that were learned by heart."""
    unzipped(write_patches(tmp_path / "p.zip", 4), tmp_path / "all" / "valid")
    data = data_of(tmp_path / train, tmp_path / "all" / "valid")
    with pytest.raises(UsageError, match=r"valid/normal/0\.png: is to be trained on and validated on; name other"):
        data.setup("fit")


def test_a_copy_of_validation_patches_is_not_trained_on(tmp_path: Path) -> None:
    """Packed otherwise, under other names and among others; glass, which looks the same everywhere, doesn't count."""
    valid = write_patches(tmp_path / "valid.zip", 4, seed=0)
    for source in (write_patches(tmp_path / "train.zip", 4, seed=1), valid):
        with zipfile.ZipFile(source, "a") as archive:
            archive.writestr("normal/glass.png", png((242, 240, 243)))
    data_of(tmp_path / "train.zip", valid).setup("fit")
    with zipfile.ZipFile(tmp_path / "train.zip", "a") as archive, zipfile.ZipFile(valid) as other:
        archive.writestr("tumor/mine.png", other.read("tumor/1.png"))
    with pytest.raises(UsageError, match=r"train\.zip: 1 of the training patches, tumor/mine\.png .*\(tumor/1\.png\)"):
        data_of(tmp_path / "train.zip", valid).setup("fit")
    data_of(tmp_path / "train.zip", valid).setup("validate")


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    """Of training and of validation patches."""
    return {name: write_patches(tmp_path / f"{name}.zip", 4, seed=n) for n, name in enumerate(("train", "valid"))}


@pytest.mark.parametrize("which", ["train", "valid"])
@pytest.mark.parametrize("label", ["normal", "tumor"])
def test_patches_of_one_class_are_refused(tmp_path: Path, sources: dict[str, Path], which: str, label: str) -> None:
    """Nothing could be learned from them; validated on, every network would have an AUC of 0."""
    with zipfile.ZipFile(sources[which]) as archive:
        archive.extractall(tmp_path / which, [name for name in archive.namelist() if name.startswith(label)])
    sources[which] = tmp_path / which
    with pytest.raises(UsageError, match="both classes are needed"):
        data_of(**sources).setup("fit")


@pytest.mark.parametrize("which", ["train", "valid"])
def test_patches_that_are_too_small_for_an_answer_are_refused(
    tmp_path: Path, sources: dict[str, Path], which: str
) -> None:
    """Of 64 px the network answers no cell, of 80 px one."""
    data = data_of(**sources)
    for side_px in (80, 64):
        unzipped(sources[which], tmp_path / f"{side_px}")
        for file in (tmp_path / f"{side_px}").rglob("*.png"):
            Image.open(file).crop((0, 0, side_px, side_px)).save(file)
        data.sources[which] = [tmp_path / f"{side_px}"]
        if side_px == 80:
            data.setup("fit")
    with pytest.raises(UsageError, match="the side of the patches is 64: the network answers nothing below 80 px"):
        data.setup("fit")


@pytest.mark.parametrize("name", ["train", "valid"])
def test_a_list_of_no_sources_is_named(sources: dict[str, Path], name: str) -> None:
    """Before anything is read."""
    data = patch_data(sources["train"])
    paths = {which: [] if which == name else [source] for which, source in sources.items()}
    with pytest.raises(UsageError, match=rf"data\.init_args\.{name} is empty: name at least one source of patches"):
        PatchData(**paths, cache=data.cache, plan=data.plan, mosaic=data.mosaic, augment=data.augment)


def test_a_piece_without_whole_cells_about_its_middle_is_refused(sources: dict[str, Path]) -> None:
    """Of 92 px the one cell left would lie 6 px up and left of the label's middle."""
    data = data_of(**sources)
    data.plan = replace(data.plan, patch_px=92)
    with pytest.raises(UsageError, match=r"plan\.patch_px is 92: of patches of 96 px 80, 96 can be shown"):
        data.setup("fit")
