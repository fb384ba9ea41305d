"""Names for slides that are unique in a batch, safe as folder names, and the same whatever the order."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

LONGEST = 100

RESERVED = frozenset(
    {
        "camelyon17_submission.csv",
        "earlier-reports",
        "evaluation",
        "patients",
        "patients.csv",
        "patients.json",
        "run.json",
        "run.log",
        "settings",
        "summary.csv",
        "summary.html",
    }
)
"""What a run, staging and evaluation write into a run's folder: no slide's folder may have such a name, whatever its
case. Hidden files need no mention: safe_name() takes a leading dot away."""

_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[1-9])(?=\.|$)", re.IGNORECASE)

_HASH_CHARACTERS = 6
_LONG_HASH_CHARACTERS = 24
_PLACE_CHARACTERS = 8


def slide_ids(paths: Sequence[Path]) -> tuple[str, ...]:
    """One id for each path: its stem, made safe; where two agree, whatever the case, 6 hex of the folder's sha256.

    A stem that is the name of one of the run's own files, or of a device of Windows, gets them too. Slides of one stem
    in one folder (a.svs, a.tif) get 6 hex of the whole path instead. Paths must differ once resolved.
    """
    forms = [_forms(path) for path in paths]
    level = [0] * len(paths)
    while True:
        ids = [form[step] for form, step in zip(forms, level, strict=True)]
        counts = Counter(name.casefold() for name in ids)
        clashing = [
            index
            for index, name in enumerate(ids)
            if counts[name.casefold()] > 1 or name.casefold() in RESERVED or is_device(name)
        ]
        movable = [index for index in clashing if level[index] + 1 < len(forms[index])]
        if not movable:
            return tuple(ids)
        for index in movable:
            level[index] += 1


def without_suffix(path: Path) -> str:
    """The file's name without its suffix. What is all digits is none: DICOM files are named by UIDs, 1.2.840.7."""
    return path.name if path.suffix[1:].isdigit() else path.stem


def safe_name(stem: str) -> str:
    """The stem with letters, digits, . _ and - only, at most 100; accents are dropped, the rest becomes _."""
    letters = unicodedata.normalize("NFKD", _raw(stem).decode("utf-8", "replace"))
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).lstrip(".-")[:LONGEST].rstrip(".")
    return name or "slide"


def is_device(name: str) -> bool:
    """Whether no file or folder can have the name on Windows; nor has one on other systems, for results are moved."""
    return _DEVICE.match(name) is not None


def with_hash(name: str, digits: str) -> str:
    """The name, safe already, with `digits` behind it: at most 100 characters, and no device's."""
    name = name.replace(".", "_", 1) if is_device(name) else name  # the first dot would leave it a device's
    return f"{name[: LONGEST - 1 - len(digits)]}-{digits}"


def slide_key(name: str) -> str:
    """The form in which slide names are compared, from any table or program: made safe, in small letters.

    The file S 1.tif is S_1 in reports; files of one name, whose reports carry a hash, match no plain name.
    """
    return safe_name(name).casefold()


def holds_name(slide_id: str, path: Path) -> bool:
    """Whether the slide_id begins with the file's name, as those do that slide_ids() makes of it."""
    stem = safe_name(without_suffix(path))[: LONGEST - 1 - _LONG_HASH_CHARACTERS]
    return slide_id.casefold().startswith(stem.casefold())


def real_path(path: Path) -> Path:
    """The path without links; a link that leads back to itself stays as it is, and fails in its own row."""
    return Path(os.path.realpath(path))  # Path.resolve() raises RuntimeError on such a link, before Python 3.13


def place_of(path: Path) -> str:
    """8 hex of the sha256 of the absolute path; the disk, which may hang, isn't looked at.

    It hides no name: whoever has a list of paths finds the one that fits in seconds, as with the hash in a slide's id.
    """
    return _sha256(Path(os.path.abspath(path)))[:_PLACE_CHARACTERS]


def _forms(path: Path) -> tuple[str, str, str, str]:
    """Possible ids, each more detailed. The next is used if slides share the one before."""
    name, whole = safe_name(without_suffix(path)), real_path(path)
    folder, file = _sha256(whole.parent), _sha256(whole)
    return (
        name,
        with_hash(name, folder[:_HASH_CHARACTERS]),
        with_hash(name, file[:_HASH_CHARACTERS]),
        with_hash(name, file[:_LONG_HASH_CHARACTERS]),
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(_raw(str(path))).hexdigest()


def _raw(name: str) -> bytes:
    """The name as it stands on the disk, so that a slide's id is the same whatever the locale takes the bytes for."""
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:  # no file has such a name
        return name.encode("utf-8", "surrogatepass")
