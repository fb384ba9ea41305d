"""What an index as a whole warns of is said by prepare and by fit, each time."""

import shutil
from dataclasses import replace
from pathlib import Path
from shlex import quote

import lightning
import pytest

from nodescan.csv_rows import csv_line
from tests.fakes import silent
from tests.training.made_runs import SAMPLE, slide_data, small_config
from tests.training.made_slides import row_of
from training.__main__ import main
from training.camelyon.manifest import read_data_manifest, write_data_manifest
from training.slides.index import read_index, write_index
from training.slides.prepare import prepare
from training.slides.remarks import drawn_from, remarks
from training.slides.sampler import HARD_COLUMNS, SlideSampler


def with_notes(index: Path, folder: Path, *slide_ids: str) -> Path:
    """A copy of an index in which two things were warned of on some slides."""
    copy = Path(shutil.copytree(index, folder))
    write_index([replace(r, notes="one\ntwo" if r.slide_id in slide_ids else "") for r in read_index(index)], copy)
    return copy


def test_fit_says_how_many_slides_have_warnings(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of both splits, in one line; nothing is said where none has any."""
    slide_data(index).setup("fit")
    assert "warnings" not in capsys.readouterr().out
    copy = with_notes(index, tmp_path / "index", "tumor_001", "normal_002")
    slide_data(copy).setup("fit")
    said = [line for line in capsys.readouterr().out.splitlines() if "warnings" in line]
    assert len(said) == 1
    assert said[0].startswith(f"{copy}: of 6 slides 2 have warnings (tumor_001, normal_002); ")


def test_fit_says_that_it_does_not_use_what_was_mined(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As long as the configuration names no list, or another one, with the words that do. An empty list, and a run
    that goes on, have no use for it."""
    copy = Path(shutil.copytree(index, tmp_path / "my index"))
    mined, other = copy / "hard.csv", tmp_path / "other.csv"
    said = f"{mined}: holds hard negatives that this run does not use; to use them add --data.init_args.hard_negatives "
    header = csv_line(HARD_COLUMNS)
    for text, named, goes_on, told in (
        (None, None, False, False),
        (header, None, False, False),
        (header + "normal_001,0,0,96,96,0.9\n", None, False, True),
        (header + "normal_001,0,0,96,96,0.9\n", other, False, True),
        (header + "normal_001,0,0,96,96,0.9\n", None, True, False),
        (header + "normal_001,0,0,96,96,0.9\n", mined, False, False),
    ):
        if text is not None:
            mined.write_text(text)
            other.write_text(text)
        data = slide_data(copy, hard_negatives=named)
        data.trainer = lightning.Trainer(accelerator="cpu", logger=False)
        data.trainer.ckpt_path = "last.ckpt" if goes_on else None
        data.setup("fit")
        lines = capsys.readouterr().out.splitlines()
        assert (f"{said}{quote(str(mined))}" in lines) is told, (text, named, goes_on)


def test_prepare_ends_with_the_slides_that_have_warnings(
    data_set: Path, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that an earlier prepare warned of, too, though they are not prepared again now."""
    copy = with_notes(index, tmp_path / "index", "tumor_001")
    write_data_manifest([row_of("normal_003")], tmp_path / "m.csv")
    assert main(["prepare", "--manifest", str(tmp_path / "m.csv"), "--data", str(data_set), "--to", str(copy)]) == 0
    assert f"{copy}: of 6 slides 1 has warnings (tumor_001); " in capsys.readouterr().out


def test_one_slide_under_two_ids_of_a_split_is_told(
    data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be drawn from twice as often as the others."""
    row, data, to = row_of("normal_001"), tmp_path / "data", tmp_path / "index"
    shutil.copytree(data_set, data)
    shutil.copy(data / row.key, data / "copy.tif")
    rows = [row, replace(row, slide_id="other", key="copy.tif"), row_of("normal_003")]
    write_data_manifest(rows, tmp_path / "m.csv")
    words = ["prepare", "--manifest", str(tmp_path / "m.csv"), "--data", str(data), "--to", str(to)]
    assert main(words) == 0
    said = f"{to}: normal_001, other are one slide, which counts 2 times; list all but one of these ids in the manifest"
    assert said in capsys.readouterr().out
    write_data_manifest([row, replace(rows[1], excluded=True, why="is normal_001"), rows[2]], tmp_path / "m.csv")
    assert main(words) == 0
    assert "are one slide" not in capsys.readouterr().out


def test_of_sound_slides_nothing_is_said(index: Path) -> None:
    """The line that ends prepare stands alone."""
    assert remarks(read_index(index), index) == []


def test_what_is_drawn_from_where_is_said_before_the_training(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the strata, by how many slides have some, and of hard negatives; by fit of both splits, and by sample."""
    hard = tmp_path / "hard.csv"
    hard.write_text(f"{','.join(HARD_COLUMNS)}\nnormal_003,100,200,96,96,0.9\n")
    slide_data(index, hard_negatives=hard).setup("fit")
    tumour = "tumour from inside (2 slides, 50%), edge_tumour (2 slides, 50%)"
    train, valid = (f"{index}: split {split}: " for split in ("train", "valid"))
    normal = "normal from edge_normal (1 slide, 20%), near (1 slide, 20%), elsewhere (2 slides, 60%)"
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{train}{tumour}; {normal}; 25% of normal from 1 hard negative instead"
    assert said[1].startswith(f"{valid}{tumour.replace('2 slides', '1 slide')}; normal from ")
    assert main(["sample", "--config", str(small_config(tmp_path / "c.yaml", index)), "--seconds", "1"]) == 0
    assert capsys.readouterr().out.startswith(f"{train}{tumour}; {normal}\n")


def test_strata_that_no_slide_has_are_named(data_set: Path, tmp_path: Path) -> None:
    """As where no tumour slide is outlined exhaustively: normal tissue is that of negative slides alone."""
    rows = [replace(row, exhaustive=not row.annotation_key) for row in read_data_manifest(data_set / "manifest.csv")]
    prepare(rows, data_set, tmp_path, tell=silent)
    said = drawn_from(SlideSampler(tmp_path, "train", SAMPLE))
    lacking = "no slide has edge_normal (20% asked for), near (20% asked for): the others of its class have that share"
    assert said.endswith(f"; normal from elsewhere (2 slides, 100%); {lacking}")
    unasked = replace(SAMPLE, edge_normal_share=0.0, near_share=0.0)
    assert "no slide has" not in drawn_from(SlideSampler(tmp_path, "train", unasked))
