"""The front door: arguments in, one line out where something is wrong, and an exit code that can be trusted."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nodescan import __version__, cli, demo
from nodescan.batch import run as batch
from nodescan.batch import workers
from nodescan.batch.progress import Viewer
from nodescan.batch.request import BatchRequest
from nodescan.benchmarks import speed
from nodescan.cli import main
from nodescan.commands.models import print_models
from nodescan.domain.report import NOT_FOR_CLINICAL_USE
from nodescan.domain.versions import RESULT_VERSION
from nodescan.inference.card import find_model, list_models, load_card
from nodescan.reports import FILES
from tests.fakes import ColourPredictor, paint_slide, scan_with
from tests.faults.accounting import rows as summary_rows

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "started_ahead", lambda slots: None)


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put the colour predictor in the network's place, and scan in this process, where it is known."""
    run_batch = batch.run_batch

    def use(raises: BaseException | None = None) -> None:
        predictor = ColourPredictor(raises)

        def run_here(request: BatchRequest, viewer: Viewer, first: None) -> batch.BatchResult:
            return run_batch(replace(request, slots=0), viewer)

        monkeypatch.setattr(batch, "run_batch", run_here)
        monkeypatch.setattr(batch, "find_model", lambda name: Path(name or "released"))
        card = SimpleNamespace(geometry=lambda: predictor.geometry, sha256=str)
        monkeypatch.setattr(batch, "load_card", lambda folder: card)
        scan_with(predictor, monkeypatch)

    return use


def the_error(capture: Capture) -> str:
    """stderr, which must be one line that begins as errors do."""
    lines = capture.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


def test_complete_slides_exit_0_and_say_where_the_reports_are(
    tmp_path: Path, scans: Callable[..., None], capsys: Capture
) -> None:
    """A table with class and size, the folder, and every file the run promises."""
    scans()
    paint_slide(tmp_path / "a.tif", tumour_um=400)
    assert main(["run", "a.tif", "--out", "out"]) == 0
    said = capsys.readouterr()
    assert "micro" in said.out
    assert "1 of 1 complete" in said.out
    assert "slide 1/1 a: " in said.err
    assert "done 1/1 a: complete, micro" in said.err
    made = {path.name for path in (tmp_path / "out" / "a").iterdir()}
    assert made == FILES
    assert {"summary.csv", "summary.html", "run.json", "settings", "a"} == {
        path.name for path in (tmp_path / "out").iterdir()
    }


def test_one_bad_slide_exits_1_and_the_others_are_scanned(
    tmp_path: Path, scans: Callable[..., None], capsys: Capture
) -> None:
    """Quiet, so that stderr holds the bad slide's line alone: file, reason, no traceback."""
    scans()
    paint_slide(tmp_path / "a.tif")
    (tmp_path / "b.svs").write_bytes(b"")
    assert main(["run", "a.tif", "b.svs", "--out", "out", "--quiet"]) == 1
    assert the_error(capsys).startswith("error: b.svs: ")
    assert (tmp_path / "out" / "summary.csv").read_text().count("\n") == 3


def test_missing_spacing_is_filled_by_mpp(tmp_path: Path, scans: Callable[..., None], capsys: Capture) -> None:
    """A slide without spacing is unmeasurable, and complete with --mpp."""
    scans()
    paint_slide(tmp_path / "bare.tif", spacing_um=None)
    assert main(["run", "bare.tif", "--out", "out", "--quiet"]) == 1
    assert "--mpp" in the_error(capsys)
    assert main(["run", "bare.tif", "--out", "out", "--quiet", "--mpp", "0.95"]) == 0
    report = json.loads((tmp_path / "out" / "bare" / "report.json").read_text())
    assert (report["status"], report["spacing_source"], report["spacing_um"]) == ("complete", "user", [0.95, 0.95])


def test_interrupt_exits_130_with_one_line(tmp_path: Path, scans: Callable[..., None], capsys: Capture) -> None:
    """Ctrl-C in the middle of a slide says where the finished ones are, where there are any."""
    scans(KeyboardInterrupt())
    paint_slide(tmp_path / "a.tif")
    (tmp_path / "bad.svs").write_bytes(b"")
    assert main(["run", "a.tif", "--out", "out", "--quiet"]) == 130
    assert the_error(capsys) == "error: stopped by the user"
    assert main(["run", "bad.svs", "a.tif", "--out", "out", "--quiet"]) == 130
    go_on = "; the same command goes on from there, and finished slides are kept"
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"the slides done so far are in out/summary.csv{go_on}")
    assert main(["run", "bad.svs", "a.tif", "--out", "out", "--quiet", "--force"]) == 130
    assert "; the same command without --force goes on from there" in capsys.readouterr().err.splitlines()[-1]


def test_interrupt_before_the_first_slide_calls_no_earlier_rows_its_own(
    tmp_path: Path, scans: Callable[..., None], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the model is opened: what stands in the folder is of other settings, say."""
    scans()
    paint_slide(tmp_path / "a.tif")
    assert main(["run", "a.tif", "--out", "out", "--quiet"]) == 0

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nodescan.batch.run.open_run_tools", stop)
    capsys.readouterr()
    assert main(["run", "a.tif", "--out", "out", "--quiet", "--max-unread", "4"]) == 130
    assert the_error(capsys) == "error: stopped by the user"
    assert (tmp_path / "out" / "summary.csv").read_text().count("\n") == 2


def test_a_run_started_by_another_program_records_its_own_words(
    tmp_path: Path, scans: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Not those of the program that calls main(): run.json has them, and so has what tries failed slides again."""
    scans()
    monkeypatch.setattr(sys, "argv", ["server.py", "--port", "80"])
    (tmp_path / "bad.svs").write_bytes(b"")
    assert main(["run", "bad.svs", "--out", "out"]) == 1
    assert json.loads((tmp_path / "out" / "run.json").read_text())["command"][:2] == ["nodescan", "run"]
    assert "scan only these slides with: nodescan run bad.svs --out out" in capsys.readouterr().out


def test_log_json_tells_the_run(tmp_path: Path, scans: Callable[..., None]) -> None:
    """The log holds the slide's whole way, one object a line."""
    scans()
    paint_slide(tmp_path / "a.tif")
    assert main(["run", "a.tif", "--out", "out", "--quiet", "--log-json", "log.jsonl"]) == 0
    events = [json.loads(line)["event"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert events[:3] == ["note", "batch_started", "slide_started"]
    assert events[-2:] == ["slide_finished", "batch_closed"]
    assert "tiles_done" in events


def log_of(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_log_says_why_a_run_ended_and_how(tmp_path: Path, scans: Callable[..., None], capsys: Capture) -> None:
    """A run that failed or was stopped doesn't end its log as a good one does; the terminal's line is the same."""
    scans()
    paint_slide(tmp_path / "a.tif")
    assert main(["run", "a.tif", "--out", "out", "--quiet", "--log-json", "good.jsonl"]) == 0
    assert log_of(tmp_path / "good.jsonl")[-1]["state"] == "finished"
    assert main(["run", "b.tif", "--out", "out", "--quiet", "--log-json", "bad.jsonl"]) == 2
    why, end = log_of(tmp_path / "bad.jsonl")
    assert the_error(capsys) == f"error: {why['message']}"
    assert (why["event"], end["event"], end["state"]) == ("error", "batch_closed", "failed")
    scans(KeyboardInterrupt())
    assert main(["run", "a.tif", "--out", "out", "--force", "--quiet", "--log-json", "stopped.jsonl"]) == 130
    assert log_of(tmp_path / "stopped.jsonl")[-1]["state"] == "interrupted"


@pytest.mark.parametrize("name", ["out/run.json", "out/a/report.json", "out/../out/summary.csv"])
def test_log_never_takes_the_place_of_a_file_of_the_run(name: str, tmp_path: Path, capsys: Capture) -> None:
    """Said before anything is made, whether the file is there yet or not."""
    paint_slide(tmp_path / "a.tif")
    assert main(["run", "a.tif", "--out", "out", "--log-json", name]) == 2
    assert f"--log-json {name}: is a file that the run itself writes" in the_error(capsys)
    assert not (tmp_path / "out").exists()


SCAN = """
import sys
from types import SimpleNamespace
from nodescan import cli
from nodescan.batch import run as batch
from nodescan.inference import slots
from tests.fakes import ColourPredictor
slots.open_in_slot = lambda folder, **_: (ColourPredictor(), 1)
batch.load_card = lambda folder: SimpleNamespace(geometry=lambda: ColourPredictor.geometry, sha256=str)
sys.exit(cli.main(sys.argv[1:]))
"""


def in_shell(folder: Path, redirected: str, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """nodescan in a process of its own, with its streams redirected."""
    command = ["sh", "-c", f'"$@" {redirected}', "sh", sys.executable, "-c", SCAN, *words]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])} | settings
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.name != "posix", reason="redirections of a POSIX shell")
@pytest.mark.parametrize("redirected", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full"])
def test_streams_that_are_closed_or_full_change_no_result(redirected: str, tmp_path: Path) -> None:
    """The slides are scanned, the exit code speaks of them, and there is no traceback."""
    paint_slide(tmp_path / "a.tif")
    done = in_shell(tmp_path, redirected, "run", "a.tif", "--out", "out", "--slots", "0")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "out" / "a" / "report.json").read_text())["status"] == "complete"
    lost = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    full = "error: the results can't be printed (No space left on device); they are in out/summary.csv"
    assert lost == ([full] if "full" in redirected else [])


@pytest.mark.skipif(shutil.which("bash") is None, reason="pipefail is a word of bash")
@pytest.mark.parametrize("words", [["run", "a.tif", "--out", "out", "--slots", "0"], ["info", "a.tif"], ["models"]])
def test_a_reader_that_left_changes_no_exit_code(tmp_path: Path, words: list[str]) -> None:
    """As of `| head -n 1`: the slides were scanned all the same. PYTHONUNBUFFERED is what containers often set."""
    paint_slide(tmp_path / "a.tif")
    command = 'set -o pipefail; "$@" | true; echo $?'
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONUNBUFFERED": "1"}
    shell = ["bash", "-c", command, "bash", sys.executable, "-c", SCAN, *words]
    done = subprocess.run(shell, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "0\n"
    assert "error" not in done.stderr


def test_a_name_that_is_too_long_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever it is met first."""
    long = "b" * 300
    paint_slide(Path("a.tif"))
    for words in (["run", "a.tif", "--out", long], ["phantom", f"{long}.tif", "--diameters-um", "150"]):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "too long" in said
        assert said.count("\n") == 1


def test_a_package_that_is_missing_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what doctor is for; a module of nodescan's own that lacks something is a defect, and told whole."""

    def asks(name: str) -> Callable[[], None]:
        def check() -> None:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

        return check

    monkeypatch.setattr(cli, "check_current_folder", asks("simplejpeg"))
    assert main(["models"]) == 1
    assert "broken (No module named 'simplejpeg'); see nodescan doctor" in capsys.readouterr().err
    monkeypatch.setattr(cli, "check_current_folder", asks("nodescan.slides.lost"))
    with pytest.raises(ModuleNotFoundError):
        main(["models"])


def test_the_package_runs_as_the_command_does(tmp_path: Path) -> None:
    """With its exit codes, and under its name."""
    words = [sys.executable, "-m", "nodescan", "models", "--nonsense"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: No such option: --nonsense; see nodescan models --help\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_what_cannot_be_printed_is_one_line_and_exit_1(tmp_path: Path) -> None:
    """Of a command whose output is all there is."""
    done = in_shell(tmp_path, ">/dev/full", "models")
    assert done.stderr == "error: the output can't be written (No space left on device); send it elsewhere\n"
    assert done.returncode == 1


def test_a_name_that_an_output_cannot_say_is_escaped(tmp_path: Path) -> None:
    """As where the locale knows ASCII alone."""
    paint_slide(tmp_path / "\u00e9.tif")
    done = in_shell(tmp_path, "", "info", "\u00e9.tif", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\xe9.tif" in done.stdout


def test_an_uncertainty_can_be_read_where_an_output_knows_ascii_alone() -> None:
    """A "\\xb1" before a number reads as a code, or as a part of the size."""
    program = (
        "from nodescan.streams import make_usable; make_usable(); print('2.62 \\xb1 0.08 mm \\xb1\\xe9\\U0001f600')"
    )
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "2.62 +/- 0.08 mm +/-\\xe9\\U0001f600\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "", "--out", "out"], "an argument: is empty"),
        (["run", "x.svs", "--out", ""], "--out: is empty, perhaps because a variable isn't set"),
        (["run", "x.svs", "--out="], "--out: is empty"),
        (["doctor", "--out", ""], "--out: is empty"),
        (["run", "nowhere.svs", "--out", "out"], "nowhere.svs: "),
        (["run", "*.svs", "--out", "out"], "*.svs: "),
        (["run", ".", "--out", "out"], "holds no slides"),
        (["run", "x.svs"], "Missing option '--out'"),
        (["run", "--out", "out"], "or --manifest CSV; neither is given"),
        (["run", "x.svs", "--manifest", "m.csv", "--out", "out"], "or --manifest CSV; both are given"),
        (["run", "--manifest", "m.csv", "--out", "out"], "m.csv: can't be read"),
        (["manifest"], "name the folder whose slides to list, or give --template"),
        (["manifest", ".", "--template"], "one of the two"),
        (["manifest", "."], "holds no slides"),
        (["run", "x.svs", "--out", "out", "--colour", "red"], "No such option: --colour"),
        (
            ["run", "x.svs", "--out", "out", "--mpp", "0.09"],
            "--mpp: write um per pixel at level 0, from 0.1 to 1.2, not",
        ),
        (["run", "x.svs", "--out", "out", "--mpp", "1.3", "--override-mpp"], "from 0.1 to 1.2, not 1.3"),
        (["run", "x.svs", "--out", "out", "--mpp", "nan"], "from 0.1 to 1.2, not nan"),
        (["info", ".", "--mpp", "250"], "from 0.1 to 1.2, not 250"),
        (["measure", ".", "--mpp", "nan"], "--mpp: must be a number of um above 0, not nan"),
        (["run", "x.svs", "--out", "out", "--mpp", "fine"], "--mpp: 'fine' is not a number"),
        (["info", ".", "--mpp", "0,25"], "--mpp: '0,25' is not a number; write it as in 0.25, with a point"),
        (["measure", ".", "--mpp", "0,25"], "--mpp: '0,25' is not a number"),
        (["measure", ".", "--mpp", "1,1"], "--mpp: '1,1' is not a number"),
        (["measure", ".", "--mpp", "0.25x"], "--mpp: '0.25x' is no width and height of a pixel above 0; write them as"),
        (["measure", ".", "--mpp", "0x10"], "--mpp: '0x10' is no width and height of a pixel above 0"),
        (["measure", ".", "--mpp", "0.25xinf"], "--mpp: '0.25xinf' is no width and height of a pixel"),
        (["measure", ".", "--mpp", "0.25x0.25x0.25"], "--mpp: '0.25x0.25x0.25' is no width and height of a pixel"),
        (["measure", ".", "--mpp", "1_0"], "--mpp: '1_0' is not a number"),
        (["info", ".", "--mpp", "1_0"], "--mpp: '1_0' is not a number"),
        (["measure", ".", "--value", "abc"], "'--value': it must be a whole number; see nodescan measure --help"),
        (["evaluate", ".", "--reference", ".", "--mpp", "0,25"], "--mpp: '0,25' is not a number"),
        (["phantom", "p.tif", "--diameters-um", "300", "--spacing", "0,5"], "--spacing: '0,5' is not a number"),
        (["run", "x.svs", "--out", "out", "--stall-minutes", "1,5"], "--stall-minutes: '1,5' is not a number"),
        (["run", "x.svs", "--out", "out", "--max-unread", "5%"], "--max-unread: '5%' is not a number"),
        (["demo", "--out", "out", "--model", "nowhere"], "nowhere: no such model"),
        (["demo", "--out", "out", "--device", "gpu"], "device 'gpu' is not known"),
        (["run", "x.svs", "--out", "out", "--override-mpp"], "--override-mpp: needs --mpp"),
        (["run", "x.svs", "--out", "out", "--reports", "json,pdf"], "--reports: no report is called 'pdf'"),
        (["run", "x.svs", "--out", "out", "--config", "mine.yaml"], "mine.yaml: can't be read"),
        (
            ["run", "x.svs", "--out", "out", "--slots", "99999999999"],
            "'--slots': it must be less than or equal to 1024; see",
        ),
        (["phantom", "p.tif", "--diameters-um", "150,big"], "'big' is not a number"),
        (["phantom", "p.tif", "--diameters-um", "3"], "not 3"),
        (["bench", "x.svs", "--what", "map"], "x.svs: --what map makes its own slides or map; leave the slide out"),
        (["bench", "--mpp", "0.25"], "--mpp: needs a slide, and none is named; name one, or leave --mpp out"),
        (["bench", "--tissue-mm2", "5"], "--tissue-mm2: applies to --what memory and time"),
        (["info", "nowhere.svs"], "nowhere.svs: there is no such file or folder; check the spelling"),
        (["info", "no  where.svs"], "no  where.svs: there is no such file or folder; check the spelling"),
        (["bench", "nowhere.svs"], "nowhere.svs: there is no such file or folder; check the spelling"),
        (["measure", "nowhere.png", "--mpp", "1"], "nowhere.png: there is no such file or folder; check the spelling"),
        (["fly"], "No such command 'fly'"),
        ([], "Missing command"),
    ],
)
def test_wrong_usage_exits_2_on_one_line(arguments: list[str], said: str, capsys: Capture, tmp_path: Path) -> None:
    """Nothing is done, and the line names what to change."""
    assert main(arguments) == 2
    assert said in the_error(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="Windows removes no folder that is in use")
@pytest.mark.parametrize("words", [["info", "a.svs"], ["run", "{}/a.svs", "--out", "{}/out", "--quiet"], ["doctor"]])
def test_a_current_folder_that_was_removed_exits_2(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """As in a shell that stayed in a folder of an earlier run: it was a traceback, whole paths or not."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main([word.format(tmp_path) for word in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the current folder can't be used (No such file or directory): it was removed")


def test_the_list_of_commands_ends_no_sentence_with_dots(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """In 80 columns, "Scan slides and write a report for each, summary.csv and..." told half."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["--help"]) == 0
    commands = capsys.readouterr().out.partition("Commands:")[2].strip().splitlines()
    assert len(commands) == 11
    assert all(line.endswith(".") and "..." not in line and len(line) <= 80 for line in commands)


def test_unknown_key_in_the_settings_exits_2(tmp_path: Path, capsys: Capture) -> None:
    """The line names the file and the key's path."""
    (tmp_path / "mine.yaml").write_text("tissue:\n  foo: 1\n")
    assert main(["run", "x.svs", "--out", "out", "--config", "mine.yaml"]) == 2
    assert "mine.yaml: " in (line := the_error(capsys))
    assert "tissue.foo: unknown key" in line


def test_folder_that_cannot_be_written_exits_2_before_any_work(tmp_path: Path, capsys: Capture) -> None:
    """A file stands where the folder should be: said at once, before a model is loaded or a slide opened."""
    paint_slide(tmp_path / "a.tif")
    (tmp_path / "out").write_text("mine")
    assert main(["run", "a.tif", "--out", "out/deep", "--model", "no-such-model"]) == 2
    assert "out/deep: can't be written" in the_error(capsys)


def test_file_of_the_run_that_cannot_be_written_exits_1_after_the_work(
    tmp_path: Path, scans: Callable[..., None], capsys: Capture
) -> None:
    """The command as typed was right: the slides have their reports, and the line names the file."""
    scans()
    paint_slide(tmp_path / "a.tif")
    (tmp_path / "out" / "summary.html").mkdir(parents=True)
    assert main(["run", "a.tif", "--out", "out", "--quiet"]) == 1
    assert "out/summary.html: can't be written" in the_error(capsys)
    assert (tmp_path / "out" / "a" / "report.json").is_file()


def test_model_that_is_not_there_exits_2(tmp_path: Path, capsys: Capture) -> None:
    """The line names the model asked for and those at hand."""
    paint_slide(tmp_path / "a.tif")
    assert main(["run", "a.tif", "--out", "out", "--model", "no-such-model"]) == 2
    assert "no-such-model: no such model; installed models: " in the_error(capsys)


def disc(path: Path, diameter_px: int) -> None:
    axis = np.arange(diameter_px + 40) - (diameter_px + 39) / 2
    inside = np.hypot(axis[:, None], axis[None, :]) <= diameter_px / 2
    Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)).save(path)


def test_measure_prints_one_json_document_with_the_reports_names(tmp_path: Path, capsys: Capture) -> None:
    """A disc of 600 px at 2 um/px is 1.2 mm, a micrometastasis, and stdout parses as it stands."""
    disc(tmp_path / "disc.png", 600)
    assert main(["measure", "disc.png", "--mpp", "2", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["metastasis"] == content["deposits"][0]["class"] == "micro"
    assert content["largest_deposit_um"] == pytest.approx(1200, abs=4)
    assert (content["n_foci"], content["spacing_um"], content["spacing_source"]) == (1, [2.0, 2.0], "user")
    assert "cell count not assessed" in content["notes"]


def test_measure_takes_the_width_and_height_of_a_pixel_apart(tmp_path: Path, capsys: Capture) -> None:
    """A bar along x measures by x, one along y by y, in a mask as in outlines; one number alone would be wrong."""
    for name, rows, columns in (("across", 4, 400), ("down", 400, 4)):
        mask = np.zeros((500, 500), np.uint8)
        mask[20 : 20 + rows, 20 : 20 + columns] = 255
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
        ring = [[20, 20], [20 + columns, 20], [20 + columns, 20 + rows], [20, 20 + rows], [20, 20]]
        outline = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}}
        (tmp_path / f"{name}.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [outline]}))
    for name, side_um in (("across", 2.0), ("down", 3.0)):
        for file in (f"{name}.png", f"{name}.geojson"):
            assert main(["measure", file, "--mpp", "2x3", "--json"]) == 0
            found = json.loads(capsys.readouterr().out)
            assert found["spacing_um"] == [2.0, 3.0]
            assert found["largest_deposit_um"] == pytest.approx(400 * side_um, rel=1e-3)


def test_measure_says_size_class_and_what_was_not_assessed(tmp_path: Path, capsys: Capture) -> None:
    """For a reader: the size in mm with its uncertainty, and that cells were not counted."""
    disc(tmp_path / "disc.png", 600)
    assert main(["measure", "disc.png", "--mpp", "2"]) == 0
    said = capsys.readouterr().out
    assert "1.203 ± 0.003 mm" in said
    assert "micro" in said
    assert "cell count not assessed" in said
    assert said.endswith(f"{NOT_FOR_CLINICAL_USE}\n")


def test_a_file_without_deposits_makes_no_slide_negative(tmp_path: Path, capsys: Capture) -> None:
    """Outlines of a slide that was read in part may be none, and measure doesn't know what was examined."""
    (tmp_path / "deposits.geojson").write_text('{"type":"FeatureCollection","features":[]}')
    assert main(["measure", "deposits.geojson", "--mpp", "0.5"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("deposits.geojson: no deposit\n")
    assert "does not make the slide negative" in said
    assert "foci" not in said
    assert main(["measure", "deposits.geojson", "--mpp", "0.5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["metastasis"], found["largest_deposit_um"], found["n_foci"]) == (None, None, 0)
    assert any("does not make the slide negative" in note for note in found["notes"])


def test_mask_that_is_no_image_exits_1(tmp_path: Path, capsys: Capture) -> None:
    """One line with the file's name."""
    (tmp_path / "mask.png").write_bytes(b"no image")
    assert main(["measure", "mask.png", "--mpp", "1"]) == 1
    assert the_error(capsys).startswith("error: mask.png: ")


@pytest.mark.parametrize("command", ["info", "bench"])
def test_a_folder_of_slides_is_called_a_folder(tmp_path: Path, capsys: Capture, command: str) -> None:
    """It is not said to be without slides; the command that lists them is named, and does."""
    paint_slide(tmp_path / "slides" / "a.tif")
    assert main([command, str(tmp_path / "slides")]) == 2
    said = capsys.readouterr().err
    assert (
        "slides: is a folder; name one slide file (of a DICOM series, any one file), or list the slides in it" in said
    )
    assert said.rstrip().endswith(f"with nodescan manifest {tmp_path / 'slides'}")
    assert main(["manifest", str(tmp_path / "slides")]) == 0
    assert "a.tif" in capsys.readouterr().out


def test_info_says_spacing_and_whether_it_can_be_measured(tmp_path: Path, capsys: Capture) -> None:
    """With a spacing exit 0, without one exit 1 and what to do."""
    paint_slide(tmp_path / "a.tif")
    assert main(["info", "a.tif"]) == 0
    said = capsys.readouterr().out
    assert "pixel size:       0.95 x 0.95 um/px" in said
    assert "768 x 768 px" in said
    paint_slide(tmp_path / "bare.tif", spacing_um=None)
    assert main(["info", "bare.tif"]) == 1
    said = capsys.readouterr().out
    assert "can be measured:  no: " in said
    assert "--mpp" in said
    assert main(["info", "bare.tif", "--mpp", "0.5"]) == 0
    paint_slide(tmp_path / "coarse.tif", spacing_um=1.2)
    capsys.readouterr()
    assert main(["info", "coarse.tif"]) == 1
    assert "can be measured:  no: scanned at 1.2 um/px, too coarse" in capsys.readouterr().out
    (tmp_path / "text.svs").write_text("no slide")
    capsys.readouterr()
    assert main(["info", "text.svs"]) == 1
    assert the_error(capsys).startswith("error: text.svs: ")


def test_the_packages_version_rises_with_that_of_its_results() -> None:
    """Else pip would keep an older program over a newer wheel, which it took for the same one."""
    assert __version__.rpartition(".dev")[2] == str(RESULT_VERSION)


def test_version_is_the_packages_and_that_of_its_results() -> None:
    """One line, for a bug report, also of an installation whose numpy can't be loaded."""
    program = (
        "import sys\nfor name in ('torch', 'openslide', 'numpy', 'scipy'): sys.modules[name] = None\n"
        "from nodescan.cli import main\nmain(['--version'])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.stdout == f"nodescan {__version__}, result version {RESULT_VERSION}\n", result.stderr


def test_models_lists_the_released_model_with_its_decision(capsys: Capture) -> None:
    """What its card says of outlines and of the smallest deposits that it finds."""
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    assert "pcam-p4m" in said
    assert "0.7 of the map smoothed by 40 um; a deposit reaches 0.875 somewhere, chosen on" in said
    assert "every synthetic deposit, round or thin, of 0.55 mm and larger" in said


def test_models_says_of_a_card_that_was_edited_that_it_finds_nothing_for_sure(capsys: Capture) -> None:
    """The size that tuning wrote there was found with other inputs."""
    print_models([load_card(find_model(None)).model_copy(update={"mean": (0.0, 0.0, 0.0)})])
    said = capsys.readouterr().out
    assert "not known (its card was edited since it was tuned), so no slide is complete with it" in said
    assert "0.55 mm" not in said


def test_models_says_of_a_card_without_measured_uncertainties_that_it_has_none(capsys: Capture) -> None:
    """What "±" was measured on stands on the released card alone."""
    card = load_card(find_model(None))
    print_models([card])
    assert "measured for this model" not in capsys.readouterr().out
    print_models([card.model_copy(update={"decision": card.decision.model_copy(update={"covered_on": None})})])
    assert "of compact deposits, but that was not measured for this model" in " ".join(capsys.readouterr().out.split())


def test_manifest_run_prints_patients_and_fails_with_a_missing_slide(
    tmp_path: Path, scans: Callable[..., None], capsys: Capture
) -> None:
    """Slides, then patients with their stage; a file that isn't there makes its patient "at least" and exits 1."""
    scans()
    paint_slide(tmp_path / "scans" / "a.tif", tumour_um=400)
    (tmp_path / "scans" / "m.csv").write_text("path,patient_id,node_id\na.tif,A,1\ngone.tif,A,2\n")
    assert main(["run", "--manifest", "scans/m.csv", "--out", "out"]) == 1
    said = capsys.readouterr()
    assert "at least pN1mi" in said.out
    assert "the file isn't there" in said.out
    assert "error: gone.tif: " in said.err
    assert len(list((tmp_path / "out" / "patients").iterdir())) == 1
    assert main(["stage", "out", "--manifest", "scans/m.csv", "--json"]) == 1
    assert capsys.readouterr().out == (tmp_path / "out" / "patients.json").read_text()


def test_manifest_run_without_doubt_exits_0(tmp_path: Path, scans: Callable[..., None], capsys: Capture) -> None:
    """Every slide complete and every patient staged: success, and the rows name patient and node."""
    scans()
    paint_slide(tmp_path / "a.tif")
    (tmp_path / "m.csv").write_text("path,patient_id,node_id\na.tif,A,1\n")
    assert main(["run", "--manifest", "m.csv", "--out", "out", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "out" / "summary.csv").read_text().splitlines()[1].endswith(",a.tif,A,1")


def test_a_list_of_slides_is_scanned_and_nobody_is_staged(
    tmp_path: Path, scans: Callable[..., None], capsys: Capture
) -> None:
    """Each slide with its own pixel size; success by the slides alone, and one line says why there are no stages."""
    scans()
    for name, spacing_um in (("a", 0.95), ("b", None), ("c", 0.95)):
        paint_slide(tmp_path / f"{name}.tif", spacing_um=spacing_um)
    (tmp_path / "list.csv").write_text("path,mpp\nb.tif,0.95\na.tif,\n")
    assert main(["run", "--manifest", "list.csv", "--out", "out"]) == 0
    said = capsys.readouterr()
    assert said.out.count("No stages were made, because list.csv names no patients.\n") == 1
    assert "determined" not in said.out
    assert [row["slide_id"] for row in summary_rows(tmp_path / "out")] == ["b", "a"]
    assert {row["patient_id"] for row in summary_rows(tmp_path / "out")} == {""}
    assert not list((tmp_path / "out").glob("patients*"))
    assert main(["run", "a.tif", "--out", "out"]) == 0
    assert "No stages" not in capsys.readouterr().out


def test_info_and_models_print_json(tmp_path: Path, capsys: Capture) -> None:
    """With the head that other commands' JSON has, and what the table says."""
    paint_slide(tmp_path / "a.tif")
    assert main(["info", "a.tif", "--mpp", "0.5", "--override-mpp", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schema_version"], told["slide_id"], told["can_be_measured"]) == (1, "a", True)
    assert (told["spacing_um"], told["spacing_source"]) == ([0.5, 0.5], "user-override")
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["notice"] == told["notice"]
    assert [model["name"] for model in listed["models"]] == [card.name for card in list_models()]


def test_bench_prints_a_table_or_json(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """The same figures both ways, under their own names in JSON."""
    measured = speed.Speed(
        "cpu", "float32", "float32", "openslide", 9, 0.33, 100.0, 50.0, 10.0, 0.36, 0.8333, 0.91, 0.05
    )
    monkeypatch.setattr(speed, "measure_speed", lambda slide, *, model, device, progress: measured)
    assert main(["bench", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["efficiency"] == 0.8333
    assert found["versions"].keys() >= {"nodescan", "numpy", "torch"}
    assert found["result_version"] == RESULT_VERSION
    assert main(["bench"]) == 0
    said = capsys.readouterr().out
    assert "network            50.0 Mpx/s" in said
    assert "83% of what decoding and the network together allow" in said
    assert "network pass       10.0 Mpx/s of tissue, with reading and guard" in said
    assert "0.05 s after all tiles were answered; efficiency 91% before" in said
    assert "file to report" not in said


def test_bench_says_what_it_reckoned_and_how_fast_a_whole_slide_is(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """A product in eight bits isn't measured; from file to report is slower than the network's pass."""
    measured = speed.Speed(
        "cpu", "int8", "int8", "tiff", 9, 0.33, 100.0, 5.0, 4.0, 0.36, 0.8333, 0.91, 0.05,
        limits=speed.Arithmetic(100.0, 400.0, "4 x float32"), file_to_report_mpx_s=3.14,
    )  # fmt: skip
    monkeypatch.setattr(speed, "measure_speed", lambda slide, *, model, device, progress: measured)
    assert main(["bench"]) == 0
    said = capsys.readouterr().out
    assert "500 GFLOP/s, 125% of a large matrix product's 400 (reckoned: 4 x float32)" in said
    assert "file to report     3.1 Mpx/s of tissue" in said
    assert main(["bench", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["file_to_report_mpx_s"], found["limits"]["reckoned"]) == (3.14, "4 x float32")


def test_demo_ends_at_sigterm_as_run_does(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """In order, with one line and exit code 130."""

    def unheard(number: int, frame: object) -> None:
        pytest.fail("the signal came through")

    monkeypatch.setattr(demo, "run_demo", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    before = signal.signal(signal.SIGTERM, unheard)
    try:
        assert main(["demo", "--quiet"]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert the_error(capsys) == "error: stopped by the user"


def test_every_option_of_a_grouped_help_stands_in_one_group(capsys: pytest.CaptureFixture[str]) -> None:
    """`run --help` shows each option once, and the groups in the order that a first reader needs them."""
    assert main(["run", "--help"]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    options = [line.split()[0] for line in lines if line.startswith("  --")]
    assert len(options) == len(set(options)) == 18
    headings = [line.rstrip(":") for line in lines if line.endswith(":") and not line.startswith(" ")]
    groups = ["What to scan", "Pixel size", "Model and settings", "Results", "Speed", "Large batches"]
    assert headings == [*groups, "Options"]
