"""Outlines that were corrected after prepare are not trained on as they were before."""

import shutil
from pathlib import Path

import pytest

from nodescan.errors import UsageError
from tests.fakes import ColourPredictor, silent
from tests.training.made_runs import SAMPLE, slide_data
from tests.training.made_slides import Disc, write_asap
from training.camelyon.manifest import DataSlide, read_data_manifest
from training.fitting.mining import MiningSettings, mine
from training.slides.prepare import prepare
from training.slides.sampler import SlideSampler

CHANGED = r"tumor_002\.xml: the outlines of tumor_002 changed since prepare, .*; run prepare again"


@pytest.fixture
def prepared(data_set: Path, index: Path, tmp_path: Path) -> tuple[tuple[DataSlide, ...], Path, Path]:
    """The rows of a manifest, a folder with their slides, and the index of these."""
    data, to = Path(shutil.copytree(data_set, tmp_path / "data")), Path(shutil.copytree(index, tmp_path / "index"))
    rows = read_data_manifest(data / "manifest.csv")
    prepare(rows, data, to, tell=silent)
    return rows, data, to


def correct(rows: tuple[DataSlide, ...], data: Path) -> Path:
    """Draws other outlines of a validation slide; the file."""
    (row,) = (row for row in rows if row.slide_id == "tumor_002")
    write_asap(data / row.annotation_key, (Disc(450, 330, 70),))
    return data / row.annotation_key


def test_corrected_outlines_are_refused_until_they_are_prepared(
    prepared: tuple[tuple[DataSlide, ...], Path, Path],
) -> None:
    """By fit, and by mine, though mine looks at slides without outlines."""
    rows, data, to = prepared
    correct(rows, data)
    with pytest.raises(UsageError, match=CHANGED):
        slide_data(to).setup("fit")
    with pytest.raises(UsageError, match=CHANGED):
        mine(ColourPredictor(), to, settings=MiningSettings(0.5, 64, 4), tell=silent)
    assert SlideSampler(to, "train", SAMPLE).rows  # the other split is as it was
    prepare(rows, data, to, tell=silent)
    slide_data(to).setup("fit")


def test_outlines_that_are_gone_do_not_stop_a_run(prepared: tuple[tuple[DataSlide, ...], Path, Path]) -> None:
    """The masks are still of the outlines that were prepared."""
    rows, data, to = prepared
    correct(rows, data).unlink()
    assert SlideSampler(to, "valid", SAMPLE).rows
