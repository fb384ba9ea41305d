"""A network as OpenVINO computes it, built from its weights without torch: plain convolutions fed with bytes.

What folding.py makes of a network for PyTorch, and quantisation.py's ranges for eight bits; the tests hold the two
together. Group convolutions become plain ones; normalisation, the scale of the colours and the temperature stand in the
kernels.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from types import ModuleType
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from nodescan.errors import ModelError
from nodescan.inference.card import ModelCard
from nodescan.inference.poses import FEATURES, KERNEL_OF, POSES, turned

Node = Any
"""One of OpenVINO's, which has no types: a border type."""

_EPS = 1e-5
"""Of batch normalisation, as the networks have it."""

_WEIGHT_STEPS, _INPUT_STEPS = 127, 255

Array = NDArray[np.float32]


def graph(openvino: ModuleType, ops: ModuleType, card: ModelCard, weights: bytes, *, int8: bool) -> Any:
    """openvino.Model: uint8 (1, input_px, input_px, 3) -> float32 (1, cells, cells) probabilities.

    openvino, ops: the package and one of its operator sets. weights: a safetensors file, checked against the card.
    int8: inner convolutions in eight bits, by the card's ranges. Raises ModelError where the weights are not the
    network's.
    """
    side = card.geometry().input_px
    fed = ops.parameter([1, side, side, 3], np.uint8)
    pixels = ops.convert(ops.transpose(fed, np.array([0, 3, 1, 2])), np.float32)
    centred = ops.subtract(pixels, (255 * np.array(card.mean, np.float32)).reshape(1, 3, 1, 1))
    try:
        parts = _Parts(ops, card, safetensors.numpy.load(weights), int8=int8)
        answer = ops.squeeze(ops.sigmoid(LAYOUTS[card.architecture](parts, centred)), np.array([1]))
        parts.all_used()
        cells = card.geometry().cells
        if tuple(answer.output(0).get_shape()) != (1, cells, cells):
            raise ValueError("margin and stride on the card are not its own")
    except (KeyError, ValueError, IndexError, StopIteration, safetensors.SafetensorError) as error:
        raise ModelError(f"{card.name}: not the weights of a {card.architecture} network ({error})") from error
    return openvino.Model([answer], [fed], card.name)


class _Parts:
    """Layers made of named weights, one after another: the ranges are in the order in which layers are asked for."""

    def __init__(
        self, ops: ModuleType, card: ModelCard, weights: Mapping[str, NDArray[np.generic]], *, int8: bool
    ) -> None:
        self.ops, self.card = ops, card
        self._weights = {name: value.astype(np.float32) for name, value in weights.items()}
        self._ranges: Iterator[float] | None = iter(card.int8_ranges or ()) if int8 else None
        self._asked: set[str] = set()

    def has(self, name: str) -> bool:
        return name in self._weights

    def weight(self, name: str) -> Array:
        self._asked.add(name)
        return self._weights[name]

    def all_used(self) -> None:
        """Raises ValueError where weights or ranges are left over, but for counters of batches."""
        left = {name for name in self._weights.keys() - self._asked if not name.endswith("num_batches_tracked")}
        if left or (self._ranges is not None and next(self._ranges, None) is not None):
            raise ValueError(f"too many: {', '.join(sorted(left)[:3]) or 'ranges for eight bits'}")

    def first(self, kernel: Array, bias: Array, image: Node, *, padding: int = 0) -> Node:
        """The convolution that is fed with colours less their mean, 0..255, every second pixel."""
        scaled = kernel / (255 * np.array(self.card.std, np.float32)).reshape(1, 3, 1, 1)
        return self.relu(self._convolved(image, scaled, bias, stride=2, padding=padding))

    def inner(self, kernel: Array, bias: Array, image: Node, *, stride: int = 1, padding: int = 0) -> Node:
        """A convolution, of rounded weights and inputs where the network is in eight bits."""
        if self._ranges is not None:
            largest = next(self._ranges)
            image = self.ops.fake_quantize(image, *_span(0.0, largest), *_span(0.0, largest), _INPUT_STEPS + 1)
            reach = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True).clip(min=1e-12)
            kernel = self.ops.fake_quantize(
                self.ops.constant(kernel), -reach, reach, -reach, reach, 2 * _WEIGHT_STEPS + 1
            )
        return self._convolved(image, kernel, bias, stride=stride, padding=padding)

    def answer(self, image: Node) -> Node:
        """The last 1 x 1 convolution: logits over the temperature."""
        weight, bias = (self.weight(f"answer.{part}") / self.card.temperature for part in ("weight", "bias"))
        return self._convolved(image, weight.astype(np.float32), bias.astype(np.float32))

    def affine(self, norm: str) -> tuple[Array, Array]:
        """(scale, shift) that normalisation by the running statistics amounts to."""
        weight, bias, mean, variance = (
            self.weight(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = weight / np.sqrt(variance + np.float32(_EPS))
        return scale, bias - mean * scale

    def pooled(self, image: Node, *, side: int, padding: int = 0) -> Node:
        """The largest of side x side, every second pixel."""
        pads = [padding, padding]
        return self.ops.max_pool(image, [2, 2], [1, 1], pads, pads, [side, side], "floor").output(0)

    def cropped(self, image: Node, edge: int) -> Node:
        """Less so many pixels on every side."""
        if edge == 0:
            return image
        begin, end, step, axes = (np.array(pair) for pair in ([edge] * 2, [-edge] * 2, [1, 1], [2, 3]))
        return self.ops.slice(image, begin, end, step, axes)

    def relu(self, image: Node) -> Node:
        return self.ops.relu(image)

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
    x = parts.first(*_group_folded(parts, "lift"), image)
    x = parts.pooled(parts.relu(parts.inner(*_group_folded(parts, "fine"), x)), side=2)
    for stage in ("middle", "coarse"):
        for step in _numbered(parts, stage, "conv.weight"):
            x = _step(parts, step, x)
        x = parts.pooled(x, side=2)
    x = parts.relu(parts.inner(*_group_folded(parts, "mix"), x))
    channels, high, wide = x.output(0).get_shape()[1:]
    poses = ops.reshape(x, np.array([1, channels // POSES, POSES, high, wide]), special_zero=False)
    both = [reduce(poses, np.array([2]), False) for reduce in (ops.reduce_mean, ops.reduce_max)]
    return parts.answer(ops.concat(both, 1))


def _step(parts: _Parts, name: str, image: Node) -> Node:
    """models.Step."""
    residual = parts.weight(f"{name}.conv.weight").shape[0] == parts.weight(f"{name}.conv.weight").shape[1]
    seen = parts.relu(parts.inner(*_group_folded(parts, f"{name}.conv", f"{name}.norm"), image))
    kept = parts.cropped(image, 1) if residual else seen
    mixed = parts.inner(*_group_folded(parts, f"{name}.mix"), seen)
    return parts.relu(parts.ops.add(mixed, kept))


def _resnet18(parts: _Parts, image: Node) -> Node:
    """resnet.ResNet18."""
    x = parts.first(*_folded(parts, "stem", "stem_norm"), image, padding=3)
    x = parts.pooled(x, side=3, padding=1)
    for stage in (f"stages.{number}" for number in range(3 if parts.card.architecture == "resnet18-c4" else 4)):
        for block in _numbered(parts, stage, "conv1.weight"):
            stride = 2 if block in ("stages.1.0", "stages.2.0") else 1
            x = _block(parts, block, x, stride=stride)
    edge = parts.card.margin_px // parts.card.stride_px
    return parts.answer(parts.cropped(x, edge))


def _block(parts: _Parts, name: str, image: Node, *, stride: int) -> Node:
    """resnet.Block."""
    seen = parts.relu(parts.inner(*_folded(parts, f"{name}.conv1", f"{name}.norm1"), image, stride=stride, padding=1))
    made = parts.inner(*_folded(parts, f"{name}.conv2", f"{name}.norm2"), seen, padding=1)
    kept = image
    if parts.has(f"{name}.short.weight"):
        kept = parts.inner(*_folded(parts, f"{name}.short", f"{name}.short_norm"), image, stride=stride)
    return parts.relu(parts.ops.add(made, kept))


LAYOUTS: Mapping[str, Callable[[_Parts, Node], Node]] = {
    "p4m": _p4m,
    "p4m-small": _p4m,
    "resnet18": _resnet18,
    "resnet18-c4": _resnet18,
}


def _group_folded(parts: _Parts, conv: str, norm: str | None = None) -> tuple[Array, Array]:
    """Kernel and bias of the plain convolution that equals a group convolution and its normalisation."""
    scale, shift = (values.repeat(POSES) for values in parts.affine(norm or f"{conv}_norm"))
    weight = parts.weight(f"{conv}.weight")
    if weight.ndim == 4:  # from colours to features in eight poses
        kernel = np.stack([turned(weight, pose) for pose in range(POSES)], axis=1)
        kernel = kernel.reshape(-1, *weight.shape[1:])
    else:
        outputs, inputs, _, *sides = weight.shape
        kernel = np.stack([turned(weight[:, :, KERNEL_OF[pose]], pose) for pose in range(POSES)], axis=1)
        kernel = kernel.reshape(outputs * POSES, inputs * POSES, *sides)
    return np.ascontiguousarray(kernel * scale[:, None, None, None], np.float32), shift


def _folded(parts: _Parts, conv: str, norm: str) -> tuple[Array, Array]:
    """Kernel and bias of a convolution and its normalisation."""
    scale, shift = parts.affine(norm)
    return parts.weight(f"{conv}.weight") * scale[:, None, None, None], shift


def _numbered(parts: _Parts, stage: str, weight: str) -> Iterator[str]:
    """Names of a stage's parts: "middle.0", "middle.1", ... Raises KeyError for a stage without any."""
    for number in count():
        if number and not parts.has(f"{stage}.{number}.{weight}"):
            return
        yield f"{stage}.{number}"


def _span(low: float, high: float) -> tuple[Array, Array]:
    return np.float32(low).reshape(()), np.float32(high).reshape(())
