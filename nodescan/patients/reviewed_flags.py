"""What a review makes of a slide's flags: which stay true, and what its own rows call for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nodescan.domain.classification import ITC_CELL_LIMIT, ITC_LIMIT_UM, Metastasis, classify
from nodescan.domain.deposits import Deposit
from nodescan.domain.flags import AS_FOUND, RESTATED, Flag
from nodescan.domain.lengths import size_in_mm
from nodescan.domain.naming import slide_of_node
from nodescan.domain.patient import Node, Staged
from nodescan.domain.report import FILE_SIGNS
from nodescan.domain.verdict import class_range
from nodescan.patients.applied import Applied
from nodescan.reports.class_doubts import ONE_OR_SEVERAL
from nodescan.reports.report_reader import StoredReport

_SAME_UM = 5.0
"""Sizes no farther apart are the same: pages round to 0.01 mm."""


def row_doubts(original: StoredReport, *, before_scan: bool, other_file: bool) -> list[Flag]:
    """Whether rows may mean other deposits than their readers saw.

    before_scan: deposits were named before the scan that found them, by number, or by another's centre. other_file:
    corrections were first applied to another file of the slide's name.
    """
    of_file = (
        "The same corrections were applied earlier to another file with this slide's name. They may belong to another "
        "slide, or to another scan of it. Check each correction on this file. For each that holds, write "
        f"{original.fingerprint[:FILE_SIGNS]} in the column “file” of the corrections."
    )
    of_scan = (
        "These corrections were made before the current scan of the slide, or the time of their table lies in the "
        "future and does not tell. A deposit's number, or a place beside its "
        "centre, may now mean another deposit. Check each correction, then name deposits by their centres, or say in "
        "the comment that you checked; if the row has a date, also give the day of the check."
    )
    flags = [Flag("review_of_other_file", of_file)] if other_file else []
    return [*flags, Flag("review_before_scan", of_scan)] if before_scan else flags


def kept_flags(changed: StoredReport, original: StoredReport) -> list[Flag]:
    """The software's flags that a review leaves true; those of what it found itself need that to be there still.

    changed: with all deposits that the rows leave on the slide, whether or not they count.
    """
    settled = _settled(changed, original)
    return [
        replace(flag, message=f"As found, before the review: {flag.message}") if flag.code in AS_FOUND else flag
        for flag in changed.flags
        if flag.code not in RESTATED and flag.code not in settled
    ]


def _settled(changed: StoredReport, original: StoredReport) -> frozenset[str]:
    """Flags of deposits as found to which the rows leave nothing.

    A reader who measured each deposit that is left decided what is one deposit. One whose size the reader did not
    state may still be a part, and one that is cut off may still be larger. Specks that are no deposits may count once
    joined, to each other or to a deposit, so a single deposit, or none, leaves the joining gap open.
    """
    found = [one for one in changed.deposits if one.area_um2 > 0]
    if not found:
        return AS_FOUND if original.deposits else AS_FOUND - {"joining_gap"}
    settled = frozenset[str]()
    before = {one.id: (one.diameter_um, one.diameter_uncertainty_um) for one in original.deposits}
    if all((one.diameter_um, one.diameter_uncertainty_um) != before.get(one.id) for one in found):
        settled = frozenset({*ONE_OR_SEVERAL, "size_may_span_foci", "size_may_be_of_part"})
    cut_off = any(one.cut_off for one in original.deposits)
    return settled | {"deposit_cut_off"} if cut_off and not any(one.cut_off for one in found) else settled


def contradictions(deposits: Sequence[Deposit]) -> tuple[Flag, ...]:
    """Classes that the deposits' sizes do not allow: the reader's word holds, but it is said.

    A micrometastasis up to 0.2 mm is no contradiction: more than 200 cells make it one, whether the reader or nodescan
    counted them. A class that the size has within its uncertainty is none either.
    """
    flags: list[Flag] = []
    for deposit in deposits:
        said, by_size = deposit.metastasis, classify(deposit.diameter_um)
        if _within_uncertainty(deposit):
            continue
        if (said, by_size) == (Metastasis.MICRO, Metastasis.ITC) and deposit.class_given:
            size = size_in_mm(deposit.diameter_um, deposit.diameter_uncertainty_um or None)
            text = (
                f"Deposit {deposit.id} ({size}) is a micrometastasis according to the reader, not by its size: up to "
                f"{ITC_LIMIT_UM / 1000:g} mm that takes more than {ITC_CELL_LIMIT} tumour cells."
            )
            flags.append(Flag("micro_by_reader", text))
        elif said is not by_size and (said, by_size) != (Metastasis.MICRO, Metastasis.ITC):
            text = f"Deposit {deposit.id} is {said.word} according to the reader, but {by_size.word} by its size."
            flags.append(Flag("class_against_size", text))
    return tuple(flags)


def exact_notes(
    staged: Staged, rows: Sequence[Applied], found: Sequence[StoredReport], reviewed: Mapping[str, StoredReport]
) -> list[Flag]:
    """Sizes by a reader that would not settle the class of a node by the software's word: they count as exact.

    It would be near a limit between classes by the software's "±", or a lower bound of that very size. rows: of the
    patient's slides; found: their reports as the software made them; reviewed: by slide, after the rows.
    """
    there = {(report.slide_id, deposit.id): deposit for report in found for deposit in report.deposits}
    nodes = {section.slide_id: node for node in staged.specimen.nodes for section in node.sections}
    unsure = {slide_id: _with_found_uncertainty(report, there) for slide_id, report in reviewed.items()}
    notes: list[Flag] = []
    for row in rows:
        before, report = there.get((row.slide_id, row.deposit_id or 0)), reviewed[row.slide_id]
        after = next((one for one in report.deposits if one.id == row.deposit_id and not one.class_given), None)
        if before is None or after is None or after.diameter_uncertainty_um > 0 or report.reading is not None:
            continue
        node, as_sure = nodes[row.slide_id], unsure[row.slide_id][after.id]
        cut = before.cut_off and abs(after.diameter_um - before.diameter_um) <= _SAME_UM
        highest = Metastasis.MACRO if cut else classify(as_sure.longest_um)
        if not (cut or as_sure.borderline) or not _may_decide(highest, row.slide_id, node, unsure):
            continue
        measured = size_in_mm(before.diameter_um, before.diameter_uncertainty_um)
        said = (
            f"{slide_of_node(node.node_id, row.slide_id)}: deposit {after.id} has the size that {row.by} gave, "
            f"{size_in_mm(after.diameter_um, None)}, taken as exact"
        )
        if cut:
            said += (
                f" and whole. The software measured the same, {measured}, where the deposit is cut off, and would call "
                "its class “at least”."
            )
        else:
            said += (
                f". The software measured {measured}; with this “±” the reader's size would leave "
                f"{classify(as_sure.shortest_um).word} and {highest.word} possible."
            )
        notes.append(Flag("size_by_reader", said))
    return notes


def _with_found_uncertainty(report: StoredReport, found: Mapping[tuple[str, int], Deposit]) -> Mapping[int, Deposit]:
    """The deposits of a reviewed slide by number; a size by a reader has the software's "±" again."""
    known: dict[int, Deposit] = {}
    for one in report.deposits:
        before = found.get((report.slide_id, one.id))
        by_reader = before is not None and not one.class_given and one.diameter_uncertainty_um == 0
        um = before.diameter_uncertainty_um if before is not None and by_reader else one.diameter_uncertainty_um
        known[one.id] = replace(one, diameter_uncertainty_um=um)
    return known


def _may_decide(highest: Metastasis, slide_id: str, node: Node, unsure: Mapping[str, Mapping[int, Deposit]]) -> bool:
    """Whether a deposit on this slide that may be of so high a class could change its node's, whatever else is there.

    unsure: the deposits of each slide, as _with_found_uncertainty gives them. Where several nodes share the slides,
    always. What may be no tumour decides nothing.
    """
    lowest = [class_range([*unsure[slide_id].values()])[0]]
    for other in node.sections:
        if other.slide_id != slide_id and not other.unaccepted:
            deposits = unsure.get(other.slide_id, {}).values()
            lowest.append(min(other.least_class, class_range([*deposits])[0]) if deposits else other.least_class)
    return node.n_nodes > 1 or highest > max(lowest)


def _within_uncertainty(deposit: Deposit) -> bool:
    """Whether its size has the class that it is said to be of somewhere within its uncertainty."""
    return classify(deposit.shortest_um) <= deposit.metastasis <= classify(deposit.longest_um)
