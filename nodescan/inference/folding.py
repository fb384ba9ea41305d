"""A trained network as plain convolutions of bytes, with the same answers."""

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from nodescan.inference.equivariance import GroupConv, GroupNorm8, Lift


class Plain(nn.Module):
    """What a network computes at inference; exact, to rounding. Padding stands for the mean colour in both.

    Fed with pixels 0..255, uint8 or float (N, 3, H, W): float32 probabilities (N, n, n). Running statistics, the scale
    of the colours and the temperature are part of the kernels. The colours' mean is subtracted from the pixels first:
    bytes are exact in narrow types, but sums of bytes that aren't centred are not.
    """

    def __init__(self, net: nn.Module, *, mean: Sequence[float], std: Sequence[float], temperature: float) -> None:
        """mean, std: of the colours, in [0, 1]."""
        super().__init__()
        middle, spread = (255 * torch.tensor(one, dtype=torch.float32).view(1, 3, 1, 1) for one in (mean, std))
        self.register_buffer("centre", middle)
        self.net = copy.deepcopy(net).eval()
        for part in list(self.net.modules()):
            for (conv_name, conv), (norm_name, norm) in pairwise(list(part.named_children())):
                if isinstance(norm, GroupNorm8 | nn.BatchNorm2d):
                    setattr(part, conv_name, _folded(conv, norm))
                    setattr(part, norm_name, nn.Identity())
        first, *_, answer = (layer for layer in self.net.modules() if isinstance(layer, nn.Conv2d))
        with torch.no_grad():  # the first takes 0..255 less the mean where it took (value / 255 - mean) / std
            first.weight.data = first.weight / spread
            answer.weight.data, answer.bias.data = answer.weight / temperature, answer.bias / temperature

    def forward(self, image: Tensor) -> Tensor:
        return torch.sigmoid(self.net((image - self.centre).to(next(self.net.parameters()).dtype)).float())


def _folded(conv: Lift | GroupConv | nn.Conv2d, norm: GroupNorm8 | nn.BatchNorm2d) -> nn.Conv2d:
    """The plain convolution, with bias, that equals a convolution and its normalisation by running statistics."""
    with torch.no_grad():
        if isinstance(norm, GroupNorm8):
            kernel, padding, (scale, shift) = conv.kernel(), 0, norm.affine()
        else:
            kernel, padding, scale = conv.weight, conv.padding, norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            shift = norm.bias - norm.running_mean * scale
        outputs, inputs, size, _ = kernel.shape
        plain = nn.Conv2d(inputs, outputs, size, stride=conv.stride, padding=padding)
        plain.weight.data, plain.bias.data = kernel * scale[:, None, None, None], shift
    return plain
