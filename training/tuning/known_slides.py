"""Slides whose deposits are known, and how well found deposits agree with them: class, false deposits, sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.deposits import Deposit, Detection, largest_class
from nodescan.domain.units import Micrometers
from nodescan.errors import UsageError
from nodescan.evaluation.agreement import kappa_of_numbers
from nodescan.evaluation.bootstrap import share_of
from nodescan.evaluation.lesion_files import planted_outline
from nodescan.imaging.detections import BESIDE_UM
from nodescan.imaging.sizing import to_shape
from training.scoring.scores import Interval, as_interval, bootstrap


@dataclass(frozen=True, slots=True)
class Known:
    """A deposit as it is. outline: in um from the canvas' top left; diameter_um: its maximum Feret diameter."""

    outline: BaseGeometry
    diameter_um: float

    @staticmethod
    def of_truth(planted: Mapping[str, Any]) -> "Known":
        """As a S.truth.json states it."""
        return Known(planted_outline(planted), planted["diameter_um"])


@dataclass(frozen=True, slots=True)
class KnownSlide:
    """A slide file and all deposits in it. label: its class by their sizes."""

    name: str
    path: Path
    deposits: tuple[Known, ...]

    @property
    def label(self) -> Metastasis:
        return max((classify(Micrometers(known.diameter_um)) for known in self.deposits), default=Metastasis.NONE)


@dataclass(frozen=True, slots=True)
class KnownSize:
    """A known deposit's diameter and the measured one, None where it was missed, with the uncertainty that was stated.

    named: whether a missed one lies at a place that the slide's page names; None for a found one, and where not asked.
    """

    known_um: float
    measured_um: float | None = None
    uncertainty_um: float | None = None
    named: bool | None = None

    @property
    def is_found(self) -> bool:
        return self.measured_um is not None

    @property
    def error_um(self) -> float:
        """Measured less known, of a found one."""
        return self.measured_um - self.known_um


@dataclass(frozen=True, slots=True)
class SlideScore:
    """One slide: true and found class, all of its known deposits, and how many were found elsewhere."""

    truth: Metastasis
    found: Metastasis
    sizes: tuple[KnownSize, ...] = ()
    false_deposits: int = 0


@dataclass(frozen=True, slots=True)
class SlideScores:
    """Size errors: medians over found deposits, relative from 400 um up, in um below. recall: found, of any size.

    size_within: share of found deposits whose true size lies within the stated uncertainty (meant: 0.95).
    missed_named: share of missed deposits that lie at one of the places that pages say to look at first.
    """

    kappa: Interval
    negative_called_negative: int
    negatives: int
    false_deposits: Interval
    recall_itc: Interval
    recall_micro: Interval
    recall_macro: Interval
    size_error_large: float
    size_error_small_um: float
    size_within: Interval
    missed_named: Interval
    n: int


def check_both_kinds(slides: Sequence[KnownSlide]) -> None:
    """Raises UsageError where the slides are all tumour or all normal: no rule could be told from another."""
    if len({bool(slide.deposits) for slide in slides}) < 2:
        raise UsageError(
            f"{len(slides)} slides to tune on, all tumour or all normal: both are needed; see --slides or --seeds"
        )


def score_slide(
    slide: KnownSlide, deposits: Sequence[Deposit], *, places: Sequence[Detection] | None = None
) -> SlideScore:
    """Which known deposits were found, and what else. One that touches a known one is its own; the largest counts.

    places: that the slide's page names; a known deposit lies at one that is BESIDE_UM from it at most.
    """
    shapes = [to_shape(deposit.outline) for deposit in deposits]
    sizes = []
    for known in slide.deposits:
        touching = [d for d, shape in zip(deposits, shapes, strict=True) if shape.intersects(known.outline)]
        own = max(touching, key=lambda deposit: deposit.diameter_um, default=None)
        if own is None:
            sizes.append(KnownSize(known.diameter_um, named=_is_named(known, places)))
        else:
            sizes.append(KnownSize(known.diameter_um, own.diameter_um, own.diameter_uncertainty_um))
    false = sum(not any(shape.intersects(known.outline) for known in slide.deposits) for shape in shapes)
    return SlideScore(slide.label, largest_class(deposits), tuple(sizes), false)


def _is_named(known: Known, places: Sequence[Detection] | None) -> bool | None:
    if places is None:
        return None
    return any(shapely.dwithin(known.outline, shapely.Point(place.x_um, place.y_um), BESIDE_UM) for place in places)


def summarise(scores: Sequence[SlideScore]) -> SlideScores:
    """All figures over the slides, with intervals by resampling slides; of shares of deposits, Wilson's."""
    truth, found = (np.array([int(getattr(s, name)) for s in scores]) for name in ("truth", "found"))
    false = np.array([s.false_deposits for s in scores], dtype=float)
    sizes = [size for s in scores for size in s.sizes]
    sized = [size for size in sizes if size.is_found]
    large = [abs(size.error_um) / size.known_um for size in sized if size.known_um >= 400]
    small = [abs(size.error_um) for size in sized if size.known_um < 400]
    within = [abs(size.error_um) <= size.uncertainty_um for size in sized if size.uncertainty_um is not None]
    return SlideScores(
        kappa=bootstrap(
            lambda index: kappa_of_numbers(truth[index], found[index], classes=len(Metastasis)), len(scores)
        ),
        negative_called_negative=int(((truth == 0) & (found == 0)).sum()),
        negatives=int((truth == 0).sum()),
        false_deposits=bootstrap(lambda index: float(false[index].mean()), len(scores)),
        recall_itc=_recall(scores, (Metastasis.ITC,)),
        recall_micro=_recall(scores, (Metastasis.MICRO,)),
        recall_macro=_recall(scores, (Metastasis.MACRO,)),
        size_error_large=float(np.median(large)) if large else float("nan"),
        size_error_small_um=float(np.median(small)) if small else float("nan"),
        size_within=_share(within),
        missed_named=_share([size.named for size in sizes if size.named is not None]),
        n=len(scores),
    )


def recall_above_itc(scores: Sequence[SlideScore]) -> Interval:
    """Found of the known deposits above 0.2 mm: which isolated tumour cells are found is chance."""
    return _recall(scores, (Metastasis.MICRO, Metastasis.MACRO))


def _recall(scores: Sequence[SlideScore], labels: tuple[Metastasis, ...]) -> Interval:
    """Share of known deposits of these classes that some deposit touches."""
    sizes = [size for s in scores for size in s.sizes]
    return _share([size.is_found for size in sizes if classify(Micrometers(size.known_um)) in labels])


def _share(hits: Sequence[bool]) -> Interval:
    """How many of them, each for itself; NaN where there is none."""
    return as_interval(share_of(sum(map(bool, hits)), len(hits)))
