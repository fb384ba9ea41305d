"""What `nodescan measure` says where a file states other sizes of its outlines than are measured there."""

from collections.abc import Sequence

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
        near = sorted(tree.query(size.outline, predicate="intersects").tolist())
        measured = [deposits[index] for index in near if _overlap(size.outline, shapes[index])]
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
    said = f"{size.name}: the file states this as one deposit of {millimetres(size.diameter_um)} mm ({stated.word}"
    if len(measured) > 1 and is_one:
        return (
            f"{said}), joined across a gap; measured here as {len(measured)} separate foci, the largest "
            f"{millimetres(largest_um)} mm ({found.word})"
        )
    if stated is found:
        return ""
    return (
        f"{said}), measured here as {millimetres(largest_um)} mm ({found.word}): another class; check that the spacing "
        "given is the slide's, and whether the outlines were edited since"
    )


def _overlap(outline: shapely.Geometry, shape: shapely.Geometry) -> bool:
    """Whether they share an area: foci of two features that touch at a corner are none of each other's."""
    parts = shapely.get_parts(outline)
    return any(shapely.intersects(part, shape) and shapely.intersection(part, shape).area > 0 for part in parts)
