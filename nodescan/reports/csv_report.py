"""summary.csv of a run."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from nodescan.csv_rows import csv_line, plain_cell
from nodescan.domain.flags import each_code, reasons
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.slide import SlideRef
from nodescan.reports.wording import without_paths
from nodescan.whole_files import text_bytes, write_beside, write_current

SUMMARY_CSV = "summary.csv"


class SummaryTable:
    """summary.csv: one row for every slide asked for, failed ones too.

    It is written anew after each slide of a run, so each report is put into words once.
    """

    def __init__(self, path: Path, slides: Iterable[SlideRef]) -> None:
        """slides: those asked for. Files are named from the deepest folder that holds them all, where names alone don't
        tell them apart; not those that a manifest renamed, whose slide_id does."""
        asked = list(slides)
        places = {slide.slide_id: slide.path.absolute() for slide in asked if not slide.renamed}
        alike = len({place.name for place in places.values()}) < len(set(places.values()))
        base = _common_folder(places.values()) if alike else None
        self._path = path
        self._files = {slide.slide_id: slide.path.name for slide in asked}
        if base is not None:
            self._files |= {slide_id: place.relative_to(base).as_posix() for slide_id, place in places.items()}
        self._told: dict[str, tuple[SlideReport, str]] = {}
        self._write = write_current  # at first the rows of an earlier run may stand there

    def write(self, reports: Iterable[SlideReport]) -> None:
        """Write the rows of those that are done, in the order given. Raises OutputError."""
        lines = "".join(map(self._line, reports))
        self._write(self._path, text_bytes(csv_line(SUMMARY_COLUMNS) + lines))
        self._write = write_beside

    def _line(self, report: SlideReport) -> str:
        slide_id = report.slide.slide_id
        told = self._told.get(slide_id)
        if told is None or told[0] is not report:
            told = self._told[slide_id] = report, csv_line(summary_row(report, file=self._files[slide_id]))
        return told[1]


def _common_folder(places: Iterable[Path]) -> Path | None:
    """The deepest folder that holds them all; None where they lie on several drives."""
    try:
        return Path(os.path.commonpath([place.parent for place in places]))
    except ValueError:
        return None


def _reason(report: SlideReport) -> str:
    """Why the slide is not complete, in the words of its flags that are a reason for that."""
    if report.status is Status.COMPLETE:
        return ""
    return " ".join(without_paths(" ".join(message.split()), report) for message in reasons(report.flags))


def _number(value: float | None) -> str:
    return "" if value is None else repr(float(value))


_CELLS: Mapping[str, Callable[[SlideReport, str], str]] = {
    "slide_id": lambda report, _: plain_cell(report.slide.slide_id),
    "status": lambda report, _: report.status.value,
    "metastasis": lambda report, _: "" if report.metastasis is None else report.metastasis.word,
    "at_least": lambda report, _: "true" if report.at_least else "false",
    "largest_deposit_um": lambda report, _: _number(report.largest_deposit_um),
    "n_foci": lambda report, _: "" if report.known_foci is None else str(report.known_foci),
    "tumour_probability": lambda report, _: _number(report.tumour_probability),
    "tissue_area_mm2": lambda report, _: _number(report.tissue_area_mm2),
    "examined_fraction": lambda report, _: _number(report.examined_fraction),
    "flags": lambda report, _: plain_cell(";".join(each_code(report.flags))),
    "reason": lambda report, _: plain_cell(_reason(report)),
    "seconds": lambda report, _: "" if report.provenance is None else f"{report.provenance.seconds:.1f}",
    "file": lambda _, file: plain_cell(file),
    "patient_id": lambda report, _: plain_cell(report.slide.patient_id or ""),
    "node_id": lambda report, _: plain_cell(report.slide.node_id or ""),
}
"""Column -> its cell, of a report and its file's name; empty where nothing can be said.

Numbers are not rounded, so that a class can be checked against its size. Text that a spreadsheet would run as a formula
gets an apostrophe in front. Patient and node are those of a manifest, empty without one.
"""

SUMMARY_COLUMNS = tuple(_CELLS)


def summary_row(report: SlideReport, *, file: str) -> tuple[str, ...]:
    """The row of one slide, in the order of SUMMARY_COLUMNS."""
    return tuple(cell(report, file) for cell in _CELLS.values())
