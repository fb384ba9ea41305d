"""How much arithmetic a network takes, and how much this machine does at best: what a speed is held against."""

import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from nodescan.inference.card import load_card
from nodescan.inference.device import choose_device
from nodescan.inference.folding import plain_form
from nodescan.inference.predictor import load_network

_PROBE_PX, _PROBE_S = 2048, 0.5


def gflop_per_megapixel(folder: Path) -> float:
    """Multiplications and additions, in 1e9 for each 1e6 pixels fed, of a model's network on tiles of its own size."""
    card = load_card(folder)
    side = card.geometry().input_px
    net = plain_form(load_network(card, folder), mean=card.mean, std=card.std, temperature=card.temperature)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net.to("meta")(torch.empty((1, 3, side, side), dtype=torch.uint8, device="meta"))
    return counter.get_total_flops() / 1e9 / (side * side / 1e6)


_TIMES_FLOAT32 = {"int8": 4}
"""Multiplied in one instruction (VNNI), where float32 is multiplied once."""


def matrix_gflop_s(device: str, precision: str) -> float:
    """1e9 operations a second in a large matrix product: what the machine does at best in this precision.

    precision: a type of torch by name; any other name counts as float32. int8: reckoned from float32.
    """
    if precision in _TIMES_FLOAT32:
        return _TIMES_FLOAT32[precision] * matrix_gflop_s(device, "float32")
    dtype = getattr(torch, precision, torch.float32)
    place = choose_device(device).device
    one = torch.ones((_PROBE_PX, _PROBE_PX), dtype=dtype, device=place)
    best, ends = 0.0, time.perf_counter() + _PROBE_S
    while True:
        started = time.perf_counter()
        product = one @ one
        float(product[0, 0])  # waits for the device
        best = max(best, 2 * _PROBE_PX**3 / 1e9 / (time.perf_counter() - started))
        if time.perf_counter() > ends:
            return best
