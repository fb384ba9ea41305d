"""The table of an ablation: AUC and cost of every setting, and how far each is from the first."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.evaluation.bootstrap import Estimate, number_words
from nodescan.evaluation.slide_auc import roc_auc
from training.scoring.scores import bootstrap


@dataclass(frozen=True, slots=True)
class Run:
    """One setting trained with one seed. logit : float64 (N,); truth : bool (N,), of the validation patches."""

    name: str
    seed: int
    steps: int
    logit: NDArray[np.float64]
    truth: NDArray[np.bool_]
    seconds_per_step: float
    parameters: int


@dataclass(frozen=True, slots=True)
class Earlier:
    """Figures of earlier trials: name and AUC. note: how they were made."""

    note: str
    settings: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One setting over its seeds. difference: from the first setting, on the same patches; None for that itself."""

    name: str
    runs: tuple[Run, ...]
    auc: Estimate
    difference: Estimate | None


def rows(runs: Sequence[Run], names: Sequence[str]) -> list[Row]:
    """One for each setting that has a run, in the order of names.

    The interval is of the mean AUC of the seeds, by resampling patches; the same patches for both in a difference. It
    holds for these seeds: how much another seed changes shows between them only.
    """
    by_name = {name: tuple(run for run in runs if run.name == name) for name in names}
    first = by_name[names[0]]
    made = []
    for name, own in by_name.items():
        if not own:
            continue
        difference = None
        if first and name != names[0]:
            difference = bootstrap(
                lambda index, own=own: _mean_auc(own, index) - _mean_auc(first, index), len(own[0].truth)
            )
        mean = bootstrap(lambda index, own=own: _mean_auc(own, index), len(own[0].truth))
        made.append(Row(name, own, mean, difference))
    return made


def table(runs: Sequence[Run], names: Sequence[str], earlier: Earlier | None, *, base: str, plan: str) -> str:
    """The whole page as Markdown; settings that were not run yet are named. base, plan: paths of the two files."""
    made = rows(runs, names)
    tried = len(made) + (len(earlier.settings) if earlier else 0)
    lines = [
        "# Ablation",
        "",
        "<!-- Written by `python -m training ablate`. Don't edit it by hand. -->",
        "",
        f"Each setting is `{base}` with single values changed (`{plan}`), trained for few steps",
        "and scored on the validation patches. So few steps tell what learns faster, not what ends better.",
        "Intervals are over patches, for the seeds that were run. How much the AUC changes from one training to the",
        "next is not in them, so a difference whose interval leaves out 0 may still be chance.",
        f"Settings tried in all: {tried}.",
        "",
    ]
    if made:
        lines += [
            "| setting | steps | number of seeds | AUC (95 % by patch) | difference from the first (95 %, paired) "
            "| AUC by seed | s/step | weights |",
            "|---|---|---|---|---|---|---|---|",
            *(_line(row) for row in made),
            "",
        ]
    missing = [name for name in names if name not in {row.name for row in made}]
    if missing:
        lines += [f"Not run yet: {', '.join(missing)}.", ""]
    if earlier:
        lines += [
            f"Earlier trials ({earlier.note}; no interval was kept). Compare them with one another only:",
            "",
            "| setting | AUC |",
            "|---|---|",
            *(f"| {name} | {value:g} |" for name, value in earlier.settings),
            "",
        ]
    return "\n".join(lines)


def _line(row: Row) -> str:
    own = row.runs
    by_seed = ", ".join(f"{roc_auc(run.logit, run.truth):.4f}" for run in own)
    seconds = float(np.mean([run.seconds_per_step for run in own]))
    difference = "" if row.difference is None else number_words(row.difference, places=4, sign=True)
    auc = number_words(row.auc, places=4)
    cells = (row.name, own[0].steps, len(own), auc, difference, by_seed, f"{seconds:.2f}", f"{own[0].parameters:,}")
    return "| " + " | ".join(map(str, cells)) + " |"


def _mean_auc(runs: Sequence[Run], index: NDArray[np.intp]) -> float:
    return float(np.mean([roc_auc(run.logit[index], run.truth[index]) for run in runs]))
