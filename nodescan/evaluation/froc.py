"""The lesion task: sensitivity against false positives a slide, as the organisers compute it and without its quirks."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from nodescan.errors import UsageError
from nodescan.evaluation.lesions import LEVEL_PX, LesionMap
from nodescan.reports.detections import DetectionList

FALSE_POSITIVES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives a slide at which the score reads the sensitivity (CAMELYON16)."""


class FrocMode(StrEnum):
    """OFFICIAL: the organisers' algorithm with its quirks. EVERY_SLIDE: every lesion of the reference over the slides
    that have a result, its own spacing, every threshold, no interpolation between reached points, ties as ties, and a
    missed lesion has no score."""

    OFFICIAL = "official"
    EVERY_SLIDE = "every-slide"


@dataclass(frozen=True, slots=True)
class SlideHits:
    """One slide's detections judged. false_positives : float64 (n,), each point on its own.

    lesion_scores : float (m,), the highest confidence in each lesion; 0 for a missed one. ITCs are among them, with 0;
    in official mode, where 0 is a threshold, all are float32. n_lesions: those that count. outside: points off the
    reference's mask. has_result: where False, the slide's lesions are missed, and it isn't among those that false
    positives are over.
    """

    false_positives: NDArray[np.float64]
    lesion_scores: NDArray[np.floating]
    n_lesions: int
    outside: int = 0
    has_result: bool = True


@dataclass(frozen=True, slots=True)
class FrocCurve:
    """false_positives (a slide), sensitivity : float64 (n,), both rising, from (0, 0)."""

    false_positives: NDArray[np.float64]
    sensitivity: NDArray[np.float64]


def judge(detections: DetectionList, lesions: LesionMap | None, mode: FrocMode) -> SlideHits:
    """What each detection of a slide hits. lesions: None for a normal slide.

    A point in no lesion is a false positive, one in an ITC is ignored. Raises UsageError in official mode for a
    point outside the mask; the other mode counts it as a false positive.
    """
    if lesions is None:
        return SlideHits(detections.confidence, np.zeros(0, dtype=_kind_of_scores(mode)), 0)
    labels, outside = _labels_at(detections, lesions, mode)
    scores = np.zeros(lesions.count, dtype=_kind_of_scores(mode))
    ignored = np.isin(labels, list(lesions.itc))
    hit = (labels > 0) & ~ignored
    np.maximum.at(scores, labels[hit] - 1, detections.confidence[hit].astype(scores.dtype))
    return SlideHits(detections.confidence[labels == 0], scores, lesions.n_lesions, outside)


class Froc:
    """The pooled detections of all slides, sorted once, so that resamples of slides cost little."""

    def __init__(self, hits: Sequence[SlideHits], mode: FrocMode) -> None:
        self.mode = mode
        self.slides = len(hits)
        self._with_result = np.array([slide.has_result for slide in hits], dtype=np.int64)
        self._lesions = np.array([slide.n_lesions for slide in hits], dtype=np.int64)
        self._fp, self._fp_slide = _pooled([slide.false_positives for slide in hits], np.float64)
        self._tp, self._tp_slide = _pooled([slide.lesion_scores for slide in hits], _kind_of_scores(mode))
        values = np.concatenate((self._fp, self._tp.astype(np.float64)))
        slides = np.concatenate((self._fp_slide, self._tp_slide))
        scored = np.ones(len(values), dtype=np.bool_) if mode is FrocMode.OFFICIAL else values > 0
        self._values, self._slide = values[scored], slides[scored]
        self._thresholds = np.unique(self._values)
        # The organisers' script compares float32 scores with thresholds in float32 (NumPy takes a Python float for as
        # wide as the array), false positives in float64: equal confidences part where float32 rounds them up.
        self._fp_below = np.searchsorted(self._fp, self._thresholds)
        self._tp_below = np.searchsorted(self._tp, self._thresholds.astype(self._tp.dtype))

    @property
    def n_lesions(self) -> int:
        return int(self._lesions.sum())

    def curve(self, drawn: NDArray[np.intp] | None = None) -> FrocCurve:
        """The curve of all slides, or of those drawn, with repeats: intp (n,). Sensitivity is NaN without lesions."""
        weights = np.bincount(np.arange(self.slides) if drawn is None else drawn, minlength=self.slides)
        fp, tp = _at_least(weights[self._fp_slide], self._fp_below), _at_least(weights[self._tp_slide], self._tp_below)
        kept = self._present(weights)
        fp, tp = fp[kept], tp[kept]
        lesions = int((weights * self._lesions).sum())
        fp, tp = np.append(fp, 0), np.append(tp, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            slides = max(int((weights * self._with_result).sum()), 1)
            return FrocCurve(fp[::-1] / slides, tp[::-1] / np.float64(lesions))

    def sensitivities(self, drawn: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
        """float64 (6,): the sensitivity at each of FALSE_POSITIVES; NaN without lesions."""
        curve = self.curve(drawn)
        if not np.isfinite(curve.sensitivity).all():
            return np.full(len(FALSE_POSITIVES), np.nan)
        if self.mode is FrocMode.OFFICIAL:
            return np.interp(FALSE_POSITIVES, curve.false_positives, curve.sensitivity)
        last = np.searchsorted(curve.false_positives, FALSE_POSITIVES, side="right") - 1
        return curve.sensitivity[last]

    def _present(self, weights: NDArray[np.intp]) -> NDArray[np.intp]:
        """Which thresholds the drawn slides have; in official mode without their lowest, the quirk."""
        own = np.searchsorted(self._thresholds, self._values[weights[self._slide] > 0])
        there = np.bincount(own, minlength=len(self._thresholds)) > 0
        kept = np.flatnonzero(there)
        return kept[1:] if self.mode is FrocMode.OFFICIAL else kept


def _kind_of_scores(mode: FrocMode) -> type[np.floating]:
    return np.float32 if mode is FrocMode.OFFICIAL else np.float64


def _labels_at(detections: DetectionList, lesions: LesionMap, mode: FrocMode) -> tuple[NDArray[np.int32], int]:
    """int32 (n,): the label under each point, 0 where there is none; and how many lie outside of the whole slide."""
    row = np.floor(detections.y_px / LEVEL_PX).astype(np.intp) - lesions.origin[0]
    column = np.floor(detections.x_px / LEVEL_PX).astype(np.intp) - lesions.origin[1]
    height, width = lesions.labels.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    if mode is FrocMode.OFFICIAL and lesions.whole and not inside.all():
        first = int(np.flatnonzero(~inside)[0])
        raise UsageError(
            f"{detections.source}: the point {detections.x_px[first]:g}, {detections.y_px[first]:g} lies outside the "
            f"mask of {width * LEVEL_PX} x {height * LEVEL_PX} level-0 px, where the official algorithm stops; check "
            "x and y, or leave out --official"
        )
    labels = np.zeros(len(row), dtype=np.int32)
    labels[inside] = lesions.labels[row[inside], column[inside]]
    return labels, int((~inside).sum()) if lesions.whole else 0


def _pooled(values: Sequence[NDArray[np.floating]], kind: type) -> tuple[NDArray[np.floating], NDArray[np.intp]]:
    """All values, sorted, and which slide each is of."""
    slide = np.repeat(np.arange(len(values)), [len(own) for own in values])
    pooled = np.concatenate([np.zeros(0, dtype=kind), *values]).astype(kind)
    order = np.argsort(pooled, kind="stable")
    return pooled[order], slide[order]


def _at_least(weights: NDArray[np.intp], below: NDArray[np.intp]) -> NDArray[np.float64]:
    """How much weight lies at or above each threshold. weights: in sorted order; below: how many values are less."""
    from_here = np.append(np.cumsum(weights[::-1])[::-1], 0)
    return from_here[below].astype(np.float64)
