"""Each patient's true stage beside the one that follows from a run's reports."""

from collections.abc import Mapping
from dataclasses import dataclass

from nodescan.domain.patient import Staged
from nodescan.domain.patient_stage import stage
from nodescan.domain.section import Section
from nodescan.domain.staging import CAMELYON17
from nodescan.evaluation.reference import Reference
from nodescan.evaluation.subjects import Subject
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


def patient_outcomes(
    by_key: Mapping[str, Subject], reference: Reference
) -> tuple[tuple[PatientOutcome, ...], tuple[str, ...], list[str]]:
    """Patients with at least one slide that was run, those with none, and those whose true stage isn't known."""
    if not reference.nodes or not any(subject.report for subject in by_key.values()):
        return (), (), []
    labelled = stage_labels(LabelTable(reference.name, reference.nodes, {}, CAMELYON17), CAMELYON17).patients
    truth = {result.staged.specimen.patient_id: result.staged.words for result in labelled if result.staged.determined}
    truth.update(reference.stages)
    sections = [(slide.facts, _section(by_key.get(slide_key(slide.slide_id)), slide)) for slide in reference.nodes]
    rows = [(facts, section.slide_id, section) for facts, section in sections]
    found = [stage(specimen, CAMELYON17) for specimen in group(rows, CAMELYON17)]
    run = {facts.patient_id for facts, slide_id, _ in rows if slide_key(slide_id) in by_key}
    outcomes = [
        PatientOutcome(result.specimen.patient_id, truth[result.specimen.patient_id], result)
        for result in found
        if result.specimen.patient_id in run & truth.keys()
    ]
    everyone = {facts.patient_id for facts, _ in sections}
    return tuple(outcomes), tuple(sorted(everyone - run)), sorted(run - truth.keys())


def _section(subject: Subject | None, slide: LabelledSlide) -> Section:
    nodes = slide.facts.nodes_on_slide
    if subject is None or subject.report is None:
        return not_run(slide.slide_id, "listed, but not run", nodes_on_slide=nodes)
    return section_of(subject.report, nodes_on_slide=nodes)
