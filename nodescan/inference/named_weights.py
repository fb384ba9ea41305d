"""A network's layers as plain convolutions, made of its named weights without torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from nodescan.inference.card import check_numbers
from nodescan.inference.p4m_group import EPS, KERNEL_OF, POSES, turned

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PlainLayer:
    """A convolution's kernel, float32 (outputs, inputs, h, w), and bias; alike: see openvino_graph.in_steps."""

    kernel: Array
    bias: Array
    alike: int = 1


class NamedWeights:
    """Weights by name, and the layers that they make once normalisation stands in the kernels."""

    def __init__(self, weights: Mapping[str, NDArray[np.generic]]) -> None:
        """Raises ValueError for weights that no training leaves."""
        self._weights = {name: value.astype(np.float32) for name, value in weights.items()}
        check_numbers(self._weights)
        self._asked: set[str] = set()

    def has(self, name: str) -> bool:
        return name in self._weights

    def weight(self, name: str) -> Array:
        """Raises KeyError where there is none of this name."""
        self._asked.add(name)
        return self._weights[name]

    def unasked(self) -> list[str]:
        """Names of the weights that nobody asked for, but for counters of batches."""
        left = self._weights.keys() - self._asked
        return sorted(name for name in left if not name.endswith("num_batches_tracked"))

    def numbered(self, stage: str, weight: str) -> Iterator[str]:
        """Names of a stage's parts: "middle.0", "middle.1", ... Raises KeyError for a stage without any."""
        for number in count():
            if number and not self.has(f"{stage}.{number}.{weight}"):
                return
            yield f"{stage}.{number}"

    def layer(self, conv: str, norm: str) -> PlainLayer:
        """A convolution and its normalisation."""
        scale, shift = self._affine(norm)
        return PlainLayer(self.weight(f"{conv}.weight") * scale[:, None, None, None], shift)

    def group_layer(self, conv: str, norm: str | None = None) -> PlainLayer:
        """The plain convolution that equals a group convolution and its normalisation."""
        scale, shift = (values.repeat(POSES) for values in self._affine(norm or f"{conv}_norm"))
        weight = self.weight(f"{conv}.weight")
        if weight.ndim == 4:  # from colours to features in eight poses
            kernel = np.stack([turned(weight, pose) for pose in range(POSES)], axis=1)
            kernel = kernel.reshape(-1, *weight.shape[1:])
        else:
            outputs, inputs, _, *sides = weight.shape
            kernel = np.stack([turned(weight[:, :, KERNEL_OF[pose]], pose) for pose in range(POSES)], axis=1)
            kernel = kernel.reshape(outputs * POSES, inputs * POSES, *sides)
        folded = np.ascontiguousarray(kernel * scale[:, None, None, None], np.float32)
        return PlainLayer(folded, shift, alike=POSES)

    def _affine(self, norm: str) -> tuple[Array, Array]:
        """(scale, shift) that normalisation by the running statistics amounts to."""
        weight, bias, mean, variance = (
            self.weight(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = weight / np.sqrt(variance + np.float32(EPS))
        return scale, bias - mean * scale
