"""What run.json says, and what it must not say."""

from pathlib import Path

import pytest

from nodescan.domain.report import SlideReport, Status
from nodescan.domain.slide import SlideRef
from nodescan.run_record import redo_command, to_redo, versions, without_folders


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


def test_only_what_nothing_can_be_said_of_is_to_be_redone() -> None:
    """In the order asked for; what is incomplete would come out the same."""
    reports = [SlideReport(SlideRef(status.value, Path("s.tif")), status, None, False) for status in Status]
    assert to_redo(reports) == ("unmeasurable", "failed")


def test_the_command_that_redoes_is_the_typed_one_ready_for_a_shell() -> None:
    """Quoted where a name needs it, and without --force, which would redo all."""
    words = ("nodescan", "run", "b c.tif", "it's.svs", "--out", "o", "--force")
    assert redo_command(words) == """nodescan run 'b c.tif' 'it'"'"'s.svs' --out o"""
