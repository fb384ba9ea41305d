"""Which measured deposit shows which known lesion: one to one by overlap, so that their sizes can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely

from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.imaging.sizing import to_shape

MERGED_SHARE = 0.5
"""Of a lesion without a deposit of its own, the share of its area that deposits cover from which on it is merged: with
less most of it was called free of tumour, and whoever looks at its neighbour's deposit isn't led to it."""


@dataclass(frozen=True, slots=True)
class LesionMatch:
    """One known lesion and its own deposit. Sizes are greatest diameters in um; measured ones None without a deposit.

    uncertainty_um: the stated "±" of measured_um. at_least: its measured size is one that it has at least, so no
    measurement to compare. merged: it has no deposit of its own, but MERGED_SHARE of it, or more, lies in those of
    other lesions: its tumour was found, its size was not measured. holds_others: its deposit reaches into other
    lesions, too.
    """

    slide_id: str
    true_um: float
    true_class: Metastasis
    measured_um: float | None
    measured_class: Metastasis | None
    at_least: bool = False
    uncertainty_um: float | None = None
    merged: bool = False
    holds_others: bool = False

    @property
    def is_found(self) -> bool:
        """Whether some deposit shows it, if only as part of another lesion's: a reader is led to it."""
        return self.measured_um is not None or self.merged

    @property
    def within(self) -> bool | None:
        """Whether the true size lies within the stated "±"; None where there is no measurement, or none with one."""
        if self.measured_um is None or self.at_least or self.uncertainty_um is None:
            return None
        return abs(self.error_um) <= self.uncertainty_um

    @property
    def error_um(self) -> float:
        """Measured less true, of one that was measured."""
        assert self.measured_um is not None
        return self.measured_um - self.true_um


@dataclass(frozen=True, slots=True)
class Pairing:
    """A slide's lesions, each once. false_deposits: those in no lesion; pieces: those in lesions of other deposits.

    false_deposits is None where the slide has no class, so that its lesions are missed and it can't be free of them.
    """

    lesions: tuple[LesionMatch, ...]
    false_deposits: int | None
    pieces: int


def pair(
    slide_id: str, lesions: Sequence[Deposit], deposits: Sequence[Deposit], shapes: Mapping[int, shapely.Geometry]
) -> Pairing:
    """Pairs by the largest common area first; every lesion and every deposit is used once. To touch is not to overlap.

    lesions: as they are known, with outlines; deposits: the software's, the outline of each in `shapes` by id, all in
    um. The matches are in the order of the lesions.
    """
    common = _common_areas(lesions, shapes)
    partner: dict[int, int] = {}
    for index, number in sorted(common, key=lambda both: (-common[both].area_um2, both)):
        if index not in partner and number not in partner.values():
            partner[index] = number
    by_id = {deposit.id: deposit for deposit in deposits}
    reached = [{number for one, number in common if one == index} for index in range(len(lesions))]
    matches: list[LesionMatch] = []
    for index, lesion in enumerate(lesions):
        match = _missed(slide_id, lesion)
        if index in partner:
            deposit = by_id[partner[index]]
            match = replace(
                match,
                measured_um=deposit.diameter_um,
                measured_class=deposit.metastasis,
                at_least=deposit.size_at_least,
                uncertainty_um=deposit.diameter_uncertainty_um,
                holds_others=sum(deposit.id in own for own in reached) > 1,
            )
        elif sum(common[index, number].of_lesion for number in reached[index]) >= MERGED_SHARE:
            match = replace(match, merged=True)
        matches.append(match)
    overlapping = {number for _, number in common}
    return Pairing(tuple(matches), len(by_id.keys() - overlapping), len(overlapping - set(partner.values())))


def all_missed(slide_id: str, lesions: Sequence[Deposit]) -> Pairing:
    """The pairing of a slide without a class."""
    return Pairing(tuple(_missed(slide_id, lesion) for lesion in lesions), None, 0)


def n_matched(lesions: Sequence[LesionMatch]) -> int:
    """How many of the lesions have a deposit of their own."""
    return sum(lesion.measured_um is not None for lesion in lesions)


def with_sizes(lesions: Sequence[LesionMatch]) -> tuple[LesionMatch, ...]:
    """Those whose measured size can be held against the true one: measured, and from end to end."""
    return tuple(lesion for lesion in lesions if lesion.measured_um is not None and not lesion.at_least)


@dataclass(frozen=True, slots=True)
class _Common:
    """What a lesion and a deposit share. of_lesion: as a share of the lesion's area."""

    area_um2: float
    of_lesion: float


def _common_areas(
    lesions: Sequence[Deposit], shapes: Mapping[int, shapely.Geometry]
) -> Mapping[tuple[int, int], _Common]:
    """What each lesion, by its place in the list, and each deposit, by id, that overlap have in common.

    Outlines that cross themselves, as drawn ones may, have no area until they are buffered by 0; that takes long, and
    is done once for each whose bounding box meets another's.
    """
    known = np.array([to_shape(lesion.outline) for lesion in lesions], dtype=np.object_)
    numbers = list(shapes)
    near = shapely.STRtree([shapes[number] for number in numbers]).query(known).T.tolist()
    drawn = {index: shapely.buffer(known[index], 0) for index in {index for index, _ in near}}
    whole = {number: shapely.buffer(shapes[number], 0) for number in {numbers[place] for _, place in near}}
    found: dict[tuple[int, int], _Common] = {}
    for index, place in near:
        area_um2 = float(shapely.area(shapely.intersection(drawn[index], whole[numbers[place]])))
        if area_um2 > 0:
            found[index, numbers[place]] = _Common(area_um2, area_um2 / float(shapely.area(drawn[index])))
    return found


def _missed(slide_id: str, lesion: Deposit) -> LesionMatch:
    return LesionMatch(slide_id, lesion.diameter_um, lesion.metastasis, None, None)
