"""A run tells of an evaluation in its folder that is older than its reports."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodescan.domain.report import SlideReport
from nodescan.evaluation import EVALUATION
from nodescan.evaluation.evaluation_files import EVALUATION_JSON
from nodescan.evaluation.outlived import outlived_words
from tests.patients.made_reports import report, scanned


def made(slide_id: str, started: str, seconds: float = 1.0) -> SlideReport:
    provenance = replace(scanned(started=f"2026-11-30T{started}+00:00"), seconds=seconds)
    return replace(report(slide_id), provenance=provenance)


def evaluated(folder: Path, text: str) -> Path:
    """A run's folder with an evaluation.json."""
    (folder / EVALUATION).mkdir()
    (folder / EVALUATION / EVALUATION_JSON).write_text(text)
    return folder


def test_slides_that_were_scanned_since_are_named(tmp_path: Path) -> None:
    """Those whose scan ended after the evaluation; one that ended in the same second, or before, is part of it."""
    run = evaluated(tmp_path, json.dumps({"evaluated_at": "2026-11-30T12:00:00+00:00"}))
    before = [made("a", "11:59:58.5"), made("b", "11:59:59.9", 1.0)]
    assert outlived_words(run, before) == ""
    assert outlived_words(run, [*before, made("c", "11:59:59", 2.0), made("d", "13:00:00")]) == (
        "evaluation/evaluation.html was made 2026-11-30 12:00 UTC, before these slides were scanned: c, d. "
        "Run nodescan evaluate again."
    )


@pytest.mark.parametrize("text", ["{}", "[]", '{"evaluated_at": "noon"}', '{"evaluated_at": "2026-11-30T12:00:00"}'])
def test_an_evaluation_without_a_time_has_that_of_its_file(tmp_path: Path, text: str) -> None:
    """As those have that an earlier nodescan made."""
    run = evaluated(tmp_path, text)
    at = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
    os.utime(run / EVALUATION / EVALUATION_JSON, (at, at))
    assert "made 2026-11-30 12:00 UTC, before these slides were scanned: c." in outlived_words(
        run, [made("a", "11:00:00"), made("c", "13:00:00")]
    )


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("{")])
def test_what_is_no_evaluation_is_passed_over(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    """A folder of that name without one, and a file that can't be read, end no run."""
    run = evaluated(tmp_path, "{}")
    spoil(run / EVALUATION / EVALUATION_JSON)
    assert outlived_words(run, [made("a", "11:00:00")]) == ""
