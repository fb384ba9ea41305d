"""The tables of an evaluation as CSV: each slide's score, each lesion with its size, the challenge's submission."""

from collections.abc import Iterator, Sequence

from nodescan.csv_rows import csv_text, plain_cell
from nodescan.domain.units import Spacing
from nodescan.evaluation.compare import Comparison, SlideOutcome
from nodescan.evaluation.pairing import LesionMatch
from nodescan.evaluation.reference import ReferenceSlide
from nodescan.evaluation.size_figures import found_as
from nodescan.patients.patient_files import submission_as_csv

SCORE_COLUMNS = (
    "slide_id",
    "tumour_probability",
    "slide_fingerprint",
    "label",
    "metastasis",
    "status",
    "patient_id",
    "node_id",
)

_ANY = Spacing.square(1.0)
"""What lesions are counted by where no spacing is known."""


def scores_csv(comparison: Comparison) -> str:
    """A row for each slide of the reference: its score, the fingerprint of the file that it is of, what is true of it,
    and what was found."""
    rows = [
        (
            plain_cell(slide.slide_id),
            slide.score,
            plain_cell("" if slide.report is None else slide.report.fingerprint),
            _truth(slide.reference),
            "" if slide.found is None else slide.found.word,
            "not_run" if slide.subject is None else "" if slide.report is None else slide.report.status.value,
            plain_cell(slide.patient_id),
            plain_cell(slide.reference.node_id),
        )
        for slide in comparison.slides
    ]
    return csv_text(SCORE_COLUMNS, rows)


def _truth(slide: ReferenceSlide) -> str:
    """Its class, or tumor or normal where that alone is known, as in a reference; "" where nothing is."""
    if slide.label is not None:
        return slide.label.word
    return "" if slide.tumour is None else "tumor" if slide.tumour else "normal"


def submission_csv(comparison: Comparison) -> str:
    """By what was found, if that is nothing, too: the challenge takes a stage for every patient."""
    submitted = ((patient.found, patient.submitted) for patient in comparison.patients)
    return submission_as_csv((found, stage) for found, stage in submitted if stage is not None)


def lesions_csv(matches: Sequence[LesionMatch], unmeasured: Sequence[tuple[object, ...]] = ()) -> str:
    rows: list[tuple[object, ...]] = [
        (
            plain_cell(lesion.slide_id),
            lesion.true_um,
            lesion.true_class.word,
            lesion.measured_um,
            found_as(lesion),
            "true" if lesion.at_least else "false",
            lesion.uncertainty_um,
            "" if lesion.within is None else "true" if lesion.within else "false",
        )
        for lesion in matches
    ]
    head = (
        "slide_id",
        "true_um",
        "true_class",
        "measured_um",
        "measured_class",
        "may_be_larger",
        "uncertainty_um",
        "within",
    )
    return csv_text(head, [*rows, *unmeasured])


def unmeasured_rows(slides: Sequence[SlideOutcome]) -> list[tuple[object, ...]]:
    """Rows of lesions that no measured size can be held against; none where no slide has a report, as of challenge
    files.

    In the class' place is why: the slide has no report, its report has no deposits.geojson, or that report's status
    where it has no pixel size either. Raises AnnotationError for a lesion file that can't be read.
    """
    if all(slide.report is None for slide in slides):
        return []
    return [row for slide in slides if slide.pairing is None for row in _unmeasured_of(slide)]


def _unmeasured_of(slide: SlideOutcome) -> Iterator[tuple[object, ...]]:
    file, report = slide.reference.lesions, slide.report
    if file is None:
        return
    info = None if report is None else report.info
    deposits = file.deposits(_ANY) if info is None else file.deposits(info.spacing, info.shown_from_px)
    sized = info is not None or file.kind_of_file == "truth"
    why = "not_run" if report is None else report.status.value if info is None else "no_outlines"
    for deposit in deposits:
        size, kind = (deposit.diameter_um, deposit.metastasis.word) if sized else (None, None)
        yield plain_cell(slide.slide_id), size, kind, None, why, "false", None, ""
