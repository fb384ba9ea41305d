"""Networks by name. Each answers a tile with a grid of logits, a cell of stride_px each, for all but its margin."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodescan.errors import ModelError
from nodescan.inference.equivariance import POSES, GroupConv, GroupNorm8, Lift
from nodescan.inference.p4m_group import FEATURES, MARGIN_PX, STRIDE_PX
from nodescan.inference.resnet import ResNet18


class Step(nn.Module):
    """Unpadded 3 x 3 group convolution and a 1 x 1 one, each normalised; what came in, cropped, is added where widths
    agree, else what the first convolution made of it."""

    def __init__(self, inputs: int, features: int) -> None:
        super().__init__()
        self.conv = GroupConv(inputs, features, 3)
        self.norm = GroupNorm8(features)
        self.mix = GroupConv(features, features, 1)
        self.mix_norm = GroupNorm8(features)
        self.residual = inputs == features

    def forward(self, image: Tensor) -> Tensor:
        seen = functional.relu(self.norm(self.conv(image)))
        kept = image[..., 1:-1, 1:-1] if self.residual else seen
        return functional.relu(self.mix_norm(self.mix(seen)) + kept)


class P4MNet(nn.Module):
    """Eight-pose network with a field of view of 80 px and an answer every 16 px.

    image : float (N, 3, H, W), normalised -> logits : float (N, (H - 64) // 16, (W - 64) // 16). The cell
    [16 i, 16 i + 16) is answered from [16 i - 32, 16 i + 48): on a 96 px patch the 2 x 2 answers are the four
    cells of its central 32 px, and nothing outside of the patch is ever seen.
    """

    margin_px = MARGIN_PX
    stride_px = STRIDE_PX
    padded = False

    def __init__(self, features: tuple[int, int, int, int], *, dropout: float = 0.0) -> None:
        super().__init__()
        a, b, c, d = features
        self.lift = Lift(3, a, 6, stride=2)
        self.lift_norm = GroupNorm8(a)
        self.fine = GroupConv(a, a, 3)
        self.fine_norm = GroupNorm8(a)
        self.middle = nn.Sequential(Step(a, b), Step(b, b), Step(b, b))
        self.coarse = nn.Sequential(Step(b, c), Step(c, c))
        self.mix = GroupConv(c, d, 1)
        self.mix_norm = GroupNorm8(d)
        self.dropout = nn.Dropout2d(dropout)
        self.answer = nn.Conv2d(2 * d, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = functional.relu(self.lift_norm(self.lift(image)))
        x = functional.max_pool2d(functional.relu(self.fine_norm(self.fine(x))), 2)
        x = functional.max_pool2d(self.middle(x), 2)
        x = functional.max_pool2d(self.coarse(x), 2)
        x = functional.relu(self.mix_norm(self.mix(x)))
        poses = x.unflatten(1, (-1, POSES))
        pooled = torch.cat([poses.mean(dim=2), poses.amax(dim=2)], dim=1)
        return self.answer(self.dropout(pooled)).squeeze(1)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "p4m": lambda: P4MNet(FEATURES["p4m"], dropout=0.1),
    "p4m-small": lambda: P4MNet(FEATURES["p4m-small"]),
    "resnet18": ResNet18,
}


def build(architecture: str, *, margin_px: int | None = None) -> nn.Module:
    """A network by name, with random weights. Raises ModelError for a name that isn't in MODELS.

    margin_px: what a padded network is to leave out around its answer, a multiple of its stride (None: its own
    choice). An unpadded network has the one margin that it has.
    """
    if architecture not in MODELS:
        raise ModelError(f"no architecture named {architecture!r}; there are {', '.join(sorted(MODELS))}")
    net = MODELS[architecture]()
    if margin_px is not None and net.padded and margin_px % net.stride_px == 0:
        net.margin_px = margin_px
    return net
