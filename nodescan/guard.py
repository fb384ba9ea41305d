"""Holds findings to float32: what could bear on one is answered again by the reference."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.decision import DecisionRule
from nodescan.domain.geometry import TileGrid
from nodescan.domain.maps import ProbabilityMap
from nodescan.imaging.certain import PlaceUm, certain_deposits, ends_of
from nodescan.imaging.decisive import (
    CONSTANT_SPREAD,
    cells_about,
    decisive_cells,
    doubtful_on_glass,
    glass_cells,
    is_constant,
    score_cells,
)
from nodescan.imaging.segmentation import weighted_mean
from nodescan.imaging.stitching import Tile, cells_of, tiles_with
from nodescan.interfaces import ApproximatePredictor
from nodescan.scan_settings import ScanSettings
from nodescan.survey import Survey
from nodescan.tile_pass import Shown

CHECK_EVERY_TILES = 200
"""So often a tile that bears on nothing is answered twice all the same, beside the one with the highest answer."""

SCORE_SHARE, LEAST_FOR_SCORE = 0.005, 4
"""Of a slide's tiles, and tiles: the most that are answered twice for the slide's probability alone. A slide whose
answers are about the same everywhere would need them all, for a few thousandths."""

Again = Callable[[Sequence[Tile]], Shown]
"""The reference's answers to some tiles."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What stands after the guard. precision: in words, for the report."""

    shown: Shown
    precision: str


def settled(
    first: Shown,
    survey: Survey,
    again: Again,
    *,
    predictor: ApproximatePredictor,
    settings: ScanSettings,
) -> Settled:
    """The fast answers with all that could change a finding replaced by the reference's.

    Deposits, their classes, the doubts about them and the constant-output flag are then those that the reference alone
    would give, as long as no fast answer is further off than predictor.tolerance, and no smoothed one than
    smoothed_tolerance. A deposit that is certain within the latter (imaging/certain.py) keeps its fast answers, but for
    both ends of its diameter where they would move it (predictor.keeps_sizes): its size differs by 1 um or less,
    measured. All others are the reference's to the last digit. So is the confidence of the likeliest detection, unless
    a deposit is certain or too many tiles come into question for it (SCORE_SHARE): then it is within the tolerance, as
    that of other detections is. Wherever both answered they are compared, in one tile of a slide at least; where they
    differ by more, the reference answers the whole slide.
    """
    certain = _certain(first.probability, survey, predictor, settings)
    tiles = _in_question(first.probability, survey, predictor, settings, certain)
    redone = again(tiles)
    both = _replaced(first, redone, survey.grid, tiles)
    moved = () if predictor.keeps_sizes else certain
    while ends := _others(_tiles_at_ends(both.probability, survey, predictor.decision, settings, moved), tiles):
        found = again(ends)
        redone, both = (_replaced(shown, found, survey.grid, ends) for shown in (redone, both))
        tiles += ends
    name, true = predictor.precision, predictor.reference.precision
    why = _distrust(first.probability, redone.probability, predictor)
    if not why:
        return Settled(both, f"{name}, {len(tiles)} of {len(survey.tiles)} tiles in {true}")
    rest = _others(survey.tiles, tiles)
    return Settled(_replaced(both, again(rest), survey.grid, rest), f"{true} ({why})")


def _distrust(first: ProbabilityMap, redone: ProbabilityMap, predictor: ApproximatePredictor) -> str:
    """Why the reference has to answer the whole slide, "" where it needn't."""
    off, smoothed_off = _largest_differences(first, redone, predictor.decision)
    name, trusted, smoothed_trusted = predictor.precision, predictor.tolerance, predictor.smoothed_tolerance
    if off > trusted:
        return f"{name} was off by {off:.2g}, more than the {trusted:g} it is trusted with"
    if smoothed_off > smoothed_trusted:
        return f"{name}, smoothed, was off by {smoothed_off:.2g}, more than the {smoothed_trusted:g} it is trusted with"
    answered = redone.values[redone.examined]
    nearly = is_constant(first, slack=2 * trusted) and (not answered.size or np.ptp(answered) < CONSTANT_SPREAD)
    # Quite constant answers may come of a broken fast way: the reference has to confirm them.
    return "answers were nearly the same everywhere" if nearly or is_constant(first) else ""


def _certain(
    first: ProbabilityMap, survey: Survey, predictor: ApproximatePredictor, settings: ScanSettings
) -> tuple[PlaceUm, ...]:
    """None where some wanted cells weren't examined: then it matters where a deposit ends."""
    if not first.examined[survey.wanted].all():
        return ()
    smoothed = predictor.smoothed_tolerance
    return certain_deposits(first, predictor.decision, settings.segmentation, tolerance=smoothed)


def _tiles_at_ends(
    both: ProbabilityMap, survey: Survey, rule: DecisionRule, settings: ScanSettings, certain: Sequence[PlaceUm]
) -> Iterable[Tile]:
    """What certain deposits' lengths hang on. Once it is answered again one may be longest elsewhere: then that is."""
    if not certain:
        return ()
    cells = cells_about(both, rule, ends_of(both, rule, settings.segmentation, certain))
    return tiles_with(survey.grid, survey.tiles, cells & survey.wanted)


def _others(tiles: Iterable[Tile], done: Sequence[Tile]) -> tuple[Tile, ...]:
    """The tiles but those that are done, in their order."""
    answered = set(done)
    return tuple(tile for tile in tiles if tile not in answered)


def _in_question(
    first: ProbabilityMap,
    survey: Survey,
    predictor: ApproximatePredictor,
    settings: ScanSettings,
    certain: Sequence[PlaceUm],
) -> tuple[Tile, ...]:
    """The tiles that the reference is to answer, row by row."""
    rule, tolerance, smoothed = predictor.decision, predictor.tolerance, predictor.smoothed_tolerance
    cells = decisive_cells(first, rule, smoothed, certain=certain)
    if cells.any() or certain:
        cells |= doubtful_on_glass(first, glass_cells(survey.tissue, first), rule.threshold, tolerance)
    cells &= survey.wanted
    answered = np.flatnonzero(first.examined)
    if answered.size:
        values = first.values.ravel()[answered]
        cells.ravel()[answered[values.argmax()]] = True
        if is_constant(first, slack=2 * tolerance):
            cells.ravel()[answered[values.argmin()]] = True
    tiles = set(tiles_with(survey.grid, survey.tiles, cells)) | set(
        survey.tiles[CHECK_EVERY_TILES - 1 :: CHECK_EVERY_TILES]
    )
    if not certain:  # else the slide's probability is high whatever its last digits
        as_smooth = settings.detections.smoothing_um >= rule.smoothing_um
        score_tolerance = smoothed if as_smooth else tolerance
        tiles |= _for_the_score(score_cells(first, settings.detections, score_tolerance), survey, done=tiles)
    return tuple(tile for tile in survey.tiles if tile in tiles)


def _for_the_score(weight: NDArray[np.float32], survey: Survey, *, done: set[Tile]) -> set[Tile]:
    """Tiles that bear on the slide's probability and aren't answered again anyway, those that matter most first."""
    highest = {tile: float(weight[cells_of(survey.grid, *tile)].max()) for tile in survey.tiles if tile not in done}
    bearing = [tile for tile, value in highest.items() if value > 0]
    most = max(LEAST_FOR_SCORE, int(SCORE_SHARE * len(survey.tiles)))
    return set(sorted(bearing, key=lambda tile: -highest[tile])[:most])


def _largest_differences(first: ProbabilityMap, redone: ProbabilityMap, rule: DecisionRule) -> tuple[float, float]:
    """Of a cell's values, and of values smoothed over the cells that both answered."""
    both = first.examined & redone.examined
    apart = np.where(both, first.values - redone.values, np.float32(0))
    smoothed = weighted_mean(apart, both, sigma_um=rule.smoothing_um, spacing=first.spacing)
    return float(np.abs(apart).max(initial=0.0)), float(np.abs(smoothed).max(initial=0.0))


def _replaced(first: Shown, redone: Shown, grid: TileGrid, tiles: Sequence[Tile]) -> Shown:
    """`first`, but for the tiles that were shown again."""
    again = np.zeros(first.probability.values.shape, dtype=np.bool_)
    for tile in tiles:
        again[cells_of(grid, *tile)] = True

    map_, new = first.probability, redone.probability
    values = np.where(again, new.values, map_.values)
    examined = np.where(again, new.examined, map_.examined)
    return Shown(
        ProbabilityMap(values, examined, map_.spacing),
        np.where(again, redone.blurred, first.blurred),
        np.where(again, redone.unread, first.unread),
        np.where(again, redone.blank, first.blank),
    )
