"""Candidate definitions of a slide's tumour probability, compared by how well they tell tumour from normal slides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.config import load_config
from nodescan.domain.decision import DecisionRule
from nodescan.domain.maps import ProbabilityMap
from nodescan.errors import UsageError
from nodescan.evaluation.slide_auc import roc_auc
from nodescan.imaging.detections import find_detections
from nodescan.imaging.segmentation import SegmentationSettings, find_deposits, smoothed_values
from training.scores import Interval, bootstrap

_TOP_CELLS = 20


@dataclass(frozen=True, slots=True)
class ScoredDefinition:
    """How well one definition tells slides apart. separation: lowest tumour slide's score less the highest normal's."""

    name: str
    auc: Interval
    separation: float


Definition = Callable[[ProbabilityMap, DecisionRule, SegmentationSettings], float]


def likeliest_detection(map_: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings) -> float:
    """The confidence of the likeliest detection: what nodescan reports."""
    found = find_detections(map_, load_config(None).settings.detections)
    return max((detection.confidence for detection in found), default=0.0)


def highest_cell(map_: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings) -> float:
    """The highest cell of the map as the network gave it."""
    return _peak(map_, 0.0)


def rule_peak(map_: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings) -> float:
    """The highest cell after the card's own smoothing: what decides whether there is a deposit at all."""
    return _peak(map_, rule.smoothing_um)


def wide_peak(map_: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings) -> float:
    """The highest cell after smoothing over 64 um."""
    return _peak(map_, 64.0)


def top_cells(map_: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings) -> float:
    """The mean of the 20 highest cells, about 0.005 mm2 of tissue."""
    values = np.sort(map_.values[map_.examined])[-_TOP_CELLS:]
    return float(values.mean()) if len(values) else 0.0


def largest_deposit_mean(map_: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings) -> float:
    """The mean probability of the largest deposit, 0 without one."""
    deposits = find_deposits(map_, rule, settings)
    return float(deposits[0].probability_mean or 0.0) if deposits else 0.0


def largest_diameter(map_: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings) -> float:
    """The greatest diameter, um; where nothing is a deposit the rule's peak, which stays below 1."""
    deposits = find_deposits(map_, rule, settings)
    return float(deposits[0].diameter_um) if deposits else _peak(map_, rule.smoothing_um)


DEFINITIONS: Mapping[str, Definition] = {
    "likeliest detection (reported)": likeliest_detection,
    "highest cell": highest_cell,
    "highest cell, the card's smoothing": rule_peak,
    "highest cell, 64 um smoothing": wide_peak,
    "mean of the 20 highest cells": top_cells,
    "mean of the largest deposit": largest_deposit_mean,
    "greatest diameter": largest_diameter,
}


def compare_definitions(
    maps: Sequence[ProbabilityMap], tumour: NDArray[np.bool_], rule: DecisionRule, settings: SegmentationSettings
) -> list[ScoredDefinition]:
    """Every definition's AUC over the slides, the best first. tumour : bool (N,), which slides hold a deposit.

    Raises UsageError where the slides are all of one kind.
    """
    if tumour.all() or not tumour.any():
        raise UsageError("the slides are all tumour or all normal, so no score can be judged; name more seeds")
    found = []
    for name, definition in DEFINITIONS.items():
        score = np.array([definition(map_, rule, settings) for map_ in maps], dtype=np.float64)
        interval = bootstrap(lambda index, score=score: roc_auc(score[index], tumour[index]), len(tumour))
        found.append(ScoredDefinition(name, interval, float(score[tumour].min() - score[~tumour].max())))
    return sorted(found, key=lambda scored: (-scored.auc.value, -scored.separation))


def _peak(map_: ProbabilityMap, sigma_um: float) -> float:
    return float(smoothed_values(map_, sigma_um).max(initial=0.0))
