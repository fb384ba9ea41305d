"""The manifest: slides, which node of which patient each shows, and what only the clinic knows."""

import os
import re
import sys
import unicodedata
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodescan.csv_rows import CsvRow, read_table, table_sha256
from nodescan.domain.naming import how_many
from nodescan.domain.slide import COARSEST_UM, FINEST_UM
from nodescan.stain_names import names_he

COLUMNS = (
    "path",
    "slide_id",
    "patient_id",
    "specimen_id",
    "laterality",
    "node_id",
    "nodes_on_slide",
    "nodes_removed",
    "sentinel",
    "neoadjuvant",
    "recurrence",
    "stain",
    "mpp",
)

_LEADING_ZEROS = re.compile(r"(?<![0-9.])0+(?=[0-9])")

_DASHES = re.compile("[\u2010-\u2015\u2212]")
"""Kinds of dashes that word processors put in place of a hyphen."""

_PARTING = re.compile(r"(?<![0-9])[\s_]+|[\s_]+(?![0-9])")
"""Blanks and underscores, but for those between two digits: "SLN 1" is SLN1, yet 1_1 is not 11."""

_BETWEEN = re.compile(r"(?<=[^\W\d_])[\W_]+(?=\d)|(?<=\d)[\W_]+(?=[^\W\d_])")
"""What stands between a letter and a digit: P-01 and P 01 are P01, yet 1-1 is not 11."""

_WHOLE = re.compile(r"([0-9]+)\.0+")
"""A number as a spreadsheet shows it that took an id for one with decimals."""

_HIDDEN = re.compile(r"[^\w\x20-\x7e]|(?<= ) ")
"""Characters that look like a plain one in print: dashes, blanks that are no spaces, separate accents, double
blanks."""

_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right", "": ""}


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A table's facts about the node of one of its rows. Empty text, None: not stated.

    where: file and line, for errors. nodes_removed: of the whole specimen and side; 0 says that none were removed.
    """

    where: CsvRow
    patient_id: str
    specimen_id: str
    laterality: str
    node_id: str
    nodes_on_slide: int
    nodes_removed: int | None
    sentinel: bool | None
    neoadjuvant: bool | None
    recurrence: bool | None

    @property
    def specimen(self) -> tuple[str, str, str]:
        """Patient, specimen and side: each such combination has its own stage."""
        return self.patient_id, self.specimen_id, self.laterality


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One slide. path: joined to the manifest's own folder, None where not given; slide_id: "" where not given.

    mpp_um: spacing at level 0 for a slide that has none. stain: as written, "" for H&E.
    """

    facts: NodeFacts
    path: Path | None
    slide_id: str
    stain: str
    mpp_um: float | None

    @property
    def has_slide(self) -> bool:
        """False for a row that only says that no nodes were removed."""
        return self.path is not None or bool(self.slide_id)

    @property
    def is_he(self) -> bool:
        return not self.stain or names_he(self.stain) is True


@dataclass(frozen=True, slots=True)
class Manifest:
    """name: of the file; rows: in its order; sha256: of the file's bytes."""

    name: str
    rows: tuple[ManifestRow, ...]
    sha256: str = ""

    @property
    def names_patients(self) -> bool:
        """Whether any row does; else it is a list of slides."""
        return any(row.facts.patient_id for row in self.rows)


def read_manifest(path: Path) -> Manifest:
    """The manifest at `path`. Raises UsageError, naming the line, on whatever is unknown or contradicts itself."""
    table = read_table(path, columns=COLUMNS, required=(), option="--manifest")
    rows = tuple(_manifest_row(row, path.parent) for row in table)
    with_slide = [row for row in rows if row.has_slide]
    check_once([(row.path, row.facts) for row in rows if row.path is not None], "the path")
    check_once([(row.slide_id, row.facts) for row in rows if row.slide_id], "the slide_id")
    check_facts([row.facts for row in rows])
    staged = {row.facts.specimen for row in with_slide}
    for row in rows:
        if not row.has_slide and row.facts.nodes_removed != 0:
            raise row.facts.where.error(
                "neither path nor slide_id is filled in; name the slide, or delete this row (nodes_removed counts "
                "nodes without slides, too; only with nodes_removed 0 a row needs no slide)"
            )
        if not row.has_slide and row.facts.specimen in staged:
            raise row.facts.where.error("says that no nodes were removed, but other rows of it have slides of nodes")
        if not row.has_slide and (row.facts.node_id or row.facts.where.text("nodes_on_slide")):
            raise row.facts.where.error(
                "says that no nodes were removed, but names a node; leave node_id and nodes_on_slide empty"
            )
        if row.has_slide and row.facts.nodes_removed == 0:
            raise row.facts.where.error("a slide of a node, but nodes_removed is 0; correct one of them")
    check_numbers_of_nodes([row.facts for row in with_slide])
    return Manifest(path.name, rows, table_sha256(path))


def node_facts(row: CsvRow) -> NodeFacts:
    """The columns that every table of nodes shares."""
    side = row.one_of("laterality", _SIDES)
    return NodeFacts(
        where=row,
        patient_id=row.shared_name("patient_id"),
        specimen_id=row.shared_name("specimen_id"),
        laterality=_SIDES[side],
        node_id=row.shared_name("node_id"),
        nodes_on_slide=row.whole_number("nodes_on_slide", smallest=1) or 1,
        nodes_removed=row.whole_number("nodes_removed", smallest=0),
        sentinel=row.yes_or_no("sentinel"),
        neoadjuvant=row.yes_or_no("neoadjuvant"),
        recurrence=row.yes_or_no("recurrence"),
    )


def check_facts(facts: Sequence[NodeFacts]) -> None:
    """Raise UsageError where two rows of one patient, specimen or node contradict each other."""
    named = [fact for fact in facts if fact.patient_id]
    _check_case([((), fact.patient_id, fact) for fact in named], "patient_id")
    _check_case([((fact.patient_id,), fact.specimen_id, fact) for fact in named], "specimen_id")
    _check_case([(fact.specimen, fact.node_id, fact) for fact in named], "node_id")
    for column in ("specimen_id", "laterality"):
        _check_all_or_none([((fact.patient_id,), fact) for fact in named], column, "it would be staged as two groups")
    with_node = [(fact.specimen, fact) for fact in named if fact.nodes_removed != 0]
    _check_all_or_none(with_node, "node_id", "this slide would count as a node of its own")
    for column in ("nodes_removed", "neoadjuvant", "recurrence"):
        stated = [(fact.specimen, getattr(fact, column), fact) for fact in named]
        _check_agree(stated, column, "this patient's specimen and side")
    nodes = [((*fact.specimen, fact.node_id), fact.sentinel, fact) for fact in named if fact.node_id]
    _check_agree(nodes, "sentinel", "this node")


def check_numbers_of_nodes(facts: Sequence[NodeFacts]) -> None:
    """Raise UsageError where the slides of a specimen show more nodes than were removed."""
    nodes: dict[tuple[str, str, str], dict[Hashable, int]] = {}
    for number, fact in enumerate(facts):
        seen = nodes.setdefault(fact.specimen, {})
        key = fact.node_id or number
        seen[key] = max(seen.get(key, 0), fact.nodes_on_slide)
    for fact in facts:
        seen = sum(nodes[fact.specimen].values())
        if fact.patient_id and fact.nodes_removed is not None and fact.nodes_removed < seen:
            raise fact.where.error(
                f"nodes_removed is {fact.nodes_removed}, but the table has {how_many(seen, 'node')} of this specimen "
                "and side; correct nodes_removed, or give slides of one node the same node_id"
            )


def check_once(keys: Iterable[tuple[Hashable, NodeFacts]], what: str) -> None:
    """Raise UsageError where a key stands in two rows, above all in those of two patients."""
    seen: dict[Hashable, NodeFacts] = {}
    for key, fact in keys:
        first = seen.setdefault(key, fact)
        if first is not fact:
            two = f" and belongs to two patients, {first.patient_id!r} and {fact.patient_id!r}"
            patients = two if first.patient_id != fact.patient_id else ""
            name = key.name if isinstance(key, Path) else key
            raise fact.where.error(f"{what} {name!r} stands in line {first.where.line} too{patients}")


def _manifest_row(row: CsvRow, folder: Path) -> ManifestRow:
    mpp = row.number("mpp")
    if mpp is not None and not FINEST_UM <= mpp <= COARSEST_UM:
        raise row.error(f"mpp is {mpp:g}; write um per pixel at level 0, from {FINEST_UM} to {COARSEST_UM}")
    stain = row.text("stain")
    if stain and names_he(stain) is None:
        raise row.error(
            f"stain is {stain!r}, which is not known; write H&E, or IHC for what the pathologist alone reads"
        )
    return ManifestRow(
        facts=node_facts(row),
        path=_path(row, folder),
        slide_id=row.name("slide_id"),
        stain=stain,
        mpp_um=mpp,
    )


def _path(row: CsvRow, folder: Path) -> Path | None:
    """Raise UsageError for a name that the locale can't encode: every access to the disk would fail."""
    text = row.text("path")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise row.error(
            f"path {text!r} has characters that this session's locale can't write ({sys.getfilesystemencoding()}); "
            "set a UTF-8 locale, such as LC_ALL=C.UTF-8"
        ) from None
    return folder / text if text else None


def _check_all_or_none(facts: Iterable[tuple[tuple[str, ...], NodeFacts]], column: str, result: str) -> None:
    """Raise UsageError if only some rows of a group state a column, as after joining cells in a spreadsheet.

    Otherwise a patient would be staged in parts, or a node counted twice. A group's name begins with the patient's.
    """
    stated: dict[tuple[str, ...], NodeFacts] = {}
    unstated: dict[tuple[str, ...], NodeFacts] = {}
    for group, fact in facts:
        (stated if getattr(fact, column) else unstated).setdefault(group, fact)
    for group, fact in unstated.items():
        if group in stated:
            raise fact.where.error(
                f"patient {group[0]!r} has a {column} in line {stated[group].where.line} and none here, so {result}; "
                f"fill in {column} in all of its rows"
            )


def _check_case(names: Iterable[tuple[tuple[str, ...], str, NodeFacts]], column: str) -> None:
    """Raise UsageError where two names look alike: one patient or node would be counted as two.

    They differ by case, blanks, underscores, dashes (kinds of them, or one between a letter and a digit), zeros that a
    spreadsheet takes from numbers or gives them, or by how accents are encoded (file names of macOS: a letter, then
    its accent).
    """
    seen: dict[tuple[tuple[str, ...], str], tuple[str, NodeFacts]] = {}
    for group, name, fact in names:
        first, before = seen.setdefault((group, looks(name)), (name, fact))
        if first != name:
            raise fact.where.error(
                f"{column} {_shown(name)} differs from {_shown(first)} in line {before.where.line} by its case, "
                "blanks, underscores, dashes, leading zeros, a final .0 or the encoding of its accents alone, "
                "so they would count as two; write both alike, or give names that differ"
            )


def _shown(name: str) -> str:
    """The name in quotes, with each sign that looks like another in print written by its number."""
    plain = _HIDDEN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", name)
    return f"'{plain}'"


def looks(name: str) -> str:
    """The name in a form that is equal for names that look alike; see _check_case."""
    plain = _DASHES.sub("-", unicodedata.normalize("NFKC", name).casefold()).strip()
    plain = re.sub(r"[\s_]+", " ", _PARTING.sub("", plain))
    number = _WHOLE.fullmatch(plain)
    return _BETWEEN.sub("", _LEADING_ZEROS.sub("", plain if number is None else number[1]))


def _check_agree(stated: Iterable[tuple[Hashable, object, NodeFacts]], column: str, of: str) -> None:
    first: dict[Hashable, tuple[object, NodeFacts]] = {}
    for key, value, fact in stated:
        if value is None:
            continue
        known, before = first.setdefault(key, (value, fact))
        if known != value:
            raise fact.where.error(f"{column} of {of} contradicts line {before.where.line}")
