"""The stages that stand in the folder of a run: which files are theirs, and how they are kept beside later ones."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from nodescan.domain.naming import few
from nodescan.errors import OutputError
from nodescan.kept_files import not_ours
from nodescan.patients.corrections import Applied
from nodescan.patients.submission import SUBMISSION_CSV
from nodescan.slides.slide_ids import safe_name
from nodescan.whole_files import output_errors, write_beside

PATIENTS_CSV, PATIENTS_JSON, PAGES = "patients.csv", "patients.json", "patients"
STAGES = (PATIENTS_CSV, PATIENTS_JSON, PAGES, SUBMISSION_CSV)
_TABLES = (PATIENTS_CSV, SUBMISSION_CSV, PATIENTS_JSON)
_ASIDE = "patients-before-"
_BRAND = b'<p class="brand">nodescan</p>'
"""Stands in every page, by sheet.html."""


def set_review_aside(folder: Path, given: Sequence[Applied] = ()) -> str:
    """Before stages replace reviewed ones, `set_aside`, in words, where a deposit that was corrected there is not in
    the corrections given now, or nobody can tell; "" where nothing was moved."""
    patients = _patients_in(folder)
    damaged = patients is None
    lost = _corrected(patients or ()) - {(one.slide_id, str(one.deposit_id)) for one in given}
    aside = set_aside(folder) if lost or damaged else None
    if aside is None:
        return ""
    if damaged:
        return f"earlier stages: moved to {aside.name}, since their {PATIENTS_JSON} can't be read: they may be reviewed"
    if not given:
        return f"the reviewed stages: moved to {aside.name}; for a review of these repeat nodescan stage --corrections"
    slides = few(sorted({slide_id for slide_id, _ in lost}), 5)
    return (
        f"the stages of an earlier review: moved to {aside.name}, since its corrections of {slides} are not among "
        "those given now and so have no effect; give all of them in one file"
    )


def set_aside(folder: Path) -> Path | None:
    """Move the stages of earlier reports to a folder of their own, and return it; None where there are none.

    Of the folder of the pages, the pages alone: a user's slides may lie there, too. Links of the pages lead one folder
    further up from there, to the same reports. Raises OutputError where the disk refuses.
    """
    if not (folder / PATIENTS_JSON).is_file():
        return None
    with output_errors(folder):
        number = next(n for n in count(1) if not (folder / f"{_ASIDE}{n}").exists())
        aside, pages = folder / f"{_ASIDE}{number}", folder / PAGES
        ours = _pages_there(folder)
        (aside / PAGES).mkdir(parents=True)
        for name in ours:
            (pages / name).rename(aside / PAGES / name)
        if pages.is_dir() and not pages.is_symlink() and not any(pages.iterdir()):
            pages.rmdir()
        for name in _TABLES:  # patients.json last: a run that is stopped before moves the rest the next time
            if (folder / name).exists():
                (folder / name).rename(aside / name)
        for page in (aside / PAGES).iterdir():
            write_beside(page, page.read_bytes().replace(b'href="../', b'href="../../'))
    return aside


def earlier_pages(folder: Path) -> set[str]:
    """Names of the pages that patients.json speaks of; none where there is no such file, or a damaged one."""
    keys = ("patient_id", "specimen_id", "laterality")
    found = [[patient.get(key) for key in keys] for patient in _patients_in(folder) or []]
    names = [tuple(name if isinstance(name, str) else "" for name in patient) for patient in found]
    return set(page_names(names))


def check_pages(folder: Path, names: Iterable[str]) -> None:
    """Raises OutputError where a page would be written over a file that nodescan didn't write, and OSError."""
    for name in sorted(set(names) - earlier_pages(folder)):
        path = folder / PAGES / name
        if path.exists() and not _is_page(path):
            raise OutputError(str(not_ours(path)))


def page_names(patients: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """A file name for the page of each patient, specimen and side.

    Readable, safe, and with 6 hex of the full name where two would agree.
    """
    full = ["_".join(filter(None, names)) for names in patients]
    plain = [safe_name(name) for name in full]
    counts = Counter(name.casefold() for name in plain)
    return tuple(
        f"{name}.html"
        if counts[name.casefold()] == 1
        else f"{name}-{hashlib.sha256(repr(names).encode()).hexdigest()[:6]}.html"
        for name, names in zip(plain, patients, strict=True)
    )


def _pages_there(folder: Path) -> list[str]:
    """Names of the pages that nodescan wrote: by patients.json, or, where that is damaged, by what stands in them.

    None where their folder is a link: nothing is written through it.
    """
    pages = folder / PAGES
    if pages.is_symlink() or not pages.is_dir():
        return []
    if _patients_in(folder) is not None:
        return sorted(name for name in earlier_pages(folder) if (pages / name).is_file())
    return sorted(page.name for page in pages.glob("*.html") if page.is_file() and _is_page(page))


def _is_page(path: Path) -> bool:
    return _BRAND in path.read_bytes()


def _corrected(patients: Iterable[dict[str, Any]]) -> set[tuple[str, str]]:
    """Slide and number of each deposit that a reader corrected."""
    reviews = [patient.get("corrections") for patient in patients]
    rows = [row for review in reviews if isinstance(review, list) for row in review if isinstance(row, dict)]
    return {(str(row.get("slide_id")), str(row.get("deposit_id"))) for row in rows}


def _patients_in(folder: Path) -> list[dict[str, Any]] | None:
    """The patients of a folder's patients.json; none without such a file; None of a damaged one."""
    try:
        patients = json.loads((folder / PATIENTS_JSON).read_bytes())["patients"]
        return [patient for patient in patients if isinstance(patient, dict)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
