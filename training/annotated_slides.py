"""Slides of a manifest that pathologists outlined, as slides whose deposits are known."""

from collections.abc import Callable, Sequence
from pathlib import Path

from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Micrometers
from nodescan.errors import AnnotationError, UsageError
from nodescan.imaging.masks import measure_polygons
from nodescan.imaging.sizing import to_shape
from nodescan.slides import open_slide
from training.known_slides import Known, KnownSlide
from training.manifest import ManifestRow
from training.prepare import outlines_on


def annotated_slides(rows: Sequence[ManifestRow], data: Path, *, tell: Callable[[str], None]) -> list[KnownSlide]:
    """The rows' slides with every deposit that is outlined on them, sized as `nodescan measure` sizes outlines.

    Slides whose outlines don't cover all tumour are left out: what is found elsewhere on them can't be judged. Raises
    UsageError where a file isn't in `data`, and where those left aren't both tumour and normal ones; SlideError and
    AnnotationError for a slide or an annotation that can't be read.
    """
    usable = [row for row in rows if not row.excluded and row.exhaustive and (_normal(row) or row.annotation_key)]
    for row in rows:
        if row not in usable:
            tell(f"{row.slide_id}: left out ({row.why or 'not all of its tumour is outlined'})")
    keys = [key for row in usable for key in ((row.key,) if _normal(row) else (row.key, row.annotation_key))]
    files = [data / key for key in keys]
    missing = [file for file in files if not file.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UsageError(f"{missing[0]}{more}: not there; fetch with python -m training download, or use --slides")
    slides = [KnownSlide(row.slide_id, data / row.key, _outlined(row, data)) for row in usable]
    if len({bool(slide.deposits) for slide in slides}) < 2:
        raise UsageError(f"{len(slides)} slides to tune on, all tumour or all normal: both are needed; see --slides")
    return slides


def _normal(row: ManifestRow) -> bool:
    return row.label == "negative"


def _outlined(row: ManifestRow, data: Path) -> tuple[Known, ...]:
    if _normal(row):
        return ()
    annotation = data / row.annotation_key
    slide = open_slide(SlideRef(row.slide_id, data / row.key))
    try:
        lesions = outlines_on(slide, annotation).lesions()
        spacing = slide.info.spacing
    finally:
        slide.close()
    if lesions.is_empty:
        raise AnnotationError(f"{annotation}: its exclusions leave nothing of the tumour that it outlines")
    measured = measure_polygons(lesions, spacing, joining_gap_um=Micrometers(0))
    return tuple(Known(to_shape(deposit.outline), float(deposit.diameter_um)) for deposit in measured)
