"""Nodes that share a slide: no split of its foci, each within its uncertainty, is left out of what a stage may be."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodescan.domain.classification import CellCount, Metastasis, classify
from nodescan.domain.doubts import dispersed_flags
from nodescan.domain.flags import DOUBTS, OF_OTHER_NODES, Flag, codes_of
from nodescan.domain.patient import Node, Specimen, Staged
from nodescan.domain.patient_stage import stage
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.section import Section
from nodescan.domain.staging import AJCC8, CountRange, FociCounts
from nodescan.domain.units import Micrometers
from nodescan.domain.verdict import class_found, deposit_flags
from nodescan.patients.grouping import section_of
from nodescan.patients.page import key_facts
from nodescan.patients.sentences import answer
from nodescan.patients.synoptic import MACRO_ELEMENT, MICRO_ELEMENT, n_borderline, synoptic
from nodescan.reports.report_reader import as_stored
from tests.patients.made_reports import report, staged_by, write_run

UNSURE_UM = 4.0
"""The uncertainty of each size in made reports."""


def shared(made: SlideReport, nodes: int) -> Section:
    return section_of(as_stored(made, Path(made.slide.slide_id)), nodes_on_slide=nodes)


def staged(*sections: Section) -> Staged:
    nodes = tuple(Node(str(number), (section,), True) for number, section in enumerate(sections))
    return stage(Specimen("P", nodes), AJCC8)


def dispersed(*sizes_um: float, cells: int, pieces: int = 1) -> SlideReport:
    """Foci of these sizes, and in each piece of tissue twelve of 0.05 mm with so many cells in all, 40 % unsure."""
    made = report("d", (*sizes_um, *[50.0] * 12 * pieces))
    counted = [
        replace(one, cells=CellCount(cells // 12, cells // 30), piece=1 + (one.id - 1 - len(sizes_um)) // 12)
        if one.diameter_um == 50.0
        else one
        for one in made.deposits
    ]
    flags = (*deposit_flags(counted), *dispersed_flags(counted))
    return replace(made, deposits=tuple(counted), metastasis=class_found(counted), flags=flags)


@pytest.mark.parametrize(
    ("sizes_um", "nodes", "words", "positive"),
    [
        ((3000.0, 2900.0, 2800.0, 150.0), 4, "at least pN1a", CountRange(1, 4)),
        ((3000.0, 150.0), 2, "pN1a", CountRange(1, 2)),
        ((900.0, 150.0), 2, "at least pN1mi", CountRange(1, 2)),
        ((3000.0, 150.0), 1, "pN1a", CountRange(1, 1)),
        ((5000.0,), 4, "pN1a", CountRange(1, 1)),
    ],
)
def test_a_focus_that_is_cut_off_may_be_a_metastasis_of_another_node(
    sizes_um: Sequence[float], nodes: int, words: str, positive: CountRange
) -> None:
    """The smallest one runs off the scan; beside a macrometastasis the slide's class is certain all the same."""
    made = report("s", sizes_um)
    *others, smallest = made.deposits
    cut = replace(made, deposits=(*others, replace(smallest, cut_off=True)))
    found = staged(shared(cut, nodes))
    assert (found.words, found.counts.positive) == (words, positive)


@pytest.mark.parametrize(
    ("sizes_um", "nodes", "words", "positive", "most"),
    [
        ((3000.0, 500.0, 400.0, 198.0), 4, "at least pN1a", CountRange(1, 3), 4),
        ((3000.0, 500.0, 400.0, 195.0), 4, "pN1a", CountRange(1, 3), 3),
        ((1998.0, 500.0, 400.0, 300.0), 4, "at least pN1mi", CountRange(1, 4), 4),
        ((1998.0, 500.0), 2, "pN1mi", CountRange(1, 2), 2),
        ((198.0, 150.0), 2, "pN0(i+)", CountRange(0, 0), 1),
    ],
)
def test_a_borderline_focus_may_make_another_node_positive(
    sizes_um: Sequence[float], nodes: int, words: str, positive: CountRange, most: int
) -> None:
    """Of four deposits, one of 198 +- 4 um: four nodes may be positive (pN2a); of 195 +- 4 um it can't be."""
    found = staged(shared(report("s", sizes_um), nodes))
    assert (found.words, found.counts.positive) == (words, positive)
    assert sum(node.most_positive for node in found.specimen.nodes) == most


def test_borderline_foci_count_for_no_node_whether_or_not_it_shares_its_slides() -> None:
    """Beside a macrometastasis, one of 198 +- 4 um: on a slide of two nodes and on a slide of one it is an ITC."""
    found = staged(shared(report("s", (3000.0, 198.0)), 2), shared(report("t", (198.0,)), 1))
    assert (found.counts.positive, found.counts.micro) == (CountRange(1, 1), CountRange(0, 0))
    assert [node.most_positive for node in found.specimen.nodes] == [2, 1]


SPLIT = (
    "Several nodes share the slides of 0, and it is not known in which of these nodes a deposit lies "
    "(positive nodes: {})."
)
WITHIN = "Within the uncertainty of sizes in"
HOLDS = "The pN holds however the deposits are split."
HELD = "By the sizes as measured the pN holds however the deposits are split; within their uncertainty it may be"
SPREAD = "The pN may be higher: it depends on how the deposits are spread over the nodes"
OPEN = f"{SPREAD}; within the uncertainty of sizes it may be"
HIGHER = "Then the pN may be higher. Measure the deposits that are near a limit there."


@pytest.mark.parametrize(
    ("foci_um", "others_um", "words", "note"),
    [
        (
            (3000.0, 500.0, 198.0),
            (500.0, 197.0),
            "at least pN1a",
            f"{SPLIT.format('2 to 3')} {WITHIN} 0, 2, up to 5 nodes may be positive. {HIGHER}",
        ),
        (
            (500.0, 400.0, 300.0),
            (1998.0,),
            "at least pN1mi",
            f"{SPLIT.format('2 to 4')} {WITHIN} 1, the largest deposit may be macro. {HIGHER}",
        ),
        (
            (3000.0, 198.0),
            (),
            "pN1a",
            f"{SPLIT.format('1')} {WITHIN} 0, up to 2 nodes may be positive. {HOLDS}",
        ),
        (
            (3000.0, 500.0),
            (198.0, 500.0, 500.0),
            "at least pN1a",
            f"{SPLIT.format('3 to 4')} {WITHIN} 1, up to 5 nodes may be positive. {OPEN} at least pN1a or pN2a.",
        ),
        (
            (1998.0, 500.0),
            (),
            "pN1mi",
            f"{SPLIT.format('1 to 2')} {WITHIN} 0, the largest deposit may be macro. {HELD} pN1mi or pN1a.",
        ),
        (
            (198.0, 150.0),
            (),
            "pN0(i+)",
            f"{SPLIT.format('0')} {WITHIN} 0, up to 1 node may be positive and the largest deposit may be micro. "
            f"{HELD} pN0(i+) or pN1mi.",
        ),
        ((2002.0, 500.0), (), "pN1a", f"{SPLIT.format('1 to 2')} {HELD} pN1mi or pN1a."),
        ((3000.0, 900.0, 300.0), (500.0,), "at least pN1a", f"{SPLIT.format('2 to 4')} {SPREAD}."),
        (
            (500.0, 400.0),
            (2002.0, 500.0, 198.0),
            "pN1a as measured",
            f"{SPLIT.format('3 to 4')} {WITHIN} 3, up to 5 nodes may be positive. "
            f"{OPEN} at least pN1mi or pN1a or pN2a.",
        ),
    ],
)
def test_a_stage_that_sizes_alone_leave_open_names_the_nodes_to_measure(
    foci_um: Sequence[float], others_um: Sequence[float], words: str, note: str
) -> None:
    """Node 0 stands for three that share a slide. By sizes as measured all but three have one category."""
    others = [shared(report(f"o{number}", (um,)), 1) for number, um in enumerate(others_um)]
    found = staged(shared(report("s", foci_um), 3), *others)
    assert found.words == words
    (said,) = (one.message for one in found.notes if one.code == "nodes_share_slides")
    assert said == note
    spread = "so the true stage may be higher" in answer(found)
    assert spread is found.at_least


@pytest.mark.parametrize("code", sorted({*DOUBTS, *OF_OTHER_NODES}))
@pytest.mark.parametrize("sizes_um", [(150.0,), (5000.0, 150.0)])
def test_every_doubt_of_a_shared_slide_is_told(sizes_um: Sequence[float], code: str) -> None:
    """Beside three macrometastases a fourth of four nodes may be positive by it, so the pN isn't said to hold."""
    doubtful = report("d", sizes_um, flags=(Flag(code, "Why."),))
    sections = (shared(report("s", (5000.0, 3000.0, 2500.0)), 4), shared(doubtful, 4))
    found = stage(Specimen("P", (Node("1", sections, True),)), AJCC8)
    notes = {note.code: note.message for note in found.notes}
    assert notes[code] == "Node 1, slide d: Why."
    settled = code in ("borderline", "size_near_limit")  # by sizes, which the note takes into account
    assert (HOLDS in notes["nodes_share_slides"]) <= settled


@pytest.mark.parametrize(
    ("sizes_um", "unsure"),
    [((5000.0, 198.0, 197.0), (2, 0, 2)), ((5000.0, 1998.0), (0, 1, 0)), ((5000.0, 300.0), (0, 0, 0))],
)
def test_the_table_counts_what_sizes_leave_open_beside_a_larger_deposit(
    sizes_um: Sequence[float], unsure: tuple[int, int, int]
) -> None:
    """Of three nodes: positive ones, those with macro- and those with micrometastases."""
    found = staged(shared(report("s", sizes_um), 3))
    notes = {fact.label: fact.note for fact in (*key_facts(found), *synoptic(found))}
    said = [notes[label] for label in ("Positive nodes", MACRO_ELEMENT, MICRO_ELEMENT)]
    assert [f"{count} borderline by size" in note for count, note in zip(unsure, said, strict=True)] == [
        count > 0 for count in unsure
    ]
    assert n_borderline(found) == max(unsure)


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_size_near_a_limit_is_told_where_it_may_be_another_nodes(nodes: int) -> None:
    """Beside a macrometastasis of the same node it changes nothing."""
    made = report("s", (3000.0, 198.0))
    found = staged(shared(replace(made, flags=deposit_flags(made.deposits)), nodes))
    assert ("size_near_limit" in [note.code for note in found.notes]) is (nodes > 1)


def test_only_doubts_of_a_class_are_passed_on_to_its_node() -> None:
    """What changes no class is no matter of the stage; a size near a limit changes only another node's."""
    flags = [Flag(code, "Why.") for code in ("borderline", "tumour_on_glass", "size_near_limit", "file_cut_off")]
    made = report("s", (900.0,), flags=tuple(flags))
    assert [flag.code for flag in shared(made, 1).doubts] == ["borderline"]
    assert [flag.code for flag in shared(made, 2).doubts] == ["borderline", "size_near_limit"]


def test_dispersed_cells_that_nodes_share_are_no_matter_of_sizes_and_keep_their_doubts() -> None:
    """360 cells in two nodes: a micrometastasis in one of them, or isolated tumour cells in both."""
    found = staged(shared(dispersed(cells=360), 2))
    assert (found.words, [rule.category for rule in found.may_be]) == ("at least pN0(i+)", ["pN0(i+)"])
    assert found.highest is not None
    assert found.highest.category == "pN1mi"
    assert {"cell_count_dispersed", "dispersed_pattern"} <= {note.code for note in found.notes}
    (split,) = (note.message for note in found.notes if note.code == "nodes_share_slides")
    assert "uncertainty of sizes" not in split


@pytest.mark.parametrize(("cells", "words"), [(360, "at least pN1a"), (120, "pN1a")])
@pytest.mark.parametrize("focus_um", [500.0, 3000.0])
def test_a_dispersed_pattern_may_lie_in_another_node_than_the_largest_focus(
    focus_um: float, cells: int, words: str
) -> None:
    """Three positive nodes, or four: more than 200 cells by themselves make a node positive, far fewer don't."""
    others = [Section(f"m{number}", Status.COMPLETE, Metastasis.MACRO) for number in range(2)]
    assert staged(shared(dispersed(focus_um, cells=cells), 2), *others).words == words


@pytest.mark.parametrize(
    ("nodes", "pieces", "cells", "words", "positive"),
    [
        (2, 2, 420, "pN1mi", CountRange(1, 2)),
        (3, 3, 420, "pN1mi", CountRange(1, 3)),
        (3, 2, 420, "at least pN0(i+)", CountRange(0, 3)),
        (2, 2, 120, "pN0(i+)", CountRange(0, 0)),
        (1, 2, 120, "pN0(i+)", CountRange(0, 0)),
    ],
)
def test_dispersed_cells_of_all_pieces_are_shared_out_among_the_nodes(
    nodes: int, pieces: int, cells: int, words: str, positive: CountRange
) -> None:
    """Clearly more than 200 for each node in all: one of them has so many, though none of the pieces has them all."""
    found = staged(shared(dispersed(cells=cells, pieces=pieces), nodes))
    assert (found.words, found.counts.positive) == (words, positive)


@pytest.mark.parametrize(("pieces", "positive"), [(1, CountRange(1, 1)), (2, CountRange(1, 2))])
def test_dispersed_cells_in_several_pieces_may_make_another_node_positive(pieces: int, positive: CountRange) -> None:
    """120 +- 48 cells in each piece may be more than 200 together, in the node that the focus of 0.5 mm is not in."""
    assert staged(shared(dispersed(500.0, cells=120, pieces=pieces), 2)).counts.positive == positive


@pytest.mark.parametrize(("uncertainty", "known"), [(60, True), (61, False)])
def test_foci_say_nothing_of_nodes_once_their_cells_may_be_a_micrometastasis(uncertainty: int, known: bool) -> None:
    """140 + 60 dispersed cells are 200, no micrometastasis; of one more, which node they lie in isn't known."""
    made = report("d", (500.0, *[50.0] * 12))
    cells = [None, CellCount(140, uncertainty), *[CellCount(0, 0)] * 11]
    counted = [replace(one, cells=count) for one, count in zip(made.deposits, cells, strict=True)]
    found = shared(replace(made, deposits=tuple(counted)), 2)
    assert found.foci == (FociCounts(itc=12, micro=1) if known else None)


def test_a_slide_without_a_class_counts_no_foci() -> None:
    """That none were found on it says nothing: it wasn't seen."""
    assert shared(report("s", status=Status.FAILED), 2).foci is None
    assert shared(report("s"), 2).foci == FociCounts()


def test_a_deposit_whose_class_a_reader_gave_hangs_on_no_edge_of_the_scan() -> None:
    """Cut off or not, the class is the reader's."""
    stored = as_stored(report("s", (900.0,)), Path("s"))
    (deposit,) = stored.deposits
    cut = replace(deposit, cut_off=True)
    for one, cut_off in ((deposit, False), (cut, True), (replace(cut, class_given=True), False)):
        assert section_of(replace(stored, deposits=(one,))).cut_off is cut_off


NEAR = st.sampled_from([150.0, 198.0, 202.0, 900.0, 1998.0, 2002.0, 3000.0])


@given(st.lists(NEAR, min_size=1, max_size=3), st.integers(2, 4), st.lists(NEAR, max_size=3))
def test_every_split_of_every_size_is_within_what_is_said(foci: list[float], nodes: int, others: list[float]) -> None:
    """By trying: the truth is one that the stage may be, or lies from the lowest to the highest."""
    found = staged(
        shared(report("s", foci), nodes), *[shared(report(f"o{n}", (um,)), 1) for n, um in enumerate(others)]
    )
    rules = AJCC8.rules
    (note,) = (one.message for one in found.notes if one.code == "nodes_share_slides")
    assert (HOLDS in note) <= (len(found.may_be) == 1)
    said = {*found.may_be, *rules[rules.index(found.lowest) : rules.index(found.highest) + 1]}
    for places, moves in product(
        product(range(nodes), repeat=len(foci)), product((-UNSURE_UM, UNSURE_UM), repeat=len(foci) + len(others))
    ):
        kinds = [classify(Micrometers(um + move)) for um, move in zip((*foci, *others), moves, strict=True)]
        positive = {at for at, kind in zip(places, kinds, strict=False) if kind >= Metastasis.MICRO}
        alone = sum(kind >= Metastasis.MICRO for kind in kinds[len(foci) :])
        assert AJCC8.rule_for(max(kinds), len(positive) + alone) in said


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ((shared(report("s", (198.0,)), 5),), 1),
        ((shared(report("s", (198.0, 197.0, 60.0)), 5),), 3),
        ((shared(report("s", (198.0, 197.0, 60.0)), 2),), 2),
        ((shared(report("s", (198.0,)), 1),), 1),
        ((shared(report("s", (150.0,)), 5),), 0),
        ((shared(report("s", (198.0,)), 5), shared(report("t", (1998.0,)), 5)), 2),
        ((replace(shared(report("s", (198.0,)), 5), foci=None),), 5),
    ],
)
def test_no_more_nodes_are_borderline_than_have_a_focus(sections: Sequence[Section], told: int) -> None:
    """All that share the slide only where its foci weren't counted."""
    found = staged(*sections)
    assert n_borderline(found) == told
    notes = {fact.label: fact.note for fact in synoptic(found)}
    expected = f"{told} borderline by size, which may or may not count here" if told else ""
    assert notes[MICRO_ELEMENT] == expected


@pytest.mark.parametrize(
    ("sizes_um", "nodes", "pieces", "words"),
    [
        ((), 2, 1, "cannot be determined (no tumour found, but 1 of 2 nodes not fully read)"),
        ((), 3, 0, "cannot be determined (no tumour found, but 2 of 3 nodes not fully read)"),
        ((), 2, 2, "pN0"),
        ((), 2, 5, "pN0"),
        ((), 2, None, "pN0"),
        ((), 1, 0, "pN0"),
        ((900.0,), 2, 1, "at least pN1mi"),
    ],
)
def test_a_node_without_a_piece_of_tissue_is_not_read(
    sizes_um: tuple[float, ...], nodes: int, pieces: int | None, words: str
) -> None:
    """A slide of two nodes that shows one piece may lack the other; how many pieces older reports show isn't known."""
    found = staged(shared(replace(report("d", sizes_um), tissue_pieces=pieces), nodes))
    lacking = pieces is not None and pieces < nodes > 1
    assert found.words == words
    assert found.n_nodes == nodes
    assert found.specimen.n_examined == (max(pieces or 0, 1) if lacking else nodes)
    told = [note.message for note in found.notes if note.code == "fewer_pieces_than_nodes"]
    assert [
        text.startswith(f"Node 0, slide d: the table says that the slide shows {nodes} nodes") for text in told
    ] == ([True] if lacking else [])


def test_a_node_that_one_level_lacks_is_read_in_part() -> None:
    """Two levels of two nodes, one of which shows one piece: what the other node holds there was not seen."""
    both, one = (shared(replace(report(f"d{pieces}", ()), tissue_pieces=pieces), 2) for pieces in (2, 1))
    found = stage(Specimen("P", (Node("N", (both, one), True),)), AJCC8)
    assert found.words == "cannot be determined (no tumour found, but 1 of 2 nodes not fully read)"
    assert (found.specimen.n_examined, found.n_in_part) == (2, 1)
    assert [note.message[:17] for note in found.notes if note.code == "fewer_pieces_than_nodes"] == [
        "Node N, slide d1:"
    ]


def test_a_level_that_is_said_to_show_fewer_nodes_lacks_none() -> None:
    """The second node ends above the deeper level, and the table says so."""
    levels = [shared(replace(report(f"d{nodes}", ()), tissue_pieces=nodes), nodes) for nodes in (2, 1)]
    assert stage(Specimen("P", (Node("N", tuple(levels), True),)), AJCC8).words == "pN0"


def test_a_slide_that_a_reader_read_whole_shows_all_its_nodes(tmp_path: Path) -> None:
    """Two nodes that touch are one piece of tissue: the reader's word on the slide is of both."""
    run = write_run(tmp_path / "run", [replace(report("d", ()), tissue_pieces=1)])
    header, row = "path,patient_id,node_id,nodes_on_slide", "d.tif,P,N,2"
    before, after = (
        staged_by(run, header, row, review=review).patients[0].staged for review in ((), ("d,,,,read,negative,Dr A",))
    )
    assert not before.determined
    assert after.words == "pN0"
    assert "fewer_pieces_than_nodes" not in codes_of(after.notes)
