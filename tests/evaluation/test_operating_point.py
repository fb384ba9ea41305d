"""What a run calls, counted by hand: sensitivity, specificity and predictive values of slides and patients."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodescan.domain.classification import Metastasis
from nodescan.domain.report import Status
from nodescan.evaluation.bootstrap import Estimate, share_of
from nodescan.evaluation.compare import Comparison, SlideOutcome
from nodescan.evaluation.evaluation_files import write_evaluation
from nodescan.evaluation.evaluation_page import key_facts
from nodescan.evaluation.figures import figures
from nodescan.evaluation.froc import FrocMode
from nodescan.evaluation.operating_point import METASTASIS, NODE_POSITIVE, TUMOUR, Calls, at_prevalence
from nodescan.evaluation.patient_outcomes import PatientOutcome
from nodescan.evaluation.reference import ReferenceSlide
from tests.evaluation.test_figures import FOUND_AS, classed, patient
from tests.patients.made_reports import report

NONE, ITC, MICRO, MACRO = Metastasis
SLIDES = (
    *(classed(f"n{n}", NONE, report(f"n{n}")) for n in range(6)),
    classed("n6", NONE, report("n6", FOUND_AS[ITC])),
    classed("n7", NONE, report("n7", FOUND_AS[MICRO])),
    classed("n8", NONE, report("n8", status=Status.INCOMPLETE)),  # without a class
    *(classed(f"i{n}", ITC, report(f"i{n}")) for n in range(3)),
    classed("i3", ITC, report("i3", FOUND_AS[ITC])),
    *(classed(f"m{n}", MICRO, report(f"m{n}", FOUND_AS[MICRO])) for n in range(3)),
    classed("m3", MICRO, report("m3")),
    classed("M0", MACRO, report("M0", FOUND_AS[MICRO])),
    classed("M1", MACRO, report("M1", status=Status.FAILED)),
    classed("gone", MACRO, None),
)


def comparison(*slides: SlideOutcome, patients: tuple[PatientOutcome, ...] = ()) -> Comparison:
    return Comparison(FrocMode.EVERY_SLIDE, slides, patients, (), (), (), (), (), (), None, ())


def called(*slides: SlideOutcome, patients: tuple[PatientOutcome, ...] = (), at: float | None = None) -> list[Calls]:
    return list(figures(comparison(*slides, patients=patients), prevalence=at).calls)


def test_slides_are_counted_by_hand() -> None:
    """Of nine tumour slides five are found, of eight without tumour two called one. Above ITC it is four of five and
    eleven of twelve. A slide without a class is in neither, and counted; one that was not run is in no count."""
    tumour, large = called(*SLIDES)
    assert (tumour.question, large.question) == (TUMOUR, METASTASIS)
    assert tumour.table.tolist() == [[5, 4], [2, 6]]
    assert large.table.tolist() == [[4, 1], [1, 11]]
    assert (tumour.without_class, large.without_class) == ((1, 1), (1, 1))
    assert (tumour.sensitivity, tumour.specificity) == (share_of(5, 9), share_of(6, 8))
    assert (large.sensitivity, large.specificity) == (share_of(4, 5), share_of(11, 12))
    assert (tumour.observed.positive, tumour.observed.negative) == (share_of(5, 7), share_of(6, 10))
    assert (large.observed.positive, large.observed.negative) == (share_of(4, 5), share_of(11, 12))
    assert (tumour.observed.prevalence, large.observed.prevalence) == (9 / 17, 5 / 17)
    assert tumour.given is None


def test_patients_are_node_positive_from_pn1mi_on() -> None:
    """Of three positive patients two are called so; isolated tumour cells are no positive node."""
    patients = (
        patient("a", "pN0", NONE, NONE),
        patient("b", "pN0(i+)", ITC),
        patient("c", "pN0(i+)", MICRO),
        patient("d", "pN1mi", MACRO),
        patient("e", "pN1", MICRO),
        patient("f", "pN2", ITC),
        patient("g", "pN0", NONE, None),  # nothing found by a part of the nodes
    )
    (found,) = called(patients=patients)
    assert found.question is NODE_POSITIVE
    assert (found.table.tolist(), found.without_class) == ([[2, 1], [1, 2]], (0, 1))
    assert (found.sensitivity, found.specificity) == (share_of(2, 3), share_of(2, 3))


def test_a_reference_without_classes_tells_tumour_alone() -> None:
    """Masks say tumour or not; micro- and macrometastases are asked for where every tumour slide has its class."""
    unknown = SlideOutcome(ReferenceSlide("t", True, None), SLIDES[6].subject, None, None)
    (found,) = called(SLIDES[0], unknown)
    assert (found.question, found.table.tolist()) == (TUMOUR, [[1, 0], [0, 1]])
    assert called(SLIDES[-1]) == called(SLIDES[8]) == []


def test_slides_of_one_patient_widen_the_interval() -> None:
    """Nine tumour slides of two patients, who are found wholly or not at all, are worth less than nine."""
    one_each = SLIDES[9:17]
    ids = ["P1"] * 3 + ["P2"] * 4 + ["P1"]
    named = [replace(s, reference=replace(s.reference, patient_id=p)) for s, p in zip(one_each, ids, strict=True)]
    apart, together = (called(*slides)[0].sensitivity for slides in (one_each, named))
    assert (apart.value, apart.n) == (together.value, together.n)
    assert together.low < apart.low
    assert together.high > apart.high


def test_predictive_values_at_a_prevalence_are_those_of_bayes() -> None:
    """At 1 in 10, a sensitivity of 0.8 and a specificity of 0.9: 8 of 17 positive calls are right, 81 of 83 others."""
    found = at_prevalence(Estimate(0.8, 0.6, 0.9, 20), Estimate(0.9, 0.8, 1.0, 30), 0.1)
    ends = (found.positive.value, found.positive.low, found.positive.high)
    assert ends == pytest.approx((8 / 17, 6 / 24, 1.0))
    ends = (found.negative.value, found.negative.low, found.negative.high)
    assert ends == pytest.approx((81 / 83, 72 / 76, 90 / 91))
    assert (found.prevalence, found.positive.n) == (0.1, 50)


def test_at_the_observed_prevalence_they_are_the_observed_ones() -> None:
    """Reweighting to what there is changes nothing."""
    for one in called(*SLIDES, at=9 / 17)[:1]:
        assert one.given is not None
        assert one.given.positive.value == pytest.approx(one.observed.positive.value)
        assert one.given.negative.value == pytest.approx(one.observed.negative.value)


@given(st.floats(0, 1), st.integers(0, 9), st.integers(0, 9))
def test_predictive_values_lie_between_their_ends(prevalence: float, hits: int, right: int) -> None:
    """At any prevalence, and none is a number where nothing is called so."""
    found = at_prevalence(share_of(hits, 9), share_of(right, 9), prevalence)
    for one in (found.positive, found.negative):
        if one.value is not None:
            assert one.low is None or one.low <= one.value + 1e-12
            assert one.high is None or one.value <= one.high + 1e-12
    assert (at_prevalence(share_of(0, 9), share_of(9, 9), prevalence).positive.value) is None


def test_they_stand_in_the_json_on_the_page_and_on_the_terminal(tmp_path: Path) -> None:
    """Counts, shares and predictive values by name; with a prevalence, those at it."""
    compared = comparison(*SLIDES)
    found = figures(compared, prevalence=0.2)
    write_evaluation(compared, found, tmp_path, reference="r")
    content = json.loads((tmp_path / "evaluation.json").read_text())["operating_point"]
    assert list(content) == ["tumour_slides", "micro_or_macro_slides"]
    one = content["tumour_slides"]
    counts = ("true_positives", "false_negatives", "false_positives", "true_negatives")
    assert [one[name] for name in counts] == [5, 4, 2, 6]
    assert (one["positives_without_class"], one["negatives_without_class"]) == (1, 1)
    assert (one["sensitivity"], one["prevalence"]) == (5 / 9, 9 / 17)
    assert one["specificity_interval"] == [share_of(6, 8).low, share_of(6, 8).high]
    assert one["positive_predictive_value"] == 5 / 7
    assert one["at_given_prevalence"]["prevalence"] == 0.2
    assert one["at_given_prevalence"]["positive_predictive_value"] == pytest.approx((5 / 45) / (5 / 45 + 0.2))
    page = (tmp_path / "evaluation.html").read_text()
    for said in ("5 of 9; of the rest 2 of 8; without a class: 2", "PPV, at 0.2", "0.556 (", "0.714 ("):
        assert said in page
    facts = {fact.label: (fact.value, fact.note) for fact in key_facts(found)}
    assert facts["Sensitivity, micro+"] == (
        "0.800 (0.376 to 0.964)",
        "of 5 slides with a micro- or macrometastasis",
    )
    assert facts["Specificity, micro+"][1] == "of the other 12 slides"
    assert facts["PPV, tumour"][1] == "at a prevalence of 0.2"
