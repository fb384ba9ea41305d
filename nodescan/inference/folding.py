"""A trained network as plain convolutions fed with bytes: same answers, nothing left to do but convolve."""

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn

from nodescan.inference.equivariance import GroupConv, GroupNorm8, Lift
from nodescan.inference.resnet import folded_norm


class Plain(nn.Module):
    """What a network computes at inference; exact, to rounding. Padding stands for the mean colour in both.

    Fed with pixels 0..255, uint8 or float (N, 3, H, W): float32 probabilities (N, n, n). Running statistics, the scale
    of the colours and the temperature stand in the kernels. The colours' mean is taken off the pixels first: bytes are
    exact in narrow types, but sums over uncentred ones are not.
    """

    def __init__(self, net: nn.Module, *, mean: Tensor, std: Tensor, temperature: float) -> None:
        super().__init__()
        self.register_buffer("centre", (255 * mean).view(1, 3, 1, 1))
        self.net = copy.deepcopy(net).eval()
        for part in list(self.net.modules()):
            for (conv_name, conv), (norm_name, norm) in pairwise(list(part.named_children())):
                if type(norm) in _FOLDED:
                    setattr(part, conv_name, _FOLDED[type(norm)](conv, norm))
                    setattr(part, norm_name, nn.Identity())
        first, *_, answer = (layer for layer in self.net.modules() if isinstance(layer, nn.Conv2d))
        with torch.no_grad():  # the first takes 0..255 less the mean where it took (value / 255 - mean) / std
            first.weight.data = first.weight / (255 * std).view(1, 3, 1, 1)
            answer.weight.data, answer.bias.data = answer.weight / temperature, answer.bias / temperature

    def forward(self, image: Tensor) -> Tensor:
        return torch.sigmoid(self.net((image - self.centre).to(next(self.net.parameters()).dtype)).float())


def plain_form(net: nn.Module, *, mean: tuple[float, ...], std: tuple[float, ...], temperature: float) -> nn.Module:
    """What the network computes at inference, fed with bytes. mean, std: of the colours, in [0, 1]."""
    colours_mean, colours_std = (torch.tensor(values, dtype=torch.float32) for values in (mean, std))
    return Plain(net, mean=colours_mean, std=colours_std, temperature=temperature)


def folded(conv: Lift | GroupConv, norm: GroupNorm8) -> nn.Conv2d:
    """The plain convolution, with bias, that equals group convolution and normalisation by running statistics."""
    with torch.no_grad():
        kernel = conv.kernel()
        scale, shift = norm.affine()
        outputs, inputs, size, _ = kernel.shape
        plain = nn.Conv2d(inputs, outputs, size, stride=conv.stride)
        plain.weight.data = kernel * scale[:, None, None, None]
        plain.bias.data = shift.clone()
    return plain


_FOLDED = {GroupNorm8: folded, nn.BatchNorm2d: folded_norm}
"""By the normalisation behind a convolution, what makes one of both."""
