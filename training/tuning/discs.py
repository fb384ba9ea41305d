"""Phantom discs of known diameter at random places on the grid: how far off a model's sizes are; and thin deposits:
from which length on it finds all."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nodescan.domain.decision import DecisionRule
from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Spacing
from nodescan.errors import UsageError
from nodescan.imaging.segmentation import SegmentationSettings, find_deposits
from nodescan.interfaces import TilePredictor, predict
from nodescan.phantoms import plan_phantom
from nodescan.phantoms.canvas import PhantomCanvas
from nodescan.phantoms.outlines import Shape

DIAMETERS_UM = (100.0, 150.0, 190.0, 199.0, 201.0, 210.0, 250.0, 400.0)
THIN_SHAPES = (Shape.ELONGATED, Shape.CRESCENT)
THIN_DIAMETERS_UM = tuple(float(size) for size in range(150, 850, 50))
"""A crescent is a fifth as wide as long: what a network needs 0.15 mm of to call it a deposit is 0.8 mm long."""
SPACING_UM = 0.97
DISC_SEEDS_TUNED, DISC_SEEDS_REPORTED = range(1, 7), range(101, 107)
"""Phantoms that sizes are corrected by, and those that nothing was chosen on."""

_MOST_TOO_LONG = 1.5

_STEP_UM = 50.0
"""Between 150 and 250 um lie sizes a few um apart: which of a few such discs is found is chance."""


@dataclass(frozen=True, slots=True)
class DiscMap:
    """The network's map around one disc; left_um, top_um: where the map's corner lies on the phantom."""

    diameter_um: float
    centre_um: tuple[float, float]
    map: ProbabilityMap
    left_um: float
    top_um: float


@dataclass(frozen=True, slots=True)
class DiscBias:
    """Measured less planted, in um, before and after the correction; missed: discs without a deposit.

    None where all were missed.
    """

    diameter_um: float
    n: int
    missed: int
    before_um: float | None
    after_um: float | None
    spread_um: float | None


def check_phantoms_fit(spacing_range_um: tuple[float, float]) -> None:
    """Raises UsageError where phantoms are finer or coarser than a card accepts: its network would answer anyway."""
    finest, coarsest = spacing_range_um
    if not finest <= SPACING_UM <= coarsest:
        raise UsageError(
            f"sizes are measured on phantoms of {SPACING_UM:g} um/px, which is not within the model's {finest:g} to "
            f"{coarsest:g} um/px; a model of other magnifications can't be tuned or measured here"
        )


def disc_maps(predictor: TilePredictor, seeds: Sequence[int]) -> list[DiscMap]:
    """One tile around every disc of every seed's phantom."""
    return [disc for seed in seeds for disc in _discs_of(predictor, seed)]


def thin_maps(predictor: TilePredictor, seeds: Sequence[int]) -> list[DiscMap]:
    """One tile around the middle of every thin deposit of every seed's phantoms; of the longest it shows a part."""
    return [
        thin
        for seed in seeds
        for shape in THIN_SHAPES
        for thin in _discs_of(predictor, seed, shape=shape, diameters_um=THIN_DIAMETERS_UM)
    ]


def measured_discs(
    discs: Sequence[DiscMap], rule: DecisionRule, settings: SegmentationSettings
) -> list[tuple[float, float | None]]:
    """(planted, measured) diameters in um; None where no deposit holds or touches the disc's centre."""
    pairs = []
    for disc in discs:
        x, y = disc.centre_um[0] - disc.left_um, disc.centre_um[1] - disc.top_um
        near = [
            d.diameter_um
            for d in find_deposits(disc.map, rule, settings)
            if np.hypot(d.centre_um[0] - x, d.centre_um[1] - y) < disc.diameter_um / 2 + 30
        ]
        pairs.append((disc.diameter_um, max(near, default=None)))
    return pairs


def disc_bias(discs: Sequence[DiscMap], rule: DecisionRule, settings: SegmentationSettings) -> list[DiscBias]:
    """Bias by diameter, as the card's rule measures, and with its size correction left out."""
    raw, corrected = (measured_discs(discs, r, settings) for r in (replace(rule, size_correction_um=()), rule))
    table = []
    for diameter in sorted({disc.diameter_um for disc in discs}):
        before = np.array([m - p for p, m in raw if p == diameter and m is not None])
        after = np.array([m - p for p, m in corrected if p == diameter and m is not None])
        count = sum(p == diameter for p, _ in corrected)
        means = [float(v.mean()) if len(v) else None for v in (before, after)]
        spread = float(after.std()) if len(after) else None
        table.append(DiscBias(diameter, count, count - len(after), means[0], means[1], spread))
    return table


def sizes_follow(pairs: Sequence[tuple[float, float | None]]) -> bool:
    """Whether most discs that were found have about their size: at most half as long again.

    A network that was never shown phantoms may call all of their tissue tumour; its sizes of discs then say nothing.
    """
    ratios = [measured / planted for planted, measured in pairs if measured is not None]
    return bool(ratios) and float(np.median(ratios)) <= _MOST_TOO_LONG


def found_from_um(pairs: Sequence[tuple[float, float | None]]) -> float | None:
    """The planted diameter from which on every deposit was found, rounded up to 50 um.

    None where one of the largest was missed, and where the network doesn't tell phantoms apart.
    """
    missed = max((planted for planted, measured in pairs if measured is None), default=0.0)
    found = [planted for planted, _ in pairs if planted > missed]
    if not found or not sizes_follow(pairs):
        return None
    return math.ceil(min(found) / _STEP_UM) * _STEP_UM


def _discs_of(
    predictor: TilePredictor,
    seed: int,
    *,
    shape: Shape = Shape.ROUND,
    diameters_um: tuple[float, ...] = DIAMETERS_UM,
) -> Iterator[DiscMap]:
    check_phantoms_fit(predictor.spacing_range_um)
    tile = predictor.geometry
    shapes = (shape,) * len(diameters_um)
    canvas = PhantomCanvas(plan_phantom(diameters_um, spacing_um=SPACING_UM, seed=seed, shapes=shapes))
    for planted in canvas.node.outlines:
        centre = planted.outline_um.mean(axis=0)
        left, top = (int(along / SPACING_UM - tile.core_px / 2) // tile.stride_px * tile.stride_px for along in centre)
        box = PixelBox(left, top, tile.core_px, tile.core_px).grown(tile.margin_px)
        values = predict(predictor, canvas.read(box)[None])[0]
        map_ = ProbabilityMap(values, np.ones(values.shape, bool), Spacing.square(SPACING_UM * tile.stride_px))
        yield DiscMap(
            planted.diameter_um, (float(centre[0]), float(centre[1])), map_, left * SPACING_UM, top * SPACING_UM
        )
