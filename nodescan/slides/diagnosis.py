"""Why a file can't be opened as a slide, in words that say what to do."""

import os
from pathlib import Path

import tifffile

from nodescan.errors import NotASlideError
from nodescan.slides.dicom_series import is_dicom

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_CONVERT = "convert it with `vips tiffsave {name} {stem}-tiled.tif --tile --pyramid --compression jpeg`"
_COPY_AGAIN = "copy it again from the scanner or the archive"


def check_readable(path: Path) -> None:
    """Raises NotASlideError for what no reader could open: nothing there, a folder, no permission, no bytes."""
    name = path.name
    try:
        if path.is_dir():
            raise NotASlideError(name, "a folder, not a slide file", "name the slide's index file inside or beside it")
        with path.open("rb") as stream:
            empty = not stream.read(1)
    except FileNotFoundError:
        raise NotASlideError(name, "the file isn't there", "it was moved, deleted, or is a link to nothing") from None
    except PermissionError:
        raise NotASlideError(name, "no permission to read the file", "ask its owner, or `chmod +r` it") from None
    except OSError as error:
        raise NotASlideError(name, f"can't be read ({error.strerror})", "check the disk or network drive") from None
    if empty:
        raise NotASlideError(name, "the file is empty (0 bytes)", _COPY_AGAIN)


def rejection(path: Path, library_message: str = "") -> NotASlideError:
    """The error for a file that no reader opens. library_message: what the reading library said, "" where nothing of use."""
    said = _without_folders(library_message, path)
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
        if path.suffix.lower() == ".mrxs":
            return _mrxs(path, said)
        if is_dicom(path):
            return _declined_dicom(path, said)
        if magic in _TIFF_MAGIC:
            return _tiff(path, said)
    except OSError as error:
        return NotASlideError(path.name, f"can't be read ({error.strerror})", "check the disk or network drive")
    if said:
        return NotASlideError(path.name, f"can't be opened as a slide ({said})", _COPY_AGAIN)
    return NotASlideError(path.name, "not a slide in any format that nodescan reads", "take it out of the list of slides")


def _mrxs(path: Path, said: str) -> NotASlideError:
    data = path.with_suffix("")
    if not data.is_dir():
        return NotASlideError(
            path.name, f"its data folder {data.name}/ is missing", f"put the folder {data.name}/ beside {path.name}"
        )
    if not (data / "Slidedat.ini").is_file():
        return NotASlideError(path.name, f"{data.name}/Slidedat.ini is missing", f"copy {path.name} and {data.name}/ again")
    return NotASlideError(
        path.name, f"damaged: can't be opened as a MIRAX slide{_in_brackets(said)}", f"copy {path.name} and {data.name}/ again"
    )


def _declined_dicom(path: Path, said: str) -> NotASlideError:
    return NotASlideError(
        path.name,
        f"a DICOM file, but not of a whole-slide image that can be read{_in_brackets(said)}",
        "give a file of a series of VL Whole Slide Microscopy images, with the whole series in one folder",
    )


def _tiff(path: Path, said: str) -> NotASlideError:
    missing = _bytes_missing(path)
    if missing is None:
        return NotASlideError(path.name, f"a damaged TIFF{_in_brackets(said)}: its directory can't be followed", _COPY_AGAIN)
    if missing:
        return NotASlideError(path.name, f"cut off: at least {missing:,} bytes are missing at its end", _COPY_AGAIN)
    command = _CONVERT.format(name=path.name, stem=path.stem)
    if said:
        return NotASlideError(path.name, f"a TIFF that can't be opened as a slide ({said})", command)
    return NotASlideError(
        path.name,
        "a plain TIFF, not stored in tiles, so single areas of it can't be read",
        f"{command}, then give its um/px with --mpp UM if the file doesn't say it",
    )


def _bytes_missing(path: Path) -> int | None:
    """How many bytes the TIFF's own directory points beyond the end of the file; None where it can't be followed."""
    size = os.path.getsize(path)
    end = 0
    try:
        with tifffile.TiffFile(path) as tiff:
            end = max(end, *tiff.pages.next_page_offset, 0) if False else end
            for page in tiff.pages:
                ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False))
                end = max(end, max(ends, default=0))
    except (tifffile.TiffFileError, ValueError, IndexError, KeyError, TypeError):
        return None
    return max(0, end - size)


def _in_brackets(said: str) -> str:
    return f" ({said})" if said else ""


def _without_folders(message: str, path: Path) -> str:
    """Folders often hold names of patients, and messages go into reports."""
    for folder in {str(path.parent), str(path.parent.absolute()), str(path.parent.resolve())} - {"."}:
        message = message.replace(f"{folder}{os.sep}", "")
    return message.removeprefix(f"Reading {path.name}: ")
