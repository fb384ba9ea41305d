"""What an evaluation writes: each figure and its interval under its own name, each slide and patient in its row."""

import csv
import errno
import json
import os
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from nodescan.domain.classification import Metastasis
from nodescan.domain.report import Status
from nodescan.errors import OutputError
from nodescan.evaluation.bootstrap import Estimate
from nodescan.evaluation.compare import Comparison, SlideOutcome
from nodescan.evaluation.evaluation_files import check_evaluation_place, write_evaluation
from nodescan.evaluation.figures import ClassTask, Figures, LesionTask, SlideTask
from nodescan.evaluation.froc import FrocCurve, FrocMode
from nodescan.evaluation.reference import ReferenceSlide
from nodescan.evaluation.size_figures import LargestTask, SizeAgreement
from nodescan.evaluation.slide_auc import RocCurve
from nodescan.evaluation.slide_results import Subject
from nodescan.reports.detections import DetectionList
from tests.evaluation.occasions import made_of
from tests.patients.made_reports import report, scanned

LINE = np.array([0.0, 1.0])
WORDS = ("negative", "itc")
NOTHING = DetectionList("s.csv", np.zeros(0), np.zeros(0), np.zeros(0))


def figure(value: float) -> Estimate:
    """One that no other is like, with its interval."""
    return Estimate(value, value - 0.01, value + 0.02, 7)


def classes(kappa: float, accuracy: float, first: int) -> ClassTask:
    return ClassTask(WORDS, np.array([[first, 2, 3], [4, 5, 6]]), figure(kappa), figure(accuracy))


FIGURES = Figures(
    slide_task=SlideTask(replace(figure(0.91), n=11), RocCurve(LINE, LINE), 5, 6, ("x",), ("y",)),
    lesion_task=LesionTask(
        figure(0.81),
        tuple(map(figure, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6))),
        FrocCurve(LINE, LINE),
        n_slides=8,
        n_lesions=9,
        normal_left_out=("a",),
        tumour_missed=("b",),
        normal_in_part=("c",),
        in_part=("d",),
    ),
    slide_classes=classes(0.71, 0.72, 1),
    stages=classes(0.73, 0.74, 0),
    sizes=None,
    largest=None,
    without_class=("e",),
)


def compared() -> Comparison:
    part = replace(report("part", (900.0,), status=Status.INCOMPLETE), tumour_probability=0.625)
    part = replace(part, provenance=scanned("51de51de"))
    slides = (
        SlideOutcome(ReferenceSlide("=part", True, Metastasis.MICRO), Subject("part", part, NOTHING), None, None),
        SlideOutcome(ReferenceSlide("gone", True, None), None, None, None, unpaired="why"),
    )
    return Comparison(FrocMode.OFFICIAL, slides, (), ("f",), ("g",), ("h",), ("i",), ("j",), None, ("a note",))


def test_each_figure_stands_under_its_name_with_its_interval(tmp_path: Path) -> None:
    """No two are alike here, so that one in another's place shows."""
    write_evaluation(compared(), FIGURES, tmp_path, occasion=made_of("r"))
    content = json.loads((tmp_path / "evaluation.json").read_text())
    for name, value in (("slide_auc", 0.91), ("froc_score", 0.81), ("kappa", 0.73)):
        assert content[name] == value
        assert content[f"{name}_interval"] == pytest.approx([value - 0.01, value + 0.02])
    assert content["kappa_of"] == "patient stages"
    assert content["false_positives_per_slide"] == [0.25, 0.5, 1, 2, 4, 8]
    assert content["sensitivities"] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert content["sensitivities_interval"][2] == pytest.approx([0.29, 0.32])
    for name, kappa, accuracy, first in (("slide_classes", 0.71, 0.72, 1), ("stages", 0.73, 0.74, 0)):
        assert (content[name]["kappa"], content[name]["accuracy"]) == (kappa, accuracy)
        assert content[name]["accuracy_interval"] == pytest.approx([accuracy - 0.01, accuracy + 0.02])
        assert (content[name]["rows"], content[name]["columns"]) == (list(WORDS), ["no class", *WORDS])
        assert content[name]["confusion"] == [[first, 2, 3], [4, 5, 6]]
    counts = {"n_tumour_slides": 5, "n_normal_slides": 6, "n_froc_slides": 8, "n_lesions": 9, "n_slides": 2}
    assert {name: content[name] for name in counts} == counts


@pytest.mark.parametrize(
    ("by_patient", "said"),
    [
        (True, "Obuchowski's on the logit scale, by patient (Newcombe's, by patient, where that has no width"),
        (False, "DeLong's on the logit scale, by slide (Newcombe's, by slide, where that has no width"),
    ],
)
def test_how_the_interval_of_the_auc_was_made_is_told_in_the_json_and_on_the_page(
    tmp_path: Path, by_patient: bool, said: str
) -> None:
    """By patient only where slides of one were drawn together."""
    write_evaluation(compared(), replace(FIGURES, by_patient=by_patient), tmp_path, occasion=made_of("r"))
    assert json.loads((tmp_path / "evaluation.json").read_text())["interval"]["of_slide_auc"].startswith(said)
    assert f"for the slide AUC {said}" in unescape((tmp_path / "evaluation.html").read_text())


def test_what_figures_were_asked_for_with_stands_in_the_json(tmp_path: Path) -> None:
    """--official, --as-submitted and --mpp change figures; null is no --mpp."""
    for asked, told in (({}, (False, None)), ({"as_submitted": True, "mpp_um": 0.26}, (True, 0.26))):
        write_evaluation(compared(), FIGURES, tmp_path, occasion=replace(made_of("r"), **asked))
        content = json.loads((tmp_path / "evaluation.json").read_text())
        assert (content["as_submitted"], content["mpp_um"]) == told
        assert content["mode"] == "official"


def test_each_list_of_slides_stands_under_its_name(tmp_path: Path) -> None:
    """Who has no score, no class, no lesions, no sizes, and which patients had no slide run."""
    write_evaluation(compared(), FIGURES, tmp_path, occasion=made_of("r"))
    content = json.loads((tmp_path / "evaluation.json").read_text())
    expected = {
        "slides_without_score": ["x"],
        "froc_normal_slides_left_out": ["a"],
        "froc_tumour_slides_missed": ["b"],
        "froc_normal_slides_in_part_left_out": ["c"],
        "slides_without_class": ["e"],
        "slides_without_result": ["f"],
        "slides_not_in_reference": ["g"],
        "slides_not_judged": ["h"],
        "slides_without_lesion_reference": ["i"],
        "slides_without_sizes": [{"slide_id": "gone", "reason": "why"}],
        "patients_not_run": ["j"],
        "slides_not_read_whole": ["=part"],
        "notes": ["a note"],
        "reference": "r",
        "mode": "official",
    }
    assert {name: content[name] for name in expected} == expected


def test_without_stages_kappa_is_of_slide_classes_and_without_these_of_nothing(tmp_path: Path) -> None:
    """What isn't known is null, each figure by itself."""
    for found, kappa, of in (
        (replace(FIGURES, stages=None), 0.71, "slide classes"),
        (Figures(None, None, None, None, None, None, ()), None, None),
    ):
        write_evaluation(compared(), found, tmp_path, occasion=made_of("r"))
        content = json.loads((tmp_path / "evaluation.json").read_text())
        assert (content["kappa"], content["kappa_of"]) == (kappa, of)
    names = ("slide_auc", "slide_auc_interval", "froc_score", "froc_score_interval", "sensitivities", "kappa_interval")
    assert {content[name] for name in (*names, "slide_classes", "stages", "size_agreement")} == {None}


def test_each_slide_has_its_score_in_a_table(tmp_path: Path) -> None:
    """And the file that it is of, what is true and what was found, and whose it is. Empty where there is none; a name
    that a spreadsheet would run gets an apostrophe."""
    first, second = compared().slides
    named = replace(first, reference=replace(first.reference, patient_id="@P", node_id="N1"))
    normal = SlideOutcome(ReferenceSlide("n", False, Metastasis.NONE), first.subject, None, None)
    slides = (named, second, replace(normal, reference=replace(normal.reference, label=None)))
    write_evaluation(replace(compared(), slides=slides), FIGURES, tmp_path, occasion=made_of("r"))
    with (tmp_path / "slide_scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [tuple(row.values()) for row in rows] == [
        ("'=part", "0.625", "51de51de", "micro", "micro", "incomplete", "'@P", "N1"),
        ("gone", "", "", "tumor", "", "not_run", "", ""),
        ("n", "0.625", "51de51de", "normal", "micro", "incomplete", "", ""),
    ]
    names = ["slide_id", "tumour_probability", "slide_fingerprint", "label", "metastasis", "status"]
    assert list(rows[0]) == [*names, "patient_id", "node_id"]


def test_an_evaluation_that_cannot_be_written_leaves_the_older_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of two evaluations would pass for one; what the new one has no use for stays, too."""
    unknown = Estimate(None, None, None, 0)
    agreement = SizeAgreement(0, unknown, unknown, unknown, unknown)
    first = replace(FIGURES, largest=LargestTask((), agreement, (agreement,) * 3, unknown, 0))
    write_evaluation(compared(), first, tmp_path, occasion=made_of("first"))
    older = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write, written = Path.write_bytes, []

    def full(part: Path, data: bytes) -> int:
        written.append(part)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(part, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_evaluation(compared(), FIGURES, tmp_path, occasion=made_of("second"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == older
    assert "largest_sizes.csv" in older


@pytest.mark.parametrize("there", [False, True])
def test_an_evaluation_can_be_made_again_wherever_the_last_one_was_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """Its files are known for its own. An older evaluation.json is replaced last: what it says holds of the others."""
    if there:
        write_evaluation(compared(), FIGURES, tmp_path, occasion=made_of("first"))
    rename, renamed = os.replace, []

    def cut(source: Path, target: Path) -> None:
        if len(renamed) == 2:
            raise KeyboardInterrupt
        renamed.append(target.name)
        rename(source, target)

    monkeypatch.setattr(os, "replace", cut)
    with pytest.raises(KeyboardInterrupt):
        write_evaluation(compared(), FIGURES, tmp_path, occasion=made_of("second"))
    assert ("evaluation.json" in renamed) is not there
    check_evaluation_place(tmp_path, ())
