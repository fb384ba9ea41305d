"""Which measured deposit shows which annotated lesion, one to one by overlap, so that their sizes can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import shapely

from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.imaging.sizing import to_shape


@dataclass(frozen=True, slots=True)
class LesionMatch:
    """One annotated lesion and its deposit, None where it was missed. Sizes are greatest diameters in um.

    at_least: it was found, and its measured size is a lower bound, so no measurement to compare.
    """

    slide_id: str
    true_um: float
    true_class: Metastasis
    measured_um: float | None
    measured_class: Metastasis | None
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Pairing:
    """A slide's lesions, each once. false_deposits: those in no lesion; pieces: further ones of a paired lesion.

    false_deposits is None where the slide has no class, so that its lesions are missed and it can't be free of them.
    """

    lesions: tuple[LesionMatch, ...]
    false_deposits: int | None
    pieces: int


def pair(
    slide_id: str, lesions: Sequence[Deposit], deposits: Sequence[Deposit], shapes: Mapping[int, shapely.Geometry]
) -> Pairing:
    """Pairs by the largest common area first; every lesion and every deposit is used once. To touch is not to overlap.

    lesions: the reference, with outlines; deposits: the software's, the outline of each in `shapes` by id, all in um.
    """
    truth = [shapely.buffer(to_shape(lesion.outline), 0) for lesion in lesions]
    outlines = {deposit.id: shapely.buffer(shapes[deposit.id], 0) for deposit in deposits}
    common = sorted(
        (
            (area, index, deposit.id)
            for index, shape in enumerate(truth)
            for deposit in deposits
            if (area := shape.intersection(outlines[deposit.id]).area) > 0
        ),
        key=lambda overlap: (-overlap[0], overlap[1], overlap[2]),
    )
    partner: dict[int, int] = {}
    for _, index, number in common:
        if index not in partner and number not in partner.values():
            partner[index] = number
    overlapping = {number for _, _, number in common}
    by_id = {deposit.id: deposit for deposit in deposits}
    matches = tuple(_match(slide_id, lesion, by_id.get(partner.get(index, 0))) for index, lesion in enumerate(lesions))
    return Pairing(matches, len(outlines.keys() - overlapping), len(overlapping - set(partner.values())))


def all_missed(slide_id: str, lesions: Sequence[Deposit]) -> Pairing:
    """The pairing of a slide without a class."""
    return Pairing(tuple(_match(slide_id, lesion, None) for lesion in lesions), None, 0)


def n_matched(lesions: Sequence[LesionMatch]) -> int:
    """How many of the lesions were not missed."""
    return sum(lesion.measured_um is not None for lesion in lesions)


def with_sizes(lesions: Sequence[LesionMatch]) -> tuple[LesionMatch, ...]:
    """Those whose measured size can be held against the true one: found, and measured from end to end."""
    return tuple(lesion for lesion in lesions if lesion.measured_um is not None and not lesion.at_least)


def _match(slide_id: str, lesion: Deposit, deposit: Deposit | None) -> LesionMatch:
    measured_um = None if deposit is None else deposit.diameter_um
    found = None if deposit is None else deposit.metastasis
    at_least = deposit is not None and deposit.size_at_least
    return LesionMatch(slide_id, lesion.diameter_um, lesion.metastasis, measured_um, found, at_least)
