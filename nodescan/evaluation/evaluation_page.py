"""evaluation.html: every figure with its interval, the three plots, the tables, and what was left out."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nodescan.domain.naming import how_many
from nodescan.evaluation.bootstrap import RESAMPLES, number_words
from nodescan.evaluation.compare import Comparison
from nodescan.evaluation.figures import FEW_SLIDES, Figures, LesionTask
from nodescan.evaluation.froc import FALSE_POSITIVES, FrocMode
from nodescan.evaluation.left_out import left_out
from nodescan.evaluation.occasion import occasion_facts
from nodescan.evaluation.operating_point import Calls
from nodescan.evaluation.page_tables import DIFFERENCES, tables_of, um
from nodescan.evaluation.paired import Against
from nodescan.evaluation.pairing import n_matched, with_sizes
from nodescan.evaluation.plots import bland_altman_plot, froc_plot, roc_plot
from nodescan.evaluation.size_figures import MERGED, LargestTask, SizeTask
from nodescan.evaluation.slide_auc import SCORE_DEFINITION, auc_interval
from nodescan.reports.detections import DETECTIONS_CSV
from nodescan.reports.made_with import MadeWith
from nodescan.reports.page import settings_note
from nodescan.reports.web_page import Fact, environment
from nodescan.reports.wording import minute_words, running_words

MODE_WORDS = {
    FrocMode.OFFICIAL: "official: the organisers' algorithm, quirks included",
    FrocMode.EVERY_SLIDE: "every slide: all lesions above 0.2 mm, drawn on cells of 32 px of level 0, on slides with a "
    "result and at each slide's own pixel size, without the quirks of the organisers' script",
}

_TRUE_CLASSES = "Blue: true isolated tumour cells; orange: micrometastases; red: macrometastases."


@dataclass(frozen=True, slots=True)
class Plot:
    """An SVG, made by this program alone."""

    title: str
    svg: Markup
    note: str


def render(comparison: Comparison, figures: Figures, *, reference: str) -> str:
    """The page as text, nothing loaded from anywhere."""
    page = environment("nodescan.evaluation").get_template("evaluation.html")
    return page.render(
        reference=reference,
        running=_running(comparison, reference),
        mode="" if figures.lesion_task is None else MODE_WORDS[comparison.mode],
        facts=key_facts(figures),
        plots=_plots(comparison, figures),
        tables=tables_of(figures),
        size_facts=[] if figures.sizes is None else _size_facts(figures.sizes),
        sensitivities=_sensitivities(figures),
        left_out=left_out(comparison, figures),
        provenance=(*occasion_facts(comparison.occasion, reference), *made_with_facts(comparison.made_with)),
        resamples=RESAMPLES,
        unit="patients (slides of one patient are drawn together)" if figures.by_patient else "slides",
        auc_interval=auc_interval(by_patient=figures.by_patient),
    )


def _running(comparison: Comparison, reference: str) -> str:
    """What the page is of, and when it was made, for each printed sheet."""
    occasion = comparison.occasion
    return running_words(
        f"Evaluation against {reference}", "" if occasion is None else f"made {minute_words(occasion.at)}"
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
    for called in figures.calls:
        facts += _called(called)
    if figures.sizes is not None:
        bias = um(figures.sizes.agreement.bias)
        facts.append(Fact("Bias of size", bias, "measured minus true, matched pairs"))
        facts += _within(figures.sizes)
    if figures.largest is not None:
        found = n_matched(figures.largest.slides)
        note = f"largest deposit of a slide, measured minus stated; {found} of {figures.largest.n_stated} slides"
        facts.append(Fact("Bias of largest size", um(figures.largest.agreement.bias), note))
        facts += [] if figures.sizes is not None else _within(figures.largest)
    return tuple(facts)


def _within(task: SizeTask | LargestTask) -> list[Fact]:
    """Nothing where no size was measured."""
    note = f"share of {task.within.n} measured sizes; meant: 0.95"
    return [Fact("True size within ±", number_words(task.within), note)] if task.within.n else []


def against_facts(found: Against) -> tuple[Fact, ...]:
    """Each difference in a line, for the terminal."""
    words = {one.name: number_words(one.apart, sign=True) for one in found.differences}
    return tuple(
        Fact(
            DIFFERENCES[one.name],
            words[one.name],
            f"less that of {found.name}; {how_many(one.n_slides, 'slide')} of both",
        )
        for one in found.differences
    )


def _called(called: Calls) -> list[Fact]:
    """Each share in a line, of what there is."""
    question, counts = called.question, called.table.sum(axis=1).tolist()
    of = f"of {how_many(counts[0], question.case)} with {question.positive}"
    found = called.given
    given = [] if found is None else [("PPV", found.positive), ("NPV", found.negative)]
    lines = [
        ("Sensitivity", called.sensitivity, of),
        ("Specificity", called.specificity, f"of the other {how_many(counts[1], question.case)}"),
        *((name, value, f"at a prevalence of {found.prevalence:g}") for name, value in given if found is not None),
    ]
    return [
        Fact(f"{name}, {question.short}", number_words(value), note)
        for name, value, note in lines
        if value.value is not None
    ]


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
        Fact("Configuration sha256", made.config_sha256 or "not stated", settings_note(made.own_settings)),
        Fact("Result version", str(made.result_version or "not stated"), "of the reports"),
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
        note = (
            f"{_TRUE_CLASSES} Dotted: 0.2 mm and 2 mm. Dashed: 95 % limits of all sizes; each class has its own below."
        )
        plots.append(Plot("Sizes (Bland-Altman)", Markup(svg), note))
    elif figures.largest is not None and figures.largest.agreement.bias.value is not None:
        svg = bland_altman_plot(with_sizes(figures.largest.slides), figures.largest.agreement)
        note = f"The largest deposit of each slide. {_TRUE_CLASSES} Dotted: 0.2 mm and 2 mm. Dashed: 95 % limits."
        plots.append(Plot("Largest sizes (Bland-Altman)", Markup(svg), note))
    return plots


def _size_facts(task: SizeTask) -> list[Fact]:
    matched = f"{n_matched(task.lesions)} of {len(task.lesions)}"
    merged = sum(lesion.merged for lesion in task.lesions)
    more = f"{how_many(merged, 'more lesion')} {MERGED}; " if merged else ""
    words = ("isolated tumour cells", "micrometastases", "macrometastases")
    return [
        Fact("Lesions matched", matched, f"{more}{task.pieces} more deposits are pieces of these lesions"),
        Fact("Bias", um(task.agreement.bias), "measured minus true"),
        Fact("Lower limit of agreement", um(task.agreement.lower)),
        Fact("Upper limit of agreement", um(task.agreement.upper)),
        *_within(task),
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
