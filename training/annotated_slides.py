"""Slides of a manifest that pathologists outlined, as slides whose deposits are known."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from nodescan.domain.naming import few
from nodescan.domain.units import Micrometers
from nodescan.errors import UsageError
from nodescan.imaging.masks import measure_polygons
from nodescan.imaging.sizing import to_shape
from training.known_slides import Known, KnownSlide, check_both_kinds
from training.manifest import DataSlide
from training.prepare import open_measured, outlines_on


def annotated_slides(rows: Sequence[DataSlide], data: Path, *, tell: Callable[[str], None]) -> list[KnownSlide]:
    """The rows' slides with every deposit that is outlined on them, sized as `nodescan measure` sizes outlines.

    Slides whose outlines don't cover all tumour are left out: what is found elsewhere on them can't be judged, nor what
    is found in an outline that says nothing. Raises UsageError where a file isn't in `data`, and where those left
    aren't both tumour and normal ones; SlideError and AnnotationError for what can't be read.
    """
    usable = [row for row in rows if not row.excluded and row.exhaustive and (_normal(row) or row.annotation_key)]
    for row in rows:
        if row not in usable:
            tell(f"{row.slide_id}: left out ({row.why or 'not all of its tumour is outlined'})")
    keys = [key for row in usable for key in ((row.key,) if _normal(row) else (row.key, row.annotation_key))]
    files = [data / key for key in keys]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise UsageError(f"{few(missing, 1)}: not there; fetch with python -m training download, or use --slides")
    slides = [slide for row in usable if (slide := _known(row, data, tell))]
    check_both_kinds(slides)
    return slides


def _normal(row: DataSlide) -> bool:
    return row.label == "negative"


def _known(row: DataSlide, data: Path, tell: Callable[[str], None]) -> KnownSlide | None:
    """The slide with what is outlined on it; None where what is found on it can't all be judged. Both is told."""
    path = data / row.key
    if _normal(row):
        return KnownSlide(row.slide_id, path, ())
    with closing(open_measured(row.slide_id, path)) as slide:
        outlines = outlines_on(slide, data / row.annotation_key)
        spacing = slide.info.spacing
    for note in outlines.notes:
        tell(f"{row.slide_id}: {note}")
    if not outlines.ignored.is_empty:
        tell(f"{row.slide_id}: left out (what is found in outlines that were left out can't be judged)")
        return None
    measured = measure_polygons(outlines.lesions(), spacing, joining_gap_um=Micrometers(0))
    deposits = (Known(to_shape(deposit.outline), float(deposit.diameter_um)) for deposit in measured)
    return KnownSlide(row.slide_id, path, tuple(deposits))
