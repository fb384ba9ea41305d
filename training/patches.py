"""Labelled patches from a zip, a folder or a PCam HDF5 pair, decoded once into memory."""

import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tokenize import TokenError

import h5py
import numpy as np
from numpy.typing import NDArray

from nodescan.errors import UsageError
from nodescan.whole_files import written_beside
from training.patch_pictures import colours_of

ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
"""What zipfile raises of a damaged file or member and, the last, of a password or a method that it doesn't know."""

_HEADER_ERRORS = (ValueError, TypeError, AttributeError, SyntaxError, TokenError)
ARRAY_ERRORS = (*ZIP_ERRORS, *_HEADER_ERRORS, OSError, LookupError, OverflowError)
"""What numpy raises of a damaged .npy or .npz, whose header is read as Python, or of one that is the other."""

_READ_VERSION = 6
"""Grows with each change to what is read of the same files, or refused: a cache keeps what was read before."""

LABELS = {"normal": 0, "tumor": 1, "tumour": 1, "0": 0, "1": 1}

HDF5_SUFFIXES = {".h5", ".hdf5"}
_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"}
_MASKS = "_mask"
"""Ends the name of a picture's mask where it lies beside that, as evaluate-masks reads them."""

_MACS_NOTES = "__MACOSX"
"""A folder of a zip made by macOS: a file of the same name for each, of what its Finder knows of that."""

_NO_PATCHES = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
"""What Windows puts into folders."""


@dataclass(frozen=True, slots=True)
class Patches:
    """pixels : uint8 (N, S, S, 3) RGB; tumour : bool (N,), of the central 32 x 32 px; names : N file names or rows."""

    pixels: NDArray[np.uint8]
    tumour: NDArray[np.bool_]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)


PATCH_SPACING_UM = 0.972
"""Of PatchCamelyon's pixels, in um."""

LABELLED_PX = 32
"""Side of what a patch's label speaks of."""

_OFF_CENTRE_PX = {96: 6}
"""How far the labelled square lies from a patch's middle, towards its top and left, by the patch's side.

PatchCamelyon says that it is the middle. But networks that by their weights can't tell left from right answer its
patches best when what lies 5 to 7 px up and to the left is shown to them as the middle, and worst the other way: an AUC
on the validation patches of 0.9496 and 0.9420 at 5 px, where the middle gives 0.9466. The training patches agree.
"""


def label_centre_px(size: int) -> int:
    """Where the middle of the labelled square lies, from the top and from the left of a patch of `size` px."""
    return size // 2 - _OFF_CENTRE_PX.get(size, 0)


def centred(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (N, S, S, 3): the patches, moved so that what their labels speak of is in the middle.

    What is missing at the top and left is mirrored. A copy, unless nothing moves.
    """
    size = pixels.shape[1]
    moved = size // 2 - label_centre_px(size)
    if moved == 0:
        return pixels
    kept = pixels[:, : size - moved, : size - moved]
    return np.pad(kept, ((0, 0), (moved, 0), (moved, 0), (0, 0)), mode="reflect")


def read_patches(paths: Sequence[Path], *, cache: Path | None = None) -> Patches:
    """Patches of every path, in the order given; paths may be zips, folders (`*/normal`, `*/tumor`) or `*_x.h5`.

    cache: a folder where the decoded pixels are kept and found again, as long as names, sizes and times of all
    files that are read stay the same. Raises UsageError where a path holds no labelled patch, or unlike sizes.
    """
    if cache is None:
        return _join([_read_one(path) for path in paths])
    read = [_read_state(path, file) for path in paths for file in files_of([path])]
    key = hashlib.sha256(repr((_READ_VERSION, read)).encode()).hexdigest()[:16]
    pixels_file, rest_file = cache / f"{key}.npy", cache / f"{key}.npz"
    if not rest_file.exists():
        patches = read_patches(paths)
        cache.mkdir(parents=True, exist_ok=True)
        with written_beside(pixels_file) as part, part.open("wb") as file:
            np.save(file, patches.pixels)
        with written_beside(rest_file) as part, part.open("wb") as file:
            np.savez(file, tumour=patches.tumour, names=np.array(patches.names))
    rest = np.load(rest_file)
    return Patches(np.load(pixels_file, mmap_mode="r"), rest["tumour"], tuple(rest["names"].tolist()))


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Every file that the patches and labels of the paths are read from. Raises UsageError where one isn't there."""
    return [file for path in paths for file in _files_of(_exists(path))]


def _read_state(source: Path, file: Path) -> tuple[str, str, int, int]:
    """What a cache knows a file by: where it is listed, where its bytes lie, its size and its time.

    A link has the label of the folder that lists it, not of the folder that it leads to.
    """
    listed = file.relative_to(source).as_posix() if source.is_dir() else file.name
    state = file.stat()
    return listed, str(file.resolve()), state.st_size, state.st_mtime_ns


def in_both(these: Patches, those: Patches) -> list[tuple[str, str]]:
    """The names of the patches that are, pixel for pixel, among the others, too, each with its name there.

    A patch of one colour isn't counted: glass may look the same on two slides.
    """
    known = {_digest(pixels): name for pixels, name in zip(those.pixels, those.names, strict=True)}
    found = list[tuple[str, str]]()
    for pixels, name in zip(these.pixels, these.names, strict=True):
        other = known.get(_digest(pixels))
        if other is not None and (pixels != pixels[0, 0]).any():
            found.append((name, other))
    return found


def _digest(pixels: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(pixels.tobytes()).digest()


def _exists(path: Path) -> Path:
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder of patches")
    return path


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        return _files_below(path)
    pair = _labels_of(path)
    return [path, pair] if pair != path and pair.exists() else [path]


def _files_below(folder: Path) -> list[Path]:
    """Every file below a folder, sorted. Links are followed; raises UsageError for one that leads nowhere, or to a
    folder for the second time."""
    files, seen = list[Path](), set[Path]()
    for place, _, names in os.walk(folder, followlinks=True):
        where = Path(place).resolve()
        if where in seen:
            raise UsageError(f"{place}: a link leads to {where}, which is read already; remove the link")
        seen.add(where)
        files += [Path(place, name) for name in names]
    for file in files:
        if not file.exists():
            raise UsageError(f"{file}: is a broken link; fix or remove it")
    return sorted(files)


def _labels_of(path: Path) -> Path:
    """Where the labels of `..._x.h5` lie."""
    return path.with_name(path.name.replace("_x.h5", "_y.h5"))


def _join(parts: list[Patches]) -> Patches:
    if len(parts) == 1:  # PatchCamelyon's 7 GB are not to be held twice
        return parts[0]
    sizes = {part.pixels.shape[1:] for part in parts}
    if len(sizes) > 1:
        raise UsageError(f"patches of unlike sizes can't be mixed: {sorted(sizes)}")
    return Patches(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.tumour for part in parts]),
        tuple(name for part in parts for name in part.names),
    )


def _read_one(path: Path) -> Patches:
    _exists(path)
    if path.suffix in HDF5_SUFFIXES:
        return _read_hdf5(path)
    if path.suffix == ".gz":
        raise UsageError(f"{path}: is packed; unpack it with gunzip and name the ..._x.h5 file")
    entries = _zip_entries(path) if path.suffix == ".zip" else _folder_entries(path)
    names, pixels, tumour = [], [], []
    for name, label, data in entries:
        pixels.append(colours_of(io.BytesIO(data), f"{path}: {name}"))
        names.append(name)
        tumour.append(bool(label))
    if not pixels:
        raise UsageError(
            f"{path}: no patches found; expected images in folders named normal and tumor, or ..._x.h5 itself"
        )
    if len({image.shape for image in pixels}) > 1:
        raise UsageError(f"{path}: patches of unlike sizes can't be mixed")
    return Patches(np.stack(pixels), np.array(tumour), tuple(names))


def _label(source: Path, name: str) -> int | None:
    """What the folders say whose names are labels; None for what is no picture.

    Raises UsageError for a picture in folders that say nothing, or in none, for a mask, and for what may be a picture
    in a labelled folder: nobody would miss it if it were left out in silence; and for one in folders of both labels
    (tumor/0): one of them numbers parts or cases. What is hidden, or a Mac's notes in a zip, is passed over.
    """
    path = PurePosixPath(name)
    if any(part.startswith(".") and part != ".." for part in path.parts) or path.parts[0] == _MACS_NOTES:
        return None
    folders = path.parts[:-1]
    if path.suffix.lower() not in _SUFFIXES:
        if path.name.lower() not in _NO_PATCHES and any(folder.lower() in LABELS for folder in folders):
            raise UsageError(
                f"{source}: {name} is of no format that patches are read from ({', '.join(sorted(_SUFFIXES))}); "
                "save it as one of these, or take it out"
            )
        return None
    said = {folder: LABELS[folder.lower()] for folder in folders if folder.lower() in LABELS}
    if len(set(said.values())) > 1:
        raise UsageError(f"{source}: {name} lies in folders of both labels, {' and '.join(said)}; rename one of them")
    if path.stem.lower().endswith(_MASKS):
        raise UsageError(f"{source}: {name} is a mask by its name, and would be taught as a patch; take it out")
    if not said:
        raise UsageError(f"{source}: {name} lies in no folder named normal or tumor, so its label isn't known")
    return next(iter(said.values()))


def _zip_entries(path: Path) -> Iterator[tuple[str, int, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for stored in sorted(archive.namelist()):
                name = stored.replace("\\", "/")  # as some programs of Windows write folders, and zipfile doesn't read
                label = None if name.endswith("/") else _label(path, name)
                if label is not None:
                    yield name, label, archive.read(stored)
    except ZIP_ERRORS as error:
        raise UsageError(f"{path}: not a whole zip file, or packed in a way that isn't read ({error})") from error


def _folder_entries(path: Path) -> Iterator[tuple[str, int, bytes]]:
    for file in _files_below(path):
        name = file.relative_to(path).as_posix()
        label = _label(path, name)
        if label is not None:
            yield name, label, file.read_bytes()


def _read_hdf5(path: Path) -> Patches:
    """PCam's official layout: `..._x.h5` with x (N, 96, 96, 3) and `..._y.h5` with y (N, 1, 1, 1)."""
    pair = _labels_of(path)
    if pair == path or not pair.exists():
        raise UsageError(f"{path}: expected a file ending in _x.h5 with its labels in _y.h5 beside it")
    try:
        with h5py.File(path) as images, h5py.File(pair) as labels:
            shape, kind = getattr(images["x"], "shape", ()), getattr(images["x"], "dtype", None)
            if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3 or kind != np.uint8:
                raise UsageError(f"{path}: x is {kind} {shape}, not uint8 (N, S, S, 3) RGB as PatchCamelyon's")
            pixels, said = np.asarray(images["x"]), np.asarray(labels["y"]).reshape(-1)
    except KeyError as error:
        raise UsageError(f"{path}: expected the datasets x and, beside it, y of PatchCamelyon") from error
    except OSError as error:
        raise UsageError(f"{path}: it or {pair.name} can't be read as HDF5 ({error}); fetch it again") from error
    if not len(pixels):
        raise UsageError(f"{path}: holds no patches")
    if len(pixels) != len(said):
        raise UsageError(f"{path}: {len(pixels)} patches but {len(said)} labels")
    return Patches(pixels, _tumour(pair, said), tuple(str(row) for row in range(len(pixels))))


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
