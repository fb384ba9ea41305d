"""Which measured deposit shows which known lesion: one to one by overlap, so that their sizes can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.imaging.sizing import to_shape


@dataclass(frozen=True, slots=True)
class LesionMatch:
    """One known lesion and its own deposit. Sizes are greatest diameters in um; measured ones None without a deposit.

    uncertainty_um: the stated "±" of measured_um. open_ended: its measured size is one that it has at least, so no
    measurement to compare. merged: it has no deposit of its own, but lies, in part at least, in one that is another
    lesion's: its tumour was found, its size was not measured. holds_others: its deposit reaches into other lesions,
    too.
    """

    slide_id: str
    true_um: float
    true_class: Metastasis
    measured_um: float | None
    measured_class: Metastasis | None
    open_ended: bool = False
    uncertainty_um: float | None = None
    merged: bool = False
    holds_others: bool = False

    @property
    def is_found(self) -> bool:
        """Whether some deposit shows it, if only as part of another lesion's: a reader is led to it."""
        return self.measured_um is not None or self.merged

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
    for index, number in sorted(common, key=lambda both: (-common[both], both)):
        if index not in partner and number not in partner.values():
            partner[index] = number
    by_id = {deposit.id: deposit for deposit in deposits}
    reached = [{number for one, number in common if one == index} for index in range(len(lesions))]
    matches = tuple(
        _match(slide_id, lesion, by_id[partner[index]], holds_others=sum(partner[index] in own for own in reached) > 1)
        if index in partner
        else _unmeasured(slide_id, lesion, merged=bool(reached[index]))
        for index, lesion in enumerate(lesions)
    )
    overlapping = {number for _, number in common}
    return Pairing(matches, len(by_id.keys() - overlapping), len(overlapping - set(partner.values())))


def all_missed(slide_id: str, lesions: Sequence[Deposit]) -> Pairing:
    """The pairing of a slide without a class."""
    return Pairing(tuple(_unmeasured(slide_id, lesion, merged=False) for lesion in lesions), None, 0)


def n_matched(lesions: Sequence[LesionMatch]) -> int:
    """How many of the lesions have a deposit of their own."""
    return sum(lesion.measured_um is not None for lesion in lesions)


def with_sizes(lesions: Sequence[LesionMatch]) -> tuple[LesionMatch, ...]:
    """Those whose measured size can be held against the true one: measured, and from end to end."""
    return tuple(lesion for lesion in lesions if lesion.measured_um is not None and not lesion.open_ended)


def _common_areas(
    lesions: Sequence[Deposit], shapes: Mapping[int, shapely.Geometry]
) -> Mapping[tuple[int, int], float]:
    """Of each lesion, by its place in the list, and each deposit, by id, that overlap: the area that they share, um2.

    Outlines that cross themselves, as drawn ones may, have no area until they are buffered by 0; that takes long, and
    is done where bounding boxes meet.
    """
    known = np.array([to_shape(lesion.outline) for lesion in lesions], dtype=np.object_)
    numbers = list(shapes)
    near = shapely.STRtree([shapes[number] for number in numbers]).query(known).T.tolist()
    whole = {number: shapely.buffer(shapes[number], 0) for number in {numbers[place] for _, place in near}}
    areas = {
        (index, numbers[place]): float(
            shapely.area(shapely.intersection(shapely.buffer(known[index], 0), whole[numbers[place]]))
        )
        for index, place in near
    }
    return {both: area for both, area in areas.items() if area > 0}


def _match(slide_id: str, lesion: Deposit, deposit: Deposit, *, holds_others: bool) -> LesionMatch:
    return LesionMatch(
        slide_id,
        lesion.diameter_um,
        lesion.metastasis,
        deposit.diameter_um,
        deposit.metastasis,
        open_ended=deposit.may_be_larger,
        uncertainty_um=deposit.diameter_uncertainty_um,
        holds_others=holds_others,
    )


def _unmeasured(slide_id: str, lesion: Deposit, *, merged: bool) -> LesionMatch:
    return LesionMatch(slide_id, lesion.diameter_um, lesion.metastasis, None, None, merged=merged)
