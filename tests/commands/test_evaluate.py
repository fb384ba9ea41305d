"""`nodescan evaluate` from the command line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from nodescan.commands import evaluate, stage
from nodescan.domain.report import Status
from nodescan.domain.units import Spacing
from nodescan.errors import UsageError
from tests.evaluation.test_compare import planted
from tests.patients.made_reports import report, write_csv, write_run

pytestmark = pytest.mark.usefixtures("few_resamples")

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(evaluate.evaluate)
stage_app = typer.Typer(pretty_exceptions_enable=False)
stage_app.command()(stage.stage)


def evaluate(*words: str) -> int:
    return app(args=list(words), standalone_mode=False)


def test_a_run_is_evaluated_into_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures on the terminal, files in OUT/evaluation, challenge files where asked."""
    run, truth = planted(tmp_path)
    assert evaluate(str(run), "--reference", str(truth), "--camelyon-csv", str(tmp_path / "csv")) == 0
    out = capsys.readouterr().out
    assert "Slide AUC:" in out
    assert "every slide" in out
    assert (run / "evaluation" / "evaluation.html").is_file()
    assert {path.name for path in (tmp_path / "csv").iterdir()} == {"s1.csv", "s2.csv", "s3.csv", "s4.csv"}
    assert evaluate("--detections", str(tmp_path / "csv"), "--reference", str(truth), "--official", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["mode"] == "official"
    assert content["n_lesions"] == 3


def test_a_run_is_compared_with_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the terminal and in JSON, by the folder of the other; without it there is no such figure."""
    (tmp_path / "second").mkdir()
    run, truth = planted(tmp_path)
    other, _ = planted(tmp_path / "second")
    assert evaluate(str(run), "--reference", str(truth), "--against", str(other)) == 0
    out = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "Slide AUC, difference: +0.000 (no interval) less that of run; 4 slides of both" in out
    assert any(line.startswith("Kappa of slide classes, difference: +0.000") for line in out)
    assert f"run: m (weights {'ab' * 6}, threshold 0.5)" in out
    assert json.loads((run / "evaluation/evaluation.json").read_text())["against"]["recall_micro"]["n_slides"] == 2
    assert evaluate(str(run), "--reference", str(truth), "--json") == 0
    assert json.loads(capsys.readouterr().out)["against"] is None


@pytest.mark.parametrize(
    ("words", "told", "asked"),
    [
        ((), "32 px of level 0, at an assumed 0.243 µm/px; false positives are over", (False, None)),
        (("--mpp", "0.26"), "32 px of level 0, at 0.26 µm/px (--mpp); false positives are over", (False, 0.26)),
        (("--official",), "lesion task, official: the organisers' algorithm, quirks included\n", (False, None)),
        (
            ("--official", "--as-submitted"),
            "official: the organisers' algorithm, quirks included; only slides that have a result\n",
            (True, None),
        ),
    ],
)
def test_what_the_lesion_task_was_scored_with_is_told(
    tmp_path: Path,
    words: tuple[str, ...],
    told: str,
    asked: tuple[bool, float | None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A list of detections states no pixel size."""
    run, truth = planted(tmp_path)
    evaluate(str(run), "--reference", str(truth), "--camelyon-csv", str(tmp_path / "csv"))
    assert "32 px of level 0, at each slide's own pixel size; false positives are over" in capsys.readouterr().out
    to = tmp_path / "to"
    evaluate("--detections", str(tmp_path / "csv"), "--reference", str(truth), "--to", str(to), *words)
    assert told in capsys.readouterr().out
    content = json.loads((to / "evaluation.json").read_text())
    assert (content["as_submitted"], content["mpp_um"]) == asked


def test_a_slide_that_states_no_pixel_size_is_scored_by_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its lesions are drawn, to be missed, though its file could not be read."""
    run, truth = planted(tmp_path)
    shutil.rmtree(run / "s3")
    write_run(run, [report("s3", status=Status.FAILED)])
    evaluate(str(run), "--reference", str(truth))
    said = "at each slide's own pixel size, or an assumed 0.243 µm/px where no report states one; false positives"
    assert said in capsys.readouterr().out


def test_figures_of_a_reviewed_run_are_said_to_be_the_softwares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Corrections in patients.json change no figure, on the terminal and on the page."""
    run, truth = planted(tmp_path)
    table = write_csv(tmp_path / "m.csv", "path,patient_id", *(f"s{n}.tif,P{n}" for n in range(1, 5)))
    rows = ("slide_id,deposit_id,action,value,by", "s2,1,reject,,Dr Reader", "s2,2,accept,,Dr Reader")
    told = "All figures are of the software alone: no correction by a reader counts."
    figures = []
    for corrections in ((), ("--corrections", str(write_csv(tmp_path / "c.csv", *rows)))):
        stage_app(args=[str(run), "--manifest", str(table), *corrections], standalone_mode=False)
        capsys.readouterr()
        evaluate(str(run), "--reference", str(truth))
        assert told in capsys.readouterr().out
        assert told in (run / "evaluation" / "evaluation.html").read_text()
        content = json.loads((run / "evaluation" / "evaluation.json").read_text())
        figures.append({key: value for key, value in content.items() if key != "evaluated_at"})
    assert figures[0] == figures[1]


def test_what_the_other_run_lacks_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that has no result of hard slides would look as good; what stops a comparison says of which run."""
    (tmp_path / "second").mkdir()
    run, truth = planted(tmp_path)
    other, _ = planted(tmp_path / "second")
    shutil.rmtree(other / "s2")
    evaluate(str(run), "--reference", str(truth), "--against", str(other))
    out = " ".join(capsys.readouterr().out.split())
    assert f"without a result in {other.name} alone, so left out of the differences: s2" in out
    assert "the comparison with" not in out
    with pytest.raises(UsageError, match=f"^--against {other}: there are no detections for 1 slide"):
        evaluate(str(run), "--reference", str(truth), "--official", "--against", str(other))


def test_lesions_that_two_pixel_sizes_make_others_of_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mask's lesion is micro to the run at 0.25 um/px and macro to that at 0.5: it isn't compared, which is said."""
    truth, pixels = tmp_path / "truth", np.zeros((2000, 2000), dtype=np.uint8)
    truth.mkdir()
    pixels[300:430, 300:430] = 255  # 130 px of 8 um
    Image.fromarray(pixels).save(truth / "s1_mask.png")
    one = report("s1", (1500.0,))
    runs = [
        write_run(tmp_path / name, [replace(one, info=replace(one.info, spacing=Spacing.square(um)))])
        for name, um in (("fine", 0.25), ("coarse", 0.5))
    ]
    evaluate(str(runs[0]), "--reference", str(truth), "--against", str(runs[1]))
    said = "s1 (pixel size 0.25 um/px here and 0.5 um/px in coarse, so different lesions count as micro or macro)"
    out = capsys.readouterr().out.splitlines()
    assert f"Slides whose lesions the comparison with coarse leaves out: 1: {said}" in out


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["s1", "s2", "s3", "s4"], False),
        (["s1", "s2", "s3"], True),
        (None, False),
    ],
)
def test_a_report_that_an_earlier_run_left_is_named(
    tmp_path: Path, rows: list[str] | None, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """It counts, though the run's table has no row of it; without a table nobody can tell."""
    run, truth = planted(tmp_path)
    if rows is not None:
        (run / "summary.csv").write_text("\n".join(["slide_id,status", *(f"{name},complete" for name in rows)]) + "\n")
    assert evaluate(str(run), "--reference", str(truth)) == 0
    note = "scored although summary.csv has no row for them: s4. An earlier run left their reports"
    assert (note in capsys.readouterr().out) is told
    assert (note in (run / "evaluation" / "evaluation.json").read_text()) is told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--reference", "r"], "name the folder of a run, or --detections DIR"),
        (["out", "--detections", "d", "--reference", "r"], "one of the two"),
        (["out", "--reference", "r", "--as-submitted"], "add --official"),
        (["out", "--reference", "r", "--mpp", "0.09"], "from 0.1 to 1.2, not 0.09"),
        (["out", "--reference", "r", "--mpp", "250"], "from 0.1 to 1.2, not 250"),
        (["out", "--reference", "r", "--mpp", "0.25", "--official"], "leave out one"),
        (["--detections", "d", "--reference", "r", "--against", "b"], "name the folder of the first"),
        (["out", "--reference", "r", "--against", "./out"], "out is the run itself"),
        (["out", "--reference", "nowhere"], "no such file or folder"),
    ],
)
def test_wrong_usage_says_what_to_do(words: list[str], message: str) -> None:
    """One line with the way out."""
    with pytest.raises(UsageError, match=message):
        evaluate(*words)
