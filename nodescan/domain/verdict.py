"""From deposits and the examined area to the slide's status, class and flags."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nodescan.domain.classification import ITC_CELL_LIMIT, ITC_LIMIT_UM, Metastasis, classify, total
from nodescan.domain.deposits import Deposit, largest_class
from nodescan.domain.doubts import APART, Waist, Whole, dispersed_count, dispersed_foci, of_pieces
from nodescan.domain.flags import Flag
from nodescan.domain.lengths import millimetres, size_in_mm
from nodescan.domain.naming import few, how_many
from nodescan.domain.report import Status

REVIEW_ITC_UM = 100.0
"""From here up to 0.2 mm a count of the cells could raise ITC to a micrometastasis (clinical-rules 1)."""

MANY_FOCI = 5
"""From so many on, foci of ITC size may be one dispersed pattern of more than 200 cells (clinical-rules 1, 3,
inferred)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """at_least: the class is a lower bound: some tissue was not examined, or a deposit is cut off."""

    status: Status
    metastasis: Metastasis | None
    at_least: bool


def conclude(deposits: Sequence[Deposit], *, tissue_found: bool, all_examined: bool, classifiable: bool) -> Verdict:
    """The slide's status and class: the largest class of any deposit decides, sizes are never added (clinical-rules 2).

    Cells are added over a dispersed pattern in one piece of tissue only: clearly more than 200 are a micrometastasis
    (clinical-rules 3, 4).
    Any unexamined tissue makes the slide incomplete and its class a lower bound; with nothing found there is no
    class, never "negative". A deposit that is cut off leaves a lower bound, too. classifiable: False if the network
    can't judge the slide (not H&E, constant output).
    """
    worst = class_found(deposits)
    if not tissue_found or not classifiable:
        return Verdict(Status.INCOMPLETE, None, False)
    if all_examined:
        cut_off = any(deposit.size_at_least for deposit in deposits)
        return Verdict(Status.COMPLETE, worst, cut_off and worst < Metastasis.MACRO)
    found = worst is not Metastasis.NONE
    return Verdict(Status.INCOMPLETE, worst if found else None, found)


def class_found(deposits: Sequence[Deposit]) -> Metastasis:
    """The class that a slide's deposits give it, whatever was examined: see conclude()."""
    return max(largest_class(deposits), _class_by_dispersed_cells(deposits))


def deciding(deposits: Sequence[Deposit]) -> tuple[Deposit, ...]:
    """The deposits whose uncertain sizes could change the slide's class; none if `class_range` is one class.

    A size could change it if the deposit, at its longest, has a higher class than the slide has with every deposit at
    its shortest.
    """
    lowest, _ = class_range(deposits)
    return tuple(deposit for deposit in deposits if _own_class_range(deposit)[1] > lowest)


def class_range(deposits: Sequence[Deposit]) -> tuple[Metastasis, Metastasis]:
    """The lowest and the highest class of the slide, with each size anywhere within its uncertainty (inferred)."""
    ranges = [_own_class_range(deposit) for deposit in deposits]
    floor = _class_by_dispersed_cells(deposits)
    lowest, highest = zip((floor, floor), *ranges, strict=True)
    return max(lowest), max(highest)


def highest_class(deposit: Deposit) -> Metastasis:
    """The highest class that the deposit's size and cells allow."""
    by_cells = Metastasis.MICRO if deposit.count_near_limit else deposit.metastasis
    return max(by_cells, _own_class_range(deposit)[1])


def _own_class_range(deposit: Deposit) -> tuple[Metastasis, Metastasis]:
    """The lowest and the highest class of a deposit, with its size anywhere within its uncertainty."""
    if not deposit.borderline:
        return deposit.metastasis, deposit.metastasis
    shortest = replace(deposit, diameter_um=deposit.shortest_um)
    longest = replace(deposit, diameter_um=deposit.longest_um)
    return shortest.class_measured, longest.class_measured


def deposit_flags(deposits: Sequence[Deposit]) -> tuple[Flag, ...]:
    """Flags about the deposits: sizes near a limit, cells that were not counted.

    A reader's class settles the class of one deposit. Cells of dispersed foci are still added, as in `conclude`: many
    foci that are ITC each may be a micrometastasis together (clinical-rules 3).
    """
    return (
        *_borderline_flags(deposits),
        *_raised_flags(deposits),
        *_near_limit_flags(deposits),
        *_many_foci_flags(deposits),
        *_uncounted_flags(deposits),
    )


def waist_flags(deposits: Sequence[Deposit], waists: Sequence[Waist]) -> tuple[Flag, ...]:
    """Sizes that may be of two foci, and whether the slide's class would be lower if each of them were.

    Two foci 30 um apart are two (clinical-rules 2), but a map with large cells shows one deposit with a waist.
    """
    if not waists:
        return ()
    by_id = {deposit.id: deposit for deposit in deposits}
    named = [_waisted(by_id[waist.deposit_id], waist) for waist in waists]
    said = f"A narrow waist may mean two neighbouring foci that run together: {few(named, 3)}."
    longest = {waist.deposit_id: waist.parts_um[0] for waist in waists}
    apart = [replace(one, metastasis=classify(longest[one.id])) if one.id in longest else one for one in deposits]
    lower = class_found(apart)
    if lower < class_found(deposits):
        text = f"{said} Counted as two foci, the slide's class is {lower.word}. Check whether they are connected."
        return (Flag("may_be_two_foci", text),)
    return (Flag("size_may_span_foci", f"{said} Counted as two foci, the slide's class would be the same."),)


def whole_flags(deposits: Sequence[Deposit], wholes: Sequence[Whole]) -> tuple[Flag, ...]:
    """Deposits that may be parts of a longer one, and whether that would raise the slide's class.

    A long, thin or curved deposit comes out in pieces where the network is less sure of it. The class would be higher
    if the whole, within its uncertainty, passes a limit.
    """
    stated = class_found(deposits)
    higher = [whole for whole in wholes if whole.longest_class > stated]
    if higher:
        highest = max(whole.longest_class for whole in higher)
        text = (
            f"{_parted(deposits, higher)} The slide's class may then be {highest.word}. Check whether tumour goes on "
            "there; if so, measure the whole."
        )
        return (Flag("may_be_one_deposit", text),)
    if wholes:
        text = f"{_parted(deposits, wholes)} The slide's class would then be the same."
        return (Flag("size_may_be_of_part", text),)
    return ()


def _parted(deposits: Sequence[Deposit], wholes: Sequence[Whole]) -> str:
    by_id = {deposit.id: deposit for deposit in deposits}
    named: list[str] = []
    for whole in wholes:
        longest = by_id[min(whole.deposit_ids)]
        own = size_in_mm(longest.diameter_um, longest.diameter_uncertainty_um)
        ids = [f"no. {one}" for one in whole.deposit_ids]
        parts = f"{few(ids, 5)} (the longest {own}) become one" if len(ids) > 1 else f"{ids[0]} ({own}) becomes one"
        named.append(f"{parts} of {size_in_mm(whole.diameter_um, whole.uncertainty_um)}")
    less = f"at a threshold of {wholes[0].threshold:.2g}, below the model's"
    return f"There may be a longer deposit: {few(named, 3)}, {less}."


def _waisted(deposit: Deposit, waist: Waist) -> str:
    parts = " and ".join(millimetres(length_um) for length_um in waist.parts_um)
    between = f"a waist of {millimetres(waist.width_um)} mm" if waist.width_um > 0 else "which touch"
    return f"no. {deposit.id} ({millimetres(deposit.diameter_um)} mm: parts of {parts} mm, {between})"


def _borderline_flags(deposits: Sequence[Deposit]) -> list[Flag]:
    near = [deposit for deposit in deposits if deposit.borderline]
    if not near:
        return []
    names = [f"no. {one.id} ({size_in_mm(one.diameter_um, one.diameter_uncertainty_um)})" for one in near]
    changing = [f"no. {one.id}" for one in deciding(deposits)]
    said = f"The size is within its uncertainty of a class limit: {few(names, 5)}."
    if not changing:
        return [Flag("size_near_limit", f"{said} The slide's class can't change because of it.")]
    text = f"{said} The slide's class may change with the size of {few(changing, 5)}: measure under the microscope."
    return [Flag("borderline", text)]


def _raised_flags(deposits: Sequence[Deposit]) -> list[Flag]:
    """Deposits, or a dispersed pattern, that their cells make a micrometastasis."""
    raised = [deposit for deposit in deposits if deposit.raised_by_cells]
    flags: list[Flag] = []
    if raised:
        text = (
            f"More than {ITC_CELL_LIMIT} tumour cells were counted in {_counts(raised)}. That makes a micrometastasis, "
            f"although the size is {ITC_LIMIT_UM / 1000:g} mm or less. Review the count."
        )
        flags.append(Flag("cell_count_decides", text))
    dispersed = dispersed_count(deposits)
    if dispersed is not None and dispersed.above_limit:
        text = (
            f"{dispersed} tumour cells were counted over the dispersed foci{_in_one_piece(deposits)}. More than "
            f"{ITC_CELL_LIMIT} in a section are a micrometastasis. Review the count."
        )
        flags.append(Flag("cell_count_dispersed", text))
    return flags


def _near_limit_flags(deposits: Sequence[Deposit]) -> list[Flag]:
    """Counts that may be above the limit. The class stays the one that the size gives."""
    near = [deposit for deposit in deposits if deposit.count_near_limit]
    dispersed = dispersed_count(deposits)
    flags: list[Flag] = []
    if near:
        text = (
            f"The cell count is within its uncertainty of {ITC_CELL_LIMIT}: {_counts(near)}. More than "
            f"{ITC_CELL_LIMIT} cells are a micrometastasis. Count the cells under the microscope."
        )
        flags.append(Flag("cell_count_near_limit", text))
    if dispersed is not None and dispersed.near_limit:
        text = (
            f"{dispersed} tumour cells were counted over the dispersed foci{_in_one_piece(deposits)}. That is within "
            f"the uncertainty of {ITC_CELL_LIMIT}, and more than {ITC_CELL_LIMIT} are a micrometastasis. Count the "
            "cells under the microscope."
        )
        flags.append(Flag("cell_count_near_limit", text))
    return flags


def _many_foci_flags(deposits: Sequence[Deposit]) -> list[Flag]:
    """Many small foci that are no dispersed pattern in one piece of tissue, but whose cells would pass the limit if
    added."""
    itc = [deposit for deposit in deposits if deposit.metastasis is Metastasis.ITC and deposit.cells is not None]
    of_pattern = {deposit.id for deposit in dispersed_foci(deposits)}
    all_dispersed = {deposit.id for deposit in itc} <= of_pattern  # then their count is told as the pattern's
    small = [deposit.cells for deposit in itc if deposit.cells is not None and not deposit.class_given]
    counted = total(small)
    decided = class_found(deposits) > Metastasis.ITC  # by a larger one, or by the cells of one piece
    if decided or all_dispersed or len(small) < MANY_FOCI or counted.most <= ITC_CELL_LIMIT:
        return []
    where = of_pieces(itc, one=False)
    said, one = f"{where}. {APART}" if where else ".", "pattern of one section" if where else "pattern"
    text = (
        f"{counted.number} tumour cells were counted over {len(small)} small foci{said} If the foci are one dispersed "
        f"{one}, more than {ITC_CELL_LIMIT} cells are a micrometastasis. Review whether the foci belong together."
    )
    return [Flag("cell_count_review", text)]


def _uncounted_flags(deposits: Sequence[Deposit]) -> list[Flag]:
    """Deposits of ITC size whose cells nobody counted, and whether a count could change the slide's class."""
    itc = [deposit for deposit in deposits if deposit.metastasis is Metastasis.ITC and not deposit.class_given]
    small = [deposit for deposit in itc if deposit.cells is None]
    if not small:
        return []
    largest = max(deposit.diameter_um for deposit in small)
    decisive = largest_class(deposits) <= Metastasis.ITC
    if decisive and (largest >= REVIEW_ITC_UM or len(small) >= MANY_FOCI):
        text = (
            f"The cell count was not assessed. More than {ITC_CELL_LIMIT} tumour cells would make a micrometastasis, "
            f"even at {ITC_LIMIT_UM / 1000:g} mm or less. Review {how_many(len(small), 'small deposit')}, the largest "
            f"{millimetres(largest)} mm."
        )
        return [Flag("cell_count_review", text)]
    return [
        Flag("cell_count_not_assessed", "The cell count was not assessed. Small deposits are classed by size alone.")
    ]


def _class_by_dispersed_cells(deposits: Sequence[Deposit]) -> Metastasis:
    """MICRO where a dispersed pattern clearly holds more cells than the limit, else NONE (clinical-rules 3)."""
    counted = dispersed_count(deposits)
    return Metastasis.MICRO if counted is not None and counted.above_limit else Metastasis.NONE


def _in_one_piece(deposits: Sequence[Deposit]) -> str:
    return of_pieces([one for one in deposits if one.diameter_um <= ITC_LIMIT_UM], one=True)


def _counts(deposits: Sequence[Deposit]) -> str:
    return few([f"no. {one.id} ({one.cells} cells, {millimetres(one.diameter_um)} mm)" for one in deposits], 5)
