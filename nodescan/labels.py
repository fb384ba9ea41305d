"""Tables of node labels, made by hand or by another tool, CAMELYON17's stages.csv among them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodescan.csv_rows import CsvRow, read_lines, read_table
from nodescan.domain.classification import CLASS_OF, Metastasis, classify
from nodescan.domain.staging import AJCC8, CAMELYON17, StagingTable
from nodescan.domain.units import Micrometers
from nodescan.errors import UsageError
from nodescan.manifest import NodeFacts, check_facts, check_numbers_of_nodes, check_once, node_facts

COLUMNS = (
    "patient_id",
    "specimen_id",
    "laterality",
    "node_id",
    "slide_id",
    "label",
    "largest_deposit_um",
    "nodes_on_slide",
    "nodes_removed",
    "sentinel",
    "neoadjuvant",
    "recurrence",
)

_CAMELYON17_HEADER = ("patient", "stage")
_PATIENT = re.compile(r"(?P<patient>.+)\.zip", re.IGNORECASE)
_NODE = re.compile(r"(?P<patient>.+)_node_(?P<node>[^_.]+)(\.[a-z]+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LabelledSlide:
    """One row: a slide, or a whole node where slide_id was not given. largest_um: None where not stated."""

    facts: NodeFacts
    slide_id: str
    label: Metastasis
    largest_um: float | None = None


@dataclass(frozen=True, slots=True)
class LabelTable:
    """slides: in the file's order. stages: patient -> stage, where stated. table: the mode it is made for."""

    name: str
    slides: tuple[LabelledSlide, ...]
    stages: Mapping[str, str]
    table: StagingTable


def read_labels(path: Path) -> LabelTable:
    """The labels at `path`, in CAMELYON17's format (patient,stage) or with the columns of COLUMNS."""
    if is_camelyon17(path, option="--labels"):
        return _read_camelyon17(path)
    rows = read_table(path, columns=COLUMNS, required=("patient_id", "label"), option="--labels")
    slides = tuple(_labelled(row) for row in rows)
    check_once([(slide.slide_id, slide.facts) for slide in slides if slide.slide_id], "the slide")
    check_once([(_node_words(slide.facts), slide.facts) for slide in slides if not slide.slide_id], "the node")
    _check(slides)
    return LabelTable(path.name, slides, {}, AJCC8)


def is_camelyon17(path: Path, *, option: str) -> bool:
    """Whether the file has the header of CAMELYON17's stages.csv. option: which names the file, for errors."""
    header = (cell.casefold() for cell in read_lines(path, option=option)[0].cells.values())
    return tuple(filter(None, header)) == _CAMELYON17_HEADER


def parse_label(row: CsvRow, column: str) -> Metastasis:
    """The class that a cell names. Raises UsageError on any other spelling."""
    word = row.one_of(column, CLASS_OF)
    if not word:
        raise row.error(f"{column} is empty; write {', '.join(CLASS_OF)}")
    return CLASS_OF[word]


def label_and_size(row: CsvRow) -> tuple[Metastasis, float | None]:
    """The row's class, and its largest deposit in um, None where not stated or where there is none.

    Raises UsageError where they can't both be true: cells may raise a small focus to micro, no more.
    """
    label, largest_um = parse_label(row, "label"), row.size_um("largest_deposit_um")
    if largest_um is None:
        return label, None
    by_size = classify(Micrometers(largest_um)) if largest_um else Metastasis.NONE
    if label is not by_size and (by_size, label) != (Metastasis.ITC, Metastasis.MICRO):
        written = row.text("largest_deposit_um")  # rounded, it might be the limit itself
        raise row.error(f"{label.word} contradicts a largest deposit of {written} um; correct one of them")
    return label, largest_um or None


def _labelled(row: CsvRow) -> LabelledSlide:
    facts = node_facts(row)
    if not facts.patient_id:
        raise row.error("patient_id is empty")
    if not facts.node_id and not row.text("slide_id"):
        raise row.error("neither node_id nor slide_id is given")
    label, largest_um = label_and_size(row)
    return LabelledSlide(facts, row.name("slide_id"), label, largest_um)


def _node_words(facts: NodeFacts) -> str:
    """A node's full name: it includes patient, specimen and side."""
    return " / ".join((*filter(None, facts.specimen), facts.node_id))


def _read_camelyon17(path: Path) -> LabelTable:
    slides: list[LabelledSlide] = []
    stages: dict[str, tuple[str, CsvRow]] = {}
    for row in read_table(path, columns=_CAMELYON17_HEADER, required=_CAMELYON17_HEADER):
        name = row.name("patient")
        node, patient = _NODE.fullmatch(name), _PATIENT.fullmatch(name)
        if patient is not None:
            patient_id = patient["patient"].casefold()
            if patient_id in stages:
                raise row.error(f"patient {name!r} stands in line {stages[patient_id][1].line} too")
            stages[patient_id] = (_stage_word(row), row)
        elif node is not None:
            slides.append(_camelyon17_node(row, node["patient"].casefold(), node["node"]))
        else:
            raise row.error(f"{name!r} is neither a patient (patient_NNN.zip) nor a node (patient_NNN_node_N.tif)")
    if not slides:
        raise UsageError(f"{path.name}: holds no node rows (patient_NNN_node_N.tif), so there is nothing to stage")
    check_once([(slide.slide_id, slide.facts) for slide in slides], "the node")
    _check(slides)
    nodes = {slide.facts.patient_id for slide in slides}
    for patient_id, (_, row) in stages.items():
        if patient_id not in nodes:
            raise row.error(f"patient {patient_id!r} has a stage but no node rows")
    return LabelTable(path.name, tuple(slides), {name: stage for name, (stage, _) in stages.items()}, CAMELYON17)


def _camelyon17_node(row: CsvRow, patient_id: str, node_id: str) -> LabelledSlide:
    """The file has only names: a node has one slide, and the name includes the patient, in any case."""
    facts = node_facts(CsvRow(row.file, row.line, {"patient_id": patient_id, "node_id": node_id}))
    return LabelledSlide(facts, f"{patient_id}_node_{node_id}", parse_label(row, "stage"))


def _stage_word(row: CsvRow) -> str:
    words = {rule.category.casefold(): rule.category for rule in CAMELYON17.rules}
    found = words.get(row.text("stage").casefold())
    if found is None:
        raise row.error(f"stage is {row.text('stage')!r}, which is not known; write {', '.join(words.values())}")
    return found


def _check(slides: Sequence[LabelledSlide]) -> None:
    facts = [slide.facts for slide in slides]
    check_facts(facts)
    check_numbers_of_nodes(facts)
