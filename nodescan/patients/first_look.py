"""Where a patient's page says to look first: each slide once, with its place and one reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from nodescan.domain.classification import Metastasis
from nodescan.domain.flags import Flag
from nodescan.domain.naming import how_many, slide_of_node
from nodescan.domain.patient import Node, Staged
from nodescan.domain.report import Outcome
from nodescan.reports.report_reader import StoredReport
from nodescan.reports.wording import CLASS_WORDS, flag_title

_NODES = 3
"""So many nodes are named as what the stage rests on: the box is for the first minute."""


@dataclass(frozen=True, slots=True)
class Look:
    """One thing to look at. named: a slide with its node, else all that is said, and slide_id is "".

    said: what follows the slide's name: its place, and one reason. more: the other notes on it.
    """

    named: str
    slide_id: str = ""
    said: str = ""
    more: tuple[Flag, ...] = ()

    @property
    def also(self) -> tuple[str, ...]:
        """The titles of the other notes, each once."""
        return tuple(dict.fromkeys(flag_title(note.code) for note in self.more))


def look_first(staged: Staged, notes: Sequence[Flag]) -> list[Look]:
    """What deserves the reader's first minute: what the stage rests on, then the notes, the most important first."""
    nodes = staged.specimen.nodes
    slides = {slide_of_node(node.node_id, one.slide_id): one.slide_id for node in nodes for one in node.sections}
    places, asked = _decisive(staged), _to_measure(staged)
    told: dict[str, list[Flag]] = {named: [] for named in (*places, *asked)}
    for note in notes:
        named = next((slide for slide in slides if note.message.startswith(f"{slide}: ")), note.message)
        told.setdefault(named, []).append(note)
    looks: list[Look] = []
    for named, own in told.items():
        if named not in slides:
            looks.append(Look(named))
            continue
        reason = asked.get(named) or "".join(note.message.removeprefix(f"{named}: ") for note in own[:1])
        more = own if named in asked else own[1:]
        looks.append(Look(named, slides[named], _said(places.get(named, ""), reason), tuple(more)))
    return looks


def notes_in_full(looks: Sequence[Look], reports: Sequence[StoredReport]) -> list[Flag]:
    """The notes told by title alone that no slide's page has word by word. reports: of the slides that have one.

    The page of a slide that was not judged, or of which nothing was read, leaves out flags.
    """
    judged = [one for one in reports if one.outcome is Outcome.JUDGED]
    there = {(one.slide_id, flag.code, flag.message) for one in judged for flag in one.flags}
    return [
        note
        for look in looks
        for note in look.more
        if (look.slide_id, note.code, note.message.removeprefix(f"{look.named}: ")) not in there
    ]


def _said(place: str, reason: str) -> str:
    """What follows the name of a slide; either may be "", as where no place or no note is told."""
    return f", {place} {reason[:1].upper()}{reason[1:]}".rstrip() if place else f": {reason}"


def _decisive(staged: Staged) -> dict[str, str]:
    """Where to see what the stage rests on: positive nodes, else those with ITC, the largest class first.

    The slide that gives each its class, and its deposit; last, that there are more.
    """
    least = min(staged.specimen.largest_class, Metastasis.MICRO)
    nodes = [node for node in staged.specimen.nodes if node.largest_class >= max(least, Metastasis.ITC)]
    nodes.sort(key=lambda node: (-node.largest_class, -(node.largest_um or 0.0)))
    said = dict(map(_evidence, nodes[:_NODES]))
    more = len(nodes) - _NODES
    return said | ({f"{how_many(more, 'more node')} with tumour, in the table of nodes.": ""} if more > 0 else {})


def _evidence(node: Node) -> tuple[str, str]:
    own = [section for section in node.sections if section.metastasis is node.largest_class]
    section = max(own, key=lambda section: section.largest_um or 0.0)
    deposit = section.decisive or CLASS_WORDS[node.largest_class].lower()
    return slide_of_node(node.node_id, section.slide_id), f"{deposit}."


def _to_measure(staged: Staged) -> dict[str, str]:
    """Slides that a reader gave a class without a size, where that leaves the patient's largest size open."""
    return {
        slide_of_node(node.node_id, section.slide_id): f"{section.reading.by} read it as {section.metastasis.word} "
        "without a size. Measure its largest deposit and give the size in the corrections, in an “add” row, or in a "
        "“resize” row if the software found the deposit."
        for node in staged.specimen.nodes
        for section in node.sections
        if section in staged.specimen.unsized and section.reading is not None and section.metastasis is not None
    }
