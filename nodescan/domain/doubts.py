"""Cases in which the size rule alone could mislead: dispersed cells, and foci so near that it is unclear whether they
are one deposit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nodescan.domain.classification import ITC_CELL_LIMIT, ITC_LIMIT_UM, CellCount, Metastasis, classify, total
from nodescan.domain.deposits import Deposit, by_piece, largest_class, pieces_with
from nodescan.domain.flags import Flag
from nodescan.domain.geometry import max_feret
from nodescan.domain.lengths import millimetres
from nodescan.domain.units import Micrometers

DISPERSED_FOCI = 10
"""From so many small foci on, they count as "many" (clinical-rules 3 gives no number; inferred)."""

DISPERSED_EXTENT = 5.0
"""An extent from so many times the largest small focus on is "much larger" (clinical-rules 3, inferred)."""

JOINING_GAPS_UM = (Micrometers(0.0), Micrometers(25.0), Micrometers(50.0), Micrometers(75.0))
"""The gaps whose effect on the class is shown (clinical-rules 2); only the first ever decides."""

APART = "Cells are not added over pieces, because they may be sections of one node."
"""Said of foci in several pieces of tissue (clinical-rules 4)."""


@dataclass(frozen=True, slots=True)
class GapReading:
    """What the slide would hold if foci at most gap_um apart were one deposit. largest_um: None with none found."""

    gap_um: Micrometers
    largest_um: Micrometers | None
    metastasis: Metastasis


@dataclass(frozen=True, slots=True)
class Waist:
    """Where a deposit narrows, to width_um, as two near foci do that run together; parts_um: theirs, longest first.

    width_um: 0 where outlines do no more than touch.
    """

    deposit_id: int
    width_um: Micrometers
    parts_um: tuple[Micrometers, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """A longer deposit that one or several deposits may be parts of, as a threshold below the model's shows it.

    uncertainty_um is the part of its uncertainty (about 95 %) that doesn't depend on the threshold.
    """

    deposit_ids: tuple[int, ...]
    diameter_um: Micrometers
    uncertainty_um: Micrometers
    threshold: float

    @property
    def longest_class(self) -> Metastasis:
        """The class at the upper end of its uncertainty."""
        return classify(Micrometers(self.diameter_um + self.uncertainty_um))


def gap_reading(gap_um: Micrometers, deposits: Sequence[Deposit]) -> GapReading:
    """The reading of deposits that were found with this gap."""
    largest_um = max((deposit.diameter_um for deposit in deposits), default=None)
    return GapReading(gap_um, largest_um, largest_class(deposits))


def dispersed_flags(deposits: Sequence[Deposit]) -> tuple[Flag, ...]:
    """A flag if many foci of at most 0.2 mm are spread over an extent much larger than any of them (lobular pattern).

    The pieces of tissue that they lie in don't matter, because these may be parts of one section. No flag beside a
    macrometastasis, because nothing could raise that class. The flag never lowers a class.
    """
    together = _pattern(deposits)
    if not together:
        return ()
    of_one = dispersed_foci(deposits)
    small = of_one or together
    where = of_pieces(together, one=bool(of_one))
    remedy = f"{APART} Count those of each section" if where else "Count the cells"
    text = (
        f"Dispersed pattern: {len(small)} small foci over {_extent_um(small) / 1000:.1f} mm{where}, the largest of "
        f"them {millimetres(max(deposit.diameter_um for deposit in small))} mm. The size rule does not apply to "
        f"dispersed cells; more than {ITC_CELL_LIMIT} in a section are a micrometastasis. {remedy} under the "
        "microscope."
    )
    return (Flag("dispersed_pattern", text),)


def of_pieces(foci: Sequence[Deposit], *, one: bool) -> str:
    """In words, in which pieces of tissue foci lie; "" if they may all lie in one. one: the text is about one piece's
    foci."""
    pieces = len(pieces_with(foci))
    if pieces < 2:
        return ""
    which = f"{pieces} separate pieces of tissue"
    return f" in one of {which} with small foci" if one else f" in {which}"


def dispersed_foci(deposits: Sequence[Deposit]) -> tuple[Deposit, ...]:
    """The small foci of a dispersed pattern in one piece of tissue; none where no piece holds such a pattern.

    Cells are not added over sections, and each section of a node is a piece (clinical-rules 3, 4). Of several patterns
    the result is the one with clearly more than 200 cells, else with maybe more than 200, else with the most.
    """
    if largest_class(deposits) is Metastasis.MACRO:
        return ()
    return max((_pattern(group) for group in by_piece(deposits)), key=_weight)


def dispersed_count(deposits: Sequence[Deposit]) -> CellCount | None:
    """Tumour cells of a dispersed pattern in one piece of tissue, and their uncertainty (clinical-rules 1, 3, 4).

    None if there is no such pattern, or if no focus of it was counted. A focus that was not counted adds no cells, so
    the sum is then a lower bound.
    """
    return _counted(dispersed_foci(deposits))


def dispersed_count_over_pieces(deposits: Sequence[Deposit]) -> CellCount:
    """Tumour cells of a dispersed pattern over all pieces of tissue, which several nodes on a slide may share.

    It isn't known which piece is a section of which node. Without such a pattern the number is 0; a focus that was not
    counted adds no cells.
    """
    return _counted(_pattern(deposits)) or CellCount(0)


def _pattern(deposits: Sequence[Deposit]) -> tuple[Deposit, ...]:
    """The most foci, counted from the smallest up, that alone are dispersed in the sense of `dispersed_flags`.

    One larger focus among many tiny ones doesn't make them any less dispersed, and so doesn't lower a class that
    follows from their cells.
    """
    if largest_class(deposits) is Metastasis.MACRO:
        return ()
    small = [deposit for deposit in deposits if deposit.diameter_um <= ITC_LIMIT_UM]
    small.sort(key=lambda deposit: deposit.diameter_um)
    while len(small) >= DISPERSED_FOCI:
        if _extent_um(small) >= DISPERSED_EXTENT * small[-1].diameter_um:
            return tuple(small)
        small.pop()
    return ()


def _counted(foci: Sequence[Deposit]) -> CellCount | None:
    known = [deposit.cells for deposit in foci if deposit.cells is not None]
    return total(known) if known else None


def _weight(foci: Sequence[Deposit]) -> tuple[bool, bool, int, int]:
    """The order of patterns by what their cells say of the class."""
    cells = _counted(foci) or CellCount(0)
    return cells.above_limit, cells.near_limit, cells.number, len(foci)


def joining_gap_flags(readings: Sequence[GapReading]) -> tuple[Flag, ...]:
    """A flag if another joining gap would change the class. readings: one for each gap, first the one that decides."""
    if len({reading.metastasis for reading in readings}) < 2:
        return ()
    decides, *others = readings
    said = "; ".join(f"{reading.gap_um:g} µm: {_words(reading)}" for reading in others)
    text = (
        f"The class depends on which foci count as one deposit. As reported (gap {decides.gap_um:g} µm): "
        f"{_words(decides)}. With a gap of {said}. Review whether the foci are connected."
    )
    return (Flag("joining_gap", text),)


def _extent_um(deposits: Sequence[Deposit]) -> Micrometers:
    """The greatest distance between any two ends."""
    return max_feret(np.array([end for deposit in deposits for end in deposit.endpoints_um])).diameter_um


def _words(reading: GapReading) -> str:
    if reading.largest_um is None:
        return "nothing"
    return f"{millimetres(reading.largest_um)} mm, {reading.metastasis.word}"
