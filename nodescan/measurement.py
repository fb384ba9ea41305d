"""ONE MASK OR OUTLINE FILE, FROM FILE TO MEASURED DEPOSITS: what `nodescan measure` does, with no network involved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from nodescan.annotations import read_outlines
from nodescan.annotations.exclusions import united
from nodescan.annotations.formats import outline_format
from nodescan.annotations.stated import spacing_of_sizes
from nodescan.domain.class_bounds import lowest_by_size
from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit, largest_class
from nodescan.domain.doubts import dispersed_flags, joining_gap_flags
from nodescan.domain.flags import Flag
from nodescan.domain.lengths import two_digits
from nodescan.domain.naming import deposits_do, few, how_many
from nodescan.domain.slide import LARGEST_ASPECT, LONGEST_SIDE_UM, SpacingSource
from nodescan.domain.units import Micrometers, Spacing
from nodescan.domain.verdict import conclude, deposit_flags
from nodescan.errors import AnnotationError, UsageError
from nodescan.imaging.components import components
from nodescan.imaging.doubts import outline_gap_readings
from nodescan.imaging.masks import fill_holes, measure_filled, measure_polygons, stretches_of
from nodescan.imaging.sizing import to_shape
from nodescan.mask_images import STAND_IN_NOTE, MaskImage, check_values, read_mask_image
from nodescan.stated_sizes import STATED_TOLERANCE, StatedDeposits, stated_deposits, stated_notes

FINEST_GIVEN_UM, COARSEST_GIVEN_UM = 0.05, 100.0
"""A given spacing outside this range of um/px is a slip of units: below is finer than light resolves, and above
a pixel is half as wide as the limit of isolated tumour cells, so that no class could be told."""

COARSEST_OUTLINE_UM = 5.0
"""The same for outlines, which ASAP and QuPath draw in pixels of level 0, 0.2 to 1 um; other tools on pictures reduced
up to about x16."""

MPP_TOLERANCE = 0.02
"""A given spacing further from the file's own than this share is remarked upon."""

_MOST_PIECES, _MOST_STRETCHES = 200_000, 2_000_000
"""Of a mask's tumour, see stretches_of: about a minute, and 3 GB at the most. Masks of 64,000 specks have less."""

_SAME_PX = 0.01
"""Rounding alone leaves so much between an outline and its own copy."""

_EDGE = {
    False: "at the edge of the mask and may be larger. Measure under the microscope, or measure a mask that shows what "
    "lies beyond.",
    True: "where examination or scan ended, as the file states, and may be larger. Measure under the microscope, or "
    "scan what is missing.",
}
"""Of deposits that are cut off in a mask (False) and in outlines (True): where they lie, and what to do."""

CUT_NOT_STATED = "outlines don't say what lies beyond them: if tumour goes on there, size and class are lower bounds"
"""Said of a file of outlines that isn't nodescan's own."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is measured in one file.

    spacing: of its pixels; spacing_source: FILE (OME-XML), TIFF (resolution tags) or USER (--mpp); metastasis: the
    class of the largest deposit, by size alone, as cells are not counted; notes: sentences that the reader of the sizes
    must see. as_stated: the uncertainties hold what the file states of them, and aren't those of the outlines alone.
    flags: what size alone leaves open, as a slide's report has it. scale_doubted: the file contradicts the pixel size,
    or states one that programs write when they don't know it, so that sizes may be lower, too.
    """

    source: Path
    spacing: Spacing
    spacing_source: SpacingSource
    deposits: tuple[Deposit, ...]
    metastasis: Metastasis
    notes: tuple[str, ...]
    as_stated: bool = False
    flags: tuple[Flag, ...] = ()
    scale_doubted: bool = False

    @property
    def largest_deposit_um(self) -> Micrometers | None:
        return self.deposits[0].diameter_um if self.deposits else None

    @property
    def at_least(self) -> bool:
        """Whether the class is a lower bound, because a deposit is cut off: by the rule for a slide."""
        return conclude(self.deposits, tissue_found=True, all_examined=True, classifiable=True).at_least

    @property
    def class_word(self) -> str:
        """The class in words: "at least micro" where a higher one alone is possible, "micro as measured" where a lower
        one is, too."""
        if not self.at_least:
            return self.metastasis.word
        holds = lowest_by_size(self.deposits) >= self.metastasis and not self.scale_doubted
        return f"at least {self.metastasis.word}" if holds else f"{self.metastasis.word} as measured"

    @property
    def size_at_least(self) -> bool:
        """Whether the largest size, within its uncertainty, is a lower bound, because a deposit is cut off."""
        return any(deposit.cut_off for deposit in self.deposits) and not self.scale_doubted


def measure_file(path: Path, *, mpp: Spacing | None, value: int | None, joining_gap_um: Micrometers) -> Measurement:
    """The deposits in a mask image, an ASAP XML or a QuPath GeoJSON file, the largest first.

    mpp: um/px of the image, or of the level-0 pixels that outlines are drawn in; needed unless a TIFF says it.
    value: which pixel value is tumour (None: all but 0). Raises UsageError where the command must say more or
    less, AnnotationError where the file can't be used.
    """
    outlines = outline_format(path) is not None
    coarsest_um = COARSEST_OUTLINE_UM if outlines else COARSEST_GIVEN_UM
    if mpp is not None and not all(FINEST_GIVEN_UM <= side <= coarsest_um for side in (mpp.x, mpp.y)):
        given = " x ".join(f"{side:g}" for side in dict.fromkeys((mpp.x, mpp.y)))
        raise UsageError(
            f"--mpp: {given} can't be the um per pixel of {path.name}; "
            f"give a number between {FINEST_GIVEN_UM:g} and {coarsest_um:g}"
        )
    measure = _measure_outlines if outlines else _measure_image
    measured = measure(path, mpp, value, joining_gap_um)
    check_possible(path.name, measured.deposits)
    flags = _flags(measured.deposits, joining_gap_um)
    return replace(measured, flags=(*_cut_off_flags(measured.deposits, _EDGE[outlines]), *flags))


def check_possible(name: str, deposits: tuple[Deposit, ...]) -> None:
    """Raises AnnotationError where a deposit is longer than any glass slide. name: of their file."""
    longest = max(deposits, key=lambda deposit: deposit.diameter_um, default=None)
    if longest is not None and longest.diameter_um > LONGEST_SIDE_UM:
        left, top = longest.centre_um
        raise AnnotationError(
            f"{name}: a deposit would be {longest.diameter_um / 1000:.1f} mm long, its centre at x {left / 1000:.0f} "
            f"and y {top / 1000:.0f} mm, but no slide is longer than {LONGEST_SIDE_UM / 1000:.0f} mm; look for a "
            "corner far off, an inverted mask or a wrong pixel size, and measure again"
        )


def check_measurable(name: str, whole: NDArray[np.bool_]) -> None:
    """Raises AnnotationError where a mask without holes, bool (H, W), is no outline of anything: measuring it would
    take hours, or all memory. name: of its file."""
    stretches = stretches_of(whole)
    _, pieces = components(whole, corners=False) if stretches > _MOST_PIECES else (whole, 0)
    if pieces > _MOST_PIECES:
        said = f"{pieces:,} pieces, more than the {_MOST_PIECES:,} that are measured"
    elif stretches > _MOST_STRETCHES:
        said = f"{stretches:,} stretches of pixels in its rows, more than the {_MOST_STRETCHES:,} that are measured"
    else:
        return
    raise AnnotationError(
        f"{name}: its tumour is in {said}: a pattern or noise, not outlined tumour; remove it, or reduce the mask, and "
        "measure again"
    )


def _flags(deposits: tuple[Deposit, ...], joining_gap_um: Micrometers) -> tuple[Flag, ...]:
    """Sizes near a limit, cells that nobody counted, foci that may belong together.

    (clinical-rules 1 to 3)
    """
    gaps = joining_gap_flags(outline_gap_readings(deposits, joining_gap_um))
    return (*deposit_flags(deposits), *dispersed_flags(deposits), *gaps)


def _cut_off_flags(deposits: tuple[Deposit, ...], edge: str) -> tuple[Flag, ...]:
    ids = [deposit.id for deposit in deposits if deposit.cut_off]
    if not ids:
        return ()
    return (Flag("deposit_cut_off", f"{deposits_do(ids, 'lie')} {edge}"),)


def _measure_outlines(path: Path, mpp: Spacing | None, value: int | None, joining_gap_um: Micrometers) -> Measurement:
    if value is not None:
        raise UsageError(f"{path.name}: --value picks a pixel value of a mask image; an outline file has none")
    outlines = read_outlines(path)
    if mpp is None:
        raise UsageError(
            f"{path.name}: outlines are in pixels and their pixel size is not in the file; give it with --mpp UM"
        )
    lesions = outlines.lesions()
    drawn = measure_polygons(lesions, mpp, joining_gap_um=joining_gap_um)
    found = stated_deposits(outlines.stated, drawn, mpp)
    deposits = _as_stated(drawn, found)
    own = [one for one in found if one.size.said.uncertainty_um is not None]
    said = united([shapely.buffer(one.size.outline, _SAME_PX) for one in own])
    sure = {number for one in own for number in one.fitting}
    as_stated = bool(drawn) and all(one.id in sure for one in drawn) and lesions.within(said)
    notes = outlines.notes + stated_notes(found, mpp)
    notes += (CUT_NOT_STATED,) if drawn and not as_stated else ()
    stated = spacing_of_sizes(outlines.stated)
    doubted = stated is not None and abs(mpp.mean / stated - 1) > STATED_TOLERANCE
    if doubted:
        contradiction = f"go with {stated:.4g} um/px, or the outlines were edited since; measured with {mpp.mean:.4g}"
        notes += (f"the diameters that the file states {contradiction} as given",)
    worst = largest_class(deposits)
    return Measurement(path, mpp, SpacingSource.USER, deposits, worst, notes, as_stated, scale_doubted=doubted)


def _as_stated(drawn: Sequence[Deposit], found: Sequence[StatedDeposits]) -> tuple[Deposit, ...]:
    """Each with the largest uncertainty that the file states of it beside the drawing's own (root of squares), and cut
    off where the file states that of any of its outlines.

    A deposit stays cut off where it is another now: the file doesn't say where it was, and a lower bound must not be
    lost.
    """
    stated_um = dict.fromkeys((deposit.id for deposit in drawn), 0.0)
    for one in found:
        for number in one.fitting:
            stated_um[number] = max(stated_um[number], one.size.said.uncertainty_um or 0.0)
    cut_off = {deposit.id for one in found if one.size.said.cut_off for deposit in one.deposits}
    return tuple(
        replace(
            deposit,
            diameter_uncertainty_um=Micrometers(math.hypot(deposit.diameter_uncertainty_um, stated_um[deposit.id])),
            cut_off=deposit.id in cut_off,
        )
        for deposit in drawn
    )


def _measure_image(path: Path, mpp: Spacing | None, value: int | None, joining_gap_um: Micrometers) -> Measurement:
    picture = read_mask_image(path)
    own = picture.described or picture.tags
    spacing = mpp or own
    if spacing is None:
        why = "the file does not say how large a pixel is"
        if picture.print_dpi is not None:
            why = f"the file states {picture.print_dpi} dots per inch, as for printing, not how large a pixel is"
        raise UsageError(f"{path.name}: {why}; give it with --mpp UM")
    if mpp is None:
        _check_spacing(path, picture, spacing)
    mask, notes = _mask_in(path, picture, value)
    doubted = mpp is None and picture.stand_in
    notes += (STAND_IN_NOTE,) if doubted else ()
    if mpp is not None and own is not None and _differ(mpp, own):
        notes += (f"the file says {own.x:.4g} x {own.y:.4g} um/px; measured with {mpp.x:.4g} x {mpp.y:.4g} as given",)
    whole, filled_px, pieces = fill_holes(mask)
    check_measurable(path.name, whole)
    measured = measure_filled(whole, spacing, joining_gap_um=joining_gap_um)
    deposits = tuple(replace(deposit, cut_off=_at_edge(deposit, mask, spacing)) for deposit in measured)
    of_file = SpacingSource.TIFF if picture.described is None else SpacingSource.FILE
    source = of_file if mpp is None else SpacingSource.USER
    notes += _hole_notes(filled_px * spacing.x * spacing.y, pieces)
    return Measurement(path, spacing, source, deposits, largest_class(deposits), notes, scale_doubted=doubted)


def _hole_notes(filled_um2: float, pieces: int) -> tuple[str, ...]:
    """What filling the holes of a mask did; pieces: of tumour that lay in them."""
    if not filled_um2:
        return ()
    area = f"{two_digits(filled_um2 / 1e6)} mm2" if filled_um2 >= 1000 else f"{two_digits(filled_um2)} um2"
    lay = f"; {how_many(pieces, 'separate piece')} lay in them, now part of the deposit around" if pieces else ""
    return (f"holes of the mask were filled: {area} that is not marked counts as tumour{lay}",)


def _check_spacing(path: Path, picture: MaskImage, spacing: Spacing) -> None:
    """Raises UsageError where the file contradicts its own pixel size: a wrong one makes every size wrong."""
    height, width = picture.values.shape
    if picture.described_px is not None and picture.described_px != (width, height):
        across, down = picture.described_px
        raise UsageError(
            f"{path.name}: its OME-XML states {across:,} x {down:,} px, but the mask has {width:,} x {height:,}; it is "
            "a reduced or cut copy whose pixels may have another size; find out their size, and give it with --mpp UM"
        )
    other = picture.tags
    if other is not None and _differ(spacing, other):
        raise UsageError(
            f"{path.name}: the file states {spacing.x:.4g} x {spacing.y:.4g} um/px (OME-XML) and {other.x:.4g} x "
            f"{other.y:.4g} um/px (resolution tags); only one can be right, and every size depends on it; find out "
            "which is right, and give it with --mpp UM"
        )
    if spacing.aspect > LARGEST_ASPECT:
        raise UsageError(
            f"{path.name}: the file states {spacing.x:.4g} x {spacing.y:.4g} um/px; x and y differ by more than a "
            "scanner's do, so no single number fits both; fix the resolution in the file's tags or save the mask "
            "again, or give both with --mpp XxY if you know that they are right"
        )


def _at_edge(deposit: Deposit, mask: NDArray[np.bool_], spacing: Spacing) -> bool:
    """Whether the deposit's outline, along the edges of pixels, reaches that of the mask, bool (H, W)."""
    left, top, right, bottom = to_shape(deposit.outline).bounds
    height, width = mask.shape
    return min(left, top) <= 0 or round(right / spacing.x) == width or round(bottom / spacing.y) == height


def _mask_in(path: Path, picture: MaskImage, value: int | None) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    values, present = picture.values, check_values(path, picture, picked=value is not None)
    listed = few(present.tolist(), 8)
    if value is not None:
        if value not in present:
            raise AnnotationError(f"{path.name}: no pixel has the value {value}; the file holds {listed}")
        return values == value, picture.notes
    tumour = values != 0
    notes = picture.notes
    if len(present[present != 0]) > 1:
        notes += (f"the mask holds the values {listed}: all but 0 count as tumour; pick one with --value",)
    if np.count_nonzero(tumour) > tumour.size / 2:
        notes += ("more than half of the image is tumour: is the mask inverted?",)
    return tumour, notes


def _differ(one: Spacing, other: Spacing) -> bool:
    return any(abs(a / b - 1) > MPP_TOLERANCE for a, b in ((one.x, other.x), (one.y, other.y)))
