"""Each patient's true stage beside the one that follows from a run's reports."""

from collections.abc import Mapping
from dataclasses import dataclass

from nodescan.domain.patient import Staged
from nodescan.domain.patient_stage import stage
from nodescan.domain.section import Section
from nodescan.domain.staging import CAMELYON17
from nodescan.evaluation.node_outcomes import NodeOutcome, node_outcomes
from nodescan.evaluation.reference import Reference
from nodescan.evaluation.slide_results import Subject, few_ids
from nodescan.labels import LabelledSlide, LabelTable
from nodescan.patients.grouping import group, not_run, section_of
from nodescan.patients.staging import stage_labels
from nodescan.slides.slide_ids import slide_key


@dataclass(frozen=True, slots=True)
class PatientOutcome:
    """A patient's true stage and the one found.

    found_stage: where not every node was read whole, by what was found; None where that is nothing, which is no pN0.
    """

    patient_id: str
    true_stage: str
    found: Staged

    @property
    def found_stage(self) -> str | None:
        return None if self.found.category is None or self.found.lowest is None else self.found.lowest.category

    @property
    def was_run(self) -> bool:
        """Whether any slide has a report."""
        return any(not section.left_out for section in self.found.specimen.sections)

    @property
    def submitted(self) -> str | None:
        """What camelyon17_submission.csv says, which takes a stage for every patient: where not every node was read
        whole and nothing was found, pN0. None for more positive nodes than the table knows."""
        return None if self.found.lowest is None else self.found.lowest.category

    @property
    def submitted_unread(self) -> bool:
        """Whether it is submitted with a stage that it doesn't have here."""
        return self.found_stage is None and self.submitted is not None


@dataclass(frozen=True, slots=True)
class Patients:
    """The patients of a reference. outcomes: those whose true stage is known, run or not. not_run: ids of those without
    any slide run. notes: on those whose true stage isn't known."""

    outcomes: tuple[PatientOutcome, ...] = ()
    not_run: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    nodes: tuple[NodeOutcome, ...] = ()


def patient_outcomes(by_key: Mapping[str, Subject], reference: Reference) -> Patients:
    """None where the reference has no patients, or no report is of one."""
    if not reference.nodes or not any(subject.report for subject in by_key.values()):
        return Patients()
    results = stage_labels(LabelTable(reference.name, reference.nodes, {}, CAMELYON17), CAMELYON17).patients
    labelled = [result.staged for result in results]
    truth = {staged.specimen.patient_id: staged.words for staged in labelled if staged.determined}
    truth.update(reference.stages)
    sections = [(slide.facts, _section(by_key.get(slide_key(slide.slide_id)), slide)) for slide in reference.nodes]
    rows = [(facts, section.slide_id, section) for facts, section in sections]
    found = [stage(specimen, CAMELYON17) for specimen in group(rows, CAMELYON17)]
    run = {facts.patient_id for facts, slide_id, _ in rows if slide_key(slide_id) in by_key}
    outcomes = [
        PatientOutcome(result.specimen.patient_id, truth[result.specimen.patient_id], result)
        for result in found
        if result.specimen.patient_id in truth
    ]
    everyone = {facts.patient_id for facts, _ in sections}
    open_stages = run - truth.keys()
    not_scored = f"no single stage follows from the labels of {few_ids(open_stages)}, so not scored"
    return Patients(
        tuple(outcomes),
        tuple(sorted(everyone - run)),
        (not_scored,) if open_stages else (),
        node_outcomes(labelled, found),
    )


def _section(subject: Subject | None, slide: LabelledSlide) -> Section:
    nodes = slide.facts.nodes_on_slide
    if subject is None or subject.report is None:
        return not_run(slide.slide_id, "listed, but not run", nodes_on_slide=nodes)
    return section_of(subject.report, nodes_on_slide=nodes)
