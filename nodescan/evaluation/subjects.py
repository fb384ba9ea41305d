"""Slides as some system read them: nodescan in a run's folder, or any in a folder of the challenge's CSVs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodescan.evaluation.detections import DetectionList, read_folder, read_of_report
from nodescan.reports.report_reader import StoredReport, read_reports


@dataclass(frozen=True, slots=True)
class Subject:
    """One slide as some system read it. report: None where only its detections are known. detections: None where it
    gave none, which isn't an empty list."""

    slide_id: str
    report: StoredReport | None
    detections: DetectionList | None

    @property
    def score(self) -> float | None:
        """The slide's tumour probability: the report's, else the highest confidence."""
        if self.report is not None:
            return self.report.tumour_probability
        return None if self.detections is None else self.detections.highest


def subjects_of_run(folder: Path) -> Mapping[str, Subject]:
    """Every slide of a run's folder, by slide_id."""
    return {
        report.slide_id: Subject(report.slide_id, report, read_of_report(report.folder))
        for report in read_reports(folder)
    }


def subjects_of_challenge(folder: Path) -> Mapping[str, Subject]:
    """Every slide of a folder of challenge CSVs, by file name."""
    return {slide_id: Subject(slide_id, None, found) for slide_id, found in read_folder(folder).items()}
