"""The challenge's detection files: one CSV a slide, rows confidence,x,y in level-0 pixels."""

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from nodescan.csv_rows import tables_in
from nodescan.errors import UsageError
from nodescan.given_files import found_bytes
from nodescan.reports.detections import DetectionList, read_detections
from nodescan.slides.slide_ids import slide_key
from nodescan.whole_files import output_errors, write_beside


def read_folder(folder: Path) -> Mapping[str, DetectionList]:
    """slide_id -> detections, of every CSV in the folder. Raises UsageError without any, or where two fit one slide."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; name one with a CSV for each slide")
    paths = tables_in(folder)
    if not paths:
        raise UsageError(f"{folder}: holds no CSV files; detections are read from <slide>.csv (confidence,x,y)")
    found: dict[str, DetectionList] = {}
    names: dict[str, Path] = {}
    for path in paths:
        other = names.setdefault(slide_key(path.stem), path)
        if other is not path:
            raise UsageError(f"{path.name} and {other.name}: both are of one slide; leave one of them out")
        found[path.stem] = read_detections(path)
    return found


def write_challenge_files(detections: Iterable[tuple[str, DetectionList]], folder: Path) -> tuple[Path, ...]:
    """One <slide>.csv each, without header and with whole pixels, as the challenge's script reads them.

    Raises UsageError, with nothing written, where a file of such a name is there and holds something else: it may be
    the user's, or another run's.
    """
    files = {folder / f"{slide_id}.csv": _challenge_text(found).encode() for slide_id, found in detections}
    for path, content in files.items():
        with output_errors(path), suppress(FileNotFoundError):
            if found_bytes(path) != content:
                raise UsageError(f"{path}: exists and holds something else; move it away, or name another folder")
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        write_beside(path, content)
    return tuple(files)


def _challenge_text(found: DetectionList) -> str:
    rows = zip(found.confidence, found.x_px, found.y_px, strict=True)
    return "".join(f"{float(confidence)!r},{math.floor(x)},{math.floor(y)}\n" for confidence, x, y in rows)
