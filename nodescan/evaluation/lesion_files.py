"""One slide's lesions as a reference file shows them: a mask at level 5, drawn outlines, or planted truth."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray

from nodescan.annotations import FARTHEST_PX, holds_geojson, read_outlines
from nodescan.annotations.exclusions import without
from nodescan.annotations.outline_masks import rasterise
from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.deposits import Deposit
from nodescan.domain.slide import FINEST_UM
from nodescan.domain.units import Micrometers, Spacing
from nodescan.errors import AnnotationError
from nodescan.evaluation.lesions import LEVEL_PX, MERGE_UM, LesionMap, outlined_sizes_um
from nodescan.given_files import found_bytes
from nodescan.imaging.masks import fill_holes, measure_filled, measure_polygons
from nodescan.labels import CLASS_OF
from nodescan.mask_images import read_mask_image
from nodescan.measurement import check_measurable, check_possible
from nodescan.phantoms import TRUTH_ENDING
from nodescan.reports.json_values import DAMAGE, finite, point
from nodescan.slides.dicom_series import level_of, series_levels
from nodescan.strict_json import strict_json

_MASK = re.compile(r"(?P<slide>.+)_mask\.(png|tiff?)", re.IGNORECASE)
_OUTLINE_SUFFIXES = (".xml", ".geojson")

_LESION_SUFFIXES = frozenset(
    {".json", ".npy", ".png", ".apng", ".bmp", ".gif", ".webp", ".jpg", ".jpeg", ".jpe", ".jfif"}
    | {".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm"}
)
_LESION_WORDS = ("mask", "annot", "lesion")
"""Endings, and words in names, of files that other programs keep masks and outlines in: all pictures that masks are
read from, but for TIFF, in which the slides themselves are."""

_DICOM_SUFFIX = ".dcm"

PADDED_PX = 512 // LEVEL_PX
"""A mask may be longer than its slide by this: writers fill up tiles of 512 px."""

_CIRCLE_POINTS = 256

_ROUNDED_UM = 0.15
"""The written outline of a planted deposit may be off its size by so much: `make-composites` writes 0.1 um, which moves
either end by 0.07 at most; phantoms' are finer."""

OWN_OUTLINES = (
    "outlines with nodescan's own measurements, as in deposits.geojson: unless a reader drew them anew, the "
    "scores compare nodescan with itself"
)

PAD_PX = math.ceil(MERGE_UM / 2 / (FINEST_UM * LEVEL_PX)) + 1
"""Level-5 px around outlines of a slide whose size isn't known: more than a lesion can grow at the finest spacing."""


@dataclass(frozen=True, slots=True)
class LesionMask:
    """tumour : bool (H, W) at level 5, its pixel (0, 0) at `origin` (row, column). whole: it covers the slide."""

    tumour: NDArray[np.bool_]
    origin: tuple[int, int]
    whole: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """Whether a file shows tumour; where it was planted, the class and the largest size in um. notes: of outlines."""

    tumour: bool
    label: Metastasis | None = None
    largest_um: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LesionFile:
    """Where a slide's lesions are shown; read when asked. kind_of_file: "mask", "outlines" or "truth"."""

    path: Path
    slide_id: str
    kind_of_file: str

    def kind(self) -> Shown:
        """What it shows, without where. Raises AnnotationError where it can't be read in full."""
        if self.kind_of_file == "mask":
            return Shown(bool(_read_mask(self.path).any()))
        drawn = self._drawn()
        tumour = not drawn.lesions.is_empty if drawn.label is None else drawn.label is not Metastasis.NONE
        return Shown(tumour, drawn.label, max(drawn.planted_um, default=None), drawn.notes)

    def mask(self, size_px: tuple[int, int] | None, shown_from_px: tuple[float, float] = (0.0, 0.0)) -> LesionMask:
        """The lesions at level 5. size_px: width and height of level 0, None where not known.

        shown_from_px: where what QuPath shows of the slide begins, see annotations.Outlines.on_canvas.
        """
        if self.kind_of_file == "mask":
            tumour = _read_mask(self.path)
            if size_px is not None:
                _check_level(self.path, tumour.shape, size_px)
            return LesionMask(tumour, (0, 0), whole=True)
        return _rasterised(self.path.name, self._drawn(shown_from_px).lesions, size_px)

    def deposits(self, level0: Spacing, shown_from_px: tuple[float, float] = (0.0, 0.0)) -> tuple[Deposit, ...]:
        """The lesions measured in um, the largest first. level0: spacing of level 0; shown_from_px: see mask.

        Raises AnnotationError, also where one is longer than any slide.
        """
        gap_um, planted_um = Micrometers(0.0), ()
        if self.kind_of_file == "mask":
            whole = fill_holes(_read_mask(self.path))[0]
            check_measurable(self.path.name, whole)
            measured = measure_filled(whole, level0.scaled(LEVEL_PX), joining_gap_um=gap_um)
        else:
            drawn = self._drawn(shown_from_px)
            planted_um = drawn.planted_um
            measured = measure_polygons(drawn.lesions, drawn.spacing or level0, joining_gap_um=gap_um)
        check_possible(self.path.name, measured)
        return tuple(_as_planted(one, planted_um) for one in measured)

    def itc(self, found: LesionMap, level0: Spacing, shown_from_px: tuple[float, float] = (0.0, 0.0)) -> frozenset[int]:
        """Which of a map's lesions are isolated tumour cells by their outlines' exact size; a mask's are by its pixels.

        found: drawn from this file's own mask. level0, shown_from_px: see deposits.
        """
        if self.kind_of_file == "mask":
            return found.itc
        drawn = self._drawn(shown_from_px)
        sizes = outlined_sizes_um(drawn.lesions, found, drawn.spacing or level0)
        exact = {label: _planted_um(size, drawn.planted_um) or size for label, size in sizes.items()}
        return frozenset(label for label, size in exact.items() if classify(Micrometers(size)) is Metastasis.ITC)

    def _drawn(self, shown_from_px: tuple[float, float] = (0.0, 0.0)) -> "_Drawn":
        if self.kind_of_file == "truth":
            return _read_truth(self.path)
        outlines = read_outlines(self.path)
        own = any(size.said.uncertainty_um is not None for size in outlines.stated)
        notes = (*outlines.notes, OWN_OUTLINES) if own else outlines.notes
        return _Drawn(outlines.on_canvas(shown_from_px).lesions(), notes=notes)


def lesion_file(path: Path) -> LesionFile | None:
    """The slide that a file of a reference folder belongs to; None for a file of another kind."""
    if not path.is_file() or path.name.startswith("."):
        return None
    found = _MASK.fullmatch(path.name)
    if found is not None:
        return LesionFile(path, found["slide"], "mask")
    if path.name.endswith(TRUTH_ENDING):
        return LesionFile(path, path.name.removesuffix(TRUTH_ENDING), "truth")
    ending = path.suffix.lower()
    if ending in _OUTLINE_SUFFIXES or (ending == ".json" and holds_geojson(path)):
        return LesionFile(path, path.stem, "outlines")
    return None


def may_show_lesions(path: Path) -> bool:
    """Whether a file that wasn't read may be a mask or outlines by another name; a slide, or a text, is neither."""
    if not path.is_file():
        return False
    named = any(word in path.stem.casefold() for word in _LESION_WORDS)
    suffix = path.suffix.lower()
    return named or suffix in _LESION_SUFFIXES or (suffix == _DICOM_SUFFIX and not _is_of_a_slide(path))


def _is_of_a_slide(dicom: Path) -> bool:
    """Whether it is a level of a slide, or a picture of its series, as of the label: masks are DICOM files, too."""
    try:
        return level_of(dicom) is not None or bool(series_levels(dicom))
    except OSError:
        return False


def planted_deposits(planted: Sequence[Mapping[str, object]]) -> tuple[Deposit, ...]:
    """The deposits that a S.truth.json states, the largest first; those that touch are one. Outlines are in um from the
    canvas' top left. Raises one of DAMAGE where one isn't stated as it should be."""
    outlines = shapely.MultiPolygon([planted_outline(deposit) for deposit in planted])
    sizes = [finite(deposit["diameter_um"]) for deposit in planted]
    measured = measure_polygons(outlines, Spacing.square(1.0), joining_gap_um=Micrometers(0.0))
    return tuple(_as_planted(one, sizes) for one in measured)


def planted_outline(deposit: Mapping[str, object]) -> shapely.Polygon:
    """The outline in um of a deposit as a S.truth.json states it; one without an outline is a disc."""
    if "outline_um" in deposit:
        return shapely.Polygon(np.asarray(deposit["outline_um"], dtype=np.float64))
    centre, radius = np.array(point(cast("Sequence[object]", deposit["centre_um"]))), finite(deposit["diameter_um"]) / 2
    turn = np.arange(_CIRCLE_POINTS) * (2 * math.pi / _CIRCLE_POINTS)
    return shapely.Polygon(centre + radius * np.column_stack((np.cos(turn), np.sin(turn))))


def _rasterised(source: str, lesions: shapely.MultiPolygon, size_px: tuple[int, int] | None) -> LesionMask:
    """Rasterised straight at level 5: a pixel is tumour where its centre lies in a lesion."""
    level0, target = Spacing.square(1.0), Spacing.square(LEVEL_PX)
    if size_px is not None:
        _check_on_slide(source, lesions, size_px)
        shape = (math.ceil(size_px[1] / LEVEL_PX), math.ceil(size_px[0] / LEVEL_PX))
        return LesionMask(rasterise(lesions, shape, level0=level0, target=target), (0, 0), whole=True)
    if lesions.is_empty:
        return LesionMask(np.zeros((1, 1), dtype=np.bool_), (0, 0), whole=False)
    left, top, right, bottom = (bound / LEVEL_PX for bound in lesions.bounds)
    column, row = math.floor(left) - PAD_PX, math.floor(top) - PAD_PX
    shape = (math.ceil(bottom) + PAD_PX - row, math.ceil(right) + PAD_PX - column)
    moved = shapely.transform(lesions, lambda points: points - np.array([column, row]) * LEVEL_PX)
    return LesionMask(rasterise(moved, shape, level0=level0, target=target), (row, column), whole=False)


def _check_on_slide(source: str, lesions: shapely.MultiPolygon, size_px: tuple[int, int]) -> None:
    """Raise AnnotationError for a lesion off the slide: drawn on another slide or level, it can't be found."""
    for lesion in lesions.geoms:
        left, top, right, bottom = lesion.bounds
        if left >= size_px[0] or top >= size_px[1] or right <= 0 or bottom <= 0:
            raise AnnotationError(
                f"{source}: a lesion at {left:.0f}, {top:.0f} px lies off its slide of {size_px[0]} x "
                f"{size_px[1]} px; outlines are read in level-0 pixels of the same slide"
            )


def _read_mask(path: Path) -> NDArray[np.bool_]:
    """bool (H, W): 0 and 1, or 0 and 255, are both known; anything else is refused."""
    values = read_mask_image(path).values
    present = set(np.unique(values).tolist())
    if not (present <= {0, 1} or present <= {0, 255}):
        some = ", ".join(map(str, sorted(present)[:6]))
        raise AnnotationError(
            f"{path.name}: a mask holds 0 and 1, or 0 and 255, not {some}; save it without grey edges"
        )
    return values != 0


def _check_level(path: Path, shape: tuple[int, ...], size_px: tuple[int, int]) -> None:
    """Raise AnnotationError for a mask of another level or slide, whose lesions would be of another size and place."""
    width, height = (math.ceil(side / LEVEL_PX) for side in size_px)
    more = shape[0] - height, shape[1] - width
    if not all(-1 <= pixels <= PADDED_PX for pixels in more):
        raise AnnotationError(
            f"{path.name}: is {shape[1]} x {shape[0]} px, but at level 5 (a pixel for {LEVEL_PX} x {LEVEL_PX} of level "
            f"0) its slide has {width} x {height}; give the mask of that level and slide"
        )


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Outlined lesions, in level-0 px. Of planted ones: spacing of level 0, class, greatest diameters."""

    lesions: shapely.MultiPolygon
    spacing: Spacing | None = None
    label: Metastasis | None = None
    planted_um: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


def _read_truth(path: Path) -> _Drawn:
    try:
        content = cast("Mapping[str, object]", strict_json(found_bytes(path)))
        um_per_px, label = finite(content["um_per_px"]), CLASS_OF[cast("str", content["label"])]
        planted = cast("Sequence[Mapping[str, object]]", content["deposits"])
        shapes = [planted_outline(deposit) for deposit in planted]
        sizes = [finite(deposit["diameter_um"]) for deposit in planted]
        lesions = without(_in_px(shapes, um_per_px), shapely.MultiPolygon())  # raises for what crosses itself
    except (OSError, *DAMAGE) as error:
        raise AnnotationError(
            f"{path.name}: is no truth of planted deposits ({type(error).__name__}: {error}); make slide and "
            "truth again"
        ) from error
    return _Drawn(lesions, Spacing.square(um_per_px), label, tuple(sizes))


def _in_px(shapes: Sequence[shapely.Polygon], um_per_px: float) -> shapely.MultiPolygon:
    """The planted outlines, given in um, in level-0 px. Raises ValueError where they lie where no slide is."""
    if um_per_px <= 0:
        raise ValueError(f"{um_per_px:g} is no pixel size")
    in_px = shapely.transform(shapely.MultiPolygon(shapes), lambda points: points / um_per_px)
    if not (np.abs(shapely.get_coordinates(in_px)) <= FARTHEST_PX).all():
        raise ValueError("a deposit lies where no slide is")
    return in_px


def _as_planted(deposit: Deposit, sizes_um: Sequence[float]) -> Deposit:
    """With the size that was planted, where its outline, which is rounded, has that: 200 um are not above 0.2 mm."""
    size = _planted_um(deposit.diameter_um, sizes_um)
    if size is None:
        return deposit
    return replace(deposit, diameter_um=Micrometers(size), metastasis=classify(Micrometers(size)))


def _planted_um(size_um: float, sizes_um: Sequence[float]) -> float | None:
    """The planted size that a measured one is; None where it is none of them."""
    return next((size for size in sizes_um if abs(size - size_um) <= _ROUNDED_UM), None)
