"""Sizes within their uncertainty of a limit leave a stage open, and it is said between which."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.patient import Node, Specimen, Staged
from nodescan.domain.patient_stage import stage
from nodescan.domain.report import Status
from nodescan.domain.section import Section
from nodescan.domain.staging import AJCC8, CAMELYON17, StagingTable
from nodescan.domain.units import Micrometers
from nodescan.domain.verdict import class_range, deciding
from tests.domain.test_verdict import deposit

Sizes = Sequence[tuple[float, float]]
FAILED = Section("f", Status.FAILED, None, reason="truncated")


def section(sizes: Sizes, *, whole: bool = True) -> Section:
    """A slide with deposits of these sizes, each with its uncertainty, in um."""
    deposits = [deposit(size, uncertainty_um=unsure, number=n) for n, (size, unsure) in enumerate(sizes, 1)]
    found = max((one.metastasis for one in deposits), default=Metastasis.NONE)
    status = Status.COMPLETE if whole else Status.INCOMPLETE
    return Section("s", status, found, class_range=class_range(deposits))


def staged(*nodes: Sequence[Section], table: StagingTable = AJCC8) -> Staged:
    return stage(Specimen("P", tuple(Node(str(n), tuple(sections)) for n, sections in enumerate(nodes))), table)


def may_be(*nodes: Sequence[Section], table: StagingTable = AJCC8) -> list[str]:
    return [rule.category for rule in staged(*nodes, table=table).may_be]


MICRO, MACRO = section([(900, 20)]), section([(3000, 40)])
PART = section([(900, 20)], whole=False)
TO_MACRO, TO_MICRO = section([(1986, 30)]), section([(190, 12)])


@pytest.mark.parametrize(
    ("nodes", "words", "expected"),
    [
        ([[TO_MACRO]], "pN1mi", ["pN1mi", "pN1a"]),
        ([[section([(2010, 30)])]], "pN1a", ["pN1mi", "pN1a"]),
        ([[TO_MICRO]], "pN0(i+)", ["pN0(i+)", "pN1mi"]),
        ([[section([(1950, 30)])]], "pN1mi", ["pN1mi"]),
        ([[TO_MACRO, MACRO]], "pN1a", ["pN1a"]),
        ([[TO_MACRO], [FAILED]], "at least pN1mi", ["pN1mi", "pN1a"]),
        ([[section([(2010, 30)])], [FAILED]], "pN1a as measured", ["pN1mi", "pN1a"]),
        ([[MACRO], [MACRO], [MICRO], [TO_MICRO]], "pN1a", ["pN1a", "pN2a"]),
        ([[TO_MACRO], [MICRO], [MICRO], [MICRO]], "pN1mi", ["pN1mi", "pN2a"]),
        ([[TO_MACRO], [TO_MICRO], [MICRO], [MICRO]], "pN1mi", ["pN1mi", "pN1a", "pN2a"]),
        ([[section([])]], "pN0", ["pN0"]),
        ([[FAILED]], "cannot be determined (no readable slide)", ["pN0"]),
    ],
)
def test_a_stage_that_hangs_on_a_size_names_what_it_may_be(
    nodes: list[list[Section]], words: str, expected: list[str]
) -> None:
    """The printed stage goes by the sizes as measured; beside it stands each that the uncertainty allows."""
    found = staged(*nodes)
    assert (found.words, [rule.category for rule in found.may_be]) == (words, expected)
    assert found.borderline == (len(expected) > 1)


@pytest.mark.parametrize(
    ("nodes", "bound"),
    [
        ([[TO_MACRO]], None),
        ([[section([(2010, 30)])]], None),
        ([[TO_MACRO], [FAILED]], "pN1mi"),
        ([[section([(2010, 30)])], [FAILED]], "pN1mi"),
        ([[section([(210, 30)])], [FAILED]], "pN0(i+)"),
        ([[replace(MICRO, cut_off=True)]], "pN1mi"),
        ([[replace(MICRO, cut_off=True, may_be_less=True)]], None),
        ([[replace(MICRO, cut_off=True, may_be_less=True), MICRO]], "pN1mi"),
        ([[MACRO, replace(PART, may_be_less=True)]], "pN1a"),
        ([[MACRO], [replace(PART, may_be_less=True)]], "pN1a"),
        ([[MACRO], [MACRO], [MACRO], [replace(PART, may_be_less=True)]], None),
        ([[section([(2010, 30)]), replace(PART, may_be_less=True)]], "pN1mi"),
        ([[FAILED]], None),
    ],
)
def test_at_least_is_said_of_a_bound_that_holds_alone(nodes: list[list[Section]], bound: str | None) -> None:
    """A size within its uncertainty of the limit below leaves the lower category; a doubtful pixel size leaves none,
    unless another slide makes the category certain."""
    found = staged(*nodes)
    assert found.bound == bound
    assert found.words.startswith("at least ") is (bound is not None and bound == found.category)
    assert found.words.endswith(" as measured") is (found.at_least and bound != found.category)


def test_the_challenges_table_goes_by_the_same_rule() -> None:
    """In its own words."""
    assert may_be([TO_MACRO], table=CAMELYON17) == ["pN1mi", "pN1"]


NEAR = st.tuples(st.sampled_from([150.0, 190.0, 205.0, 900.0, 1985.0, 2012.0, 2600.0]), st.sampled_from([4.0, 20.0]))
SLIDES = st.lists(st.lists(NEAR, max_size=2), min_size=1, max_size=2)


@given(st.lists(SLIDES, min_size=1, max_size=4))
def test_what_a_stage_may_be_is_what_some_sizes_within_their_uncertainty_make_it(nodes: list[list[Sizes]]) -> None:
    """By trying: each size as measured, at its shortest and at its longest."""
    sizes = [one for node in nodes for slide in node for one in slide]
    found: set[str] = set()
    for moves in product((-1, 0, 1), repeat=min(len(sizes), 5)):
        shifts = iter([*moves, *[0] * len(sizes)])
        moved = [[section([(s + next(shifts) * u, 0.0) for s, u in slide]) for slide in node] for node in nodes]
        rule = staged(*moved).lowest
        found.add(rule.category)
    said = may_be(*[[section(slide) for slide in node] for node in nodes])
    assert found <= set(said)
    if len(sizes) <= 5:
        assert found == set(said)


@given(st.lists(NEAR, min_size=1, max_size=4))
def test_the_class_range_of_a_slide_is_that_of_its_sizes(sizes: list[tuple[float, float]]) -> None:
    """All at their shortest, all at their longest; and where the two differ, some deposit is the one to measure."""
    deposits = [deposit(size, uncertainty_um=unsure, number=n) for n, (size, unsure) in enumerate(sizes, 1)]
    lowest, highest = class_range(deposits)
    assert lowest is max(classify(Micrometers(size - unsure)) for size, unsure in sizes)
    assert highest is max(classify(Micrometers(size + unsure)) for size, unsure in sizes)
    assert (lowest is not highest) == bool(deciding(deposits))
