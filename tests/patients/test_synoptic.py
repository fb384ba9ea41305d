"""The synoptic elements say what is known, and "cannot be determined" where it isn't."""

from dataclasses import replace

import pytest

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.patient import Node, Specimen
from nodescan.domain.patient_stage import stage
from nodescan.domain.report import Status
from nodescan.domain.section import Section
from nodescan.domain.staging import AJCC8, CAMELYON17, FociCounts
from nodescan.domain.units import Micrometers
from nodescan.patients.synoptic import ITC_ELEMENT, MACRO_ELEMENT, MICRO_ELEMENT, n_borderline, synoptic

NONE, ITC, MICRO, MACRO = Metastasis


def filled(specimen: Specimen) -> dict[str, str]:
    return {element.label: element.value for element in synoptic(stage(specimen, AJCC8))}


def notes(specimen: Specimen) -> dict[str, str]:
    return {element.label: element.note for element in synoptic(stage(specimen, AJCC8))}


def node(name: str, found: Metastasis, size_um: float | None = None, *, sentinel: bool | None = True) -> Node:
    size = None if size_um is None else Micrometers(size_um)
    return Node(name, (Section(f"s{name}", Status.COMPLETE, found, size),), sentinel)


def unread(name: str) -> Node:
    return Node(name, (Section(f"s{name}", Status.FAILED, None, reason="truncated"),), True)


def test_a_patient_that_was_read_whole() -> None:
    """Every element is filled in, sizes in mm, extranodal extension never."""
    nodes = (node("1", MACRO, 3512.0), node("2", MICRO, 640.0), node("3", ITC, 90.0), node("4", NONE, sentinel=False))
    found = filled(Specimen("P", nodes, nodes_removed=4))
    assert found == {
        "Regional Lymph Node Status": "Tumor present in regional lymph node(s)",
        MACRO_ELEMENT: "1",
        MICRO_ELEMENT: "1",
        ITC_ELEMENT: "1",
        "Size of Largest Nodal Metastatic Deposit": "3.51 mm",
        "Extranodal Extension": "cannot be determined (not assessed by software)",
        "Total Number of Lymph Nodes Examined (sentinel and non-sentinel)": "4",
        "Number of Sentinel Nodes Examined": "3",
        "pN Category (node component only)": "pN1a(sn)",
    }


def test_a_patient_with_an_unread_node() -> None:
    """Counts that the unread node could change are ranges, the size is a lower bound."""
    found = filled(Specimen("P", (node("1", MICRO, 640.0), unread("2")), nodes_removed=2))
    assert found[MACRO_ELEMENT] == "cannot be determined (0 to 1)"
    assert found[MICRO_ELEMENT] == "cannot be determined (1 to 2)"
    assert found["Size of Largest Nodal Metastatic Deposit"] == "at least 0.64 mm"
    assert found["Total Number of Lymph Nodes Examined (sentinel and non-sentinel)"] == "1"
    assert found["pN Category (node component only)"] == "at least pN1mi(sn)"


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ((node("1", MICRO, 640.0),), "one contiguous deposit in one section; sizes are never added"),
        ((node("1", NONE),), ""),
        ((node("1", MACRO),), ""),
    ],
)
def test_what_a_size_is_of_is_told_where_there_is_one(nodes: tuple[Node, ...], told: str) -> None:
    """Not beside "not applicable" or "cannot be determined"."""
    assert notes(Specimen("P", nodes))["Size of Largest Nodal Metastatic Deposit"] == told


def test_a_count_is_called_borderline_only_for_nodes_that_are() -> None:
    """640 um is far from both limits."""
    told = notes(Specimen("P", (node("1", MICRO, 640.0), node("2", NONE))))
    assert told[ITC_ELEMENT] == told[MICRO_ELEMENT] == told[MACRO_ELEMENT] == ""


def test_nothing_found_with_an_unread_node_is_not_negative() -> None:
    """The status itself can't be determined."""
    found = filled(Specimen("P", (node("1", NONE), unread("2"))))
    assert found["Regional Lymph Node Status"] == "cannot be determined (not every node was fully read)"
    assert found["Size of Largest Nodal Metastatic Deposit"] == "cannot be determined (not measured)"


def test_a_negative_patient_and_one_without_nodes() -> None:
    """Negative in the sections examined; pNX is not applicable throughout."""
    negative = filled(Specimen("P", (node("1", NONE),)))
    assert negative["Regional Lymph Node Status"].startswith("All regional lymph nodes negative for tumor")
    assert negative["Regional Lymph Node Status"].endswith("nodes examined: 1, number removed not stated)")
    assert negative["Size of Largest Nodal Metastatic Deposit"] == "not applicable (no deposit)"
    none = filled(Specimen("P", (), nodes_removed=0))
    assert none["Regional Lymph Node Status"].startswith("Not applicable")
    assert (none[MACRO_ELEMENT], none["pN Category (node component only)"]) == ("not applicable", "pNX")
    assert none["Size of Largest Nodal Metastatic Deposit"] == "not applicable (no deposit)"
    assert none["Number of Sentinel Nodes Examined"] == "0"


@pytest.mark.parametrize(
    ("removed", "said"),
    [
        (2, "All regional lymph nodes negative for tumor (in the sections examined; nodes examined: 2 of 2)"),
        (4, "cannot be determined (2 of 4 nodes not fully read)"),
    ],
)
def test_negative_says_of_how_many_nodes(removed: int, said: str) -> None:
    """All nodes are negative only where all that were removed were examined."""
    staged = stage(Specimen("P", (node("1", NONE), node("2", NONE)), nodes_removed=removed), AJCC8)
    elements = {element.label: element for element in synoptic(staged)}
    assert elements["Regional Lymph Node Status"].value == said
    total = elements["Total Number of Lymph Nodes Examined (sentinel and non-sentinel)"]
    more = "removed without slides here: 2" if removed == 4 else ""
    assert (total.value, total.note) == ("2", more)


def test_without_any_node_in_the_table_no_count_is_0() -> None:
    """Two nodes were removed, or nobody knows how many, and no slide of them is listed."""
    for removed in (2, None):
        found = filled(Specimen("P", (), nodes_removed=removed))
        for element in (MACRO_ELEMENT, MICRO_ELEMENT, ITC_ELEMENT, "Number of Sentinel Nodes Examined"):
            assert found[element] == "cannot be determined"
        assert found["Size of Largest Nodal Metastatic Deposit"] == "cannot be determined (not measured)"
        assert not found["Regional Lymph Node Status"].startswith("All")


def test_tumour_without_a_class_makes_status_and_size_open() -> None:
    """It was seen, so "not read whole" alone would say too little; beside a deposit with a class it is named."""
    seen = Node("1", (Section("s1", Status.INCOMPLETE, None, unclassed_um=Micrometers(2624.0)),), True)
    said = "cannot be determined (tumour found on a slide that got no class: review)"
    found = filled(Specimen("P", (seen, node("2", NONE))))
    assert found["Regional Lymph Node Status"] == found["Size of Largest Nodal Metastatic Deposit"] == said
    both = Specimen("P", (seen, node("2", MICRO, 640.0)))
    assert filled(both)["Regional Lymph Node Status"] == "Tumor present in regional lymph node(s)"
    assert filled(both)["Size of Largest Nodal Metastatic Deposit"] == "at least 0.64 mm"
    assert notes(both)["Size of Largest Nodal Metastatic Deposit"] == (
        "one contiguous deposit in one section; sizes are never added; "
        "a deposit of 2.62 mm that has no class is left out"
    )


def test_what_was_examined_is_told_apart_from_what_failed() -> None:
    """Of five removed: one read whole, one in part, two failed, of which one is a sentinel node, and one isn't here."""
    part = Node("2", (Section("s2", Status.INCOMPLETE, MICRO, Micrometers(640.0)),), True)
    failed = Node("4", (Section("s4", Status.FAILED, None, reason="truncated"),), False)
    specimen = Specimen("P", (node("1", NONE), part, unread("3"), failed), nodes_removed=5)
    total = "Total Number of Lymph Nodes Examined (sentinel and non-sentinel)"
    sentinels = "Number of Sentinel Nodes Examined"
    assert (filled(specimen)[total], filled(specimen)[sentinels]) == ("2", "2")
    assert notes(specimen)[total] == ("1 of them read in part; 2 more were not read; removed without slides here: 1")
    assert notes(specimen)[sentinels] == "1 more was not read"
    whole = Specimen("P", (node("1", NONE), node("2", NONE, sentinel=False)), nodes_removed=2)
    assert (filled(whole)[total], filled(whole)[sentinels]) == ("2", "1")
    assert notes(whole)[total] == notes(whole)[sentinels] == ""


def test_sentinel_nodes_that_only_a_slide_of_another_stain_shows_are_told() -> None:
    """Three by that slide, of which the H&E slide shows one."""
    specimen = Specimen("P", (replace(node("1", NONE), nodes_stated=3),), nodes_removed=3)
    sentinels = "Number of Sentinel Nodes Examined"
    assert (filled(specimen)[sentinels], notes(specimen)[sentinels]) == ("1", "2 more were not read")


def test_of_some_nodes_alone_it_is_not_known_whether_they_are_sentinels() -> None:
    """One cell that is empty leaves the number open."""
    specimen = Specimen("P", (node("1", NONE), node("2", NONE, sentinel=None)))
    assert filled(specimen)["Number of Sentinel Nodes Examined"] == "cannot be determined"
    assert notes(specimen)["Number of Sentinel Nodes Examined"].startswith("the table does not say for every node")


def test_a_borderline_size_stands_beside_both_counts_that_it_may_change() -> None:
    """1986 um, 30 unsure, may be micro or macro: said beside these, and not beside the count of ITC; so it is of ITC
    and micro."""
    size = Micrometers(1986.0)
    unsure = Section("s1", Status.COMPLETE, MICRO, size, uncertainty_um=Micrometers(30.0), class_range=(MICRO, MACRO))
    specimen = Specimen("P", (Node("1", (unsure,), True), node("2", ITC, 90.0)), nodes_removed=2)
    told = notes(specimen)
    said = "1 borderline by size, which may or may not count here"
    assert (told[MACRO_ELEMENT], told[MICRO_ELEMENT], told[ITC_ELEMENT]) == (said, said, "")
    small = Section("s1", Status.COMPLETE, ITC, Micrometers(190.0), class_range=(ITC, MICRO))
    lower = notes(Specimen("P", (Node("1", (small,), True),)))
    assert (lower[MACRO_ELEMENT], lower[MICRO_ELEMENT], lower[ITC_ELEMENT]) == ("", said, said)
    assert told["pN Category (node component only)"].startswith("borderline: pN1mi or pN1a. AJCC 8th edition; ")
    other = {fact.label: fact.note for fact in synoptic(stage(specimen, CAMELYON17))}
    assert other["pN Category (node component only)"].startswith("borderline: pN1mi or pN1; by the table camelyon17")
    assert n_borderline(stage(specimen, AJCC8)) == 1
    open_ended = notes(Specimen("P", (*specimen.nodes, unread("3")), nodes_removed=3))
    assert open_ended["pN Category (node component only)"].startswith("borderline: at least pN1mi or pN1a. AJCC")


@pytest.mark.parametrize(
    ("removed", "sentinel", "told"), [(None, True, True), (None, False, False), (2, True, False), (None, None, False)]
)
def test_the_condition_of_sn_is_told_where_nobody_says_how_many_were_removed(
    removed: int | None, sentinel: bool | None, told: bool
) -> None:
    """And a sentinel node is there."""
    nodes = (node("1", MICRO, 640.0, sentinel=sentinel), node("2", NONE, sentinel=False))
    note = notes(Specimen("P", nodes, nodes_removed=removed))
    start = "(sn) applies only if fewer than 6 nodes were removed. AJCC 8th edition; "
    assert note["pN Category (node component only)"].startswith(start) is told


def test_shared_slides_give_ranges() -> None:
    """Two macrometastases on a slide of three nodes: one node or two."""
    section = Section("s", Status.COMPLETE, MACRO, Micrometers(2600.0), FociCounts(0, 0, 2), nodes_on_slide=3)
    found = filled(Specimen("P", (Node("1-3", (section,), True),), nodes_removed=3))
    assert found[MACRO_ELEMENT] == "cannot be determined (1 to 2)"
    assert found["pN Category (node component only)"] == "pN1a(sn)"


@pytest.mark.parametrize(("size_um", "text"), [(2000.0, "2.00 mm"), (2000.4, "2.0004 mm"), (200.0, "0.20 mm")])
def test_a_size_never_contradicts_its_class_in_print(size_um: float, text: str) -> None:
    """2.0004 mm isn't printed as 2.00 mm beside "macrometastasis"."""
    found = filled(Specimen("P", (node("1", MACRO if size_um > 2000 else MICRO, size_um),)))
    assert found["Size of Largest Nodal Metastatic Deposit"] == text


def test_unknown_sentinel_and_other_tables() -> None:
    """What the table doesn't state isn't made up; CAMELYON17's stage says whose it is."""
    specimen = Specimen("P", (node("1", MICRO, sentinel=None),))
    assert filled(specimen)["Number of Sentinel Nodes Examined"] == "cannot be determined"
    last = synoptic(stage(specimen, CAMELYON17))[-1]
    assert last.note == "by the table camelyon17, which has no modifiers"


@pytest.mark.parametrize(
    ("unsized", "size_um", "said"),
    [
        (MACRO, 500.0, "cannot be determined (not measured)"),
        (MACRO, 2600.0, "at least 2.60 mm"),
        (MICRO, 90.0, "cannot be determined (not measured)"),
        (MICRO, 1999.0, "at least 2.00 mm"),
        (MICRO, 2000.0, "2.00 mm"),
        (ITC, 500.0, "0.50 mm"),
        (NONE, 90.0, "0.090 mm"),
    ],
)
def test_a_deposit_without_a_size_that_may_be_the_largest_leaves_the_size_open(
    unsized: Metastasis, size_um: float, said: str
) -> None:
    """Sizes stated of some nodes alone: a macrometastasis of unknown size is never "0.50 mm"; ITC is no matter."""
    specimen = Specimen("P", (node("1", unsized), node("2", classify(Micrometers(size_um)), size_um)))
    assert filled(specimen)["Size of Largest Nodal Metastatic Deposit"] == said
    assert (specimen.largest is None) == said.startswith("cannot")
    assert stage(specimen, AJCC8).size_at_least is said.startswith("at least")
