"""From what a user names (files, folders, globs) to slides, each once."""

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodescan.domain.slide import SlideRef
from nodescan.errors import UsageError, nothing_there
from nodescan.slides.dicom_elements import is_dicom
from nodescan.slides.dicom_series import level_of, series_uid
from nodescan.slides.files import companions
from nodescan.slides.openslide_files import MRXS_INDEX
from nodescan.slides.readers import READERS
from nodescan.slides.slide_ids import real_path, slide_ids, without_suffix

_NOT_READ = {
    *(".afi", ".czi", ".i2syntax", ".isyntax", ".jp2", ".kfb", ".lif"),
    *(".mds", ".mdsx", ".sdpc", ".tmap", ".vsi", ".zvi"),
}
"""Suffixes of scanner formats that no reader knows. A slide that is skipped silently could be the only positive one."""

SUFFIXES = frozenset(_NOT_READ.union(*(reader.suffixes for reader in READERS)))
"""What counts as a slide inside a folder; DICOM files count whatever their suffix. What can't be read fails in its own
row."""

_UNFINISHED = (".crdownload", ".download", ".filepart", ".part", ".partial", ".tmp")
"""Suffixes that programs add while they copy or download a file: until then it is only part of a slide."""

_DICOM_DIRECTORY = "DICOMDIR"

_OF_WINDOWS = frozenset({"system volume information", "$recycle.bin"})
"""Folders on every disk of Windows: the first lets nobody list it, the second holds what was deleted."""

_LOST_AND_FOUND = "lost+found"
"""A folder on every ext4 disk that only root may list."""

_EMPTY, _UNLISTED = "folder-without-slides", "folder-not-listed"
"""The ids of such folders: by its own name, which may be a patient's, one might be taken for the slide beside it."""

_OWN_MAP, _OWN_MARKS = "probability.ome.tif", ("report.json", ".older-report.json", ".replaced-report.json")
"""Written by nodescan itself: a map in a result folder among slides is not analysed again. A map lies beside one of
these marks, a report or one that a run put aside. Without a mark it may be a user's slide."""


def find_slides(inputs: Sequence[str], *, mpp_um: float | None, override_mpp: bool) -> tuple[SlideRef, ...]:
    """The slides that the inputs name, in their order, those of a folder sorted by path.

    A file that is named, or that a glob finds and that is no map of nodescan's, is always taken, and fails later in its
    own row if it is no slide. So does, beside other slides, a folder without slides or one that can't be listed: it
    could hold a patient's only positive node. Folders are searched to their bottom by suffix. A DICOM series is one
    slide, and so is an .mrxs with its data folder or a .vms with its images. Raises UsageError for a path that isn't
    there, a glob that meets nothing, and where there are such folders alone.
    """
    if not inputs:
        raise UsageError("no slides given: name slide files, folders or globs")
    found = [item for text in inputs for item in _expand(text)]
    names = {item.path: item.path / item.fault if item.fault else item.path for item in found}
    if all(item.fault for item in found):
        raise _no_slides(found)
    paths = _without_companions(_one_per_series(_once(names)))
    ids = slide_ids([names[path] for path in paths])
    return tuple(
        SlideRef(slide_id=slide_id, path=path, mpp_um=mpp_um, override_mpp=override_mpp)
        for slide_id, path in zip(ids, paths, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A file, or a folder with a row of its own: `fault` is _EMPTY or _UNLISTED then."""

    path: Path
    fault: str = ""


def _no_slides(found: Sequence[_Found]) -> UsageError:
    unlisted = [item.path for item in found if item.fault == _UNLISTED]
    if unlisted:
        return unlisted_error(unlisted[0])
    looked_for = f"looked for {', '.join(sorted(SUFFIXES))} in it and all folders below"
    return UsageError(f"{found[0].path}: holds no slides; {looked_for}")


def unlisted_error(folder: Path) -> UsageError:
    return UsageError(f"{folder}: the folder can't be listed; give it read permission or leave it out")


def _expand(text: str) -> list[_Found]:
    """What one input names."""
    if not text:  # Path would take it for the current folder
        raise UsageError("an input is empty, perhaps because a variable isn't set; name slide files, folders or globs")
    path = Path(text)
    if os.path.lexists(path):
        return (_slides_below(path) or [_Found(path, _EMPTY)]) if os.path.isdir(path) else [_Found(path)]
    if not glob.has_magic(text):
        raise nothing_there(text)
    paths = map(Path, sorted(glob.glob(text, recursive=True)))
    matches = [match for match in paths if not _is_own_map(match)]
    found = [item for match in matches for item in (_slides_below(match) if os.path.isdir(match) else [_Found(match)])]
    if not found:
        raise UsageError(f"{text}: matches no slide; check the pattern, and put it in quotes")
    return found


def _slides_below(folder: Path) -> list[_Found]:
    """Slides in the folder and below, and folders that can't be listed, sorted; the slide itself where the folder is an
    .mrxs's data."""
    owner = folder.absolute().with_name(f"{folder.absolute().name}.mrxs")
    if os.path.isfile(owner) and os.path.isfile(folder / MRXS_INDEX):
        return [_Found(folder.parent / owner.name if folder.name else owner)]
    found: list[_Found] = []
    errors: list[OSError] = []
    seen: set[Path] = set()  # by path: some disks in the network number all folders alike, on Windows
    for place, below, names in os.walk(folder, followlinks=True, onerror=errors.append):
        real = real_path(Path(place))
        if real in seen:  # a link back up, or a second link to the same folder
            below.clear()
            continue
        seen.add(real)
        below[:] = sorted(name for name in below if not (name.startswith(".") or name.casefold() in _OF_WINDOWS))
        found += [_Found(Path(place, name)) for name in names if _looks_like_a_slide(Path(place, name))]
    unlisted = (Path(error.filename) for error in errors)
    found += [_Found(path, _UNLISTED) for path in unlisted if path == folder or path.name != _LOST_AND_FOUND]
    return sorted(found, key=lambda item: item.path)


def _looks_like_a_slide(path: Path) -> bool:
    if path.name.startswith(".") or _is_own_map(path):
        return False
    if _suffix(path) in SUFFIXES:
        return True
    try:
        return path.name != _DICOM_DIRECTORY and path.is_file() and is_dicom(path)
    except OSError:  # DICOM files are often named by number or UID: what may be a slide fails in its own row
        return without_suffix(path) == path.name


def _is_own_map(path: Path) -> bool:
    return path.name == _OWN_MAP and any(os.path.lexists(path.with_name(mark)) for mark in _OWN_MARKS)


def _suffix(path: Path) -> str:
    """The file's suffix in small letters, without additions that are temporary or a mistake."""
    name = path.name.lower().rstrip(". ")
    ending = next((ending for ending in _UNFINISHED if name.endswith(ending)), "")
    return Path(name.removesuffix(ending).rstrip(". ")).suffix


def _once(paths: Iterable[Path]) -> list[Path]:
    """Each file once, at its first place, under the smallest of its names, so that order doesn't change the id."""
    names: dict[Path, Path] = {}
    for path in paths:
        key = real_path(path)
        names[key] = min(names.get(key, path), path, key=str)
    return list(names.values())


def _one_per_series(paths: Sequence[Path]) -> list[Path]:
    """One file for each DICOM series of a folder: its largest level, which holds the full resolution."""
    series: dict[tuple[Path, str], list[Path]] = {}
    for path in paths:
        series.setdefault(_series_key(path), []).append(path)
    return [files[0] if len(files) == 1 else min(files, key=_rank) for files in series.values()]


def _rank(path: Path) -> tuple[bool, int, bool, str]:
    """Of the files of a series: levels before pictures of a label, say, larger ones before others, then known suffixes.

    A copy beside the file (a.dcm.bak) must not change the slide's name.
    """
    return level_of(path) is None, -path.stat().st_size, path.suffix.lower() not in SUFFIXES, str(path)


def _series_key(path: Path) -> tuple[Path, str]:
    """(folder, series); for anything else, or a file that can't be read and fails later by itself, its own path."""
    try:
        uid = series_uid(path) if path.is_file() else None
    except OSError:
        uid = None
    return (real_path(path).parent, uid) if uid else (real_path(path), "")


def _without_companions(paths: Sequence[Path]) -> list[Path]:
    """The paths without those that are part of another slide. A file with a slide's suffix is never a part, whatever an
    index file says."""
    parts: set[Path] = set()
    for path in paths:
        try:
            parts.update(real_path(part) for part in companions(path))
        except OSError:  # the slide that can't be read says so in its own row
            continue
    return [path for path in paths if path.suffix.lower() in SUFFIXES or real_path(path) not in parts]
