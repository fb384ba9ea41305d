"""What is scored: each slide as some system read it, from a run's reports or from challenge files."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nodescan.csv_rows import read_lines
from nodescan.domain.naming import few, how_many
from nodescan.domain.report import Status
from nodescan.errors import UsageError
from nodescan.evaluation.challenge_files import read_folder
from nodescan.evaluation.reference import Reference
from nodescan.reports.csv_report import SUMMARY_COLUMNS, SUMMARY_CSV
from nodescan.reports.detections import DETECTIONS_CSV, DetectionList, read_of_report
from nodescan.reports.made_with import MadeWith, differences, way_out
from nodescan.reports.report_reader import StoredReport, read_reports
from nodescan.slides.discovery import SUFFIXES
from nodescan.slides.slide_ids import slide_key


@dataclass(frozen=True, slots=True)
class Subject:
    """One slide as some system read it. report: None where only its detections are known. detections: None where it
    gave none, which isn't an empty list. patient_id: of the run's manifest; "" where that names none."""

    slide_id: str
    report: StoredReport | None
    detections: DetectionList | None
    patient_id: str = ""

    @property
    def judged(self) -> bool:
        """False where the report says that the network's answers mean nothing: not H&E, or everywhere the same."""
        return self.report is None or not self.report.not_judged

    @property
    def score(self) -> float | None:
        """The slide's tumour probability: the report's, else the highest confidence; None where it wasn't judged."""
        if self.report is not None:
            return self.report.tumour_probability if self.judged else None
        return None if self.detections is None else self.detections.highest

    @property
    def has_result(self) -> bool:
        """Whether its detections mean something: not where it failed, wasn't judged, or nothing was examined."""
        return self.detections is not None and self.score is not None

    @property
    def lacks_detections(self) -> bool:
        """Whether it was judged, but the run wrote no detections.csv of it: what the network found has no places."""
        return self.detections is None and self.score is not None

    @property
    def in_part(self) -> bool:
        """Whether it has a score, but only of what was examined of it."""
        return self.report is not None and self.report.status is Status.INCOMPLETE and self.score is not None

    @property
    def open_negative(self) -> bool:
        """Whether nothing was found in the part of it that was examined: it may yet be a slide with tumour."""
        return self.in_part and self.report is not None and self.report.metastasis is None


def subjects_of_run(folder: Path) -> Mapping[str, Subject]:
    """Every slide of a run's folder, by slide_id."""
    patients = {row.get("slide_id", ""): row.get("patient_id", "") for row in _summary(folder) or ()}
    return {
        report.slide_id: Subject(
            report.slide_id, report, read_of_report(report.folder), patients.get(report.slide_id, "")
        )
        for report in read_reports(folder)
    }


def few_ids(slide_ids: Iterable[str]) -> str:
    """The first of them in order, and how many there are more."""
    return few(sorted(slide_ids), 8)


def refuse_gaps(missing: Sequence[str], without_detections: Sequence[str]) -> None:
    """Raise UsageError where slides of the reference have no detections: official figures leave none out by themselves.

    missing: without a result. without_detections: with a result, but without the file.
    """
    named = sorted({*missing, *without_detections})
    if not named:
        return
    without = f" with csv among --reports (no {DETECTIONS_CSV}: {few_ids(without_detections)})"
    remedy = "run them" + (without if without_detections else "")
    raise UsageError(
        f"there are no detections for {how_many(len(named), 'slide')} of the reference, and leaving slides out "
        f"would raise the score: {few_ids(named)}; {remedy}, or add --as-submitted to score only the others"
    )


def refuse_endings(name: str, listed: Container[str], missing: Sequence[str], run: Mapping[str, Subject]) -> None:
    """Raise UsageError where the reference names slides by their files, and reports are named without the ending.

    name: of the reference; listed: its slides by slide_key; missing: those that were not run, by slide_id; run: by
    slide_key.
    """
    files = [Path(one) for one in missing]
    endless = {file.name: slide_key(file.stem) for file in files if file.suffix.lower() in SUFFIXES}
    meant = [one for one, key in endless.items() if key in run and key not in listed]
    if meant:
        raise UsageError(
            f"{name}: names slides with the ending of a file ({few_ids(meant)}), and reports are named "
            f"without it; leave the ending out, as in {run[endless[min(meant)]].slide_id}"
        )


def assuming_nothing(reference: Reference, by_key: Mapping[str, Subject], missing: list[str]) -> Reference:
    """The reference without its unlisted slides being normal: one of them may be one of `missing`, by another name."""
    strangers = [subject.slide_id for key, subject in by_key.items() if key not in reference.slides]
    assumed = [slide_id for slide_id in strangers if reference.find(slide_id) is not None]
    if not assumed:
        return reference
    note = (
        f"not assumed normal: {how_many(len(assumed), 'slide')} without a mask or outline ({few_ids(assumed)}), "
        f"because {few_ids(missing)} of the reference has no result under that name; run what is missing, give masks "
        "the names of the reports' folders, or list every slide in a CSV beside the masks"
    )
    return replace(reference, unlisted_is_normal=False, notes=(*reference.notes, note))


def refuse_strangers(known: Mapping[str, object], reference: Reference) -> None:
    """Raise UsageError where none of a run's slides is known to the reference."""
    if not known:
        some = ", ".join(sorted(slide.slide_id for slide in reference.slides.values())[:3])
        raise UsageError(f"{reference.name}: lists none of the slides that were run; its slides are named {some}, ...")


def without_row(folder: Path, slide_ids: Iterable[str]) -> tuple[str, ...]:
    """Those that the summary.csv of a run's folder doesn't name: an earlier run, or an older name, left their reports.

    Nothing where the table isn't there or can't be understood.
    """
    rows = _summary(folder)
    if rows is None:
        return ()
    named = {row[SUMMARY_COLUMNS[0]] for row in rows}
    return tuple(sorted(slide_id for slide_id in slide_ids if slide_id not in named))


def _summary(folder: Path) -> list[Mapping[str, str]] | None:
    """The rows of a run's summary.csv by its columns; None where it isn't there or can't be understood."""
    try:
        head, *rows = read_lines(folder / SUMMARY_CSV)
    except UsageError:
        return None
    columns = {number: head.text(number) for number in head.cells}
    if columns.get("0") != SUMMARY_COLUMNS[0]:
        return None
    return [{name: row.text(number) for number, name in columns.items()} for row in rows]


def subjects_of_challenge(folder: Path) -> Mapping[str, Subject]:
    """Every slide of a folder of challenge CSVs, by file name."""
    return {slide_id: Subject(slide_id, None, found) for slide_id, found in read_folder(folder).items()}


def by_slide_key(subjects: Mapping[str, Subject]) -> Mapping[str, Subject]:
    """The subjects by what a reference's names are matched by. Raises UsageError where two are of one name."""
    found: dict[str, Subject] = {}
    for subject in subjects.values():
        first = found.setdefault(slide_key(subject.slide_id), subject)
        if first is not subject:
            raise UsageError(
                f"the results of {first.slide_id!r} and {subject.slide_id!r} would both be held against one slide of "
                "the reference; leave one of them out"
            )
    return found


def made_alike(subjects: Sequence[Subject]) -> MadeWith | None:
    """What all reports were made with. Raises UsageError where it isn't one thing: a score of both says nothing."""
    made = {s.slide_id: s.report.made_with for s in subjects if s.report is not None and s.report.made_with is not None}
    mixed = differences(made)
    if mixed:
        raise UsageError(
            f"the reports were not made alike, so one score of them all would mean nothing ({mixed}); "
            f"{way_out(made.values())}, or list slides of one kind alone in the reference CSV"
        )
    return next(iter(made.values()), None)
