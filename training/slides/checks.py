"""What makes a slide unfit to learn from or to tune on though it opens: another file, or outlines of another slide."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from nodescan.annotations import Outlines, read_outlines
from nodescan.domain.classification import CLASS_OF, Metastasis
from nodescan.domain.lengths import millimetres
from nodescan.domain.maps import TissueMask
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import Micrometers, Spacing
from nodescan.errors import AnnotationError, SlideError, UnmeasurableError
from nodescan.imaging.coverage import coverage
from nodescan.imaging.masks import measure_polygons
from nodescan.imaging.tissue import find_tissue
from nodescan.interfaces import Slide
from nodescan.level_check import LEAST_LIKENESS, likeness_of_levels
from nodescan.overview import view_whole
from nodescan.scan_settings import ScanSettings
from nodescan.slides import open_slide
from nodescan.spacing_check import spacing_flags
from training.camelyon.manifest import DIGESTS, DataSlide, digest_of
from training.slides.block_mask import BlockMask, draw_mask, empty_mask
from training.slides.index import SPACING_UM, STRIDE_PX

OUTSIDE_SHARE = 0.01
"""Of an outline's area that may lie outside of its slide: outlines are drawn to the rim by hand."""

ON_GLASS_SHARE = 0.25
"""Of the outlined tumour that may lie where there is no tissue without a note. An outline about a few cells at the rim
may reach over it with a large part of its area; tissue's own margin (tissue.margin_um in scan.yaml) holds most of that.
On CAMELYON16's test_016, with 69 outlined lesions, the share is 0."""


@dataclass(frozen=True, slots=True)
class SoundSlide:
    """A slide that can be believed. frame: the spacing that patches are taken at; size: (width, height) in its px.

    unread: bool (H, W), what of the overview can't be read. mask, ignored: of the tumour, and of what is enclosed by
    outlines that say nothing, on the frame. notes: what must be known of the outlines; doubts: of the pixel size.
    """

    frame: Spacing
    size: tuple[int, int]
    tissue: TissueMask
    unread: NDArray[np.bool_]
    outlines: Outlines | None
    mask: BlockMask
    ignored: BlockMask
    notes: tuple[str, ...]
    doubts: tuple[str, ...]

    @property
    def cells(self) -> tuple[int, int]:
        """(rows, columns) of cells of STRIDE_PX."""
        width, height = self.size
        return -(-height // STRIDE_PX), -(-width // STRIDE_PX)


def open_measured(slide_id: str, path: Path) -> Slide:
    """The slide. Raises SlideError; where its spacing isn't known, without the remedy of a scan, --mpp."""
    try:
        return open_slide(SlideRef(slide_id, path))
    except UnmeasurableError as error:
        remedy = "write its resolution into the file's tags, or write yes into its `excluded`"
        raise UnmeasurableError(error.slide, error.reason, remedy) from error


def check_sum(row: DataSlide, path: Path) -> None:
    """Raises SlideError where the slide isn't the one that the manifest's checksum was made of."""
    algorithm = DIGESTS[len(row.checksum)] if row.checksum else ""
    if row.checksum and digest_of(path, algorithm) != row.checksum:
        reason = f"wrong checksum: its {algorithm} isn't the manifest's {row.checksum[:12]}..."
        raise SlideError(str(path), reason, "fetch it again, or correct the manifest")


def sound_slide(slide: Slide, annotation: Path | None, settings: ScanSettings) -> SoundSlide:
    """The slide with its tissue and outlines. annotation: None of a negative one.

    Raises SlideError where the level that patches are taken from shows another picture than the full resolution, or is
    too coarse, and AnnotationError where nothing is outlined, or it doesn't belong to the slide.
    """
    frame = _frame(slide)
    size = slide.frame_size(frame)
    overview, unread = view_whole(slide, settings.overview)
    tissue = find_tissue(overview.pixels, overview.spacing, settings.tissue)
    like = likeness_of_levels(slide, overview, tissue, frame)
    if like is not None and like < LEAST_LIKENESS:  # a scan gives such a slide no class
        reason = (
            "the magnification that patches are taken from shows another picture than the full resolution, on which it "
            "is outlined; export the slide again, or write yes into its `excluded`"
        )
        raise SlideError(slide.ref.path.name, reason)
    doubts = tuple(flag.message for flag in spacing_flags(slide, overview, tissue))
    if annotation is None:
        nothing = empty_mask(size)
        return SoundSlide(frame, size, tissue, unread, None, nothing, nothing, (), doubts)
    outlines, mask, ignored = _drawn(slide, annotation, frame)
    sound = SoundSlide(frame, size, tissue, unread, outlines, mask, ignored, outlines.notes, doubts)
    if unread.any():
        return sound
    on_glass = _share_on_glass(sound)
    if on_glass is None:
        raise AnnotationError(
            f"{annotation}: outlines tumour where its slide {slide.ref.path.name} shows no tissue; it belongs to "
            "another slide, or was drawn at another magnification"
        )
    if on_glass <= ON_GLASS_SHARE:
        return sound
    note = (
        f"{100 * on_glass:.0f} % of the outlined tumour lies where the slide shows no tissue; check that the outlines "
        "are of this slide"
    )
    return replace(sound, notes=(*sound.notes, note))


def _frame(slide: Slide) -> Spacing:
    """The spacing that patches are taken at. Raises UnmeasurableError where the slide is too coarse, without the remedy
    of a scan, another model."""
    try:
        return slide.frame_spacing(*SPACING_UM)
    except UnmeasurableError as error:
        finest, coarsest = SPACING_UM
        remedy = (
            f"models are trained and tuned at {finest:g} to {coarsest:g} um/px alone: scan it at a higher "
            "magnification, or write yes into its `excluded`"
        )
        raise UnmeasurableError(error.slide, error.reason, remedy) from error


def label_doubts(row: DataSlide, outlines: Outlines | None, level0: Spacing) -> tuple[str, ...]:
    """A sentence where the longest outline, sized as `nodescan measure` does it, is not of the class of the label.

    level0: spacing of the pixels that outlines are drawn in. Nothing is said of a label without a size, of an outline
    whose class is uncertain by a pixel, and of a smaller one where not all tumour is outlined.
    """
    label = CLASS_OF.get(row.label, Metastasis.NONE)
    if outlines is None or label is Metastasis.NONE:
        return ()
    longest = measure_polygons(outlines.lesions(), level0, joining_gap_um=Micrometers(0))[0]
    found = longest.metastasis
    if longest.borderline or found is label or (found < label and not row.exhaustive):
        return ()
    size = f"{millimetres(longest.diameter_um)} mm"
    return (
        f"labelled {row.label}, but its longest outline is {size} ({found.word} by size); correct the label or the "
        "outlines, if one of them is wrong",
    )


def _drawn(slide: Slide, annotation: Path, frame: Spacing) -> tuple[Outlines, BlockMask, BlockMask]:
    """The outlines of a tumour slide, and masks of the tumour and of what is ignored."""
    outlines = read_outlines(annotation).on_canvas(slide.info.shown_from_px)
    lesions = outlines.lesions()
    if lesions.is_empty:
        raise _without_tumour(annotation)
    _check_inside(annotation, outlines, slide)
    size, level0 = slide.frame_size(frame), slide.info.spacing
    mask, ignored = (draw_mask(each, size, level0=level0, frame=frame) for each in (lesions, outlines.ignored))
    if mask.tumour_px == 0:  # smaller than a pixel: all of the slide would be taught as normal
        raise _without_tumour(annotation)
    return outlines, mask, ignored


def _share_on_glass(sound: SoundSlide) -> float | None:
    """How much of the tumour lies in cells without tissue; None where none touches any.

    What is outlined there would be taught as normal, or called a false deposit.
    """
    cell = sound.frame.scaled(STRIDE_PX)
    shown = coverage(sound.tissue.wanted, sound.tissue.spacing, shape=sound.cells, spacing=cell) > 0
    shares = sound.mask.cell_shares(STRIDE_PX, sound.cells)
    return float(shares[~shown].sum() / shares.sum()) if shown[shares > 0].any() else None


def _without_tumour(annotation: Path) -> AnnotationError:
    """What to raise of a tumour slide that would all be taught as normal."""
    return AnnotationError(
        f"{annotation}: outlines no tumour, or cuts all of it out, but the manifest says that the slide holds some"
    )


def _check_inside(annotation: Path, outlines: Outlines, slide: Slide) -> None:
    """Raises AnnotationError where an outline lies off the slide, so that it must be another's."""
    info = slide.info
    canvas = shapely.box(0, 0, info.width_px, info.height_px)
    off = [part for part in outlines.tumour.geoms if part.difference(canvas).area > OUTSIDE_SHARE * part.area]
    others = (*outlines.excluded.geoms, *outlines.ignored.geoms)  # may reach over the rim as far as they like
    off += [part for part in others if not part.intersects(canvas)]
    if off:
        left, top, right, bottom = off[0].bounds
        raise AnnotationError(
            f"{annotation}: an outline at x {left:.0f} to {right:.0f}, y {top:.0f} to {bottom:.0f} px lies outside "
            f"of its slide {slide.ref.path.name} ({info.width_px} x {info.height_px} px); it belongs to another "
            "slide, or was drawn at another magnification"
        )
