"""The challenge's detection files: one CSV a slide, rows confidence,x,y in level-0 pixels."""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.annotations import FARTHEST_PX
from nodescan.domain.units import plain_number
from nodescan.errors import UsageError
from nodescan.reports.csv_report import DETECTIONS_COLUMNS, DETECTIONS_CSV
from nodescan.slides.slide_ids import slide_key
from nodescan.whole_files import output_errors, write_beside


@dataclass(frozen=True, slots=True)
class DetectionList:
    """source: the file, for errors. confidence : float64 (n,) in [0, 1]; x_px, y_px : float64 (n,), level-0 pixels."""

    source: str
    confidence: NDArray[np.float64]
    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]

    @property
    def highest(self) -> float:
        """The slide's score where no other is stated: its highest confidence, 0 without a detection."""
        return float(self.confidence.max(initial=0.0))


def read_folder(folder: Path) -> Mapping[str, DetectionList]:
    """slide_id -> detections, of every CSV in the folder. Raises UsageError without any, or where two fit one slide."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; name one with a CSV for each slide")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.name[0] != ".")
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


def read_of_report(folder: Path) -> DetectionList | None:
    """The detections of one slide of a run; None where none were written, which isn't the same as none found."""
    path = folder / DETECTIONS_CSV
    return read_detections(path, name=f"{folder.name}/{path.name}") if path.is_file() else None


def read_detections(path: Path, *, name: str | None = None) -> DetectionList:
    """One file; a header line is allowed, and an empty file is a slide without detections. Raises UsageError, which
    names the line. name: of the file, in errors; its own if not given."""
    name = name or path.name
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{name}: can't be read ({error.strerror or error}); check the disk") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: is not UTF-8 text; save it as CSV in UTF-8") from error
    rows: list[tuple[float, float, float]] = []
    try:
        for number, cells in enumerate(csv.reader(io.StringIO(text)), start=1):
            stripped = [cell.strip() for cell in cells]
            if not any(stripped) or (not rows and tuple(cell.casefold() for cell in stripped) == DETECTIONS_COLUMNS):
                continue
            rows.append(_row(name, number, stripped))
    except csv.Error as error:
        raise UsageError(f"{name}: is no CSV file ({error}); check its quotation marks") from error
    values = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return DetectionList(name, values[:, 0], values[:, 1], values[:, 2])


def write_challenge_files(detections: Iterable[tuple[str, DetectionList]], folder: Path) -> tuple[Path, ...]:
    """One <slide>.csv each, without header and with whole pixels, as the challenge's script reads them.

    Raises UsageError, with nothing written, where a file of such a name is there and holds something else: it may be
    the user's, or another run's.
    """
    files = {folder / f"{slide_id}.csv": _challenge_text(found).encode() for slide_id, found in detections}
    for path, content in files.items():
        with output_errors(path), suppress(FileNotFoundError):
            if path.read_bytes() != content:
                raise UsageError(f"{path}: exists and holds something else; move it away, or name another folder")
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        write_beside(path, content)
    return tuple(files)


def _challenge_text(found: DetectionList) -> str:
    rows = zip(found.confidence, found.x_px, found.y_px, strict=True)
    return "".join(f"{float(confidence)!r},{math.floor(x)},{math.floor(y)}\n" for confidence, x, y in rows)


def _row(name: str, number: int, cells: list[str]) -> tuple[float, float, float]:
    try:
        confidence, x, y = map(plain_number, cells)
    except ValueError:
        raise UsageError(
            f"{name}, line {number}: {','.join(cells)!r} is not confidence,x,y; write three numbers"
        ) from None
    if not 0 <= confidence <= 1:
        raise UsageError(
            f"{name}, line {number}: confidence {confidence:g} is not between 0 and 1; write a probability"
        )
    if not (abs(x) <= FARTHEST_PX and abs(y) <= FARTHEST_PX):
        raise UsageError(f"{name}, line {number}: x and y must be level-0 pixels, not {cells[1]}, {cells[2]}")
    return confidence, x, y
