"""The sampling index: where the tissue of each prepared slide is and how near to tumour, cell by cell."""

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodescan.csv_rows import csv_text
from nodescan.domain.naming import few
from nodescan.domain.slide import SlideRef
from nodescan.domain.units import MicronsPerPixel, Spacing
from nodescan.errors import UsageError
from nodescan.interfaces import Slide
from nodescan.manifest import looks
from nodescan.slides import open_slide
from nodescan.slides.tile_cache import KEPT_BYTES
from nodescan.whole_files import write_beside
from training.patches.labelled import ARRAY_ERRORS

INDEX_FILE = "index.csv"

SPACING_UM = (0.90, 1.00)
"""Finest and coarsest um/px of the analysis frame: PatchCamelyon's two scanners, and what an exported card accepts."""

STRIDE_PX = 16
"""Side of a cell: what the network answers at once."""


class Stratum(IntEnum):
    """What a cell is. EDGE: within a nucleus or few of an outline; NEAR: a field of view away; ELSEWHERE: far off."""

    INSIDE = 0
    EDGE_TUMOUR = 1
    EDGE_NORMAL = 2
    NEAR = 3
    ELSEWHERE = 4


TUMOUR_STRATA = (Stratum.INSIDE, Stratum.EDGE_TUMOUR)
NORMAL_STRATA = (Stratum.EDGE_NORMAL, Stratum.NEAR, Stratum.ELSEWHERE)


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A prepared slide. path: of its file; spacing, width, height: of its analysis frame; counts: cells by stratum.

    fingerprint: of the file's content. signature: of slide, annotation and settings, so that a slide is prepared again
    only when one of them changed. annotation: path of the outlines; outlines: sha256 of that file; both are "" of a
    negative slide. checksum: the manifest's that the file was found to have, "" where there was none.
    notes: what prepare warned of, a line each.
    """

    slide_id: str
    group: str
    split: str
    label: str
    exhaustive: bool
    path: str
    spacing_x_um: float
    spacing_y_um: float
    width_px: int
    height_px: int
    tissue_mm2: float
    lesion_mm2: float
    inside: int
    edge_tumour: int
    edge_normal: int
    near: int
    elsewhere: int
    fingerprint: str
    signature: str
    annotation: str
    outlines: str
    checksum: str
    notes: str

    @property
    def spacing(self) -> Spacing:
        return Spacing(MicronsPerPixel(self.spacing_x_um), MicronsPerPixel(self.spacing_y_um))

    @property
    def counts(self) -> tuple[int, ...]:
        """Cells by stratum, in the order of Stratum."""
        return self.inside, self.edge_tumour, self.edge_normal, self.near, self.elsewhere

    @property
    def columns(self) -> int:
        """Cells across the frame."""
        return -(-self.width_px // STRIDE_PX)

    @property
    def rows(self) -> int:
        """Cells down the frame."""
        return -(-self.height_px // STRIDE_PX)


class Member(NamedTuple):
    """What of a slide may stand in one split only. path: resolved; fingerprint: "" where it isn't known yet."""

    slide_id: str
    split: str
    group: str
    path: str
    fingerprint: str = ""


_NAMES = tuple(field.name for field in fields(IndexRow))
_TYPES = {field.name: field.type for field in fields(IndexRow)}


def read_index(folder: Path) -> tuple[IndexRow, ...]:
    """The slides of an index. Raises UsageError where there is none, or what index_rows and check_splits refuse."""
    rows = index_rows(folder)
    check_splits(rows, folder)
    return rows


def index_rows(folder: Path) -> tuple[IndexRow, ...]:
    """The slides of an index, whatever their splits. Raises UsageError where it isn't one that prepare wrote."""
    path = folder / INDEX_FILE
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{folder}: no {INDEX_FILE} there; make it with python -m training prepare") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: can't be read ({error}); delete it, run prepare again") from error
    rows = []
    for number, line in enumerate(lines, start=2):
        try:
            values: dict[str, Any] = {name: _value(name, line[name]) for name in _NAMES}
            rows.append(IndexRow(**values))
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{path}: row {number} can't be read ({error!r}); delete it, run prepare again") from error
    return tuple(rows)


def check_splits(rows: Sequence[IndexRow | Member], folder: Path) -> None:
    """Raises UsageError where one patient, file or content is in two splits: it would be tested on what was learned.

    No manifest says so of a patient, but an index may hold the slides of several, or of one that was changed meanwhile.
    """
    for name in ("group", "path", "fingerprint"):
        first: dict[str, IndexRow | Member] = {}
        for row in rows:
            of = getattr(row, name)
            other = first.setdefault(looks(of) if name == "group" else of, row)
            if of and other.split != row.split:
                raise UsageError(f"{folder / INDEX_FILE}: {_in_two_splits(other, row, name)}")


def _in_two_splits(one: IndexRow | Member, other: IndexRow | Member, shared: str) -> str:
    """What two slides have in common that are in two splits, and the way out. shared: the field that is alike."""
    if shared == "group":
        return (
            f"patient {other.group!r} is in split {one.split!r} with {one.slide_id}, in {other.split!r} with "
            f"{other.slide_id}; run prepare for both, by one manifest, or into another folder"
        )
    how = f"both are {other.path}" if shared == "path" else "their files have the same content"
    return (
        f"{one.slide_id} (split {one.split!r}) and {other.slide_id} (split {other.split!r}) are one slide, {how}: give "
        "both one split, or write yes into the `excluded` of one"
    )


def write_index(rows: Iterable[IndexRow], folder: Path) -> None:
    """The slides as index.csv, written beside and renamed: a run that is killed leaves a whole file.

    By their ids: what is drawn hangs on their order, which must not hang on which slide was prepared last.
    """
    ordered = sorted(rows, key=lambda row: row.slide_id)
    write_beside(folder / INDEX_FILE, csv_text(_NAMES, map(astuple, ordered)).encode())


def cells_file(folder: Path, slide_id: str) -> Path:
    """uint32 (N,): cells (row * columns + column) stratum by stratum, as many of each as the index says."""
    return folder / f"{slide_id}.cells.npy"


def mask_file(folder: Path, slide_id: str) -> Path:
    """The slide's BlockMask."""
    return folder / f"{slide_id}.mask.npz"


def hard_file(folder: Path) -> Path:
    """The boxes that mine writes where no other place is named."""
    return folder / "hard.csv"


def ignored_file(folder: Path, slide_id: str) -> Path:
    """The BlockMask of what is neither tumour nor normal: outlines that say nothing enclose it."""
    return folder / f"{slide_id}.ignored.npz"


def check_there(rows: Sequence[IndexRow]) -> None:
    """Raises UsageError where slides of the index are gone: before the training rather than in its middle."""
    gone = [row for row in rows if not Path(row.path).is_file()]
    if gone:
        more = f" (and {len(gone) - 1} more)" if len(gone) > 1 else ""
        raise UsageError(f"{gone[0].path}: the slide {gone[0].slide_id} isn't there any more{more}; run prepare again")


def outlines_digest(annotation: Path) -> str:
    """sha256 of a file of outlines. Raises OSError where it can't be read."""
    return hashlib.sha256(annotation.read_bytes()).hexdigest()


def check_outlines(rows: Sequence[IndexRow]) -> None:
    """Raises UsageError where outlines changed since prepare: the masks of the index are of the old outlines.

    Not compared: outlines that can't be read any more.
    """
    changed = [row for row in rows if _outlines_now(row) != row.outlines]
    if changed:
        names = few([row.slide_id for row in changed], 3)
        raise UsageError(
            f"{changed[0].annotation}: the outlines of {names} changed since prepare, and would be trained on as they "
            "were; run prepare again"
        )


def _outlines_now(row: IndexRow) -> str:
    try:
        return outlines_digest(Path(row.annotation)) if row.outlines else ""
    except OSError:
        return row.outlines


def open_prepared(row: IndexRow, kept_bytes: int = KEPT_BYTES) -> Slide:
    """The slide of a row, as open_slide. Raises UsageError where it is gone or has changed: labels are of what was
    prepared; SlideError where it can't be opened.
    """
    check_there([row])
    slide = open_slide(SlideRef(row.slide_id, Path(row.path)), kept_bytes)
    if slide.fingerprint() != row.fingerprint:
        slide.close()
        raise UsageError(f"{row.path}: the slide {row.slide_id} has changed since prepare; run prepare again")
    return slide


def open_cells(folder: Path, row: IndexRow) -> NDArray[np.uint32]:
    """uint32 (n,), the cells of a slide, stratum by stratum, mapped into memory, so that workers share them.

    Raises UsageError where they can't be read, or aren't as many as the index says.
    """
    path = cells_file(folder, row.slide_id)
    try:
        cells = np.load(path, mmap_mode="r")
        kind, shape = cells.dtype, cells.shape
    except ARRAY_ERRORS as error:
        raise UsageError(f"{path}: can't be read ({error}); run prepare again") from error
    if kind != np.uint32 or shape != (sum(row.counts),):
        raise UsageError(f"{path}: holds {kind} {shape}, {INDEX_FILE} says {sum(row.counts)} cells; run prepare again")
    return cells


def _value(name: str, text: str) -> object:
    if _TYPES[name] is bool:
        return {"True": True, "False": False}[text]
    return _TYPES[name](text)  # type: ignore[operator]
