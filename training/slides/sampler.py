"""Draws places from prepared slides, balanced by class, stratum and slide; reads them through nodescan's reader."""

import csv
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import methodcaller
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.errors import RegionUnreadableError, UsageError
from nodescan.interfaces import Slide
from training.limits import check_settings
from training.patches.labelled import LABELLED_PX
from training.patches.mosaics import IGNORED, cell_labels
from training.slides.block_mask import BlockMask, load_block_mask
from training.slides.index import (
    NORMAL_STRATA,
    STRIDE_PX,
    TUMOUR_STRATA,
    IndexRow,
    Stratum,
    check_outlines,
    check_there,
    ignored_file,
    mask_file,
    open_cells,
    open_prepared,
    read_index,
)

_Thing = TypeVar("_Thing")

HARD_COLUMNS = ("slide_id", "left_px", "top_px", "width_px", "height_px", "probability")
_OPEN_MASKS = 64
_OPEN_SLIDES, _KEPT_BYTES = 200, 1024 * 1024
"""Places are drawn from all over the slides: few tiles are wanted twice, and opening a slide takes ten times as long as
reading a patch. So many files may be open wherever a system allows 256."""

_DRAWS = 100
"""Places in a row that give nothing, before it is no chance any more."""


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """tumour_share: of the places drawn. edge_share: of tumour places, those at an outline; the others lie inside.

    edge_normal_share, near_share: of normal places; the others lie elsewhere. hard_share: of normal places, those
    drawn from the boxes that mining found. A stratum that no slide has gives its share to the others.
    """

    tumour_share: float
    edge_share: float
    edge_normal_share: float
    near_share: float
    hard_share: float

    def __post_init__(self) -> None:
        check_settings("sample", self)
        if not 0 < self.tumour_share < 1:
            raise UsageError(f"sample.tumour_share is {self.tumour_share:g}: without both classes nothing is learned")
        if self.edge_normal_share + self.near_share > 1:
            raise UsageError("sample.edge_normal_share and sample.near_share are shares of one: together 1 at most")

    @property
    def of_class(self) -> dict[Stratum, float]:
        """What each stratum is to have of the places of its class."""
        edge, near = self.edge_normal_share, self.near_share
        tumour, normal = (1 - self.edge_share, self.edge_share), (edge, near, max(1 - edge - near, 0.0))
        return dict(zip((*TUMOUR_STRATA, *NORMAL_STRATA), (*tumour, *normal), strict=True))


@dataclass(frozen=True, slots=True)
class Place:
    """A point of a slide's analysis frame, drawn to lie in `stratum`; slide: its number in the index."""

    slide: int
    x_px: int
    y_px: int
    stratum: Stratum


class SlideSampler:
    """Places and pixels of one split. Holds no open file until it reads, so that it can be sent to worker processes.

    shares: of each class, what is drawn of each stratum that a slide has; what others were to have goes to these.
    """

    def __init__(self, index: Path, split: str, plan: SamplePlan, *, hard_negatives: Path | None = None) -> None:
        self.folder, self.plan = index, plan
        self.rows = [row for row in read_index(index) if row.split == split]
        check_there(self.rows)
        check_outlines(self.rows)
        self.hard = [] if hard_negatives is None else read_hard_negatives(hard_negatives, self.rows, index=index)
        self._ends = [np.cumsum([0, *row.counts]) for row in self.rows]
        self._holding = {s: [i for i, row in enumerate(self.rows) if row.counts[s]] for s in Stratum}
        for strata, word in ((TUMOUR_STRATA, "tumour"), (NORMAL_STRATA, "normal tissue")):
            if not any(self._holding[stratum] for stratum in strata):
                raise UsageError(
                    f"{index}: no slide of split {split!r} has {word} to draw from; prepare more slides of that split"
                )
        self.shares: dict[tuple[Stratum, ...], dict[Stratum, float]] = {
            strata: self._shares(strata) for strata in (TUMOUR_STRATA, NORMAL_STRATA)
        }
        self._cells = _PerProcess[NDArray[np.uint32]](len(self.rows), self._open_cells)
        self._slides = _PerProcess[Slide](_OPEN_SLIDES, self._open, methodcaller("close"))
        self._told = set[int]()
        self._masks = _PerProcess[tuple[BlockMask, BlockMask]](_OPEN_MASKS, self._open_masks)

    def draw(self, rng: np.random.Generator) -> Place:
        """A place: class first, then stratum, then slide, then cell, each evenly but for the plan's shares."""
        if rng.random() < self.plan.tumour_share:
            return self._in_stratum(self._one_of(TUMOUR_STRATA, rng), rng)
        if self.hard and rng.random() < self.plan.hard_share:
            return self.hard[int(rng.integers(len(self.hard)))]
        return self._in_stratum(self._one_of(NORMAL_STRATA, rng), rng)

    def drawn_patch(self, rng: np.random.Generator, size_px: int) -> tuple[NDArray[np.uint8], bool]:
        """uint8 (size_px, size_px, 3) RGB around a place drawn, and whether its central 32 px hold tumour.

        The next place where the slide is damaged there, which is said once a slide. Raises RegionUnreadableError where
        it is damaged wherever one looks.
        """
        return self._readable(rng, lambda place: self.patch(place, size_px))

    def drawn_tile(
        self, rng: np.random.Generator, size_px: int, *, margin_px: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """uint8 (size_px, size_px, 3) RGB around a place drawn, and float32 (n, n), its cells' labels as tile() gives
        them, at least one of them known.

        A loss over none would be no number. Raises as drawn_patch, and UsageError where no such tile is met.
        """
        for _ in range(_DRAWS):
            pixels, cells = self._readable(rng, lambda place: self.tile(place, size_px, margin_px=margin_px))
            if (cells != IGNORED).any():
                return pixels, cells
        raise UsageError(f"{self.folder}: {_DRAWS} tiles in a row held no cell whose label is known")

    def patch(self, place: Place, size_px: int) -> tuple[NDArray[np.uint8], bool]:
        """uint8 (size_px, size_px, 3) RGB around a place, and whether its central 32 px hold tumour."""
        tumour, _ = self._masks[place.slide]
        return self.pixels(place, size_px), _labels(tumour, place)

    def tile(self, place: Place, size_px: int, *, margin_px: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """uint8 (size_px, size_px, 3) RGB around a place, and its cells' labels as mosaics.cell_labels gives them.

        Where the slide isn't outlined exhaustively, and where an outline says nothing, what isn't tumour is IGNORED,
        never normal.
        """
        labels, unknown = (
            cell_labels(mask.read(box_around(place, size_px)), margin_px=margin_px, stride_px=STRIDE_PX)
            for mask in self._masks[place.slide]
        )
        labels[(labels == 0) & ((unknown != 0) | (not self.rows[place.slide].exhaustive))] = IGNORED
        return self.pixels(place, size_px), labels

    def pixels(self, place: Place, size_px: int) -> NDArray[np.uint8]:
        """uint8 (size_px, size_px, 3) RGB of the analysis frame, exactly as a scan of the slide reads it."""
        row = self.rows[place.slide]
        return self._slides[place.slide].read(box_around(place, size_px), row.spacing)

    def _readable(self, rng: np.random.Generator, read: Callable[[Place], _Thing]) -> _Thing:
        for _ in range(_DRAWS):
            place = self.draw(rng)
            try:
                return read(place)
            except RegionUnreadableError as error:
                if place.slide not in self._told:
                    print(f"sampler: {error}; other places are drawn instead", flush=True)
                self._told.add(place.slide)
        return read(self.draw(rng))

    def _one_of(self, strata: tuple[Stratum, ...], rng: np.random.Generator) -> Stratum:
        there = list(self.shares[strata])
        return there[int(rng.choice(len(there), p=list(self.shares[strata].values())))]

    def _shares(self, strata: tuple[Stratum, ...]) -> dict[Stratum, float]:
        asked = self.plan.of_class
        there = [stratum for stratum in strata if self._holding[stratum]]
        weights = np.array([asked[stratum] for stratum in there])
        weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(there), 1 / len(there))
        return dict(zip(there, weights.tolist(), strict=True))

    def _in_stratum(self, stratum: Stratum, rng: np.random.Generator) -> Place:
        number = self._holding[stratum][int(rng.integers(len(self._holding[stratum])))]
        row, ends = self.rows[number], self._ends[number]
        cell = int(self._cells[number][int(rng.integers(ends[stratum], ends[stratum + 1]))])
        y, x = (place * STRIDE_PX + int(rng.integers(STRIDE_PX + 1)) for place in divmod(cell, row.columns))
        return Place(number, x, y, stratum)

    def _open(self, number: int) -> Slide:
        return open_prepared(self.rows[number], _KEPT_BYTES)

    def _open_cells(self, number: int) -> NDArray[np.uint32]:
        return open_cells(self.folder, self.rows[number])

    def _open_masks(self, number: int) -> tuple[BlockMask, BlockMask]:
        return _load_masks(self.folder, self.rows[number].slide_id)


def box_around(place: Place, size_px: int) -> PixelBox:
    """The box of size_px whose middle is the place."""
    return PixelBox(place.x_px - size_px // 2, place.y_px - size_px // 2, size_px, size_px)


def read_hard_negatives(path: Path, rows: Sequence[IndexRow], *, index: Path) -> list[Place]:
    """The middles of the boxes that mining wrote, of the slides given, all of them normal by the outlines.

    Raises UsageError naming file and row.
    """
    masks = lru_cache(_OPEN_MASKS)(lambda slide_id: _load_masks(index, slide_id))
    numbers = {row.slide_id: number for number, row in enumerate(rows)}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # a spreadsheet may have taken a row out
            table = csv.DictReader(file)
            lines, missing = list(table), [name for name in HARD_COLUMNS[:5] if name not in (table.fieldnames or ())]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: can't be read ({error}); make it with python -m training mine") from error
    if missing:
        raise UsageError(f"{path}: the column {missing[0]!r} is missing; make it with python -m training mine")
    places = []
    for row, line in enumerate(lines, start=2):
        try:
            left, top, width, height = (int(line[name]) for name in HARD_COLUMNS[1:5])
            number = numbers[line["slide_id"]]
        except KeyError as error:
            raise UsageError(
                f"{path}: row {row}: {error} is not a slide of this split of the index; take the row out, or mine "
                "again with this index"
            ) from error
        except (TypeError, ValueError) as error:
            raise UsageError(f"{path}: row {row}: a box is four whole numbers ({error})") from error
        if not rows[number].exhaustive:
            raise UsageError(f"{path}: row {row}: {line['slide_id']} isn't outlined exhaustively, so nothing is normal")
        place = Place(number, left + width // 2, top + height // 2, Stratum.ELSEWHERE)
        lies = _lies(place, rows[number], masks)
        if lies:
            raise UsageError(
                f"{path}: row {row}: {line['slide_id']}: the box's middle, {place.x_px}, {place.y_px} px, lies {lies}; "
                "take the row out, or mine again with this index"
            )
        places.append(place)
    return places


def _lies(place: Place, row: IndexRow, masks: Callable[[str], tuple[BlockMask, BlockMask]]) -> str:
    """Where a place lies that can't be normal, "" for one that can."""
    if not (0 <= place.x_px < row.columns * STRIDE_PX and 0 <= place.y_px < row.rows * STRIDE_PX):
        return "off the slide"
    if row.label == "negative":  # nothing is outlined on it
        return ""
    tumour, ignored = masks(row.slide_id)
    if _labels(tumour, place):
        return "in outlined tumour"
    return "in an outline that says nothing" if _labels(ignored, place) else ""


def _labels(mask: BlockMask, place: Place) -> bool:
    """PatchCamelyon's rule: whether the 32 px around a place, of which a label speaks, hold a pixel of the mask."""
    half = LABELLED_PX // 2
    return bool(mask.read(PixelBox(place.x_px - half, place.y_px - half, LABELLED_PX, LABELLED_PX)).any())


def _load_masks(folder: Path, slide_id: str) -> tuple[BlockMask, BlockMask]:
    """Of the tumour, and of what is neither tumour nor normal."""
    tumour, ignored = (file(folder, slide_id) for file in (mask_file, ignored_file))
    return load_block_mask(tumour), load_block_mask(ignored)


class _PerProcess(Generic[_Thing]):
    """Things by number, made when asked for, the latest kept; a forked process makes its own, none is pickled."""

    def __init__(self, most: int, make: Callable[[int], _Thing], drop: Callable[[_Thing], None] | None = None) -> None:
        self._most, self._make, self._drop = most, make, drop
        self._process, self._things = os.getpid(), OrderedDict[int, _Thing]()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_things": OrderedDict()}

    def __getitem__(self, number: int) -> _Thing:
        if self._process != os.getpid():  # handles of the parent share its file positions
            self._process, self._things = os.getpid(), OrderedDict()
        if number not in self._things:
            while len(self._things) >= self._most:
                _, oldest = self._things.popitem(last=False)
                if self._drop is not None:
                    self._drop(oldest)
            self._things[number] = self._make(number)
        self._things.move_to_end(number)
        return self._things[number]
