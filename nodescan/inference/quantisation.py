"""The ranges of inputs of a plain network's inner layers, which eight bits have to span (openvino_graph.py).

Weights, by output channel, and what each inner convolution is fed are rounded to 255 steps; sums stay exact. Short cuts
carry what is rounded, too. The first convolution is fed with colours, which are bytes; the last, which is small, stays
as it is. Post-training quantisation as in Jacob et al., Quantization and training of neural networks for efficient
integer-arithmetic-only inference, CVPR 2018.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nodescan.inference.torch_streams import as_pixels


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
                net(as_pixels(np.ascontiguousarray(tile[None])))
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(round(value, 4) for value in largest.values())
