"""evaluation.html: every figure with its interval, the three plots, the tables, and what was left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from nodescan.domain.naming import how_many
from nodescan.evaluation.bootstrap import RESAMPLES, number_words
from nodescan.evaluation.compare import Comparison
from nodescan.evaluation.figures import FEW_SLIDES, ClassTask, Figures, LesionTask
from nodescan.evaluation.froc import FALSE_POSITIVES, FrocMode
from nodescan.evaluation.pairing import LesionMatch, n_matched, with_sizes
from nodescan.evaluation.plots import bland_altman_plot, froc_plot, roc_plot
from nodescan.evaluation.size_figures import FOUND_AS, MERGED, SizeTask
from nodescan.evaluation.slide_auc import AUC_INTERVAL, SCORE_DEFINITION
from nodescan.reports.detections import DETECTIONS_CSV
from nodescan.reports.made_with import MadeWith
from nodescan.reports.web_page import Fact, environment
from nodescan.reports.wording import WITH_TUMOUR, percent

MODE_WORDS = {
    FrocMode.OFFICIAL: "official: the organisers' algorithm, quirks included",
    FrocMode.EVERY_SLIDE: "every slide: all lesions above 0.2 mm, drawn on cells of 32 px of level 0, on slides with a "
    "result and at each slide's own pixel size, without the quirks of the organisers' script",
}

_um = partial(number_words, places=1, unit=" µm")

NO_DETECTIONS = (
    f"Left out of the lesion task, because they have no {DETECTIONS_CSV} (run them again with csv among --reports)"
)

_MERGED_MEANS = "found as part of a deposit that is matched with another lesion"

_TRUE_CLASSES = "Blue: true isolated tumour cells; orange: micrometastases; red: macrometastases."


@dataclass(frozen=True, slots=True)
class Plot:
    """An SVG, made by this program alone."""

    title: str
    svg: Markup
    note: str


@dataclass(frozen=True, slots=True)
class Table:
    """A confusion matrix as text: a head, and rows that begin with their name."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def render(comparison: Comparison, figures: Figures, *, reference: str) -> str:
    """The page as text, nothing loaded from anywhere."""
    page = environment("nodescan.evaluation").get_template("evaluation.html")
    return page.render(
        reference=reference,
        mode="" if figures.lesion_task is None else MODE_WORDS[comparison.mode],
        facts=key_facts(figures),
        plots=_plots(comparison, figures),
        tables=_tables(figures),
        size_facts=[] if figures.sizes is None else _size_facts(figures.sizes),
        sensitivities=_sensitivities(figures),
        left_out=left_out(comparison, figures),
        provenance=made_with_facts(comparison.made_with),
        resamples=RESAMPLES,
        unit="patients (slides of one patient are drawn together)" if figures.by_patient else "slides",
        auc_interval=AUC_INTERVAL,
    )


def key_facts(figures: Figures) -> tuple[Fact, ...]:
    """The figures at the top of the page, and on the terminal."""
    facts: list[Fact] = []
    if figures.slide_task is not None:
        task = figures.slide_task
        without = f"; {len(task.without_score)} without a score left out" if task.without_score else ""
        kinds = f"{task.n_tumour} tumour, {task.n_normal} normal slides{without}{_in_part_note(task.in_part)}"
        if task.auc.value is not None and task.fewest < FEW_SLIDES:
            few = f"one kind has fewer than {FEW_SLIDES} slides"
            if task.fewest < min(task.n_tumour, task.n_normal):
                few = f"they are of {how_many(task.fewest, 'patient')}"
            kinds += f"; the interval is approximate, because {few}"
        facts.append(Fact("Slide AUC", number_words(task.auc), kinds))
    if figures.lesion_task is not None:
        facts.append(Fact("FROC score", number_words(figures.lesion_task.score), _froc_note(figures.lesion_task)))
    if figures.stages is not None:
        facts.append(Fact("Kappa of stages", number_words(figures.stages.kappa), f"{figures.stages.kappa.n} patients"))
    if figures.slide_classes is not None:
        classes = figures.slide_classes
        with_class = f"{classes.accuracy.n} slides with a class"
        facts.append(Fact("Kappa of slide classes", number_words(classes.kappa), with_class))
        facts.append(Fact("Right class", number_words(classes.accuracy), "share of slides with a class"))
    if figures.sizes is not None:
        bias = _um(figures.sizes.agreement.bias)
        facts.append(Fact("Bias of size", bias, "measured minus true, matched pairs"))
    if figures.largest is not None:
        found = n_matched(figures.largest.slides)
        note = f"largest deposit of a slide, measured minus stated; {found} of {figures.largest.n_stated} slides"
        facts.append(Fact("Bias of largest size", _um(figures.largest.agreement.bias), note))
    return tuple(facts)


def _froc_note(task: LesionTask) -> str:
    """What the score is of, and what slides without a result do to it."""
    without = [
        f"{len(names)} {what}"
        for names, what in ((task.normal_left_out, "normal left out"), (task.tumour_missed, "tumour counted as missed"))
        if names
    ]
    more = f"; slides without a result: {', '.join(without)}" if without else ""
    if task.without_detections:
        more += f"; {how_many(len(task.without_detections), 'slide')} without {DETECTIONS_CSV} left out"
    if task.normal_in_part:
        more += f"; {how_many(len(task.normal_in_part), 'normal slide')}, incomplete with nothing found, left out"
    return f"{task.n_lesions} lesions, {task.n_slides} slides{more}{_in_part_note(task.in_part)}"


def _in_part_note(names: Sequence[str]) -> str:
    return f"; {len(names)} incomplete, scored by the part that was examined" if names else ""


def made_with_facts(made: MadeWith | None) -> tuple[Fact, ...]:
    """What was scored: the model by name and sums, settings, result version."""
    if made is None:
        return (Fact("Model", "not known", "challenge files name no model"),)
    model = made.model
    return (
        Fact("Model", model.name, model.architecture),
        Fact("Weights sha256", model.weights_sha256),
        Fact("Card sha256", model.card_sha256 or "none"),
        Fact("Configuration sha256", made.config_sha256 or "not stated"),
        Fact("Result version", str(made.result_version or "not stated")),
    )


def left_out(comparison: Comparison, figures: Figures) -> tuple[Fact, ...]:
    """Slides and patients that don't stand behind a figure: each is named."""
    slides, lesions, sizes, largest = figures.slide_task, figures.lesion_task, figures.sizes, figures.largest
    listed = [
        ("In the reference, without a result", comparison.missing),
        (NO_DETECTIONS, comparison.without_detections),
        ("Run, but not in the reference", comparison.unknown),
        ("Tumour slides whose lesions the reference doesn't show", comparison.unscored),
        ("Left out of the size agreement", tuple(f"{left.slide_id} ({left.reason})" for left in comparison.unpaired)),
        (
            "Lesions whose deposit may be larger than measured: counted as found, left out of bias and limits",
            _with_lower_bounds(sizes.lesions) if sizes else (),
        ),
        (
            "Slides whose largest deposit may be larger than measured: left out of the bias of the largest size",
            _with_lower_bounds(largest.slides) if largest else (),
        ),
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


def _plots(comparison: Comparison, figures: Figures) -> list[Plot]:
    plots: list[Plot] = []
    if figures.slide_task is not None and figures.slide_task.auc.value is not None:
        plots.append(Plot("ROC, slides", Markup(roc_plot(figures.slide_task.curve)), SCORE_DEFINITION))
    if figures.lesion_task is not None:
        task = figures.lesion_task
        values = [found.value for found in task.sensitivities]
        svg = froc_plot(task.curve, values, steps=comparison.mode is FrocMode.EVERY_SLIDE)
        plots.append(Plot("FROC, lesions", Markup(svg), "The score is the mean of the six marked points."))
    if figures.sizes is not None and figures.sizes.agreement.bias.value is not None:
        svg = bland_altman_plot(with_sizes(figures.sizes.lesions), figures.sizes.agreement)
        note = f"{_TRUE_CLASSES} Dotted: 0.2 mm and 2 mm. Dashed: 95 % limits of agreement."
        plots.append(Plot("Sizes (Bland-Altman)", Markup(svg), note))
    elif figures.largest is not None and figures.largest.agreement.bias.value is not None:
        svg = bland_altman_plot(with_sizes(figures.largest.slides), figures.largest.agreement)
        note = f"The largest deposit of each slide. {_TRUE_CLASSES} Dotted: 0.2 mm and 2 mm. Dashed: 95 % limits."
        plots.append(Plot("Largest sizes (Bland-Altman)", Markup(svg), note))
    return plots


def _tables(figures: Figures) -> list[Table]:
    tables: list[Table] = []
    if figures.stages is not None:
        tables.append(_class_table("Patient stages", figures.stages))
    if figures.slide_classes is not None:
        tables.append(_class_table("Slide classes", figures.slide_classes))
    if figures.sizes is not None:
        names = [kind.word for kind in WITH_TUMOUR]
        rows = _rows(names, figures.sizes.classes)
        note = f"Rows: class by true size; columns: class of the matched deposit; {MERGED}: {_MERGED_MEANS}."
        tables.append(Table("Lesions by true size", ("true", *FOUND_AS), rows, note))
    return tables


def _class_table(title: str, task: ClassTask) -> Table:
    note = f"Rows: reference; columns: found; quadratic kappa {number_words(task.kappa)}."
    return Table(title, ("reference", *task.columns), _rows(task.rows, task.table), note)


def _rows(names: Sequence[str], counts: NDArray[np.int64]) -> tuple[tuple[str, ...], ...]:
    """The rows of a confusion matrix, each with its name first. counts : int64 (names, columns)."""
    return tuple((name, *map(str, row)) for name, row in zip(names, counts.tolist(), strict=True))


def _size_facts(task: SizeTask) -> list[Fact]:
    matched = f"{n_matched(task.lesions)} of {len(task.lesions)}"
    merged = sum(lesion.merged for lesion in task.lesions)
    more = f"{how_many(merged, 'more lesion')} {MERGED}; " if merged else ""
    words = ("isolated tumour cells", "micrometastases", "macrometastases")
    return [
        Fact("Lesions matched", matched, f"{more}{task.pieces} more deposits are pieces of these lesions"),
        Fact("Bias", _um(task.agreement.bias), "measured minus true"),
        Fact("Lower limit of agreement", _um(task.agreement.lower)),
        Fact("Upper limit of agreement", _um(task.agreement.upper)),
        Fact("Median error", number_words(task.agreement.median_error), "share of the true size"),
        *(
            Fact(f"Found {word}", number_words(found), "share of lesions of that true class, merged ones included")
            for word, found in zip(words, task.recall, strict=True)
            if found.value is not None
        ),
        Fact("False deposits per slide", number_words(task.false_deposits), "deposits that touch no lesion"),
    ]


def _sensitivities(figures: Figures) -> Sequence[tuple[str, str]]:
    if figures.lesion_task is None:
        return []
    found = figures.lesion_task.sensitivities
    return [(f"{at:g}", number_words(value)) for at, value in zip(FALSE_POSITIVES, found, strict=True)]
