"""From sections to pN: the maximum decides, an unread node is never negative, modifiers come from the manifest."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.flags import Flag
from nodescan.domain.patient import Node, Specimen, Staged
from nodescan.domain.patient_stage import stage
from nodescan.domain.report import Status
from nodescan.domain.section import Section, WholeReading
from nodescan.domain.staging import AJCC8, CAMELYON17, CountRange, FociCounts
from nodescan.domain.units import Micrometers

NONE, ITC, MICRO, MACRO = Metastasis
COMPLETE, INCOMPLETE, FAILED = Status.COMPLETE, Status.INCOMPLETE, Status.FAILED


def read(found: Metastasis, *, slide_id: str = "s", nodes: int = 1) -> Section:
    return Section(slide_id, COMPLETE, found, nodes_on_slide=nodes)


def partly(found: Metastasis | None) -> Section:
    return Section("s", INCOMPLETE, found, reason="2 % of the tissue could not be read.")


def failed() -> Section:
    return Section("s", FAILED, None, reason="the file is truncated")


def patient(*sections: Section, **facts: object) -> Specimen:
    nodes = tuple(Node(str(number), (section,), sentinel=True) for number, section in enumerate(sections, 1))
    return replace(Specimen("P1", nodes, nodes_removed=max(len(nodes), 1)), **facts)


def words(*sections: Section, **facts: object) -> str:
    return stage(patient(*sections, **facts), AJCC8).words


def test_the_largest_decides_and_nothing_is_added_up() -> None:
    """0.9 + 0.7 + 0.6 mm in one node is pN1mi by its largest, and three of 0.1 mm are ITC (clinical-rules 2)."""
    for sizes, expected in (((900.0, 700.0, 600.0), "pN1mi(sn)"), ((100.0, 100.0, 100.0), "pN0(i+)(sn)")):
        sections = tuple(Section(str(s), COMPLETE, classify(Micrometers(s)), Micrometers(s)) for s in sizes)
        found = stage(Specimen("P1", (Node("1", sections, True),), nodes_removed=1), AJCC8)
        assert found.words == expected
        assert found.specimen.nodes[0].largest_um == max(sizes)


def test_the_maximum_over_sections_is_the_node_and_counts_once() -> None:
    """Two sections of one node with a micrometastasis are one positive node."""
    node = Node("1", (read(MICRO, slide_id="a"), read(NONE, slide_id="b"), read(MICRO, slide_id="c")), True)
    found = stage(Specimen("P1", (node,), nodes_removed=1), AJCC8)
    assert (found.words, found.counts.positive.lowest) == ("pN1mi(sn)", 1)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ((read(NONE), read(NONE)), "pN0(sn)"),
        ((read(NONE), failed()), "cannot be determined (no tumour found, but 1 of 2 nodes not fully read)"),
        ((read(NONE), partly(None)), "cannot be determined (no tumour found, but 1 of 2 nodes not fully read)"),
        ((failed(), failed()), "cannot be determined (no readable slide)"),
        ((read(ITC), failed()), "at least pN0(i+)(sn)"),
        ((read(NONE), partly(MICRO)), "at least pN1mi(sn)"),
        ((read(MACRO), failed()), "at least pN1a(sn)"),
        ((partly(MACRO),), "at least pN1a(sn)"),
        ((), "cannot be determined (no slide has a result that counts)"),
    ],
)
def test_what_was_not_read_is_never_negative(sections: tuple[Section, ...], expected: str) -> None:
    """A failed or partly read node makes what was found a lower bound, and nothing found no category."""
    assert words(*sections) == expected


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([[failed()]], "no readable slide"),
        ([[failed(), Section("u", Status.UNMEASURABLE, None)], [failed()]], "no readable slide"),
        ([[failed(), Section("n", FAILED, None, left_out=True)]], "no slide has a result that counts"),
        ([[failed()], [Section("n", FAILED, None, left_out=True)]], "no slide has a result that counts"),
        ([[failed(), Section("k", INCOMPLETE, None, judged=False)]], "no slide has a result that counts"),
        ([[failed()], []], "no slide has a result that counts"),
    ],
)
def test_slides_that_could_not_be_read_are_told_from_those_that_do_not_count(
    nodes: list[list[Section]], why: str
) -> None:
    """All failed or without a scale; else some were not run, can't be judged, or are for the pathologist alone."""
    made = tuple(Node(str(number), tuple(sections)) for number, sections in enumerate(nodes, 1))
    assert stage(Specimen("P1", made), AJCC8).words == f"cannot be determined ({why})"


def test_a_deposit_that_is_cut_off_leaves_a_lower_bound() -> None:
    """All was read, but it may be larger; where a macrometastasis is certain, it may make one node more positive."""
    cut_itc, cut_micro = (Section("s", COMPLETE, found, Micrometers(150), cut_off=True) for found in (ITC, MICRO))
    assert words(cut_micro, read(NONE)) == "at least pN1mi(sn)"
    assert words(cut_itc) == "at least pN0(i+)(sn)"
    assert words(cut_itc, read(MACRO)) == "pN1a(sn)"
    assert words(cut_itc, *[read(MACRO)] * 3, nodes_removed=5) == "at least pN1a(sn)"


def test_an_unread_node_is_named_with_its_reason() -> None:
    """Which and why."""
    notes = stage(patient(read(NONE), failed()), AJCC8).notes
    assert Flag("node_unread", "Node 2, slide s: failed (the file is truncated).") in notes


def test_a_node_of_which_no_slide_counts_is_named_and_may_be_anything() -> None:
    """As one of which the table lists another stain alone."""
    found = stage(Specimen("P1", (Node("1", (read(NONE),), True), Node("2", ())), nodes_removed=2), AJCC8)
    assert Flag("node_unread", "Node 2: none of its slides was read.") in found.notes
    assert found.category is None
    assert found.counts.macro == CountRange(0, 1)


def test_a_failed_section_makes_its_node_incomplete_though_others_were_read() -> None:
    """One readable section doesn't make up for one that wasn't read."""
    node = Node("1", (read(NONE, slide_id="a"), replace(failed(), slide_id="b")), True)
    found = stage(Specimen("P1", (node,), nodes_removed=1), AJCC8)
    assert found.category is None
    assert not found.complete


def test_an_incomplete_slide_can_not_be_entered_as_negative() -> None:
    """The mistake is refused where it is made."""
    with pytest.raises(ValueError, match="never called negative"):
        Section("s", INCOMPLETE, NONE)


@pytest.mark.parametrize(
    ("removed", "sentinel", "expected"),
    [
        (5, True, "pN1mi(sn)"),
        (6, True, "pN1mi"),
        (5, False, "pN1mi"),
        (5, None, "pN1mi"),
        (6, None, "pN1mi"),
        (None, True, "pN1mi"),
    ],
)
def test_sn_needs_sentinel_nodes_and_fewer_than_six_removed(
    removed: int | None, sentinel: bool | None, expected: str
) -> None:
    """Five removed nodes still carry (sn), six don't, and what isn't stated is never assumed."""
    others = tuple(Node(str(number), (read(NONE),), False) for number in range(2, (removed or 1) + 1))
    specimen = Specimen("P1", (Node("1", (read(MICRO),), sentinel), *others), nodes_removed=removed)
    found = stage(specimen, AJCC8)
    assert found.words == expected
    said = [note.message for note in found.notes if note.code == "sentinel_modifier"]
    if removed is None:
        assert said == ["(sn) applies only if fewer than 6 nodes were removed, which is not stated."]
    elif sentinel is None and removed < 6:
        assert said == ["It is not stated whether these are sentinel nodes, so (sn) is not given."]
    else:
        assert said == []


@pytest.mark.parametrize(("removed", "told"), [(5, True), (6, False)])
def test_nobody_is_asked_for_sentinel_nodes_where_too_many_were_removed(removed: int, told: bool) -> None:
    """There is no (sn) then, whichever nodes have slides here."""
    found = stage(Specimen("P1", (Node("1", (read(MICRO),), None),), nodes_removed=removed), AJCC8)
    assert ("sentinel_modifier" in [note.code for note in found.notes]) is told


@pytest.mark.parametrize(
    ("neoadjuvant", "recurrence", "expected"),
    [
        (False, False, "pN0(i+)(sn)"),
        (True, False, "ypN0(i+)(sn)"),
        (False, True, "rpN0(i+)(sn)"),
        (True, True, "rypN0(i+)(sn)"),
    ],
)
def test_prefixes(neoadjuvant: bool, recurrence: bool, expected: str) -> None:
    """y and r stand before the category, only where the manifest says so."""
    assert words(read(ITC), neoadjuvant=neoadjuvant, recurrence=recurrence) == expected


def test_after_treatment_the_reader_is_warned() -> None:
    """ypN0(i+) is not a complete response, and cells in a treated bed may be missed."""
    codes = [note.code for note in stage(patient(read(ITC), neoadjuvant=True), AJCC8).notes]
    assert {"treated", "not_complete_response"} <= set(codes)
    assert "not_complete_response" not in [n.code for n in stage(patient(read(MICRO), neoadjuvant=True), AJCC8).notes]


def test_pnx_is_only_ever_taken_from_the_manifest() -> None:
    """No nodes removed for study is pNX; no slides without that statement is not."""
    assert stage(Specimen("P1", (), nodes_removed=0), AJCC8).words == "pNX"
    assert stage(Specimen("P1", ()), AJCC8).words == "cannot be determined (no slide has a result that counts)"


def test_several_nodes_on_a_slide_leave_what_holds_whatever_the_split() -> None:
    """Two foci of 3 mm on a slide of five nodes: one or two positive nodes, pN1a either way; four foci: at least."""
    two = Section("s", COMPLETE, MACRO, foci=FociCounts(0, 0, 2), nodes_on_slide=5)
    four = replace(two, foci=FociCounts(0, 0, 4))
    assert words(two) == "pN1a(sn)"
    assert words(four) == "at least pN1a(sn)"
    assert words(read(NONE, nodes=5)) == "pN0(sn)"
    codes = [note.code for note in stage(patient(four), AJCC8).notes]
    assert "nodes_share_slides" in codes


def test_camelyon17_has_no_modifiers_and_ends_at_nine() -> None:
    """The challenge's stages are plain words; ten positive nodes are said to lie beyond them."""
    assert stage(patient(read(MACRO), neoadjuvant=True), CAMELYON17).words == "pN1"
    ten = stage(patient(*[read(MACRO)] * 10), CAMELYON17)
    assert ten.words == "cannot be determined (more positive nodes than the table camelyon17 knows)"


def test_nodes_without_slides_are_told() -> None:
    """Three of four removed nodes have slides: the pN speaks of three, and isn't complete."""
    notes = stage(patient(read(NONE), read(NONE), read(NONE), nodes_removed=4), AJCC8).notes
    (said,) = [note.message for note in notes if note.code == "nodes_without_slides"]
    assert said.startswith("4 nodes were removed, but there are slides of only 3 here, so the staging is not complete.")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (NONE, "cannot be determined (no tumour found, but 3 of 4 nodes not fully read)"),
        (MICRO, "at least pN1mi(sn)"),
        (MACRO, "at least pN1a(sn)"),
    ],
)
def test_nodes_without_slides_count_as_unread(found: Metastasis, expected: str) -> None:
    """One of four removed nodes is here: the three others may hold anything, by the clinical table only."""
    staged = stage(patient(read(found), nodes_removed=4), AJCC8)
    assert (staged.words, staged.complete, staged.counts.positive.highest) == (expected, False, 3 + (found >= MICRO))
    assert stage(patient(read(found), nodes_removed=4), CAMELYON17).complete
    assert stage(patient(read(found), nodes_removed=1), AJCC8).complete


@pytest.mark.parametrize("status", [FAILED, INCOMPLETE])
def test_tumour_on_a_slide_without_a_class_is_never_no_tumour(status: Status) -> None:
    """It stages nobody, but the words and the note tell of it."""
    seen = Section("s", status, None, reason="too much unread", unclassed_um=Micrometers(2624.0))
    for sections in ((seen,), (read(NONE), seen)):
        found = stage(patient(*sections), AJCC8)
        assert found.words == "cannot be determined (tumour found on a slide that got no class: review)"
        assert "the largest deposit measures 2.62 mm" in found.notes[0].message
    assert words(read(MICRO), seen) == "at least pN1mi(sn)"
    smaller = replace(seen, unclassed_um=Micrometers(900.0))
    for sections in ((seen, smaller), (smaller, seen)):
        assert patient(*sections).unclassed_um == 2624.0


def test_only_doubts_of_deciding_slides_are_passed_on() -> None:
    """A borderline ITC beside a macrometastasis of the same node changes nothing, so it isn't said."""
    doubt = Flag("borderline", "near a limit.")
    small = Section("a", COMPLETE, ITC, doubts=(doubt,))
    large = Section("b", COMPLETE, MACRO, doubts=(doubt,))
    notes = stage(Specimen("P1", (Node("1", (small, large), True),), nodes_removed=1), AJCC8).notes
    assert [note.message for note in notes] == ["Node 1, slide b: near a limit."]


def passed_on(code: str, beside: Metastasis) -> bool:
    """Whether a doubt about isolated tumour cells is told where another slide of the node has this class."""
    small = Section("a", COMPLETE, ITC, doubts=(Flag(code, "the class hangs on it."),))
    node = Node("1", (small, Section("b", COMPLETE, beside)), True)
    return code in [note.code for note in stage(Specimen("P1", (node,), nodes_removed=1), AJCC8).notes]


@pytest.mark.parametrize(
    "code",
    [
        "joining_gap",
        "may_be_one_deposit",
        "nuclei_out_of_scale",
        "class_against_size",
        "deposit_cut_off",
        "tissue_cut_off",
        "tissue_meets_ink",
        "small_pale_area",
        "read_against_software",
        "review_of_other_file",
        "review_before_scan",
    ],
)
def test_a_doubt_that_can_lead_to_a_macrometastasis_is_passed_on_from_lesser_slides_too(code: str) -> None:
    """What joins, goes on, was not seen or was mistaken may be of any size: it matters beside a micro-, not beside a
    macrometastasis."""
    assert (passed_on(code, MICRO), passed_on(code, MACRO)) == (True, False)


@pytest.mark.parametrize(
    "code",
    [
        "cell_count_review",
        "cell_count_near_limit",
        "cell_count_dispersed",
        "cell_count_decides",
        "dispersed_pattern",
        "micro_by_reader",
        "borderline",
        "may_be_two_foci",
    ],
)
def test_a_doubt_that_ends_at_a_micrometastasis_is_not_passed_on_beside_one(code: str) -> None:
    """More than 200 cells are a micrometastasis and no more, a size near 0.2 mm passes that limit alone, and two foci
    are shorter than one."""
    assert (passed_on(code, ITC), passed_on(code, MICRO)) == (True, False)


SECTIONS = st.one_of(
    st.sampled_from([read(found) for found in Metastasis]),
    st.sampled_from([partly(None), partly(ITC), partly(MICRO), partly(MACRO), failed()]),
    st.builds(
        lambda found, nodes: Section("s", COMPLETE, found, nodes_on_slide=nodes),
        st.sampled_from(list(Metastasis)),
        st.integers(2, 4),
    ),
)
NODES = st.lists(st.builds(tuple, st.lists(SECTIONS, min_size=1, max_size=3)), min_size=1, max_size=7)


def made(nodes: list[tuple[Section, ...]]) -> Staged:
    return stage(Specimen("P1", tuple(Node(str(n), sections) for n, sections in enumerate(nodes))), AJCC8)


def floor(found: Staged) -> int:
    return AJCC8.rules.index(found.lowest)


@given(NODES, SECTIONS)
def test_another_node_never_lowers_what_is_certain(nodes: list[tuple[Section, ...]], more: Section) -> None:
    """Whatever a further node holds, the lowest possible stage doesn't fall."""
    assert floor(made([*nodes, (more,)])) >= floor(made(nodes))


@given(NODES, st.sampled_from(list(Metastasis)))
def test_another_readable_node_never_lowers_the_stage(nodes: list[tuple[Section, ...]], found: Metastasis) -> None:
    """A node that was read whole keeps or raises the printed category, and determines no less than before."""
    before, after = made(nodes), made([*nodes, (read(found),)])
    if before.category is not None:
        assert after.category is not None
        assert floor(after) >= floor(before)


@given(st.lists(st.floats(1, 5000), min_size=1, max_size=6), st.floats(1, 5000), st.integers(0, 5))
def test_another_deposit_never_lowers_the_stage(sizes: list[float], more: float, others: int) -> None:
    """The class of the slide with one more deposit is at least what it was, and so is the stage."""

    def staged(deposits: list[float]) -> Staged:
        largest = max(classify(Micrometers(size)) for size in deposits)
        return made([(read(largest),), *[(read(MICRO),)] * others])

    assert floor(staged([*sizes, more])) >= floor(staged(sizes))


@given(NODES, st.randoms(use_true_random=False))
def test_order_never_matters(nodes: list[tuple[Section, ...]], random: object) -> None:
    """Nodes and sections in any order give one stage and one count."""
    shuffled = [tuple(random.sample(sections, len(sections))) for sections in nodes]
    random.shuffle(shuffled)
    one, other = made(nodes), made(shuffled)
    assert (one.words, one.counts, one.lowest, one.highest) == (other.words, other.counts, other.lowest, other.highest)


@given(NODES)
def test_what_is_possible_is_never_below_what_is_certain(nodes: list[tuple[Section, ...]]) -> None:
    """The highest category that the unread could make is at least the lowest."""
    found = made(nodes)
    assert AJCC8.rules.index(found.highest) >= floor(found)
    assert found.determined == (found.complete and found.lowest == found.highest)


@pytest.mark.parametrize(("found", "at_least"), [(NONE, True), (ITC, True), (MICRO, True), (MACRO, False)])
def test_only_of_a_macrometastasis_nothing_hangs_on_where_it_ends(found: Metastasis, at_least: bool) -> None:
    """A deposit that runs off the scan may be of a higher class, and above a macrometastasis there is none."""
    section = replace(read(found), cut_off=True)
    assert section.class_at_least is Node("1", (section,)).class_at_least is at_least
    assert not Node("1", (read(found),)).class_at_least
    assert Node("1", (partly(MACRO),)).class_at_least


def test_pnx_is_of_nobody_with_slides() -> None:
    """A manifest that says that no nodes were removed, and has a slide of one, doesn't hide what the slide shows."""
    assert words(read(MACRO), nodes_removed=0) == "pN1a(sn)"


def test_the_split_of_shared_slides_says_how_many_nodes_may_be_positive() -> None:
    """Two foci of 3 mm on a slide of two nodes: one or both."""
    section = Section("s", COMPLETE, MACRO, Micrometers(3000.0), FociCounts(macro=2), nodes_on_slide=2)
    staged = stage(Specimen("P1", (Node("1", (section,), True),), nodes_removed=2), AJCC8)
    (note,) = (note for note in staged.notes if note.code == "nodes_share_slides")
    assert "(positive nodes: 1 to 2)" in note.message


def test_only_what_can_rise_leaves_the_number_of_positive_nodes_open() -> None:
    """A macrometastasis that runs off the scan is one all the same, so of three nodes no other has it."""
    cut = Section("s", COMPLETE, MACRO, foci=FociCounts(macro=1), nodes_on_slide=3, cut_off=True)
    assert Node("1", (cut,)).counts.positive == CountRange(1, 3)
    assert Node("1", (replace(cut, cut_off_macro=True),)).counts.positive == CountRange(1, 1)


def test_a_size_that_is_a_lower_bound_leaves_the_number_of_positive_nodes() -> None:
    """The reader, who saw the whole slide, gave its class; the software measured a part."""
    word = WholeReading("Dr A", "at least micro, incomplete", size_at_least=True, foci_known=True)
    one = Section("s", INCOMPLETE, MICRO, Micrometers(900.0), FociCounts(micro=1), 3, reading=word)
    assert one.size_at_least
    assert Node("1", (one,)).counts.positive == CountRange(1, 1)
