"""Lists of detections: detections.csv of one slide, and other systems' files of the same columns."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.annotations import FARTHEST_PX
from nodescan.csv_rows import csv_text
from nodescan.domain.report import SlideResult
from nodescan.domain.units import plain_number
from nodescan.errors import UsageError
from nodescan.given_files import found_bytes
from nodescan.reports.report_reader import StoredReport
from nodescan.whole_files import text_bytes, write_beside

DETECTIONS_CSV = "detections.csv"
DETECTIONS_COLUMNS = ("confidence", "x", "y")


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


def write_detections(result: SlideResult, folder: Path) -> None:
    """Write detections.csv: confidence and place in level-0 pixels of the full canvas, the likeliest first.

    A slide that was never looked at gets none: an empty list would read as "nothing there".
    """
    info = result.report.info
    if info is None or not result.report.looked_at:
        return
    found = sorted(result.report.detections, key=lambda detection: -detection.confidence)
    rows = (
        (
            f"{detection.confidence:.6g}",
            f"{detection.x_um / info.spacing.x:.2f}",
            f"{detection.y_um / info.spacing.y:.2f}",
        )
        for detection in found
    )
    write_beside(folder / DETECTIONS_CSV, text_bytes(csv_text(DETECTIONS_COLUMNS, rows)))


def read_of_report(folder: Path) -> DetectionList | None:
    """The detections of one slide of a run; None where none were written, which isn't the same as none found.

    Raises UsageError where the file is damaged.
    """
    path = folder / DETECTIONS_CSV
    return _read(path, _Source(f"{folder.name}/{path.name}", own=True)) if path.is_file() else None


def read_detection_places(report: StoredReport) -> tuple[tuple[float, float], ...]:
    """x and y of each detection in um from the canvas' top left; none where detections.csv was not written.

    Raises UsageError where the file is damaged.
    """
    info = report.info
    found = None if info is None else read_of_report(report.folder)
    if info is None or found is None:
        return ()
    return tuple(zip((found.x_px * info.spacing.x).tolist(), (found.y_px * info.spacing.y).tolist(), strict=True))


def read_detections(path: Path) -> DetectionList:
    """A file that a user names; a header line is allowed, and an empty file is a slide without detections.

    Raises UsageError, which names the line.
    """
    return _read(path, _Source(path.name, own=False))


@dataclass(frozen=True, slots=True)
class _Source:
    """A file, as errors call it. own: a run wrote it, with a header; it is made anew, not mended."""

    name: str
    own: bool

    def error(self, reason: str, remedy: str = "", *, line: int | None = None) -> UsageError:
        if self.own:
            at = "" if line is None else f"line {line}: "
            return UsageError(f"{self.name}: is damaged ({at}{reason}); run the slide again with --force")
        at = "" if line is None else f", line {line}"
        return UsageError(f"{self.name}{at}: {reason}{remedy and f'; {remedy}'}")


def _read(path: Path, source: _Source) -> DetectionList:
    try:
        text = found_bytes(path).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{source.name}: can't be read ({error.strerror or error}); check the disk") from error
    except UnicodeDecodeError as error:
        raise source.error("is not UTF-8 text", "save it as CSV in UTF-8") from error
    rows: list[tuple[float, float, float]] = []
    has_header = False
    try:
        for number, cells in enumerate(csv.reader(io.StringIO(text)), start=1):
            stripped = [cell.strip() for cell in cells]
            if not rows and tuple(cell.casefold() for cell in stripped) == DETECTIONS_COLUMNS:
                has_header = True
            elif any(stripped):
                rows.append(_row(source, number, stripped))
    except csv.Error as error:
        raise source.error(f"is no CSV file ({error})", "check its quotation marks") from error
    if source.own and not has_header:
        raise source.error("it lacks its header")
    values = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return DetectionList(source.name, values[:, 0], values[:, 1], values[:, 2])


def _row(source: _Source, number: int, cells: list[str]) -> tuple[float, float, float]:
    try:
        confidence, x, y = map(plain_number, cells)
    except ValueError:
        raise source.error(f"{','.join(cells)!r} is not confidence,x,y", "write three numbers", line=number) from None
    if not 0 <= confidence <= 1:
        raise source.error(f"confidence {confidence:g} is not between 0 and 1", "write a probability", line=number)
    if not (abs(x) <= FARTHEST_PX and abs(y) <= FARTHEST_PX):
        raise source.error(f"x and y must be level-0 pixels, not {cells[1]}, {cells[2]}", line=number)
    return confidence, x, y
