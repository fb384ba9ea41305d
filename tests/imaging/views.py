"""Low-magnification views painted for tests: glass, stained discs, strokes of ink."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from nodescan.domain.maps import Glass
from nodescan.imaging.ink import InkSettings
from nodescan.imaging.quality import QualitySettings
from nodescan.imaging.scan_faults import FaultSettings
from nodescan.imaging.tissue import TissueSettings
from nodescan.imaging.untrusted_areas import SHARES, PaleSettings, cell_shares

SHIPPED = yaml.safe_load((Path(__file__).parents[2] / "configs" / "scan.yaml").read_text())
TISSUE = TissueSettings(**{**SHIPPED["tissue"], "ink": InkSettings(**SHIPPED["tissue"]["ink"])})
QUALITY = QualitySettings(
    **{
        **SHIPPED["quality"],
        "pale": PaleSettings(**SHIPPED["quality"]["pale"]),
        "faults": FaultSettings(**SHIPPED["quality"]["faults"]),
    }
)

# Stain vectors of Ruifrok and Johnston 2001; eosin as on the slides at hand, with a little red and blue.
HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])
EOSIN = np.array([0.10, 0.85, 0.40])
DAB = np.array([0.27, 0.57, 0.78])


@cache
def real_tissue(shared: Path) -> Mapping[str, NDArray[np.uint8]]:
    """uint8 (512, 512, 3) at about 1 um/px, by name: 30 tiles with tumour, five centres' regions. Read once."""
    tiles = {path.name: path for path in sorted((shared / "data" / "tiles512").glob("*.jpg"))}
    found = {name: np.asarray(Image.open(path).convert("RGB")) for name, path in tiles.items()}
    for path in sorted((shared / "data" / "regions").glob("centre_*.jpeg")):
        found[path.name] = np.asarray(Image.open(path).convert("RGB").reduce(4))
    assert len(found) == 35
    assert not any(view.flags.writeable for view in found.values())
    return found


def glass(height: int, width: int, *, colour: Sequence[int] = (242, 242, 242), noise: float = 1.5) -> NDArray[np.uint8]:
    """uint8 (height, width, 3): empty slide with noise that is equal in the three channels."""
    grey = np.random.default_rng(0).normal(0, noise, (height, width, 1))
    return np.clip(np.asarray(colour) + grey, 0, 255).astype(np.uint8)


def disc(shape: tuple[int, int], centre: tuple[float, float], radius_px: float) -> NDArray[np.bool_]:
    """bool `shape`: pixels whose centre lies within radius_px of (row, column) `centre`."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(rows - centre[0], columns - centre[1]) < radius_px


def absorb(view: NDArray[np.uint8], where: NDArray[np.bool_], density: NDArray[np.float64]) -> NDArray[np.uint8]:
    """`view` with stain or ink of optical density `density` : float64 (3,) or (n, 3) laid over the n pixels `where`."""
    painted = view.copy()
    painted[where] = np.clip(view[where] * 10.0**-density, 0, 255).astype(np.uint8)
    return painted


def nuclei_and_matrix(count: int, strength: float, seed: int = 0) -> NDArray[np.float64]:
    """float64 (count, 3): densities of random mixtures of haematoxylin and eosin, their mean about 0.3 * strength."""
    rng = np.random.default_rng(seed)
    return strength * (rng.uniform(0.1, 0.7, (count, 1)) * HAEMATOXYLIN + rng.uniform(0.05, 0.4, (count, 1)) * EOSIN)


def shares_in(
    core: np.ndarray, white: Glass = None, *, stride_px: int = 16, quality: QualitySettings = QUALITY
) -> np.ndarray:
    """float16 (cells, cells, SHARES) of a square view: squares.cell_shares by these settings."""
    return cell_shares(core, stride_px, pale=quality.pale, faults=quality.faults, glass=white)


def made_shares(shape: tuple[int, ...], told: dict[int, object]) -> np.ndarray:
    """float16 (*shape, SHARES): 0 but for those that are told."""
    shares = np.zeros((*shape, SHARES), np.float16)
    for kind, share in told.items():
        shares[..., kind] = share
    return shares
