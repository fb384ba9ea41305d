"""The stages that stand in the folder of a run: which files are theirs, and how they are kept beside later ones."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from nodescan.domain.naming import few
from nodescan.domain.staging import CAMELYON17
from nodescan.errors import OutputError
from nodescan.given_files import found_bytes
from nodescan.overwrite_checks import is_branded, not_ours
from nodescan.patients.applied import Applied, applied_in, lacking
from nodescan.patients.staging import Staging
from nodescan.slides.slide_ids import is_device, safe_name, with_hash
from nodescan.whole_files import once_closed, output_errors, refuse_link, remove_once_closed, write_beside

PATIENTS_CSV, PATIENTS_JSON, PAGES = "patients.csv", "patients.json", "patients"

SUBMISSION_CSV = "camelyon17_submission.csv"
"""CAMELYON17's own file of stages."""

STAGES = (PATIENTS_CSV, PATIENTS_JSON, PAGES, SUBMISSION_CSV)
_TABLES = (PATIENTS_CSV, SUBMISSION_CSV, PATIENTS_JSON)
_ASIDE = "patients-before-"
_ASIDE_WORDS = (
    '<!--aside--><p role="note"><strong>Moved aside on {day}: later stages take the place of this one. The pages of '
    "slides that it links to may show a later scan. Compare when they were scanned, and of which file.</strong></p>"
    "<!--/aside-->"
)
_SAID_ASIDE = re.compile(rb"<!--aside-->.*?<!--/aside-->")
"""All that a page says of others is escaped, so that nothing else there looks like it."""

_OF_MACOS = ".DS_Store"
"""Put into every folder that is looked at there."""


def set_aside_before(staging: Staging, folder: Path) -> str:
    """Before `staging` is written, `set_aside`, in words, where it would take away what stands there: a correction
    that it lacks or gives to another patient, stages by another table, or what nobody can read; "" where nothing was
    moved."""
    earlier, mode = stages_in(folder), staging.table.name
    lost = _lost(earlier or {}, staging)
    before = mode if earlier is None else earlier.get("mode", mode)
    aside = set_aside(folder) if lost or earlier is None or before != mode else None
    if aside is None:
        return ""
    if earlier is None:
        return unreadable_words(aside)
    slides = few(sorted({one.slide_id for one in lost}), 5)
    if lacking(lost, [one for result in staging.patients for one in result.corrections]):
        if not staging.corrections:
            again = "repeat nodescan stage --corrections to review these"
            return f"the reviewed stages were moved to {aside.name}; {again}"
        return (
            f"the stages of an earlier review were moved to {aside.name}, because some of its corrections of {slides} "
            "were not given unchanged, or have no effect now; to make those stages again, put all corrections into one "
            "file and all slides of the review into the manifest"
        )
    if before != mode:
        return (
            f"the stages by the table {before} were moved to {aside.name}, because this command stages by {mode}; "
            f"nodescan stage --mode {before} makes them again"
        )
    return (
        f"the reviewed stages were moved to {aside.name}, because corrections of {slides} count for another "
        "patient, specimen or side now; to make those stages again, use the manifest by which they were made"
    )


def unreadable_words(aside: Path) -> str:
    """Why stages of which nobody can tell what they rest on were moved."""
    why = f"their {PATIENTS_JSON} can't be read, and they may be reviewed"
    return f"earlier stages were moved to {aside.name}, because {why}"


def lost_patients(staging: Staging, folder: Path) -> str:
    """In words, whose unreviewed stages there are none in `staging`, so that writing it removes them; "" for nobody's.

    Asked once what is to be kept was moved, see `set_aside_before`. A patient is there whose specimens and sides are
    told apart only now, or no more.
    """
    now = [result.staged.specimen for result in staging.patients]
    there = {one.names for one in now} | {(one.patient_id, "", "") for one in now}
    whole = {one.patient_id for one in now if one.names == (one.patient_id, "", "")}
    earlier = patients_of(stages_in(folder) or {})
    lost = [names for names in earlier if names not in there and names[0] not in whole]
    if not lost:
        return ""
    who = few([" ".join(filter(None, names)) for names in lost], 5)
    return (
        f"the earlier stages of {who}: removed, for the manifest doesn't list them; give one manifest of all patients"
    )


def set_aside(folder: Path) -> Path | None:
    """Move the stages of earlier reports to a folder of their own, and return it; None where there are none.

    Of the folder of the pages, the pages alone: a user's slides may lie there, too. Links of the pages lead one folder
    further up from there, to the same reports, and the pages say since when they are there. Raises OutputError where
    the disk refuses.
    """
    if not (folder / PATIENTS_JSON).is_file():
        return None
    with output_errors(folder):
        aside, pages = next_aside(folder), folder / PAGES
        ours = _pages_there(folder)
        (aside / PAGES).mkdir(parents=True)
        # Tables first, which a spreadsheet may hold; patients.json last: a run that is stopped before moves the rest
        # the next time.
        for name in (*_TABLES[:-1], *(f"{PAGES}/{page}" for page in ours), PATIENTS_JSON):
            if (folder / name).exists():
                once_closed(partial((folder / name).rename, aside / name), folder / name)
        if pages.is_dir() and not pages.is_symlink() and not any(pages.iterdir()):
            pages.rmdir()
        said = _ASIDE_WORDS.format(day=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC").encode()
        for page in (aside / PAGES).iterdir():
            page_aside = found_bytes(page).replace(b'href="../', b'href="../../')
            write_beside(page, page_aside.replace(b"<main>", said + b"<main>", 1))
    return aside


def next_aside(folder: Path) -> Path:
    """Where `set_aside` would move the stages that stand there."""
    return next(place for n in count(1) if not (place := folder / f"{_ASIDE}{n}").exists())


def missing_aside(aside: Path) -> list[str]:
    """Names of the files that belong to the stages in `aside` and aren't there.

    A run that was stopped while it moved stages leaves some of them elsewhere.
    """
    stages = stages_in(aside) or {}
    tables = [name for name in _TABLES if name != SUBMISSION_CSV or stages.get("mode") == CAMELYON17.name]
    names = [*tables, *(f"{PAGES}/{page}" for page in page_names(patients_of(stages)))]
    return [name for name in names if not (aside / name).is_file()]


def put_back(folder: Path, aside: Path) -> None:
    """Undo `set_aside`, which returned `aside`. Raises OutputError where the disk refuses, or a user's file is there.

    All is copied before any of it is removed, patients.json first: where it is stopped, no page stands without that
    file, by which the next run finds what to move.
    """
    pages = folder / PAGES
    with output_errors(folder):
        ours = [page.name for page in (aside / PAGES).iterdir() if page.name != _OF_MACOS]
        check_pages(folder, ours)
        if ours:
            refuse_link(pages)
            pages.mkdir(exist_ok=True)
        tables = [name for name in reversed(_TABLES) if (aside / name).is_file()]
        for name in tables:
            write_beside(folder / name, found_bytes(aside / name))
        for name in ours:
            page = _SAID_ASIDE.sub(b"", found_bytes(aside / PAGES / name), count=1)
            write_beside(pages / name, page.replace(b'href="../../', b'href="../'))
        for name in (*tables, *(f"{PAGES}/{page}" for page in ours)):
            remove_once_closed(aside / name)
        for place in (aside / PAGES, aside):
            (place / _OF_MACOS).unlink(missing_ok=True)
            place.rmdir()


def remove_unreviewed(folder: Path) -> None:
    """Remove earlier stages where no reader corrected anything: `nodescan stage` makes them anew from the reports.

    It needs no room, unlike moving them, on a disk that is full. Raises OutputError where the disk refuses.
    """
    earlier = stages_in(folder)
    if not earlier or all_corrections_in(earlier):
        return
    with output_errors(folder):
        for name in _pages_there(folder):
            remove_once_closed(folder / PAGES / name)
        for name in _TABLES:
            remove_once_closed(folder / name)


def earlier_corrections(folder: Path) -> tuple[Applied, ...]:
    """What readers corrected in the stages that stand in a run's folder, and in those that were set aside there.

    Of stages that can't be read none.
    """
    places = (folder, *places_aside(folder))
    return tuple(one for place in places for one in stored_corrections(place))


def stored_corrections(place: Path) -> tuple[Applied, ...]:
    """What readers corrected in the stages of one folder, whether it had an effect or not."""
    return tuple(map(applied_in, all_corrections_in(stages_in(place) or {})))


def places_aside(folder: Path) -> list[Path]:
    """The folders that `set_aside` made, the oldest first."""
    return sorted(folder.glob(f"{_ASIDE}*"), key=lambda place: (len(place.name), place.name))


def earlier_pages(folder: Path) -> set[str]:
    """Names of the pages that patients.json speaks of; none where there is no such file, or a damaged one."""
    return set(page_names(patients_of(stages_in(folder) or {})))


def check_pages(folder: Path, new: Iterable[str]) -> None:
    """Raises OutputError where a page would be written over a file that nodescan didn't write, and OSError.

    new: names of pages that aren't earlier_pages.
    """
    for name in sorted(new):
        path = folder / PAGES / name
        if path.exists() and not is_branded(path):
            raise OutputError(str(not_ours(path)))


def page_names(patients: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """A file name for the page of each patient, specimen and side.

    Readable, safe, and with 6 hex of the full name where two would agree, or where it is a device's of Windows.
    """
    full = ["_".join(filter(None, names)) for names in patients]
    plain = [safe_name(name) for name in full]
    counts = Counter(name.casefold() for name in plain)
    return tuple(
        f"{with_hash(name, hashlib.sha256(repr(names).encode()).hexdigest()[:6])}.html"
        if counts[name.casefold()] > 1 or is_device(name)
        else f"{name}.html"
        for name, names in zip(plain, patients, strict=True)
    )


def patients_of(stages: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Patient, specimen and side of each in the content of a patients.json; "" for what is no name there."""
    keys = ("patient_id", "specimen_id", "laterality")
    found = [[patient.get(key) for key in keys] for patient in dicts(stages.get("patients"))]
    return [tuple(name if isinstance(name, str) else "" for name in patient) for patient in found]


def stages_in(folder: Path) -> dict[str, Any] | None:
    """The content of a folder's patients.json; empty without such a file; None of a damaged one."""
    try:
        content = json.loads(found_bytes(folder / PATIENTS_JSON))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("patients"), list) else None


def corrections_in(stages: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The corrections of patients' slides in the content of a patients.json, which all had an effect."""
    return [row for patient in dicts(stages.get("patients")) for row in dicts(patient.get("corrections"))]


def all_corrections_in(stages: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The corrections in the content of a patients.json, whether they had an effect or not."""
    return [*corrections_in(stages), *_of_no_patient(stages)]


def dicts(rows: object) -> list[dict[str, Any]]:
    """Those of a list of a JSON file that are what nodescan writes there."""
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def words(value: object) -> list[str]:
    """Those of a list of a JSON file, as text."""
    return [str(word) for word in value] if isinstance(value, list) else []


def _pages_there(folder: Path) -> list[str]:
    """Names of the pages that nodescan wrote: by patients.json, or, where that is damaged, by what stands in them.

    None where their folder is a link: nothing is written through it.
    """
    pages = folder / PAGES
    if pages.is_symlink() or not pages.is_dir():
        return []
    stages = stages_in(folder)
    if stages is None:
        return sorted(page.name for page in pages.glob("*.html") if page.is_file() and is_branded(page))
    return sorted(name for name in page_names(patients_of(stages)) if (pages / name).is_file())


def _lost(earlier: dict[str, Any], staging: Staging) -> list[Applied]:
    """The corrections of earlier stages that `staging` lacks. What made a patient's stage must do so again, and of that
    patient: of a slide that is in no patient any more, or in another, it is given in vain, and the stage would be
    overwritten by one without it, or removed."""
    now: dict[tuple[str, ...], tuple[Applied, ...]] = {
        result.staged.specimen.names: result.corrections for result in staging.patients
    }
    patients = zip(patients_of(earlier), dicts(earlier.get("patients")), strict=True)
    stored = [(now.get(names, ()), dicts(patient.get("corrections"))) for names, patient in patients]
    stored.append((staging.corrections, _of_no_patient(earlier)))
    return [one for given, rows in stored for one in lacking(map(applied_in, rows), given)]


def _of_no_patient(stages: Mapping[str, Any]) -> list[dict[str, Any]]:
    return dicts(stages.get("corrections_of_no_patient"))
