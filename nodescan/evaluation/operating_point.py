"""Sensitivity, specificity and predictive values of what a run calls: slides and patients, positive or not."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.classification import Metastasis
from nodescan.domain.staging import CAMELYON17
from nodescan.evaluation.bootstrap import Estimate, share_by_unit, units_of
from nodescan.evaluation.compare import Comparison, SlideOutcome
from nodescan.evaluation.patient_outcomes import PatientOutcome

_POSITIVE_STAGES = frozenset(rule.category for rule in CAMELYON17.rules if rule.fewest_positive)
"""pN1mi and above: isolated tumour cells make no node positive."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked of each case, a slide or patient. name: in evaluation.json; short: on a terminal."""

    name: str
    short: str
    positive: str
    case: str

    @property
    def answer(self) -> str:
        """What a case that was called has."""
        return "stage" if self.case == "patient" else "class"


TUMOUR = Question("tumour_slides", "tumour", "any tumour (isolated tumour cells included)", "slide")
METASTASIS = Question("micro_or_macro_slides", "micro+", "a micro- or macrometastasis", "slide")
NODE = Question("micro_or_macro_nodes", "micro+ nodes", "a micro- or macrometastasis", "node")
NODE_POSITIVE = Question("node_positive_patients", "pN1mi+", "pN1mi or above", "patient")


@dataclass(frozen=True, slots=True)
class Predictive:
    """At the share of positives among these cases. positive, negative: the predictive values."""

    prevalence: float
    positive: Estimate
    negative: Estimate


@dataclass(frozen=True, slots=True)
class Calls:
    """Of the cases with a class, how many were called what they are, each share with Wilson's interval.

    table : int64 (2, 2), positive and the rest by row, called so by column in the same order. without_class: positive
    ones and others that got no class, or one below the limit that is a lower bound: what was not read may be positive.
    not_run: those that were never run; with the table's and these, they are all of the reference.
    sensitivity_of_all, specificity_of_all: over these, where a case without a class was not called what it is
    (intention to diagnose: Schuetz et al., BMJ 2012; STARD 2015, items 15 and 16); they alone count such cases.
    """

    question: Question
    table: NDArray[np.int64]
    without_class: tuple[int, int]
    not_run: tuple[int, int]
    sensitivity: Estimate
    specificity: Estimate
    sensitivity_of_all: Estimate
    specificity_of_all: Estimate
    observed: Predictive


def calls(comparison: Comparison, *, classed: bool) -> tuple[Calls, ...]:
    """Of each question that the reference can tell and the run answered.

    classed: whether the reference classes every tumour slide.
    """
    known = [(slide, slide.reference, slide.report is not None) for slide in comparison.slides]
    tumour = [
        _Case(slide.unit, truth.tumour, _reaches(slide.found, Metastasis.ITC, at_least=is_lower_bound(slide)), was_run)
        for slide, truth, was_run in known
        if truth.tumour is not None
    ]
    large = [
        _Case(
            slide.unit,
            truth.label >= Metastasis.MICRO,
            _reaches(slide.found, Metastasis.MICRO, at_least=is_lower_bound(slide)),
            was_run,
        )
        for slide, truth, was_run in known
        if truth.label is not None and classed
    ]
    nodes = [
        _Case(
            ("patient", one.patient_id),
            one.true_class >= Metastasis.MICRO,
            _reaches(one.found, Metastasis.MICRO, at_least=one.class_at_least),
            one.was_run,
        )
        for one in comparison.nodes
    ]
    staged = [
        _Case(
            ("patient", patient.patient_id),
            patient.true_stage in _POSITIVE_STAGES,
            _node_positive(patient),
            patient.was_run,
        )
        for patient in (*comparison.patients, *comparison.stages_not_run)
    ]
    asked = ((TUMOUR, tumour), (METASTASIS, large), (NODE, nodes), (NODE_POSITIVE, staged))
    return tuple(_calls(question, cases) for question, cases in asked if any(case.called is not None for case in cases))


@dataclass(frozen=True, slots=True)
class _Case:
    """A slide or patient: its unit, see `units_of`, whether it is positive, and was called so; None without a class."""

    unit: Hashable
    positive: bool
    called: bool | None
    was_run: bool


def is_lower_bound(slide: SlideOutcome) -> bool:
    """Whether its class is one, and there is a class above it."""
    return slide.report is not None and slide.report.class_at_least


def _reaches(found: Metastasis | None, least: Metastasis, *, at_least: bool) -> bool | None:
    """None also for a class below `least` that is a lower bound: the true one may reach it."""
    if found is None:
        return None
    return True if found >= least else None if at_least else False


def _node_positive(patient: PatientOutcome) -> bool | None:
    """None also for a lower bound below the positive stages."""
    if patient.found_stage is None:
        return None
    return True if patient.found_stage in _POSITIVE_STAGES else None if patient.found.at_least else False


def _calls(question: Question, cases: Sequence[_Case]) -> Calls:
    read = [case for case in cases if case.called is not None]
    without_class = [case.positive for case in cases if case.called is None and case.was_run]
    not_run = [case.positive for case in cases if not case.was_run]
    truth = np.array([case.positive for case in read], dtype=np.bool_)
    called = np.array([case.called for case in read], dtype=np.bool_)
    units = units_of(case.unit for case in read)

    def share(right: NDArray[np.bool_], among: NDArray[np.bool_]) -> Estimate:
        return share_by_unit(right & among, among, units)

    table = [[(truth & called).sum(), (truth & ~called).sum()], [(~truth & called).sum(), (~truth & ~called).sum()]]
    return Calls(
        question,
        np.array(table, dtype=np.int64),
        (sum(without_class), without_class.count(False)),
        (sum(not_run), not_run.count(False)),
        share(called, truth),
        share(~called, ~truth),
        _share_of_all(cases, positive=True),
        _share_of_all(cases, positive=False),
        Predictive(float(truth.mean()), share(truth, called), share(~truth, ~called)),
    )


def _share_of_all(cases: Sequence[_Case], *, positive: bool) -> Estimate:
    """Of all that are so, those that were called so."""
    among = [case for case in cases if case.positive is positive]
    right = np.array([case.called is positive for case in among], dtype=np.bool_)
    return share_by_unit(right, np.ones(len(among)), units_of(case.unit for case in among))
