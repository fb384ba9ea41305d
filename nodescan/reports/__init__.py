"""What leaves the building: one writer a file, and the rule that a slide's folder is whole or unmarked."""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nodescan.domain.report import SlideResult
from nodescan.errors import OutputError, UsageError
from nodescan.interfaces import ReportWriter
from nodescan.reports.detections import DETECTIONS_CSV, write_detections
from nodescan.reports.geojson_report import DEPOSITS_GEOJSON, write_geojson
from nodescan.reports.html_report import REPORT_HTML, write_html
from nodescan.reports.json_report import REPORT_JSON, write_json
from nodescan.reports.map_report import PROBABILITY_OME, write_map
from nodescan.reports.pictures import HEATMAP_PNG, OVERVIEW_JPG, SlidePictures, write_pictures
from nodescan.threads import thread_errors
from nodescan.whole_files import PART_SUFFIX, once_closed, output_errors, part_path, refuse_link


@dataclass(frozen=True, slots=True)
class Report:
    """write: into a folder. files: what it may write; one that an earlier run left and this one doesn't write is
    removed. always: written whatever is asked for."""

    write: Callable[..., None]
    files: tuple[str, ...]
    always: bool = False


REPORTS: Mapping[str, Report] = {
    "pictures": Report(write_pictures, (OVERVIEW_JPG, HEATMAP_PNG), always=True),
    "html": Report(write_html, (REPORT_HTML,)),
    "map": Report(write_map, (PROBABILITY_OME,), always=True),
    "geojson": Report(write_geojson, (DEPOSITS_GEOJSON,)),
    "csv": Report(write_detections, (DETECTIONS_CSV,)),
    "json": Report(write_json, (REPORT_JSON,), always=True),
}
"""Those that take longest first: they are begun in this order. report.json comes last: it names the others, and marks a
whole report. With pictures and map, which a finding is checked against, it is always written."""

FILES = frozenset(name for report in REPORTS.values() for name in report.files)
"""Every file that a slide's folder may hold."""

OLDER_JSON = f".older-{REPORT_JSON}"
"""report.json of a slide that is to be scanned again, put aside: by this name no command takes it for a result."""

REPLACED_JSON = f".replaced-{REPORT_JSON}"
"""The same, where no run takes it back either: it lies there until a new report replaces it."""

ALWAYS = tuple(name for name, report in REPORTS.items() if report.always)

_AT_A_TIME = 2
"""Writers at work: pictures take longest, and encoding one leaves the interpreter free for another."""

CHOICES = ("json", "csv", "html", "geojson")
"""What a user may name."""


def report_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names, once each. Raises UsageError on one that isn't offered, and where there are none."""
    unknown = [name for name in names if name not in CHOICES]
    if unknown or not names:
        wrong = f"no report is called {', '.join(map(repr, unknown))}" if unknown else "no report is named"
        raise UsageError(f"--reports: {wrong}; choose from {','.join(CHOICES)}")
    return tuple(dict.fromkeys(names))


def check_lengths(folder: Path, slide_ids: Sequence[str]) -> None:
    """Make the longest path of the slides' files in the run's `folder`, and remove it. Raises OutputError.

    Windows takes 260 characters, or more if it is set so; of a longer path it says that there is no such place.
    """
    longest = folder / max(slide_ids, key=len)
    part = part_path(longest)
    with output_errors(longest):
        try:
            part.mkdir()
            part_path(part / max(FILES, key=len)).touch()
        except FileNotFoundError:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)) from None
        finally:
            shutil.rmtree(part, ignore_errors=True)


def write_reports(
    result: SlideResult, folder: Path, names: Iterable[str] = CHOICES, *, may_move: Callable[[], None]
) -> None:
    """Write the slide's folder: what `names` asks for and what is always written.

    All files are made in a folder beside it and then moved in, report.json last: where it stands, everything
    else belongs to it. Where a file can't be made or moved, what was there stays, or is put back. may_move: asked just
    before the move, and raises where it must not happen. Raises OutputError where the disk refuses, or the folder is a
    link.
    """
    refuse_link(folder)
    chosen = sorted({*names, *ALWAYS}, key=list(REPORTS).index)
    _remove_leftovers(folder)
    part = part_path(folder)
    try:
        with output_errors(folder):
            part.mkdir(parents=True)
        writers = _writers_of(result)
        with thread_errors(), ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="report") as pool:
            for made in [pool.submit(_write, writers[name], result, part, folder) for name in chosen[:-1]]:
                made.result()
        _write(writers[chosen[-1]], result, part, folder)
        may_move()
        with output_errors(folder):
            _move_in(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _writers_of(result: SlideResult) -> Mapping[str, ReportWriter]:
    """By name; those that show the same pictures have one set of them."""
    writers, pictures = {name: report.write for name, report in REPORTS.items()}, SlidePictures(result)
    return writers | {name: partial(writers[name], pictures=pictures) for name in ("html", "pictures")}


def _write(write: ReportWriter, result: SlideResult, part: Path, folder: Path) -> None:
    """One writer; its error names the file the user knows, not the part."""
    try:
        write(result, part)
    except OutputError as error:
        raise OutputError(str(error).replace(str(part), str(folder))) from error


def _move_in(part: Path, folder: Path) -> None:
    """Take the mark away first and put the new one last: whoever is stopped between leaves an unmarked folder.

    Where one of the files can't be moved, as Windows refuses while a viewer has it open, all go back to their places.
    """
    folder.mkdir(exist_ok=True)
    made = sorted(path.name for path in part.iterdir() if path.name != REPORT_JSON)
    old = part / f".old{PART_SUFFIX}"
    old.mkdir()
    moves: list[tuple[Path, Path]] = []  # each from before it is made, for a signal may come just after
    try:
        for name in (REPORT_JSON, OLDER_JSON, REPLACED_JSON, *(FILES - {REPORT_JSON})):
            place = folder / name
            if place.is_dir() and not place.is_symlink():  # a user's, which must not go with the old files
                with output_errors(place):  # the line names it, not the slide's folder
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if os.path.lexists(place):
                aside = old / f".{name}{PART_SUFFIX}"  # a killed run must not leave what could be taken for a result
                moves.append((place, aside))
                once_closed(partial(os.replace, place, aside), place)
        for name in (*made, REPORT_JSON):
            moves.append((part / name, folder / name))
            once_closed(partial(os.replace, part / name, folder / name), folder / name)
    except BaseException:
        for origin, there in reversed(moves):  # the old mark last: where one file can't go back, there is none
            if os.path.lexists(there):
                once_closed(partial(os.replace, there, origin), origin)
        raise


def _remove_leftovers(folder: Path) -> None:
    """Parts of this slide that a stopped run left behind."""
    if not folder.parent.is_dir():
        return
    left = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{12}}{re.escape(PART_SUFFIX)}")
    with output_errors(folder.parent):
        for name in os.listdir(folder.parent):  # names alone: a run of thousands has as many folders there
            if name.startswith(".") and left.fullmatch(name) and (folder.parent / name).is_dir():
                shutil.rmtree(folder.parent / name, ignore_errors=True)
