"""Why a file can't be opened as a slide, in words that say what to do."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nodescan.errors import NotASlideError, SlideError
from nodescan.slides.conversion import tiled_copy, turned_copy
from nodescan.slides.dicom_elements import is_dicom
from nodescan.slides.dicom_series import series_levels, several_scans
from nodescan.slides.openslide_files import MRXS_INDEX
from nodescan.slides.tiff_checks import missing_bytes, missing_words, scanner_of, tiff_fault
from nodescan.slides.tiff_directories import Layout, layout_in
from nodescan.slides.tiff_images import scan_page

_COPY_AGAIN = "copy it again from the scanner or the archive"
_PART_MISSING = "in concatenation"
"""OpenSlide says so where a level is split over several files and not all of them are there."""

_BEFORE_A_NAME = re.compile(r"[:\"]|(?<=open )|(?<=opening )|(?<=file )|(?<=read )|(?<=Reading )")
"""In OpenSlide's messages."""

_LEAVE_OUT = "leave it out, or convert it to a slide format"


def check_readable(path: Path) -> None:
    """Raises NotASlideError for what no reader could open: a folder, no bytes, a TIFF whose tiles or descriptions would
    take more than there is of memory, or whose tiles come out turned, a DICOM series of several scans. Raises
    SlideError where nothing is there, a folder can't be listed, or the disk refuses."""
    name = path.name
    with disk_errors(path):
        if path.is_dir():
            _check_listed(path)
            raise NotASlideError(
                name, "a folder without slides", "name a folder of slides, or a slide file (any one of a DICOM series)"
            )
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise NotASlideError(name, "neither a file nor a folder", _LEAVE_OUT)
        with path.open("rb") as stream:
            if not stream.read(1):
                raise NotASlideError(name, "the file is empty (0 bytes)", _COPY_AGAIN)
        if (fault := tiff_fault(path)) is not None:
            remedy = _COPY_AGAIN if fault.damaged else f"turn it with {turned_copy(path, scan_page(path))}"
            raise NotASlideError(name, fault.reason, remedy)
        if (scans := several_scans(path)) is not None:
            said, remedy = scans
            raise NotASlideError(
                name, f"its DICOM series holds several scans ({said}), and one would stand for all", remedy
            )


def _check_listed(folder: Path) -> None:
    try:
        os.scandir(folder).close()
    except OSError as error:
        reason = f"the folder can't be listed ({error.strerror})"
        raise SlideError(folder.name, reason, "give it read permission or leave it out") from None


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Around a look into a slide's files: an OSError becomes a SlideError, so that a disk that fails for a moment
    is no defect of the file, and no check of it is left out."""
    name = path.name
    try:
        yield
    except FileNotFoundError:
        raise SlideError(name, "the file isn't there", "it was moved, deleted, or is a link to nothing") from None
    except PermissionError:
        raise SlideError(name, "no permission to read the file", "ask its owner, or `chmod +r` it") from None
    except OSError as error:
        raise SlideError(name, f"can't be read ({error.strerror})", "check the disk or network drive") from None


def rejection(path: Path, library_message: str = "") -> NotASlideError:
    """The error for a file that no reader opens. library_message: what its library said, "" where nothing of use.

    In reports the message is cut before the first name or value, which may be a patient's ("Couldn't open Ada 1.jpg").
    """
    said = without_folders(library_message, path)
    error, told = _rejection(path, said), _BEFORE_A_NAME.split(said, maxsplit=1)[0].rstrip()
    if told == said:
        return error
    return NotASlideError(error.slide, error.reason, error.remedy, error.reason.replace(said, f"{told} ..."))


def _rejection(path: Path, said: str) -> NotASlideError:
    with disk_errors(path):
        if path.suffix.lower() == ".mrxs":
            return _mrxs(path, said)
        if is_dicom(path):
            return _declined_dicom(path, said)
        if (layout := layout_in(path)) is not None:
            return _tiff(path, said, layout)
    if said:
        return NotASlideError(path.name, f"can't be opened as a slide ({said})", _COPY_AGAIN)
    return NotASlideError(path.name, "not a slide in any format that nodescan reads", _LEAVE_OUT)


def without_folders(message: str, path: Path) -> str:
    """The message without the folders of `path`: they may hold a patient's name, and messages go into reports."""
    for folder in {str(path.parent), str(path.parent.absolute()), os.path.realpath(path.parent)} - {"."}:
        message = message.replace(f"{folder}{os.sep}", "")
    return message.removeprefix(f"Reading {path.name}: ")


def _mrxs(path: Path, said: str) -> NotASlideError:
    data = path.with_suffix("")
    if not data.is_dir():
        return NotASlideError(
            path.name, f"its data folder {data.name}/ is missing", f"put the folder {data.name}/ beside {path.name}"
        )
    if not (data / MRXS_INDEX).is_file():
        return NotASlideError(
            path.name, f"{data.name}/{MRXS_INDEX} is missing", f"copy {path.name} and {data.name}/ again"
        )
    return NotASlideError(
        path.name,
        f"damaged: can't be opened as a MIRAX slide{_in_brackets(said)}",
        f"copy {path.name} and {data.name}/ again",
    )


def _declined_dicom(path: Path, said: str) -> NotASlideError:
    if not series_levels(path):
        remedy = "give a file of a series of VL Whole Slide Microscopy images, with the whole series in one folder"
    elif _PART_MISSING in said:
        remedy = "put the whole series into one folder"
    else:
        remedy = "copy the series again; if that doesn't help, export it again from the scanner or the archive"
    reason = f"a DICOM file, but not of a whole-slide image that can be read{_in_brackets(said)}"
    return NotASlideError(path.name, reason, remedy)


def _tiff(path: Path, said: str, layout: Layout) -> NotASlideError:
    missing = missing_bytes(path)
    if missing:
        return NotASlideError(path.name, missing_words(missing), _COPY_AGAIN)
    scanner = scanner_of(path)
    if scanner:  # a converter would take its first image, which may be that of the whole glass
        reason = f"a TIFF of a {scanner} scanner that can't be opened as a slide{_in_brackets(said)}"
        return NotASlideError(path.name, reason, "export each region at full resolution from the scanner's software")
    try:
        convert = f"convert it with {tiled_copy(path, scan_page(path))}"
    except NotASlideError as several:  # all scans but one would be gone
        return NotASlideError(path.name, f"{several.reason}{_in_brackets(said)}", several.remedy)
    if said:
        return NotASlideError(path.name, f"a TIFF that can't be opened as a slide ({said})", convert)
    if layout.is_big_endian_classic:
        return NotASlideError(path.name, "a TIFF in a byte order (big-endian) that OpenSlide can't read", convert)
    return NotASlideError(
        path.name,
        "a plain TIFF, not one of 8-bit RGB tiles, so single areas of it can't be read",
        f"{convert}, then give its um/px with --mpp UM if the file doesn't say it",
    )


def _in_brackets(said: str) -> str:
    return f" ({said})" if said else ""
