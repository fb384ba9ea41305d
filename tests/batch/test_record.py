"""What run.json says, and what it must not say."""

import json
from pathlib import Path

import pytest

from nodescan.batch.record import RunRecord, redo_command, shown_command, to_redo, versions, without_folders
from nodescan.batch.tools import RemotePredictor
from nodescan.config import load_config
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.slide import SlideRef
from tests.fakes import ColourPredictor


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("/data/Jane Doe/slide.svs", "slide.svs"),
        ("../Jane Doe/slide.svs", "slide.svs"),
        ("--config=/home/me/mine.yaml", "--config=mine.yaml"),
        ("C:\\Jane Doe\\slide.svs", "slide.svs"),
        ("{run}/../Jane Doe", "<folder>"),
        ("--stage={run}/../Jane Doe/", "--stage=<folder>"),
        ("/gone/Jane*/", "<folder>"),
        ("{run}/../Jane*", "<folder>"),
        ("{run}/../Jane*/*.svs", "*.svs"),
        ("{run}/../*.svs", "*.svs"),
        ("{run}/sl*", "sl*"),
        ("{run}/slides", "slides"),
        ("{run}", "."),
        ("{run}/slides/a.tif", "slides/a.tif"),
        ("--device", "--device"),
        ("cuda:0", "cuda:0"),
        ("0.25", "0.25"),
    ],
)
def test_folders_outside_the_run_are_left_out(tmp_path: Path, word: str, kept: str) -> None:
    """A folder may be named after a patient; names inside the run's own folder stay."""
    run = tmp_path / "run"
    (tmp_path / "Jane Doe").mkdir()
    (run / "slides").mkdir(parents=True)
    assert without_folders(word.format(run=run), run) == kept


def test_a_folder_named_without_a_slash_is_left_out_and_the_command_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the current folder lie one of a patient's name and one that is called as the command is."""
    monkeypatch.chdir(tmp_path)
    for name in ("Jane Doe", "run", "out"):
        Path(name).mkdir()
    command = ("nodescan", "run", "Jane Doe", "Jan*", "*.svs", "--out", "out")
    facts = RemotePredictor(ColourPredictor().model, "cpu", "float32", 1)
    RunRecord(Path("out"), shown_command(command, Path("out")), load_config(), facts, ("json",)).write("running", 0, ())
    assert json.loads(Path("out/run.json").read_text())["command"] == [
        "nodescan",
        "run",
        "<folder>",
        "<folder>",
        "*.svs",
        "--out",
        ".",
    ]


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
