"""How much a tile's answers differ from those of one pass over the whole region, by the margin around its core."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nodescan.inference.card import ModelCard, load_card
from nodescan.inference.p4m_group import FEATURES, MARGIN_PX
from nodescan.inference.predictor import plain_network
from nodescan.inference.resnet import core
from nodescan.inference.torch_streams import as_pixels

HALF_FIELD_PX = {**dict.fromkeys(FEATURES, MARGIN_PX), "resnet18": 176}
"""What a cell sees beyond itself, rounded up to cells. ResNet: a field of 339 px, 7 + 4 for stem and pooling and
2 x the stride for every 3 x 3 convolution after them."""

MARGINS_PX = (0, 16, 32, 48)


@dataclass(frozen=True, slots=True)
class Seam:
    """One margin. largest, mean: difference of a cell's probability from the single pass; largest_logit: of its logit.

    extra_pixels: fed beyond the core, as a share of the core.
    """

    margin_px: int
    largest: float
    mean: float
    largest_logit: float
    extra_pixels: float


def region_side_px(folder: Path) -> int:
    """Side of the region that `seams` wants: two by two cores, and all that their cells can see."""
    card = load_card(folder)
    return 2 * card.core_px + 2 * HALF_FIELD_PX[card.architecture]


def seams(folder: Path, region: NDArray[np.uint8]) -> tuple[Seam, ...]:
    """Two by two cores answered tile by tile, at each of MARGINS_PX and half the field of view, in float32 on the CPU.

    region : uint8 (side, side, 3) RGB, side = region_side_px. Where the network doesn't pad, pixels that a margin below
    its own leaves out are the core's, mirrored; a padded network sees its mean colour there, as it always does.
    """
    card = load_card(folder)
    net, half = plain_network(card, folder), HALF_FIELD_PX[card.architecture]
    whole = as_pixels(region[None]).float()
    true = _answers(net, whole, half)
    found: list[Seam] = []
    for margin in sorted({*MARGINS_PX, half}):
        rows = [
            [_answers(net, _tile(whole, (row, column), card, margin), margin) for column in (0, 1)] for row in (0, 1)
        ]
        tiled = torch.cat([torch.cat(row, 2) for row in rows], 1)
        apart = (tiled - true).abs()
        logits = (torch.logit(tiled.double()) - torch.logit(true.double())).abs()
        extra = ((card.core_px + 2 * margin) / card.core_px) ** 2 - 1
        found.append(Seam(margin, float(apart.max()), float(apart.mean()), float(logits.max()), extra))
    return tuple(found)


def _tile(whole: Tensor, place: tuple[int, int], card: ModelCard, margin_px: int) -> Tensor:
    """(1, 3, h, w): the core at (row, column) of the two by two, and a margin of the region around it."""
    first = HALF_FIELD_PX[card.architecture] - margin_px
    if first < 0:
        return functional.pad(_tile(whole, place, card, margin_px + first), (-first,) * 4, mode="replicate")
    side = card.core_px + 2 * margin_px
    top, left = (first + index * card.core_px for index in place)
    return whole[..., top : top + side, left : left + side]


def _answers(net: nn.Module, image: Tensor, margin_px: int) -> Tensor:
    """(1, n, n) probabilities of an image's core, of which the network is shown margin_px on every side."""
    with torch.inference_mode():
        if net.net.padded:
            net.net.margin_px = margin_px
            return net(image)
        spare = margin_px - MARGIN_PX
        if spare < 0:
            return net(functional.pad(image, (-spare,) * 4, mode="reflect"))
        return core(net(image), spare)
