"""A run over a manifest: its rows as slides to scan, and its patients once the slides are done."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from nodescan.domain.report import SlideReport
from nodescan.domain.slide import SlideRef
from nodescan.domain.staging import TABLES
from nodescan.errors import UsageError
from nodescan.given_files import found_bytes
from nodescan.manifest import Manifest, ManifestRow
from nodescan.patients.reviews_aside import with_reviews_aside
from nodescan.patients.staging import Staging, stage_reports
from nodescan.reports.json_report import REPORT_JSON
from nodescan.reports.report_reader import StoredReport, as_stored
from nodescan.reports.summary_page import stands
from nodescan.slides.slide_ids import RESERVED, holds_name, is_device, safe_name

DEFAULT_TABLE = TABLES["ajcc8"]


def manifest_slides(manifest: Manifest, *, mpp_um: float | None, override_mpp: bool) -> tuple[SlideRef, ...]:
    """The H&E slides of a manifest in its order; a file that isn't there fails later, in its own row.

    The manifest is of read_slide_rows. A row's own mpp stands before `mpp_um`; `override_mpp` speaks of the latter
    alone. Raises UsageError, naming the line, for a row that can't be scanned.
    """
    rows = manifest.rows
    _check_names([row for row in rows if row.has_slide])
    refs: list[SlideRef] = []
    for row in rows:
        if not row.has_slide or not row.is_he:
            continue
        if row.path is None:
            raise row.facts.where.error(f"path is empty; scanning slide {row.slide_id!r} needs its file")
        refs.append(
            SlideRef(
                slide_id=row.slide_id,
                path=row.path,
                patient_id=row.facts.patient_id or None,
                node_id=row.facts.node_id or None,
                mpp_um=mpp_um if row.mpp_um is None else row.mpp_um,
                override_mpp=override_mpp and row.mpp_um is None,
                mpp_listed=row.mpp_um is not None,
                renamed=not holds_name(row.slide_id, row.path),
            )
        )
    if not refs:
        raise UsageError(f"{manifest.name}: has no H&E slide to scan; see nodescan manifest --template")
    return tuple(refs)


def other_stains(manifest: Manifest) -> tuple[str, ...]:
    """The slides that aren't H&E, each with its stain: they are left to the pathologist."""
    return tuple(f"{row.slide_id} ({row.stain})" for row in manifest.rows if row.has_slide and not row.is_he)


def stage_run(reports: Sequence[SlideReport], manifest: Manifest, folder: Path, *, at: datetime) -> Staging:
    """The patients, from this run's own reports, whichever of them were written; a slide without one counts as unread.

    at: the time that they are said to be staged at.
    A report that an earlier run left in the folder says nothing of this one.
    """
    stored = [_stored(report, folder / report.slide.slide_id) for report in reports]
    staging = replace(stage_reports(stored, manifest, DEFAULT_TABLE), staged_at=at)
    return with_reviews_aside(staging, folder)


def _stored(report: SlideReport, place: Path) -> StoredReport:
    """As it would be read from `place`, with the sha256 of the file if it was written there."""
    path, stored = place / REPORT_JSON, as_stored(report, place)
    data = b""
    with suppress(OSError):
        data = found_bytes(path) if stands(report, path) else b""
    return replace(stored, file_sha256=hashlib.sha256(data).hexdigest() if data else "")


def _check_names(rows: Sequence[ManifestRow]) -> None:
    """Raise UsageError for a row whose slide_id can't name a folder."""
    for row in rows:
        where, slide_id = row.facts.where, row.slide_id
        if slide_id.casefold() in RESERVED:
            raise where.error(f"the slide_id {slide_id!r} is the name of one of the run's own files; give another")
        if is_device(slide_id):
            raise where.error(
                f"the slide_id {slide_id!r} is the name of a device of Windows, which no folder can have; give another"
            )
        if safe_name(slide_id) != slide_id:
            raise where.error(
                f"the slide_id {slide_id!r} can't name a folder; use letters, digits, . _ and -, "
                f"for example {safe_name(slide_id)!r}"
            )
