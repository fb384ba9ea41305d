"""The tables of evaluation.html: classes, what was called, sizes, and another run beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nodescan.evaluation.bootstrap import NOT_DEFINED, number_words
from nodescan.evaluation.figures import ClassTask, Figures
from nodescan.evaluation.operating_point import Calls
from nodescan.evaluation.paired import Against
from nodescan.evaluation.size_figures import FOUND_AS, MERGED, LargestTask, SizeTask
from nodescan.reports.wording import WITH_TUMOUR

um = partial(number_words, places=1, unit=" µm")

_MERGED_MEANS = "found as part of a deposit that is matched with another lesion"

DIFFERENCES = {
    "slide_auc": "Slide AUC, difference",
    "kappa_of_slide_classes": "Kappa of slide classes, difference",
    **{f"recall_{kind.word}": f"Found {kind.word}, difference" for kind in WITH_TUMOUR},
}


@dataclass(frozen=True, slots=True)
class Table:
    """A confusion matrix, or figures, as text: rows begin with their name. across: as wide as the page."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str
    across: bool = False


def tables_of(figures: Figures) -> list[Table]:
    tables: list[Table] = []
    if figures.stages is not None:
        tables.append(_class_table("Patient stages", figures.stages))
    if figures.slide_classes is not None:
        tables.append(_class_table("Slide classes", figures.slide_classes))
    if figures.node_classes is not None:
        tables.append(_class_table("Node classes", figures.node_classes))
    if figures.against is not None:
        tables.append(_against_table(figures.against))
    if figures.calls:
        tables.append(_calls_table(figures.calls))
    if figures.sizes is not None:
        names = [kind.word for kind in WITH_TUMOUR]
        rows = _rows(names, figures.sizes.classes)
        note = f"Rows: class by true size; columns: class of the matched deposit; {MERGED}: {_MERGED_MEANS}."
        tables.append(Table("Lesions by true size", ("true", *FOUND_AS), rows, note))
    sized = figures.sizes or figures.largest
    if sized is not None and sized.agreement.bias.value is not None:
        tables.append(_agreement_table(sized))
    return tables


def _agreement_table(task: SizeTask | LargestTask) -> Table:
    """Bias and limits of each true class, and of all."""
    named = [(kind.word, own) for kind, own in zip(WITH_TUMOUR, task.by_class, strict=True)]
    rows = tuple(
        (name, str(own.pairs), um(own.bias), um(own.lower), um(own.upper), number_words(own.median_error))
        for name, own in (*named, ("all", task.agreement))
    )
    note = (
        "Errors grow with size: the limits of all are too wide for small deposits and too narrow for large ones. A "
        "class with fewer than two measured sizes has none."
    )
    head = ("true", "measured", "bias", "lower limit", "upper limit", "median error")
    return Table("Agreement of sizes by true class", head, rows, note, across=True)


def _class_table(title: str, task: ClassTask) -> Table:
    note = f"Rows: reference; columns: found; quadratic kappa {number_words(task.kappa)}."
    return Table(title, ("reference", *task.columns), _rows(task.rows, task.table), note)


def _calls_table(found: Sequence[Calls]) -> Table:
    """A column for each question: the counts of all its cases, then the shares."""
    pairs = "{} positive, {} other".format
    rows = [
        ("positive, called so", *(f"{one.table[0, 0]} of {one.table[0].sum()}" for one in found)),
        ("other, called positive", *(f"{one.table[1, 0]} of {one.table[1].sum()}" for one in found)),
        ("without a class", *(pairs(*one.without_class) for one in found)),
        ("not run", *(pairs(*one.not_run) for one in found)),
        ("sensitivity", *(number_words(one.sensitivity) for one in found)),
        ("specificity", *(number_words(one.specificity) for one in found)),
        ("sensitivity of all", *(number_words(one.sensitivity_of_all) for one in found)),
        ("specificity of all", *(number_words(one.specificity_of_all) for one in found)),
        ("prevalence", *(f"{one.observed.prevalence:.3f}" for one in found)),
        ("PPV", *(number_words(one.observed.positive) for one in found)),
        ("NPV", *(number_words(one.observed.negative) for one in found)),
    ]
    asked = "; ".join(f"{one.question.short}: {one.question.case}s with {one.question.positive}" for one in found)
    note = (
        f"Positive are, for {asked}. Shares are of those with a class (patients: a stage). One below the limit that is "
        "a lower bound (“at least”) counts as none. “Of all” counts a case without one, or that was not run, as not "
        "detected and as not called negative. Predictive values hold at the prevalence above them."
    )
    head = ("", *(one.question.short for one in found))
    return Table("At the operating point", head, tuple(rows), note, across=True)


def _against_table(found: Against) -> Table:
    rows = tuple(
        (
            DIFFERENCES[one.name].partition(",")[0],
            NOT_DEFINED if one.first is None else f"{one.first:.3f}",
            NOT_DEFINED if one.second is None else f"{one.second:.3f}",
            number_words(one.apart, sign=True),
            str(one.n_slides),
        )
        for one in found.differences
    )
    model = f" ({found.made_words})" if found.made_words else ""
    note = (
        f"Over the slides that both runs have it for, which are resampled together. The other run is {found.name}"
        f"{model}. If an interval of a difference holds 0, these slides do not tell which run is better. "
        "Exploratory: the differences are not adjusted for each other."
    )
    head = ("figure", "this run", "the other", "difference", "slides")
    return Table(f"Compared with {found.name}", head, rows, note)


def _rows(names: Sequence[str], counts: NDArray[np.int64]) -> tuple[tuple[str, ...], ...]:
    """The rows of a confusion matrix, each with its name first. counts : int64 (names, columns)."""
    return tuple((name, *map(str, row)) for name, row in zip(names, counts.tolist(), strict=True))
