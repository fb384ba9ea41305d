"""How measured sizes agree with true ones: of each lesion, and of the largest deposit of each slide."""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.classification import Metastasis
from nodescan.evaluation.agreement import bland_altman, confusion
from nodescan.evaluation.bootstrap import Estimate, estimates, rate_of, share_by_unit, units_of
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
class Sizes:
    """Measured sizes against true ones. lesions: all of them, measured or not.

    by_class: of true ITC, micro, macro apart, since errors grow with size: limits of all pairs are too wide for the
    small ones and too narrow for the large. within: the share of measured sizes whose truth lies within the stated "±".
    """

    lesions: tuple[LesionMatch, ...]
    agreement: SizeAgreement
    by_class: tuple[SizeAgreement, ...]
    within: Estimate


@dataclass(frozen=True, slots=True)
class SizeTask(Sizes):
    """Annotated lesions against deposits. classes : int64 (3, 5): true ITC, micro, macro by row; FOUND_AS by column.

    recall: the share of lesions of each true class that were found, merged ones among them; recall_above: of micro- and
    macrometastases together. n_classed: slides with a class, which false_deposits is over.
    """

    classes: NDArray[np.int64]
    recall: tuple[Estimate, ...]
    recall_above: Estimate
    false_deposits: Estimate
    n_classed: int
    pieces: int


@dataclass(frozen=True, slots=True)
class LargestTask(Sizes):
    """The largest deposit of each slide, its measured size None where nothing was found, against the size stated.

    n_stated: slides whose size the reference states; one without a result or a class is not among `lesions`.
    """

    n_stated: int


def sizes(slides: Sequence[SlideOutcome]) -> SizeTask | None:
    """Over slides whose lesions, or their absence, are known; None where none has a lesion."""
    paired = [(slide.unit, slide.pairing) for slide in slides if slide.pairing is not None]
    pairings, units = [pairing for _, pairing in paired], units_of(unit for unit, _ in paired)
    lesions = tuple(lesion for pairing in pairings for lesion in pairing.lesions)
    if not lesions:
        return None
    return SizeTask(
        lesions,
        *_measured([pairing.lesions for pairing in pairings], units),
        classes=confusion(((lesion.true_class.word, found_as(lesion)) for lesion in lesions), FOUND_AS[2:], FOUND_AS),
        recall=tuple(recall(pairings, {kind}, units) for kind in WITH_TUMOUR),
        recall_above=recall(pairings, {Metastasis.MICRO, Metastasis.MACRO}, units),
        false_deposits=false_deposits(pairings, units),
        n_classed=sum(pairing.false_deposits is not None for pairing in pairings),
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
        deposits = () if report.not_judged else report.deposits
        sizes_um = ((one.diameter_um, one.diameter_uncertainty_um) for one in deposits)
        measured_um, plus_minus_um = max(sizes_um, default=(None, None))
        found = report.metastasis if deposits else None
        at_least = report.size_at_least and bool(deposits)
        names.append(slide.unit)
        matches.append(
            LesionMatch(truth.slide_id, truth.largest_um, truth.label, measured_um, found, at_least, plus_minus_um)
        )
    if not matches:
        return None
    n_stated = sum(slide.reference.largest_um is not None for slide in slides)
    return LargestTask(tuple(matches), *_measured([[match] for match in matches], units_of(names)), n_stated=n_stated)


def _measured(
    by_slide: Sequence[Sequence[LesionMatch]], units: NDArray[np.intp] | None
) -> tuple[SizeAgreement, tuple[SizeAgreement, ...], Estimate]:
    """agreement, by_class and within of Sizes. units: of the slides, as of `estimate`."""
    of_class = ([[one for one in lesions if one.true_class is kind] for lesions in by_slide] for kind in WITH_TUMOUR)
    by_class = tuple(_agreement(lesions, units) for lesions in of_class)
    return _agreement(by_slide, units), by_class, share_within(by_slide, units)


def _agreement(by_slide: Sequence[Sequence[LesionMatch]], units: NDArray[np.intp] | None) -> SizeAgreement:
    """Over all matched pairs of sizes that were measured from end to end."""
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

    return SizeAgreement(sum(map(len, pairs_um)), *estimates(len(pairs_um), statistic, units=units))


def share_within(by_slide: Sequence[Sequence[LesionMatch]], units: NDArray[np.intp] | None = None) -> Estimate:
    """Share of measured sizes whose truth lies within the stated "±"; units: as of `estimate`."""
    told = [[one.within for one in lesions if one.within is not None] for lesions in by_slide]
    return share_by_unit(np.array([sum(own) for own in told]), np.array([len(own) for own in told]), units)


def found_as(lesion: LesionMatch) -> str:
    """One of FOUND_AS."""
    if lesion.measured_class is not None:
        return lesion.measured_class.word
    return MERGED if lesion.merged else MISSED


def recall(
    pairings: Sequence[Pairing], kinds: Collection[Metastasis], units: NDArray[np.intp] | None = None
) -> Estimate:
    """Share of lesions of these true classes that were found; those of one slide, or unit, vary together."""
    own = [[lesion.is_found for lesion in pairing.lesions if lesion.true_class in kinds] for pairing in pairings]
    return share_by_unit(np.array([sum(found) for found in own]), np.array([len(found) for found in own]), units)


def false_deposits(pairings: Sequence[Pairing], units: NDArray[np.intp] | None = None) -> Estimate:
    """A slide, over slides with a class; units: as of `estimate`."""
    numbers = range(len(pairings)) if units is None else units.tolist()
    counts = [(one.false_deposits, unit) for one, unit in zip(pairings, numbers, strict=True)]
    classed = [(count, unit) for count, unit in counts if count is not None]
    return rate_of(np.array([count for count, _ in classed], dtype=np.float64), units_of(unit for _, unit in classed))
