"""Deposits that end where nobody looked: at tissue that was not examined, at the edge of the scan, at a pen mark."""

import math
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit
from nodescan.domain.maps import ProbabilityMap, TissueMask
from nodescan.domain.units import Micrometers, Spacing
from nodescan.imaging.sizing import to_shape


def touches_unexamined(
    deposit: Deposit, probability: ProbabilityMap, *, wanted: NDArray[np.bool_], rule: DecisionRule
) -> bool:
    """Whether the deposit borders on tissue that was not examined, so that it may be larger than measured.

    wanted : bool (H, W) on the map's cells, True where there is tissue. It borders on a cell within 1.5 cells plus half
    the length by which the rule's correction moved the outline inwards.
    """
    reach_um = _reach_um(probability, rule)
    return _is_near(deposit, wanted & ~probability.examined, probability.spacing, reach_um)


def touches_edge(deposit: Deposit, tissue: TissueMask, probability: ProbabilityMap, *, rule: DecisionRule) -> bool:
    """Whether the deposit borders on the edge of the scanned part, or on padding, gaps or pen marks that tissue runs
    into.

    The distance is that of `touches_unexamined`. Of tissue.cut only pixels that were never scanned count. The other
    pixels, along the inside of the bounds, are as deep as an overview pixel, which depends on how the file's levels are
    stored.
    """
    reach_um = _reach_um(probability, rule)
    never_scanned = None if tissue.cut is None or tissue.unscanned is None else tissue.cut & tissue.unscanned
    ends = (mask for mask in (never_scanned, tissue.inked) if mask is not None)
    if any(_is_near(deposit, mask, tissue.spacing, reach_um) for mask in ends):
        return True
    bounds = probability.bounds
    if bounds is None:
        return False
    left, top, right, bottom = to_shape(deposit.outline).bounds
    return min(left - bounds.left, top - bounds.top, bounds.right - right, bounds.bottom - bottom) <= reach_um


def as_cut_off(deposit: Deposit, rule: DecisionRule) -> Deposit:
    """The deposit marked as cut off, the rule's smoothing added to its uncertainty (root of squares).

    Smoothing over examined cells alone moves an outline towards the line where these end. Discs of 180 to 1,900 um that
    are cut there, or end up to 45 um before the line, came out up to 39 um longer with a smoothing of 40 um.
    """
    uncertainty_um = Micrometers(math.hypot(deposit.diameter_uncertainty_um, rule.smoothing_um))
    return replace(deposit, cut_off=True, diameter_uncertainty_um=uncertainty_um)


def _is_near(deposit: Deposit, mask: NDArray[np.bool_], spacing: Spacing, reach_um: float) -> bool:
    """Whether the centre of a pixel of the mask, bool (H, W) at `spacing`, lies within reach_um of the deposit."""
    outline = to_shape(deposit.outline)
    left, top, right, bottom = outline.bounds
    height, width = mask.shape
    rows = slice(max(0, int((top - reach_um) / spacing.y)), min(height, int((bottom + reach_um) / spacing.y) + 1))
    columns = slice(max(0, int((left - reach_um) / spacing.x)), min(width, int((right + reach_um) / spacing.x) + 1))
    row, column = np.nonzero(mask[rows, columns])
    shapely.prepare(outline)
    centres = shapely.points((column + columns.start + 0.5) * spacing.x, (row + rows.start + 0.5) * spacing.y)
    return bool(shapely.dwithin(outline, centres, reach_um).any())


def _reach_um(probability: ProbabilityMap, rule: DecisionRule) -> float:
    """One and a half cells, and half of what the rule's correction moved the outline in."""
    moved_um = max((abs(measured - true) for measured, true in rule.size_correction_um), default=0.0) / 2
    return 1.5 * max(probability.spacing.x, probability.spacing.y) + moved_um
