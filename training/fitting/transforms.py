"""From RGB to what a network is fed as it is trained; a scan has the same numbers folded into its first kernel."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nodescan.inference.made_tiles import MEAN, STD


def normalised(image: Tensor) -> Tensor:
    """image : float (N, 3, H, W) in [0, 1] -> the same, each colour centred and scaled."""
    return (image - _by_colour(MEAN, image)) / _by_colour(STD, image)


def _by_colour(values: Sequence[float], image: Tensor) -> Tensor:
    """(1, 3, 1, 1) of the image's kind, filled in on its device: a GPU would wait for a copy from the CPU."""
    return torch.stack([image.new_full((), value) for value in values]).view(1, 3, 1, 1)


def as_image(pixels: Tensor) -> Tensor:
    """pixels : uint8 (N, H, W, 3) RGB -> float (N, 3, H, W) in [0, 1], channels last in memory."""
    return (pixels.permute(0, 3, 1, 2).float() / 255).contiguous(memory_format=torch.channels_last)
