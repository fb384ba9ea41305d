"""Asks the float32 reference, puts its answers in place and compares them with the fast ones: steps 6 to 8."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.decision import DecisionRule
from nodescan.domain.maps import NotExamined, ProbabilityMap
from nodescan.examination.second_look.certain import Certainty, certain_deposits, ends_of
from nodescan.examination.second_look.decisive import (
    END_DEVIATIONS,
    cells_about,
    decisive_cells,
    doubtful_on_glass,
    score_cells,
)
from nodescan.examination.second_look.fast_map import FastMap, PlaceUm, fast_map
from nodescan.examination.tile_pass import TileAnswers
from nodescan.examination.tile_plan import Survey
from nodescan.imaging.cutting import touches_edge, touches_unexamined
from nodescan.imaging.outlines import PAD
from nodescan.imaging.segmentation import weighted_mean
from nodescan.imaging.stitching import cells_of
from nodescan.imaging.whole_map import CONSTANT_SPREAD, glass_cells, is_constant
from nodescan.interfaces import ApproximatePredictor
from nodescan.scan_settings import ScanSettings

CHECK_EVERY_TILES = 200
"""Once in so many tiles, a part that can't change the report is answered twice, to compare the answers."""

_DOUBT_CELLS = (5, 10, 20)
"""Cells to each side of a place in doubt that are answered in the first, second and last round. On seven composites
with deposits of 0.35 to 4.0 mm, all that aren't near a limit were certain after two rounds, with 2 to 5 % of the tissue
in float32. Without these rounds up to 41 % of the tissue was in float32."""

SCORE_SHARE, LEAST_FOR_SCORE = 0.005, 4
"""Of a slide's tiles, and tiles: the most that are answered twice for the slide's probability alone. A slide whose
answers are about the same everywhere would need them all, for a few thousandths."""


AnswersAbout = Callable[[NDArray[np.bool_]], TileAnswers]
"""What the reference says of the cells that a mask, bool (H, W), names, and of some beside them."""


class DistrustedError(Exception):
    """The fast answers can't be used: the reference has to answer all of the slide. Its text says why."""


def recheck(
    first: TileAnswers,
    survey: Survey,
    about: AnswersAbout,
    *,
    predictor: ApproximatePredictor,
    settings: ScanSettings,
) -> tuple[TileAnswers, str]:
    """The fast answers, replaced by the reference's wherever they could change a finding; and the precision in words.

    Deposits, their classes, the doubts about them and the constant-output flag are then those that the reference alone
    would give, as long as no fast answer is further off than predictor.tolerance, and no smoothed one than
    smoothed_tolerance. All sizes but those of certain deposits are the reference's to the last digit. Confidences of
    detections are within the tolerance. Raises DistrustedError if answers are further off, or if all of them may be.
    """
    mixed = _MixedAnswers(first, about)
    known, certain = _with_certain(mixed, survey, predictor, settings)
    mixed.ask(_in_question(known, survey, predictor, settings, certain))
    while certain and mixed.ask(_at_ends(mixed.shown.probability, predictor.decision, settings, certain)):
        pass  # until the ends stay where they are
    shown, by_reference = mixed.shown, mixed.by_reference
    if why := _distrust(first.probability, shown.probability, by_reference, predictor):
        raise DistrustedError(why)
    share = np.count_nonzero(by_reference) / max(1, np.count_nonzero(first.probability.examined))
    return shown, f"{predictor.precision}, {100 * share:.2f} % of the tissue in {predictor.reference.precision}"


class _MixedAnswers:
    """Fast answers, in `shown`, and among them the reference's, where by_reference, bool (H, W), says so."""

    def __init__(self, first: TileAnswers, about: AnswersAbout) -> None:
        self.shown, self.by_reference = first, np.zeros_like(first.probability.examined)
        self._about = about

    def ask(self, cells: NDArray[np.bool_]) -> bool:
        """Has the reference answer those of the cells, bool (H, W), that it hasn't yet; whether there were any."""
        new = cells & self.shown.probability.examined & ~self.by_reference
        if not new.any():
            return False
        self.shown, answered = _replaced(self.shown, new, self._about(new))
        self.by_reference = (self.by_reference | answered) & self.shown.probability.examined
        return True


def _distrust(
    first: ProbabilityMap, kept: ProbabilityMap, by_reference: NDArray[np.bool_], predictor: ApproximatePredictor
) -> str:
    """Step 8: why the reference has to answer all of the slide, "" where it needn't. by_reference : (H, W), it did."""
    off, smoothed_off = _largest_differences(first, kept, by_reference, predictor.decision)
    name, trusted, smoothed_trusted = predictor.precision, predictor.tolerance, predictor.smoothed_tolerance
    if off > trusted:
        return f"{name} was off by {off:.2g}, more than the {trusted:g} it is trusted with"
    if smoothed_off > smoothed_trusted:
        return f"{name}, smoothed, was off by {smoothed_off:.2g}, more than the {smoothed_trusted:g} it is trusted with"
    answered = kept.values[by_reference]
    nearly = is_constant(first, slack=2 * trusted) and (not answered.size or np.ptp(answered) < CONSTANT_SPREAD)
    # Nearly constant answers may mean that the fast computation is broken, so the reference has to confirm them.
    return "answers were nearly the same everywhere" if nearly or is_constant(first) else ""


def _with_certain(
    mixed: _MixedAnswers, survey: Survey, predictor: ApproximatePredictor, settings: ScanSettings
) -> tuple[FastMap, tuple[PlaceUm, ...]]:
    """Step 5: the reference answers the cells that may make more deposits certain. Returns the map's bounds, and a
    place in each certain deposit."""
    known, found = _certain_so_far(mixed, survey, predictor, settings)
    for cells in _DOUBT_CELLS:
        if found.doubts and mixed.ask(cells_about(found.doubts, cells, known.probability, known.rule)):
            known, found = _certain_so_far(mixed, survey, predictor, settings)
    return known, found.places


def _certain_so_far(
    mixed: _MixedAnswers, survey: Survey, predictor: ApproximatePredictor, settings: ScanSettings
) -> tuple[FastMap, Certainty]:
    map_, rule = mixed.shown.probability, predictor.decision
    known = fast_map(map_, rule, predictor.smoothed_tolerance, mixed.by_reference)
    cut_off = partial(touches_edge, tissue=survey.tissue, probability=map_, rule=rule)
    lost = bool((survey.wanted & ~map_.examined).any())
    borders = partial(touches_unexamined, probability=map_, wanted=survey.wanted, rule=rule) if lost else None
    return known, certain_deposits(known, settings.segmentation, cut_off=cut_off, borders=borders)


def _at_ends(
    both: ProbabilityMap, rule: DecisionRule, settings: ScanSettings, certain: Sequence[PlaceUm]
) -> NDArray[np.bool_]:
    """bool (H, W): the cells of step 6, which decide how long certain deposits are. They may move once they are
    answered again."""
    ends = ends_of(both, rule, settings.segmentation, certain)
    return cells_about(ends, PAD, both, rule, deviations=END_DEVIATIONS)


def _in_question(
    known: FastMap,
    survey: Survey,
    predictor: ApproximatePredictor,
    settings: ScanSettings,
    certain: Sequence[PlaceUm],
) -> NDArray[np.bool_]:
    """bool (H, W): the cells that the reference is to answer by steps 3, 7 and 8."""
    map_, rule, tolerance = known.probability, known.rule, predictor.tolerance
    cells = decisive_cells(known, certain=certain)
    if cells.any() or certain:
        cells |= doubtful_on_glass(map_, glass_cells(survey.tissue, map_), rule.threshold, tolerance)
    cells |= _compared(map_, survey, predictor)
    if not certain:  # else the slide's probability is high whatever its last digits
        as_smooth = settings.detections.smoothing_um >= rule.smoothing_um
        weight = score_cells(map_, settings.detections, known.tolerance if as_smooth else tolerance)
        cells |= _for_the_score(np.where(cells, np.float32(0), weight), survey)
    return cells


def _compared(map_: ProbabilityMap, survey: Survey, predictor: ApproximatePredictor) -> NDArray[np.bool_]:
    """bool (H, W): cells that can't change the report and are answered twice only to compare answers, for step 8.

    These are one second-look tile around the highest answer, one around the lowest if answers are nearly alike, and one
    in every CHECK_EVERY_TILES tiles.
    """
    width = map_.values.shape[1]
    cells = np.zeros_like(map_.examined)
    answered = np.flatnonzero(map_.examined)
    if not answered.size:
        return cells
    values = map_.values.ravel()[answered]
    places = [answered[values.argmax()]]
    if is_constant(map_, slack=2 * predictor.tolerance):
        places.append(answered[values.argmin()])
    tile = predictor.second_look.geometry
    reach = 0 if tile == survey.grid.tile else (tile.cells - 1) // 2  # 0: all of the cell's own tile is answered
    for row, column in (divmod(int(place), width) for place in places):
        cells[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] = True
    for row, column in survey.tiles[CHECK_EVERY_TILES - 1 :: CHECK_EVERY_TILES]:
        cells[row : row + 2 * reach + 1, column : column + 2 * reach + 1] = True
    return cells


def _for_the_score(weight: NDArray[np.float32], survey: Survey) -> NDArray[np.bool_]:
    """bool (H, W): cells that bear on the slide's probability, in the tiles where they matter most, for step 7.

    weight : float32 (H, W), how much they matter, 0 where they don't, or are answered again anyway.
    """
    highest = {tile: float(weight[cells_of(survey.grid, *tile)].max()) for tile in survey.tiles}
    most = max(LEAST_FOR_SCORE, int(SCORE_SHARE * len(survey.tiles)))
    cells = np.zeros(weight.shape, dtype=np.bool_)
    for tile in sorted(highest, key=lambda tile: -highest[tile])[:most]:
        window = cells_of(survey.grid, *tile)
        cells[window] = weight[window] > 0
    return cells


def _largest_differences(
    first: ProbabilityMap, kept: ProbabilityMap, both: NDArray[np.bool_], rule: DecisionRule
) -> tuple[float, float]:
    """Of a cell's values, and of values smoothed over the cells that both answered."""
    apart = np.where(both, first.values - kept.values, np.float32(0))
    smoothed = weighted_mean(apart, both, sigma_um=rule.smoothing_um, spacing=first.spacing)
    return float(np.abs(apart).max(initial=0.0)), float(np.abs(smoothed).max(initial=0.0))


def _replaced(
    first: TileAnswers, asked: NDArray[np.bool_], redone: TileAnswers
) -> tuple[TileAnswers, NDArray[np.bool_]]:
    """`first` with the answers of `redone`, and bool (H, W): where these were taken.

    asked : bool (H, W), the cells that were to be answered again; those that can no longer be read become unread.
    """
    map_, new = first.probability, redone.probability
    lost = asked & redone.unread & map_.examined
    again = new.examined & map_.examined
    kept = replace(map_, values=np.where(again, new.values, map_.values))
    return replace(first, probability=kept).without(lost, NotExamined.UNREAD), again
