"""`nodescan stage`: patients from stored reports and a manifest, or from a table of labels."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodescan.commands.options import COMPLETE, NOT_COMPLETE
from nodescan.commands.tables import print_json, print_table
from nodescan.errors import UsageError
from nodescan.streams import tell

if TYPE_CHECKING:  # a command imports what it needs when it runs, so that --help costs nothing
    from nodescan.domain.staging import StagingTable
    from nodescan.patients.staging import PatientResult, Staging

Out = Annotated[Path | None, typer.Argument(metavar="OUT", help="Results folder of a run whose reports are staged.")]
ManifestFile = Annotated[
    Path | None,
    typer.Option("--manifest", metavar="CSV", help="Table of slides with their patients and nodes."),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="CSV",
        help="Stage a table of node labels instead of a run: columns patient_id, node_id, label, ... "
        "or those of CAMELYON17.",
    ),
]
Mode = Annotated[
    str | None,
    typer.Option(
        "--mode",
        metavar="ajcc8|camelyon17",
        help="Staging table.",
        show_default="ajcc8, or that of the label file's format",
    ),
]
Corrections = Annotated[
    Path | None,
    typer.Option(
        "--corrections",
        metavar="CSV",
        help="Table of a reader's corrections: slide_id, deposit_id (or centre_x_um, centre_y_um as on the slide's "
        "page; none for read, which is of the whole slide), action (accept, reject, add, resize, class, read), value "
        "(um, or negative, itc, micro, macro), by, comment; if wanted, date, and file as on the slide's page.",
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print patients.json. The files of a run are still written."),
]

MOST_NAMED = 5
"""Slides and patients in one line on the terminal; the files have all."""


def stage(
    out: Out = None,
    manifest: ManifestFile = None,
    labels: Labels = None,
    mode: Mode = None,
    corrections: Corrections = None,
    as_json: AsJson = False,
) -> int:
    """Stage patients (pN) from the reports of a run and a manifest, or from a table of node labels."""
    if labels is not None:
        if out is not None or manifest is not None or corrections is not None:
            raise UsageError("--labels: stages a table by itself; leave out OUT, --manifest and --corrections")
        return _stage_labels(labels, mode, as_json=as_json)
    if out is None:
        raise UsageError("stage: name the folder of a run and --manifest CSV, or give --labels CSV")
    if manifest is None:
        raise UsageError("stage: --manifest CSV is missing; it says which slide belongs to which patient and node")
    return _stage_run(out, manifest, mode, corrections, as_json=as_json)


def _stage_run(out: Path, manifest: Path, mode: str | None, corrections: Path | None, *, as_json: bool) -> int:
    from nodescan.batch.lock import held
    from nodescan.domain.naming import few, how_many
    from nodescan.domain.staging import CAMELYON17
    from nodescan.patients.correction_rows import corrections_file, read_corrections
    from nodescan.patients.earlier_stages import SUBMISSION_CSV, earlier_corrections
    from nodescan.patients.patient_files import check_stages_place, replace_stages, staging_as_json
    from nodescan.patients.reviews_aside import with_reviews_aside
    from nodescan.patients.run_page import tell_patients
    from nodescan.patients.slide_rows import check_spacings, read_slide_rows
    from nodescan.patients.staging import stage_reports
    from nodescan.reports.report_reader import check_folder, read_reports

    table = _table(mode, default="ajcc8")
    review = () if corrections is None else read_corrections(corrections)
    review_file = None if corrections is None else corrections_file(corrections)
    check_folder(out)
    rows = read_slide_rows(manifest)
    check_stages_place(out, (("--manifest", manifest), ("--corrections", corrections)))
    with held(out, option="OUT"):  # a run that goes on there writes reports and stages, too
        reports = read_reports(out)
        check_spacings({report.slide_id: report.info for report in reports}, rows)
        staging = stage_reports(reports, rows, table, corrections=review, earlier=earlier_corrections(out))
        staging = replace(staging, staged_at=datetime.now(UTC), corrections_file=review_file)
        staging = with_reviews_aside(staging, out)
        pages = replace_stages(staging, out, _note)
        tell_patients(out)
    if staging.mixed:
        _note(f"the reports were not made alike: {staging.mixed}; {staging.mixed_way_out}")
    if staging.older:
        _note(f"the reports are {staging.older}")
    if as_json:
        _tell_copies(staging)
        print_json(staging_as_json(staging))
    else:
        print_staging(staging)
        pages_in = f"{how_many(len(pages), 'page')} in {out / 'patients'}"
        tell(f"Written: {out / 'patients.csv'}, {out / 'patients.json'}, {pages_in}")
        if table is CAMELYON17:
            lacking = [_name(result) for result in staging.patients if not result.staged.determined]
            without = f", without {few(lacking, MOST_NAMED)}, whose stage is not determined" if lacking else ""
            tell(f"Written: {out / SUBMISSION_CSV}{without}")
    return COMPLETE if staging.complete else NOT_COMPLETE


def _stage_labels(labels: Path, mode: str | None, *, as_json: bool) -> int:
    from nodescan.evaluation.agreement import kappa_of_words
    from nodescan.labels import read_labels
    from nodescan.patients.patient_files import staging_as_json
    from nodescan.patients.staging import stage_labels

    read = read_labels(labels)
    staging = replace(stage_labels(read, _table(mode, default=read.table.name)), staged_at=datetime.now(UTC))
    stated = [(result.stated, result.staged.category) for result in staging.patients if result.stated is not None]
    pairs = [(one, other) for one, other in stated if other is not None] if staging.table is read.table else []
    order = [rule.category for rule in staging.table.rules]
    agreed, kappa = sum(one == other for one, other in pairs), kappa_of_words(pairs, order)
    if as_json:
        comparison = {"n": len(stated), "agreed": agreed, "kappa": kappa} if pairs else None
        print_json({**staging_as_json(staging), "agreement_with_stated": comparison})
        return COMPLETE if staging.complete else NOT_COMPLETE
    print_staging(staging)
    if pairs:
        shown = "not defined" if kappa is None else f"{kappa:.3f}"
        tell(f"{agreed} of {len(stated)} stages equal those in {read.name}; quadratic kappa {shown}")
        for result in staging.patients:
            if result.stated is not None and result.stated != result.staged.category:
                tell(f"differs: {_name(result)}, {result.stated} in {read.name}, {result.staged.words} by its nodes")
    return COMPLETE if staging.complete else NOT_COMPLETE


def _table(mode: str | None, *, default: str) -> "StagingTable":
    from nodescan.domain.staging import TABLES

    name = default if mode is None else mode.casefold()
    if name not in TABLES:
        raise UsageError(f"--mode: {mode!r} is not known; choose from {', '.join(TABLES)}")
    return TABLES[name]


def print_staging(staging: "Staging") -> None:
    """One line a patient, then what makes a stage uncertain, then what was left out."""
    from nodescan.domain.naming import few, how_many
    from nodescan.domain.report import NOT_FOR_CLINICAL_USE
    from nodescan.patients.synoptic import borderline_of_them

    lines = [_line(result) for result in staging.patients]
    print_table(("patient", "stage", "nodes examined", "largest deposit"), lines)
    for message, names in _notes(staging).items():
        who = names[0] if len(names) == 1 else f"{len(names)} patients"
        tell(f"note, {who}: {message}")
    _tell_copies(staging)
    for what, slides in (
        ("in the manifest but not run, so their nodes count as unread", staging.not_run),
        ("run but not in the manifest, so in no patient", staging.not_listed),
        ("with another stain than H&E, left to the pathologist", staging.left_out),
    ):
        if slides:
            tell(f"{how_many(len(slides), 'slide')} {what}: {few(slides, MOST_NAMED)}")
    _tell_unused(staging)
    determined = [result.staged for result in staging.patients if result.staged.determined]
    borderline = borderline_of_them(sum(staged.borderline for staged in determined))
    count = f"{len(determined)} of {len(staging.patients)} determined{borderline}"
    tell(f"{count}. pN (node component only), in the sections examined.")
    tell(NOT_FOR_CLINICAL_USE)


def _tell_unused(staging: "Staging") -> None:
    from nodescan.domain.naming import few, how_many

    unlisted = set(staging.not_listed)
    for listed, why in ((False, "the slides belong to no patient"), (True, "copies of one file count for no patient")):
        slides = [one.slide_id for one in staging.unused if (one.slide_id not in unlisted) == listed]
        if slides:
            count = how_many(len(slides), "correction")
            tell(f"{count} without effect, because {why}: {few(sorted({*slides}), MOST_NAMED)}")


def _tell_copies(staging: "Staging") -> None:
    """Here alone are several patients named in one breath: this is where a wrong file is mended."""
    for words in staging.copies:
        _note(words)


def _note(text: str) -> None:
    """On stderr, so that --json stands alone on stdout."""
    tell(f"note: {text}", sys.stderr)


def _notes(staging: "Staging") -> dict[str, list[str]]:
    """Each note once, with whom it is about; what is said alike of more than a few slides, once for all of them.

    Without the slides of another stain, which are counted by themselves.
    """
    from nodescan.domain.naming import few, how_many
    from nodescan.patients.sentences import whatever_is_unread

    said = [
        (_name(result), *_slide_and_rest(note.message, result), note.message)
        for result in staging.patients
        for note in result.all_notes
        if note.code != "slide_left_out"
    ]
    slides: dict[str, list[str]] = {}
    for _, slide_id, rest, _ in said:
        slides.setdefault(rest, []).extend(filter(None, (slide_id,)))
    notes: dict[str, list[str]] = {}
    for name, slide_id, rest, message in said:
        alike = slides[rest] if slide_id else []
        together = f"{how_many(len(alike), 'slide')} ({few(alike, MOST_NAMED)}): {rest}"
        notes.setdefault(together if len(alike) > MOST_NAMED else message, []).append(name)
    for result in staging.patients:
        if stays := whatever_is_unread(result.staged):
            notes.setdefault(f"{stays}.", []).append(_name(result))
    return {message: list(dict.fromkeys(names)) for message, names in notes.items()}


def _slide_and_rest(message: str, result: "PatientResult") -> tuple[str, str]:
    """The slide that a note is about and what it says of it; "" and the whole note where it names none first."""
    from nodescan.domain.naming import slide_of_node

    for node in result.staged.specimen.nodes:
        for section in node.sections:
            begin = f"{slide_of_node(node.node_id, section.slide_id)}: "
            if message.startswith(begin):
                return section.slide_id, message.removeprefix(begin)
    return "", message


def _line(result: "PatientResult") -> tuple[str, str, str, str]:
    from nodescan.patients.synoptic import borderline_words, largest_size_words, stage_words

    words, unsure = result.staged.words, borderline_words(result.staged)
    if unsure:
        words += f" ({unsure})"
    if result.software is not None and stage_words(result.software) != stage_words(result.staged):
        words += f" (software alone: {stage_words(result.software)})"
    specimen = result.staged.specimen
    nodes = f"{specimen.n_examined} of {result.staged.n_nodes}"
    return _name(result), words, nodes, largest_size_words(result.staged)


def _name(result: "PatientResult") -> str:
    return " ".join(filter(None, result.staged.specimen.names))
