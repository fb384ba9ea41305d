"""The arithmetic that a network needs, and the most that this machine can do: measured speeds are compared with
these."""

import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from nodescan.inference.card import load_card
from nodescan.inference.device import choose_device
from nodescan.inference.predictor import plain_network

_PROBE_S = 0.5
_CPU_PX, _GPU_PX, _SMALL_GPU_PX = 2048, 8192, 4096
"""Sides of the matrices. Smaller products would take a GPU less time than starting them, and so measure only the
start."""

_GPU_PRODUCTS, _ROOM_BYTES = 8, 2_000_000_000
"""One after another before they are waited for; and free memory below which the matrices are small ones."""


def gflop_per_megapixel(folder: Path) -> float:
    """Multiplications and additions, in 1e9 for each 1e6 pixels fed, of a model's network on tiles of its own size."""
    card = load_card(folder)
    side = card.geometry().input_px
    net = plain_network(card, folder)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net.to("meta")(torch.empty((1, 3, side, side), dtype=torch.uint8, device="meta"))
    return counter.get_total_flops() / 1e9 / (side * side / 1e6)


_TIMES_FLOAT32 = {"int8": 4, "int8-16": 2}
"""Products in the time of one in float32: by one instruction (VNNI), or by one of four times as many and two that add
them up."""


def reckoned_from(precision: str) -> str:
    """How matrix_gflop_s() comes to its figure of this precision, "" where it measures it."""
    return f"{_TIMES_FLOAT32[precision]} x float32" if precision in _TIMES_FLOAT32 else ""


def matrix_gflop_s(device: str, precision: str) -> float:
    """1e9 operations a second in a large matrix product: what the machine does at best in this precision.

    precision: a type of torch by name; any other name counts as float32. Eight bits: reckoned from float32.
    """
    if precision in _TIMES_FLOAT32:
        return _TIMES_FLOAT32[precision] * matrix_gflop_s(device, "float32")
    dtype = getattr(torch, precision, torch.float32)
    place = choose_device(device).device
    side, products = _probe(place)
    one = torch.randn((side, side), device=place).to(dtype)  # of ones a GPU draws less power, and runs faster
    best, ends = 0.0, time.perf_counter() + _PROBE_S
    while True:
        started = time.perf_counter()
        product = one @ one
        for _ in range(products - 1):
            torch.mm(one, one, out=product)
        float(product[0, 0])  # waits for the device
        best = max(best, products * 2 * side**3 / 1e9 / (time.perf_counter() - started))
        if time.perf_counter() > ends:
            return best


def _probe(place: torch.device) -> tuple[int, int]:
    """Sides of the matrices, and how many products are waited for at once."""
    if place.type == "cpu":
        return _CPU_PX, 1
    free_bytes, _ = torch.cuda.mem_get_info(place)
    return _GPU_PX if free_bytes > _ROOM_BYTES else _SMALL_GPU_PX, _GPU_PRODUCTS
