"""From slides and outlines to a sampling index: tissue, tumour masks at the analysis spacing, strata of cells."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.batch.lock import held
from nodescan.config import load_config
from nodescan.domain.report import RESULT_VERSION
from nodescan.domain.units import Spacing
from nodescan.errors import AnnotationError, NodescanError, SlideError, UsageError
from nodescan.imaging.coverage import coverage
from nodescan.interfaces import Slide
from nodescan.level_check import LEAST_LIKENESS
from nodescan.scan_settings import ScanSettings
from nodescan.whole_files import output_errors, written_beside
from training.camelyon.manifest import DataSlide, files_missing
from training.slides.block_mask import load_block_mask
from training.slides.checks import check_sum, label_doubts, open_measured, sound_slide
from training.slides.index import (
    INDEX_FILE,
    SPACING_UM,
    STRIDE_PX,
    IndexRow,
    Member,
    Stratum,
    cells_file,
    check_splits,
    ignored_file,
    index_rows,
    mask_file,
    open_cells,
    outlines_digest,
    write_index,
)

Tell = Callable[[str], None]

MIN_TISSUE = 0.5
"""Share of a cell that must be tissue."""

EDGE_UM = 62.0
"""A cell this near to an outline is at its edge: four cells, what a network sees to one side."""

NEAR_UM = 500.0
"""A normal cell this near to tumour is near."""

_OUTLINES_VERSION = 2
"""Grows with each change to what is made of the same outlines; RESULT_VERSION does with one to what tissue is."""


class SeveralSlidesError(SlideError):
    """More than one slide can't be used. slide: how many; reason: what is wrong with the first."""

    def __str__(self) -> str:
        return f"{self.slide} {self.reason}"


@dataclass(frozen=True, slots=True)
class _Job:
    """A slide to prepare. annotation: None of a negative one. outlines, signature, fingerprint: see IndexRow; ""
    until opened."""

    row: DataSlide
    path: Path
    annotation: Path | None
    outlines: str = ""
    signature: str = ""
    fingerprint: str = ""

    @property
    def member(self) -> Member:
        return Member(self.row.slide_id, self.row.split, self.row.group, str(self.path.resolve()))


def prepare(rows: Sequence[DataSlide], data: Path, to: Path, *, tell: Tell) -> tuple[IndexRow, ...]:
    """Write the index of the rows' slides into `to`; slides that are prepared already are kept.

    Of the rows, those that are excluded or not outlined leave the index. Raises UsageError where a slide or an
    annotation isn't in `data`, or a patient or a file would be in two splits, and OutputError where another prepare
    works in `to`, before any work; at the end where slides failed, the others being prepared: the error of the one that
    did, or of several an error with their number: UsageError where all were, else SeveralSlidesError.
    """
    jobs = _jobs([row for row in rows if not row.excluded], data, tell)
    with output_errors(to):
        to.mkdir(parents=True, exist_ok=True)
    with held(to, option="--to"):  # two would each write the index without the other's slides
        return _indexed(rows, jobs, to, tell=tell)


def cell_strata(
    shares: NDArray[np.float32], tissue: NDArray[np.bool_], cell: Spacing, *, exhaustive: bool | NDArray[np.bool_]
) -> NDArray[np.int8]:
    """int8 (H, W): the Stratum of every cell, -1 where nothing may be drawn from.

    shares : float32 (H, W) in [0, 1], tumour in each cell; tissue : bool (H, W); cell: spacing of the cells.
    exhaustive: whether what isn't outlined is normal, on the whole slide or cell by cell, bool (H, W).
    """
    tumour = shares > 0
    strata = np.full(shares.shape, -1, np.int8)
    if not tumour.any():
        strata[tissue & exhaustive] = Stratum.ELSEWHERE
        return strata
    sampling = (float(cell.y), float(cell.x))
    inward = np.asarray(ndimage.distance_transform_edt(np.pad(tumour, 1), sampling=sampling))[1:-1, 1:-1]
    outward = np.asarray(ndimage.distance_transform_edt(~tumour, sampling=sampling))
    strata[tumour & tissue] = Stratum.INSIDE
    strata[tumour & tissue & (inward <= EDGE_UM)] = Stratum.EDGE_TUMOUR
    normal = tissue & ~tumour & exhaustive
    strata[normal] = Stratum.ELSEWHERE
    strata[normal & (outward <= NEAR_UM)] = Stratum.NEAR
    strata[normal & (outward <= EDGE_UM)] = Stratum.EDGE_NORMAL
    return strata


def _indexed(rows: Sequence[DataSlide], jobs: Sequence[_Job], to: Path, *, tell: Tell) -> tuple[IndexRow, ...]:
    settings = load_config().settings
    known = {row.slide_id: row for row in index_rows(to)} if (to / INDEX_FILE).is_file() else {}
    for slide_id in known.keys() & ({row.slide_id for row in rows} - {job.row.slide_id for job in jobs}):
        tell(f"{slide_id}: taken out of the index, it can't be used any more")
        del known[slide_id]
    waiting = {job.row.slide_id for job in jobs}
    settled = [row for name, row in known.items() if name not in waiting]
    check_splits([*(job.member for job in jobs), *settled], to)
    failed: list[NodescanError] = []
    for number, job in enumerate(jobs, start=1):
        try:
            entry, said = _kept_or_prepared(job, known, to, settings=settings)
            check_splits([*settled, entry], to)
        except (SlideError, AnnotationError, UsageError) as error:
            known.pop(job.row.slide_id, None)
            failed.append(error)
            said = (f"failed: {error}",)
        else:
            settled.append(entry)
            known[entry.slide_id] = entry
        for what in said:
            tell(f"{number}/{len(jobs)} {job.row.slide_id}: {what}")
        write_index(known.values(), to)
    if len(failed) > 1:
        how_many, reason = f"{len(failed)} of {len(jobs)} slides", f"can't be prepared, the others are: {failed[0]}"
        if all(isinstance(error, UsageError) for error in failed):
            raise UsageError(f"{how_many} {reason}")
        raise SeveralSlidesError(how_many, reason)
    if failed:
        raise failed[0]
    return tuple(known[job.row.slide_id] for job in jobs)


def _jobs(rows: Sequence[DataSlide], data: Path, tell: Tell) -> list[_Job]:
    """What is to be prepared: everything is looked for before the first slide is opened."""
    jobs, missing = [], []
    for row in rows:
        if row.label != "negative" and not row.annotation_key:
            tell(f"{row.slide_id}: left out, nothing is outlined ({row.why or 'no annotation'})")
            continue
        annotation = data / row.annotation_key if row.label != "negative" else None
        jobs.append(_Job(row, data / row.key, annotation))
        missing += [file for file in (jobs[-1].path, annotation) if file is not None and not file.is_file()]
    if missing:
        raise files_missing(missing)
    if not jobs:
        raise UsageError("none of the slides can be sampled from: they are excluded, or nothing is outlined on them")
    return jobs


def _kept_or_prepared(
    job: _Job, known: dict[str, IndexRow], to: Path, *, settings: ScanSettings
) -> tuple[IndexRow, tuple[str, ...]]:
    """The slide's row of the index, and what is to be said of it.

    known: rows by slide; one that holds no longer leaves it and index.csv before the first file is overwritten: else a
    run that is killed, or a full disk, would leave new masks under the old row.
    """
    old = known.get(job.row.slide_id)
    with closing(open_measured(job.row.slide_id, job.path)) as slide:
        outlines = outlines_digest(job.annotation) if job.annotation else ""
        signed = replace(job, fingerprint=slide.fingerprint(), outlines=outlines)
        signed = replace(signed, signature=_signature(signed, settings))
        kept = old if old and old.signature == signed.signature and _whole(old, to) else None
        if kept is None or kept.checksum != job.row.checksum:
            check_sum(job.row, job.path)
        if kept:
            warned = kept.notes.splitlines()
            return replace(kept, checksum=job.row.checksum, **_outlined(signed)), ("prepared already", *warned)
        if old:
            del known[job.row.slide_id]
            write_index(known.values(), to)
        return _prepared(signed, slide, to, settings=settings)


def _whole(row: IndexRow, to: Path) -> bool:
    """Whether the files of a prepared slide can be read."""
    try:
        open_cells(to, row)
        load_block_mask(mask_file(to, row.slide_id))
        load_block_mask(ignored_file(to, row.slide_id))
    except UsageError:
        return False
    return True


def _prepared(job: _Job, slide: Slide, to: Path, *, settings: ScanSettings) -> tuple[IndexRow, tuple[str, ...]]:
    """Writes the files of one slide; its row of the index, and what is to be said of it."""
    sound = sound_slide(slide, job.annotation, settings)
    frame, (width, height), shape, tissue = sound.frame, sound.size, sound.cells, sound.tissue
    cell = frame.scaled(STRIDE_PX)
    shown = tissue.tissue if tissue.unseen is None else tissue.tissue & ~tissue.unseen  # gaps teach nothing
    covered = coverage(shown, tissue.spacing, shape=shape, spacing=cell) >= MIN_TISSUE
    shares = sound.mask.cell_shares(STRIDE_PX, shape)
    notes = sound.notes
    if sound.unread.any():
        notes = (*notes, f"{sound.unread.mean():.1%} of the overview can't be read, and nothing is drawn from there")
    unknown = sound.ignored.cell_shares(STRIDE_PX, shape) > 0
    around = ndimage.binary_dilation(unknown, np.ones((3, 3)))  # what a patch's label speaks of reaches a cell further
    found = cell_strata(shares, covered, cell, exhaustive=job.row.exhaustive & ~around).ravel()
    parts = [np.flatnonzero(found == stratum).astype(np.uint32) for stratum in Stratum]
    with output_errors(to):
        with written_beside(cells_file(to, job.row.slide_id)) as part, part.open("wb") as file:
            np.save(file, np.concatenate(parts))
        sound.mask.save(mask_file(to, job.row.slide_id))
        sound.ignored.save(ignored_file(to, job.row.slide_id))
    row = job.row
    notes = (*notes, *sound.doubts, *label_doubts(row, sound.outlines, slide.info.spacing))
    entry = IndexRow(
        row.slide_id,
        row.group,
        row.split,
        row.label,
        row.exhaustive,
        str(job.path.resolve()),
        float(frame.x),
        float(frame.y),
        width,
        height,
        round(tissue.area_um2 / 1e6, 4),
        round(sound.mask.tumour_px * frame.pixel_area_um2 / 1e6, 6),
        *(len(parts[stratum]) for stratum in Stratum),
        fingerprint=job.fingerprint,
        signature=job.signature,
        checksum=row.checksum,
        notes="\n".join(" ".join(note.split()) for note in notes),
        **_outlined(job),
    )
    return entry, (_summary(entry), *entry.notes.splitlines())


def _outlined(job: _Job) -> dict[str, str]:
    """The columns that say which outlines were drawn."""
    return {"annotation": str(job.annotation.resolve()) if job.annotation else "", "outlines": job.outlines}


def _signature(job: _Job, settings: ScanSettings) -> str:
    """sha256 over all that what is prepared of a slide hangs on: the same again needn't be prepared again."""
    parts = {
        "slide": job.fingerprint,
        "path": str(job.path.resolve()),
        "outlines": job.outlines or hashlib.sha256(b"").hexdigest(),
        "row": [job.row.group, job.row.split, job.row.label, job.row.exhaustive],
        "settings": [asdict(settings.overview), asdict(settings.tissue), SPACING_UM, STRIDE_PX],
        "strata": [EDGE_UM, NEAR_UM, MIN_TISSUE],
        "checked": [LEAST_LIKENESS],
        "made by": [RESULT_VERSION, _OUTLINES_VERSION],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _summary(entry: IndexRow) -> str:
    names = [f"{count:,} {stratum.name.lower()}" for stratum, count in zip(Stratum, entry.counts, strict=True) if count]
    cells = ", ".join(names) or "no cells: nothing can be drawn from it"
    return f"{entry.tissue_mm2:.1f} mm2 of tissue, {entry.lesion_mm2:.3f} mm2 of tumour; {cells}"
