"""The files of the slides that OpenSlide reads: their suffixes, and which of them belong together."""

from pathlib import Path

SUFFIXES = frozenset({".bif", ".dcm", ".mrxs", ".ndpi", ".scn", ".svslide", ".vms", ".vmu"})
"""But for those that TIFF files of several scanners have: see tiff_reader.py."""

MRXS_INDEX = "Slidedat.ini"
"""What the data folder of an .mrxs holds beside its data."""

_LONGEST_INDEX_BYTES = 1024 * 1024
"""The index files of .vms and .vmu slides are far shorter: what is longer isn't read for names of other files."""


def companions(path: Path) -> tuple[Path, ...]:
    """As Reader's: an .mrxs's data, a .vms's or .vmu's images. Raises OSError."""
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        data = path.with_suffix("")
        return tuple(sorted(file for file in data.iterdir() if file.is_file())) if data.is_dir() else ()
    if suffix in (".vms", ".vmu") and path.is_file() and path.stat().st_size < _LONGEST_INDEX_BYTES:
        values = (line.partition("=")[2].strip() for line in path.read_text("latin-1").splitlines())
        named = (path.parent / value for value in values if value and "/" not in value and "\0" not in value)
        return tuple(sorted({file for file in named if file.is_file() and file != path}))
    return ()
