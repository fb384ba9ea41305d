"""evaluation.html: every figure with its interval, the three plots, the tables, and what was left out."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nodescan.domain.naming import how_many
from nodescan.evaluation.bootstrap import NOT_DEFINED, RESAMPLES, Estimate, number_words
from nodescan.evaluation.compare import Comparison
from nodescan.evaluation.figures import FEW_SLIDES, Figures, LesionTask, SubmissionTask
from nodescan.evaluation.froc import FALSE_POSITIVES, FrocMode
from nodescan.evaluation.left_out import left_out
from nodescan.evaluation.operating_point import Calls
from nodescan.evaluation.page_tables import DIFFERENCES, tables_of, um
from nodescan.evaluation.paired import Against
from nodescan.evaluation.pairing import n_matched, with_sizes
from nodescan.evaluation.plots import bland_altman_plot, froc_plot, roc_plot
from nodescan.evaluation.provenance import Occasion, mode_words, occasion_facts
from nodescan.evaluation.size_figures import MERGED, LargestTask, SizeTask
from nodescan.evaluation.slide_auc import SCORE_DEFINITION, auc_interval
from nodescan.patients.earlier_stages import SUBMISSION_CSV
from nodescan.reports.detections import DETECTIONS_CSV
from nodescan.reports.made_with import MadeWith
from nodescan.reports.page import settings_note
from nodescan.reports.web_page import Fact, environment
from nodescan.reports.wording import minute_words, running_words

SOFTWARE_ALONE = "All figures are of the software alone: no correction by a reader counts."

FEWEST_DRAWN = 5
"""Of fewer lesions each step of a curve is a fifth or more: the table of sensitivities says as much."""

_TRUE_CLASSES = "Blue: true isolated tumour cells; orange: micrometastases; red: macrometastases."


@dataclass(frozen=True, slots=True)
class Plot:
    """An SVG, made by this program alone."""

    title: str
    svg: Markup
    note: str


def render(comparison: Comparison, figures: Figures, *, occasion: Occasion) -> str:
    """The page as text, nothing loaded from anywhere."""
    page = environment("nodescan.evaluation").get_template("evaluation.html")
    return page.render(
        reference=occasion.reference,
        running=running_words(f"Evaluation against {occasion.reference}", f"made {minute_words(occasion.at)}"),
        software_alone=SOFTWARE_ALONE,
        facts=_defined(key_facts(figures)),
        not_defined=[fact for fact in key_facts(figures) if fact.value == NOT_DEFINED],
        not_drawn=_not_drawn(figures),
        plots=_plots(comparison, figures),
        tables=tables_of(figures),
        size_facts=[] if figures.sizes is None else _size_facts(figures.sizes),
        sensitivities=_sensitivities(figures),
        left_out=left_out(comparison, figures),
        provenance=(
            *occasion_facts(occasion),
            *([] if figures.lesion_task is None else [Fact("Lesion task", mode_words(comparison, occasion))]),
            Fact("95 % intervals", _interval_words(by_patient=figures.by_patient)),
            *made_with_facts(comparison.made_with),
        ),
    )


def _interval_words(*, by_patient: bool) -> str:
    unit = "patients (slides of one patient are drawn together)" if by_patient else "slides"
    return (
        "Wilson's for shares (cases of one slide or patient count as fewer); Garwood's for false deposits, or the "
        f"bootstrap's if that is wider; for the slide AUC {auc_interval(by_patient=by_patient)}; {RESAMPLES} bootstrap "
        f"resamples of {unit} for all other figures"
    )


def _defined(facts: Sequence[Fact]) -> list[Fact]:
    return [fact for fact in facts if fact.value != NOT_DEFINED]


def _not_drawn(figures: Figures) -> str:
    """Why there is no FROC plot; "" where there is one, or no lesion task."""
    task = figures.lesion_task
    if task is None or task.n_lesions >= FEWEST_DRAWN:
        return ""
    return f"FROC is not drawn: a curve needs at least {FEWEST_DRAWN} lesions, not {task.n_lesions}."


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
        facts.append(Fact("Kappa of stages", number_words(figures.stages.kappa), _of_patients(figures)))
    if figures.submission is not None and (figures.submission.unread or figures.submission.n_absent):
        facts.append(_submission_fact(figures.submission))
    if figures.slide_classes is not None:
        classes = figures.slide_classes
        with_class = f"{how_many(classes.accuracy.n, 'slide')} with a class"
        facts.append(Fact("Kappa of slide classes", number_words(classes.kappa), with_class))
        facts.append(Fact("Right class", number_words(classes.accuracy), "share of slides with a class"))
    if figures.node_classes is not None:
        nodes = figures.node_classes
        with_class = f"{how_many(nodes.accuracy.n, 'node')} with a class"
        facts.append(Fact("Kappa of node classes", number_words(nodes.kappa), with_class))
        facts.append(Fact("Right class of nodes", number_words(nodes.accuracy), "share of nodes with a class"))
    for called in figures.calls:
        facts += _called(called)
    if figures.sizes is not None:
        bias = um(figures.sizes.agreement.bias)
        facts.append(Fact("Bias of size", bias, _pairs_note(figures.sizes)))
        facts += _within(figures.sizes)
    if figures.largest is not None:
        found = figures.largest.agreement.pairs
        note = f"largest deposit of a slide, measured minus stated; {found} of {figures.largest.n_stated} slides"
        facts.append(Fact("Bias of largest size", um(figures.largest.agreement.bias), note))
        facts += [] if figures.sizes is not None else _within(figures.largest)
    return tuple(facts)


def _of_patients(figures: Figures) -> str:
    assert figures.stages is not None
    n, everyone = figures.stages.kappa.n, int(figures.stages.table.sum()) + figures.n_stages_not_run
    return how_many(n, "patient") if n == everyone else f"the {n} of {how_many(everyone, 'patient')} with a stage"


def _submission_fact(task: SubmissionTask) -> Fact:
    """What the organisers would score, where that isn't the kappa of stages."""
    note = f"{how_many(task.kappa.n, 'patient')} in {SUBMISSION_CSV}"
    note += f", {len(task.unread)} as pN0 though not read whole" if task.unread else ""
    note += f"; {how_many(task.n_absent, 'patient')} of the reference not in it" if task.n_absent else ""
    return Fact("Kappa of submission", number_words(task.kappa), note)


def _pairs_note(task: SizeTask) -> str:
    """Of which pairs bias and limits of agreement are."""
    return f"measured minus true, {how_many(task.agreement.pairs, 'matched pair')} measured whole"


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
    question = called.question
    without = f"without a {question.answer} counts as not"
    lines = [
        ("Sensitivity", called.sensitivity, _cases(called, positive=True)),
        *_of_all("Sensitivity", called.sensitivity, called.sensitivity_of_all, f"{without} detected"),
        ("Specificity", called.specificity, _cases(called, positive=False)),
        *_of_all("Specificity", called.specificity, called.specificity_of_all, f"{without} called negative"),
    ]
    return [
        Fact(f"{name}, {question.short}", number_words(value), note)
        for name, value, note in lines
        if value.value is not None
    ]


def _cases(called: Calls, *, positive: bool) -> str:
    """What a share is of, and the cases that it leaves out: "of the 2 of 4 slides with ... that have a class; ..."."""
    question, row = called.question, 0 if positive else 1
    n, without, not_run = int(called.table[row].sum()), called.without_class[row], called.not_run[row]
    everyone = n + without + not_run
    of = f"with {question.positive}" if positive else ""
    if n == everyone:
        return f"of {how_many(n, question.case)} {of}" if positive else f"of the other {how_many(n, question.case)}"
    verb = "has" if everyone == 1 else "have"
    named = how_many(everyone, question.case if positive else f"other {question.case}")
    left = [f"{without} without one"] if without else []
    left += [f"{not_run} not run"] if not_run else []
    return f"of the {n} of {' '.join(filter(None, (named, of)))} that {verb} a {question.answer}; {', '.join(left)}"


def _of_all(name: str, own: Estimate, of_all: Estimate, without: str) -> list[tuple[str, Estimate, str]]:
    """A line of the share of all, where that isn't the share of those with a class."""
    return [] if of_all.n == own.n else [(f"{name} of all", of_all, f"of all {of_all.n}; {without}")]


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
    return (
        f"{how_many(task.n_lesions, 'lesion')}, {how_many(task.n_slides, 'slide')}{more}{_in_part_note(task.in_part)}"
    )


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
    if figures.lesion_task is not None and not _not_drawn(figures):
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
        svg = bland_altman_plot(with_sizes(figures.largest.lesions), figures.largest.agreement)
        note = f"The largest deposit of each slide. {_TRUE_CLASSES} Dotted: 0.2 mm and 2 mm. Dashed: 95 % limits."
        plots.append(Plot("Largest sizes (Bland-Altman)", Markup(svg), note))
    return plots


def _size_facts(task: SizeTask) -> list[Fact]:
    matched = f"{n_matched(task.lesions)} of {len(task.lesions)}"
    merged = sum(lesion.merged for lesion in task.lesions)
    more = f"{how_many(merged, 'more lesion')} {MERGED}; " if merged else ""
    words = ("isolated tumour cells", "micrometastases", "macrometastases")
    facts = [
        Fact("Lesions matched", matched, f"{more}{task.pieces} more deposits are pieces of these lesions"),
        Fact("Bias", um(task.agreement.bias), _pairs_note(task)),
        Fact("Lower limit of agreement", um(task.agreement.lower)),
        Fact("Upper limit of agreement", um(task.agreement.upper)),
        *_within(task),
        Fact("Median error", number_words(task.agreement.median_error), "share of the true size"),
        *(
            Fact(f"Found {word}", number_words(found), f"share of {found.n} of that true class, merged ones included")
            for word, found in zip(words, task.recall, strict=True)
            if found.value is not None
        ),
        Fact("Found above 0.2 mm", number_words(task.recall_above), f"share of {task.recall_above.n} such lesions"),
        Fact(
            "False deposits per slide",
            number_words(task.false_deposits),
            f"deposits that touch no lesion; {task.n_classed} slides",
        ),
    ]
    lacking = ", ".join(fact.label for fact in facts if fact.value == NOT_DEFINED)
    return [*_defined(facts), *([Fact("Not defined", lacking)] if lacking else [])]


def _sensitivities(figures: Figures) -> Sequence[tuple[str, str]]:
    if figures.lesion_task is None:
        return []
    found = figures.lesion_task.sensitivities
    return [(f"{at:g}", number_words(value)) for at, value in zip(FALSE_POSITIVES, found, strict=True)]
