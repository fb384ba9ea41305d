"""Slides whose deposits are known, and how well found deposits agree with them: class, false deposits, sizes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely

from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit, Detection, largest_class
from nodescan.errors import UsageError
from nodescan.evaluation.bootstrap import Estimate, share_of
from nodescan.evaluation.figures import CLASSES, class_task
from nodescan.evaluation.pairing import LesionMatch, Pairing, pair, with_sizes
from nodescan.evaluation.size_figures import false_deposits, recall, share_within
from nodescan.imaging.detections import BESIDE_UM
from nodescan.imaging.sizing import to_shape

LARGE_UM = 400
"""Below, errors of size are told in um: a few cells of the map are a large share of such a deposit."""

FEWEST_FOR_MEDIAN = 10
"""Of fewer errors the median says little: of two it is their mean."""


@dataclass(frozen=True, slots=True)
class KnownSlide:
    """A slide file and all deposits in it, as they are. label: its class by their sizes."""

    name: str
    path: Path
    deposits: tuple[Deposit, ...]

    @property
    def label(self) -> Metastasis:
        return largest_class(self.deposits)


@dataclass(frozen=True, slots=True)
class SlideScore:
    """One slide: true and found class, and its known deposits with those found.

    named: how many of the missed lie at a place that the slide's page names; None where that wasn't asked.
    """

    truth: Metastasis
    found: Metastasis
    pairing: Pairing
    named: int | None = None

    @property
    def missed(self) -> int:
        return sum(not lesion.is_found for lesion in self.pairing.lesions)


@dataclass(frozen=True, slots=True)
class SlideScores:
    """The figures of `nodescan evaluate` for the same slides, and of their sizes more.

    Size errors: medians over deposits that were measured, relative from 400 um up, in um below; None without any.
    n_from_400, n_below_400: how many these are. class_table: slides by true class (row) and found class (column), from
    negative to macro.
    recall: found, of any size. size_within: share of measured deposits whose true size lies within the stated
    uncertainty (meant: 0.95). missed_named: share of missed deposits that lie at one of the places that pages say to
    look at first.
    """

    kappa: Estimate
    negative_called_negative: int
    negatives: int
    false_deposits: Estimate
    recall_itc: Estimate
    recall_micro: Estimate
    recall_macro: Estimate
    size_error_large: float | None
    size_error_small_um: float | None
    n_from_400: int
    n_below_400: int
    size_within: Estimate
    missed_named: Estimate
    n: int
    class_table: tuple[tuple[int, ...], ...]


def check_both_kinds(slides: Sequence[KnownSlide]) -> None:
    """Raises UsageError where the slides are all tumour or all normal: no rule could be told from another."""
    if len({bool(slide.deposits) for slide in slides}) < 2:
        raise UsageError(
            f"{len(slides)} slides to tune on, all tumour or all normal: both are needed; see --slides or --seeds"
        )


def score_slide(
    slide: KnownSlide, deposits: Sequence[Deposit], *, places: Sequence[Detection] | None = None
) -> SlideScore:
    """Which known deposits were found, and what else.

    places: that the slide's page names; a known deposit lies at one that is BESIDE_UM from it at most.
    """
    shapes = {deposit.id: to_shape(deposit.outline) for deposit in deposits}
    pairing = pair(slide.name, slide.deposits, deposits, shapes)
    missed = [known for known, match in zip(slide.deposits, pairing.lesions, strict=True) if not match.is_found]
    named = None if places is None else sum(_is_named(known, places) for known in missed)
    return SlideScore(slide.label, largest_class(deposits), pairing, named)


def _is_named(known: Deposit, places: Sequence[Detection]) -> bool:
    outline = to_shape(known.outline)
    return any(shapely.dwithin(outline, shapely.Point(place.x_um, place.y_um), BESIDE_UM) for place in places)


def measured_lesions(scores: Sequence[SlideScore]) -> tuple[LesionMatch, ...]:
    """The known deposits of all slides whose sizes were measured."""
    return with_sizes([lesion for score in scores for lesion in score.pairing.lesions])


def summarise(scores: Sequence[SlideScore]) -> SlideScores:
    """All figures over the slides."""
    pairings = [score.pairing for score in scores]
    measured = measured_lesions(scores)
    large = [abs(lesion.error_um) / lesion.true_um for lesion in measured if lesion.true_um >= LARGE_UM]
    small = [abs(lesion.error_um) for lesion in measured if lesion.true_um < LARGE_UM]
    negative = [score.found for score in scores if score.truth is Metastasis.NONE]
    asked = [score for score in scores if score.named is not None]
    classes = class_task([(score.truth.word, score.found.word) for score in scores], CLASSES)
    return SlideScores(
        kappa=classes.kappa,
        negative_called_negative=negative.count(Metastasis.NONE),
        negatives=len(negative),
        false_deposits=false_deposits(pairings),
        recall_itc=recall(pairings, {Metastasis.ITC}),
        recall_micro=recall(pairings, {Metastasis.MICRO}),
        recall_macro=recall(pairings, {Metastasis.MACRO}),
        size_error_large=float(np.median(large)) if large else None,
        size_error_small_um=float(np.median(small)) if small else None,
        n_from_400=len(large),
        n_below_400=len(small),
        size_within=share_within([pairing.lesions for pairing in pairings]),
        missed_named=share_of(sum(score.named for score in asked), sum(score.missed for score in asked)),
        n=len(scores),
        class_table=tuple(tuple(row) for row in classes.table[:, 1:].tolist()),
    )


def as_stated(scores: SlideScores) -> SlideScores:
    """The figures as people are told them: without a median of fewer than FEWEST_FOR_MEDIAN deposits."""
    large = scores.size_error_large if scores.n_from_400 >= FEWEST_FOR_MEDIAN else None
    small = scores.size_error_small_um if scores.n_below_400 >= FEWEST_FOR_MEDIAN else None
    return replace(scores, size_error_large=large, size_error_small_um=small)


def recall_above_itc(scores: Sequence[SlideScore]) -> Estimate:
    """Found of the known deposits above 0.2 mm: which isolated tumour cells are found is chance."""
    return recall([score.pairing for score in scores], {Metastasis.MICRO, Metastasis.MACRO})
