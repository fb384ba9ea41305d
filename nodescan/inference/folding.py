"""A trained eight-pose network as plain convolutions: same answers, nothing left to do but convolve."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodescan.inference.equivariance import POSES, GroupConv, GroupNorm8, Lift
from nodescan.inference.models import P4MNet, Step


class _PlainStep(nn.Module):
    def __init__(self, step: Step) -> None:
        super().__init__()
        self.conv = folded(step.conv, step.norm)
        self.mix = folded(step.mix, step.mix_norm)
        self.residual = step.residual

    def forward(self, image: Tensor) -> Tensor:
        seen = functional.relu(self.conv(image))
        kept = image[..., 1:-1, 1:-1] if self.residual else seen
        return functional.relu(self.mix(seen) + kept)


class PlainP4MNet(nn.Module):
    """What a P4MNet computes at inference, fed with pixels 0..255 as float (N, 3, H, W): probabilities (N, n, n).

    Normalisation of colours, running statistics and the temperature stand in the kernels: without padding
    that is exact, to rounding.
    """

    def __init__(self, net: P4MNet, *, mean: Tensor, std: Tensor, temperature: float) -> None:
        super().__init__()
        self.lift = _fed_with_bytes(folded(net.lift, net.lift_norm, stride=2), mean, std)
        self.fine = folded(net.fine, net.fine_norm)
        self.stages = nn.ModuleList(nn.Sequential(*map(_PlainStep, stage)) for stage in (net.middle, net.coarse))
        self.mix = folded(net.mix, net.mix_norm)
        self.answer = nn.Conv2d(net.answer.in_channels, 1, 1)
        self.answer.weight.data = net.answer.weight.detach() / temperature
        self.answer.bias.data = net.answer.bias.detach() / temperature

    def forward(self, image: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.fine(functional.relu(self.lift(image)))), 2)
        for stage in self.stages:
            x = functional.max_pool2d(stage(x), 2)
        poses = functional.relu(self.mix(x)).unflatten(1, (-1, POSES))
        pooled = torch.cat([poses.mean(dim=2), poses.amax(dim=2)], dim=1)
        return torch.sigmoid(self.answer(pooled).float()).squeeze(1)


def folded(conv: Lift | GroupConv, norm: GroupNorm8, *, stride: int = 1) -> nn.Conv2d:
    """The plain convolution, with bias, that equals group convolution and normalisation by running statistics."""
    with torch.no_grad():
        kernel = conv.kernel()
        scale, shift = norm.affine()
        outputs, inputs, size, _ = kernel.shape
        plain = nn.Conv2d(inputs, outputs, size, stride=stride)
        plain.weight.data = kernel * scale[:, None, None, None]
        plain.bias.data = shift.clone()
    return plain


def _fed_with_bytes(conv: nn.Conv2d, mean: Tensor, std: Tensor) -> nn.Conv2d:
    """The first convolution, taking 0..255 where it took (value / 255 - mean) / std."""
    with torch.no_grad():
        conv.bias.data = conv.bias - (conv.weight * (mean / std).view(1, 3, 1, 1)).sum(dim=(1, 2, 3))
        conv.weight.data = conv.weight / (255 * std).view(1, 3, 1, 1)
    return conv
