"""Networks by name. Each answers a tile with a grid of logits, a cell of stride_px each, for all but its margin."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodescan.errors import ModelError
from nodescan.inference.equivariance import POSES, GroupConv, GroupNorm8, Lift
from nodescan.inference.resnet import ResNet18


class Step(nn.Module):
    """Unpadded 3 x 3 group convolution (or of another kernel) and a 1 x 1 one, each normalised; what came in, cropped,
    is added where widths agree, else what the first convolution made of it."""

    def __init__(self, inputs: int, features: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = GroupConv(inputs, features, kernel)
        self.norm = GroupNorm8(features)
        self.mix = GroupConv(features, features, 1)
        self.mix_norm = GroupNorm8(features)
        self.residual = inputs == features
        self.crop = kernel // 2

    def forward(self, image: Tensor) -> Tensor:
        seen = functional.relu(self.norm(self.conv(image)))
        kept = cropped(image, self.crop) if self.residual else seen
        return functional.relu(self.mix_norm(self.mix(seen)) + kept)


class Around(nn.Module):
    """What a cell lies in: (N, 8 c, h, w) on a grid of 8 px -> (N, 2 d, (h - 2) // 2, (w - 2) // 2), each cell's a mean
    over 4 x 4 places."""

    def __init__(self, inputs: int, features: int) -> None:
        super().__init__()
        self.step = Step(inputs, inputs, kernel=1)
        self.mix = GroupConv(inputs, features, 1)
        self.mix_norm = GroupNorm8(features)

    def forward(self, image: Tensor) -> Tensor:
        seen = functional.relu(self.mix_norm(self.mix(self.step(image))))
        return functional.avg_pool2d(over_poses(seen), 4, stride=2)


class P4MNet(nn.Module):
    """Eight-pose network with a field of view of 80 px and an answer every 16 px.

    image : float (N, 3, H, W), normalised -> logits : float (N, (H - 64) // 16, (W - 64) // 16). The cell
    [16 i, 16 i + 16) is answered from [16 i - 32, 16 i + 48): on a 96 px patch the 2 x 2 answers are the four
    cells of its central 32 px, and nothing outside of the patch is ever seen.

    around: a second way from the coarse grid of 8 px, before its last 3 x 3 convolution: features of 56 px each,
    averaged over the 4 x 4 places that the cell's 80 px hold. The first knows the cell, the second what it lies in.
    """

    margin_px = 32
    stride_px = 16
    padded = False

    def __init__(self, features: tuple[int, int, int, int], *, around: bool = False, dropout: float = 0.0) -> None:
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
        self.around = Around(c, d) if around else None
        self.dropout = nn.Dropout2d(dropout)
        self.answer = nn.Conv2d((4 if around else 2) * d, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = functional.relu(self.lift_norm(self.lift(image)))
        x = functional.max_pool2d(functional.relu(self.fine_norm(self.fine(x))), 2)
        x = functional.max_pool2d(self.middle(x), 2)
        wide = self.coarse[0](x)
        x = functional.max_pool2d(self.coarse[1](wide), 2)
        pooled = over_poses(functional.relu(self.mix_norm(self.mix(x))))
        if self.around is not None:
            pooled = torch.cat([pooled, self.around(wide)], dim=1)
        return self.answer(self.dropout(pooled)).squeeze(1)


def cropped(image: Tensor, edge: int) -> Tensor:
    """Less so many pixels on every side."""
    return image[..., edge : image.shape[-2] - edge, edge : image.shape[-1] - edge]


def over_poses(image: Tensor) -> Tensor:
    """(N, 8 f, h, w) -> (N, 2 f, h, w): each feature's mean and largest value over its eight poses."""
    poses = image.unflatten(1, (-1, POSES))
    return torch.cat([poses.mean(dim=2), poses.amax(dim=2)], dim=1)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "p4m": lambda: P4MNet((4, 16, 48, 64), dropout=0.1),
    "p4m-around": lambda: P4MNet((4, 16, 48, 64), around=True, dropout=0.1),
    "p4m-small": lambda: P4MNet((2, 4, 8, 8)),
    "p4m-around-small": lambda: P4MNet((2, 4, 8, 8), around=True),
    "resnet18": ResNet18,
    "resnet18-c4": lambda: ResNet18(last_stage=False),
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
