"""Nodes of several slides, each by its largest deposit, counted by hand against the reference's."""

from pathlib import Path

import pytest

from nodescan.domain.report import Status
from nodescan.evaluation.bootstrap import share_of
from nodescan.evaluation.compare import compare
from nodescan.evaluation.evaluation_files import evaluation_as_json, write_evaluation
from nodescan.evaluation.evaluation_page import key_facts
from nodescan.evaluation.figures import figures
from nodescan.evaluation.froc import FrocMode
from nodescan.evaluation.left_out import left_out
from nodescan.evaluation.operating_point import NODE, NODE_POSITIVE
from nodescan.evaluation.reference import read_reference
from nodescan.evaluation.slide_results import subjects_of_run
from tests.evaluation.occasions import made_of
from tests.patients.made_reports import WORD_SIZES, report, write_csv, write_run

ROWS = (
    "P,1,a1,negative,1",
    "P,1,a2,macro,1",
    "P,2,b1,itc,1",
    "P,2,b2,negative,1",
    "Q,1,c1,micro,1",
    "Q,1,c2,micro,1",
    "Q,2,d1,negative,1",
    "Q,2,d2,negative,1",
    "R,1,e1,micro,1",
    "R,2,f1,micro,1",
    "S,1,g1,macro,2",  # two nodes share this slide
)
FOUND = {"a1": "micro", "a2": "micro", "b1": "micro", "b2": "negative", "c1": "micro", "d1": "negative", "g1": "macro"}


def test_nodes_are_counted_by_hand(tmp_path: Path) -> None:
    """P 1 is macro and called micro, P 2 is ITC and called micro, Q 1 is micro and called so by its one slide that was
    read. Q 2 has a slide that failed and nothing on the other, so no class; R 1 failed, R 2 was not run. Micro+ are P 1
    and Q 1, both found, and R 1 and R 2; others are P 2, called positive, and Q 2."""
    reference = write_csv(tmp_path / "r.csv", "patient_id,node_id,slide_id,label,nodes_on_slide", *ROWS)
    reports = [report(name, WORD_SIZES[word]) for name, word in FOUND.items()]
    reports += [report(name, status=Status.FAILED) for name in ("c2", "d2", "e1")]
    run = write_run(tmp_path / "run", reports)
    truth = read_reference(reference)
    comparison = compare(subjects_of_run(run), truth, FrocMode.EVERY_SLIDE, as_submitted=False, mpp_um=None)
    found = figures(comparison)
    assert found.node_classes is not None
    assert found.node_classes.table.tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 1, 0], [1, 0, 0, 1, 0], [0, 0, 0, 1, 0]]
    # of three with a class one is right; weights 1 and 1 of ITC and macro called micro, and chance has as much
    assert found.node_classes.kappa.value == pytest.approx(1 - 2 / 2)
    assert (found.node_classes.accuracy.value, found.node_classes.accuracy.n) == (1 / 3, 3)
    (calls,) = (one for one in found.calls if one.question is NODE)
    assert (calls.table.tolist(), calls.without_class, calls.not_run) == ([[2, 0], [1, 0]], (1, 1), (1, 0))
    assert (calls.sensitivity, calls.specificity) == (share_of(2, 2), share_of(0, 1))
    assert (calls.sensitivity_of_all.value, calls.sensitivity_of_all.n) == (2 / 4, 4)
    assert calls.specificity_of_all == share_of(0, 2)
    named = {fact.label: fact.note for fact in left_out(comparison, found)}
    assert named["Nodes not fully read in which nothing was found: without a class"] == "Q / 2, R / 1"
    assert named["Nodes whose class is a lower bound, classed by what was found"] == "Q / 1"
    content = evaluation_as_json(comparison, found, occasion=made_of("r.csv"))
    assert content["node_classes"]["accuracy"] == 1 / 3
    assert content["operating_point"]["micro_or_macro_nodes"]["sensitivity_of_all"] == 2 / 4
    facts = {fact.label: fact.note for fact in key_facts(found)}
    assert facts["Kappa of node classes"] == "3 nodes with a class"
    assert facts["Sensitivity, micro+ nodes"] == (
        "of the 2 of 4 nodes with a micro- or macrometastasis that have a class; 1 without one, 1 not run"
    )
    write_evaluation(comparison, found, tmp_path / "out", occasion=made_of("r.csv"))
    assert "<h2>Node classes</h2>" in (tmp_path / "out" / "evaluation.html").read_text()


def test_a_node_whose_unread_slide_may_hold_more_is_not_called_negative(tmp_path: Path) -> None:
    """Isolated tumour cells on one slide of P 1, its other one failed: no call above ITC, with ITC as its class."""
    rows = ("P,1,a1,itc", "P,1,a2,negative", "Q,1,b1,negative", "Q,1,b2,negative", "R,1,c1,micro")
    reference = write_csv(tmp_path / "r.csv", "patient_id,node_id,slide_id,label", *rows)
    found_as = {"a1": "itc", "b1": "negative", "b2": "negative", "c1": "micro"}
    reports = [report(name, WORD_SIZES[word]) for name, word in found_as.items()]
    run = write_run(tmp_path / "run", [*reports, report("a2", status=Status.FAILED)])
    comparison = compare(
        subjects_of_run(run), read_reference(reference), FrocMode.EVERY_SLIDE, as_submitted=False, mpp_um=None
    )
    found = figures(comparison)
    assert found.node_classes is not None
    assert found.node_classes.table.tolist() == [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]]
    (calls,) = (one for one in found.calls if one.question is NODE)
    assert (calls.table.tolist(), calls.without_class) == ([[1, 0], [0, 1]], (0, 1))
    assert calls.specificity_of_all == share_of(1, 2)
    (stages,) = (one for one in found.calls if one.question is NODE_POSITIVE)
    assert (stages.table.tolist(), stages.without_class) == ([[1, 0], [0, 1]], (0, 1))
    named = {fact.label: fact.note for fact in left_out(comparison, found)}
    assert named["Nodes whose class is a lower bound, classed by what was found"] == "P / 1"
