"""Training tiles of phantom tissue hold tumour where their mask says, and look like real patches."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from training.patches.phantom_tiles import phantom_tile


def test_tiles_hold_tumour_where_the_mask_says() -> None:
    """Tumour cytoplasm and large nuclei set inside and outside apart: lymphoid tissue is darker in red than tumour."""
    rng = np.random.default_rng(0)
    inside: list[float] = []
    outside: list[float] = []
    shares: list[float] = []
    for _ in range(24):
        pixels, mask = phantom_tile(128, 0.97, rng)
        assert (pixels.shape, pixels.dtype, mask.shape, mask.dtype) == ((128, 128, 3), np.uint8, (128, 128), bool)
        shares.append(float(mask.mean()))
        tissue = pixels.min(axis=2) < 200
        if 0.2 < mask.mean() < 0.8 and (tissue & ~mask).mean() > 0.1:
            inside.append(float(pixels[mask & tissue, 0].mean()))
            outside.append(float(pixels[~mask & tissue, 0].mean()))
    assert min(shares) == 0 < max(shares)
    assert len(inside) >= 3
    assert np.mean(inside) > np.mean(outside) + 5


def test_same_generator_same_tile() -> None:
    """A tile depends on its generator alone."""
    (first, first_mask), (again, again_mask) = (phantom_tile(96, 0.97, np.random.default_rng(8)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first_mask, again_mask)


def test_tiles_look_like_real_patches(shared: Path) -> None:
    """Mean and spread of colour lie near those of real patches, both with tumour in their central 32 px."""
    rng = np.random.default_rng(1)
    with zipfile.ZipFile(shared / "data" / "pcam" / "valid.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg") and "/tumor/" in name]
        real = [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in rng.choice(names, 60)]
    tiles = (phantom_tile(96, 0.97, rng) for _ in range(150))
    made = [pixels for pixels, mask in tiles if mask[32:64, 32:64].any()]
    for statistic, tolerance in ((np.mean, 25), (np.std, 20)):
        of_real, of_made = (
            np.mean([statistic(patch, axis=(0, 1)) for patch in patches], axis=0) for patches in (real, made)
        )
        assert np.abs(of_real - of_made).max() < tolerance
