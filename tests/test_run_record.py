"""What run.json says, and what it must not say."""

from pathlib import Path

import pytest

from nodescan.run_record import versions, without_folders


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("/data/Jane Doe/slide.svs", "slide.svs"),
        ("../Jane Doe/slide.svs", "slide.svs"),
        ("--config=/home/me/mine.yaml", "--config=mine.yaml"),
        ("C:\\Jane Doe\\slide.svs", "slide.svs"),
        ("{run}", "."),
        ("{run}/slides/a.tif", "slides/a.tif"),
        ("--device", "--device"),
        ("cuda:0", "cuda:0"),
        ("0.25", "0.25"),
    ],
)
def test_folders_outside_the_run_are_left_out(tmp_path: Path, word: str, kept: str) -> None:
    """A folder may be named after a patient; names inside the run's own folder stay."""
    assert without_folders(word.format(run=tmp_path), tmp_path) == kept


def test_versions_name_what_a_finding_depends_on() -> None:
    """Of an installed program, none is missing."""
    assert {"python", "nodescan", "numpy", "torch", "openslide-bin", "scikit-image"} <= versions().keys()
