"""Sensitivity, specificity and predictive values of what a run calls: slides and patients, positive or not."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.classification import Metastasis
from nodescan.domain.staging import CAMELYON17
from nodescan.evaluation.bootstrap import Estimate, by_unit, share_by_unit, units_of
from nodescan.evaluation.compare import SlideOutcome
from nodescan.evaluation.patient_outcomes import PatientOutcome
from nodescan.reports.report_reader import StoredReport

_POSITIVE_STAGES = frozenset(rule.category for rule in CAMELYON17.rules if rule.fewest_positive)
"""pN1mi and above: isolated tumour cells make no node positive."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked of each case, a slide or patient. name: in evaluation.json; short: on a terminal."""

    name: str
    short: str
    positive: str
    case: str


TUMOUR = Question("tumour_slides", "tumour", "any tumour, isolated tumour cells included", "slide")
METASTASIS = Question("micro_or_macro_slides", "micro+", "a micro- or macrometastasis", "slide")
NODE_POSITIVE = Question("node_positive_patients", "pN1mi+", "pN1mi or above", "patient")


@dataclass(frozen=True, slots=True)
class Predictive:
    """At a share of positives, observed or given. positive, negative: the predictive values."""

    prevalence: float
    positive: Estimate
    negative: Estimate


@dataclass(frozen=True, slots=True)
class Calls:
    """Of the cases with a class, how many were called what they are, each share with Wilson's interval.

    table : int64 (2, 2), positive and the rest by row, called so by column in the same order. without_class: positive
    ones and others that got no class, in none of the shares. given: at the prevalence that was asked for, or None.
    """

    question: Question
    table: NDArray[np.int64]
    without_class: tuple[int, int]
    sensitivity: Estimate
    specificity: Estimate
    observed: Predictive
    given: Predictive | None


def calls(
    slides: Sequence[SlideOutcome], patients: Sequence[PatientOutcome], *, classed: bool, prevalence: float | None
) -> tuple[Calls, ...]:
    """Of each question that the reference can tell and the run answered.

    classed: whether the reference classes every tumour slide. prevalence: in [0, 1], to give predictive values at.
    """
    read = [(slide, slide.reference, slide.report) for slide in slides if slide.report is not None]
    tumour = [
        _Case(slide.unit, truth.tumour, _reaches(report, Metastasis.ITC))
        for slide, truth, report in read
        if truth.tumour is not None
    ]
    large = [
        _Case(slide.unit, truth.label >= Metastasis.MICRO, _reaches(report, Metastasis.MICRO))
        for slide, truth, report in read
        if truth.label is not None and classed
    ]
    staged = [
        _Case(
            ("patient", patient.patient_id),
            patient.true_stage in _POSITIVE_STAGES,
            None if patient.found_stage is None else patient.found_stage in _POSITIVE_STAGES,
        )
        for patient in patients
    ]
    asked = ((TUMOUR, tumour), (METASTASIS, large), (NODE_POSITIVE, staged))
    return tuple(
        _calls(question, cases, prevalence)
        for question, cases in asked
        if any(case.called is not None for case in cases)
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """A slide or patient: its unit, see `units_of`, whether it is positive, and was called so; None without a class."""

    unit: Hashable
    positive: bool
    called: bool | None


def _reaches(report: StoredReport, least: Metastasis) -> bool | None:
    return None if report.metastasis is None else report.metastasis >= least


def _calls(question: Question, cases: Sequence[_Case], prevalence: float | None) -> Calls:
    read = [case for case in cases if case.called is not None]
    left_out = [case.positive for case in cases if case.called is None]
    truth = np.array([case.positive for case in read], dtype=np.bool_)
    called = np.array([case.called for case in read], dtype=np.bool_)
    units = units_of(case.unit for case in read)

    def share(right: NDArray[np.bool_], among: NDArray[np.bool_]) -> Estimate:
        return share_by_unit(by_unit(right & among, units), by_unit(among, units))

    sensitivity, specificity = share(called, truth), share(~called, ~truth)
    table = [[(truth & called).sum(), (truth & ~called).sum()], [(~truth & called).sum(), (~truth & ~called).sum()]]
    return Calls(
        question,
        np.array(table, dtype=np.int64),
        (sum(left_out), len(left_out) - sum(left_out)),
        sensitivity,
        specificity,
        Predictive(float(truth.mean()), share(truth, called), share(~truth, ~called)),
        None if prevalence is None else at_prevalence(sensitivity, specificity, prevalence),
    )


def at_prevalence(sensitivity: Estimate, specificity: Estimate, prevalence: float) -> Predictive:
    """Predictive values by Bayes' rule at another share of positives, in [0, 1].

    The low end is that of both low ends, the high end of both high ends: as both must be off at once, the interval is
    rather too wide than too narrow. n is the number of cases with a class.
    """
    n = sensitivity.n + specificity.n

    def both(positive: bool) -> Estimate:
        ends = [(one.value, one.low, one.high) for one in (sensitivity, specificity)]
        value, low, high = (_by_bayes(se, sp, prevalence, positive=positive) for se, sp in zip(*ends, strict=True))
        return Estimate(value, None if value is None else low, None if value is None else high, n)

    return Predictive(prevalence, both(True), both(False))


def _by_bayes(
    sensitivity: float | None, specificity: float | None, prevalence: float, *, positive: bool
) -> float | None:
    """The predictive value, of a positive or a negative call; None where it isn't defined, as nothing is called so."""
    if sensitivity is None or specificity is None:
        return None
    if positive:
        right, wrong = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    else:
        right, wrong = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    return right / (right + wrong) if right + wrong > 0 else None
