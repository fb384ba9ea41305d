"""Finds tissue on a low-magnification view of a slide and says what else it left out; when in doubt, it keeps."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from nodescan.domain.maps import Glass, TissueMask
from nodescan.domain.units import Limits, Spacing, check_limits
from nodescan.imaging.components import components, picked, windows
from nodescan.imaging.glass import DENSEST, find_glass, optical_density
from nodescan.imaging.ink import WIDEST_UM, InkSettings, dense_marks, find_ink
from nodescan.imaging.missing_data import dark_pixels
from nodescan.imaging.morphology import at_border, closed, dilated, enclosed, large, opened
from nodescan.imaging.unscanned import beside_tissue, gaps_and_cuts, unscanned

_UM2_PER_MM2 = 1e6

COARSEST_VIEW_UM = 64.0
"""A fragment of 0.004 mm2 is one pixel then."""


@dataclass(frozen=True, slots=True)
class TissueSettings:
    """What counts as tissue. Densities are optical densities (log10) over the slide's own glass.

    working_um: the view is averaged to about this pixel size, which takes out noise and makes shapes cheap.
    assumed_glass: grey level taken for the glass of a view that shows none.
    glass_min_share: glass must cover at least this share of the view to be believed.
    min_colour_density: difference between two channels' densities from which a pixel is stained.
    max_colour_density: the same where the glass itself is noisy: the limit follows the noise, up to here.
    min_colour_ratio: stained pixels also have at least this difference per mean density; less is a shadow.
    min_grey_density: mean density from which a colourless pixel is more than glass.
    closing_um: gaps up to this width inside or between tissue (fat cells) belong to it.
    max_hole_mm2: holes up to this size (fat lobules, vessels) belong to the tissue around them.
    margin_um: rim added around tissue, so that no cell at its border is cut off.
    min_fragment_mm2: smaller fragments are left out as "small".
    edge_width_um: colourless marks thinner than this, or on the border of the view, are an "edge".
    flag_area_mm2: more than this left out for one reason is flagged.
    flag_piece_mm2: a colourless piece larger than this is flagged, too.
    """

    working_um: Annotated[float, Limits(1, COARSEST_VIEW_UM)]
    assumed_glass: Annotated[int, Limits(1, 255)]
    glass_min_share: Annotated[float, Limits(0, 1)]
    min_colour_density: Annotated[float, Limits(0.001, DENSEST)]
    max_colour_density: Annotated[float, Limits(0.001, DENSEST)]
    min_colour_ratio: Annotated[float, Limits(0, 1)]
    min_grey_density: Annotated[float, Limits(0.001, DENSEST)]
    closing_um: Annotated[float, Limits(0, WIDEST_UM)]
    max_hole_mm2: Annotated[float, Limits(0, 100)]
    margin_um: Annotated[float, Limits(0, WIDEST_UM)]
    # 0.03 mm2 is a disc of 0.2 mm: no fragment with more in it than isolated tumour cells is lost
    min_fragment_mm2: Annotated[float, Limits(0, 0.03)]
    edge_width_um: Annotated[float, Limits(0, WIDEST_UM)]
    flag_area_mm2: Annotated[float, Limits(0, 100)]
    flag_piece_mm2: Annotated[float, Limits(0, 100)]
    ink: InkSettings

    def __post_init__(self) -> None:
        check_limits(self)
        if self.min_colour_density > self.max_colour_density:
            raise ValueError("min_colour_density can't be above max_colour_density")


@dataclass(frozen=True, slots=True)
class _View:
    """density : float32 (3, H, W), optical density of R, G, B over the glass, >= 0, at um_per_px.

    glass, outside : bool (H, W), surely empty and never scanned. glass_colour: None where there is no glass.
    has_colour: False for a greyscale scan.
    """

    density: NDArray[np.float32]
    glass: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    glass_colour: Glass
    has_colour: bool
    um_per_px: float


def find_tissue(overview: NDArray[np.uint8], spacing: Spacing, settings: TissueSettings) -> TissueMask:
    """Tissue of a whole slide or a part of it.

    overview : uint8 (H, W, 3) RGB at `spacing` (about 8 um/px). The mask has its height, width and spacing.
    Stain differs from glass, shadow and dust by its colour, relative to the slide's own glass and above an absolute
    minimum. A threshold from the histogram would call noise tissue on an empty slide, and tissue glass on a full one.
    What is neither glass nor tissue goes to `excluded`: pen, edge, debris, small. Tissue under ink, or under marks as
    solid or as dense as ink, is `hidden`; slivers of it smaller than a fragment are taken for tissue. Raises ValueError
    for an array of another kind or shape.
    """
    if overview.ndim != 3 or overview.shape[2] != 3 or overview.dtype != np.uint8 or 0 in overview.shape:
        raise ValueError(f"an overview is uint8 (H, W, 3), not {overview.dtype} {overview.shape}")
    factor = max(1, round(settings.working_um / spacing.mean))
    view = _view(overview, factor, spacing, settings)
    classes = _classes(view, settings)
    areas = _areas(view, classes, settings)

    def whole(mask: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """As large as the overview; None for an empty one."""
        return _enlarged(mask, factor, (overview.shape[0], overview.shape[1])) if mask.any() else None

    left_out = ((reason, whole(mask)) for reason, mask in _left_out(view, classes, areas, settings))
    return TissueMask(
        _enlarged(areas.tissue, factor, (overview.shape[0], overview.shape[1])),
        spacing,
        excluded=tuple((reason, mask) for reason, mask in left_out if mask is not None),
        dark=dark_pixels(overview, view.glass_colour),
        hidden=whole(areas.hidden),
        unseen=whole(areas.gaps),
        unscanned=whole(view.outside),
        cut=whole(areas.cuts),
        inked=whole(areas.inked),
        glass=view.glass_colour,
    )


@dataclass(frozen=True, slots=True)
class _Classes:
    """What pixels look like, bool (H, W), disjoint. grey: colourless, but denser than glass."""

    stained: NDArray[np.bool_]
    grey: NDArray[np.bool_]
    ink: NDArray[np.bool_]


def _classes(view: _View, settings: TissueSettings) -> _Classes:
    stained, grey = _stained(view, settings)
    stained = _without_border_lines(stained)
    ink = find_ink(view.density, stained, view.um_per_px, settings.ink) & ~view.outside
    return _Classes(stained & ~ink, grey & ~ink, ink)


@dataclass(frozen=True, slots=True)
class _Areas:
    """Where tissue is and goes on, bool (H, W).

    tissue: with its margin, slivers under marks and gaps in it. pen: ink that hides no tissue. hidden, gaps, cuts,
    inked: as TissueMask's hidden, unseen, cut and inked.
    """

    tissue: NDArray[np.bool_]
    pen: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    gaps: NDArray[np.bool_]
    cuts: NDArray[np.bool_]
    inked: NDArray[np.bool_]


def _areas(view: _View, classes: _Classes, settings: TissueSettings) -> _Areas:
    um, ink, outside = view.um_per_px, classes.ink, view.outside
    body = _join(_without_specks(classes.stained), um, settings) & ~ink & ~outside
    smallest_px = settings.min_fragment_mm2 * _UM2_PER_MM2 / um**2
    kept = large(body, smallest_px)
    stained = kept & classes.stained
    solid = _solid_at_tissue(classes.grey & ~body, stained, view, settings.ink)
    dense = dense_marks(view.density[1], um) & ~ink & ~outside
    # The mark's own paler rim is not tissue: otherwise a mark on glass would count as enclosed.
    seen = kept & ~dilated(dense, settings.ink.rim_um, um)
    under = enclosed(ink | solid | dense, seen, settings.ink.hiding_um, um)
    hidden, pen = large(under, smallest_px), ink & ~under
    gaps, cuts = gaps_and_cuts(outside, stained, um, settings.ink.hiding_um)
    beside = dilated(seen & classes.stained, settings.ink.rim_um, um)
    return _Areas(
        tissue=(dilated(kept, settings.margin_um, um) | under) & ~hidden & ~pen & ~outside | gaps,
        pen=pen,
        hidden=hidden,
        gaps=gaps,
        cuts=cuts,
        inked=beside_tissue((ink | solid) & ~under, stained, um) | beside_tissue(dense & ~under, beside, um),
    )


def _left_out(
    view: _View, classes: _Classes, areas: _Areas, settings: TissueSettings
) -> tuple[tuple[str, NDArray[np.bool_]], ...]:
    """What is neither glass nor tissue, by reason; each bool (H, W)."""
    wanted = areas.tissue | areas.hidden
    grey = classes.grey & ~wanted
    edge = _edges(grey, view.um_per_px, settings.edge_width_um)
    small = classes.stained & ~wanted
    return ("pen", areas.pen), ("edge", edge), ("debris", grey & ~edge), ("small", small)


def large_exclusions(mask: TissueMask, settings: TissueSettings) -> tuple[tuple[str, float], ...]:
    """Each reason that left out more than settings.flag_area_mm2, with its area in mm2.

    For debris a single piece above settings.flag_piece_mm2 is enough, because it may be unstained tissue.
    """
    areas = ((reason, mask.excluded_area_um2(reason) / _UM2_PER_MM2, where) for reason, where in mask.excluded)
    pixel_mm2 = mask.spacing.pixel_area_um2 / _UM2_PER_MM2
    return tuple(
        (reason, area_mm2)
        for reason, area_mm2, where in areas
        if area_mm2 > settings.flag_area_mm2
        or (
            reason == "debris"
            and area_mm2 > settings.flag_piece_mm2
            and _largest_px(where) * pixel_mm2 > settings.flag_piece_mm2
        )
    )


def _largest_px(mask: NDArray[np.bool_]) -> int:
    """Pixels of the largest part of `mask`, bool (H, W)."""
    labels, _ = components(mask)
    return int(np.bincount(labels[mask]).max(initial=0))


def _view(overview: NDArray[np.uint8], factor: int, spacing: Spacing, settings: TissueSettings) -> _View:
    pixels = np.asarray(Image.fromarray(overview).reduce(factor)) if factor > 1 else overview
    channels = [np.ascontiguousarray(pixels[..., index]) for index in range(3)]
    lightest, darkest = np.maximum.reduce(channels), np.minimum.reduce(channels)
    colour, glass = find_glass(channels, lightest, darkest, settings.glass_min_share)
    density = optical_density(channels, colour or (settings.assumed_glass,) * 3)
    um_per_px = factor * spacing.mean
    # A greyscale scan shows at most rounding between its channels; JPEG at quality 75 leaves up to 3 levels. On a large
    # glass the least fragment is a smaller share than on a small view.
    coloured_px = np.count_nonzero(lightest - darkest > 3)
    has_colour = coloured_px > min(1e-4 * lightest.size, settings.min_fragment_mm2 * _UM2_PER_MM2 / um_per_px**2)
    faint = density.mean(axis=0) <= settings.min_grey_density
    outside = unscanned(lightest, darkest, colour, faint, has_colour=bool(has_colour))
    return _View(density, glass, outside, colour, has_colour, um_per_px)


def _stained(view: _View, settings: TissueSettings) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(stained, colourless but denser than glass), both bool (H, W), disjoint; a greyscale scan is all stained."""
    mean = view.density.mean(axis=0)
    dense = (mean > settings.min_grey_density) & ~view.outside
    if not view.has_colour:
        return dense, np.zeros_like(dense)
    colour = view.density.max(axis=0) - view.density.min(axis=0)
    # Between three noisy channels the median difference is 1.6 sigma; 3.2 medians, 5 sigma, leave 1 pixel in 1,000.
    noise = 3.2 * float(np.median(colour[view.glass])) if view.glass.any() else 0.0
    limit = min(max(settings.min_colour_density, noise), settings.max_colour_density)
    stained = (colour > limit) & (colour > settings.min_colour_ratio * mean) & ~view.outside
    return stained, dense & ~stained


def _solid_at_tissue(
    grey: NDArray[np.bool_], stained: NDArray[np.bool_], view: _View, settings: InkSettings
) -> NDArray[np.bool_]:
    """Solid colourless marks that tissue runs into: they hide it as ink does.

    Worn black ink, a fold, soot, or a part of the slide that a converter painted black. grey, stained : bool (H, W).
    """
    size = max(1, round(settings.stroke_um / view.um_per_px))
    core = opened(grey & (view.density.mean(axis=0) >= settings.min_density), size)
    solid = grey & dilated(core, settings.rim_um, view.um_per_px)
    beside = beside_tissue(solid, stained, view.um_per_px)
    return ndimage.binary_propagation(beside, np.ones((3, 3), np.bool_), mask=solid) if beside.any() else beside


def _without_specks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`mask` without lone pixels: noise leaves them, and a closing would join them."""
    neighbours = ndimage.uniform_filter(mask.astype(np.float32), 3, mode="nearest")
    return mask & (neighbours > 1.5 / 9)


def _without_border_lines(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`mask` without lines of one pixel along the border of the view. No tissue looks like that. But tinted glass seems
    stained in the last pixels of a JPEG, which share their colour with the filling of their tile."""
    goes_on = np.ones_like(mask)
    if min(mask.shape) > 1:
        for border, inner in ((0, 1), (-1, -2)):
            goes_on[border] &= mask[inner]
            goes_on[:, border] &= mask[:, inner]
    return mask & goes_on


def _join(stained: NDArray[np.bool_], um_per_px: float, settings: TissueSettings) -> NDArray[np.bool_]:
    """Closes gaps as wide as fat cells, then fills holes up to max_hole_mm2."""
    whole = closed(stained, settings.closing_um, um_per_px)
    labels, count = components(~whole, corners=False)
    if count == 0:
        return whole
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    hole = areas <= settings.max_hole_mm2 * _UM2_PER_MM2 / um_per_px**2
    hole[at_border(labels)] = False
    return whole | picked(labels, hole)


def _edges(mask: NDArray[np.bool_], um_per_px: float, width_um: float) -> NDArray[np.bool_]:
    """Parts of `mask` that are long and thin, or that lie along the border of the view."""
    labels, count = components(mask)
    is_edge = np.zeros(count + 1, dtype=np.bool_)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    for index, place in enumerate(windows(labels), start=1):
        length_px = max(place[0].stop - place[0].start, place[1].stop - place[1].start)
        border = any(side.start == 0 or side.stop == limit for side, limit in zip(place, mask.shape, strict=True))
        thin = areas[index] * um_per_px <= width_um * length_px
        is_edge[index] = (thin and length_px * um_per_px >= 5 * width_um) or border
    return is_edge[labels]


def _enlarged(mask: NDArray[np.bool_], factor: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
    return mask if factor == 1 else mask.repeat(factor, axis=0).repeat(factor, axis=1)[: shape[0], : shape[1]]
