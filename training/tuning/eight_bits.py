"""What a network's inner layers are fed, measured on tiles as slides show them: its ranges for eight bits."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nodescan.benchmarks.slide_tiles import tissue_tiles
from nodescan.domain.slide import SlideRef
from nodescan.inference.card import ModelCard, checked_weights, load_card
from nodescan.inference.device import int8_precision
from nodescan.inference.fast import distrust
from nodescan.inference.openvino_streams import OpenVinoLanes, installed
from nodescan.inference.predictor import open_predictor, plain_network
from nodescan.inference.quantisation import input_ranges
from training.patches.labelled import PATCH_SPACING_UM
from training.patches.phantom_tiles import phantom_tile

_TILES_A_SLIDE, _PHANTOMS = 3, 12


def with_ranges(folder: Path, slides: Sequence[Path]) -> ModelCard:
    """The model's card with int8_ranges: the largest inputs over a few tiles of each slide and of phantoms.

    Without them where eight bits then answer the same tiles too far from float32, or this machine can't try it: a card
    with ranges is trusted (nodescan/inference/without_torch.py).
    """
    card = load_card(folder)
    plain = plain_network(card, folder)
    tiles = list(_tiles(folder, slides, card.geometry().input_px))
    found = [input_ranges(plain, tile) for tile in tiles]
    ranged = card.model_copy(update={"int8_ranges": tuple(max(values) for values in zip(*found, strict=True))})
    return ranged if _near_float32(ranged, folder, tiles) else card.model_copy(update={"int8_ranges": None})


def _near_float32(card: ModelCard, folder: Path, tiles: Sequence[NDArray[np.uint8]]) -> bool:
    """Whether no answer to every third tile is off by more than half of the tolerance, on this processor and others.

    The fewer steps of processors without VNNI are tried wherever there are eight bits, the finer ones where they can.
    """
    own = int8_precision(torch.device("cpu"))
    if not installed() or own is None:
        return False
    reference, weights = open_predictor(folder, device="cpu", precision="float32"), checked_weights(card, folder)
    for precision in sorted({own, "int8-16"}):
        lanes = OpenVinoLanes(card, weights, threads=torch.get_num_threads(), precision=precision)
        if any(distrust(lanes, reference, tile) for tile in tiles[::3]):
            return False
    return True


def _tiles(folder: Path, slides: Sequence[Path], side_px: int) -> Iterator[NDArray[np.uint8]]:
    """uint8 (1, side_px, side_px, 3), one after another."""
    predictor = open_predictor(folder, precision="float32")
    for slide in slides:
        with tissue_tiles(SlideRef(slide.stem, slide), predictor) as found:
            yield from found.tiles(_TILES_A_SLIDE)
    random = np.random.default_rng(0)
    for _ in range(_PHANTOMS):
        yield phantom_tile(side_px, PATCH_SPACING_UM, random)[0][None]
