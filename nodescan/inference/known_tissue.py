"""The tissue that a model was trained on: how far a field of a slide is from it, as seen by the model's first layers.

A network answers whatever it is shown. Skin, a scan with its colours out of register, or one that was enlarged gets
answers as sure as those for a lymph node. The first layers of a network see texture: the means and standard deviations
of their features over a field lie near those of the tissue that it was trained on, or far from them.

Computed by numpy in float32, so it is the same on every device.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nodescan.errors import ModelError
from nodescan.given_files import found_bytes
from nodescan.inference.card import CARD_FILE, ModelCard, checked_weights, load_card
from nodescan.inference.named_weights import Array, NamedWeights, PlainLayer
from nodescan.inference.p4m_group import FEATURES, POSES

KNOWN_FILE = "known_tissue.safetensors"
_MOST_BYTES = 10_000_000

_BLAS_TURN = Lock()
"""The number of BLAS's threads is the whole process's: two slides at once would leave one's for good."""

_AT_ONCE = 2
"""Fields that are computed together: what a layer multiplies is 5 MB at most, which caches hold."""

_SHRINKAGE = 0.05
"""Share of the unit matrix in the correlation of features that is inverted: 32 features of 4,000 fields and more are
estimated well, but some of them say nearly the same. From 0.02 to 0.2 the known and unknown slides stay apart alike."""

_STAINED_BELOW = 200
"""In the darkest channel."""

_BEYOND = 0.05
"""Share of validation fields that lie beyond the limit, by definition of it."""


class Textures:
    """The first layers of a network, up to a quarter of the resolution."""

    def __init__(self, card: ModelCard, weights: bytes) -> None:
        """Raises ModelError where the network has no such layers, or the weights are not its own."""
        if card.architecture not in FEATURES:
            raise ModelError(f"{card.name}: known tissue is of networks {', '.join(FEATURES)} only")
        try:
            parts = NamedWeights(safetensors.numpy.load(weights))
            lift = parts.group_layer("lift")
            spread = 255 * np.array(card.std, np.float32).reshape(1, 3, 1, 1)
            self._lift = PlainLayer(lift.kernel / spread, lift.bias)
            self._fine = parts.group_layer("fine")
            steps = parts.numbered("middle", "conv.weight")
            self._steps = [
                (parts.group_layer(f"{step}.conv", f"{step}.norm"), parts.group_layer(f"{step}.mix")) for step in steps
            ]
        except (KeyError, ValueError, IndexError, safetensors.SafetensorError) as error:
            raise ModelError(f"{card.name}: not the weights of a {card.architecture} network ({error})") from error
        self._mean = 255 * np.array(card.mean, np.float32).reshape(3, 1, 1, 1)

    def of(self, fields: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 (N, 2 features): means, then standard deviations, of features over a field, averaged over poses.

        fields : uint8 (N, FIELD_PX, FIELD_PX, 3) RGB.
        """
        with _BLAS_TURN, threadpool_limits(1, user_api="blas"):  # its threads spin beside a network that computes
            found = [self._of_some(fields[first : first + _AT_ONCE]) for first in range(0, len(fields), _AT_ONCE)]
        return np.concatenate(found) if found else np.zeros((0, self.size), np.float32)

    @property
    def size(self) -> int:
        """How many numbers tell of a field."""
        return 2 * len(self._steps[-1][0].bias) // POSES

    def _of_some(self, fields: NDArray[np.uint8]) -> NDArray[np.float32]:
        x = np.moveaxis(fields, 3, 0).astype(np.float32) - self._mean
        x = _relu(_convolved(x, self._lift, stride=2))
        x = _halved(_relu(_convolved(x, self._fine)))
        for conv, mix in self._steps:
            seen = _relu(_convolved(x, conv))
            kept = x[..., 1:-1, 1:-1] if len(x) == len(seen) else seen
            x = _relu(_convolved(seen, mix) + kept)
        features = x.reshape(-1, POSES, *x.shape[1:]).mean(axis=1)
        return np.concatenate([features.mean(axis=(2, 3)), features.std(axis=(2, 3))]).T


def is_stained(fields: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """bool (N,): which fields are stained on at least half of their area. In others the texture is that of glass."""
    return (fields.min(axis=3) < _STAINED_BELOW).mean(axis=(1, 2)) >= 0.5


@dataclass(frozen=True, slots=True)
class Kind:
    """Textures of one kind of tissue.

    centre : float64 (K,); metric : float64 (K, K), the inverse of their covariance; limit: of the squared distance.
    """

    centre: NDArray[np.float64]
    metric: NDArray[np.float64]
    limit: float

    def __post_init__(self) -> None:
        """Raises ValueError for numbers that would make no field unlike, or every field."""
        if not all(np.isfinite(one).all() for one in (self.centre, self.metric, self.limit)):
            raise ValueError("numbers that aren't finite")
        if np.linalg.eigvalsh(self.metric).min() <= 0 or self.limit <= 0:
            raise ValueError("no distance")

    def beyond(self, textures: NDArray[np.float32]) -> NDArray[np.bool_]:
        """bool (N,): whose textures, (N, K), lie beyond the limit by Mahalanobis' distance."""
        return _squared_distance(textures, self.centre, self.metric) > self.limit


class MeasuredTissue:
    """The kinds of tissue that a model was trained on, as an interfaces.KnownTissue."""

    def __init__(self, textures: Textures, kinds: Sequence[Kind]) -> None:
        self._textures, self._kinds = textures, kinds

    def unlike(self, fields: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """As interfaces.KnownTissue's: unlike every kind."""
        textures = self._textures.of(fields[is_stained(fields)])
        return np.all([kind.beyond(textures) for kind in self._kinds], axis=0)


def measured_kind(textures: Textures, taught: NDArray[np.uint8], others: NDArray[np.uint8]) -> Kind:
    """Of stained fields that a model was taught, and the limit that 5 % of others lie beyond.

    Both : uint8 (N, FIELD_PX, FIELD_PX, 3) RGB.
    """
    known = textures.of(taught).astype(np.float64)
    spread = known.std(axis=0) + 1e-6  # a feature that never fires is no reason to call a field unlike
    normed = (known - known.mean(axis=0)) / spread
    alike = normed.T @ normed / len(known)
    metric = np.linalg.inv((1 - _SHRINKAGE) * alike + _SHRINKAGE * np.eye(len(alike))) / np.outer(spread, spread)
    centre = known.mean(axis=0)
    distance = _squared_distance(textures.of(others), centre, metric)
    return Kind(centre, metric, float(np.quantile(distance, 1 - _BEYOND)))


def packed(kinds: Sequence[Kind]) -> bytes:
    """The content of KNOWN_FILE."""
    columns = {name: np.array([getattr(kind, name) for kind in kinds]) for name in ("centre", "metric", "limit")}
    return safetensors.numpy.save(columns)


@lru_cache(maxsize=2)
def known_tissue(folder: Path) -> MeasuredTissue | None:
    """Of a model's folder; None where its card names none, or there is no card: whoever opens the model tells of that.

    Raises ModelError for a file that is not the card's.
    """
    card = load_card(folder) if (folder / CARD_FILE).is_file() else None
    if card is None or card.known_tissue is None:
        return None
    file = folder / KNOWN_FILE
    try:
        content = found_bytes(file, _MOST_BYTES)
    except OSError as error:
        raise ModelError(f"{file}: can't be read ({error.strerror}), and the card names it; {_REMEDY}") from error
    if hashlib.sha256(content).hexdigest() != card.known_tissue.sha256:
        raise ModelError(f"{file}: not the file that the card names, by its sha256; {_REMEDY}")
    textures = Textures(card, checked_weights(card, folder))
    try:
        return _read(content, textures)
    except (KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise ModelError(f"{file}: doesn't hold what known tissue is ({error}); {_REMEDY}") from error


def _read(content: bytes, textures: Textures) -> MeasuredTissue:
    """Raises KeyError or ValueError where it doesn't hold what packed() gives."""
    found = safetensors.numpy.load(content)
    size, kinds = textures.size, len(found["limit"])
    if kinds == 0 or [found[name].shape for name in ("centre", "metric")] != [(kinds, size), (kinds, size, size)]:
        raise ValueError(f"not of {size} features")
    rows = zip(found["centre"], found["metric"], found["limit"], strict=True)
    return MeasuredTissue(textures, tuple(Kind(centre, metric, float(limit)) for centre, metric, limit in rows))


_REMEDY = "install nodescan again, or get the model again"


def _squared_distance(
    textures: NDArray[np.float32], centre: NDArray[np.float64], metric: NDArray[np.float64]
) -> NDArray[np.float64]:
    """float64 (N,): Mahalanobis' squared distance from the centre."""
    off = textures - centre
    return np.einsum("ij,jk,ik->i", off, metric, off)


def _relu(x: Array) -> Array:
    return np.maximum(x, 0, out=x)


def _halved(x: Array) -> Array:
    """The largest of each 2 x 2 pixels; x : (C, N, H, W)."""
    x = x[..., : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
    rows = np.maximum(x[..., ::2, :], x[..., 1::2, :])
    return np.maximum(rows[..., ::2], rows[..., 1::2])


def _convolved(x: Array, layer: PlainLayer, *, stride: int = 1) -> Array:
    """An unpadded convolution, as one matrix product; x : (C, N, H, W) -> (O, N, h, w)."""
    out, side = len(layer.kernel), layer.kernel.shape[2]
    high, wide = ((length - side) // stride + 1 for length in x.shape[2:])
    taps = np.empty((len(x), side, side, x.shape[1], high, wide), np.float32)
    for row in range(side):
        for column in range(side):
            taps[:, row, column] = x[:, :, row : row + stride * high : stride, column : column + stride * wide : stride]
    total = layer.kernel.reshape(out, -1) @ taps.reshape(len(x) * side**2, -1)
    total += layer.bias[:, None]
    return total.reshape(out, x.shape[1], high, wide)
