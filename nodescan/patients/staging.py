"""Stages patients from stored reports and a manifest, or from a table of labels, without touching a slide."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from nodescan.domain.flags import Flag
from nodescan.domain.patient import Specimen, Staged
from nodescan.domain.patient_stage import stage
from nodescan.domain.section import Section
from nodescan.domain.staging import StagingTable
from nodescan.errors import UsageError
from nodescan.labels import LabelTable
from nodescan.manifest import Manifest, ManifestRow, NodeFacts
from nodescan.patients.applied import Applied
from nodescan.patients.correction_rows import Correction, CorrectionsFile
from nodescan.patients.corrections import apply_corrections
from nodescan.patients.grouping import group, group_names, labelled_sections, not_run, section_of, without_node_ids
from nodescan.patients.reviewed_flags import exact_notes
from nodescan.patients.same_files import RowFiles, compare_files
from nodescan.patients.slide_rows import check_counted, check_names
from nodescan.patients.stage_notes import limit_notes, made_notes, mixed_way_out, mixed_words, older_words
from nodescan.reports.report_reader import StoredReport


@dataclass(frozen=True, slots=True)
class PatientResult:
    """One patient's specimen and side. software: the result before corrections, None where there were none.

    stated: the stage that the label table gives, None where it gives none. corrections: those of its slides.
    reports: of its slides, those that count, before corrections.
    """

    staged: Staged
    notes: tuple[Flag, ...]
    software: Staged | None = None
    stated: str | None = None
    corrections: tuple[Applied, ...] = ()
    reports: tuple[StoredReport, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """By which its slides were judged, each once."""
        return tuple(sorted({report.made_with.model_words for report in self.reports if report.made_with is not None}))

    @property
    def own_settings(self) -> tuple[str, ...]:
        """See versions.own_settings, of its reports, each once."""
        return tuple(sorted({sha256 for report in self.reports if (sha256 := report.own_settings)}))

    @property
    def all_notes(self) -> tuple[Flag, ...]:
        return (*self.staged.notes, *self.notes)


@dataclass(frozen=True, slots=True)
class Staging:
    """All patients. source: the table's file, and source_sha256 of a manifest's bytes.

    not_run: slides of the manifest without a report; not_listed: the reverse; left_out: slides of another stain.
    mixed: how the staged reports differ in what they were made with, "" where they don't. older: how they are all of
    another result version than this program's, and what to do, "" where they aren't. unused: corrections without
    effect, of slides in no patient and of copies. reports: all that are there, but those of another file than the
    manifest's.
    copies: for the terminal, see RowFiles.told. staged_at, corrections_file: when the stages
    were made, and of which review; whoever writes them says so, so that the same stages are the same page.
    """

    table: StagingTable
    source: str
    patients: tuple[PatientResult, ...]
    not_run: tuple[str, ...] = ()
    not_listed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    mixed: str = ""
    older: str = ""
    unused: tuple[Applied, ...] = ()
    reports: tuple[StoredReport, ...] = ()
    copies: tuple[str, ...] = ()
    source_sha256: str = ""
    staged_at: datetime | None = None
    corrections_file: CorrectionsFile | None = None

    @property
    def corrections(self) -> tuple[Applied, ...]:
        """All that were given, of whichever patient."""
        return (*(one for result in self.patients for one in result.corrections), *self.unused)

    @property
    def models(self) -> tuple[str, ...]:
        """Of all patients' reports, each once."""
        return tuple(sorted({one for result in self.patients for one in result.models}))

    @property
    def own_settings(self) -> tuple[str, ...]:
        """Of all patients' reports, each once."""
        return tuple(sorted({one for result in self.patients for one in result.own_settings}))

    @property
    def mixed_way_out(self) -> str:
        """What to do where the reports are `mixed`."""
        return mixed_way_out(self.reports)

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
    earlier: Sequence[Applied] = (),
) -> Staging:
    """The stage of every patient of the manifest, as reviewed, beside the software's own where there was a review.

    The manifest is of read_slide_rows; earlier: the corrections of stages that were made before. Raises UsageError
    where a row, or a correction, means no certain slide, and what apply_corrections does.
    """
    if not manifest.names_patients:
        why = "staging needs to know whose slide each is"
        raise UsageError(f"{manifest.name}: no row has a patient_id, and {why}; fill in that column")
    by_slide = {report.slide_id: report for report in reports}
    rows = manifest.rows
    check_names(rows, by_slide)
    files = compare_files(rows, by_slide)
    by_slide = {slide_id: report for slide_id, report in by_slide.items() if slide_id not in files.another}
    files.check_renamed(corrections)
    check_counted(corrections, rows, files.another, reports=by_slide)
    reviewed, applied = apply_corrections(reports, corrections, earlier=earlier)
    apart = files.apart({one.slide_id for one in corrections})
    counted = {slide_id: report for slide_id, report in by_slide.items() if slide_id not in apart}
    own = _staged(rows, counted, table, apart=apart)
    after = {report.slide_id: report for report in reviewed if report.slide_id in counted}
    final = _staged(rows, after, table, apart=apart) if corrections else own
    results = [_result(result, before, applied, counted) for result, before in zip(final, own, strict=True)]
    of_group, of_patient = _by_group(rows, table), _by_patient(row.facts for row in rows)
    results = [
        replace(result, notes=(*_notes(result, of_group[one.names], of_patient[one.patient_id], files), *of_sizes))
        for result in results
        for one in (result.staged.specimen,)
        for of_sizes in (exact_notes(result.staged, result.corrections, result.reports, after),)
    ]
    wanted = {row.slide_id for row in rows if row.has_slide}
    lacking = wanted - by_slide.keys()
    staged = [by_slide[row.slide_id] for row in rows if row.has_slide and row.is_he and row.slide_id in by_slide]
    used = {correction.slide_id for result in results for correction in result.corrections}
    return Staging(
        table=table,
        source=manifest.name,
        source_sha256=manifest.sha256,
        patients=tuple(results),
        unused=tuple(correction for correction in applied if correction.slide_id not in used),
        not_run=tuple(sorted(row.slide_id for row in rows if row.is_he and row.slide_id in lacking)),
        not_listed=tuple(sorted(by_slide.keys() - wanted)),
        left_out=tuple(sorted(row.slide_id for row in rows if row.has_slide and not row.is_he)),
        mixed=mixed_words(staged),
        older=older_words(staged),
        reports=tuple(by_slide.values()),
        copies=files.told,
    )


def stage_labels(labels: LabelTable, table: StagingTable) -> Staging:
    """The stage of every patient of a table of labels, beside the one that the table states."""
    of_patient = _by_patient(slide.facts for slide in labels.slides)
    results = tuple(
        PatientResult(
            stage(specimen, table),
            stated=labels.stages.get(specimen.patient_id),
            notes=(*without_node_ids(facts), *_treatment_notes(specimen, table, facts)),
        )
        for specimen in group(labelled_sections(labels), table)
        for facts in (of_patient[specimen.patient_id],)
    )
    return Staging(table=table, source=labels.name, patients=results)


def _by_group(rows: Sequence[ManifestRow], table: StagingTable) -> defaultdict[tuple[str, str, str], list[ManifestRow]]:
    """Specimen.names -> the rows of it that have a slide."""
    groups: defaultdict[tuple[str, str, str], list[ManifestRow]] = defaultdict(list)
    for row in rows:
        if row.has_slide:
            groups[group_names(row.facts, table)].append(row)
    return groups


def _by_patient(facts: Iterable[NodeFacts]) -> defaultdict[str, list[NodeFacts]]:
    """patient_id -> what the rows say, of every specimen and side."""
    patients: defaultdict[str, list[NodeFacts]] = defaultdict(list)
    for fact in facts:
        patients[fact.patient_id].append(fact)
    return patients


def _staged(
    rows: Sequence[ManifestRow],
    reports: Mapping[str, StoredReport],
    table: StagingTable,
    *,
    apart: Mapping[str, str],
) -> list[Staged]:
    sections = [(row.facts, row.slide_id, _section(row, reports, apart=apart)) for row in rows]
    return [stage(specimen, table) for specimen in group(sections, table)]


def _section(row: ManifestRow, reports: Mapping[str, StoredReport], *, apart: Mapping[str, str]) -> Section | None:
    """None where the row has no slide, or one that isn't H&E: that is for the pathologist alone."""
    if not row.has_slide or not row.is_he:
        return None
    nodes, report = row.facts.nodes_on_slide, reports.get(row.slide_id)
    if report is not None:
        return section_of(report, nodes_on_slide=nodes)
    return not_run(row.slide_id, apart.get(row.slide_id, "listed, but not run"), nodes_on_slide=nodes)


def _result(
    staged: Staged, software: Staged, applied: Sequence[Applied], reports: Mapping[str, StoredReport]
) -> PatientResult:
    """Still without notes. reports: by slide, those that count: a correction of another one has no effect."""
    slides = {section.slide_id for section in staged.specimen.sections} & reports.keys()
    own = tuple(correction for correction in applied if correction.slide_id in slides)
    known = tuple(reports[slide_id] for slide_id in sorted(slides))
    return PatientResult(staged, (), software=software if own else None, corrections=own, reports=known)


def _notes(
    result: PatientResult, rows: Sequence[ManifestRow], facts: Sequence[NodeFacts], files: RowFiles
) -> tuple[Flag, ...]:
    """What must be known beside the stage's own notes. rows: of the specimen and side; facts: of the whole patient."""
    return (
        *files.notes(result.staged),
        *_treatment_notes(result.staged.specimen, result.staged.table, facts),
        *made_notes(result.reports),
        *_left_out_notes(rows),
        *without_node_ids([row.facts for row in rows]),
        *limit_notes(result.staged, result.reports),
    )


def _treatment_notes(specimen: Specimen, table: StagingTable, facts: Sequence[NodeFacts]) -> tuple[Flag, ...]:
    """That nothing is said of treatment here, but of the patient's other side or specimen; "no" is something.

    facts: of the patient's rows. A spreadsheet's cell that was joined over both sides leaves the second one's empty.
    """
    here = [fact.neoadjuvant for fact in facts if fact.specimen == specimen.names]
    elsewhere = [fact.neoadjuvant for fact in facts if fact.specimen != specimen.names]
    if not table.with_modifiers or not specimen.nodes or set(here) != {None} or True not in elsewhere:
        return ()
    text = (
        "According to the table, another specimen or side of this patient was removed after neoadjuvant treatment. For "
        "this one it says nothing, so the stage has no y. Fill in neoadjuvant here, too."
    )
    return (Flag("neoadjuvant_not_stated", text),)


def _left_out_notes(rows: Sequence[ManifestRow]) -> list[Flag]:
    """Which slides are of another stain: a reader must know that they had no part in the stage."""
    return [
        Flag("slide_left_out", f"Slide {row.slide_id} ({row.stain}) is not H&E, so it was left to the pathologist.")
        for row in rows
        if not row.is_he
    ]
