"""What deposits would be one of, and how long, at a threshold so low that what they are parts of shows in one piece."""

import math
from collections.abc import Sequence

import numpy as np
import shapely

from nodescan.domain.classification import Metastasis
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit, largest_class
from nodescan.domain.doubts import Whole
from nodescan.domain.units import Micrometers, Spacing
from nodescan.imaging.outlines import threshold_step
from nodescan.imaging.segmentation import GRID_SHARE, FoundFoci
from nodescan.imaging.sizing import to_shape

_PIECES_STEP = 0.3
"""Of probability; pieces that are one at a threshold so much lower are a doubt where the whole has a higher class. Of
10 ribbons and crescents of real patches, 2.1 to 2.5 mm long, that the map shows in pieces below 2 mm, a step of 0.1
tells 3, of 0.2 6, of 0.3 all; of 40 other slides with two foci or more, 0.3 tells phantom discs 60 to 90 um apart
alone."""


def pieces_step(threshold: float) -> float:
    """How far the threshold is lowered to see whether deposits are pieces of one; it stays above 0."""
    return min(_PIECES_STEP, threshold / 2)


def larger_at_lower_threshold(foci: FoundFoci, *, found: Sequence[Deposit]) -> tuple[Whole, ...]:
    """The deposits of the lowered threshold that are longer than a stated size allows of any deposit in them.

    foci, found: those at the rule's own threshold, and their deposits. Their "±" follows the lowered threshold no more
    than 2 cells outwards, so that it tells nothing of a piece farther off, nor of a faint end. Where none of them has a
    higher class than those found, several that are one of a higher class at a yet lower threshold (pieces_step) are
    told, too.
    """
    if not found:
        return ()
    worst, threshold = largest_class(found), foci.rule.threshold
    wholes = _wholes(foci.at(threshold - threshold_step(threshold)), found)
    if len(found) < 2 or worst is Metastasis.MACRO or any(whole.longest_class > worst for whole in wholes):
        return wholes
    deep = _wholes(foci.at(threshold - pieces_step(threshold)), found)
    return (*wholes, *(whole for whole in deep if len(whole.deposit_ids) > 1 and whole.longest_class > worst))


def _wholes(lowered: FoundFoci, found: Sequence[Deposit]) -> tuple[Whole, ...]:
    """The deposits at a lowered threshold that are longer than any found in them may be."""
    rule, wide = lowered.rule, lowered.deposits()
    off_um = unsure_um(rule, lowered.probability.spacing)
    wholes: list[Whole] = []
    for whole, parts in zip(wide, parts_of(wide, found), strict=True):
        if parts and whole.diameter_um > max(part.diameter_um + part.diameter_uncertainty_um for part in parts):
            ids = tuple(sorted(part.id for part in parts))
            wholes.append(Whole(ids, whole.diameter_um, off_um, rule.threshold))
    return tuple(wholes)


def unsure_um(rule: DecisionRule, spacing: Spacing) -> Micrometers:
    """What a size is off by (about 95 %) whatever the threshold does to it."""
    return Micrometers(rule.coverage_factor * math.hypot(GRID_SHARE * spacing.mean, rule.size_uncertainty_um))


def parts_of(wide: Sequence[Deposit], found: Sequence[Deposit]) -> list[list[Deposit]]:
    """For each of the wide deposits those found that lie in it: each in the one that it has the most in common with."""
    parts: list[list[Deposit]] = [[] for _ in wide]
    shapes = np.array([to_shape(whole.outline) for whole in wide])
    tree = shapely.STRtree(shapes)
    for part in found:
        outline = to_shape(part.outline)
        near = tree.query(outline, predicate="intersects")
        if near.size:
            common = shapely.intersection(outline, shapes[near])
            parts[int(near[shapely.area(common).argmax()])].append(part)  # pyright: ignore[reportUnknownMemberType]  shapely comes half typed
    return parts
