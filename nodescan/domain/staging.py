"""pN from the nodes' classes: the tables of AJCC 8th and CAMELYON17, and ranges of counts that aren't exact."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nodescan.domain.classification import Metastasis


@dataclass(frozen=True, slots=True)
class StageRule:
    """One line of a table: the largest deposit's class and how many nodes are positive (macro + micro).

    most_positive: None for no upper limit.
    """

    category: str
    largest: Metastasis
    fewest_positive: int
    most_positive: int | None


@dataclass(frozen=True, slots=True)
class StagingTable:
    """Rules from the lowest category to the highest. At most one fits a patient.

    with_modifiers: whether (sn), y and r belong to this table's categories.
    """

    name: str
    rules: tuple[StageRule, ...]
    with_modifiers: bool

    def rule_for(self, largest: Metastasis, positive_nodes: int) -> StageRule | None:
        """The category of a patient whose largest deposit and number of positive nodes are these."""
        for rule in self.rules:
            most = positive_nodes if rule.most_positive is None else rule.most_positive
            if rule.largest is largest and rule.fewest_positive <= positive_nodes <= most:
                return rule
        return None


AJCC8 = StagingTable(
    "ajcc8",
    (
        StageRule("pN0", Metastasis.NONE, 0, 0),
        StageRule("pN0(i+)", Metastasis.ITC, 0, 0),
        StageRule("pN1mi", Metastasis.MICRO, 1, None),
        StageRule("pN1a", Metastasis.MACRO, 1, 3),
        StageRule("pN2a", Metastasis.MACRO, 4, 9),
        StageRule("pN3a", Metastasis.MACRO, 10, None),
    ),
    with_modifiers=True,
)
"""clinical-rules 5 (AJCC 8th edition, pN of the breast, axillary nodes on H&E). ITC-only nodes are not positive."""

CAMELYON17 = StagingTable(
    "camelyon17",
    (
        StageRule("pN0", Metastasis.NONE, 0, 0),
        StageRule("pN0(i+)", Metastasis.ITC, 0, 0),
        StageRule("pN1mi", Metastasis.MICRO, 1, None),
        StageRule("pN1", Metastasis.MACRO, 1, 3),
        StageRule("pN2", Metastasis.MACRO, 4, 9),
    ),
    with_modifiers=False,
)
"""clinical-rules 6: the challenge's own stages, five slides a patient, so ten positive nodes have no place in it."""

TABLES = {table.name: table for table in (AJCC8, CAMELYON17)}

SN_BELOW_NODES = 6
"""(sn) is used where sentinel nodes were evaluated and fewer than 6 nodes in all were removed (AJCC 8th)."""


def may_be_words(categories: Sequence[str], *, at_least: bool) -> str:
    """The categories that uncertain sizes allow, e.g. "at least pN1mi or pN1a"; "" for none."""
    lower_bound = "at least " if at_least and categories else ""
    return f"{lower_bound}{' or '.join(categories)}"


def borderline_stage_words(categories: Sequence[str], *, stage: str, bound: str | None) -> str:
    """The words printed beside a borderline stage, e.g. "borderline: pN1mi or pN1a"; "" if sizes allow one category
    only.

    bound: see Staged. Beside a category that is as measured only the bound is named. Without a bound, because of a
    doubt, the words say that the stage may be lower or higher.
    """
    if bound is None and stage.endswith(" as measured"):
        of_classes = "pN1mi" in stage or "pN0" in stage
        named = f"borderline: {may_be_words(categories, at_least=False)}; " if categories else ""
        return f"{named}may be lower{' or higher' if of_classes else ', or higher with more positive nodes'}"
    if not categories:
        return ""
    if bound is not None and not stage.startswith("at least "):
        return f"borderline: at least {bound}"
    return f"borderline: {may_be_words(categories, at_least=bound is not None)}"


@dataclass(frozen=True, slots=True)
class CountRange:
    """How many there are, at least and at most."""

    lowest: int
    highest: int

    def __post_init__(self) -> None:
        if not 0 <= self.lowest <= self.highest:
            raise ValueError(f"a count runs from a lower to a higher number, not from {self.lowest} to {self.highest}")

    def __add__(self, other: "CountRange") -> "CountRange":
        return CountRange(self.lowest + other.lowest, self.highest + other.highest)

    @property
    def exact(self) -> bool:
        return self.lowest == self.highest

    @property
    def words(self) -> str:
        """The number, or what it lies between: "0 to 2"."""
        return str(self.lowest) if self.exact else f"{self.lowest} to {self.highest}"


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """Nodes by the class of their largest deposit; positive: macro and micro together."""

    macro: CountRange
    micro: CountRange
    itc: CountRange
    positive: CountRange

    def of(self, found: Metastasis | None) -> CountRange:
        """The number of nodes of one class (not NONE); None: of positive nodes."""
        ranges = {Metastasis.MACRO: self.macro, Metastasis.MICRO: self.micro, Metastasis.ITC: self.itc}
        return self.positive if found is None else ranges[found]

    def __add__(self, other: "NodeCounts") -> "NodeCounts":
        return NodeCounts(
            self.macro + other.macro, self.micro + other.micro, self.itc + other.itc, self.positive + other.positive
        )


@dataclass(frozen=True, slots=True)
class FociCounts:
    """How many foci of each class a slide shows; to_micro, to_macro: how many more of them may be of that class."""

    itc: int = 0
    micro: int = 0
    macro: int = 0
    to_micro: int = 0
    to_macro: int = 0

    @property
    def total(self) -> int:
        return self.itc + self.micro + self.macro

    @property
    def as_measured(self) -> "FociCounts":
        """The foci by their sizes as measured, without uncertainty."""
        return replace(self, to_micro=0, to_macro=0)

    def __add__(self, other: "FociCounts") -> "FociCounts":
        return FociCounts(
            self.itc + other.itc,
            self.micro + other.micro,
            self.macro + other.macro,
            self.to_micro + other.to_micro,
            self.to_macro + other.to_macro,
        )


def count_nodes(
    largest: Metastasis, *, nodes: int, complete: bool, foci: FociCounts | None, certain: Metastasis | None = None
) -> NodeCounts:
    """How many of `nodes` nodes that share their slides can be of each class, if `largest` is the highest class found.

    It is not known in which of the nodes a focus lies. The lower end of a range holds for every way to split the foci
    between the nodes. For the upper end each focus has the highest class that it may have, up to `largest`.

    complete: all their tissue was examined.
    foci: None if they weren't counted; each focus lies in one node, so there are no more positive nodes than foci
    (inferred).
    certain: the class that one node has for every split, if that is lower than `largest`: dispersed cells may be a
    micrometastasis together, but isolated tumour cells in each node (inferred).
    """
    macro_seen, micro_seen = int(largest is Metastasis.MACRO), int(largest >= Metastasis.MICRO)
    positive_seen = micro_seen if certain is None else int(certain >= Metastasis.MICRO)
    if not complete:
        return NodeCounts(
            macro=CountRange(macro_seen, nodes),
            micro=CountRange(0, nodes - macro_seen),
            itc=CountRange(0, nodes - positive_seen),
            positive=CountRange(positive_seen, nodes),
        )
    seen = most_foci(largest, nodes) if foci is None or nodes == 1 else foci
    macro = seen.macro + (seen.to_macro if macro_seen else 0)
    micro = seen.micro + (seen.to_micro if micro_seen else 0)
    return NodeCounts(
        macro=CountRange(macro_seen, min(nodes, macro)),
        micro=CountRange(positive_seen if largest is Metastasis.MICRO else 0, min(nodes - macro_seen, micro)),
        itc=CountRange(int(largest is Metastasis.ITC), min(nodes - positive_seen, seen.itc)),
        positive=CountRange(positive_seen, min(nodes, seen.macro + micro)),
    )


def most_foci(largest: Metastasis, nodes: int) -> FociCounts:
    """Counts that set no limit: as many foci as nodes, in each class up to the largest."""
    return FociCounts(
        itc=nodes if largest >= Metastasis.ITC else 0,
        micro=nodes if largest >= Metastasis.MICRO else 0,
        macro=nodes if largest is Metastasis.MACRO else 0,
    )
