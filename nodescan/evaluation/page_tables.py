"""The tables of evaluation.html: classes, what was called, sizes, and another run beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nodescan.evaluation.bootstrap import number_words
from nodescan.evaluation.figures import ClassTask, Figures
from nodescan.evaluation.operating_point import Calls
from nodescan.evaluation.paired import Against
from nodescan.evaluation.size_figures import FOUND_AS, MERGED, LargestTask, SizeTask
from nodescan.reports.wording import WITH_TUMOUR

um = partial(number_words, places=1, unit=" µm")

_MERGED_MEANS = "found as part of a deposit that is matched with another lesion"

DIFFERENCES = {
    "slide_auc": "Slide AUC, difference",
    "kappa_of_slide_classes": "Kappa, difference",
    **{f"recall_{kind.word}": f"Found {kind.word}, difference" for kind in WITH_TUMOUR},
}


@dataclass(frozen=True, slots=True)
class Table:
    """A confusion matrix as text: a head, and rows that begin with their name."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def tables_of(figures: Figures) -> list[Table]:
    tables: list[Table] = []
    if figures.stages is not None:
        tables.append(_class_table("Patient stages", figures.stages))
    if figures.slide_classes is not None:
        tables.append(_class_table("Slide classes", figures.slide_classes))
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
    return Table("Agreement of sizes by true class", head, rows, note)


def _class_table(title: str, task: ClassTask) -> Table:
    note = f"Rows: reference; columns: found; quadratic kappa {number_words(task.kappa)}."
    return Table(title, ("reference", *task.columns), _rows(task.rows, task.table), note)


def _calls_table(found: Sequence[Calls]) -> Table:
    """A row for each question, whatever is known of it."""
    named = [("observed", [called.observed for called in found])]
    given = [called.given for called in found if called.given is not None]
    named += [(f"at {given[0].prevalence:g}", given)] if given else []
    head = ["positive", "called so", "sensitivity", "specificity", "prevalence"]
    rows: list[list[str]] = []
    for called in found:
        (hits, missed), (false, right) = called.table.tolist()
        counts = f"{hits} of {hits + missed}; of the rest {false} of {false + right}"
        shares = number_words(called.sensitivity), number_words(called.specificity)
        without = f"; without a class: {sum(called.without_class)}" if any(called.without_class) else ""
        name = f"{called.question.case}s with {called.question.positive}"
        rows.append([name, counts + without, *shares, f"{called.observed.prevalence:.3f}"])
    for words, values in named:
        head += [f"PPV, {words}", f"NPV, {words}"]
        for row, value in zip(rows, values, strict=True):
            row += [number_words(value.positive), number_words(value.negative)]
    note = (
        "Of those with a class. Predictive values hold at the prevalence beside them. At a given one their low end is "
        "of both low ends of sensitivity and specificity, their high end of both high ends."
    )
    return Table("At the operating point", tuple(head), tuple(map(tuple, rows)), note)


def _against_table(found: Against) -> Table:
    rows = tuple(
        (
            DIFFERENCES[one.name].partition(",")[0],
            "not defined" if one.first is None else f"{one.first:.3f}",
            "not defined" if one.second is None else f"{one.second:.3f}",
            number_words(one.apart, sign=True),
            str(one.n_slides),
        )
        for one in found.differences
    )
    model = "" if found.made_with is None else f" ({found.made_with.model_words})"
    note = (
        f"Over the slides that both runs have it for, which are resampled together. The other run is {found.name}"
        f"{model}. If an interval of a difference holds 0, these slides do not tell which run is better."
    )
    head = ("figure", "this run", "the other", "difference", "slides")
    return Table(f"Compared with {found.name}", head, rows, note)


def _rows(names: Sequence[str], counts: NDArray[np.int64]) -> tuple[tuple[str, ...], ...]:
    """The rows of a confusion matrix, each with its name first. counts : int64 (names, columns)."""
    return tuple((name, *map(str, row)) for name, row in zip(names, counts.tolist(), strict=True))
