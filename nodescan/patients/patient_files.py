"""patients.csv, patients.json, a page for each patient, and CAMELYON17's own file of stages, written into the folder of
a run."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from nodescan import __version__
from nodescan.csv_rows import csv_text, plain_cell
from nodescan.domain.naming import SAFE_NAME
from nodescan.domain.patient import Node, Staged
from nodescan.domain.report import NOT_FOR_CLINICAL_USE
from nodescan.domain.section import Section
from nodescan.domain.staging import CAMELYON17, may_be_words
from nodescan.domain.versions import RESULT_VERSION
from nodescan.overwrite_checks import check_inputs, check_ours
from nodescan.patients.earlier_stages import (
    PAGES,
    PATIENTS_CSV,
    PATIENTS_JSON,
    STAGES,
    SUBMISSION_CSV,
    check_pages,
    earlier_pages,
    lost_patients,
    page_names,
    set_aside_before,
)
from nodescan.patients.page import render, word_if_known
from nodescan.patients.staging import PatientResult, Staging
from nodescan.patients.synoptic import determination, largest_size_words, may_be, n_borderline, synoptic
from nodescan.reports.html_report import REPORT_HTML
from nodescan.reports.json_report import REPORT_JSON
from nodescan.reports.report_reader import StoredReport
from nodescan.reports.summary_page import SUMMARY_HTML, stands
from nodescan.whole_files import (
    Json,
    json_bytes,
    output_errors,
    refuse_link,
    remove_once_closed,
    text_bytes,
    write_beside,
)

SCHEMA_VERSION = 1

CSV_COLUMNS = (
    "patient_id",
    "specimen_id",
    "laterality",
    "stage",
    "category",
    "at_least",
    "may_be",
    "status",
    "software_stage",
    "largest_deposit_um",
    "largest_deposit_uncertainty_um",
    "size_at_least",
    "nodes",
    "nodes_macro",
    "nodes_micro",
    "nodes_itc",
    "nodes_borderline",
    "nodes_positive",
    "notes",
)

_SUBMISSION_COLUMNS = ("patient", "stage")


def check_stages_place(folder: Path, read: Iterable[tuple[str, Path | None]], *, written: bool = True) -> None:
    """Raises UsageError where staging would lose what it reads, see `check_inputs`, or a patients.csv of the user's,
    and OutputError where the folder of the pages is a link.

    written: False for a run that only moves earlier stages aside.
    """
    check_inputs(read, (folder / name for name in STAGES))
    if written:
        refuse_link(folder / PAGES)
        check_ours(folder / PATIENTS_CSV, ",".join(CSV_COLUMNS[:4]))
        check_ours(folder / SUBMISSION_CSV, ",".join(_SUBMISSION_COLUMNS))


def replace_stages(staging: Staging, folder: Path, tell: Callable[[str], None]) -> tuple[Path, ...]:
    """Move what is to be kept of the stages that stand there, then `write_staging`; tell: hears of what goes."""
    for said in (set_aside_before(staging, folder), lost_patients(staging, folder)):
        if said:
            tell(said)
    return write_staging(staging, folder)


def write_staging(staging: Staging, folder: Path) -> tuple[Path, ...]:
    """Write all files; the pages' paths. Raises OutputError where the disk refuses, or holds another's file there.

    What stands there already and is to be kept was moved before, by `set_aside_before`.
    """
    pages, names = folder / PAGES, page_names([result.staged.specimen.names for result in staging.patients])
    with output_errors(pages):
        refuse_link(pages)
        pages.mkdir(parents=True, exist_ok=True)
        earlier = earlier_pages(folder)
        check_pages(folder, set(names) - earlier)
        for stale in earlier - set(names):
            remove_once_closed(pages / stale)
    write_beside(folder / PATIENTS_JSON, json_bytes(staging_as_json(staging)))  # no spreadsheet holds it
    write_beside(folder / PATIENTS_CSV, text_bytes(staging_as_csv(staging)))
    if staging.table is CAMELYON17:
        write_beside(folder / SUBMISSION_CSV, text_bytes(_submission(staging)))
    paths, linked = tuple(pages / name for name in names), _slide_pages(staging, folder)
    summary = (folder / SUMMARY_HTML).is_file()
    for path, result in zip(paths, staging.patients, strict=True):
        write_beside(path, text_bytes(render(result, staging, pages=linked, summary=summary)))
    return paths


def _slide_pages(staging: Staging, folder: Path) -> set[str]:
    """The slides whose reports have a page in the run's folder: with --reports json, say, there is none.

    One that an earlier run left there, as where the disk refused to replace it, is of no report that counts.
    """
    there = [(report, folder / report.slide_id) for report in staging.reports if SAFE_NAME.fullmatch(report.slide_id)]
    paged = [(report, place) for report, place in there if (place / REPORT_HTML).is_file()]
    return {report.slide_id for report, place in paged if stands(report, place / REPORT_JSON)}


def staging_as_json(staging: Staging) -> Json:
    """The content of patients.json. "stage" is what is printed, "at least" and modifiers included."""
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": NOT_FOR_CLINICAL_USE,
        "nodescan_version": __version__,
        "result_version": RESULT_VERSION,
        "staged_at": None if staging.staged_at is None else staging.staged_at.isoformat(timespec="seconds"),
        "mode": staging.table.name,
        "source": staging.source,
        "source_sha256": staging.source_sha256 or None,
        "corrections_file": None if staging.corrections_file is None else asdict(staging.corrections_file),
        "complete": staging.complete,
        "patients": [_patient(result) for result in staging.patients],
        "slides_not_run": list(staging.not_run),
        "slides_not_in_manifest": list(staging.not_listed),
        "slides_of_other_stains": list(staging.left_out),
        "models": list(staging.models),
        "own_settings": list(staging.own_settings),
        "mixed_reports": staging.mixed or None,
        "corrections_of_no_patient": [asdict(correction) for correction in staging.unused],
    }


def staging_as_csv(staging: Staging) -> str:
    """One row for each patient's specimen and side."""
    return csv_text(CSV_COLUMNS, ([plain_cell(cell) for cell in _row(result)] for result in staging.patients))


def _submission(staging: Staging) -> str:
    """Only patients with one stage: of others it could only hold a guess, and of unread ones a false pN0."""
    stages = [result.staged for result in staging.patients if result.staged.determined]
    return submission_as_csv((staged, staged.words) for staged in stages)


def _row(result: PatientResult) -> tuple[str, ...]:
    staged, counts, largest = result.staged, result.staged.counts, result.staged.specimen.largest
    return (
        *staged.specimen.names,
        staged.words,
        staged.category or "",
        "true" if staged.at_least else "false",
        may_be_words(may_be(staged), at_least=staged.bound is not None),
        "complete" if staged.complete else "incomplete",
        "" if result.software is None else result.software.words,
        *("" if length is None else repr(length) for length in _lengths(largest).values()),
        "" if largest is None else "true" if staged.size_at_least else "false",
        str(staged.specimen.n_nodes),
        *(count.words for count in (counts.macro, counts.micro, counts.itc)),
        str(n_borderline(staged)),
        counts.positive.words,
        " ".join(note.message for note in result.all_notes),
    )


def _lengths(section: Section | None) -> dict[str, float | None]:
    """The largest deposit of a slide that got a class, and its uncertainty."""
    size_um = None if section is None else section.largest_um
    uncertainty_um = None if section is None or size_um is None else section.uncertainty_um
    return {
        "largest_deposit_um": None if size_um is None else float(size_um),
        "largest_deposit_uncertainty_um": None if uncertainty_um is None else float(uncertainty_um),
    }


def _patient(result: PatientResult) -> Json:
    staged, counts = result.staged, result.staged.counts
    reports = {report.slide_id: report for report in result.reports}
    return {
        "patient_id": staged.specimen.patient_id,
        "specimen_id": staged.specimen.specimen_id or None,
        "laterality": staged.specimen.laterality or None,
        "stage": staged.words,
        "category": staged.category,
        "at_least": staged.at_least,
        "borderline": staged.borderline,
        "may_be": may_be(staged),
        "bound": staged.bound,
        "prefix": staged.prefix,
        "suffix": staged.suffix,
        "status": "complete" if staged.complete else "incomplete",
        "determination": determination(staged),
        "software_stage": None if result.software is None else result.software.words,
        "software_may_be": [] if result.software is None else may_be(result.software),
        "software_bound": None if result.software is None else result.software.bound,
        "stated_stage": result.stated,
        **_lengths(staged.specimen.largest),
        "size_at_least": staged.size_at_least,
        "largest_deposit": largest_size_words(staged),
        "n_nodes": staged.specimen.n_nodes,
        "n_nodes_without_slides": staged.n_without_slides,
        "n_nodes_examined": staged.specimen.n_examined,
        "n_nodes_in_part": staged.n_in_part,
        "n_nodes_macro": asdict(counts.macro),
        "n_nodes_micro": asdict(counts.micro),
        "n_nodes_itc": asdict(counts.itc),
        "n_nodes_positive": asdict(counts.positive),
        "n_nodes_borderline": n_borderline(staged),
        "nodes": [_node(node, reports) for node in staged.specimen.nodes],
        "synoptic": [
            {"element": element.label, "value": element.value, "note": element.note} for element in synoptic(staged)
        ],
        "notes": [asdict(note) for note in result.all_notes],
        "corrections": [asdict(correction) for correction in result.corrections],
    }


def _node(node: Node, reports: Mapping[str, StoredReport]) -> Json:
    return {
        "node_id": node.node_id,
        "metastasis": word_if_known(node.largest_class, complete=node.complete),
        "complete": node.complete,
        "nodes_on_slide": node.n_nodes,
        "sentinel": node.sentinel,
        "borderline": node.borderline,
        "cut_off": node.cut_off,
        **_lengths(node.largest),
        "size_at_least": node.size_at_least,
        "slides": [_section(section, reports.get(section.slide_id)) for section in node.sections],
    }


def _section(section: Section, report: StoredReport | None) -> Json:
    return {
        "slide_id": section.slide_id,
        "status": section.status.value,
        "metastasis": None if section.metastasis is None else section.metastasis.word,
        "borderline": section.borderline,
        "cut_off": section.cut_off,
        **_lengths(section),
        "size_at_least": section.size_at_least,
        "read_by": None if section.reading is None else section.reading.by,
        "reason": section.reason,
        **_made_from(report),
    }


def _made_from(report: StoredReport | None) -> dict[str, str | int | None]:
    """Which scan a slide's part in the stage is of, in the names of report.json; null without a report that counts."""
    made = None if report is None else report.provenance
    return {
        "slide_fingerprint": None if made is None else made.slide_fingerprint or None,
        "started": None if made is None else made.started,
        "config_sha256": None if made is None else made.config_sha256 or None,
        "result_version": None if made is None else made.result_version,
        "report_sha256": None if report is None else report.file_sha256 or None,
    }


def submission_as_csv(stages: Iterable[tuple[Staged, str]]) -> str:
    """CAMELYON17's file as text: a row for each patient, then one for each of its nodes that has a class.

    stages: each patient with the stage to submit. The challenge's own names begin as no formula does.
    """
    rows: list[tuple[str, str]] = []
    for staged, word in stages:
        rows.append((plain_cell(f"{staged.specimen.patient_id}.zip"), word))
        rows += [
            (plain_cell(f"{section.slide_id}.tif"), section.metastasis.word)
            for node in staged.specimen.nodes
            for section in node.sections
            if section.metastasis is not None
        ]
    return csv_text(_SUBMISSION_COLUMNS, rows)
