"""Stages patients from stored reports and a manifest, or from a table of labels, without touching a slide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodescan.domain.patient import Section, Staged, stage
from nodescan.domain.report import Flag
from nodescan.domain.staging import StagingTable
from nodescan.labels import LabelTable
from nodescan.manifest import Manifest, ManifestRow, NodeFacts
from nodescan.patients.corrections import Applied, Correction, apply_corrections
from nodescan.patients.grouping import group, labelled_sections, not_run, section_of, without_node_ids
from nodescan.reports.report_reader import StoredReport
from nodescan.slides.slide_ids import slide_ids


@dataclass(frozen=True, slots=True)
class PatientResult:
    """One patient's specimen and side. software: the result before corrections, None where there were none.

    stated: the stage that the label table gives, None where it gives none. corrections: those of its slides.
    """

    staged: Staged
    software: Staged | None = None
    stated: str | None = None
    corrections: tuple[Applied, ...] = ()
    notes: tuple[Flag, ...] = ()

    @property
    def all_notes(self) -> tuple[Flag, ...]:
        return (*self.staged.notes, *self.notes)


@dataclass(frozen=True, slots=True)
class Staging:
    """All patients. source: the table's file.

    not_run: slides of the manifest without a report; not_listed: the reverse; left_out: slides of another stain.
    unused: corrections of slides that are in no patient.
    """

    table: StagingTable
    source: str
    patients: tuple[PatientResult, ...]
    not_run: tuple[str, ...] = ()
    not_listed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    unused: tuple[Applied, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every patient has a stage without "at least"."""
        return all(result.staged.determined for result in self.patients)


def stage_reports(
    reports: Sequence[StoredReport],
    manifest: Manifest,
    table: StagingTable,
    *,
    corrections: Sequence[Correction] = (),
) -> Staging:
    """The stage of every patient of the manifest, as reviewed, beside the software's own where there was a review."""
    by_slide = {report.slide_id: report for report in reports}
    ids = manifest_slide_ids(manifest)
    facts = [row.facts for row in manifest.rows]
    for fact in facts:
        if not fact.patient_id:
            raise fact.where.error("patient_id is empty; staging needs to know whose slide it is")
    rows = [(row, slide_id) for row, slide_id in zip(manifest.rows, ids, strict=True)]
    reviewed, applied = apply_corrections(reports, corrections)
    own = _staged(rows, by_slide, table)
    final = _staged(rows, {report.slide_id: report for report in reviewed}, table) if corrections else own
    wanted = {slide_id for row, slide_id in rows if row.has_slide}
    results = [
        _result(result, before if corrections else None, applied, _facts_of(result, facts))
        for result, before in zip(final, own, strict=True)
    ]
    used = {correction.slide_id for result in results for correction in result.corrections}
    return Staging(
        table=table,
        source=manifest.name,
        patients=tuple(results),
        unused=tuple(correction for correction in applied if correction.slide_id not in used),
        not_run=tuple(sorted(slide_id for row, slide_id in rows if row.is_he and slide_id in wanted - by_slide.keys())),
        not_listed=tuple(sorted(by_slide.keys() - wanted)),
        left_out=tuple(sorted(slide_id for row, slide_id in rows if row.has_slide and not row.is_he)),
        models=tuple(sorted({report.model for report in reports if report.model})),
    )


def stage_labels(labels: LabelTable, table: StagingTable) -> Staging:
    """The stage of every patient of a table of labels, beside the one that the table states."""
    facts = [slide.facts for slide in labels.slides]
    results = tuple(
        PatientResult(
            staged,
            stated=labels.stages.get(staged.specimen.patient_id),
            notes=without_node_ids(_facts_of(staged, facts)),
        )
        for staged in (stage(specimen, table) for specimen in group(labelled_sections(labels), table))
    )
    return Staging(table=table, source=labels.name, patients=results)


def manifest_slide_ids(manifest: Manifest) -> tuple[str, ...]:
    """The slide_id of each row: as given, else what a run would call the file; "" for a row without a slide."""
    unnamed = [row.path for row in manifest.rows if not row.slide_id and row.path is not None]
    made = iter(slide_ids(unnamed))
    return tuple(row.slide_id or (next(made) if row.path is not None else "") for row in manifest.rows)


def _staged(
    rows: Sequence[tuple[ManifestRow, str]], reports: Mapping[str, StoredReport], table: StagingTable
) -> list[Staged]:
    sections = [(row.facts, _section(row, slide_id, reports)) for row, slide_id in rows]
    return [stage(specimen, table) for specimen in group(sections, table)]


def _section(row: ManifestRow, slide_id: str, reports: Mapping[str, StoredReport]) -> Section | None:
    """None where the row has no slide, or one that isn't H&E: that is for the pathologist alone."""
    if not row.has_slide or not row.is_he:
        return None
    nodes = row.facts.nodes_on_slide
    report = reports.get(slide_id)
    return not_run(slide_id, nodes_on_slide=nodes) if report is None else section_of(report, nodes_on_slide=nodes)


def _result(
    staged: Staged, software: Staged | None, applied: Sequence[Applied], facts: Sequence[NodeFacts]
) -> PatientResult:
    slides = {section.slide_id for node in staged.specimen.nodes for section in node.sections}
    own = tuple(correction for correction in applied if correction.slide_id in slides)
    return PatientResult(staged, software=software if own else None, corrections=own, notes=without_node_ids(facts))


def _facts_of(staged: Staged, facts: Sequence[NodeFacts]) -> list[NodeFacts]:
    """The rows of this patient that have a slide or name a node."""
    patient = staged.specimen.patient_id
    return [fact for fact in facts if fact.patient_id == patient and fact.nodes_removed != 0]
