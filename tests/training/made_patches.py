"""Labelled patches: zips of them, and PatchCamelyon's pairs of files."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image


def png(pixels: NDArray[np.uint8] | tuple[int, int, int]) -> bytes:
    """A picture, uint8 (H, W, 3), or one of 96 px of a colour."""
    image = Image.new("RGB", (96, 96), pixels) if isinstance(pixels, tuple) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def zip_of(path: Path, members: Mapping[str, bytes]) -> Path:
    """A zip of these, by their names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def unzipped(path: Path, folder: Path) -> Path:
    """A folder of what a zip holds."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


def write_patches(path: Path, count: int = 96, *, seed: int = 5) -> Path:
    """A zip of patches of noise, half of them tumour, no two alike."""
    rng = np.random.default_rng(seed)
    colours = [(110, 60, 150) if index % 2 else (180, 120, 170) for index in range(count)]
    patches = (np.clip(rng.normal(colour, 30, (96, 96, 3)), 0, 255).astype(np.uint8) for colour in colours)
    return zip_of(path, {f"{'tumor' if n % 2 else 'normal'}/{n}.png": png(pixels) for n, pixels in enumerate(patches)})


def as_zip(path: Path, counts: Mapping[str, int]) -> Path:
    """So many patches of each label, of one colour, and a file that is no patch."""
    colours = {"normal": (200, 120, 180), "tumor": (110, 60, 150)}
    made = {f"train/{label}/{n}.png": png(colours[label]) for label, count in counts.items() for n in range(count)}
    return zip_of(path, {**made, "train/README.txt": b"not a patch"})


def hdf5_pair(folder: Path, pixels: NDArray[np.generic], labels: NDArray[np.generic]) -> Path:
    """The file of the patches, p_x.h5, beside that of their labels."""
    for name, values in (("x", pixels), ("y", labels)):
        with h5py.File(folder / f"p_{name}.h5", "w") as file:
            file[name] = values
    return folder / "p_x.h5"
