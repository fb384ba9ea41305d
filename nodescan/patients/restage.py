"""Stages patients from stored reports and a manifest, or from a table of labels, without touching a slide."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nodescan.domain.classification import Metastasis
from nodescan.domain.flags import Flag
from nodescan.domain.patient import Section, Staged
from nodescan.domain.patient_stage import stage
from nodescan.domain.report import RESULT_VERSION
from nodescan.domain.staging import StagingTable
from nodescan.labels import LabelTable
from nodescan.manifest import Manifest, ManifestRow
from nodescan.patients.correction_rows import Correction
from nodescan.patients.corrections import Applied, apply_corrections
from nodescan.patients.grouping import group, labelled_sections, not_run, section_of, without_node_ids
from nodescan.reports.made_with import differences
from nodescan.reports.report_reader import StoredReport
from nodescan.reports.wording import limit_words
from nodescan.slides.discovery import SUFFIXES
from nodescan.slides.files import fingerprint
from nodescan.slides.slide_ids import real_path, slide_ids, slide_key
from nodescan.slides.spacing import AGREEMENT

DETECTION_LIMIT = "detection_limit"
"""Code of the note on what a pN0 does not exclude."""

MADE_ALIKE = "Run the slides again with one --model, --config and --max-unread, which redoes those that differ."
"""The way out where reports were made with different models, settings or result versions."""


@dataclass(frozen=True, slots=True)
class PatientResult:
    """One patient's specimen and side. software: the result before corrections, None where there were none.

    stated: the stage that the label table gives, None where it gives none. corrections: those of its slides. models: by
    which these were judged.
    """

    staged: Staged
    software: Staged | None = None
    stated: str | None = None
    corrections: tuple[Applied, ...] = ()
    notes: tuple[Flag, ...] = ()
    models: tuple[str, ...] = ()

    @property
    def all_notes(self) -> tuple[Flag, ...]:
        return (*self.staged.notes, *self.notes)


@dataclass(frozen=True, slots=True)
class Staging:
    """All patients. source: the table's file.

    not_run: slides of the manifest without a report; not_listed: the reverse; left_out: slides of another stain.
    mixed: how the staged reports differ in what they were made with, "" where they don't. older: how they are all of
    another result version than this program's, "" where they aren't. unused: corrections of slides in no patient.
    """

    table: StagingTable
    source: str
    patients: tuple[PatientResult, ...]
    not_run: tuple[str, ...] = ()
    not_listed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    mixed: str = ""
    older: str = ""
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
    check_patients(manifest)
    rows = identified(manifest).rows
    check_slides(rows)
    _check_names(rows, by_slide)
    mistaken = {row.slide_id for row in rows if _is_of_another_file(row, by_slide.get(row.slide_id))}
    by_slide = {slide_id: report for slide_id, report in by_slide.items() if slide_id not in mistaken}
    reviewed, applied = apply_corrections(reports, corrections)
    own = _staged(rows, by_slide, table, mistaken=mistaken)
    after = {report.slide_id: report for report in reviewed if report.slide_id not in mistaken}
    final = _staged(rows, after, table, mistaken=mistaken) if corrections else own
    wanted = {row.slide_id for row in rows if row.has_slide}
    results = [
        _result(result, before if corrections else None, applied, _rows_of(result, rows), by_slide)
        for result, before in zip(final, own, strict=True)
    ]
    staged = [by_slide[row.slide_id] for row in rows if row.has_slide and row.is_he and row.slide_id in by_slide]
    used = {correction.slide_id for result in results for correction in result.corrections}
    return Staging(
        table=table,
        source=manifest.name,
        patients=tuple(results),
        unused=tuple(correction for correction in applied if correction.slide_id not in used),
        not_run=tuple(sorted(row.slide_id for row in rows if row.is_he and row.slide_id in wanted - by_slide.keys())),
        not_listed=tuple(sorted(by_slide.keys() - wanted)),
        left_out=tuple(sorted(row.slide_id for row in rows if row.has_slide and not row.is_he)),
        models=tuple(sorted({model for result in results for model in result.models})),
        mixed=_mixed(staged),
        older=_older(staged),
    )


def stage_labels(labels: LabelTable, table: StagingTable) -> Staging:
    """The stage of every patient of a table of labels, beside the one that the table states."""
    facts = [slide.facts for slide in labels.slides]
    results = tuple(
        PatientResult(
            staged,
            stated=labels.stages.get(staged.specimen.patient_id),
            notes=without_node_ids([fact for fact in facts if fact.patient_id == staged.specimen.patient_id]),
        )
        for staged in (stage(specimen, table) for specimen in group(labelled_sections(labels), table))
    )
    return Staging(table=table, source=labels.name, patients=results)


def identified(manifest: Manifest) -> Manifest:
    """The manifest with a slide_id in each row that has a slide: as given, else what a run would call the file."""
    unnamed = [row.path for row in manifest.rows if not row.slide_id and row.path is not None]
    made = iter(slide_ids(unnamed))
    rows = (row if row.slide_id or row.path is None else replace(row, slide_id=next(made)) for row in manifest.rows)
    return replace(manifest, rows=tuple(rows))


def check_spacings(reports: Sequence[StoredReport], manifest: Manifest) -> None:
    """Raise UsageError where a row's mpp isn't what its slide was measured with: it was corrected since the scan."""
    by_slide = {report.slide_id: report.info for report in reports}
    for row in identified(manifest).rows:
        info = by_slide.get(row.slide_id)
        if info is not None and row.mpp_um is not None and abs(row.mpp_um / info.spacing.mean - 1) > AGREEMENT:
            raise row.facts.where.error(
                f"mpp is {row.mpp_um:g}, but the report of slide {row.slide_id!r} is measured with "
                f"{info.spacing.mean:g}: run the slide again, or correct mpp"
            )


def check_patients(manifest: Manifest) -> None:
    """Raise UsageError where a row names no patient."""
    for row in manifest.rows:
        if not row.facts.patient_id:
            raise row.facts.where.error("patient_id is empty; staging needs to know whose slide it is")


def check_slides(rows: Sequence[ManifestRow]) -> None:
    """Raise UsageError where two identified rows mean one slide: it could count for two patients.

    Ids are compared as disks that don't tell case apart do, files by where they really lie.
    """
    names: dict[str, ManifestRow] = {}
    files: dict[Path, ManifestRow] = {}
    for row in rows:
        where = row.facts.where
        first = names.setdefault(row.slide_id.casefold(), row) if row.slide_id else row
        if first is not row:
            line = first.facts.where.line
            raise where.error(f"the slide_id {row.slide_id!r} stands in line {line} too; give another")
        first = row if row.path is None else files.setdefault(real_path(row.path), row)
        if first is not row and row.path is not None:
            raise where.error(f"{row.path.name} is the same file as in line {first.facts.where.line}")


def _check_names(rows: Sequence[ManifestRow], reports: Mapping[str, StoredReport]) -> None:
    """Raise UsageError where a row without a report means one by another spelling: it would count as not run."""
    listed = {row.slide_id for row in rows}
    near = {_key(slide_id): slide_id for slide_id in reports if slide_id not in listed}
    for row in rows:
        meant = near.get(_key(row.slide_id)) if row.has_slide and row.slide_id not in reports else None
        if meant is not None:
            raise row.facts.where.error(f"there is no report of slide {row.slide_id!r}; did you mean {meant!r}?")


def _key(slide_id: str) -> str:
    """What a slide's spellings have in common: case and signs, a slide file's suffix, zeros that a spreadsheet took."""
    named = Path(slide_id)
    key = slide_key(named.stem if named.suffix.lower() in SUFFIXES else slide_id)
    return key.lstrip("0") if key.isdigit() else key


def _is_of_another_file(row: ManifestRow, report: StoredReport | None) -> bool:
    """Whether the file that the row names is there, and isn't the one that was reported: names such as 1.svs recur."""
    if row.path is None or report is None or not report.fingerprint:
        return False
    try:
        return fingerprint(row.path) != report.fingerprint
    except OSError:
        return False


def _staged(
    rows: Sequence[ManifestRow],
    reports: Mapping[str, StoredReport],
    table: StagingTable,
    *,
    mistaken: Collection[str],
) -> list[Staged]:
    sections = [(row.facts, row.slide_id, _section(row, reports, mistaken=mistaken)) for row in rows]
    return [stage(specimen, table) for specimen in group(sections, table)]


def _section(row: ManifestRow, reports: Mapping[str, StoredReport], *, mistaken: Collection[str]) -> Section | None:
    """None where the row has no slide, or one that isn't H&E: that is for the pathologist alone."""
    if not row.has_slide or not row.is_he:
        return None
    nodes, slide_id = row.facts.nodes_on_slide, row.slide_id
    report = reports.get(slide_id)
    if report is not None:
        return section_of(report, nodes_on_slide=nodes)
    why = "the report of that name is of another file: scan this one" if slide_id in mistaken else "listed, but not run"
    return not_run(slide_id, why, nodes_on_slide=nodes)


def _result(
    staged: Staged,
    software: Staged | None,
    applied: Sequence[Applied],
    rows: Sequence[ManifestRow],
    reports: Mapping[str, StoredReport],
) -> PatientResult:
    """reports: by slide, without those of another file; a correction of such a one is of no patient."""
    slides = {section.slide_id for node in staged.specimen.nodes for section in node.sections}
    known = [reports[slide_id] for slide_id in sorted(slides & reports.keys())]
    own = tuple(correction for correction in applied if correction.slide_id in slides & reports.keys())
    return PatientResult(
        staged,
        software=software if own else None,
        corrections=own,
        notes=(
            *_made_notes(known),
            *_left_out_notes(rows),
            *without_node_ids([row.facts for row in rows]),
            *_limit_notes(staged, known),
        ),
        models=tuple(sorted({report.made_with.model_words for report in known if report.made_with is not None})),
    )


def _limit_notes(staged: Staged, reports: Sequence[StoredReport]) -> list[Flag]:
    """What a negative result doesn't exclude, where it is one and the models' cards say it."""
    limit = limit_words(max((one.found_from_um for one in reports if one.found_from_um), default=None))
    if not limit or not staged.determined or staged.lowest is None or staged.lowest.largest is not Metastasis.NONE:
        return []
    return [Flag(DETECTION_LIMIT, limit)]


def _mixed(reports: Sequence[StoredReport]) -> str:
    """How these reports differ in what they were made with; "" where they were made alike."""
    return differences({report.slide_id: report.made_with for report in reports if report.made_with is not None})


def _older(reports: Sequence[StoredReport]) -> str:
    """That these reports, made alike, are of another result version than this program's, and what to do; "" else."""
    versions = {report.provenance.result_version for report in reports if report.provenance is not None}
    if versions <= {RESULT_VERSION} or _mixed(reports):
        return ""
    made = ", ".join(map(str, sorted(versions)))
    return f"of result version {made}; nodescan gives other results now ({RESULT_VERSION}): run the slides again"


def _made_notes(reports: Sequence[StoredReport]) -> list[Flag]:
    """Slides of one patient that were judged by different rules: the stage is of no one model. Or all by old ones."""
    mixed, older = _mixed(reports), _older(reports)
    text = f"This patient's reports were not made alike: {mixed}. {MADE_ALIKE}"
    notes = [Flag("mixed_reports", text)] if mixed else []
    return [*notes, Flag("older_reports", f"This patient's reports are {older}.")] if older else notes


def _left_out_notes(rows: Sequence[ManifestRow]) -> list[Flag]:
    """Which slides are of another stain: a reader must know that they had no part in the stage."""
    return [
        Flag("slide_left_out", f"Slide {row.slide_id} ({row.stain}) is not H&E: it was left to the pathologist.")
        for row in rows
        if not row.is_he
    ]


def _rows_of(staged: Staged, rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """The rows of this patient's specimen and side that have a slide; by CAMELYON17's table all of the patient's."""
    one = staged.specimen
    return [
        row
        for row in rows
        if row.has_slide
        and row.facts.patient_id == one.patient_id
        and one.specimen_id in ("", row.facts.specimen_id)
        and one.laterality in ("", row.facts.laterality)
    ]
