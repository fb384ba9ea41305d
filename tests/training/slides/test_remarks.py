"""What an index as a whole warns of is said by prepare and by fit, each time."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.made_runs import slide_data
from tests.training.made_slides import row_of
from training.__main__ import main
from training.camelyon.manifest import write_data_manifest
from training.slides.index import read_index, write_index
from training.slides.remarks import remarks


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
