"""The notes of `nodescan measure` on outlines for which the file states another size than is measured."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import shapely
from numpy.typing import NDArray
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


@dataclass(frozen=True, slots=True)
class StatedDeposits:
    """What is measured where an outline is: deposits, those that hold some of it; whole: whether it covers these.

    fitting: ids of those whose diameter is the one that is stated, or of all if none is. Of any other the outline was
    drawn anew, exclusions or other outlines changed it, or the spacing is another: what else is stated of its size is
    of another deposit. A small edit, or a pixel size that is a little off, leaves the doubt as large as it was.
    """

    size: StatedSize
    deposits: tuple[Deposit, ...]
    whole: bool
    fitting: frozenset[int]

    @property
    def changed(self) -> list[Deposit]:
        return [deposit for deposit in self.deposits if deposit.id not in self.fitting]


def stated_deposits(
    sizes: Sequence[StatedSize], deposits: Sequence[Deposit], spacing: Spacing
) -> tuple[StatedDeposits, ...]:
    """Of each outline what is measured there. deposits: as measured, in um; spacing: um per px of the outlines."""
    scaled = [affinity.scale(to_shape(one.outline), 1 / spacing.x, 1 / spacing.y, origin=(0, 0)) for one in deposits]
    tree = shapely.STRtree(scaled)
    found: list[StatedDeposits] = []
    for size in sizes:
        parts = shapely.get_parts(size.outline)
        of_part, near = tree.query(parts, predicate="intersects")
        shared = shapely.area(shapely.intersection(parts[of_part], tree.geometries[near]))
        own = np.unique(near[shared > 0])  # 0: they touch at a corner
        whole = shared.sum() >= (1 - _SAME_SHARE) * shapely.area(tree.geometries[own]).sum()
        fitting = [
            deposits[index].id
            for index in own
            if _fits(deposits[index], size, parts[np.unique(of_part[(near == index) & (shared > 0)])], spacing)
        ]
        found.append(StatedDeposits(size, tuple(deposits[index] for index in own), whole, frozenset(fitting)))
    return tuple(found)


def _fits(deposit: Deposit, size: StatedSize, parts: NDArray[np.object_], spacing: Spacing) -> bool:
    """Whether a deposit is as long as is stated of the outline; parts: its polygons, of which it holds some.

    What is stated is of all polygons as one, which were joined across a gap: of some of them it is as much less as they
    are shorter.
    """
    if not size.said.diameter_um:
        return True
    stated_um = size.said.diameter_um * _length_um(parts, spacing) / _length_um(size.outline, spacing)
    return abs(deposit.diameter_um - stated_um) <= STATED_TOLERANCE * stated_um + spacing.mean


def _length_um(outline: shapely.Geometry | NDArray[np.object_], spacing: Spacing) -> float:
    """The greatest diameter of all its polygons as one."""
    return max_feret(shapely.get_coordinates(outline) * (spacing.x, spacing.y)).diameter_um


def stated_notes(found: Sequence[StatedDeposits], spacing: Spacing) -> tuple[str, ...]:
    """Sentences on each outline that is measured as several foci, or as of another class, than the file states, or of
    which its statements don't hold.

    The class that goes with the stated size is by size alone. So is the measured one that a name is held against: cells
    or a reader may have given another.
    """
    told = _told(found)
    by_size, by_outline, by_name = (
        [f"{name}: {note}" for name, one in zip(told, found, strict=True) if (note := say(one))]
        for say in (partial(_note, spacing=spacing), partial(_changed_note, spacing=spacing), _name_note)
    )
    return (
        *_first(by_size, "so are {}: as several foci, or of another class"),
        *_first(by_outline, "so are {}: edited, or of another pixel size"),
        *_first(by_name, "so are {}: named after another class"),
    )


def _told(found: Sequence[StatedDeposits]) -> list[str]:
    """What each outline is called in notes: by its row in the table of deposits; by its place in the file, too, where
    it is no deposit by itself."""
    shares = Counter(deposit.id for one in found for deposit in one.deposits)
    names: list[str] = []
    for one in found:
        ids = ", ".join(str(deposit.id) for deposit in one.deposits)
        alone = one.whole and len(one.deposits) == 1 and shares[one.deposits[0].id] == 1
        names.append(f"deposit {ids}" if alone else f"{one.size.name} (deposit{'s' * (len(one.deposits) > 1)} {ids})")
    return names


def _first(said: Sequence[str], others: str) -> tuple[str, ...]:
    more = len(said) - _MOST_TOLD
    return (*said[:_MOST_TOLD], others.format(how_many(more, "more outline"))) if more > 0 else tuple(said)


def _name_note(one: StatedDeposits) -> str:
    """Where its cells or a reader gave the outline another class than its size, or than the deposit it is part of."""
    named, found = one.size.said.metastasis, largest_class(one.deposits)
    if named in (None, found) or not one.deposits:
        return ""
    return f"the file calls it {named.word}; {found.word} by the size measured here"


def _changed_note(one: StatedDeposits, *, spacing: Spacing) -> str:
    """Which statements of the file still hold, and which don't, for a deposit that was changed since."""
    said = one.size.said
    held = ["the ± that the file states is left out"] if said.uncertainty_um is not None else []
    held += ["the deposit still counts as cut off"] if said.cut_off else []
    if not (held and one.changed) or said.diameter_um is None:
        return ""
    drawn_um, longest_um = _length_um(one.size.outline, spacing), one.changed[0].diameter_um
    if abs(drawn_um / longest_um - 1) <= _SAME_SHARE:
        stated, drawn = told_apart(said.diameter_um, drawn_um)
        what = f"this outline is {drawn} mm long: it was edited, or the pixel size is another"
    else:
        stated, drawn = told_apart(said.diameter_um, longest_um)
        what = f"{drawn} mm is measured here: exclusions or other outlines changed the deposit"
    return f"the file states {stated} mm, and {what}; {', and '.join(held)}"


def _note(one: StatedDeposits, *, spacing: Spacing) -> str:
    """Nothing of an outline of which an exclusion left nothing: that has a note of its own."""
    size, measured = one.size, one.deposits
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
