"""Labelled patches from a zip, a folder or a PCam HDF5 pair, decoded once into memory."""

import hashlib
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tokenize import TokenError

import numpy as np
from numpy.typing import NDArray

from nodescan.errors import UsageError
from nodescan.machine import free_memory_bytes
from nodescan.whole_files import output_errors, written_beside
from training.patches.hdf5 import HDF5_SUFFIXES, check_room, labels_of, read_hdf5
from training.patches.pictures import colours_of

ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, UnicodeDecodeError, RuntimeError)
"""What zipfile raises of a damaged file or member (OSError of bzip2, UnicodeDecodeError of a name) and, the last, of a
password or a method that it doesn't know."""

_HEADER_ERRORS = (ValueError, TypeError, AttributeError, SyntaxError, TokenError)
ARRAY_ERRORS = (*ZIP_ERRORS, *_HEADER_ERRORS, LookupError, OverflowError)
"""What numpy raises of a damaged .npy or .npz, whose header is read as Python, or of one that is the other."""

_READ_VERSION = 7
"""Grows with each change to what is read of the same files, or refused: a cache keeps what was read before."""

_LARGEST_FILE = 1 << 28
"""Bytes of a patch's file, at most: as many as 9,000 x 9,000 px have unpacked; PatchCamelyon's have 28 KB."""

_LONGEST_PX = 2048
"""Of a patch's sides: the largest that are published have 2,048 x 1,536 px, PatchCamelyon's 96 x 96."""

LABELS = {"normal": 0, "tumor": 1, "tumour": 1, "0": 0, "1": 1}

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

    def digest(self) -> str:
        """sha256 of pixels and labels in their order, wherever they lie: 1.5 s a GB on one core."""
        digest = hashlib.sha256(repr(self.pixels.shape).encode() + self.tumour.tobytes())
        for pixels in self.pixels:
            digest.update(pixels.tobytes())
        return digest.hexdigest()


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
    files that are read stay the same; what is damaged there is decoded again. Raises UsageError where a path holds no
    labelled patch, or unlike sizes.
    """
    if cache is None:
        return _join([_read_one(path) for path in paths])
    read = [_read_state(path, file) for path in paths for file in files_of([path])]
    key = hashlib.sha256(repr((_READ_VERSION, read)).encode()).hexdigest()[:16]
    pixels_file, rest_file = cache / f"{key}.npy", cache / f"{key}.npz"
    kept = _kept(pixels_file, rest_file)
    if kept is not None:
        return kept
    patches = read_patches(paths)
    with output_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
    with written_beside(pixels_file) as part, part.open("wb") as file:
        np.save(file, patches.pixels)
    with written_beside(rest_file) as part, part.open("wb") as file:
        np.savez(file, tumour=patches.tumour, names=np.array(patches.names))
    return _kept(pixels_file, rest_file) or patches


def _kept(pixels_file: Path, rest_file: Path) -> Patches | None:
    """What a cache holds, the pixels mapped into memory; None where one of its files is missing, or was cut off."""
    try:
        pixels = np.load(pixels_file, mmap_mode="r")
        with np.load(rest_file) as rest:
            tumour, names = rest["tumour"], tuple(rest["names"].tolist())
        whole = pixels.ndim == 4 and len(pixels) == len(tumour) == len(names)
    except ARRAY_ERRORS:
        return None
    return Patches(pixels, tumour, names) if whole else None


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
    pair = labels_of(path)
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
        pixels, tumour = read_hdf5(path)
        return Patches(pixels, tumour, tuple(str(row) for row in range(len(pixels))))
    if path.suffix == ".gz":
        raise UsageError(f"{path}: is packed; unpack it with gunzip and name the ..._x.h5 file")
    entries = _zip_entries(path) if path.suffix == ".zip" else _folder_entries(path)
    names, pixels, tumour, free, held = [], [], [], free_memory_bytes(), 0
    for name, label, data in entries:
        pixels.append(colours_of(io.BytesIO(data), f"{path}: {name}", longest_px=_LONGEST_PX))
        held += pixels[-1].nbytes
        check_room(f"{path}: needs more than", 2 * held, free)  # they are put together at the end
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
            found = list[tuple[zipfile.ZipInfo, str, int]]()
            for member in sorted(archive.infolist(), key=lambda member: member.filename):
                name = member.filename.replace("\\", "/")  # as some programs of Windows write folders
                label = None if name.endswith("/") else _label(path, name)
                if label is not None:
                    found.append((member, name, label))
            check_distinct(path, (name for _, name, _ in found))
            check_sizes(path, ((member.file_size, name) for member, name, _ in found))
            for member, name, label in found:
                yield name, label, archive.read(member)
    except ZIP_ERRORS as error:
        raise UsageError(f"{path}: not a whole zip file, or packed in a way that isn't read ({error})") from error


def check_distinct(source: Path, names: Iterable[str]) -> None:
    """Raises UsageError for a name that stands twice in a zip, as where a script packed it twice.

    Its patch would count twice, and may be among those that a model is tuned on and those that it is scored on.
    """
    seen = set[str]()
    for name in names:
        place = PurePosixPath(name.replace("\\", "/")).as_posix()
        if place in seen:
            raise UsageError(f"{source}: {name} is in this zip twice; pack the patches again, each of them once")
        seen.add(place)


def check_sizes(source: Path, files: Iterable[tuple[int, str]]) -> None:
    """Raises UsageError for a file that is too large for a patch, before it fills the memory.

    files: sizes in bytes, unpacked, and names.
    """
    size, name = max(files, default=(0, ""))
    if size > _LARGEST_FILE:
        raise UsageError(f"{source}: {name} has {size / 1e6:,.0f} MB, and no patch is so large; take it out")


def _folder_entries(path: Path) -> Iterator[tuple[str, int, bytes]]:
    found = list[tuple[Path, str, int]]()
    for file in _files_below(path):
        name = file.relative_to(path).as_posix()
        label = _label(path, name)
        if label is not None:
            found.append((file, name, label))
    check_sizes(path, ((file.stat().st_size, name) for file, name, _ in found))
    for file, name, label in found:
        yield name, label, file.read_bytes()
