"""Networks that the released one is compared with or taught by; they can be trained and judged here, not exported."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodescan.errors import ModelError
from nodescan.inference.equivariance import POSES
from nodescan.inference.models import MODELS, P4MNet, Step, build
from nodescan.inference.p4m_group import FEATURES
from nodescan.inference.resnet import Block


class PlainStep(Step):
    """As nodescan's Step, with ordinary convolutions."""

    def __init__(self, inputs: int, channels: int) -> None:
        nn.Module.__init__(self)
        self.conv = nn.Conv2d(inputs, channels, 3, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.mix = nn.Conv2d(channels, channels, 1, bias=False)
        self.mix_norm = nn.BatchNorm2d(channels)
        self.residual = inputs == channels


class PlainNet(nn.Module):
    """The released network's layout without its symmetry: as many channels and multiplications, every weight its own.

    image : float (N, 3, H, W), normalised -> logits : float (N, (H - 64) // 16, (W - 64) // 16).
    """

    margin_px = 32
    stride_px = 16

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = (POSES * count for count in FEATURES["p4m"])
        self.first = nn.Conv2d(3, a, 6, stride=2, bias=False)
        self.first_norm = nn.BatchNorm2d(a)
        self.fine = nn.Conv2d(a, a, 3, bias=False)
        self.fine_norm = nn.BatchNorm2d(a)
        self.middle = nn.Sequential(PlainStep(a, b), PlainStep(b, b), PlainStep(b, b))
        self.coarse = nn.Sequential(PlainStep(b, c), PlainStep(c, c))
        self.mix = nn.Conv2d(c, d, 1, bias=False)
        self.mix_norm = nn.BatchNorm2d(d)
        self.dropout = nn.Dropout2d(0.1)
        self.answer = nn.Conv2d(d, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = functional.relu(self.first_norm(self.first(image)))
        x = functional.max_pool2d(functional.relu(self.fine_norm(self.fine(x))), 2)
        x = functional.max_pool2d(self.middle(x), 2)
        x = functional.max_pool2d(self.coarse(x), 2)
        x = functional.relu(self.mix_norm(self.mix(x)))
        return self.answer(self.dropout(x)).squeeze(1)


class ResidualNet(nn.Module):
    """A residual network that answers one picture with one logit: of its middle, from the 80 px around it at most.

    Made to teach: it averages over its field, so it can't draw an outline, and knows nothing of turns and mirrors, so
    it errs elsewhere than the released network. image : float (N, 3, H, W), normalised -> logits : float (N, 1, 1).
    """

    margin_px = 32
    stride_px = 16

    def __init__(self) -> None:
        super().__init__()
        channels = 48, 96, 192, 384
        self.stem = nn.Conv2d(3, 32, 5, stride=2, padding=2, bias=False)
        self.stem_norm = nn.BatchNorm2d(32)
        pairs = zip((32, *channels), channels, strict=False)
        self.stages = nn.Sequential(
            *(nn.Sequential(Block(inputs, outputs, stride=2), Block(outputs, outputs)) for inputs, outputs in pairs)
        )
        self.dropout = nn.Dropout(0.2)
        self.answer = nn.Linear(channels[-1], 1)

    def forward(self, image: Tensor) -> Tensor:
        edge = max(0, image.shape[-1] - 2 * self.margin_px - self.stride_px) // 2
        seen = image[..., edge : image.shape[-2] - edge, edge : image.shape[-1] - edge]
        x = self.stages(functional.relu(self.stem_norm(self.stem(seen))))
        return self.answer(self.dropout(x.mean(dim=(2, 3))))[..., None]


RIVALS: dict[str, Callable[[], nn.Module]] = {
    "plain": PlainNet,
    "p4m-wide-first": lambda: P4MNet((8, 16, 48, 64), dropout=0.1),
    "residual": ResidualNet,
    "p4m-half": lambda: P4MNet((2, 8, 24, 32), dropout=0.1),
}


def build_any(architecture: str) -> nn.Module:
    """A rival by name, else one of nodescan's own networks. Raises ModelError for a name that is in neither table."""
    if architecture in RIVALS:
        return RIVALS[architecture]()
    if architecture not in MODELS:
        raise ModelError(
            f"no architecture named {architecture!r}; there are {', '.join(sorted(MODELS))}, and some that can be "
            f"trained but not exported: {', '.join(sorted(RIVALS))}"
        )
    return build(architecture)


def parameters(net: nn.Module) -> int:
    """How many weights a network has; those that several poses share count once."""
    return sum(torch.numel(weight) for weight in net.parameters())
