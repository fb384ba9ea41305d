"""Measures which tissue a model was taught, and writes it beside its card: scans then tell of other tissue."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.errors import UsageError
from nodescan.imaging.places import FIELD_PX
from nodescan.inference.card import Known, checked_weights, load_card, save_card
from nodescan.inference.known_tissue import KNOWN_FILE, Textures, is_stained, measured_kind, packed
from nodescan.whole_files import write_beside
from training.patches.labelled import read_patches
from training.patches.phantom_tiles import phantom_tile

_MOST, _FEWEST = 6000, 1000
"""Patches of each kind. With 4,000 stained ones the covariance of 32 features is known to a few per cent."""

_PHANTOMS, _PHANTOM_SEED = 2500, 1
"""Phantoms are a kind of their own: networks are trained on them, too, and a phantom must not be called unlike."""


def write_known_tissue(model: Path, trained: Sequence[Path], validation: Path) -> str:
    """Write known_tissue.safetensors into a model's folder and name it on the card; what was done, in words.

    trained, validation: patches of 96 px that the model was trained on, and others. Raises UsageError for too few or
    too small ones, and ModelError for a network without such layers.
    """
    card = load_card(model)
    textures = Textures(card, checked_weights(card, model))
    known, others, drawn = _stained(trained), _stained([validation]), _phantom_tiles(sum(card.spacing_um) / 2)
    half = len(drawn) // 2
    kinds = (measured_kind(textures, known, others), measured_kind(textures, drawn[:half], drawn[half:]))
    content = packed(kinds)
    write_beside(model / KNOWN_FILE, content)
    measured_on = (
        f"{len(known):,} stained training patches, {half:,} phantom tiles; 5 % of {len(others):,} validation patches "
        "look unlike the first, 5 % of as many tiles unlike the second"
    )
    known_tissue = Known(sha256=hashlib.sha256(content).hexdigest(), measured_on=measured_on)
    save_card(card.model_copy(update={"known_tissue": known_tissue}), model)
    return measured_on


def _stained(sources: Sequence[Path]) -> NDArray[np.uint8]:
    """uint8 (N, FIELD_PX, FIELD_PX, 3): stained patches, of _MOST that are evenly spread over all."""
    pixels = read_patches(sources).pixels
    if pixels.shape[1:] != (FIELD_PX, FIELD_PX, 3):
        raise UsageError(f"{sources[0]}: known tissue is measured on patches of {FIELD_PX} px")
    places = np.linspace(0, len(pixels) - 1, min(_MOST, len(pixels))).round().astype(int)
    chosen = np.asarray(pixels[places])
    stained = chosen[is_stained(chosen)]
    if len(stained) < _FEWEST:
        raise UsageError(f"{sources[0]}: {len(stained)} stained patches are too few to tell; {_FEWEST:,} are needed")
    return stained


def _phantom_tiles(spacing_um: float) -> NDArray[np.uint8]:
    """uint8 (N, FIELD_PX, FIELD_PX, 3): stained ones, as in training."""
    chance = np.random.default_rng(_PHANTOM_SEED)
    drawn = np.stack([phantom_tile(FIELD_PX, spacing_um, chance)[0] for _ in range(_PHANTOMS)])
    return drawn[is_stained(drawn)]
