"""The pN of a specimen by a table, its modifiers, and notes for a reader."""

from dataclasses import replace

from nodescan.domain.classification import Metastasis
from nodescan.domain.flags import LEAPING_DOUBTS, RAISING_DOUBTS, SETTLED_BY_MACRO, Flag, codes_of
from nodescan.domain.lengths import size_in_mm
from nodescan.domain.maps import SMALLEST_PIECE_MM2
from nodescan.domain.naming import how_many, slide_of_node
from nodescan.domain.patient import Specimen, Staged
from nodescan.domain.section import Section
from nodescan.domain.staging import SN_BELOW_NODES, NodeCounts, StageRule, StagingTable, count_nodes, may_be_words

SN_CONDITION = f"(sn) applies only if fewer than {SN_BELOW_NODES} nodes were removed"


def stage(specimen: Specimen, table: StagingTable) -> Staged:
    """The pN of a specimen by `table`, in the sections examined; order of nodes and sections doesn't matter.

    The result is a lower bound if a node was not read whole (clinical-rules 5), if a removed node has no slide here, or
    if a deposit is cut off (both inferred): there may be more tumour. If nothing was found then, there is no category.
    """
    absent = _without_slides(specimen, table)
    unseen = count_nodes(Metastasis.NONE, nodes=absent, complete=False, foci=None)
    counts = sum((node.counts for node in specimen.nodes), unseen)
    found = specimen.certain_class
    possible = Metastasis.MACRO if specimen.unread or specimen.cut_off or absent else specimen.largest_class
    may_be = _may_be(specimen, table)
    reach = _reach(specimen, table, possible, absent)
    measured = table.rule_for(possible, counts.positive.highest)
    highest = measured if reach in may_be else reach
    lowest = table.rule_for(found, counts.positive.lowest)
    prefix, suffix = _modifiers(specimen, table)
    staged = Staged(
        specimen=specimen,
        table=table,
        lowest=lowest if specimen.nodes else None,
        highest=highest if specimen.nodes else None,
        counts=counts,
        prefix=prefix,
        suffix=suffix,
        notes=(),
        not_removed=table.with_modifiers and not specimen.nodes and specimen.nodes_removed == 0,
        n_without_slides=absent,
        may_be=may_be,
    )
    return replace(staged, notes=_notes(staged, measured))


def _may_be(specimen: Specimen, table: StagingTable) -> tuple[StageRule, ...]:
    """Each value that the lowest category can take with each size anywhere within its uncertainty (inferred).

    Each node may have any of its possible classes, whatever the others have. If a node's class depends on which node
    dispersed cells lie in, only its certain class is used.
    """
    ways = {(Metastasis.NONE, 0)}
    for node in specimen.nodes:
        ways = {
            (max(largest, found), positive + int(found >= Metastasis.MICRO))
            for largest, positive in ways
            for found in (node.classes if node.certain_class is node.largest_class else (node.certain_class,))
        }
    rules = {table.rule_for(largest, positive) for largest, positive in ways} if specimen.nodes else set[StageRule]()
    return tuple(rule for rule in table.rules if rule in rules)


def _reach(specimen: Specimen, table: StagingTable, possible: Metastasis, absent: int) -> StageRule | None:
    """The highest possible category, with each size anywhere within its uncertainty (inferred).

    If nodes share slides, it is unknown how deposits are split between them. Uncertain sizes and an unknown split can
    together give a higher category than either alone.
    """
    largest = max((node.classes[-1] for node in specimen.nodes), default=Metastasis.NONE)
    return table.rule_for(max(possible, largest), sum(node.most_positive for node in specimen.nodes) + absent)


def _without_slides(specimen: Specimen, table: StagingTable) -> int:
    """Removed nodes without slides; the challenge's table knows no other nodes than those of its slides."""
    if not table.with_modifiers or not specimen.nodes:
        return 0
    return max((specimen.nodes_removed or 0) - specimen.n_nodes, 0)


def _modifiers(specimen: Specimen, table: StagingTable) -> tuple[str, str]:
    """Prefix and suffix, from the manifest alone; r stands before y (TNM, both: "rypN...")."""
    if not table.with_modifiers:
        return "", ""
    prefix = ("r" if specimen.recurrence else "") + ("y" if specimen.neoadjuvant else "")
    removed = specimen.nodes_removed
    sentinel = any(node.sentinel for node in specimen.nodes)
    few = removed is not None and removed < SN_BELOW_NODES
    return prefix, "(sn)" if sentinel and few else ""


def _notes(staged: Staged, measured: StageRule | None) -> tuple[Flag, ...]:
    """measured: the highest possible category by the sizes as measured."""
    specimen = staged.specimen
    notes = [
        *_unread_notes(specimen),
        *_piece_notes(specimen),
        *_read_notes(specimen),
        *_split_notes(staged, measured),
        *_doubt_notes(specimen),
    ]
    if staged.table.with_modifiers:
        notes += [*_sentinel_notes(specimen), *_treatment_notes(specimen), *_removed_notes(specimen)]
    return tuple(notes)


def _unread_notes(specimen: Specimen) -> list[Flag]:
    """Which node makes the result incomplete, and why."""
    notes: list[Flag] = []
    for node in specimen.unread:
        if not node.sections:
            notes.append(Flag("node_unread", f"Node {node.node_id}: none of its slides was read."))
        elif node.n_listed < node.n_nodes:
            text = (
                f"Node {node.node_id}: a slide that was left out shows {node.n_nodes} nodes, but the slides that count "
                f"show only {node.n_listed}."
            )
            notes.append(Flag("node_unread", text))
        for section in node.sections:
            if not section.complete:
                why = section.reason.rstrip(".") or "no reason was recorded"
                text = f"{slide_of_node(node.node_id, section.slide_id)}: "
                text += section.missed or (f"{why}." if section.left_out else f"{section.status.value} ({why}).")
                if section.unclassed_um is not None and section.metastasis is None:
                    size = size_in_mm(section.unclassed_um, section.uncertainty_um)
                    text += f" Tumour was found on it; the largest deposit measures {size}. Review the slide."
                elif section.unclassed_um is not None:
                    size = size_in_mm(section.unclassed_um, None)
                    text += f" The review left deposits on it undecided, the largest {size}. Accept or reject them."
                notes.append(Flag("node_unread", text))
    return notes


def _piece_notes(specimen: Specimen) -> list[Flag]:
    """Which slides show fewer pieces of tissue than nodes: a node may lie on the glass outside the scan."""
    return [
        Flag(
            "fewer_pieces_than_nodes",
            f"{slide_of_node(node.node_id, section.slide_id)}: the table says that the slide shows "
            f"{section.nodes_on_slide} nodes, but it shows {how_many(section.pieces or 0, 'separate piece')} of tissue "
            f"of at least {SMALLEST_PIECE_MM2:g} mm2. A node may lie outside the scanned area. Look at the glass. If a "
            "node is missing from the scan, scan the slide again. If all are in it (nodes that touch are one piece), "
            "read the whole slide and record its class with the action read. If the number is wrong, correct "
            "nodes_on_slide.",
        )
        for node in specimen.nodes
        for section in node.sections
        if section.n_shown < section.nodes_on_slide
    ]


def _read_notes(specimen: Specimen) -> list[Flag]:
    """Which slides a reader read whole, and what the software alone said of them."""
    notes: list[Flag] = []
    for node in specimen.nodes:
        for section in node.sections:
            if section.reading is not None and section.metastasis is not None:
                why = f" ({section.reason.rstrip('.')})" if section.reason else ""
                text = (
                    f"{slide_of_node(node.node_id, section.slide_id)}: {section.reading.by} read the whole slide as "
                    f"{section.metastasis.word}. The software's own result: {section.reading.software}{why}."
                )
                notes.append(Flag("read_by_reader", text))
    return notes


def _split_notes(staged: Staged, measured: StageRule | None) -> list[Flag]:
    shared = [node for node in staged.specimen.nodes if node.n_nodes > 1]
    if all(node.complete and node.largest_class is Metastasis.NONE for node in shared):
        return []
    names = ", ".join(node.node_id for node in shared)
    text = (
        f"Several nodes share the slides of {names}, and it is not known in which of these nodes a deposit lies "
        f"(positive nodes: {staged.counts.positive.words})."
    )
    text += f"{_within_uncertainty(staged.specimen, staged.counts)}{_of_split(staged, measured)}"
    return [Flag("nodes_share_slides", text)]


def _of_split(staged: Staged, measured: StageRule | None) -> str:
    """In words, whether the category is the same however deposits are split between nodes; "" without a category."""
    if staged.category is None:
        return ""
    if staged.lowest == measured != staged.highest:  # only within the uncertainty of sizes
        return " Then the pN may be higher. Measure the deposits that are near a limit there."
    may_be = may_be_words([rule.category for rule in staged.may_be], at_least=staged.bound is not None)
    if staged.lowest != measured:
        by_split = staged.complete and not staged.specimen.cut_off
        why = ": it depends on how the deposits are spread over the nodes" if by_split else ""
        sizes = f"; within the uncertainty of sizes it may be {may_be}" if staged.borderline else ""
        return f" The pN may be higher{why}{sizes}."
    holds = "pN holds however the deposits are split"
    if staged.borderline:
        return f" By the sizes as measured the {holds}; within their uncertainty it may be {may_be}."
    shared = [section for node in staged.specimen.nodes if node.n_nodes > 1 for section in node.sections]
    in_doubt = any(codes_of(section.doubts) - _OF_MEASURED_SIZES for section in shared)
    return f" {'By the sizes as measured the' if in_doubt else 'The'} {holds}."


def _within_uncertainty(specimen: Specimen, counts: NodeCounts) -> str:
    """In words, how much higher the result may be within the uncertainty of sizes, and in which nodes; "" if no
    higher."""
    found = specimen.largest_class
    more = {node.node_id: node.more_by_size(None) for node in specimen.nodes}
    names = [node.node_id for node in specimen.nodes if more[node.node_id] or node.classes[-1] > found]
    most = counts.positive.highest + sum(more.values())
    largest = max(node.classes[-1] for node in specimen.nodes)
    may_be = [f"up to {how_many(most, 'node')} may be positive"] if most > counts.positive.highest else []
    may_be += [f"the largest deposit may be {largest.word}"] if largest > found else []
    return f" Within the uncertainty of sizes in {', '.join(names)}, {' and '.join(may_be)}." if names else ""


def _doubt_notes(specimen: Specimen) -> list[Flag]:
    """Doubts about slides that could change the class of their node.

    If several nodes share the slides, every doubt matters, because it may be about another node. If not, two kinds of
    doubts don't matter:

    - on a slide of a lower class than its node's: those that may raise the class by one step only, and all of them
      beside a macrometastasis;
    - about sizes, or about tumour that was missed, if the node surely has a macrometastasis.
    """
    return [
        Flag(doubt.code, f"{slide_of_node(node.node_id, section.slide_id)}: {doubt.message}")
        for node in specimen.nodes
        for section in node.sections
        for doubt in section.doubts
        if node.n_nodes > 1
        or section.metastasis in (None, node.largest_class)
        or (doubt.code in LEAPING_DOUBTS and node.largest_class is not Metastasis.MACRO)
        if not (doubt.code in _OF_HOW_MUCH and node.n_nodes == 1 and any(map(_surely_macro, node.sections)))
    ]


_OF_HOW_MUCH = SETTLED_BY_MACRO | {"borderline", "tissue_cut_off", "tissue_meets_ink", "small_pale_area"}
"""Doubts about how large or how many deposits are, but not about the pixel size or what a reader stated."""


_OF_MEASURED_SIZES = frozenset({"borderline", "size_near_limit"})
"""Doubts that the range of possible stages already takes into account."""


def _surely_macro(section: Section) -> bool:
    """Whether it shows a macrometastasis, and no doubt could lower that class."""
    certain = section.metastasis is Metastasis.MACRO is section.classes[0]
    return certain and codes_of(section.doubts) <= RAISING_DOUBTS


def _sentinel_notes(specimen: Specimen) -> list[Flag]:
    removed = specimen.nodes_removed or 0
    if max(specimen.n_nodes, removed) >= SN_BELOW_NODES:
        return []
    if any(node.sentinel for node in specimen.nodes):
        return (
            [Flag("sentinel_modifier", f"{SN_CONDITION}, which is not stated.")]
            if specimen.nodes_removed is None
            else []
        )
    if any(node.sentinel is None for node in specimen.nodes):
        return [Flag("sentinel_modifier", "It is not stated whether these are sentinel nodes, so (sn) is not given.")]
    return []


def _treatment_notes(specimen: Specimen) -> list[Flag]:
    if not specimen.neoadjuvant or not specimen.nodes:
        return []
    text = (
        "After neoadjuvant treatment, the largest contiguous residual focus counts, and fibrosis does not. Cells in a "
        "treated bed may be missed, so review the slides."
    )
    notes = [Flag("treated", text)]
    if specimen.largest_class is Metastasis.ITC:
        notes.append(Flag("not_complete_response", "Residual isolated tumour cells are not a complete response."))
    return notes


def _removed_notes(specimen: Specimen) -> list[Flag]:
    removed, seen = specimen.nodes_removed, specimen.n_nodes
    if removed is None or removed <= seen or not specimen.nodes:
        return []
    text = f"{removed} nodes were removed, but there are slides of only {seen} here, so the staging is not complete."
    return [Flag("nodes_without_slides", text)]
