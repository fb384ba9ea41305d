"""The residual network of 18 layers at an output stride of 16, for comparisons with other systems."""

from torch import Tensor, nn
from torch.nn import functional

from nodescan.inference.p4m_group import STRIDE_PX


class Block(nn.Module):
    """Two padded 3 x 3 convolutions, normalised, beside a short cut; the first may take every second pixel."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.short = None
        if stride != 1 or inputs != outputs:
            self.short = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.short_norm = nn.BatchNorm2d(outputs)

    def forward(self, image: Tensor) -> Tensor:
        kept = image if self.short is None else self.short_norm(self.short(image))
        seen = functional.relu(self.norm1(self.conv1(image)))
        return functional.relu(self.norm2(self.conv2(seen)) + kept)


class ResNet18(nn.Module):
    """He et al., Deep residual learning, CVPR 2016: the 18 layers, one logit a cell of 16 px.

    The output stride is 16, not 32, because the last stage takes every pixel. image : float (N, 3, H, W), normalised,
    H and W multiples of 16 -> logits : float (N, (H - 2 margin) / 16, (W - 2 margin) / 16). Convolutions are padded, so
    an answer near a tile's edge depends on where the tile ends; the margin, a multiple of 16 px that the card chooses,
    is what is thrown away.
    """

    margin_px = 32
    stride_px = STRIDE_PX
    padded = True

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.stem_norm = nn.BatchNorm2d(64)
        stages = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 1)]
        self.stages = nn.ModuleList(
            nn.Sequential(Block(inputs, outputs, stride=stride), Block(outputs, outputs))
            for inputs, outputs, stride in stages
        )
        self.answer = nn.Conv2d(stages[-1][1], 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.stem_norm(self.stem(image))), 3, stride=2, padding=1)
        for stage in self.stages:
            x = stage(x)
        return self.answer(core(x, self.margin_px)).squeeze(1)


def core(cells: Tensor, margin_px: int) -> Tensor:
    """cells : (N, C, h, w) of a whole tile -> those of its core."""
    edge = margin_px // STRIDE_PX
    return cells[..., edge : cells.shape[-2] - edge, edge : cells.shape[-1] - edge]
