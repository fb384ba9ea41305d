"""What run.json says, and what it must not say."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import openslide
import pytest
import torch

from nodescan.batch.progress import Viewer
from nodescan.batch.record import RunRecord, redo_command, shown_command, to_redo, versions, without_folders
from nodescan.batch.slide_task import scan_one
from nodescan.batch.workers import Opened
from nodescan.config import load_config
from nodescan.domain.report import Provenance, SlideReport, Status
from nodescan.domain.slide import SlideRef
from nodescan.inference import device as device_module
from tests.batch.run_tools import slide_tools
from tests.fakes import ColourPredictor, paint_slide


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
        ("tcp://node7.example:8786", "<address>"),
        ("--scheduler=tls://10.0.0.7:8786", "--scheduler=<address>"),
        ("--device", "--device"),
        ("cuda:0", "cuda:0"),
        ("0.25", "0.25"),
    ],
)
def test_folders_outside_the_run_are_left_out(tmp_path: Path, word: str, kept: str) -> None:
    """A folder may be named after a patient; names inside the run's own folder stay. Nor are machines named."""
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
    facts = Opened(ColourPredictor.model, "cpu", "float32", 1, 1)
    RunRecord(Path("out"), shown_command(command, Path("out")), load_config(), facts, ("json",)).write("running", ())
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
    """Of an installed program, none is missing; OpenSlide's library is named whichever way it was installed."""
    assert {"python", "nodescan", "numpy", "torch", "openslide-bin", "scikit-image", "imagecodecs"} <= versions().keys()
    assert versions()["openslide"] == openslide.__library_version__


@pytest.fixture
def h200(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """What torch and the driver say of themselves beside a GPU; how a predictor describes it."""
    driver = tmp_path / "version"
    driver.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar 5\nGCC version: 12\n")
    monkeypatch.setattr(device_module, "_DRIVER", driver)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    return "cuda:0 (NVIDIA H200)"


OF_GPU = {
    "cuda": "12.8",
    "cudnn": "91002",
    "gpu-driver": "NVRM version: NVIDIA UNIX x86_64 Kernel Module 550.54.15 Tue Mar 5",
}


def test_a_gpus_libraries_and_driver_are_named_where_it_is_used(h200: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a CPU none, and none that isn't there; a process that never loaded torch doesn't for this."""
    assert versions(h200) == {**versions(), **OF_GPU}
    assert versions("cpu (x86_64, 2 threads; the GPU failed)") == versions()
    monkeypatch.setattr(device_module, "_DRIVER", Path("gone"))
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: None)
    assert versions(h200) == {**versions(), "cuda": "12.8"}
    monkeypatch.delitem(sys.modules, "torch")
    assert versions(h200) == versions()


def test_a_run_says_what_the_gpus_of_its_workers_compute_with(tmp_path: Path) -> None:
    """The process that writes run.json hears it from those that scanned; where they differ it has both."""

    def report(slide_id: str, driver: str) -> SlideReport:
        said = {**versions(), "numpy": "0.9", "cuda": "12.8", "gpu-driver": driver}
        provenance = Provenance(said, "c" * 64, "f" * 64, "cuda:0", "float16", "2026-11-29T20:00:00+00:00", 3.0)
        return SlideReport(SlideRef(slide_id, Path("s.tif")), Status.FAILED, None, False, provenance=provenance)

    facts = Opened(ColourPredictor.model, "cuda:0 (NVIDIA H200)", "float16", 32, 1)
    record = RunRecord(tmp_path, ("nodescan",), load_config(), facts, ("json",), kept=frozenset({"kept"}))
    record.write("finished", [report("a", "550"), report("b", "570"), report("kept", "470")])
    found = json.loads((tmp_path / "run.json").read_text())["versions"]
    assert (found["cuda"], found["gpu-driver"]) == ("12.8", "550; 570")
    assert found["numpy"] == versions()["numpy"]


def test_a_report_of_a_gpu_has_them(tmp_path: Path, h200: str) -> None:
    """In report.json, whether the slide was scanned or couldn't be opened."""
    predictor = ColourPredictor()
    predictor.device = h200
    tools = slide_tools(tmp_path, predictor, reports=("json",))
    (tmp_path / "broken.tif").write_bytes(b"no slide")
    for path in (paint_slide(tmp_path / "a.tif"), tmp_path / "broken.tif"):
        scan_one(SlideRef(path.stem, path), Viewer(), tools=tools)
        found = json.loads((tmp_path / path.stem / "report.json").read_text())["provenance"]
        assert found["versions"] == versions(h200)
        assert OF_GPU.items() <= found["versions"].items()


def test_only_what_nothing_can_be_said_of_is_to_be_redone() -> None:
    """In the order asked for; what is incomplete would come out the same."""
    reports = [SlideReport(SlideRef(status.value, Path("s.tif")), status, None, False) for status in Status]
    assert to_redo(reports) == ("unmeasurable", "failed")


def test_the_command_that_redoes_is_the_typed_one_ready_for_a_shell() -> None:
    """Quoted where a name needs it, and without --force, which would redo all."""
    words = ("nodescan", "run", "b c.tif", "it's.svs", "--out", "o", "--force")
    assert redo_command(words) == """nodescan run 'b c.tif' 'it'"'"'s.svs' --out o"""


def test_the_command_that_redoes_is_quoted_for_the_shell_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes ' for a letter."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert redo_command(("nodescan", "run", r"C:\P 1\a.svs")) == r'nodescan run "C:\P 1\a.svs"'


def test_the_settings_of_every_run_of_a_folder_are_kept(tmp_path: Path) -> None:
    """A report of an earlier run names its settings by their sha256 alone, and run.json has those of the last run."""
    own = load_config()
    other = replace(own, text="# of the lab\n", sha256="ab" * 32)
    facts = Opened(ColourPredictor.model, "cpu", "float32", 32, 1)
    for config in (own, other, replace(other, text="# the same values, another comment\n")):
        RunRecord(tmp_path, ("nodescan",), config, facts, ("json",)).write("finished", [])
    kept = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "settings").iterdir()}
    assert kept == {f"{own.sha256[:12]}.yaml": own.text, "abababababab.yaml": "# of the lab\n"}
