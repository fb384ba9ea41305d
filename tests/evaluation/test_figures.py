"""Figures of planted slides: AUC, FROC, kappa and right class, worked out by hand, and who counts in which."""

from dataclasses import replace

import numpy as np
import pytest

from nodescan.domain.classification import Metastasis
from nodescan.domain.patient import Node, Specimen
from nodescan.domain.patient_stage import stage
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.section import Section
from nodescan.domain.staging import CAMELYON17
from nodescan.evaluation.bootstrap import share_of
from nodescan.evaluation.compare import Comparison, SlideOutcome
from nodescan.evaluation.evaluation_files import evaluation_as_json
from nodescan.evaluation.evaluation_page import key_facts
from nodescan.evaluation.figures import Figures, figures
from nodescan.evaluation.froc import FrocMode, SlideHits
from nodescan.evaluation.left_out import left_out
from nodescan.evaluation.patient_outcomes import PatientOutcome
from nodescan.evaluation.reference import ReferenceSlide
from nodescan.evaluation.slide_results import Subject
from nodescan.reports.detections import DetectionList
from tests.evaluation.occasions import made_of
from tests.patients.made_reports import report

NONE, ITC, MICRO, MACRO = Metastasis
NOTHING = DetectionList("s.csv", np.zeros(0), np.zeros(0), np.zeros(0))
FOUND_AS = {NONE: (), ITC: (150.0,), MICRO: (900.0,), MACRO: (2600.0,)}


def of(*slides: SlideOutcome) -> Figures:
    return figures(Comparison(FrocMode.EVERY_SLIDE, slides, (), (), (), (), (), (), None, ()))


def scored(
    slide_id: str, score: float | None, *, tumour: bool | None, status: Status = Status.COMPLETE
) -> SlideOutcome:
    subject = Subject(slide_id, replace(report(slide_id, status=status), tumour_probability=score), NOTHING)
    return SlideOutcome(ReferenceSlide(slide_id, tumour, None), subject, None, None)


def test_the_auc_of_six_slides_by_hand() -> None:
    """Of three tumour and two normal slides four pairs are in order and one is tied. A slide without a score is named,
    one that the reference doesn't know is left out."""
    task = of(
        scored("t1", 0.9, tumour=True),
        scored("n1", 0.4, tumour=False),
        scored("t2", 0.4, tumour=True),
        scored("t3", 0.3, tumour=True, status=Status.INCOMPLETE),
        scored("n2", 0.1, tumour=False),
        scored("u", 0.0, tumour=None),
        scored("t4", None, tumour=True),
        SlideOutcome(ReferenceSlide("t5", True, None), None, None, None),
    ).slide_task
    assert task is not None
    assert task.auc.value == pytest.approx(4.5 / 6)
    assert (task.auc.n, task.n_tumour, task.n_normal) == (5, 3, 2)
    assert (task.without_score, task.in_part) == (("t4", "t5"), ("t3",))
    assert task.curve.true_positive.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert task.curve.false_positive.tolist() == [0, 0, 0.5, 0.5, 1]
    assert of(scored("u", 0.5, tumour=None), scored("t", None, tumour=True)).slide_task is None


def test_slides_of_one_patient_are_drawn_together() -> None:
    """The reference says whose they are, or the run's manifest: six slides of two patients vary as two do."""
    slides = [
        *(scored(f"t{n}", 0.5 + 0.1 * n, tumour=True) for n in range(3)),
        *(scored(f"n{n}", 0.35 + 0.1 * n, tumour=False) for n in range(3)),
    ]
    ids = ["P1", "P1", "P2", "P1", "P2", "P2"]
    by_reference = [replace(s, reference=replace(s.reference, patient_id=p)) for s, p in zip(slides, ids, strict=True)]
    by_manifest = [replace(s, subject=replace(s.subject, patient_id=p)) for s, p in zip(slides, ids, strict=True)]
    apart = of(*slides)
    assert (apart.by_patient, apart.slide_task.auc.n) == (False, 6)
    for together in (of(*by_reference), of(*by_manifest)):
        assert (together.by_patient, together.slide_task.auc.n, together.slide_task.fewest) == (True, 2, 2)
        assert together.slide_task.auc.value == apart.slide_task.auc.value
        assert together.slide_task.auc.low != apart.slide_task.auc.low


def test_classes_and_lesions_of_one_patient_are_drawn_together() -> None:
    """Kappa, right class and FROC of four slides of two patients have two units."""
    slides = (
        classed("a", NONE, report("a")),
        classed("b", NONE, report("b")),
        classed("c", MICRO, report("c", FOUND_AS[MACRO])),
        classed("d", MICRO, report("d", FOUND_AS[MACRO])),
    )
    hits = [replace(slide, hits=hit("x", [0.9], [0.5]).hits) for slide in slides]
    named = [
        replace(slide, reference=replace(slide.reference, patient_id=patient_id))
        for slide, patient_id in zip(hits, "1122", strict=True)
    ]
    found, apart = of(*named), of(*hits)
    assert (found.slide_classes.kappa.n, apart.slide_classes.kappa.n) == (2, 4)
    assert (found.lesion_task.score.n, apart.lesion_task.score.n) == (2, 4)
    assert found.slide_classes.accuracy.n == apart.slide_classes.accuracy.n == 4
    assert found.slide_classes.accuracy.low < apart.slide_classes.accuracy.low == share_of(2, 4).low


def hit(slide_id: str, scores: list[float], false: list[float], *, result: bool = True) -> SlideOutcome:
    hits = SlideHits(np.array(false), np.array(scores), len(scores), has_result=result)
    subject = Subject(slide_id, report(slide_id), NOTHING)
    return SlideOutcome(ReferenceSlide(slide_id, bool(scores), None), subject, hits, None)


def test_the_froc_score_of_four_slides_by_hand() -> None:
    """Five lesions on three slides with a result, and one without whose lesion is missed. Within 1/4 false positive a
    slide there is none at all, so two lesions; within 1/2 one of 0.5 (three); within 1 all three of them (four)."""
    slides = (
        hit("a", [0.9, 0.6, 0.2], [0.5, 0.3]),
        hit("b", [0.8], [0.4]),
        hit("c", [0.0], [], result=False),
        hit("n", [], []),
    )
    task = of(*slides).lesion_task
    assert task is not None
    sensitivities = [3 / 5, 3 / 5, 4 / 5, 4 / 5, 4 / 5, 4 / 5]
    assert [one.value for one in task.sensitivities] == pytest.approx(sensitivities)
    assert task.score.value == pytest.approx(sum(sensitivities) / 6)
    assert (task.score.n, task.n_slides, task.n_lesions, task.tumour_missed) == (4, 3, 5, ("c",))
    assert all(one.low <= one.value <= one.high for one in (task.score, *task.sensitivities))
    assert of(hit("n", [], [0.5])).lesion_task is None
    assert of(scored("n", 0.5, tumour=False)).lesion_task is None


def test_normal_slides_without_points_are_named_by_why() -> None:
    """Incomplete ones apart from those without a result; a tumour slide whose lesions aren't known is neither."""
    task = of(
        hit("a", [0.9], []),
        hit("n0", [], [0.4]),
        scored("n1", None, tumour=False),
        scored("n2", 0.1, tumour=False, status=Status.INCOMPLETE),
        scored("t", 0.9, tumour=True),
    ).lesion_task
    assert task is not None
    assert (task.normal_left_out, task.normal_in_part, task.tumour_missed, task.in_part) == (("n1",), ("n2",), (), ())


def classed(slide_id: str, label: Metastasis | None, found: SlideReport | None) -> SlideOutcome:
    subject = None if found is None else Subject(slide_id, found, NOTHING)
    return SlideOutcome(ReferenceSlide(slide_id, label is not NONE, label), subject, None, None)


def test_kappa_of_slide_classes_by_hand() -> None:
    """Of six classed slides four are right; micro for negative costs 4, macro for micro 1, where chance has 94/6.

    Truth 2, 1, 2, 1 and found 1, 1, 2, 2 of negative, ITC, micro, macro: chance by pairs of truth and found
    2 x (1 + 8 + 18) + (1 + 2 + 8) + 2 x (4 + 1 + 2) + (9 + 4 + 2) = 94, over 6. One has no class, one was not run, of
    one the reference says nothing.
    """
    found = of(
        classed("a", NONE, report("a")),
        classed("b", NONE, report("b", FOUND_AS[MICRO])),
        classed("c", ITC, report("c", FOUND_AS[ITC])),
        classed("d", MICRO, report("d", FOUND_AS[MICRO])),
        classed("e", MICRO, report("e", FOUND_AS[MACRO])),
        classed("f", MACRO, report("f", FOUND_AS[MACRO])),
        classed("g", MACRO, report("g", status=Status.INCOMPLETE)),
        classed("h", MICRO, None),
        SlideOutcome(
            ReferenceSlide("i", None, None), Subject("i", report("i", status=Status.FAILED), None), None, None
        ),
    )
    task = found.slide_classes
    assert task is not None
    assert task.columns == ("no class", *task.rows)
    assert task.rows == ("negative", "itc", "micro", "macro")
    assert task.table.tolist() == [[0, 1, 0, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 1], [1, 0, 0, 0, 1]]
    assert task.kappa.value == pytest.approx(1 - 5 / (94 / 6))
    assert task.accuracy == share_of(4, 6)
    assert (task.kappa.n, found.without_class) == (6, ("g",))


def test_classes_are_compared_where_every_tumour_slide_has_one() -> None:
    """A single tumour slide of unknown class, and normal slides alone would give a false picture."""
    known, unknown = classed("a", NONE, report("a")), classed("b", None, report("b", FOUND_AS[MICRO]))
    assert of(known, unknown).slide_classes is None
    assert of(known).slide_classes is not None
    assert of(classed("a", NONE, None)).slide_classes is None


def patient(name: str, true_stage: str, *found: Metastasis | None) -> PatientOutcome:
    """A node for each class that was found, None for one that wasn't read."""
    status = {None: Status.FAILED}
    sections = [Section(f"{name}{n}", status.get(one, Status.COMPLETE), one) for n, one in enumerate(found)]
    nodes = tuple(Node(str(number), (section,)) for number, section in enumerate(sections))
    return PatientOutcome(name, true_stage, stage(Specimen(name, nodes), CAMELYON17))


def test_kappa_of_patient_stages_by_hand() -> None:
    """Three of four are right, one of them read in part, which counts by what was found; pN1mi for pN1 costs 1. Nothing
    found by a part of the nodes is no stage. By number truth and found are 0 0, 3 2, 4 4 and 3 3: chance has
    (0 + 4 + 16 + 9 + 2 x (9 + 1 + 1 + 0) + 16 + 4 + 0 + 1) / 4 = 18."""
    patients = (
        patient("a", "pN0", NONE, NONE),
        patient("b", "pN1", MICRO),
        patient("c", "pN2", *[MACRO] * 4),
        patient("d", "pN1", MACRO, None),
        patient("e", "pN0", NONE, None),
    )
    comparison = Comparison(FrocMode.EVERY_SLIDE, (), patients, (), (), (), (), (), None, ())
    task = figures(comparison).stages
    assert task is not None
    assert task.rows == ("pN0", "pN0(i+)", "pN1mi", "pN1", "pN2")
    assert task.table.tolist() == [
        [1, 1, 0, 0, 0, 0],
        [0] * 6,
        [0] * 6,
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    assert task.kappa.value == pytest.approx(1 - 1 / 18)
    assert (task.accuracy, task.kappa.n) == (share_of(3, 4), 4)
    assert of().stages is of().submission is None


def test_kappa_of_the_submission_by_hand() -> None:
    """The organisers score all five of these, the last as pN0: truth 0 3 4 3 0 and found 0 2 4 3 0, where chance has
    (2 x (0 + 4 + 16 + 9 + 0) + 2 x (9 + 1 + 1 + 0 + 9) + (16 + 4 + 0 + 1 + 16)) / 5 = 27. Patients whom the submission
    lacks are counted."""
    patients = (
        patient("a", "pN0", NONE, NONE),
        patient("b", "pN1", MICRO),
        patient("c", "pN2", *[MACRO] * 4),
        patient("d", "pN1", MACRO, None),
        patient("e", "pN0", NONE, None),
    )
    comparison = Comparison(FrocMode.EVERY_SLIDE, (), patients, (), (), (), (), ("f", "g"), None, ())
    found = figures(comparison)
    assert found.submission is not None
    assert found.submission.kappa.value == pytest.approx(1 - 1 / 27)
    assert (found.submission.kappa.n, found.submission.unread, found.submission.n_absent) == (5, ("e",), 2)
    facts = {fact.label: fact.note for fact in key_facts(found)}
    assert facts["Kappa of stages"] == "the 4 of 5 patients with a stage"
    assert facts["Kappa of submission"] == (
        "5 patients in camelyon17_submission.csv, 1 as pN0 though not read whole; 2 patients of the reference not in it"
    )
    label = "Patients not fully read in whom nothing was found: without a stage here, pN0 in camelyon17_submission.csv"
    assert (label, "e") in [(fact.label, fact.note) for fact in left_out(comparison, found)]
    content = evaluation_as_json(comparison, found, occasion=made_of("r"))
    assert content["kappa_of_submission"] == found.submission.kappa.value
    assert (content["kappa_of_submission_n"], content["patients_submitted_as_pn0"]) == (5, ["e"])
    whole = replace(comparison, patients=patients[:4], patients_not_run=())
    assert "Kappa of submission" not in [fact.label for fact in key_facts(figures(whole))]
