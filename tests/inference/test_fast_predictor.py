"""How far fast answers are trusted: by what was measured, and once smoothed."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.domain.geometry import TileGeometry
from nodescan.inference.card import ModelCard
from nodescan.inference.fast_predictor import (
    SECOND_LOOK_CORE_PX,
    SMOOTHED_FROM_UM,
    SMOOTHED_TOLERANCE,
    TOLERANCE,
    FastPredictor,
    second_look_tile,
)
from nodescan.inference.tile_streams import Answer
from tests.fakes import ColourPredictor


class Instant:
    """Lanes that answer nothing but zeros."""

    def __init__(self, precision: str) -> None:
        self.precision = precision

    def start(self, tiles: NDArray[np.uint8]) -> Answer:
        return lambda: np.zeros((len(tiles), 16, 16), np.float32)


def fast(precision: str, smoothing_um: float) -> FastPredictor:
    reference = ColourPredictor()
    reference.decision = replace(reference.decision, smoothing_um=smoothing_um)
    return FastPredictor(reference, reference, Instant(precision))


@pytest.mark.parametrize(
    ("precision", "measured", "trusted"),
    [
        ("bfloat16", 0.025, 0.06),
        ("float16", 0.0043, 0.012),
        ("int8", 0.067, 0.14),
        ("int8-16", 0.078, 0.16),
    ],
)
def test_a_precision_is_trusted_with_twice_what_was_measured(precision: str, measured: float, trusted: float) -> None:
    """A change of it is a change of what is answered twice, and takes a new measurement."""
    assert fast(precision, 0.0).tolerance == TOLERANCE[precision] == trusted
    assert 2 <= trusted / measured < 3


def test_every_precision_was_measured() -> None:
    """None is trusted without, and the smoothed map no more than twice the worst that it was off by, 0.015."""
    assert sorted(TOLERANCE) == ["bfloat16", "float16", "int8", "int8-16"]
    assert (SMOOTHED_TOLERANCE, SMOOTHED_FROM_UM) == (2 * 0.015, 32.0)


@pytest.mark.parametrize(
    ("precision", "smoothing_um", "trusted"),
    [
        ("int8", 32.0, 0.03),
        ("int8", 31.9, 0.14),
        ("int8-16", 40.0, 0.03),
        ("bfloat16", 0.0, 0.06),
        ("float16", 40.0, 0.012),
        ("float16", 31.9, 0.012),
    ],
)
def test_a_smoothed_map_is_nearer_where_it_is_smoothed_enough(
    precision: str, smoothing_um: float, trusted: float
) -> None:
    """From 32 um on, and never farther than a single cell."""
    assert fast(precision, smoothing_um).smoothed_tolerance == trusted


@pytest.mark.parametrize(
    ("core_px", "padded", "second_px"), [(512, False, 272), (128, False, 128), (512, True, 512), (128, True, 128)]
)
def test_single_cells_are_answered_again_in_small_tiles_but_where_a_network_pads(
    core_px: int, padded: bool, second_px: int
) -> None:
    """Whose answer to a cell is another one in another tile."""
    own = TileGeometry(core_px, 32, 16, padded)
    card = cast(ModelCard, SimpleNamespace(geometry=lambda: own))
    assert SECOND_LOOK_CORE_PX == 272
    assert second_look_tile(card) == TileGeometry(second_px, 32, 16, padded)


def test_the_first_look_is_the_fast_lanes_and_the_second_the_references() -> None:
    """Either way round findings would be held to what they are to be checked for."""
    reference, second_look = ColourPredictor(), ColourPredictor()
    predictor = FastPredictor(reference, second_look, Instant("int8"))
    assert (predictor.reference, predictor.second_look) == (reference, second_look)
    assert (predictor.batch_size, predictor.device) == (reference.batch_size, reference.device)
    assert predictor.spacing_range_um == reference.spacing_range_um
    tiles = np.full((2, 320, 320, 3), 100, np.uint8)
    assert reference.start(tiles)().any()
    assert not predictor.start(tiles)().any()
    assert not predictor.start(tiles)().any()
