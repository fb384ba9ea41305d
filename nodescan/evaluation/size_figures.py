"""How measured sizes agree with true ones: of each lesion, and of the largest deposit of each slide."""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.classification import Metastasis
from nodescan.evaluation.agreement import bland_altman, confusion
from nodescan.evaluation.bootstrap import Estimate, by_unit, estimates, rate_of, share_by_unit, units_of
from nodescan.evaluation.compare import SlideOutcome
from nodescan.evaluation.pairing import LesionMatch, Pairing, with_sizes
from nodescan.reports.wording import WITH_TUMOUR

MISSED = "missed"
MERGED = "merged"
"""Of a lesion that was found as part of another one's deposit: no class was measured of it."""
FOUND_AS = (MISSED, MERGED, *(kind.word for kind in WITH_TUMOUR))
"""What may become of a known lesion: the last three are classes of its deposit."""


@dataclass(frozen=True, slots=True)
class SizeAgreement:
    """Bland-Altman over matched pairs with intervals, in um. median_error: share of the true size, without its sign.

    pairs: how many there are.
    """

    pairs: int
    bias: Estimate
    lower: Estimate
    upper: Estimate
    median_error: Estimate


@dataclass(frozen=True, slots=True)
class SizeTask:
    """Annotated lesions against deposits. lesions: all of them.

    by_class: of true ITC, micro, macro apart, since errors grow with size: limits of all pairs are too wide for the
    small ones and too narrow for the large. within: the share of measured sizes whose truth lies within the stated "±".
    classes : int64 (3, 5): true ITC, micro, macro by row; FOUND_AS by column.
    recall: the share of lesions of each true class that were found, merged ones among them.
    """

    lesions: tuple[LesionMatch, ...]
    agreement: SizeAgreement
    by_class: tuple[SizeAgreement, ...]
    within: Estimate
    classes: NDArray[np.int64]
    recall: tuple[Estimate, ...]
    false_deposits: Estimate
    pieces: int


@dataclass(frozen=True, slots=True)
class LargestTask:
    """The largest deposit of each slide: the size that the reference states against the one measured.

    slides: one a slide, its measured size None where nothing was found. n_stated: slides whose size the reference
    states; those without a result or a class are not among `slides`. by_class, within: as of SizeTask.
    """

    slides: tuple[LesionMatch, ...]
    n_stated: int
    agreement: SizeAgreement
    by_class: tuple[SizeAgreement, ...]
    within: Estimate


def sizes(slides: Sequence[SlideOutcome]) -> SizeTask | None:
    """Over slides whose lesions, or their absence, are known; None where none has a lesion."""
    paired = [(slide.unit, slide.pairing) for slide in slides if slide.pairing is not None]
    pairings, names = [pairing for _, pairing in paired], [name for name, _ in paired]
    lesions = tuple(lesion for pairing in pairings for lesion in pairing.lesions)
    if not lesions:
        return None
    by_slide = [pairing.lesions for pairing in pairings]
    return SizeTask(
        lesions=lesions,
        agreement=_agreement(by_slide, names),
        by_class=_by_class(by_slide, names),
        within=share_within(by_slide, names=names),
        classes=confusion(((lesion.true_class.word, found_as(lesion)) for lesion in lesions), FOUND_AS[2:], FOUND_AS),
        recall=tuple(recall(pairings, {kind}, names=names) for kind in WITH_TUMOUR),
        false_deposits=false_deposits(pairings, names=names),
        pieces=sum(pairing.pieces for pairing in pairings),
    )


def largest(slides: Sequence[SlideOutcome]) -> LargestTask | None:
    """Over slides with a class for which the reference states a size.

    Where something may be larger than it was measured the largest is one "at least", and no measurement.
    """
    matches: list[LesionMatch] = []
    names: list[Hashable] = []
    for slide in slides:
        truth, report = slide.reference, slide.report
        if truth.largest_um is None or truth.label is None or report is None or report.metastasis is None:
            continue
        measured = report.largest_deposit_um
        found = None if measured is None else report.metastasis
        at_least = measured is not None and report.size_at_least
        stated = max(((one.diameter_um, one.diameter_uncertainty_um) for one in report.deposits), default=None)
        plus_minus_um = None if measured is None or stated is None else stated[1]
        names.append(slide.unit)
        matches.append(
            LesionMatch(truth.slide_id, truth.largest_um, truth.label, measured, found, at_least, plus_minus_um)
        )
    if not matches:
        return None
    n_stated = sum(slide.reference.largest_um is not None for slide in slides)
    by_slide = [[match] for match in matches]
    agreement, by_class = _agreement(by_slide, names), _by_class(by_slide, names)
    return LargestTask(tuple(matches), n_stated, agreement, by_class, share_within(by_slide, names=names))


def _agreement(by_slide: Sequence[Sequence[LesionMatch]], names: Sequence[Hashable]) -> SizeAgreement:
    """Over all matched pairs of sizes that were measured from end to end. names: the unit of each slide."""
    pairs_um = [
        np.array([(m.true_um, m.measured_um) for m in with_sizes(lesions)], dtype=np.float64).reshape(-1, 2)
        for lesions in by_slide
    ]

    def statistic(drawn: NDArray[np.intp]) -> NDArray[np.float64]:
        pairs = np.concatenate([pairs_um[index] for index in drawn])
        found = bland_altman(pairs[:, 0], pairs[:, 1])
        if found is None:
            return np.full(4, np.nan)
        error = np.median(np.abs(pairs[:, 1] / pairs[:, 0] - 1))
        return np.array([*found, error])

    return SizeAgreement(sum(map(len, pairs_um)), *estimates(len(pairs_um), statistic, units=units_of(names)))


def _by_class(by_slide: Sequence[Sequence[LesionMatch]], names: Sequence[Hashable]) -> tuple[SizeAgreement, ...]:
    """`_agreement` of the lesions of each true class."""
    return tuple(
        _agreement([[one for one in lesions if one.true_class is kind] for lesions in by_slide], names)
        for kind in WITH_TUMOUR
    )


def share_within(by_slide: Sequence[Sequence[LesionMatch]], *, names: Sequence[Hashable] | None = None) -> Estimate:
    """Share of measured sizes whose truth lies within the stated "±"; names: as of `recall`."""
    told = [[one.within for one in lesions if one.within is not None] for lesions in by_slide]
    units = None if names is None else units_of(names)
    held, there = np.array([sum(own) for own in told]), np.array([len(own) for own in told])
    return share_by_unit(by_unit(held, units), by_unit(there, units))


def found_as(lesion: LesionMatch) -> str:
    """One of FOUND_AS."""
    if lesion.measured_class is not None:
        return lesion.measured_class.word
    return MERGED if lesion.merged else MISSED


def recall(
    pairings: Sequence[Pairing], kinds: Collection[Metastasis], *, names: Sequence[Hashable] | None = None
) -> Estimate:
    """Share of lesions of these true classes that were found; those of one slide, or unit, vary together.

    names: the unit of each slide, see `units_of`; None: each slide is its own.
    """
    own = [[lesion for lesion in pairing.lesions if lesion.true_class in kinds] for pairing in pairings]
    units = None if names is None else units_of(names)
    found = np.array([sum(lesion.is_found for lesion in lesions) for lesions in own])
    return share_by_unit(by_unit(found, units), by_unit(np.array([len(lesions) for lesions in own]), units))


def false_deposits(pairings: Sequence[Pairing], *, names: Sequence[Hashable] | None = None) -> Estimate:
    """A slide, over slides with a class. names: as of `recall`."""
    classed = [index for index, pairing in enumerate(pairings) if pairing.false_deposits is not None]
    counts = np.array([pairings[index].false_deposits for index in classed], dtype=np.float64)
    return rate_of(counts, None if names is None else units_of(names[index] for index in classed))
