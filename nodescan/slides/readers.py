"""The readers of slide files. Everything that nodescan knows about a format is in its reader's row."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nodescan.slides import openslide_files, openslide_reader, tiff_reader
from nodescan.slides.opened_file import OpenedFile


def _alone(path: Path) -> tuple[Path, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Reader:
    """What a reader must define; tests/slides/test_readers.py checks each.

    name: as reports call it.
    suffixes: with the dot, in small letters: in a folder, a file with one counts as a slide.
    opens: given how many bytes of decoded tiles may be kept; None leaves the file to the readers below. Raises
    NotASlideError and OSError.
    companions: files that are part of the slide but no slides; none for a path that isn't of this reader's format.
    The fingerprint and --stage cover them. Raises OSError. (The files of a DICOM series are slides: dicom_series.py.)
    """

    name: str
    suffixes: frozenset[str]
    opens: Callable[[Path, int], OpenedFile | None]
    companions: Callable[[Path], tuple[Path, ...]] = _alone


READERS = (
    Reader("tiff", tiff_reader.SUFFIXES, tiff_reader.open_tiff),
    Reader("openslide", openslide_files.SUFFIXES, openslide_reader.open_with_openslide, openslide_files.companions),
)
"""Asked in this order: the faster ones first, the last one says why it can't open a file."""
