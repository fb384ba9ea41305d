"""A network as OpenVINO computes it, built from its weights without torch: plain convolutions fed with bytes.

It computes what folding.py's network computes in PyTorch, which tests hold it to, and takes the ranges for eight bits
from the card (quantisation.py). Group convolutions become plain ones; normalisation, the scale of the colours and the
temperature stand in the kernels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from nodescan.domain.geometry import TileGeometry
from nodescan.errors import ModelError
from nodescan.inference.card import ModelCard
from nodescan.inference.named_weights import Array, NamedWeights, PlainLayer
from nodescan.inference.p4m_group import FEATURES, MARGIN_PX, POSES, STRIDE_PX

Node = Any
"""A node of OpenVINO's graph; OpenVINO comes without types."""

_MOST_WEIGHT, _MOST_INPUT = 127, 255
"""The largest weight, and the largest input, that eight bits hold."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How many of the steps of eight bits are used: for the first layer's weights, other weights (on each side of 0),
    and inputs."""

    pixel_weights: int
    weights: int
    inputs: int


STEPS = {"int8": Steps(127, 127, 255), "int8-16": Steps(64, 80, 204)}
"""By precision. int8-16: processors without VNNI add two products in 16 bits, where 32,767 is the most; twice 64 x 255
and twice 80 x 204 are less. With all steps sums were cut off, and answers off by up to 0.73; with these by 0.078, and
by 0.0025 in the root mean square once smoothed (65,536 cells laid out of patches that thresholds were tuned on). Seven
other divisions were off by 0.0028 to 0.0059."""


def graph(openvino: ModuleType, card: ModelCard, weights: bytes, *, steps: Steps | None, tile: TileGeometry) -> Any:
    """openvino.Model: uint8 (1, input_px, input_px, 3) -> float32 (1, cells, cells) probabilities of tile's cells.

    openvino: the package, its opset13 imported. weights: a safetensors file, checked against the card.
    steps: of inner convolutions in eight bits, by the card's ranges; None: float32. Raises ModelError where the weights
    are not the network's.
    """
    ops, side = openvino.opset13, tile.input_px
    fed = ops.parameter([1, side, side, 3], np.uint8)
    pixels = ops.convert(ops.transpose(fed, np.array([0, 3, 1, 2])), np.float32)
    try:
        parts = _Parts(ops, card, safetensors.numpy.load(weights), steps)
        answer = ops.squeeze(ops.sigmoid(LAYOUTS[card.architecture](parts, pixels)), np.array([1]))
        parts.all_used()
        own = card.stride_px == STRIDE_PX and (card.margin_px == MARGIN_PX or card.architecture not in FEATURES)
        if not own or tuple(answer.output(0).get_shape()) != (1, tile.cells, tile.cells):
            raise ValueError("margin and stride on the card are not its own")
    except (KeyError, ValueError, IndexError, StopIteration, safetensors.SafetensorError) as error:
        raise ModelError(f"{card.name}: not the weights of a {card.architecture} network ({error})") from error
    return openvino.Model([answer], [fed], card.name)


class _Parts(NamedWeights):
    """Layers made of named weights, one after another: the ranges are in the order in which layers are asked for."""

    def __init__(
        self, ops: ModuleType, card: ModelCard, weights: Mapping[str, NDArray[np.generic]], steps: Steps | None
    ) -> None:
        super().__init__(weights)
        self.ops, self.card, self._steps = ops, card, steps
        self._ranges = iter(() if steps is None else card.int8_ranges or ())

    def all_used(self) -> None:
        """Raises ValueError where weights or ranges are left over, but for counters of batches."""
        left = self.unasked()
        if left or next(self._ranges, None) is not None:
            raise ValueError(f"too many: {', '.join(left[:3]) or 'ranges for eight bits'}")

    def first(self, layer: PlainLayer, pixels: Node, *, padding: int = 0) -> Node:
        """The first convolution, with a stride of 2: it is fed with pixels, 0..255, less their mean.

        Pixels are exact in eight bits. What is taken off them there is whole, and the rest of the mean stands in the
        bias; padding stands for the mean colour, to half a step.
        """
        kernel = layer.kernel / (255 * np.array(self.card.std, np.float32)).reshape(1, 3, 1, 1)
        bias, mean = layer.bias, (255 * np.array(self.card.mean, np.float32)).reshape(1, 3, 1, 1)
        if self._steps is None:
            image = self.ops.subtract(pixels, mean)
            return self.ops.relu(self._convolved(image, kernel, bias, stride=2, padding=padding))
        off = np.round(mean)
        rounded = in_steps(kernel, self._steps.pixel_weights)
        bias = bias + (rounded * (off - mean)).sum(axis=(1, 2, 3))
        image = self.ops.fake_quantize(
            self.ops.subtract(pixels, off), -off, 255 - off, -off, 255 - off, _MOST_INPUT + 1
        )
        weights = self._in_eight_bits(rounded, _reach(kernel), self._steps.pixel_weights)
        return self.ops.relu(self._convolved(image, weights, bias, stride=2, padding=padding))

    def rounded(self, image: Node) -> Node:
        """The input of an inner convolution. In an eight-bit network it is rounded by the next of the card's ranges."""
        if self._steps is None:
            return image
        most = next(self._ranges)
        if self._steps.inputs < _MOST_INPUT:
            image = self.ops.clamp(image, 0.0, most)
        span = np.array(0, np.float32), np.array(most * _MOST_INPUT / self._steps.inputs, np.float32)
        return self.ops.fake_quantize(image, *span, *span, _MOST_INPUT + 1)

    def rounded_before(self) -> None:
        """Skip the range of a convolution whose input was rounded already, by another one's range."""
        if self._steps is not None:
            next(self._ranges)

    def inner(self, layer: PlainLayer, image: Node, *, stride: int = 1, padding: int = 0) -> Node:
        """A convolution of what is rounded already, its weights rounded where the network is in eight bits."""
        weights: Node = layer.kernel
        if self._steps is not None:
            rounded = in_steps(layer.kernel, self._steps.weights, alike=layer.alike)
            weights = self._in_eight_bits(rounded, _reach(layer.kernel), self._steps.weights)
        return self._convolved(image, weights, layer.bias, stride=stride, padding=padding)

    def _in_eight_bits(self, rounded: Array, reach: Array, steps: int) -> Node:
        """Weights that are whole steps already, `steps` of them as far as they reach, kept as such."""
        most = (reach * _MOST_WEIGHT / steps).astype(np.float32)
        return self.ops.fake_quantize(self.ops.constant(rounded), -most, most, -most, most, 2 * _MOST_WEIGHT + 1)

    def answer(self, image: Node) -> Node:
        """The last 1 x 1 convolution: logits over the temperature."""
        weight, bias = (self.weight(f"answer.{part}") / self.card.temperature for part in ("weight", "bias"))
        return self._convolved(image, weight.astype(np.float32), bias.astype(np.float32))

    def pooled(self, image: Node, *, side: int, padding: int = 0) -> Node:
        """The largest of side x side pixels, with a stride of 2."""
        pads = [padding, padding]
        return self.ops.max_pool(image, [2, 2], [1, 1], pads, pads, [side, side], "floor").output(0)

    def cropped(self, image: Node, edge: int) -> Node:
        """The image without `edge` pixels on every side."""
        if edge == 0:
            return image
        begin, end, step, axes = (np.array(pair) for pair in ([edge] * 2, [-edge] * 2, [1, 1], [2, 3]))
        return self.ops.slice(image, begin, end, step, axes)

    def _convolved(self, image: Node, kernel: Node, bias: Array, *, stride: int = 1, padding: int = 0) -> Node:
        pads = [padding, padding]
        made = self.ops.convolution(image, kernel, [stride, stride], pads, pads, [1, 1])
        return self.ops.add(made, bias.reshape(1, -1, 1, 1))


def _p4m(parts: _Parts, image: Node) -> Node:
    """models.P4MNet."""
    ops = parts.ops
    kernels = ("lift", "middle.0.conv", "coarse.0.conv", "mix")
    if tuple(parts.weight(f"{name}.weight").shape[0] for name in kernels) != FEATURES[parts.card.architecture]:
        raise ValueError("of other widths")
    x = parts.first(parts.group_layer("lift"), image)
    x = ops.relu(parts.inner(parts.group_layer("fine"), parts.rounded(x)))
    for stage in ("middle", "coarse"):
        x = parts.pooled(parts.rounded(x), side=2)
        for number, step in enumerate(parts.numbered(stage, "conv.weight")):
            x = _step(parts, step, x if number == 0 else parts.rounded(x))
    x = ops.relu(parts.inner(parts.group_layer("mix"), parts.pooled(parts.rounded(x), side=2)))
    channels, high, wide = x.output(0).get_shape()[1:]
    poses = ops.reshape(x, np.array([1, channels // POSES, POSES, high, wide]), special_zero=False)
    both = [reduce(poses, np.array([2]), False) for reduce in (ops.reduce_mean, ops.reduce_max)]
    return parts.answer(ops.concat(both, 1))


def _step(parts: _Parts, name: str, image: Node) -> Node:
    """models.Step. image: rounded."""
    ops = parts.ops
    residual = parts.weight(f"{name}.conv.weight").shape[0] == parts.weight(f"{name}.conv.weight").shape[1]
    seen = ops.relu(parts.inner(parts.group_layer(f"{name}.conv", f"{name}.norm"), image))
    seen = parts.rounded(seen)
    kept = parts.cropped(image, 1) if residual else seen
    mixed = parts.inner(parts.group_layer(f"{name}.mix"), seen)
    return ops.relu(ops.add(mixed, kept))


def _resnet18(parts: _Parts, image: Node) -> Node:
    """resnet.ResNet18."""
    x = parts.first(parts.layer("stem", "stem_norm"), image, padding=3)
    x = parts.pooled(parts.rounded(x), side=3, padding=1)
    for stage in (f"stages.{number}" for number in range(4)):
        for block in parts.numbered(stage, "conv1.weight"):
            stride = 2 if block in ("stages.1.0", "stages.2.0") else 1
            x = _block(parts, block, x if block == "stages.0.0" else parts.rounded(x), stride=stride)
    edge = parts.card.margin_px // parts.card.stride_px
    return parts.answer(parts.cropped(x, edge))


def _block(parts: _Parts, name: str, image: Node, *, stride: int) -> Node:
    """resnet.Block. image: rounded."""
    ops = parts.ops
    seen = ops.relu(parts.inner(parts.layer(f"{name}.conv1", f"{name}.norm1"), image, stride=stride, padding=1))
    made = parts.inner(parts.layer(f"{name}.conv2", f"{name}.norm2"), parts.rounded(seen), padding=1)
    kept = image
    if parts.has(f"{name}.short.weight"):
        parts.rounded_before()
        kept = parts.inner(parts.layer(f"{name}.short", f"{name}.short_norm"), image, stride=stride)
    return ops.relu(ops.add(made, kept))


LAYOUTS: Mapping[str, Callable[[_Parts, Node], Node]] = {**dict.fromkeys(FEATURES, _p4m), "resnet18": _resnet18}


def in_steps(kernel: Array, steps: int, *, alike: int = 1) -> Array:
    """The weights, float32 (outputs, inputs, h, w), rounded to steps of each output channel's own.

    steps: how many there are to each side of zero.

    A weight isn't always rounded to the nearest step. The sum over the taps of `alike` neighbouring inputs is kept, to
    half a step: these inputs are about the same on average (a feature's poses). Then an even picture gives the same
    answer, and a smoothed map is off by half as much as with nearest steps.
    """
    step = _reach(kernel) / steps
    exact = (kernel / step).reshape(len(kernel), kernel.shape[1] // alike, -1)
    low = np.floor(exact)
    above = exact - low
    raised = np.rint(above.sum(axis=2, keepdims=True))
    rank = np.argsort(np.argsort(-above, axis=2, kind="stable"), axis=2)
    rounded = np.clip(low + (rank < raised), -steps, steps)
    return (rounded.reshape(kernel.shape) * step).astype(np.float32)


def _reach(kernel: Array) -> Array:
    """The largest weight of each output channel, float32 (outputs, 1, 1, 1)."""
    return np.abs(kernel).max(axis=(1, 2, 3), keepdims=True).clip(min=1e-12)
