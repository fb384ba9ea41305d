"""No command writes over, moves or removes what the user gave it, or what nodescan didn't write."""

import os
import re
import shutil
from pathlib import Path

import pytest
import typer

from nodescan.batch.record import keep_in_log
from nodescan.cli import app as nodescan_app
from nodescan.cli import main
from nodescan.errors import OutputError, UsageError
from nodescan.overwrite_checks import check_inputs
from nodescan.reports import write_reports
from tests.commands.test_stage import a_run
from tests.evaluation.test_compare import planted
from tests.fakes import content, paint_slide
from tests.reports.factory import VARIANTS
from training.__main__ import main as training_main
from training.commands.app import app as training_app


def refuses(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What the command says that ends with exit code 2 and leaves every file of the current folder as it was."""
    before = content(Path())
    assert main([str(word) for word in words]) == 2
    assert content(Path()) == before
    return capsys.readouterr().err


ONE_FILE = {
    ("nodescan", "manifest"): ("{file} --to {file}",),
    ("nodescan", "phantom"): ("{file} --diameters-um 500",),
    ("training", "average"): ("{file} gone.ckpt --to {file}",),
    ("training", "mine"): (
        "--config {file} --ckpt gone.ckpt --to {file}",
        "--config fit.yaml --ckpt {file} --to {file}",
    ),
    ("training", "model-card"): (
        "--patches {file} --masks gone --to {file}",
        "--patches gone --masks {file} --to {file}",
        *(f"--patches gone --masks gone {option} {{file}} --to {{file}}" for option in ("--composites", "--recipe")),
        *(f"--patches gone --masks gone {option} {{file}} --to {{file}}" for option in ("--history", "--commands")),
    ),
}
"""Each command that writes a file of the name that it is given -> how it is called with one file for that and for what
it reads. Beside it lies fit.yaml, of the same contents. phantom reads none."""

PROGRAMS = {"nodescan": (main, nodescan_app), "training": (training_main, training_app)}


def test_each_command_that_writes_a_file_is_tried() -> None:
    """A new one has its row in ONE_FILE, or writes into a folder, as its help says then."""
    writing = {
        (program, name)
        for program, (_, app) in PROGRAMS.items()
        for name, command in typer.main.get_group(app).commands.items()
        for option in command.params
        if option.name in ("out", "to") and not re.search("folder", option.help or "", re.IGNORECASE)
    }
    assert writing == ONE_FILE.keys()


@pytest.mark.parametrize(
    ("program", "words"), [(key[0], f"{key[1]} {words}") for key, rows in ONE_FILE.items() for words in rows]
)
def test_what_is_read_is_not_written_over(
    here: Path, program: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a slip of the pen one file is named for both: it stays, and the error says what to do."""
    for name in ("mine.tif", "fit.yaml"):
        (here / name).write_text("data:\n  init_args:\n    index: gone\n")
    before = content(here)
    assert PROGRAMS[program][0](words.format(file="mine.tif").split()) == 2
    assert content(here) == before
    assert re.search("mine.tif: .*(move|choose another)", capsys.readouterr().err)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["patients.csv", "summary.csv", "Patients.CSV", "patients/m.csv", "link.csv"])
def test_a_run_does_not_write_over_its_manifest(here: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever case the disk tells apart, and whatever link leads there."""
    paint_slide(here / "a.tif")
    manifest = here / "out" / name
    manifest.parent.mkdir(parents=True)
    written = here / "out" / "patients.csv" if name == "link.csv" else manifest
    written.write_text(f"path,slide_id,patient_id,node_id\n{here / 'a.tif'},a,P1,1\n")
    if written != manifest:
        manifest.symlink_to(written)
    said = refuses(capsys, "run", "--manifest", manifest, "--out", "out", "--slots", "0")
    assert "this command itself writes" in said
    assert "move or rename it" in said


def test_a_table_called_patients_is_in_the_way_of_a_run_with_patients_alone(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run of a list writes no patients.csv, so the user's own stays."""
    (here / "out").mkdir()
    (here / "out" / "patients.csv").write_text("mine")
    (here / "m.csv").write_text("path,patient_id\ngone.tif,P1\n")
    assert "patients.csv" in refuses(capsys, "run", "--manifest", "m.csv", "--out", "out", "--slots", "0")
    (here / "m.csv").write_text("path\ngone.tif\n")
    assert main(["run", "--manifest", "m.csv", "--out", "out", "--slots", "0"]) == 1
    assert (here / "out" / "patients.csv").read_text() == "mine"


@pytest.mark.parametrize("option", ["--manifest", "--corrections"])
def test_stage_does_not_write_over_what_it_reads(here: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither its manifest nor the reader's corrections."""
    run, manifest = a_run(here)
    corrections = here / "c.csv"
    corrections.write_text("slide_id,deposit_id,action,by\na,1,accept,me\n")
    read = {"--manifest": manifest, "--corrections": corrections}
    read[option] = Path(shutil.copy(read[option], run / "patients.csv"))
    said = refuses(capsys, "stage", run, *(word for pair in read.items() for word in pair))
    assert f"{option} {run / 'patients.csv'}" in said


@pytest.mark.parametrize("to", [["--to", "ref"], []])
def test_evaluate_does_not_remove_its_reference(here: Path, to: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """lesions.csv is the name of one of its own files: in the folder named, and in the default one."""
    run, _ = planted(here)
    reference = (here / "ref" if to else run / "evaluation") / "lesions.csv"
    reference.parent.mkdir()
    reference.write_text("slide_id,label\ns1,micro\n")
    for named in (reference, reference.parent):
        assert "--reference" in refuses(capsys, "evaluate", run, "--reference", named, *to)


def test_challenge_files_replace_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of the user's of a slide's name, and the detections of another tool, stay; the same again is no loss."""
    run, truth = planted(here)
    asked = ("evaluate", str(run), "--reference", str(truth), "--camelyon-csv", "csv")
    assert main(list(asked)) == 0
    assert main(list(asked)) == 0
    capsys.readouterr()
    (here / "csv" / "s2.csv").write_text("my own notes\n")
    assert "s2.csv: exists and holds something else" in refuses(capsys, *asked)
    (here / "csv" / "s2.csv").unlink()
    said = refuses(capsys, "evaluate", "--detections", "csv", "--reference", truth, "--camelyon-csv", "csv")
    assert "--detections csv" in said


@pytest.mark.parametrize("command", ["run", "stage", "evaluate"])
def test_a_file_of_the_users_in_an_output_folder_stays(
    here: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table of the name that nodescan writes, with other columns; one that a spreadsheet saved again is its own."""
    run, manifest = a_run(here)
    name = {"run": "summary.csv", "stage": "patients.csv", "evaluate": "evaluation/lesions.csv"}[command]
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).write_text("slide_id,label\na,micro\n")
    labels = here / "labels.csv"
    labels.write_text("slide_id,label\na,micro\nb,negative\nc,negative\n")
    words = {
        "run": ["run", str(paint_slide(here / "s.tif")), "--out", str(run), "--slots", "0", "--device", "cpu"],
        "stage": ["stage", str(run), "--manifest", str(manifest)],
        "evaluate": ["evaluate", str(run), "--reference", str(labels)],
    }[command]
    assert "nodescan didn't write it" in refuses(capsys, *words)
    (run / name).unlink()
    assert main(words) != 2
    (run / name).write_text("\ufeff" + (run / name).read_text().replace(",", ";") if (run / name).exists() else "")
    assert main(words) != 2


@pytest.mark.parametrize("name", ["run.json", "summary.html"])
def test_a_record_or_page_of_the_users_in_an_output_folder_stays(
    here: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another tool writes a run.json, too; a run's own are written over."""
    words = ["run", str(paint_slide(here / "s.tif")), "--out", "out", "--slots", "0", "--device", "cpu"]
    (here / "out").mkdir()
    (here / "out" / name).write_text('{"run": 1}')
    assert f"{name}: is there, and nodescan didn't write it" in refuses(capsys, *words)
    (here / "out" / name).unlink()
    assert main(words) != 2
    assert main([*words, "--force"]) != 2


def test_a_log_may_lie_in_an_output_folder_that_is_new(here: Path) -> None:
    """The folder is made for it."""
    words = ["run", str(paint_slide(here / "s.tif")), "--out", "new", "--slots", "0", "--device", "cpu"]
    assert main([*words, "--log-json", "new/log.jsonl"]) != 2
    assert "batch_started" in (here / "new" / "log.jsonl").read_text()


def test_what_lies_elsewhere_is_no_loss(tmp_path: Path) -> None:
    """A file of the same name in another folder, and a link in the output folder that is replaced, not followed."""
    (tmp_path / "patients.csv").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "patients.csv").symlink_to(tmp_path / "patients.csv")
    check_inputs([("--manifest", tmp_path / "patients.csv"), ("--config", None)], [tmp_path / "out" / "patients.csv"])
    with pytest.raises(UsageError, match="this command itself writes"):
        check_inputs([("--manifest", tmp_path / "patients.csv")], [tmp_path / "x" / ".." / "patients.csv"])


def victim(here: Path, link: Path) -> Path:
    """A folder outside of the output folder that a link in it leads to, with files of the names that are written."""
    folder = here / "victim"
    folder.mkdir()
    for name in ("report.json", "overview.jpg", "A.html", "lesions.csv"):
        (folder / name).write_text("precious")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(folder)
    return folder


def test_a_link_in_the_place_of_a_slides_folder_is_not_followed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What lies elsewhere is neither removed nor replaced; the output folder itself may be a link."""
    slide = str(paint_slide(here / "a.tif"))
    (here / "elsewhere").mkdir()
    (here / "out").symlink_to(here / "elsewhere")
    victim(here, here / "out" / "a")
    run = ("run", slide, "--out", "out", "--slots", "0", "--device", "cpu")
    assert "out/a: is a link" in refuses(capsys, *run)
    (here / "out" / "a").unlink()
    assert main(list(run)) == 0


def test_a_link_that_comes_later_costs_its_slide(here: Path) -> None:
    """As the folder is made anew: whoever writes the report looks again."""
    folder = victim(here, here / "out" / "s")
    before = content(folder)
    with pytest.raises(OutputError, match="is a link"):
        write_reports(VARIANTS["macro"](), here / "out" / "s", may_move=lambda: None)
    assert content(folder) == before


def test_stage_and_evaluate_write_through_no_link(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the place of patients/ and of evaluation/."""
    run, manifest = a_run(here)
    (victim(here, run / "patients") / "report.json").unlink()  # else it would pass for a slide's
    (run / "evaluation").symlink_to(here / "victim")
    assert "patients: is a link" in refuses(capsys, "stage", run, "--manifest", manifest)
    (here / "labels.csv").write_text("slide_id,label\na,micro\nb,negative\nc,negative\n")
    assert "evaluation: is a link" in refuses(capsys, "evaluate", run, "--reference", "labels.csv")


def test_the_log_is_not_written_through_a_link(tmp_path: Path) -> None:
    """A file of the user's gets no lines of ours."""
    keep_in_log(tmp_path, "s", "why")
    assert (tmp_path / "run.log").read_text().endswith(" s\nwhy\n")
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "run.log").unlink()
    (tmp_path / "run.log").symlink_to("mine")
    keep_in_log(tmp_path, "s", "why")
    assert (tmp_path / "mine").read_text() == "precious"


def test_the_log_is_written_into_a_file_of_its_own_alone(tmp_path: Path) -> None:
    """Neither into a file that has another name elsewhere, nor into a pipe, whose reader may never come."""
    (tmp_path / "mine").write_text("precious")
    os.link(tmp_path / "mine", tmp_path / "run.log")
    keep_in_log(tmp_path, "s", "why")
    assert (tmp_path / "mine").read_text() == "precious"
    (tmp_path / "run.log").unlink()
    os.mkfifo(tmp_path / "run.log")
    reader = os.open(tmp_path / "run.log", os.O_RDONLY | os.O_NONBLOCK)  # with none, opening it fails by itself
    keep_in_log(tmp_path, "s", "why")
    assert os.read(reader, 100) == b""
    os.close(reader)
