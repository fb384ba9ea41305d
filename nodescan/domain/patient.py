"""Slides, nodes and one patient's specimen of one side, and its pN: the largest decides, nothing is added up."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from nodescan.domain.classification import Metastasis
from nodescan.domain.flags import Flag
from nodescan.domain.section import Evidence, Section
from nodescan.domain.staging import FociCounts, NodeCounts, StageRule, StagingTable, count_nodes
from nodescan.domain.units import Micrometers

UNDETERMINED = "cannot be determined"
TUMOUR_UNCLASSED = "tumour found on a slide that got no class: review"
NONE_READABLE = "no readable slide"
"""In the words of clinical-rules 5."""
NONE_COUNTS = "no slide has a result that counts"
"""Said if slides were left out or not run, have no tissue, or can't be judged. Their files may be sound."""


@dataclass(frozen=True, slots=True)
class Node(Evidence):
    """One lymph node with all its sections, or several nodes that share their slides and can't be told apart.

    nodes_stated: the most nodes that any of its slides is said to show, slides of other stains included.
    counts: by the sizes as measured. most_counts: with each size anywhere within its uncertainty. Both are computed
    once, because pages and tables ask for them often.
    """

    node_id: str
    sections: tuple[Section, ...]
    sentinel: bool | None = None
    nodes_stated: int = 1
    counts: NodeCounts = field(init=False, repr=False, compare=False)
    most_counts: NodeCounts = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        foci = self.foci
        measured = self._counts(self.largest_class, None if foci is None else foci.as_measured)
        object.__setattr__(self, "counts", measured)
        object.__setattr__(self, "most_counts", self._counts(self.classes[-1], foci))

    @property
    def n_nodes(self) -> int:
        return max(self.nodes_stated, self.n_listed)

    @property
    def n_listed(self) -> int:
        """How many nodes its sections are said to show."""
        return max((section.nodes_on_slide for section in self.sections), default=0)

    @property
    def n_lacking(self) -> int:
        """How many of its stated nodes are missing on the section where most are missing."""
        return max((section.nodes_on_slide - section.n_shown for section in self.sections), default=0)

    @property
    def n_examined(self) -> int:
        """How many of its nodes were read at least in part. Sections that show fewer are taken to show the same ones
        (inferred)."""
        return max((section.n_shown for section in self.sections if section.readable), default=0)

    @property
    def n_unread(self) -> int:
        """How many of its nodes were not read whole.

        If every section was read whole, these are the nodes missing on some section. Sections with missing nodes are
        taken to lack the same ones (inferred).
        """
        read = self.n_listed - self.n_lacking
        return self.n_nodes - (read if all(section.complete for section in self.sections) else 0)

    @property
    def foci(self) -> FociCounts | None:
        """Foci on all its sections; None unless they were counted on each."""
        counted = [section.foci for section in self.sections if section.foci is not None]
        return sum(counted, FociCounts()) if len(counted) == len(self.sections) else None

    @property
    def classes(self) -> tuple[Metastasis, ...]:
        """Every class that it can have with each size anywhere within its uncertainty, in their order (inferred)."""
        lowest = max((section.classes[0] for section in self.sections), default=Metastasis.NONE)
        highest = max((section.classes[1] for section in self.sections), default=Metastasis.NONE)
        return tuple(found for found in Metastasis if lowest <= found <= highest)

    @property
    def least_class(self) -> Metastasis:
        """The lowest class that it can have by its sizes and the doubts about them; see Section."""
        return max((section.least_class for section in self.sections), default=Metastasis.NONE)

    @property
    def borderline(self) -> bool:
        return len(self.classes) > 1

    @property
    def most_borderline(self) -> int:
        """The most of its nodes that can be borderline: each needs a focus of its own, as in `count_nodes`.

        Even if the largest deposit is not borderline, a smaller one that is may decide the class of another node.
        """
        if not self.borderline:
            return max(self.more_by_size(found) for found in (None, Metastasis.MICRO, Metastasis.MACRO))
        return self.n_nodes if self.foci is None else min(self.n_nodes, self.foci.total)

    @property
    def complete(self) -> bool:
        """Whether every section was read whole and lacks no node; without sections nothing was read."""
        return self.n_unread == 0

    @property
    def class_at_least(self) -> bool:
        """Whether it may be of a higher class than was found, whatever the uncertainty of sizes."""
        return not self.complete or (self.cut_off and self.largest_class < Metastasis.MACRO)

    @property
    def size_at_least(self) -> bool:
        """Whether the largest size is a lower bound."""
        return not self.complete or any(section.may_exceed(self.largest_um) for section in self.sections)

    @property
    def largest_um(self) -> Micrometers | None:
        return None if self.largest is None else self.largest.largest_um

    @property
    def most_positive(self) -> int:
        """The most of its nodes that can be positive, with each size anywhere within its uncertainty."""
        return self.most_counts.positive.highest

    def more_by_size(self, found: Metastasis | None) -> int:
        """How many more nodes than in `counts` may be of this class (None: positive) because sizes are uncertain."""
        return max(self.most_counts.of(found).highest - self.counts.of(found).highest, 0)

    def _counts(self, largest: Metastasis, foci: FociCounts | None) -> NodeCounts:
        whole = self.complete and not any(section.may_rise for section in self.sections)
        return count_nodes(largest, nodes=self.n_nodes, complete=whole, foci=foci, certain=self.certain_class)


@dataclass(frozen=True, slots=True)
class Specimen(Evidence):
    """What is staged by itself: the nodes of one specimen and side. laterality: "left", "right" or "" for not stated.

    nodes_removed: in all, None where not known; 0 with no nodes means that none were removed for study (pNX).
    """

    patient_id: str
    nodes: tuple[Node, ...]
    specimen_id: str = ""
    laterality: str = ""
    nodes_removed: int | None = None
    neoadjuvant: bool = False
    recurrence: bool = False

    @property
    def names(self) -> tuple[str, str, str]:
        """The names of patient, specimen and side; "" if not stated. Each such combination has its own stage."""
        return self.patient_id, self.specimen_id, self.laterality

    @property
    def sections(self) -> tuple[Section, ...]:
        """Of all nodes."""
        return tuple(section for node in self.nodes for section in node.sections)

    @property
    def unreadable(self) -> bool:
        """Whether every node has slides, and reading failed for all of them."""
        return bool(self.nodes) and all(
            node.sections and all(section.unreadable for section in node.sections) for node in self.nodes
        )

    @property
    def n_nodes(self) -> int:
        return sum(node.n_nodes for node in self.nodes)

    @property
    def n_examined(self) -> int:
        """Nodes of which something was read, if only in part."""
        return sum(node.n_examined for node in self.nodes)

    @property
    def unread(self) -> tuple[Node, ...]:
        """Nodes that failed or were read in part."""
        return tuple(node for node in self.nodes if not node.complete)

    @property
    def unclassed_um(self) -> Micrometers | None:
        """The largest deposit without a class, None if there is none; see Section."""
        unclassed = (section.unclassed_um for section in self.sections if section.unclassed_um is not None)
        return max(unclassed, default=None)


@dataclass(frozen=True, slots=True)
class Staged:
    """The pN of one specimen.

    lowest: the lowest category that the findings allow, by sizes as measured; None if nothing can be said.
    highest: the highest possible category, whatever lies in unread tissue; None beyond the table's end.
    may_be: what `lowest` can be with each size anywhere within its uncertainty, in the table's order.
    prefix, suffix: the modifiers.
    counts: nodes by the sizes as measured. notes: what a reader must know. n_without_slides: nodes that were removed,
    of which no slide is here.
    """

    specimen: Specimen
    table: StagingTable
    lowest: StageRule | None
    highest: StageRule | None
    counts: NodeCounts
    prefix: str
    suffix: str
    notes: tuple[Flag, ...]
    not_removed: bool
    n_without_slides: int
    may_be: tuple[StageRule, ...]

    @property
    def borderline(self) -> bool:
        """Whether the category depends on a size that may be on either side of a limit between classes."""
        return len(self.may_be) > 1

    @property
    def n_nodes(self) -> int:
        """All nodes of the specimen, with or without slides."""
        return self.specimen.n_nodes + self.n_without_slides

    @property
    def n_unread(self) -> int:
        """How many of all nodes were not read whole."""
        return sum(node.n_unread for node in self.specimen.nodes) + self.n_without_slides

    @property
    def n_in_part(self) -> int:
        """How many of the nodes in `n_unread` were read in part."""
        return self.n_unread - self.n_without_slides - (self.specimen.n_nodes - self.specimen.n_examined)

    @property
    def complete(self) -> bool:
        """Whether every node was read whole."""
        return self.not_removed or (bool(self.specimen.nodes) and self.n_unread == 0)

    @property
    def size_at_least(self) -> bool:
        """Whether the largest size is a lower bound: a node was not read or measured whole, or a deposit is cut off."""
        largest = self.specimen.largest
        largest_um = None if largest is None else largest.largest_um
        return not self.complete or any(section.may_exceed(largest_um) for section in self.specimen.sections)

    @property
    def determined(self) -> bool:
        """Whether sizes as measured give exactly one category, without "at least". It may still be `borderline`."""
        return self.not_removed or (self.complete and self.lowest is not None and self.lowest == self.highest)

    @property
    def may_rise(self) -> bool:
        """Whether a higher category is possible, by what was not read or by a size's uncertainty."""
        return self.lowest is None or self.lowest != self.highest or self.lowest != self.may_be[-1]

    @property
    def may_fall(self) -> bool:
        """Whether a lower category is possible, by a size's uncertainty."""
        return bool(self.may_be) and self.lowest != self.may_be[0]

    @property
    def category_stays(self) -> bool:
        """Whether a stage of "at least" has the only category that is possible, whatever the unread nodes hold."""
        return self.at_least and not self.may_rise and self.bound == self.category

    @property
    def class_by_reader(self) -> bool:
        """Whether the category may depend on a class that a reader gave and that doesn't follow from a size."""
        return any(section.class_without_size or section.class_by_reader for section in self.specimen.sections)

    @property
    def category(self) -> str | None:
        """The category without modifiers; a lower bound unless `determined`."""
        if self.not_removed:
            return "pNX"
        if self.lowest is None or (not self.determined and self.lowest.largest is Metastasis.NONE):
            return None
        return self.lowest.category

    @property
    def at_least(self) -> bool:
        return self.category is not None and not self.determined

    @property
    def bound(self) -> str | None:
        """The lowest category that is possible if the stage is "at least"; None otherwise, or if a doubt may lower it.

        It may be lower than `category`, because it allows for the uncertainty of sizes.
        """
        by_sizes = self._floor([node.classes[0] for node in self.specimen.nodes])
        if not self.at_least or self._floor([node.least_class for node in self.specimen.nodes]) != by_sizes:
            return None
        return self.may_be[0].category if self.may_fall else self.category

    def _floor(self, least: Sequence[Metastasis]) -> StageRule | None:
        """The lowest category if each node has its least class, however foci are spread over nodes that share
        slides."""
        found = [min(one, node.certain_class) for one, node in zip(least, self.specimen.nodes, strict=True)]
        positive = sum(one >= Metastasis.MICRO for one in found)
        return self.table.rule_for(max(found, default=Metastasis.NONE), positive)

    @property
    def words(self) -> str:
        """The stage as printed, e.g. "at least ypN1mi(sn)"; "ypN1mi(sn) as measured" for a bound that may not hold."""
        if self.category is not None:
            named = f"{self.prefix}{self.category}{self.suffix}"
            if self.at_least:
                return f"at least {named}" if self.bound == self.category else f"{named} as measured"
            return named
        if self.lowest is not None and self.specimen.unclassed_um is not None:
            return f"{UNDETERMINED} ({TUMOUR_UNCLASSED})"
        if not any(section.readable for section in self.specimen.sections):
            return f"{UNDETERMINED} ({NONE_READABLE if self.specimen.unreadable else NONE_COUNTS})"
        if self.lowest is not None:
            return f"{UNDETERMINED} (no tumour found, but {self.n_unread} of {self.n_nodes} nodes not fully read)"
        return f"{UNDETERMINED} (more positive nodes than the table {self.table.name} knows)"
