"""Maps over the analysis frame: what is tissue, what was examined, how probable tumour is there."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.slide import BoundsUm
from nodescan.domain.units import Spacing, SquareMicrometers

Glass = tuple[float, float, float] | None
"""Grey levels of R, G and B of the empty glass; None if no glass was seen."""

SMALLEST_PIECE_MM2 = 0.5
"""Area of a disc of 0.8 mm, the section of a very small node (inferred). Smaller fragments don't count as a piece."""


@dataclass(frozen=True, slots=True)
class TissueMask:
    """Where tissue is on a view of a slide, and what is known about the rest. Masks: bool (H, W), None if empty.

    tissue: pixel (0, 0) lies at the canvas' top left. spacing: of these pixels.
    excluded: the non-glass pixels that were left out, by reason ("pen", "edge", "debris", "small"); shares no pixel
        with tissue.
    dark: pixels that no other magnification can show as glass; None where that isn't known.
    hidden: tissue under pen marks, which is wanted but can't be seen; shares no pixel with tissue or excluded.
    unseen: counts as tissue although nobody saw it: `unread`, and gaps in tissue that were never scanned.
    unread: what could not be read at this magnification.
    unscanned: padding and gaps.
    cut: where tissue may go on: pixels never scanned that tissue runs into, and tissue at the border of the view.
    inked: pen marks that tissue runs into, and may go on under.
    glass: its mean grey levels where the slide is empty.
    """

    tissue: NDArray[np.bool_]
    spacing: Spacing
    excluded: tuple[tuple[str, NDArray[np.bool_]], ...] = ()
    dark: NDArray[np.bool_] | None = None
    hidden: NDArray[np.bool_] | None = None
    unseen: NDArray[np.bool_] | None = None
    unread: NDArray[np.bool_] | None = None
    unscanned: NDArray[np.bool_] | None = None
    cut: NDArray[np.bool_] | None = None
    inked: NDArray[np.bool_] | None = None
    glass: Glass = None

    @property
    def wanted(self) -> NDArray[np.bool_]:
        """bool (H, W): all tissue, seen or hidden."""
        return self.tissue if self.hidden is None else self.tissue | self.hidden

    @property
    def gaps(self) -> NDArray[np.bool_] | None:
        """bool (H, W): gaps in tissue that were never scanned; None if there are none."""
        return self.unseen if self.unseen is None or self.unread is None else self.unseen & ~self.unread

    @property
    def area_um2(self) -> SquareMicrometers:
        """Of all tissue, seen or hidden."""
        return SquareMicrometers(int(np.count_nonzero(self.wanted)) * self.spacing.pixel_area_um2)

    def excluded_area_um2(self, reason: str) -> SquareMicrometers:
        """Area left out for `reason`, 0 where there is none."""
        pixels = sum(int(np.count_nonzero(mask)) for name, mask in self.excluded if name == reason)
        return SquareMicrometers(pixels * self.spacing.pixel_area_um2)


class NotExamined(IntEnum):
    """Why a cell of tissue wasn't examined. Each cell has one reason; of several, the lowest number counts."""

    HIDDEN = 1
    """By ink, or by what is as dark."""
    UNREAD = 2
    """The file can't be read there, or holds no data."""
    BLURRED = 3
    PALE = 4
    FAULTY = 5
    """Too dark, or lines that repeat one another."""


@dataclass(frozen=True, slots=True)
class ProbabilityMap:
    """values : float32 (H, W) in [0, 1], 0 where not examined; examined : bool (H, W); one cell a network answer.

    "Not examined" is never "no tumour": whoever reads values must look at examined too. bounds: of the scanned part;
    the outermost cells may reach beyond it. None: the scanned part ends with the cells.
    """

    values: NDArray[np.float32]
    examined: NDArray[np.bool_]
    spacing: Spacing
    bounds: BoundsUm | None = None

    def __post_init__(self) -> None:
        if self.values.shape != self.examined.shape:
            raise ValueError(f"values {self.values.shape} and examined {self.examined.shape} differ in shape")


@dataclass(frozen=True, slots=True)
class Picture:
    """pixels : uint8 (H, W, 3) RGB; left_um, top_um: where its top left lies on the canvas; spacing: of its pixels."""

    pixels: NDArray[np.uint8]
    left_um: float
    top_um: float
    spacing: Spacing


@dataclass(frozen=True, slots=True)
class CodedBytes:
    """How many bytes a file spends on each piece of its full resolution: glass takes few, tissue many.

    values : uint64 (H, W), 0 where it holds nothing; piece (0, 0) lies at the canvas' top left. spacing: of the pieces.
    """

    values: NDArray[np.uint64]
    spacing: Spacing
