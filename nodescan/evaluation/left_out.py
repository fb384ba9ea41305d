"""Slides and patients that don't stand behind a figure, each named with its reason, for page and terminal."""

from collections.abc import Sequence

from nodescan.evaluation.compare import Comparison, Unpaired
from nodescan.evaluation.figures import Figures
from nodescan.evaluation.pairing import LesionMatch
from nodescan.reports.detections import DETECTIONS_CSV
from nodescan.reports.web_page import Fact
from nodescan.reports.wording import percent

NO_DETECTIONS = (
    f"Left out of the lesion task, because they have no {DETECTIONS_CSV} (run them again with csv among --reports)"
)


def left_out(comparison: Comparison, figures: Figures) -> tuple[Fact, ...]:
    """Slides and patients that don't stand behind a figure: each is named."""
    slides, lesions, sizes, largest = figures.slide_task, figures.lesion_task, figures.sizes, figures.largest
    listed = [
        ("In the reference, without a result", comparison.missing),
        (NO_DETECTIONS, comparison.without_detections),
        ("Run, but not in the reference", comparison.unknown),
        ("Tumour slides whose lesions the reference doesn't show", comparison.unscored),
        ("Left out of the size agreement", _with_reasons(comparison.unpaired)),
        (
            "Lesions whose deposit may be larger than measured: counted as found, left out of bias and limits",
            _with_lower_bounds(sizes.lesions) if sizes else (),
        ),
        (
            "Slides whose largest deposit may be larger than measured: left out of the bias of the largest size",
            _with_lower_bounds(largest.slides) if largest else (),
        ),
        *_not_compared(figures),
        ("Without a class, so left out of kappa, right class and largest size", _left_without_class(figures)),
        ("Without a slide score", slides.without_score if slides else ()),
        ("Not judged (not H&E, or the same answer everywhere), so without a score", comparison.not_judged),
        ("Normal slides without a result, left out of the FROC score", lesions.normal_left_out if lesions else ()),
        ("Tumour slides without a result, whose lesions count as missed", lesions.tumour_missed if lesions else ()),
        ("Incomplete, so scored only by the part that was examined", _in_part_words(comparison)),
        (
            "Normal slides, incomplete with nothing found, left out of the FROC score",
            lesions.normal_in_part if lesions else (),
        ),
        ("Patients without any slide run", comparison.patients_not_run),
        (
            "Patients whose stage is a lower bound, staged by what was found",
            tuple(patient.patient_id for patient in comparison.patients if patient.found.at_least),
        ),
        (
            "Patients not fully read in whom nothing was found, so without a stage",
            tuple(patient.patient_id for patient in comparison.patients if patient.found_stage is None),
        ),
    ]
    return tuple(Fact(label, str(len(names)), ", ".join(names)) for label, names in listed if names) + tuple(
        Fact("Note", note) for note in comparison.notes
    )


def _not_compared(figures: Figures) -> list[tuple[str, tuple[str, ...]]]:
    """Slides that both runs have, and whose lesions are no part of the differences; none without another run."""
    found = figures.against
    if found is None:
        return []
    return [(f"Slides whose lesions the comparison with {found.name} leaves out", _with_reasons(found.unpaired))]


def _with_reasons(slides: Sequence[Unpaired]) -> tuple[str, ...]:
    return tuple(f"{left.slide_id} ({left.reason})" for left in slides)


def _left_without_class(figures: Figures) -> tuple[str, ...]:
    """Slides without a class where there is a figure that they are left out of."""
    return figures.without_class if figures.slide_classes is not None or figures.largest is not None else ()


def _with_lower_bounds(lesions: Sequence[LesionMatch]) -> tuple[str, ...]:
    """Each lesion by its slide, as often as there are some."""
    return tuple(lesion.slide_id for lesion in lesions if lesion.at_least)


def _in_part_words(comparison: Comparison) -> tuple[str, ...]:
    """Each slide that was not read whole, with how much of its tissue was examined, as on its page: "n1 (46.9 %)"."""
    reports = [(slide.reference.slide_id, slide.report) for slide in comparison.slides if slide.in_part]
    return tuple(
        slide_id
        if report is None or report.examined_fraction is None
        else f"{slide_id} ({percent(report.examined_fraction)})"
        for slide_id, report in reports
    )
