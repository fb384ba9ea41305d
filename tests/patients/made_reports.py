"""Stored runs with planted findings, written as a run writes them."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.deposits import Deposit, Detection, Polygon
from nodescan.domain.flags import Flag
from nodescan.domain.report import RESULT_VERSION, ModelIdentity, Provenance, SlideReport, SlideResult, Status
from nodescan.domain.slide import BoundsUm, SlideInfo, SlideRef, SpacingSource
from nodescan.domain.staging import AJCC8, StagingTable
from nodescan.domain.units import Micrometers, Spacing, SquareMicrometers
from nodescan.patients.correction_rows import COLUMNS, Correction, read_corrections
from nodescan.patients.slide_rows import read_slide_rows
from nodescan.patients.staging import Staging, stage_reports
from nodescan.reports.detections import write_detections
from nodescan.reports.geojson_report import write_geojson
from nodescan.reports.json_report import report_as_json, write_json
from nodescan.reports.report_reader import read_reports
from nodescan.whole_files import json_bytes

SPACING_UM = 0.25
SIDE_PX = 64_000
STEP_UM = 3000.0
WORD_SIZES: Mapping[str, tuple[float, ...]] = {"negative": (), "itc": (150.0,), "micro": (900.0,), "macro": (2600.0,)}


def disc(number: int, diameter_um: float, centre_um: tuple[float, float]) -> Deposit:
    """A disc of exactly this greatest diameter."""
    turn = np.arange(180) * (2 * np.pi / 180)
    ring = np.asarray(centre_um) + diameter_um / 2 * np.column_stack((np.cos(turn), np.sin(turn)))
    half = diameter_um / 2
    return Deposit(
        id=number,
        diameter_um=Micrometers(diameter_um),
        diameter_uncertainty_um=Micrometers(4.0),
        endpoints_um=((centre_um[0] - half, centre_um[1]), (centre_um[0] + half, centre_um[1])),
        area_um2=SquareMicrometers(float(np.pi * half**2)),
        centre_um=centre_um,
        metastasis=classify(Micrometers(diameter_um)),
        outline=(Polygon(ring),),
        probability_mean=0.8,
        probability_max=0.95,
    )


def report(
    slide_id: str,
    sizes_um: Sequence[float] = (),
    *,
    status: Status = Status.COMPLETE,
    flags: tuple[Flag, ...] = (),
    detections: tuple[Detection, ...] | None = None,
) -> SlideReport:
    """Discs of these sizes, STEP_UM apart from (STEP_UM, STEP_UM) on, the largest first."""
    usable = status in (Status.COMPLETE, Status.INCOMPLETE)
    deposits = tuple(
        disc(number, size, (STEP_UM * number, STEP_UM)) for number, size in enumerate(sorted(sizes_um, reverse=True), 1)
    )
    worst = max((deposit.metastasis for deposit in deposits), default=None)
    found = worst if worst is not None else (Metastasis.NONE if status is Status.COMPLETE else None)
    side = Micrometers(SIDE_PX * SPACING_UM)
    bounds = BoundsUm(Micrometers(0.0), Micrometers(0.0), side, side)
    info = SlideInfo(
        "generic-tiff", "openslide", SIDE_PX, SIDE_PX, Spacing.square(SPACING_UM), SpacingSource.FILE, bounds
    )
    points = detections if detections is not None else tuple(Detection(0.9, *deposit.centre_um) for deposit in deposits)
    return SlideReport(
        slide=SlideRef(slide_id, Path(f"{slide_id}.tif")),
        status=status,
        metastasis=found if usable else None,
        at_least=status is Status.INCOMPLETE and worst is not None,
        deposits=deposits if usable else (),
        detections=points if usable else (),
        tumour_probability=max((point.confidence for point in points), default=0.02) if usable else None,
        tissue_area_mm2=40.0 if usable else None,
        examined_fraction=1.0 if status is Status.COMPLETE else 0.9 if usable else None,
        flags=flags,
        info=None if status is Status.FAILED else info,  # most that fail can't be opened
        model=ModelIdentity("m", "a", "ab" * 32, 0.5),
    )


def scanned(
    fingerprint: str = "", *, started: str = "2026-01-01T00:00:00+00:00", version: int = RESULT_VERSION
) -> Provenance:
    """Of a scan of this file, at that time, by this version."""
    return Provenance({}, "", fingerprint, "cpu", "float32", started, 1.0, version)


def write_run(folder: Path, reports: Sequence[SlideReport]) -> Path:
    """The folder of a run with what staging and evaluation read."""
    for one in reports:
        place = folder / one.slide.slide_id
        place.mkdir(parents=True)
        for write in (write_json, write_detections, write_geojson):
            write(SlideResult(one), place)
    return folder


def write_findings(folder: Path, reports: Sequence[SlideReport]) -> Path:
    """Many slides with their report.json alone, without waiting for the disk."""
    for one in reports:
        place = folder / one.slide.slide_id
        place.mkdir(parents=True)
        (place / "report.json").write_bytes(json_bytes(report_as_json(one)))
    return folder


def write_csv(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def review_of(folder: Path, *rows: str, day: str = "") -> tuple[Correction, ...]:
    """A reader's review.csv in `folder`, written at noon of this day, or now; rows may lack the column of comments."""
    if not rows:
        return ()
    path = write_csv(folder / "review.csv", ",".join(COLUMNS[: rows[0].count(",") + 1]), *rows)
    if day:
        os.utime(path, (0, datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()))
    return read_corrections(path)


def staged_by(run: Path, header: str, *rows: str, review: Sequence[str] = (), table: StagingTable = AJCC8) -> Staging:
    """The patients of a run by the rows of a manifest m.csv beside it, after a review, see review_of."""
    manifest = read_slide_rows(write_csv(run.parent / "m.csv", header, *rows))
    return stage_reports(read_reports(run), manifest, table, corrections=review_of(run.parent, *review))
