"""Slides of a manifest that pathologists outlined, as slides whose deposits are known."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from nodescan.config import load_config
from nodescan.domain.units import Micrometers
from nodescan.imaging.masks import measure_polygons
from training.camelyon.manifest import DataSlide, files_missing
from training.slides.checks import check_sum, open_measured, sound_slide
from training.tuning.known_slides import KnownSlide, check_both_kinds

_TAUGHT_FROM = (
    "these slides belong to split train: a model trained on them finds more on them than on other slides, so "
    'thresholds and "±" come out too good; tune on slides that the model never saw'
)


def annotated_slides(rows: Sequence[DataSlide], data: Path, *, tell: Callable[[str], None]) -> list[KnownSlide]:
    """The rows' slides with every deposit that is outlined on them, sized as `nodescan measure` sizes outlines.

    Slides whose outlines don't cover all tumour are left out: what is found elsewhere on them can't be judged, nor what
    is found in an outline that says nothing. Raises UsageError where a file isn't in `data`, and where those left
    aren't both tumour and normal ones; SlideError and AnnotationError for what can't be read, for a slide of another
    checksum, and for what `prepare` refuses (see sound_slide).
    """
    usable = [row for row in rows if not row.excluded and row.exhaustive and (_normal(row) or row.annotation_key)]
    for row in rows:
        if row not in usable:
            tell(f"{row.slide_id}: left out ({row.why or 'not all of its tumour is outlined'})")
    keys = [key for row in usable for key in ((row.key,) if _normal(row) else (row.key, row.annotation_key))]
    files = [data / key for key in keys]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise files_missing(missing)
    if any(row.split == "train" for row in usable):
        tell(_TAUGHT_FROM)
    slides = [slide for row in usable if (slide := _known(row, data, tell))]
    check_both_kinds(slides)
    return slides


def _normal(row: DataSlide) -> bool:
    return row.label == "negative"


def _known(row: DataSlide, data: Path, tell: Callable[[str], None]) -> KnownSlide | None:
    """The slide with what is outlined on it; None where what is found on it can't all be judged. Both is told."""
    path = data / row.key
    with closing(open_measured(row.slide_id, path)) as slide:
        check_sum(row, path)
        sound = sound_slide(slide, None if _normal(row) else data / row.annotation_key, load_config().settings)
        spacing = slide.info.spacing
    for note in (*sound.notes, *sound.doubts):
        tell(f"{row.slide_id}: {note}")
    if sound.outlines is None:
        return KnownSlide(row.slide_id, path, ())
    if not sound.outlines.ignored.is_empty:
        tell(f"{row.slide_id}: left out (what is found in outlines that were left out can't be judged)")
        return None
    deposits = measure_polygons(sound.outlines.lesions(), spacing, joining_gap_um=Micrometers(0))
    return KnownSlide(row.slide_id, path, deposits)
