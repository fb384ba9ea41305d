"""Slides and patients that don't stand behind a figure, each named with its reason, for page and terminal."""

from collections.abc import Sequence

from nodescan.domain.classification import Metastasis
from nodescan.evaluation.compare import Comparison, SlideOutcome, Unpaired
from nodescan.evaluation.figures import Figures
from nodescan.evaluation.operating_point import METASTASIS, is_lower_bound
from nodescan.evaluation.size_figures import Sizes
from nodescan.patients.earlier_stages import SUBMISSION_CSV
from nodescan.reports.detections import DETECTIONS_CSV
from nodescan.reports.web_page import Fact
from nodescan.reports.wording import percent

NO_DETECTIONS = (
    f"Left out of the lesion task, because they have no {DETECTIONS_CSV} (run them again with csv among --reports)"
)


def left_out(comparison: Comparison, figures: Figures) -> tuple[Fact, ...]:
    """Slides and patients that don't stand behind a figure: each is named."""
    slides, lesions, against = figures.slide_task, figures.lesion_task, figures.against
    listed = [
        ("In the reference, without a result", comparison.missing),
        (NO_DETECTIONS, comparison.without_detections),
        ("Run, but not in the reference", comparison.unknown),
        ("Tumour slides whose lesions the reference doesn't show", comparison.unscored),
        ("Left out of the size agreement", _with_reasons(comparison.unpaired)),
        (
            "Lesions whose deposit may be larger than measured: counted as found, left out of bias and limits",
            _with_lower_bounds(figures.sizes),
        ),
        (
            "Slides whose largest deposit may be larger than measured: left out of the bias of the largest size",
            _with_lower_bounds(figures.largest),
        ),
        (
            f"Slides whose lesions the comparison with {against.name if against else ''} leaves out",
            _with_reasons(against.unpaired) if against else (),
        ),
        (
            f"Without a class, so left out of {_class_figures(figures)}",
            figures.without_class if _class_figures(figures) else (),
        ),
        (
            "Slides whose class is a lower bound below micrometastasis, so left out of sensitivity, specificity, "
            f"predictive values of {METASTASIS.short}",
            _below(comparison.slides) if any(called.question is METASTASIS for called in figures.calls) else (),
        ),
        ("Without a slide score", slides.without_score if slides else ()),
        ("Not judged (not H&E, or the same answer everywhere), so without a score", comparison.not_judged),
        ("Normal slides without a result, left out of the FROC score", lesions.normal_left_out if lesions else ()),
        ("Tumour slides without a result, whose lesions count as missed", lesions.tumour_missed if lesions else ()),
        ("Incomplete, so scored only by the part that was examined", _in_part_words(comparison)),
        (
            "Normal slides, incomplete with nothing found, left out of the FROC score",
            lesions.normal_in_part if lesions else (),
        ),
        *_of_nodes(comparison),
        ("Patients without any slide run", comparison.patients_not_run),
        (
            "Patients whose stage is a lower bound, staged by what was found",
            tuple(patient.patient_id for patient in comparison.patients if patient.found.at_least),
        ),
        (
            f"Patients not fully read in whom nothing was found: without a stage here, pN0 in {SUBMISSION_CSV}",
            tuple(patient.patient_id for patient in comparison.patients if patient.submitted_unread),
        ),
        (
            f"Patients with more positive nodes than the table knows: without a stage, not in {SUBMISSION_CSV}",
            tuple(patient.patient_id for patient in comparison.patients if patient.submitted is None),
        ),
    ]
    return tuple(Fact(label, str(len(names)), ", ".join(names)) for label, names in listed if names) + tuple(
        Fact("Note", note) for note in comparison.notes
    )


def _class_figures(figures: Figures) -> str:
    """Those of the figures there are that need a slide's class."""
    of_slides = any(called.question.case == "slide" for called in figures.calls)
    named = (
        ("kappa, right class", figures.slide_classes is not None),
        ("sensitivity, specificity, predictive values", of_slides),
        ("largest size", figures.largest is not None),
    )
    return ", ".join(words for words, there in named if there)


def _of_nodes(comparison: Comparison) -> list[tuple[str, tuple[str, ...]]]:
    open_nodes = tuple(node.name for node in comparison.nodes if node.was_run and node.found is None)
    bounds = tuple(node.name for node in comparison.nodes if node.class_at_least)
    return [
        ("Nodes not fully read in which nothing was found: without a class", open_nodes),
        ("Nodes whose class is a lower bound, classed by what was found", bounds),
    ]


def _below(slides: Sequence[SlideOutcome]) -> tuple[str, ...]:
    """Those that would be called no micrometastasis, had what was not read counted as negative."""
    return tuple(
        one.slide_id for one in slides if is_lower_bound(one) and one.found is not None and one.found < Metastasis.MICRO
    )


def _with_reasons(slides: Sequence[Unpaired]) -> tuple[str, ...]:
    return tuple(f"{left.slide_id} ({left.reason})" for left in slides)


def _with_lower_bounds(task: Sizes | None) -> tuple[str, ...]:
    """Each lesion by its slide, as often as there are some."""
    return tuple(lesion.slide_id for lesion in task.lesions if lesion.at_least) if task else ()


def _in_part_words(comparison: Comparison) -> tuple[str, ...]:
    """Each slide that was not read whole, with how much of its tissue was examined, as on its page: "n1 (46.9 %)"."""
    reports = [(slide.slide_id, slide.report) for slide in comparison.slides if slide.in_part]
    shares = [(slide_id, None if report is None else report.examined_fraction) for slide_id, report in reports]
    return tuple(slide_id if share is None else f"{slide_id} ({percent(share)})" for slide_id, share in shares)
