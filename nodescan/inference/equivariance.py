"""Convolutions that treat the eight turns and mirrors of a patch alike (the group p4m).

Tissue has no up and no left, so a network that is told so need not learn each texture eight times. A map of
C channels holds C / 8 features in eight poses each, feature first: channel = 8 * feature + pose.
Theory: Cohen & Welling, Group equivariant convolutional networks, ICML 2016. On this very task: Veeling et
al., Rotation equivariant CNNs for digital pathology, MICCAI 2018.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodescan.inference.p4m_group import EPS, KERNEL_OF, POSES


def turned(image: Tensor, pose: int) -> Tensor:
    """image : (..., k, k), mirrored where pose >= 4, then turned by pose % 4 quarters."""
    mirrored = image.flip(-1) if pose >= 4 else image
    return torch.rot90(mirrored, pose % 4, (-2, -1))


_KERNEL_OF = KERNEL_OF.tolist()
"""As numbers: a GPU would wait for a tensor of them to be copied to it, at each use."""

_MOMENTUM = 0.1
"""Of running statistics; torch's own."""


class Lift(nn.Module):
    """From an RGB image to features in eight poses. weight : (features, channels, k, k)."""

    def __init__(self, channels: int, features: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(features, channels, kernel, kernel))
        self.stride = stride
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def kernel(self) -> Tensor:
        """The plain convolution's kernel, (8 * features, channels, k, k)."""
        poses = torch.stack([turned(self.weight, pose) for pose in range(POSES)], dim=1)
        return poses.flatten(0, 1)

    def forward(self, image: Tensor) -> Tensor:
        return functional.conv2d(image, _as_image_is(self.kernel(), image), stride=self.stride)


class GroupConv(nn.Module):
    """From features in eight poses to features in eight poses. weight : (features, inputs, 8, k, k)."""

    stride = 1

    def __init__(self, inputs: int, features: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(features, inputs, POSES, kernel, kernel))
        nn.init.normal_(self.weight, std=(2.0 / (inputs * POSES * kernel * kernel)) ** 0.5)

    def kernel(self) -> Tensor:
        """The plain convolution's kernel, (8 * features, 8 * inputs, k, k)."""
        parts = self.weight.unbind(dim=2)
        fed = [torch.stack([parts[part] for part in _KERNEL_OF[pose]], dim=2) for pose in range(POSES)]
        poses = torch.stack([turned(weight, pose) for pose, weight in enumerate(fed)], dim=1)
        return poses.flatten(2, 3).flatten(0, 1)

    def forward(self, image: Tensor) -> Tensor:
        return functional.conv2d(image, _as_image_is(self.kernel(), image))


class GroupNorm8(nn.Module):
    """Batch normalisation whose scale, shift and running statistics are shared by the eight poses of a feature."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def affine(self) -> tuple[Tensor, Tensor]:
        """(scale, shift), each (8 * features,), that the running statistics amount to."""
        scale = self.weight * torch.rsqrt(self.running_var + EPS)
        shift = self.bias - self.running_mean * scale
        return scale.repeat_interleave(POSES), shift.repeat_interleave(POSES)

    def forward(self, image: Tensor) -> Tensor:
        weight, bias = self.weight.repeat_interleave(POSES), self.bias.repeat_interleave(POSES)
        mean = self.running_mean.repeat_interleave(POSES)
        variance = self.running_var.repeat_interleave(POSES)
        out = functional.batch_norm(image, mean, variance, weight, bias, self.training, _MOMENTUM, EPS)
        if self.training:  # the running values were updated in place: average them over the poses
            with torch.no_grad():
                self.running_mean.copy_(mean.view(-1, POSES).mean(dim=1))
                self.running_var.copy_(variance.view(-1, POSES).mean(dim=1))
        return out


def _as_image_is(kernel: Tensor, image: Tensor) -> Tensor:
    """The kernel in the memory layout that lets a channels-last image stay so."""
    channels_last = image.is_contiguous(memory_format=torch.channels_last)
    return kernel.contiguous(memory_format=torch.channels_last) if channels_last else kernel
