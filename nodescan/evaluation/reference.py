"""What is held to be true of each slide: labels from a CSV, lesions from masks, outlines or planted truth."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nodescan.annotations import MENDED, NO_TUMOUR
from nodescan.csv_rows import CsvRow, read_lines, read_table, tables_in
from nodescan.domain.classification import Metastasis
from nodescan.domain.naming import few
from nodescan.errors import UsageError
from nodescan.evaluation.lesion_files import OWN_OUTLINES, LesionFile, lesion_file, may_show_lesions
from nodescan.labels import CLASS_OF, LabelledSlide, is_camelyon17, label_and_size, read_labels
from nodescan.slides.discovery import SUFFIXES
from nodescan.slides.slide_ids import safe_name, slide_key

_SLIDE_COLUMNS = ("slide_id", "label", "largest_deposit_um")
_CAMELYON16_KINDS = {"tumor": True, "tumour": True, "normal": False}
_CAMELYON16_LABELS = {"none": Metastasis.NONE, "micro": Metastasis.MICRO, "macro": Metastasis.MACRO}
_CAMELYON16_COLUMNS = 4

LEFT_OUT: Mapping[str, str] = {"test_049": "a duplicate of another slide", "normal_086": "it became tumor_111"}
"""Slides of CAMELYON16 that don't count (data_manifests/README.md)."""

NOT_EXHAUSTIVE = frozenset(
    {"test_114"}
    | {
        f"tumor_{number:03}"
        for number in (10, 15, 18, 20, 25, 29, 33, 34, 44, 46, 51, 54, 55, 56, 67, 79, 85, 92, 95, 110)
    }
)
"""Slides of CAMELYON16 whose lesions are not all outlined (data_manifests/README.md)."""

_TUMOUR_NAME = re.compile(r"tumou?r_\d+", re.IGNORECASE)

_IN_ONE = ((MENDED, f"outlines {MENDED}"), (NO_TUMOUR, NO_TUMOUR), (OWN_OUTLINES, OWN_OUTLINES))
"""Notes of outlines that leave a truth as it was drawn, or may meet each file alike; and how they begin."""


@dataclass(frozen=True, slots=True)
class ReferenceSlide:
    """One slide's truth. tumour, label: None where the reference doesn't say. lesions: the file that shows them.

    largest_um: greatest diameter of its largest deposit, None where not stated. patient_id, node_id: "" if unknown.
    """

    slide_id: str
    tumour: bool | None
    label: Metastasis | None
    largest_um: float | None = None
    lesions: LesionFile | None = None
    patient_id: str = ""
    node_id: str = ""

    @property
    def lacks_lesions(self) -> bool:
        """Whether it shows tumour, and no file says where."""
        return bool(self.tumour) and self.lesions is None

    @property
    def on_mask(self) -> bool:
        """Whether its lesions are those of a mask."""
        return self.lesions is not None and self.lesions.kind_of_file == "mask"


@dataclass(frozen=True, slots=True)
class Reference:
    """slides: by slide_key. nodes, stages: CAMELYON17's rows and its patients' stages, where it is one.

    unlisted_is_normal: a folder of tumour masks only, and nothing unread in it, where a slide without one is normal.
    unread: names of files in it that were not read and are no slides. notes: what was left out.
    """

    name: str
    slides: Mapping[str, ReferenceSlide]
    nodes: tuple[LabelledSlide, ...] = ()
    stages: Mapping[str, str] = field(default_factory=dict)
    unlisted_is_normal: bool = False
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def find(self, slide_id: str) -> ReferenceSlide | None:
        """The slide of this name, as slide_key matches names; None where the reference doesn't know it."""
        found = self.slides.get(slide_key(slide_id))
        if found is not None or not self.unlisted_is_normal:
            return found
        if _TUMOUR_NAME.fullmatch(slide_id) or slide_key(slide_id) in LEFT_OUT:
            return None  # by its name it should have had a mask, or isn't normal because it has none
        return ReferenceSlide(slide_id, tumour=False, label=Metastasis.NONE)

    def for_run(self, slide_ids: Iterable[str]) -> "Reference":
        """Without unlisted slides being normal where an unread file is named after one of them: it may show its tumour
        in a format that isn't known. slide_ids: of all slides of the run."""
        known = {slide_key(one): self.find(one) is not None for one in slide_ids}
        assumed = {key for key, found in known.items() if found} - self.slides.keys()
        named = [name for name in self.unread if _slide_of(slide_key(name), known) in assumed]
        if not named:
            return self
        return replace(self, unlisted_is_normal=False, notes=(*self.notes, _doubt(named)))

    @property
    def has_lesions(self) -> bool:
        return any(slide.lesions is not None for slide in self.slides.values())


def read_reference(path: Path) -> Reference:
    """A CSV (CAMELYON16's or 17's own, or slide_id,label), or a folder of masks or outlines with at most one CSV.

    Raises UsageError where it is none, or contradicts itself, and AnnotationError for a mask or outlines that can't be
    read.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder; name the reference CSV or a folder of masks")
    if lesion_file(path) is not None:
        raise UsageError(
            f"{path}: shows the lesions of one slide, and --reference is a CSV or a folder; name the folder of such "
            "files, one for each slide"
        )
    return _read_csv(path)


def _read_csv(path: Path) -> Reference:
    if is_camelyon17(path, option="--reference"):
        return _read_nodes(path)
    first, *rows = read_lines(path)
    if len(first.cells) == _CAMELYON16_COLUMNS and first.cells["1"].casefold() in _CAMELYON16_KINDS:
        return _read_camelyon16(path)
    header = [cell.casefold() for cell in first.cells.values()]
    if "patient_id" in header:
        place = str(header.index("label")) if "label" in header else ""
        for row in rows:
            if row.text(place).casefold() in _CAMELYON16_KINDS:
                raise row.error(
                    f"label is {row.text(place)!r}, and a table with patient_id needs classes; write "
                    f"{', '.join(CLASS_OF)}, or leave only the columns slide_id and label"
                )
        return _read_nodes(path)
    table = read_table(path, columns=_SLIDE_COLUMNS, required=("slide_id", "label"))
    return Reference(path.name, _by_key((row, _slide(row)) for row in table))


def _read_nodes(path: Path) -> Reference:
    """A table of patients' nodes, CAMELYON17's own or another."""
    table = read_labels(path)
    slides: list[tuple[CsvRow, ReferenceSlide]] = []
    for slide in table.slides:
        facts = slide.facts
        if not slide.slide_id:
            raise facts.where.error("slide_id is empty; evaluation needs to know which slide it is")
        own = ReferenceSlide(slide.slide_id, slide.label is not Metastasis.NONE, slide.label, slide.largest_um)
        slides.append((facts.where, replace(own, patient_id=facts.patient_id, node_id=facts.node_id)))
    return Reference(path.name, _by_key(slides), table.slides, table.stages)


def _slide(row: CsvRow) -> ReferenceSlide:
    """Labels of four classes, or tumor and normal where only that is known."""
    if not row.name("slide_id"):
        raise row.error("slide_id is empty")
    kind = _CAMELYON16_KINDS.get(row.text("label").casefold())
    if kind is not None:
        if row.size_um("largest_deposit_um"):
            classes = ", ".join(CLASS_OF)
            raise row.error(
                f"has a size beside {row.text('label')!r}; write its class ({classes}), or leave the size out"
            )
        return ReferenceSlide(row.text("slide_id"), kind, None if kind else Metastasis.NONE)
    if row.text("label").casefold() not in CLASS_OF:
        raise row.error(f"label is {row.text('label')!r}; write {', '.join(CLASS_OF)}, or tumor or normal")
    label, largest_um = label_and_size(row)
    return ReferenceSlide(row.text("slide_id"), label is not Metastasis.NONE, label, largest_um)


def _read_camelyon16(path: Path) -> Reference:
    slides: list[tuple[CsvRow, ReferenceSlide]] = []
    notes: list[str] = []
    for row in read_lines(path):
        if len(row.cells) != _CAMELYON16_COLUMNS:
            raise row.error("is not name,Tumor|Normal,histology,None|Micro|Macro")
        name, kind, label = row.cells["0"], row.one_of("1", _CAMELYON16_KINDS), row.one_of("3", _CAMELYON16_LABELS)
        if not (name and kind and label):
            raise row.error("has an empty cell")
        if _CAMELYON16_KINDS[kind] is not bool(_CAMELYON16_LABELS[label]):
            raise row.error(f"{name} is {row.cells['1']} and {row.cells['3']}, which contradict each other")
        if name.casefold() in LEFT_OUT:
            notes.append(f"{name} is left out: {LEFT_OUT[name.casefold()]}")
            continue
        slides.append((row, ReferenceSlide(name, _CAMELYON16_KINDS[kind], _CAMELYON16_LABELS[label])))
    return Reference(path.name, _by_key(slides), notes=tuple(notes))


def _read_folder(folder: Path) -> Reference:
    tables = tables_in(folder)
    if len(tables) > 1:
        raise UsageError(f"{folder}: holds {len(tables)} CSV files; leave the one with the labels")
    labelled = _read_csv(tables[0]) if tables else None
    found: dict[str, LesionFile] = {}
    others: list[Path] = []
    for path in sorted(folder.iterdir()):
        file = lesion_file(path)
        if file is None:
            others.append(path)
            continue
        other = found.setdefault(slide_key(file.slide_id), file)
        if other is not file:
            raise UsageError(f"{path.name} and {other.path.name}: both show the lesions of one slide; leave one out")
    if not found and labelled is None:
        raise UsageError(f"{folder}: holds no <slide>_mask.png or .tif, <slide>.xml, .geojson, .truth.json or CSV")
    outlined = {*found, *(slide_key(table.stem) for table in tables)}
    listed = outlined.union(labelled.slides if labelled else ())  # a slide's own picture is of it, but no .json is one
    own = {path: slide_key(path.stem) in (outlined if path.suffix.lower() == ".json" else listed) for path in others}
    unread = [path for path in others if path.name[0] != "." and not own[path]]
    names = few([path.name for path in unread], 5)
    notes = [f"not read, as no masks, outlines or labels: {names}"] if unread else []
    if labelled is not None:
        labelled = _with_lesions(labelled, found)
        return replace(labelled, notes=(*labelled.notes, *notes))
    shown = {key: (file, file.kind()) for key, file in found.items()}
    slides = {
        key: ReferenceSlide(file.slide_id, one.tumour, one.label, one.largest_um, file)
        for key, (file, one) in shown.items()
    }
    all_tumour = all(slide.tumour for slide in slides.values())
    in_doubt = [path.name for path in unread if may_show_lesions(path)]
    if all_tumour and in_doubt:
        notes.append(_doubt(in_doubt))
    notes += _outline_notes({file.path.name: one.notes for file, one in shown.values()})
    other = tuple(path.name for path in unread if path.is_file() and path.suffix.lower() not in SUFFIXES)
    normal = all_tumour and not in_doubt
    return Reference(folder.name, slides, unlisted_is_normal=normal, unread=other, notes=tuple(notes))


def _doubt(names: Sequence[str]) -> str:
    """What is said where unread files of these names keep unlisted slides from being normal."""
    return (
        f"slides without a mask or outline are not assumed normal, because {few(names, 5)} may show the tumour of one; "
        "name it <slide>_mask.png, .geojson or .xml, move it away, or list every slide in a CSV beside the masks"
    )


def _slide_of(name: str, slides: Collection[str]) -> str | None:
    """The longest of the slides that a file's name begins with, to its end or to a sign: "a_1" of "a_1-rois.zip", not
    of "a_10.zip". All as slide_key has them."""
    ends = [end for end in range(len(name), 0, -1) if not name[end : end + 1].isalnum()]
    return next((name[:end] for end in ends if name[:end] in slides), None)


def _outline_notes(told: Mapping[str, Sequence[str]]) -> list[str]:
    """Each file's notes, with its name; those of _IN_ONE in one for all files. told: by the files' names."""
    notes = [
        f"{name}: {note}" for name, own in told.items() for note in own if not any(part in note for part, _ in _IN_ONE)
    ]
    for part, words in _IN_ONE:
        names = [name for name, own in told.items() if any(part in note for note in own)]
        notes += [f"{few(names, 5)}: {words}"] if names else []
    return notes


def _with_lesions(labelled: Reference, files: Mapping[str, LesionFile]) -> Reference:
    """The CSV says which slides there are; a lesion file of any other is told of, not used."""
    notes = [
        f"{file.path.name} shows a slide that {labelled.name} doesn't list; it is not used"
        for key, file in files.items()
        if key not in labelled.slides
    ]
    told: dict[str, tuple[str, ...]] = {}
    for key, slide in labelled.slides.items():
        file = files.get(key)
        if file is None or (slide.tumour is not False and file.kind_of_file != "outlines"):
            continue
        shown = file.kind()
        if slide.tumour is False and shown.tumour:
            raise UsageError(
                f"{file.path.name} shows tumour, but {labelled.name} calls {slide.slide_id} normal; correct one"
            )
        told[file.path.name] = shown.notes
    slides = {key: replace(slide, lesions=files.get(key)) for key, slide in labelled.slides.items()}
    return replace(labelled, slides=slides, notes=(*labelled.notes, *notes, *_outline_notes(told)))


def _by_key(rows: Iterable[tuple[CsvRow, ReferenceSlide]]) -> dict[str, ReferenceSlide]:
    """The slides of a table. Raises UsageError where two of its rows are of one."""
    found: dict[str, ReferenceSlide] = {}
    for row, slide in rows:
        first = found.setdefault(slide_key(slide.slide_id), slide)
        if first is slide:
            continue
        if first.slide_id.casefold() == slide.slide_id.casefold():
            raise row.error(f"the slide {slide.slide_id!r} stands there twice; leave one row")
        raise row.error(
            f"{slide.slide_id!r} and {first.slide_id!r} are both {safe_name(slide.slide_id)!r} in reports; write each "
            "as its report's folder is named"
        )
    return found
