"""The staging tables, each limit on both sides, and what holds whatever the split."""

import itertools

import pytest

from nodescan.domain.classification import Metastasis
from nodescan.domain.staging import AJCC8, CAMELYON17, CountRange, FociCounts, StagingTable, count_nodes

NONE, ITC, MICRO, MACRO = Metastasis


@pytest.mark.parametrize(
    ("table", "largest", "positive", "category"),
    [
        (AJCC8, NONE, 0, "pN0"),
        (AJCC8, ITC, 0, "pN0(i+)"),
        (AJCC8, MICRO, 1, "pN1mi"),
        (AJCC8, MICRO, 12, "pN1mi"),
        (AJCC8, MACRO, 1, "pN1a"),
        (AJCC8, MACRO, 3, "pN1a"),
        (AJCC8, MACRO, 4, "pN2a"),
        (AJCC8, MACRO, 9, "pN2a"),
        (AJCC8, MACRO, 10, "pN3a"),
        (AJCC8, MACRO, 60, "pN3a"),
        (CAMELYON17, NONE, 0, "pN0"),
        (CAMELYON17, ITC, 0, "pN0(i+)"),
        (CAMELYON17, MICRO, 5, "pN1mi"),
        (CAMELYON17, MACRO, 3, "pN1"),
        (CAMELYON17, MACRO, 4, "pN2"),
        (CAMELYON17, MACRO, 9, "pN2"),
    ],
)
def test_the_table_at_each_limit(table: StagingTable, largest: Metastasis, positive: int, category: str) -> None:
    """Three positive nodes and four, nine and ten, lie in different categories; micrometastases never reach pN1a."""
    rule = table.rule_for(largest, positive)
    assert rule.category == category


def test_ten_positive_nodes_have_no_place_in_camelyon17() -> None:
    """A challenge patient has five slides, so the table ends at nine."""
    assert CAMELYON17.rule_for(MACRO, 10) is None


@pytest.mark.parametrize("table", [AJCC8, CAMELYON17])
def test_no_two_rules_fit_one_patient(table: StagingTable) -> None:
    """At most one line fits, and it never ranks lower with more positive nodes or a larger class."""
    for largest in Metastasis:
        ranks: list[int] = []
        for positive in range(0 if largest < MICRO else 1, 1 if largest < MICRO else 10):
            fitting = [
                rule
                for rule in table.rules
                if rule.largest is largest
                and rule.fewest_positive <= positive <= (rule.most_positive if rule.most_positive is not None else 99)
            ]
            assert len(fitting) == 1
            ranks.append(table.rules.index(fitting[0]))
        assert ranks == sorted(ranks)


@pytest.mark.parametrize("largest", list(Metastasis))
def test_a_node_of_its_own_that_was_read_whole_is_counted_exactly(largest: Metastasis) -> None:
    """One node, one class, no range."""
    counts = count_nodes(largest, nodes=1, complete=True, foci=None)
    assert [counts.macro, counts.micro, counts.itc] == [
        CountRange(int(largest is kind), int(largest is kind)) for kind in (MACRO, MICRO, ITC)
    ]
    assert counts.positive == CountRange(int(largest >= MICRO), int(largest >= MICRO))


@pytest.mark.parametrize("nodes", [1, 2, 3])
@pytest.mark.parametrize("found", list(Metastasis))
def test_nodes_read_in_part_may_turn_out_to_be_anything_higher(found: Metastasis, nodes: int) -> None:
    """One has the class found or a higher one, the others any: the range is just what occurs."""
    truths = [each for each in itertools.product(Metastasis, repeat=nodes) if max(each) >= found]
    counts = count_nodes(found, nodes=nodes, complete=False, foci=None)
    for name, kinds in (("macro", {MACRO}), ("micro", {MICRO}), ("itc", {ITC}), ("positive", {MICRO, MACRO})):
        seen = [sum(kind in kinds for kind in truth) for truth in truths]
        assert getattr(counts, name) == CountRange(min(seen), max(seen)), name


@pytest.mark.parametrize("nodes", [2, 3])
@pytest.mark.parametrize(
    "foci",
    [FociCounts(*each) for each in ((), (1,), (2, 1), (0, 2), (0, 1, 1), (3, 0, 2), (0, 0, 4))],
)
def test_shared_slides_give_the_range_over_every_split(nodes: int, foci: FociCounts) -> None:
    """Every way to put the foci into the nodes was tried: the range is just what occurs."""
    kinds = [ITC] * foci.itc + [MICRO] * foci.micro + [MACRO] * foci.macro
    seen: dict[str, set[int]] = {"macro": set(), "micro": set(), "itc": set(), "positive": set()}
    for places in itertools.product(range(nodes), repeat=len(kinds)):
        worst = [
            max((kind for kind, at in zip(kinds, places, strict=True) if at == node), default=NONE)
            for node in range(nodes)
        ]
        seen["macro"].add(worst.count(MACRO))
        seen["micro"].add(worst.count(MICRO))
        seen["itc"].add(worst.count(ITC))
        seen["positive"].add(sum(kind >= MICRO for kind in worst))
    counts = count_nodes(max(kinds, default=NONE), nodes=nodes, complete=True, foci=foci)
    for name, values in seen.items():
        assert getattr(counts, name) == CountRange(min(values), max(values)), name


@pytest.mark.parametrize(
    ("largest", "nodes", "foci", "positive"),
    [
        (MACRO, 4, FociCounts(1, 2, 1, to_micro=1), CountRange(1, 4)),
        (MACRO, 3, FociCounts(1, 1, 1, to_micro=1), CountRange(1, 3)),
        (MICRO, 4, FociCounts(2, 1, 0, to_micro=2), CountRange(1, 3)),
        (ITC, 4, FociCounts(2, to_micro=1), CountRange(0, 0)),
        (MACRO, 1, FociCounts(1, 0, 1, to_micro=1), CountRange(1, 1)),
        (MACRO, 3, FociCounts(0, 1, 1, to_macro=1), CountRange(1, 2)),  # the same focus, positive as one or the other
    ],
)
def test_a_focus_that_may_be_positive_counts_for_the_upper_end(
    largest: Metastasis, nodes: int, foci: FociCounts, positive: CountRange
) -> None:
    """Where nodes share a slide it may lie in another one than the largest; never beyond the class of the whole."""
    assert count_nodes(largest, nodes=nodes, complete=True, foci=foci).positive == positive


def test_a_focus_that_may_be_a_macrometastasis_may_make_a_second_node_one() -> None:
    """Beside one that is; by itself it is a micrometastasis, and the node is called borderline."""
    foci = FociCounts(0, 1, 1, to_macro=1)
    assert count_nodes(MACRO, nodes=2, complete=True, foci=foci).macro == CountRange(1, 2)
    assert count_nodes(MICRO, nodes=2, complete=True, foci=FociCounts(0, 2, 0, to_macro=1)).macro == CountRange(0, 0)


def test_a_count_is_never_upside_down() -> None:
    """A range from more to less is refused."""
    with pytest.raises(ValueError, match="from 2 to 1"):
        CountRange(2, 1)
