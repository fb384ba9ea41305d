"""The notes of `nodescan measure` on outlines for which the file states another size than is measured."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
import shapely
from shapely import affinity

from nodescan.annotations.stated import StatedSize
from nodescan.domain.classification import classify
from nodescan.domain.deposits import Deposit, largest_class
from nodescan.domain.geometry import max_feret
from nodescan.domain.lengths import millimetres, told_apart
from nodescan.domain.naming import how_many
from nodescan.domain.units import Spacing
from nodescan.imaging.sizing import to_shape

STATED_TOLERANCE = 0.05
"""A given spacing further than this share from the one that goes with the diameters a file states is remarked upon. Not
MPP_TOLERANCE: x and y may differ a little."""

_SAME_SHARE = 0.01
"""If a deposit's length differs from the outline's by more than this, it isn't the outline alone. x and y may differ a
little."""

_MOST_TOLD = 5
"""Of a file of hundreds of outlines, given with a wrong spacing, these are enough to see it."""


def fits(size: StatedSize, spacing: Spacing) -> bool:
    """Whether the outline has the diameter that is stated of it, or none is: else it was drawn anew, or the spacing is
    another, and what else is stated of its size is of another outline.

    A small edit, or a pixel size that is a little off, leaves the doubt about the size as large as it was.
    """
    stated_um = size.said.diameter_um
    return not stated_um or abs(_drawn_um(size, spacing) - stated_um) <= STATED_TOLERANCE * stated_um + spacing.mean


def _drawn_um(size: StatedSize, spacing: Spacing) -> float:
    """The greatest diameter of all its polygons as one."""
    return max_feret(shapely.get_coordinates(size.outline) * (spacing.x, spacing.y)).diameter_um


def stated_notes(sizes: Sequence[StatedSize], deposits: Sequence[Deposit], spacing: Spacing) -> tuple[str, ...]:
    """Sentences on each outline that is measured as several foci, or as of another class, than the file states, or of
    which its statements don't hold.

    deposits: as measured in the same outlines, in um; spacing: um per px of these. The class that goes with the stated
    size is by size alone. So is the measured one that a name is held against: cells or a reader may have given another.
    """
    tree = shapely.STRtree(in_pixels(deposits, spacing))
    found: list[tuple[StatedSize, list[Deposit]]] = []
    whole: list[bool] = []
    for size in sizes:
        parts = shapely.get_parts(size.outline)
        of_part, near = tree.query(parts, predicate="intersects")
        shared = shapely.area(shapely.intersection(parts[of_part], tree.geometries[near]))
        own = np.unique(near[shared > 0])  # 0: they touch at a corner
        found.append((size, [deposits[index] for index in own]))
        whole.append(shared.sum() >= (1 - _SAME_SHARE) * shapely.area(tree.geometries[own]).sum())
    told = _told(found, whole)
    by_size, by_outline, by_name = (
        [f"{name}: {note}" for name, (size, own) in zip(told, found, strict=True) if (note := say(size, own))]
        for say in (partial(_note, spacing=spacing), partial(_redrawn_note, spacing=spacing), _name_note)
    )
    return (
        *_first(by_size, "so are {}: as several foci, or of another class"),
        *_first(by_outline, "so are {}: edited, or of another pixel size"),
        *_first(by_name, "so are {}: named after another class"),
    )


def in_pixels(deposits: Sequence[Deposit], spacing: Spacing) -> list[shapely.Geometry]:
    """Their outlines in the pixels that they were drawn in."""
    return [affinity.scale(to_shape(one.outline), 1 / spacing.x, 1 / spacing.y, origin=(0, 0)) for one in deposits]


def _told(found: Sequence[tuple[StatedSize, Sequence[Deposit]]], whole: Sequence[bool]) -> list[str]:
    """What each outline is called in notes: by its row in the table of deposits; by its place in the file, too, where
    it is no deposit by itself. whole: whether it covers the deposits that it is part of."""
    shares = Counter(deposit.id for _, measured in found for deposit in measured)
    names: list[str] = []
    for (size, measured), covers in zip(found, whole, strict=True):
        ids = ", ".join(str(deposit.id) for deposit in measured)
        alone = covers and len(measured) == 1 and shares[measured[0].id] == 1
        names.append(f"deposit {ids}" if alone else f"{size.name} (deposit{'s' * (len(measured) > 1)} {ids})")
    return names


def _first(said: Sequence[str], others: str) -> tuple[str, ...]:
    more = len(said) - _MOST_TOLD
    return (*said[:_MOST_TOLD], others.format(how_many(more, "more outline"))) if more > 0 else tuple(said)


def _name_note(size: StatedSize, measured: Sequence[Deposit]) -> str:
    """Where its cells or a reader gave the outline another class than its size, or than the deposit it is part of."""
    found = largest_class(measured)
    if size.said.metastasis in (None, found) or not measured:
        return ""
    return f"the file calls it {size.said.metastasis.word}; {found.word} by the size measured here"


def _redrawn_note(size: StatedSize, measured: Sequence[Deposit], *, spacing: Spacing) -> str:
    """Which statements of the file still hold, and which don't, for an outline that was changed since."""
    said = size.said
    held = ["the ± that the file states is left out"] if said.uncertainty_um is not None else []
    held += ["the deposit still counts as cut off"] if said.cut_off else []
    if not (held and measured) or said.diameter_um is None or fits(size, spacing):
        return ""
    stated, drawn = told_apart(said.diameter_um, _drawn_um(size, spacing))
    return (
        f"the file states {stated} mm, and this outline is {drawn} mm long: it was edited, or the pixel size is "
        f"another; {', and '.join(held)}"
    )


def _note(size: StatedSize, measured: Sequence[Deposit], *, spacing: Spacing) -> str:
    """Nothing of an outline of which an exclusion left nothing: that has a note of its own."""
    stated_um, its_spacing = size.said.diameter_um, size.um_per_px
    if not measured or stated_um is None or its_spacing is None:
        return ""
    largest_um = max(deposit.diameter_um for deposit in measured)
    stated, found = classify(stated_um), classify(largest_um)
    is_one = abs(spacing.mean / its_spacing - 1) <= STATED_TOLERANCE
    said = f"the file states this as one deposit of {millimetres(stated_um)} mm ({stated.word}), "
    as_found = f"{millimetres(largest_um)} mm ({found.word})"
    if len(measured) > 1 and is_one:
        joined = len(shapely.get_parts(size.outline)) > 1
        why = "joined across a gap" if joined else "and exclusions part it"
        return f"{said}{why}; measured here as {len(measured)} separate foci, the largest {as_found}"
    if stated is found:
        return ""
    alone_um = stated_um * spacing.mean / its_spacing
    if is_one and abs(largest_um / alone_um - 1) > _SAME_SHARE:
        return f"{said}measured here as {as_found}: another class, by exclusions or other outlines that touch it"
    return (
        f"{said}measured here as {as_found}: another class; check that the spacing given is the slide's, and whether "
        "the outlines were edited since"
    )
