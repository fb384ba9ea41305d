"""What deposits would be one of, and how long, at a threshold so low that what they are parts of shows in one piece."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely

from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit
from nodescan.domain.doubts import Whole
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Micrometers
from nodescan.imaging.outlines import threshold_step
from nodescan.imaging.segmentation import GRID_SHARE, FoundFoci, SegmentationSettings, find_foci
from nodescan.imaging.sizing import to_shape


def find_wholes(
    probability: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings, *, found: Sequence[Deposit]
) -> tuple[Whole, ...]:
    """The deposits of the lowered threshold that are longer than a stated size allows of any deposit in them.

    found: the deposits at the rule's own threshold. Their "±" follows the lowered threshold no more than 2 cells
    outwards, so that it tells nothing of a piece farther off, nor of a faint end.
    """
    if not found:
        return ()
    wide = at_lowered(probability, rule, settings).deposits(settings.joining_gap_um)
    threshold = rule.threshold - threshold_step(rule.threshold)
    unsure_um = rule.coverage_factor * math.hypot(GRID_SHARE * probability.spacing.mean, rule.size_uncertainty_um)
    wholes: list[Whole] = []
    for whole, parts in zip(wide, _parts(wide, found), strict=True):
        if parts and whole.diameter_um > max(part.diameter_um + part.diameter_uncertainty_um for part in parts):
            ids = tuple(sorted(part.id for part in parts))
            wholes.append(Whole(ids, whole.diameter_um, Micrometers(unsure_um), threshold))
    return tuple(wholes)


def at_lowered(
    probability: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings, *, tolerance: float = 0.0
) -> FoundFoci:
    """The foci at the lowered threshold (threshold_step); tolerance: how much lower it and the seed's are, on top."""
    lowered = rule.threshold - threshold_step(rule.threshold) - tolerance
    return find_foci(
        probability, replace(rule, threshold=lowered, seed_threshold=rule.seed_threshold - tolerance), settings
    )


def _parts(wide: Sequence[Deposit], found: Sequence[Deposit]) -> list[list[Deposit]]:
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
