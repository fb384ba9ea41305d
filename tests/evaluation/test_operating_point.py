"""What a run calls, counted by hand: sensitivity, specificity and predictive values of slides and patients."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.classification import Metastasis
from nodescan.domain.patient import Node, Specimen
from nodescan.domain.patient_stage import stage
from nodescan.domain.report import Status
from nodescan.domain.section import Section
from nodescan.domain.staging import CAMELYON17
from nodescan.evaluation.bootstrap import number_words, share_of
from nodescan.evaluation.compare import Comparison, SlideOutcome
from nodescan.evaluation.evaluation_files import write_evaluation
from nodescan.evaluation.evaluation_page import key_facts
from nodescan.evaluation.figures import figures
from nodescan.evaluation.froc import FrocMode
from nodescan.evaluation.left_out import left_out
from nodescan.evaluation.operating_point import METASTASIS, NODE_POSITIVE, TUMOUR, Calls
from nodescan.evaluation.patient_outcomes import PatientOutcome
from nodescan.evaluation.reference import ReferenceSlide
from nodescan.patients.grouping import not_run
from tests.evaluation.occasions import made_of
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
    return Comparison(FrocMode.EVERY_SLIDE, slides, patients, (), (), (), (), (), None, ())


def called(*slides: SlideOutcome, patients: tuple[PatientOutcome, ...] = ()) -> list[Calls]:
    return list(figures(comparison(*slides, patients=patients)).calls)


def test_slides_are_counted_by_hand() -> None:
    """Of nine tumour slides five are found, of eight without tumour two called one. Above ITC it is four of five and
    eleven of twelve. A slide without a class is in neither, and counted; so is one that was not run."""
    tumour, large = called(*SLIDES)
    assert (tumour.question, large.question) == (TUMOUR, METASTASIS)
    assert tumour.table.tolist() == [[5, 4], [2, 6]]
    assert large.table.tolist() == [[4, 1], [1, 11]]
    assert (tumour.without_class, large.without_class) == ((1, 1), (1, 1))
    assert (tumour.not_run, large.not_run) == ((1, 0), (1, 0))
    assert (tumour.sensitivity, tumour.specificity) == (share_of(5, 9), share_of(6, 8))
    assert (large.sensitivity, large.specificity) == (share_of(4, 5), share_of(11, 12))
    assert (tumour.observed.positive, tumour.observed.negative) == (share_of(5, 7), share_of(6, 10))
    assert (large.observed.positive, large.observed.negative) == (share_of(4, 5), share_of(11, 12))
    assert (tumour.observed.prevalence, large.observed.prevalence) == (9 / 17, 5 / 17)


def test_cases_without_a_class_count_as_not_called_what_they_are() -> None:
    """Of all eleven tumour slides five are found, and of all nine others six called negative; above ITC four of seven
    and eleven of thirteen. What was called, had no class and was not run adds up to all slides."""
    tumour, large = called(*SLIDES)
    assert (tumour.sensitivity_of_all, tumour.specificity_of_all) == (share_of(5, 11), share_of(6, 9))
    assert (large.sensitivity_of_all, large.specificity_of_all) == (share_of(4, 7), share_of(11, 13))
    for one in (tumour, large):
        assert one.table.sum() + sum(one.without_class) + sum(one.not_run) == len(SLIDES)
    facts = {fact.label: (fact.value, fact.note) for fact in key_facts(figures(comparison(*SLIDES)))}
    assert facts["Sensitivity, tumour"][1] == (
        "of the 9 of 11 slides with any tumour (isolated tumour cells included) that have a class; 1 without one, "
        "1 not run"
    )
    note = "of all 11; without a class counts as not detected"
    assert facts["Sensitivity of all, tumour"] == (number_words(share_of(5, 11)), note)
    assert facts["Specificity, tumour"][1] == "of the 8 of 9 other slides that have a class; 1 without one"
    note = "of all 9; without a class counts as not called negative"
    assert facts["Specificity of all, tumour"] == (number_words(share_of(6, 9)), note)
    assert "Sensitivity of all, tumour" not in [fact.label for fact in key_facts(figures(comparison(*SLIDES[9:13])))]
    first, *_ = left_out(comparison(*SLIDES), figures(comparison(*SLIDES)))
    assert first.label == (
        "Without a class, so left out of kappa, right class, sensitivity, specificity, predictive values"
    )


def test_all_slides_of_one_patient_widen_the_interval_of_all() -> None:
    """Two slides of one patient, both without a class, are worth one."""
    slides = [classed(f"t{n}", MICRO, report(f"t{n}", FOUND_AS[MICRO])) for n in range(4)]
    slides += [classed(f"f{n}", MICRO, report(f"f{n}", status=Status.FAILED)) for n in range(2)]
    ids = "123455"
    named = [replace(s, reference=replace(s.reference, patient_id=p)) for s, p in zip(slides, ids, strict=True)]
    apart, together = (called(*some)[0].sensitivity_of_all for some in (slides, named))
    assert apart == share_of(4, 6)
    # over five patients the sums apart from 4 of 6 are 1/3 four times and -4/3: variance 5/4 (4/9 + 16/9) / 36 = 5/64.8
    effective = (4 / 6) * (2 / 6) / (5 / 4 * (4 / 9 + 16 / 9) / 36)
    z = 1.959963984540054
    middle = (4 / 6 + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = z * (2 / 9 / effective + z**2 / (4 * effective**2)) ** 0.5 / (1 + z**2 / effective)
    assert (together.value, together.n) == (4 / 6, 6)
    assert (together.low, together.high) == pytest.approx((middle - half, middle + half))


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
    gone = replace(patient("h", "pN1", MICRO), found=stage(Specimen("h", (Node("1", (unread("h0"),)),)), CAMELYON17))
    (found,) = figures(replace(comparison(patients=patients), stages_not_run=(gone,))).calls
    assert (found.table.tolist(), found.without_class, found.not_run) == ([[2, 1], [1, 2]], (0, 1), (1, 0))
    assert (found.sensitivity_of_all, found.specificity_of_all) == (share_of(2, 4), share_of(2, 4))
    told = [fact.note for fact in key_facts(figures(replace(comparison(patients=patients), stages_not_run=(gone,))))]
    assert "of the 3 of 4 other patients that have a stage; 1 without one" in told
    assert "of all 4; without a stage counts as not detected" in told
    assert "the 6 of 8 patients with a stage" in told


def unread(slide_id: str) -> Section:
    return not_run(slide_id, "listed, but not run", nodes_on_slide=1)


def test_a_reference_without_classes_tells_tumour_alone() -> None:
    """Masks say tumour or not; micro- and macrometastases are asked for where every tumour slide has its class."""
    unknown = SlideOutcome(ReferenceSlide("t", True, None), SLIDES[6].subject, None, None)
    (found,) = called(SLIDES[0], unknown)
    assert (found.question, found.table.tolist()) == (TUMOUR, [[1, 0], [0, 1]])
    assert called(SLIDES[-1]) == called(SLIDES[8]) == []
    assert found.sensitivity_of_all == share_of(1, 1)


def test_slides_of_one_patient_widen_the_interval() -> None:
    """Nine tumour slides of two patients, who are found wholly or not at all, are worth less than nine."""
    one_each = SLIDES[9:17]
    ids = ["P1"] * 3 + ["P2"] * 4 + ["P1"]
    named = [replace(s, reference=replace(s.reference, patient_id=p)) for s, p in zip(one_each, ids, strict=True)]
    apart, together = (called(*slides)[0].sensitivity for slides in (one_each, named))
    assert (apart.value, apart.n) == (together.value, together.n)
    assert together.low < apart.low
    assert together.high > apart.high


def test_they_stand_in_the_json_on_the_page_and_on_the_terminal(tmp_path: Path) -> None:
    """Counts, shares and predictive values by name."""
    compared = comparison(*SLIDES)
    found = figures(compared)
    write_evaluation(compared, found, tmp_path, occasion=made_of("r"))
    content = json.loads((tmp_path / "evaluation.json").read_text())["operating_point"]
    assert list(content) == ["tumour_slides", "micro_or_macro_slides"]
    one = content["tumour_slides"]
    counts = ("true_positives", "false_negatives", "false_positives", "true_negatives")
    assert [one[name] for name in counts] == [5, 4, 2, 6]
    assert (one["positives_without_class"], one["negatives_without_class"]) == (1, 1)
    assert (one["positives_not_run"], one["negatives_not_run"]) == (1, 0)
    assert (one["sensitivity"], one["prevalence"]) == (5 / 9, 9 / 17)
    assert (one["sensitivity_of_all"], one["specificity_of_all"]) == (5 / 11, 6 / 9)
    assert one["sensitivity_of_all_interval"] == [share_of(5, 11).low, share_of(5, 11).high]
    assert one["specificity_interval"] == [share_of(6, 8).low, share_of(6, 8).high]
    assert one["positive_predictive_value"] == 5 / 7
    page = (tmp_path / "evaluation.html").read_text()
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    for said in (
        "tumour micro+ positive, called so 5 of 9 4 of 5 other, called positive 2 of 8 1 of 12",
        "without a class 1 positive, 1 other 1 positive, 1 other not run 1 positive, 0 other 1 positive, 0 other",
        "sensitivity 0.556 (0.267 to 0.811) 0.800 (",
        "sensitivity of all 0.455 (",
        "specificity of all 0.667 (",
        "prevalence 0.529 0.294 PPV 0.714 (",
    ):
        assert said in text
    facts = {fact.label: (fact.value, fact.note) for fact in key_facts(found)}
    assert facts["Sensitivity, micro+"] == (
        "0.800 (0.376 to 0.964)",
        "of the 5 of 7 slides with a micro- or macrometastasis that have a class; 1 without one, 1 not run",
    )
    assert facts["Specificity, micro+"][1] == "of the 12 of 13 other slides that have a class; 1 without one"
