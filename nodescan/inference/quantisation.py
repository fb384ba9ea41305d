"""A plain network in whole numbers of eight bits, which processors multiply four times as fast as float32.

Weights, by output channel, and what each inner convolution is fed are rounded to 255 steps; sums stay exact. The first
convolution, fed with colours, and the last, which is small, stay as they are. Post-training quantisation as in Jacob et
al., Quantization and training of neural networks for efficient integer-arithmetic-only inference, CVPR 2018.
"""

import copy
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

_WEIGHT_STEPS, _INPUT_STEPS = 127, 255


class RoundedConv(nn.Module):
    """A convolution whose weights and input are rounded; its input, after a rectifier, lies in [0, largest]."""

    def __init__(self, conv: nn.Conv2d, largest: float) -> None:
        super().__init__()
        self.conv = conv
        self.step = largest / _INPUT_STEPS
        steps = conv.weight.detach().abs().amax(dim=(1, 2, 3)).clamp(min=1e-12) / _WEIGHT_STEPS
        self.register_buffer("weight_steps", steps)
        self.register_buffer("zeros", torch.zeros(len(steps), dtype=torch.int32))

    def forward(self, image: Tensor) -> Tensor:
        fed = torch.fake_quantize_per_tensor_affine(image, self.step, 0, 0, _INPUT_STEPS)
        weight = torch.fake_quantize_per_channel_affine(
            self.conv.weight, self.weight_steps, self.zeros, 0, -_WEIGHT_STEPS, _WEIGHT_STEPS
        )
        return functional.conv2d(fed, weight, self.conv.bias, self.conv.stride, self.conv.padding)


def inner_convolutions(net: nn.Module) -> list[tuple[str, nn.Conv2d]]:
    """Name and layer, in the network's order, of every convolution but the first and the last."""
    return [(name, layer) for name, layer in net.named_modules() if isinstance(layer, nn.Conv2d)][1:-1]


def input_ranges(net: nn.Module, tiles: NDArray[np.uint8]) -> tuple[float, ...]:
    """The largest value that each inner convolution is fed over the tiles, uint8 (N, h, w, 3).

    net: plain, fed with pixels. The tiles have to show what slides show: larger values than these are cut off.
    """
    largest = dict.fromkeys((name for name, _ in inner_convolutions(net)), 0.0)

    def watched(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_layer: nn.Module, fed: tuple[Tensor, ...]) -> None:
            largest[name] = max(largest[name], float(fed[0].max()))

        return hook

    hooks = [layer.register_forward_pre_hook(watched(name)) for name, layer in inner_convolutions(net)]
    try:
        with torch.inference_mode():
            for tile in tiles:
                net(torch.from_numpy(np.ascontiguousarray(tile[None])).permute(0, 3, 1, 2))
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(round(value, 4) for value in largest.values())


def quantised(net: nn.Module, ranges: tuple[float, ...]) -> nn.Module:
    """A copy of a plain network in eight bits; float32 all the same, until it is compiled. ranges: see input_ranges.

    Raises ValueError where there isn't a positive range for each inner convolution.
    """
    made = copy.deepcopy(net)
    layers = inner_convolutions(made)
    if len(ranges) != len(layers) or min(ranges, default=1.0) <= 0:
        raise ValueError(f"{len(layers)} positive ranges are needed, one for each inner convolution, not {ranges}")
    for (name, layer), largest in zip(layers, ranges, strict=True):
        *way, last = name.split(".")
        setattr(made.get_submodule(".".join(way)), last, RoundedConv(layer, largest))
    return made
