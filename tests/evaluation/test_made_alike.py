"""One score is of one model: reports that were not made alike are refused, and the files name what was scored."""

from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.cli import main
from nodescan.domain.report import Asked, ModelIdentity, Provenance, SlideReport
from nodescan.domain.versions import RELEASED_SETTINGS_SHA256, RESULT_VERSION
from nodescan.errors import UsageError
from nodescan.evaluation.compare import compare
from nodescan.evaluation.evaluation_files import evaluation_as_json
from nodescan.evaluation.evaluation_page import render
from nodescan.evaluation.figures import figures
from nodescan.evaluation.froc import FrocMode
from nodescan.evaluation.reference import read_reference
from nodescan.evaluation.slide_results import subjects_of_challenge
from tests.evaluation.occasions import made_of
from tests.evaluation.test_compare import compared
from tests.patients.made_reports import report, write_csv, write_run

MODEL = ModelIdentity("pcam-p4m", "p4m", "ab" * 32, 0.5, "cd" * 32)
MADE = Provenance(
    versions={},
    config_sha256="ef" * 32,
    slide_fingerprint="",
    device="cpu",
    precision="int8",
    started="2026-11-26T18:00:00+00:00",
    seconds=1.0,
    result_version=8,
    asked=Asked("", "", None, False, 5.0, ("json",)),
)


def made(slide_id: str, model: ModelIdentity = MODEL, provenance: Provenance = MADE) -> SlideReport:
    return replace(report(slide_id, (900.0,)), model=model, provenance=provenance)


def labels(folder: Path, *names: str) -> Path:
    return write_csv(folder / "r.csv", "slide_id,label", *(f"{name},micro" for name in names))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (
            made("b", replace(MODEL, name="mine", weights_sha256="12" * 32)),
            r"\(model pcam-p4m \(weights abababababab, card cdcdcdcdcdcd\): a; "
            r"model mine \(weights 121212121212, card cdcdcdcdcdcd\): b\)",
        ),
        (made("b", replace(MODEL, card_sha256="34" * 32)), r"card cdcdcdcdcdcd\): a; model .*card 343434343434\): b\)"),
        (
            made("b", provenance=replace(MADE, config_sha256="56" * 32)),
            r"\(settings efefefefefef: a; settings 565656565656: b\)",
        ),
        (made("b", provenance=replace(MADE, result_version=7)), r"\(result version 8: a; result version 7: b\)"),
        (
            made("b", provenance=replace(MADE, asked=Asked("", "", None, False, 20.0, ("json",)))),
            r"\(--max-unread 5: a; --max-unread 20: b\)",
        ),
    ],
)
def test_reports_that_were_not_made_alike_have_no_score(tmp_path: Path, other: SlideReport, told: str) -> None:
    """Which differ in what is told, and the way out; slides that the reference doesn't list don't matter."""
    run = write_run(tmp_path / "run", [made("a"), other])
    with pytest.raises(UsageError, match=f"not made alike.*{told}; run the slides again with one --model"):
        compared(run, labels(tmp_path, "a", "b"))
    assert compared(run, labels(tmp_path, "a")).made_with is not None


def test_what_bears_on_no_finding_makes_no_difference(tmp_path: Path) -> None:
    """Device, precision, kinds of files, the slide's own spacing, and a slide that was read when."""
    asked = Asked("x", "", 0.25, True, 5.0, ("json", "html"))
    other = replace(MADE, device="cuda", precision="float32", started="2026-11-27T00:00:00+00:00", asked=asked)
    run = write_run(tmp_path / "run", [made("a"), made("b", provenance=other)])
    assert compared(run, labels(tmp_path, "a", "b")).made_with is not None


def test_the_files_name_what_was_scored(tmp_path: Path) -> None:
    """Model, its weights and card, settings and result version, in JSON and on the page."""
    found = compared(write_run(tmp_path / "run", [made("a")]), labels(tmp_path, "a"))
    content = evaluation_as_json(found, figures(found), occasion=made_of("r.csv"))
    assert content["model"] == {
        "name": "pcam-p4m",
        "architecture": "p4m",
        "weights_sha256": "ab" * 32,
        "threshold": 0.5,
        "card_sha256": "cd" * 32,
    }
    assert (content["config_sha256"], content["result_version"], content["max_unread_percent"]) == ("ef" * 32, 8, 5.0)
    page = render(found, figures(found), occasion=made_of("r.csv"))
    for said in ("pcam-p4m", "ab" * 32, "cd" * 32, "ef" * 32):
        assert said in page


def test_an_evaluation_says_that_settings_were_a_users_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the page and on the terminal; not where they are the released ones."""
    for sha256, told in (("c0ff" * 16, True), (RELEASED_SETTINGS_SHA256, False)):
        by = replace(MADE, config_sha256=sha256, result_version=RESULT_VERSION)
        run = write_run(tmp_path / sha256[:4], [made("a", provenance=by)])
        assert main(["evaluate", str(run), "--reference", str(labels(tmp_path, "a"))]) == 0
        assert ("own settings (c0ffc0ff)" in capsys.readouterr().out) is told
        assert ("own settings, not the released ones" in (run / "evaluation" / "evaluation.html").read_text()) is told


def test_challenge_files_name_no_model(tmp_path: Path) -> None:
    """That is said."""
    write_csv(tmp_path / "csv" / "a.csv", "0.9,1,1")
    truth = read_reference(labels(tmp_path, "a"))
    found = compare(
        subjects_of_challenge(tmp_path / "csv"), truth, FrocMode.EVERY_SLIDE, as_submitted=False, mpp_um=None
    )
    assert evaluation_as_json(found, figures(found), occasion=made_of("r.csv"))["model"] is None
    assert "challenge files name no model" in render(found, figures(found), occasion=made_of("r.csv"))
