"""Each node's true class beside the one that follows from a run's reports, where nodes have several slides."""

from collections.abc import Sequence
from dataclasses import dataclass

from nodescan.domain.classification import Metastasis
from nodescan.domain.patient import Node, Staged


@dataclass(frozen=True, slots=True)
class NodeOutcome:
    """A node. specimen: names of patient, specimen and side, "" where not stated.

    true_class: that of the largest deposit on its slides, by the reference.
    """

    specimen: tuple[str, str, str]
    node: Node
    true_class: Metastasis

    @property
    def patient_id(self) -> str:
        return self.specimen[0]

    @property
    def found(self) -> Metastasis | None:
        """None where it was not read whole and nothing was found, which is not negative."""
        return self.node.largest_class if self.node.complete or self.node.largest_class else None

    @property
    def class_at_least(self) -> bool:
        """Whether `found` is a lower bound, and there is a class above it."""
        return self.found is not None and self.found < Metastasis.MACRO and self.node.class_at_least

    @property
    def name(self) -> str:
        """Of its patient and itself, for a list of nodes; a specimen and side only where the table names them."""
        return " / ".join(filter(None, (*self.specimen, self.node.node_id)))

    @property
    def was_run(self) -> bool:
        """Whether any of its slides has a report."""
        return any(not section.left_out for section in self.node.sections)


def node_outcomes(truth: Sequence[Staged], found: Sequence[Staged]) -> tuple[NodeOutcome, ...]:
    """The nodes of all patients, run or not; none where no node has several slides, so that slides tell as much.

    truth, found: of the same specimens and nodes. Nodes that share a slide have no class of their own, and are left
    out.
    """
    classes = {(one.specimen.names, node.node_id): node.largest_class for one in truth for node in one.specimen.nodes}
    nodes = [(one.specimen, node) for one in found for node in one.specimen.nodes if node.n_nodes == 1]
    if all(len(node.sections) < 2 for _, node in nodes):
        return ()
    return tuple(NodeOutcome(specimen.names, node, classes[specimen.names, node.node_id]) for specimen, node in nodes)
