"""PatchCamelyon's official layout: `..._x.h5` with the pictures, and `..._y.h5` with their labels beside it."""

from math import ceil, prod
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from nodescan.errors import UsageError
from nodescan.machine import free_memory_bytes

HDF5_SUFFIXES = {".h5", ".hdf5"}

_DAMAGED = (OSError, RuntimeError, ValueError, TypeError)
"""What h5py raises of a damaged file, or of links that lead in a circle."""


def labels_of(path: Path) -> Path:
    """Where the labels of `..._x.h5` lie."""
    return path.with_name(path.name.replace("_x.h5", "_y.h5"))


def read_hdf5(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Pixels, uint8 (N, S, S, 3), of x, which is (N, 96, 96, 3) in PCam; labels, bool (N,), of y, (N, 1, 1, 1) there.

    Raises UsageError, naming the file, where either can't be read, was not written whole, or lies in another file.
    """
    pair = labels_of(path)
    if pair == path or not pair.exists():
        raise UsageError(f"{path}: expected a file ending in _x.h5 with its labels in _y.h5 beside it")
    try:
        with h5py.File(path) as images, h5py.File(pair) as labels:
            x, y = _dataset(images, "x", path), _dataset(labels, "y", pair)
            if len(x.shape) != 4 or x.shape[1] != x.shape[2] or x.shape[3] != 3 or x.dtype != np.uint8:
                raise UsageError(f"{path}: x is {x.dtype} {x.shape}, not uint8 (N, S, S, 3) RGB as PatchCamelyon's")
            if not len(x):
                raise UsageError(f"{path}: holds no patches")
            if len(x) != y.size:
                raise UsageError(f"{path}: {len(x)} patches but {y.size} labels")
            _check_written(x, path)
            _check_written(y, pair)
            _check_room(x, path)
            pixels, said = np.asarray(x), np.asarray(y).reshape(-1)
            _check_end(pixels, path)
    except KeyError as error:
        raise UsageError(f"{path}: expected the datasets x and, beside it, y of PatchCamelyon") from error
    except _DAMAGED as error:
        raise UsageError(f"{path}: it or {pair.name} can't be read as HDF5 ({error}); fetch it again") from error
    return pixels, _tumour(pair, said)


def _dataset(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise UsageError(f"{path}: {name} is not a dataset with values in it, as PatchCamelyon's is")
    return found


def _check_written(values: h5py.Dataset, path: Path) -> None:
    """Raises UsageError where HDF5 would give zeros, black patches or the label 0, for values that nobody wrote.

    Values in other files are refused, too: HDF5 gives zeros for a file that is missing or cut short, and a cache of
    patches knows only the file that was named.
    """
    name = values.name or "/"
    if values.is_virtual or values.external or Path(values.file.filename).resolve() != path.resolve():
        raise UsageError(f"{path}: the values of {name} lie in another file; copy them into this file")
    if values.chunks:
        counts = (ceil(side / chunk) for side, chunk in zip(values.shape, values.chunks, strict=True))
        whole = values.id.get_num_chunks() == prod(counts)
    else:
        whole = values.id.get_space_status() == h5py.h5d.SPACE_STATUS_ALLOCATED
    if not whole:
        raise UsageError(f"{path}: a part of {name} was never written, and would be read as zeros; make the file again")


def _check_end(pixels: NDArray[np.uint8], path: Path) -> None:
    """Raises UsageError where the last patches are 0 throughout.

    HDF5 sets the place of all values aside when the first are written, of a whole file or of a chunk, so nothing else
    tells of a writer that was stopped. Of 17,583 real patches the darkest has a pixel of 36.
    """
    if pixels[-1].any():
        return
    black = len(pixels) - max((index for index in range(len(pixels)) if pixels[index].any()), default=-1) - 1
    raise UsageError(
        f"{path}: its last {black} of {len(pixels)} patches are 0 throughout, as where writing them was broken off; "
        "make the file again, or leave these patches out"
    )


def _check_room(values: h5py.Dataset, path: Path) -> None:
    """Raises UsageError where the values need more memory than there is."""
    check_room(f"{path}: {values.name} needs", values.nbytes, free_memory_bytes())


def check_room(said: str, needed_bytes: int, free_bytes: int | None) -> None:
    """Raises UsageError where patches need more memory than is free, if that is known. said: what needs it."""
    if free_bytes is not None and needed_bytes > free_bytes:
        raise UsageError(
            f"{said} {needed_bytes / 1e9:.1f} GB of memory, and {free_bytes / 1e9:.1f} GB are free; "
            "use a file of fewer patches"
        )


def _tumour(file: Path, labels: NDArray[np.generic]) -> NDArray[np.bool_]:
    """bool (N,). Raises UsageError for a label but 0 or 1: it may say that nobody looked, or be a probability."""
    are_numbers = labels.dtype.kind in "buif"
    others = np.flatnonzero(~np.isin(labels, (0, 1))) if are_numbers else np.arange(len(labels))
    if len(others):
        first = int(others[0])
        raise UsageError(
            f"{file}: the label of patch {first} is {labels[first : first + 1].tolist()[0]!r}, not 0 (normal) or "
            "1 (tumour) as a number; write it as one of these, or leave the patch out"
        )
    return labels == 1
