"""How far fast answers are trusted: by what was measured, and once smoothed."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.inference.fast_predictor import SMOOTHED_FROM_UM, SMOOTHED_TOLERANCE, TOLERANCE, FastPredictor
from nodescan.inference.lanes import Answer
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
