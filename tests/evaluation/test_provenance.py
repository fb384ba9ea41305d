"""An evaluation says when, by which nodescan and of which reference it was made."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nodescan import __version__
from nodescan.cli import main
from nodescan.domain.versions import RESULT_VERSION
from nodescan.evaluation.provenance import reference_sha256
from nodescan.evaluation.reference import read_reference
from nodescan.reports.web_page import css_string
from tests.patients.made_reports import report, write_csv, write_run


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_files_say_when_by_what_of_which_run_and_reference(tmp_path: Path) -> None:
    """Two evaluations in two folders are told apart, and each by its page alone."""
    run = write_run(tmp_path / "run", [report("a", (900.0,))])
    labels = write_csv(tmp_path / "labels.csv", "slide_id,label", "a,micro")
    before = datetime.now(UTC).replace(microsecond=0)
    assert main(["evaluate", str(run), "--reference", str(labels)]) == 0
    content = json.loads((run / "evaluation" / "evaluation.json").read_text())
    at = datetime.fromisoformat(content["evaluated_at"])
    assert before <= at <= datetime.now(UTC)
    assert at.utcoffset() == timedelta(0)
    assert (content["nodescan_version"], content["nodescan_result_version"]) == (__version__, RESULT_VERSION)
    known = sha256(labels.read_bytes())
    assert content["reference_sha256"] == known
    page = (run / "evaluation" / "evaluation.html").read_text()
    assert f"{content['evaluated_at']}<small>by nodescan {__version__}, result version {RESULT_VERSION}</small>" in page
    assert f"labels.csv<small>sha256 {known}</small>" in page
    assert "run<small>its results as they were then</small>" in page
    head = css_string(f"Evaluation against labels.csv \u00b7 made {at:%Y-%m-%d %H:%M} UTC")
    assert f"@top-left {{ content: {head}; }}" in page


def test_a_folder_is_known_by_all_its_files_that_count(tmp_path: Path) -> None:
    """By what sha256sum prints of its table and outlines: not of a note beside them, and whatever the order."""
    folder = tmp_path / "reference"
    outlines = json.dumps({"type": "FeatureCollection", "features": []})
    table = write_csv(folder / "labels.csv", "slide_id,label", "b,negative")
    (folder / "b.geojson").write_text(outlines)
    (folder / "a note.txt").write_text("made in May")
    lines = f"{sha256(outlines.encode())}  b.geojson\n{sha256(table.read_bytes())}  labels.csv\n"
    assert reference_sha256(folder, read_reference(folder)) == sha256(lines.encode())
    (folder / "a note.txt").write_text("made in June")
    assert reference_sha256(folder, read_reference(folder)) == sha256(lines.encode())
    (folder / "b.geojson").write_text(outlines + "\n")
    assert reference_sha256(folder, read_reference(folder)) != sha256(lines.encode())


def test_challenge_files_have_an_occasion_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They name no model, but the evaluation has a time and a reference."""
    write_csv(tmp_path / "csv" / "a.csv", "0.9,1,1")
    labels = write_csv(tmp_path / "labels.csv", "slide_id,label", "a,micro")
    main(["evaluate", "--detections", str(tmp_path / "csv"), "--reference", str(labels), "--json"])
    content = json.loads(capsys.readouterr().out)
    assert content["evaluated_at"]
    assert content["reference_sha256"] == sha256(labels.read_bytes())
