"""A trained network as plain convolutions fed with bytes: same answers, nothing left to do but convolve."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodescan.inference.equivariance import POSES, GroupConv, GroupNorm8, Lift
from nodescan.inference.models import P4MNet, Step
from nodescan.inference.resnet import Block, ResNet18, core, folded_norm


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


class _Plain(nn.Module):
    """Fed with pixels 0..255, uint8 or float (N, 3, H, W): float32 probabilities (N, n, n).

    Running statistics, the scale of the colours and the temperature stand in the kernels. Their mean is taken off the
    pixels first: bytes are exact in narrow types, but sums over uncentred ones are not.
    """

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", (255 * mean).view(1, 3, 1, 1))

    def centred(self, image: Tensor, like: nn.Conv2d) -> Tensor:
        """The pixels less their mean, in the type of a convolution's weights."""
        return (image - self.centre).to(like.weight.dtype)


class PlainP4MNet(_Plain):
    """What a P4MNet computes at inference; exact, to rounding."""

    def __init__(self, net: P4MNet, *, mean: Tensor, std: Tensor, temperature: float) -> None:
        super().__init__(mean)
        self.lift = _fed_with_bytes(folded(net.lift, net.lift_norm, stride=2), std)
        self.fine = folded(net.fine, net.fine_norm)
        self.stages = nn.ModuleList(nn.Sequential(*map(_PlainStep, stage)) for stage in (net.middle, net.coarse))
        self.mix = folded(net.mix, net.mix_norm)
        self.answer = _cooled(net.answer, temperature)

    def forward(self, image: Tensor) -> Tensor:
        lifted = functional.relu(self.lift(self.centred(image, self.lift)))
        x = functional.max_pool2d(functional.relu(self.fine(lifted)), 2)
        for stage in self.stages:
            x = functional.max_pool2d(stage(x), 2)
        poses = functional.relu(self.mix(x)).unflatten(1, (-1, POSES))
        pooled = torch.cat([poses.mean(dim=2), poses.amax(dim=2)], dim=1)
        return _probability(self.answer(pooled))


class _PlainBlock(nn.Module):
    def __init__(self, block: Block) -> None:
        super().__init__()
        self.conv1 = folded_norm(block.conv1, block.norm1)
        self.conv2 = folded_norm(block.conv2, block.norm2)
        self.short = None if block.short is None else folded_norm(block.short, block.short_norm)

    def forward(self, image: Tensor) -> Tensor:
        kept = image if self.short is None else self.short(image)
        return functional.relu(self.conv2(functional.relu(self.conv1(image))) + kept)


class PlainResNet18(_Plain):
    """What a ResNet18 computes at inference; exact, to rounding: padding stands for the mean colour in both."""

    def __init__(self, net: ResNet18, *, mean: Tensor, std: Tensor, temperature: float) -> None:
        super().__init__(mean)
        self.margin_px = net.margin_px
        self.stem = _fed_with_bytes(folded_norm(net.stem, net.stem_norm), std)
        self.blocks = nn.Sequential(*(_PlainBlock(block) for stage in net.stages for block in stage))
        self.answer = _cooled(net.answer, temperature)

    def forward(self, image: Tensor) -> Tensor:
        x = functional.relu(self.stem(self.centred(image, self.stem)))
        x = self.blocks(functional.max_pool2d(x, 3, stride=2, padding=1))
        return _probability(self.answer(core(x, self.margin_px)))


PLAIN: dict[type[nn.Module], Callable[..., nn.Module]] = {P4MNet: PlainP4MNet, ResNet18: PlainResNet18}


def plain_form(net: nn.Module, *, mean: tuple[float, ...], std: tuple[float, ...], temperature: float) -> nn.Module:
    """What the network computes at inference, fed with bytes. mean, std: of the colours, in [0, 1]."""
    return PLAIN[type(net)](net, mean=torch.tensor(mean), std=torch.tensor(std), temperature=temperature)


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


def _fed_with_bytes(conv: nn.Conv2d, std: Tensor) -> nn.Conv2d:
    """The first convolution, taking 0..255 less the mean where it took (value / 255 - mean) / std."""
    with torch.no_grad():
        conv.weight.data = conv.weight / (255 * std).view(1, 3, 1, 1)
    return conv


def _cooled(answer: nn.Conv2d, temperature: float) -> nn.Conv2d:
    plain = nn.Conv2d(answer.in_channels, 1, 1)
    plain.weight.data = answer.weight.detach() / temperature
    plain.bias.data = answer.bias.detach() / temperature
    return plain


def _probability(logits: Tensor) -> Tensor:
    return torch.sigmoid(logits.float()).squeeze(1)
