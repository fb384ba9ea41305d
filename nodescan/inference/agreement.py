"""How far a fast way's answers are from float32: what its tolerance is set by, printed for a model and a device.

python -m nodescan.inference.agreement [MODEL] [DEVICE]
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.inference.card import find_model
from nodescan.inference.fast_predictor import FastPredictor
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.predictor import open_predictor


@dataclass(frozen=True, slots=True)
class Agreement:
    """largest: greatest difference of a cell's probability from float32. cells: compared. spread: lowest and highest
    probability among them; differences are greatest about 0.5."""

    precision: str
    device: str
    largest: float
    cells: int
    spread: tuple[float, float]


def agreement(predictor: FastPredictor, tiles: NDArray[np.uint8]) -> Agreement:
    """Fast answers held against the reference's. tiles : uint8 (N, input_px, input_px, 3) RGB."""
    fast, true = predictor.predict(tiles), predictor.reference.predict(tiles)
    spread = float(true.min()), float(true.max())
    return Agreement(predictor.precision, predictor.device, float(np.abs(fast - true).max()), true.size, spread)


def main(words: Sequence[str]) -> None:
    model, device = (*words, *(None, "auto")[len(words) :])
    predictor = open_predictor(find_model(model), device=device or "auto")
    if not isinstance(predictor, FastPredictor):
        print(f"{predictor.device}: computes in {predictor.precision} only")
        return
    print(agreement(predictor, made_tiles(12, predictor.geometry.input_px)))


if __name__ == "__main__":
    main(sys.argv[1:])
