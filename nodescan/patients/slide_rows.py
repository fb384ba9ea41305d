"""The rows of a manifest and the names of their slides, and what is refused because it could mean another slide."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nodescan.domain.slide import SlideInfo
from nodescan.manifest import Manifest, ManifestRow, read_manifest
from nodescan.patients.correction_rows import Correction
from nodescan.reports.report_reader import StoredReport
from nodescan.slides.discovery import SUFFIXES
from nodescan.slides.slide_ids import real_path, slide_ids, slide_key
from nodescan.slides.spacing import agrees


def read_slide_rows(path: Path) -> Manifest:
    """The manifest at `path`, with a slide_id in each row that has a slide: as given, else what a run would call the
    file. Paths are whole, for the working directory may be gone later.

    Raises UsageError, also where only some rows name a patient, and where two rows mean one slide.
    """
    manifest = read_manifest(path)
    rows = [row if row.path is None else replace(row, path=row.path.absolute()) for row in manifest.rows]
    made = iter(slide_ids([row.path for row in rows if not row.slide_id and row.path is not None]))
    named = (row if row.slide_id or row.path is None else replace(row, slide_id=next(made)) for row in rows)
    read = replace(manifest, rows=tuple(named))
    if read.names_patients:  # a table of which no row does is a list of slides
        for row in read.rows:
            if not row.facts.patient_id:
                raise row.facts.where.error("patient_id is empty; staging needs to know whose slide it is")
    _check_slides(read.rows)
    return read


def check_spacings(measured: Mapping[str, SlideInfo | None], manifest: Manifest) -> None:
    """Raise UsageError where a row's mpp isn't what its slide was measured with: it was corrected since the scan.

    measured: of the slides that have a report, by slide_id. A file that says otherwise refuses the mpp in a new scan,
    too, so that is no way out there.
    """
    for row in manifest.rows:
        info = measured.get(row.slide_id)
        if info is None or row.mpp_um is None or agrees(row.mpp_um, info.spacing):
            continue
        remedy = ": run the slide again, or correct mpp"
        if not info.spacing_source.given:
            remedy = (
                ", which its file says: correct mpp, or leave it empty; if the file is wrong, leave it empty and run "
                f"with --mpp {row.mpp_um:g} --override-mpp, which rules every slide without an mpp of its own"
            )
        raise row.facts.where.error(
            f"mpp is {row.mpp_um:g}, but the report of slide {row.slide_id!r} is measured with "
            f"{info.spacing.mean:g}{remedy}"
        )


def _check_slides(rows: Sequence[ManifestRow]) -> None:
    """Raise UsageError where two identified rows mean one slide: it could count for two patients.

    Ids are compared as disks that don't tell case apart do, files by where they really lie.
    """
    names: dict[str, ManifestRow] = {}
    files: dict[Path, ManifestRow] = {}
    for row in rows:
        where = row.facts.where
        first = names.setdefault(row.slide_id.casefold(), row) if row.slide_id else row
        if first is not row:
            line = first.facts.where.line
            raise where.error(f"the slide_id {row.slide_id!r} stands in line {line} too; give another")
        first = row if row.path is None else files.setdefault(real_path(row.path), row)
        if first is not row and row.path is not None:
            raise where.error(f"{row.path.name} is the same file as in line {first.facts.where.line}")


def check_names(rows: Sequence[ManifestRow], reports: Mapping[str, StoredReport]) -> None:
    """Raise UsageError where a row without a report means one by another spelling: it would count as not run."""
    listed = {row.slide_id for row in rows}
    near = {_key(slide_id): slide_id for slide_id in reports if slide_id not in listed}
    for row in rows:
        meant = near.get(_key(row.slide_id)) if row.has_slide and row.slide_id not in reports else None
        if meant is not None:
            raise row.facts.where.error(f"there is no report of slide {row.slide_id!r}; did you mean {meant!r}?")


def check_counted(
    corrections: Sequence[Correction],
    rows: Sequence[ManifestRow],
    another: Mapping[str, str],
    *,
    reports: Mapping[str, StoredReport],
) -> None:
    """Raise UsageError where a correction is of a listed slide that has no part in the stage: it would be lost.

    another: slides whose report is of another file, and why; reports: of the others, by slide.
    """
    listed = {row.slide_id: row for row in rows if row.has_slide}
    for correction in corrections:
        row = listed.get(correction.slide_id)
        why = "" if row is None else another.get(row.slide_id, "")
        if row is not None and not row.is_he:
            stain = f"by line {row.facts.where.line} of the manifest its stain is {row.stain}, and only H&E is staged"
            why = f"{stain}: leave this correction out, or correct the stain"
        elif row is not None and row.slide_id not in reports and not why:
            why = "it is in the manifest, but was not run: run it first (a report that says failed will do)"
        if why:
            raise correction.where.error(f"slide {correction.slide_id!r} has no part in the stage: {why}")


def _key(slide_id: str) -> str:
    """What a slide's spellings have in common: case and signs, a slide file's suffix, zeros that a spreadsheet took."""
    named = Path(slide_id)
    key = slide_key(named.stem if named.suffix.lower() in SUFFIXES else slide_id)
    return key.lstrip("0") if key.isdigit() else key
