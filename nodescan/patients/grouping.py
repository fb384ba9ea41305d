"""Rows of a table to specimens: slides of one node_id are its sections, nodes of one patient and side go together."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace

from nodescan.domain.class_bounds import LowerBy, lower_by, sizes_doubted
from nodescan.domain.classification import ITC_CELL_LIMIT, Metastasis, classify
from nodescan.domain.deposits import largest_class
from nodescan.domain.doubts import dispersed_count_over_pieces
from nodescan.domain.flags import (
    ANSWERS_IN_DOUBT,
    DOUBTS,
    MAY_BE_NONE,
    OF_OTHER_NODES,
    REASONS,
    SETTLED_BY_MACRO,
    UNEXAMINED,
    Flag,
    codes_of,
    reasons,
)
from nodescan.domain.lengths import size_in_mm, two_digits
from nodescan.domain.patient import Node, Specimen
from nodescan.domain.report import Outcome, Status
from nodescan.domain.section import Section
from nodescan.domain.staging import CAMELYON17, FociCounts, StagingTable, most_foci
from nodescan.domain.units import Micrometers
from nodescan.domain.verdict import class_found, class_range, highest_class
from nodescan.labels import LabelTable
from nodescan.manifest import NodeFacts
from nodescan.reports.places import place
from nodescan.reports.report_reader import StoredReport

_Row = tuple[NodeFacts, str, Section | None]
"""What a table says, the slide_id, "" for none, and its section."""


def group(rows: Iterable[_Row], table: StagingTable) -> tuple[Specimen, ...]:
    """The specimens of all patients, sorted by name.

    A row without a section only says that its node exists, or how many. Without a node_id each slide is a node of its
    own. By CAMELYON17's table a patient is one group, whatever the specimen and side.
    """
    groups: defaultdict[tuple[str, str, str], list[_Row]] = defaultdict(list)
    for row in rows:
        groups[group_names(row[0], table)].append(row)
    return tuple(_specimen(names, groups[names], table) for names in sorted(groups))


def group_names(facts: NodeFacts, table: StagingTable) -> tuple[str, str, str]:
    """`Specimen.names` of the group that a row belongs to."""
    return (facts.patient_id, "", "") if table is CAMELYON17 else facts.specimen


def section_of(report: StoredReport, *, nodes_on_slide: int = 1) -> Section:
    """What a stored report says of its node."""
    said = report.metastasis is not None
    sizes = [(deposit.diameter_um, deposit.diameter_uncertainty_um) for deposit in report.deposits]
    doubts = _doubts(report, nodes_on_slide)
    in_doubt = not codes_of(report.flags).isdisjoint(ANSWERS_IN_DOUBT) and report.reading is None
    largest_um, uncertainty_um = max(sizes, default=(None, None))
    certain = _certain(report, nodes_on_slide)
    cut_off = [deposit.metastasis for deposit in report.deposits if deposit.size_at_least]
    given = any(deposit.class_given and deposit.metastasis is report.metastasis for deposit in report.deposits)
    return Section(
        slide_id=report.slide_id,
        status=report.before_review or report.status,
        metastasis=report.metastasis,
        largest_um=largest_um if said else None,
        unclassed_um=None if report.not_judged else report.unclassed_um if said else largest_um,
        uncertainty_um=uncertainty_um or None,
        class_range=_class_range(report),
        foci=_foci(report, nodes_on_slide),
        nodes_on_slide=nodes_on_slide,
        reason=" ".join(reasons(_reason_flags(report))),
        missed=_missed(report),
        doubts=tuple(flag for flag in report.flags if flag.code in doubts),
        cut_off=bool(cut_off),
        cut_off_macro=all(found is Metastasis.MACRO for found in cut_off),
        cut_off_up_to_um=_cut_off_up_to_um(report),
        may_be_less=said and report.reading is None and not given and _may_be_less(report, certain),
        may_be_none=said and in_doubt and report.accepted.isdisjoint(one.id for one in report.deposits),
        unaccepted=in_doubt and _decides_unaccepted(report, nodes_on_slide),
        size_may_be_less=bool(uncertainty_um and sizes_doubted(codes_of(report.flags))),
        class_by_reader=any(
            deposit.class_given and deposit.metastasis is not classify(deposit.diameter_um)
            for deposit in report.deposits
        ),
        judged=said or report.outcome is Outcome.JUDGED,
        decisive=_decisive(report) if said else "",
        certain=certain,
        reading=report.reading,
        pieces=report.tissue_pieces if report.reading is None else None,
    )


def _cut_off_up_to_um(report: StoredReport) -> Micrometers:
    """See Section. Of a slide that a reader read whole, `WholeReading` says it."""
    given = [one.metastasis for one in report.deposits if one.cut_off and one.class_given and report.reading is None]
    return max(given, default=Metastasis.NONE).longest_um


def _doubts(report: StoredReport, nodes: int) -> Set[str]:
    """Codes of the flags that could change the class of a node on the slide; a focus may be another node's largest.

    A macrometastasis by a reader's size or class is one whatever else on the slide is one deposit, or larger. A
    micrometastasis by a reader's word changes nothing beside a deposit that is one without that word.
    """
    if report.not_judged and report.metastasis is None:  # a reader has to read the whole slide
        return {"review_of_other_file", "review_before_scan", "nuclei_out_of_scale"}
    if nodes > 1:
        return {*DOUBTS, *OF_OTHER_NODES}
    if report.reading is not None:
        return set(DOUBTS) - OF_OTHER_NODES
    macro = [deposit for deposit in report.deposits if deposit.metastasis is Metastasis.MACRO]
    by_reader = any(deposit.class_given or deposit.diameter_uncertainty_um == 0 for deposit in macro)
    doubts = set(DOUBTS) - (SETTLED_BY_MACRO if by_reader and report.metastasis is Metastasis.MACRO else set())
    others = [one for one in report.deposits if not one.class_given]
    return doubts - ({"micro_by_reader"} if class_range(others)[0] >= Metastasis.MICRO else set())


def _reason_flags(report: StoredReport) -> list[Flag]:
    """Why the slide is not complete; of one that failed because too much is unread that is said once."""
    twice = {"unread_tissue"} if "too_much_unread" in codes_of(report.flags) else set[str]()
    return [flag for flag in report.flags if flag.code in REASONS and flag.code not in twice]


def _missed(report: StoredReport) -> str:
    """How much of the tissue was not examined, and why, in short; "" where that is not all that is to be said."""
    flags, examined = _reason_flags(report), report.examined_fraction
    shares = [(UNEXAMINED.get(flag.code), flag.message.partition(" % of the tissue ")) for flag in flags]
    told = [f"{why} {share} %" for why, (share, found, _) in shares if why and found]
    if (report.before_review or report.status) is not Status.INCOMPLETE or examined is None or len(told) != len(flags):
        return ""
    whole = f"{two_digits(100 * (1 - examined))} % of the tissue was not examined"
    again = "Copy the file again, or read" if "unread_tissue" in codes_of(flags) else "Read"
    return f"{whole} ({', '.join(told)}). {again} it under the microscope." if told else ""


def _may_be_less(report: StoredReport, certain: Metastasis | None) -> bool:
    """Whether its class may be lower by what class_range doesn't tell; certain: as `_certain` has it, by no count."""
    told = {LowerBy.SIZE} if certain is None else {LowerBy.SIZE, LowerBy.CELLS}
    return any(reason not in told for reason in lower_by(report))


def _decides_unaccepted(report: StoredReport, nodes: int) -> bool:
    """Whether deposits that no reader accepted decide the slide's class, how sure it is, its largest size, or another
    node's class."""
    accepted = [deposit for deposit in report.deposits if deposit.id in report.accepted]
    if len(accepted) == len(report.deposits) or nodes > 1 or report.metastasis is None:
        return len(accepted) < len(report.deposits)
    largest_um, accepted_um = (
        max((deposit.diameter_um for deposit in deposits), default=0.0) for deposits in (report.deposits, accepted)
    )
    less_sure = class_range(accepted)[0] < class_range(report.deposits)[0]
    return less_sure or class_found(accepted) < report.metastasis or accepted_um < largest_um


def _certain(report: StoredReport, nodes: int) -> Metastasis | None:
    """The class that one of several nodes on a slide has for certain where dispersed cells raised that of the slide.

    More than 200 make a micrometastasis in one node (clinical-rules 3), and in which node each lies is not known: only
    where those of all pieces of tissue are clearly more than 200 for each node, one of these has so many (inferred).
    """
    by_foci = largest_class(report.deposits)
    if nodes == 1 or report.metastasis is None or report.metastasis is by_foci or report.reading is not None:
        return None
    cells = dispersed_count_over_pieces(report.deposits)
    return None if cells.least > ITC_CELL_LIMIT * nodes else min(by_foci, report.metastasis)


def _decisive(report: StoredReport) -> str:
    """The largest deposit of the slide's class in words, with its place; "" where there is none.

    A slide without a scale has no place in mm: a reader's centre on it can't be found again by one.
    """
    first = max(report.deposits, key=lambda deposit: (deposit.metastasis, deposit.diameter_um), default=None)
    if first is None:
        return ""
    size = size_in_mm(first.diameter_um, first.diameter_uncertainty_um or None)
    named = f"deposit {first.id} ({size})"
    return named if report.info is None else f"{named}: {place(first.centre_um, report)}"


def _foci(report: StoredReport, nodes: int) -> FociCounts | None:
    """The slide's foci by class, None where foci alone don't say how many nodes are positive.

    So it is where no focus has the slide's class, and where a dispersed pattern may by its cells be a micrometastasis:
    that is of no single focus, and which of its small foci lie in one node is not known. Where a reader read what the
    software did not find, each node on the slide may have a focus of the reader's class, and none a larger one.
    """
    read = report.metastasis if report.reading is not None else None
    if report.reading is not None and read is not None and (read < Metastasis.MICRO or not report.reading.foci_known):
        return most_foci(read, nodes)
    small = [deposit for deposit in report.deposits if deposit.metastasis is not Metastasis.MACRO]
    may_be_micro = dispersed_count_over_pieces(small).most > ITC_CELL_LIMIT
    if report.metastasis is not largest_class(report.deposits) or may_be_micro:
        return None
    measured = Counter(deposit.metastasis for deposit in report.deposits)
    highest = [(deposit.metastasis, highest_class(deposit)) for deposit in report.deposits]
    return FociCounts(
        measured[Metastasis.ITC],
        measured[Metastasis.MICRO],
        measured[Metastasis.MACRO],
        to_micro=sum(found < Metastasis.MICRO <= most for found, most in highest),
        to_macro=sum(found < Metastasis.MACRO <= most for found, most in highest),
    )


def _class_range(report: StoredReport) -> tuple[Metastasis, Metastasis] | None:
    """What its sizes allow, its own class included; None for a slide without a class, and one that a reader read."""
    if report.metastasis is None or report.reading is not None:
        return None
    lowest, highest = class_range(report.deposits)
    return min(lowest, report.metastasis), max(highest, report.metastasis)


def labelled_sections(table: LabelTable) -> tuple[tuple[NodeFacts, str, Section], ...]:
    """Labels as sections: taken as complete, for whoever labelled them said so."""
    rows: list[tuple[NodeFacts, str, Section]] = []
    for slide in table.slides:
        name = slide.slide_id or f"node {slide.facts.node_id}"
        size_um = None if slide.largest_um is None else Micrometers(slide.largest_um)
        nodes = slide.facts.nodes_on_slide
        rows.append((slide.facts, name, Section(name, Status.COMPLETE, slide.label, size_um, nodes_on_slide=nodes)))
    return tuple(rows)


def not_run(slide_id: str, why: str, *, nodes_on_slide: int) -> Section:
    """A slide of the manifest that has no report, or none that counts, and why."""
    return Section(
        slide_id=slide_id,
        status=Status.FAILED,
        metastasis=None,
        nodes_on_slide=nodes_on_slide,
        reason=why,
        left_out=True,
    )


def without_node_ids(rows: Sequence[NodeFacts]) -> tuple[Flag, ...]:
    """The note that a table without node_id calls for."""
    if all(facts.node_id for facts in rows):
        return ()
    return (Flag("no_node_id", "Without a node_id, each slide is counted as a node of its own."),)


def _specimen(names: tuple[str, str, str], rows: Sequence[_Row], table: StagingTable) -> Specimen:
    nodes: defaultdict[tuple[str, str], list[tuple[NodeFacts, Section | None]]] = defaultdict(list)
    for facts, slide_id, section in rows:
        if facts.node_id:
            side = "/".join(filter(None, facts.specimen[1:])) if table is CAMELYON17 else ""
            nodes[f"{side} {facts.node_id}".strip(), ""].append((facts, section))
        elif slide_id:
            nodes["", slide_id].append((facts, section))
    all_facts, (patient_id, specimen_id, laterality) = [facts for facts, _, _ in rows], names
    return Specimen(
        patient_id=patient_id,
        specimen_id=specimen_id,
        laterality=laterality,
        nodes=tuple(_node(name, nodes[name]) for name in sorted(nodes, key=_natural)),
        nodes_removed=_nodes_removed(all_facts),
        neoadjuvant=any(facts.neoadjuvant for facts in all_facts),
        recurrence=any(facts.recurrence for facts in all_facts),
    )


def _nodes_removed(facts: Sequence[NodeFacts]) -> int | None:
    """In all specimens and sides of a group, None where not stated of each."""
    stated = {fact.specimen: fact.nodes_removed for fact in facts if fact.nodes_removed is not None}
    return sum(stated.values()) if all(fact.specimen in stated for fact in facts) else None


def _node(name: tuple[str, str], rows: Sequence[tuple[NodeFacts, Section | None]]) -> Node:
    sentinel = [facts.sentinel for facts, _ in rows if facts.sentinel is not None]
    sections = sorted((section for _, section in rows if section is not None), key=lambda section: section.slide_id)
    node_id, slide_id = name
    nodes = max(facts.nodes_on_slide for facts, _ in rows)
    return Node(
        node_id or slide_id,
        _with_unaccepted(sections, nodes),
        sentinel[0] if sentinel else None,
        nodes_stated=nodes,
    )


def _with_unaccepted(sections: Sequence[Section], nodes: int) -> tuple[Section, ...]:
    """Sections of a node, or of several, that say of a deposit that it may be none only where it decides something.

    It doesn't if others of the one node are as large, and of no lower class even at their shortest.
    """
    sure = [section for section in sections if not section.unaccepted]
    largest = max((section.metastasis or Metastasis.NONE for section in sure), default=Metastasis.NONE)
    least = max((section.classes[0] for section in sure), default=Metastasis.NONE)
    largest_um = max((section.largest_um or 0.0 for section in sure), default=0.0)
    known: list[Section] = []
    for one in sections:
        found = one.metastasis
        as_sure = found is not None and found <= largest and one.classes[0] <= least
        decides = nodes > 1 or not as_sure or (one.largest_um or 0.0) > largest_um
        told = one.unaccepted and decides
        known.append(one if told else replace(one, unaccepted=False, doubts=_without_may_be_none(one.doubts)))
    return tuple(known)


def _without_may_be_none(stored: Sequence[Flag]) -> tuple[Flag, ...]:
    """The flags of a stored report without the sentence that its deposits may be none, which it holds as text alone."""
    return tuple(Flag(flag.code, flag.message.replace(f"{MAY_BE_NONE} ", "")) for flag in stored)


def _natural(name: tuple[str, str]) -> list[tuple[int, str]]:
    """Order in which node 10 comes after node 2."""
    pieces = [piece for part in name for piece in re.split(r"([0-9]+)", part)]
    return [(int(piece), "") if piece.isascii() and piece.isdigit() else (-1, piece) for piece in pieces]
