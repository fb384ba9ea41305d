"""Chooses a model's decision rule on validation slides: smoothing, thresholds, and the correction of sizes."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, product
from multiprocessing import get_context

import numpy as np
import shapely
from numpy.typing import NDArray

from nodescan.domain.classification import classify
from nodescan.domain.decision import NORMAL_FACTOR, DecisionRule
from nodescan.domain.deposits import Deposit
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Micrometers, Spacing
from nodescan.errors import UsageError
from nodescan.evaluation.bootstrap import Estimate
from nodescan.evaluation.pairing import LesionMatch
from nodescan.imaging.segmentation import SegmentationSettings, find_foci
from nodescan.imaging.sizing import corrected_um, to_shape
from nodescan.inference.card import LEAST_UNCERTAINTY_UM
from training.provenance import UNMEASURED_FACTOR, UNTUNED
from training.tuning.discs import DiscMap, measured_discs, sizes_follow
from training.tuning.known_slides import (
    KnownSlide,
    SlideScore,
    SlideScores,
    measured_lesions,
    recall_above_itc,
    score_slide,
    summarise,
)

SMOOTHING_UM = (16.0, 24.0, 32.0, 40.0)
THRESHOLDS = (0.4, 0.5, 0.6, 0.7)
SEED_THRESHOLDS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.825, 0.85, 0.875, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98)
_LOWEST_RULES = tuple(DecisionRule(s, t, t, (), 0.0, coverage_factor=1.0) for s, t in product(SMOOTHING_UM, THRESHOLDS))
FALSE_DEPOSIT_COST = 0.03
"""What one false deposit a slide is worth in kappa, when settings are compared."""

KNOTS_UM = (0.0, 120.0, 175.0, 230.0, 320.0, 700.0)
"""Bins of true size; the correction's table has a pair for each that holds three found deposits or more.

Dilation doesn't grow with size: above, the last pair's difference holds. (Large discs on composites run into false
neighbours, and real outlines show 3 um of bias before any correction.)"""

_FEWEST = 3

FEWEST_COVERED = 39
"""Found deposits that a coverage factor is chosen on: of fewer the one with the largest error would decide alone, such
as one that fell apart."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One rule and what it scored. recall: share of known deposits above 0.2 mm that it finds; not defined
    where none is known.

    The class of a slide is that of its largest deposit: `worth` doesn't know of others that are missed.
    """

    rule: DecisionRule
    scores: SlideScores
    recall: Estimate

    @property
    def worth(self) -> float:
        negative = self.scores.negative_called_negative / max(self.scores.negatives, 1)
        return self.scores.kappa.value + 0.2 * negative - FALSE_DEPOSIT_COST * self.scores.false_deposits.value


def tune(
    slides: Sequence[KnownSlide],
    maps: Sequence[ProbabilityMap],
    settings: SegmentationSettings,
    *,
    discs: Sequence[DiscMap] = (),
) -> list[Trial]:
    """Rules of the grid that find a known deposit, the best first, with the size corrections that these ask for.

    discs: of phantoms; they add to the measurements that sizes are corrected by, where the network knows phantoms.
    Raises UsageError where no rule finds any: of rules that are all blind none is the best.
    """
    trials = []
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        by_slide = list(pool.map(partial(_by_lowest_rule, settings), maps))
    for lowest in _LOWEST_RULES:
        candidates = [found[lowest] for found in by_slide]
        round_ones = measured_discs(discs, lowest, settings)
        discs_um = [pair for pair in round_ones if pair[1] is not None] if sizes_follow(round_ones) else []
        for seed in (s for s in SEED_THRESHOLDS if s >= lowest.threshold):
            kept = [[d for d, peak in slide if peak >= seed] for slide in candidates]
            trial = _trial(replace(lowest, seed_threshold=seed), slides, kept, discs_um, settings)
            trials += [] if trial is None else [trial]
    if not trials:
        count = sum(len(slide.deposits) for slide in slides)
        raise UsageError(
            f"the model finds none of the {count} known deposits by any rule, so none can be chosen; the card stays as "
            "it was: train the model longer, or name other slides"
        )
    return sorted(trials, key=lambda trial: trial.worth, reverse=True)


def _trial(
    bare: DecisionRule,
    slides: Sequence[KnownSlide],
    kept: Sequence[Sequence[Deposit]],
    discs_um: Sequence[tuple[float, float]],
    settings: SegmentationSettings,
) -> Trial | None:
    """A rule with the size correction and the "±" that its deposits ask for; None where it finds no known deposit.

    bare: without both; kept: what it finds on each slide; discs_um: (true, measured) sizes of phantoms.
    """
    found = measured_lesions([score_slide(slide, own) for slide, own in zip(slides, kept, strict=True)])
    if not found:
        return None
    own_um = [(lesion.true_um, lesion.measured_um) for lesion in found if not lesion.holds_others]
    table, left = size_correction([*discs_um, *own_um])
    rule = replace(bare, size_correction_um=table, size_uncertainty_um=max(left, LEAST_UNCERTAINTY_UM))
    resized = [[_resized(deposit, rule, settings) for deposit in own] for own in kept]
    scores = [score_slide(slide, own) for slide, own in zip(slides, resized, strict=True)]
    factor = coverage_factor(measured_lesions(scores))
    scores = [_expanded(score, factor) for score in scores]
    return Trial(replace(rule, coverage_factor=factor), summarise(scores), recall_above_itc(scores))


def steadiest(trials: Sequence[Trial], *, sees_phantoms: Callable[[DecisionRule], bool]) -> Trial:
    """The smoothest of the rules that are no worse than the best by more than one standard error.

    The one-standard-error rule (Breiman et al., Classification and Regression Trees, 1984): of rules that the slides
    can't tell apart, the one that hangs least on single patches. They are told apart by `worth` and then, as a slide's
    class says nothing of its smaller deposits, by recall. Among the smoothest, the one that asks for most before
    it calls a deposit (the highest seed threshold), then the worthiest, then the truest in size.

    sees_phantoms: whether a rule finds the largest phantoms. One that doesn't would make every slide incomplete, and is
    taken only where none of the others does.
    """
    steady = sorted(_best_in_recall(_best_in_worth(trials)), key=_steadiness, reverse=True)
    return next((trial for trial in steady if sees_phantoms(trial.rule)), steady[0])


def _best_in_worth(trials: Sequence[Trial]) -> list[Trial]:
    best = max(trials, key=lambda trial: trial.worth)
    least = best.worth - _standard_error(best.scores.kappa)
    return [trial for trial in trials if trial.worth >= least]


def _best_in_recall(trials: Sequence[Trial]) -> list[Trial]:
    """Where the best finds all, those that find all; where no known deposit is above 0.2 mm, every one."""
    if any(trial.recall.value is None for trial in trials):
        return list(trials)
    best = max((trial.recall for trial in trials), key=lambda recall: recall.value)
    least = best.value - (_standard_error(best) if best.value < 1 else 0.0)
    return [trial for trial in trials if trial.recall.value >= least]


def _steadiness(trial: Trial) -> tuple[float, ...]:
    return trial.rule.smoothing_um, trial.rule.seed_threshold, round(trial.worth, 3), -_size_error(trial)


def _standard_error(score: Estimate) -> float:
    """By its interval; 0 where it has none, as a kappa that is the same in every resample."""
    return (score.high - score.low) / (2 * 1.96) if score.low is not None else 0.0


def _size_error(trial: Trial) -> float:
    error = trial.scores.size_error_large
    return math.inf if error is None else error


def size_correction(pairs: Sequence[tuple[float, float]]) -> tuple[tuple[tuple[float, float], ...], float]:
    """(measured, true) pairs of medians, strictly increasing in both, and the spread that is left, in um.

    pairs: (true, measured) sizes of found deposits, in um. Not of one that holds others, as a macrometastasis its
    satellites: its length is of them all. Bins with fewer than three give no pair; a pair that would break the order is
    left out. From fewer than three in all no spread is told: it is an untuned model's.
    """
    table: list[tuple[float, float]] = []
    for low, high in pairwise(KNOTS_UM):
        inside = np.array([(true, measured) for true, measured in pairs if low <= true < high])
        if len(inside) < _FEWEST:
            continue
        true = float(np.median(inside[:, 0]))
        pair = round(true + float(np.median(inside[:, 1] - inside[:, 0])), 1), round(true, 1)
        if not table or (pair[0] > table[-1][0] and pair[1] > table[-1][1]):
            table.append(pair)
    rule = DecisionRule(0.0, 0.5, 0.5, tuple(table), 0.0)
    left = [measured - rule.excess_um(measured) - true for true, measured in pairs]
    # The scaled median of absolute errors: one deposit that ran into its neighbour says nothing of the others.
    spread = 1.4826 * float(np.median(np.abs(left))) if len(left) >= _FEWEST else UNTUNED.size_uncertainty_um
    return tuple(table), round(spread, 1)


def coverage_factor(measured: Sequence[LesionMatch]) -> float:
    """How many standard uncertainties hold the true size of another deposit in 95 % of cases, rounded up to a tenth.

    The ceil(0.95 (n + 1))-th smallest of n found ones' errors (as in split conformal prediction: Lei et al., JASA
    2018; here the size correction was fitted to the same deposits).
    measured: with standard uncertainties. At least NORMAL_FACTOR; UNMEASURED_FACTOR from fewer than FEWEST_COVERED.
    """
    errors = sorted(abs(lesion.error_um) / lesion.uncertainty_um for lesion in measured)
    if len(errors) < FEWEST_COVERED:
        return UNMEASURED_FACTOR
    rank = math.ceil(0.95 * (len(errors) + 1) - 1e-9)
    return max(NORMAL_FACTOR, math.ceil(10 * errors[rank - 1] - 1e-9) / 10)


def _expanded(score: SlideScore, factor: float) -> SlideScore:
    wider = (
        lesion if lesion.uncertainty_um is None else replace(lesion, uncertainty_um=lesion.uncertainty_um * factor)
        for lesion in score.pairing.lesions
    )
    return replace(score, pairing=replace(score.pairing, lesions=tuple(wider)))


def _by_lowest_rule(
    settings: SegmentationSettings, map_: ProbabilityMap
) -> dict[DecisionRule, list[tuple[Deposit, float]]]:
    """Of one slide: what could be a deposit, for each smoothing and threshold, whatever the seed threshold."""
    return {rule: _candidates(map_, rule, settings) for rule in _LOWEST_RULES}


def _candidates(
    map_: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings
) -> list[tuple[Deposit, float]]:
    """Every deposit above the threshold with the highest smoothed value in it."""
    foci = find_foci(map_, rule, settings)
    return [(deposit, _peak(deposit, foci.smoothed, map_.spacing)) for deposit in foci.deposits()]


def _peak(deposit: Deposit, smoothed: NDArray[np.float32], spacing: Spacing) -> float:
    """The highest value of a cell whose centre lies in the outline, or of the nearest cell where none does."""
    shape = to_shape(deposit.outline)
    left, top, right, bottom = shape.bounds
    rows = np.arange(int(top / spacing.y), min(int(bottom / spacing.y) + 1, smoothed.shape[0]))
    columns = np.arange(int(left / spacing.x), min(int(right / spacing.x) + 1, smoothed.shape[1]))
    y, x = np.meshgrid((rows + 0.5) * spacing.y, (columns + 0.5) * spacing.x, indexing="ij")
    inside = shapely.contains_xy(shape, x, y)
    values = smoothed[rows[:, None], columns]
    return float(values[inside].max() if inside.any() else values.max())


def _resized(deposit: Deposit, rule: DecisionRule, settings: SegmentationSettings) -> Deposit:
    """The deposit with its size corrected and its class drawn anew; its outline is left as it was.

    deposit: by one of the lowest rules, so its uncertainty is the standard one of all but the correction.
    """
    diameter = corrected_um(deposit.diameter_um, rule, smallest_um=settings.smallest_diameter_um)
    uncertainty = rule.coverage_factor * math.hypot(deposit.diameter_uncertainty_um, rule.size_uncertainty_um)
    return replace(
        deposit,
        diameter_um=diameter,
        diameter_uncertainty_um=Micrometers(uncertainty),
        metastasis=classify(diameter),
    )
