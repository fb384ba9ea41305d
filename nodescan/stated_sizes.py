"""What `nodescan measure` says where a file states other sizes of its outlines than are measured there."""

from collections.abc import Sequence

import numpy as np
import shapely
from shapely import affinity

from nodescan.annotations.stated import StatedSize
from nodescan.domain.classification import classify
from nodescan.domain.deposits import Deposit
from nodescan.domain.lengths import millimetres
from nodescan.domain.naming import how_many
from nodescan.domain.units import Spacing
from nodescan.imaging.sizing import to_shape

STATED_TOLERANCE = 0.05
"""A given spacing further than this share from the one that goes with the diameters a file states is remarked upon. Not
MPP_TOLERANCE: x and y may differ a little."""

_SAME_SHARE = 0.01
"""A deposit that is longer or shorter by more than this isn't the outline alone. x and y may differ a little."""

_MOST_TOLD = 5
"""Of a file of hundreds of outlines, given with a wrong spacing, these are enough to see it."""


def stated_size_notes(sizes: Sequence[StatedSize], deposits: Sequence[Deposit], spacing: Spacing) -> tuple[str, ...]:
    """A sentence for each outline that is measured as several foci, or as of another class, than the file states.

    deposits: as measured in the same outlines, in um; spacing: um per px of these. By size alone, as cells aren't
    counted here (clinical-rules 1).
    """
    shapes = [affinity.scale(to_shape(one.outline), 1 / spacing.x, 1 / spacing.y, origin=(0, 0)) for one in deposits]
    tree = shapely.STRtree(shapes)
    said: list[str] = []
    for size in sizes:
        parts = shapely.get_parts(size.outline)
        of_part, near = tree.query(parts, predicate="intersects")
        shared = shapely.area(shapely.intersection(parts[of_part], tree.geometries[near]))
        measured = [deposits[index] for index in np.unique(near[shared > 0])]  # 0: foci that touch at a corner
        if note := _note(size, measured, spacing):
            said.append(note)
    more = len(said) - _MOST_TOLD
    if more > 0:
        return (*said[:_MOST_TOLD], f"so are {how_many(more, 'more outline')}: as several foci, or of another class")
    return tuple(said)


def _note(size: StatedSize, measured: Sequence[Deposit], spacing: Spacing) -> str:
    """Nothing of an outline of which an exclusion left nothing: that has a note of its own."""
    if not measured:
        return ""
    largest_um = max(deposit.diameter_um for deposit in measured)
    stated, found = classify(size.diameter_um), classify(largest_um)
    is_one = abs(spacing.mean / size.um_per_px - 1) <= STATED_TOLERANCE
    said = f"{size.name}: the file states this as one deposit of {millimetres(size.diameter_um)} mm ({stated.word}), "
    as_found = f"{millimetres(largest_um)} mm ({found.word})"
    if len(measured) > 1 and is_one:
        joined = len(shapely.get_parts(size.outline)) > 1
        why = "joined across a gap" if joined else "and exclusions part it"
        return f"{said}{why}; measured here as {len(measured)} separate foci, the largest {as_found}"
    if stated is found:
        return ""
    alone_um = size.diameter_um * spacing.mean / size.um_per_px
    if is_one and abs(largest_um / alone_um - 1) > _SAME_SHARE:
        return f"{said}measured here as {as_found}: another class, by exclusions or other outlines that touch it"
    return (
        f"{said}measured here as {as_found}: another class; check that the spacing given is the slide's, and whether "
        "the outlines were edited since"
    )
