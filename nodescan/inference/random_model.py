"""A model folder with random weights, to measure speed with: its answers mean nothing, and are low everywhere."""

import hashlib
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from nodescan.inference.card import WEIGHTS_FILE, Decision, ModelCard, save_card
from nodescan.inference.folding import Plain
from nodescan.inference.made_tiles import MEAN, STD, made_tiles
from nodescan.inference.models import build
from nodescan.inference.quantisation import input_ranges

_LOGIT, _SPREAD = -3.0, 0.5
"""Answers of about 0.05: no deposit, nothing to recompute, and not the same everywhere."""


def random_model(folder: Path, architecture: str, *, core_px: int = 512, margin_px: int = 32) -> Path:
    """Write a card and random weights into `folder` and return it. The weights are the same each time.

    core_px, margin_px: see TileGeometry; an unpadded network has one margin only. Raises ModelError for an
    architecture that there isn't.
    """
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(0)
        net = build(architecture, margin_px=margin_px).eval()
        _answers_low(net)
        plain = Plain(net, mean=MEAN, std=STD, temperature=1.0).eval()
        ranges = input_ranges(plain, _extreme_tiles(2 * net.margin_px + 128))
    weights = safetensors.torch.save({name: value.contiguous() for name, value in net.state_dict().items()})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS_FILE).write_bytes(weights)
    card = ModelCard(
        name=f"random-{architecture}",
        architecture=architecture,
        weights=WEIGHTS_FILE,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        spacing_um=(0.9, 1.0),
        core_px=core_px,
        margin_px=margin_px,
        stride_px=net.stride_px,
        mean=MEAN,
        std=STD,
        temperature=1.0,
        int8_ranges=ranges,
        decision=Decision(
            smoothing_um=32.0,
            threshold=0.6,
            seed_threshold=0.9,
            size_correction_um=(),
            size_uncertainty_um=10.0,
            chosen_on="nothing: random weights",
        ),
        training_data="none",
        metrics={},
        limits="Random weights, for measuring speed only: every answer is meaningless.",
        licence="Apache-2.0",
    )
    save_card(card, folder)
    return folder


def _extreme_tiles(side_px: int) -> NDArray[np.uint8]:
    """uint8 (N, side_px, side_px, 3): tissue, pure noise, whose steps are as high as steps can be, white and black."""
    made = made_tiles(3, side_px)
    noise = np.random.default_rng(0).integers(0, 256, made[:1].shape, np.uint8)
    return np.concatenate([made, noise, np.full_like(noise, 255), np.zeros_like(noise)])


def _answers_low(net: nn.Module) -> None:
    """Scale the last layer so that logits on noise lie at _LOGIT, with a standard deviation of _SPREAD."""
    logits = net(torch.randn(1, 3, 2 * net.margin_px + 128, 2 * net.margin_px + 128))
    scale = _SPREAD / float(logits.std().clamp(min=1e-6))
    shift = float(net.answer.bias) - float(logits.mean())
    net.answer.weight.mul_(scale)
    net.answer.bias.fill_(shift * scale + _LOGIT)
