"""A tumour deposit: where it is, how large, how sure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.classification import ITC_LIMIT_UM, CellCount, Metastasis, classify, is_borderline
from nodescan.domain.units import Micrometers, SquareMicrometers


@dataclass(frozen=True, slots=True)
class Polygon:
    """exterior, holes : float64 (n, 2), x and y in um from the canvas' top left; rings aren't closed."""

    exterior: NDArray[np.float64]
    holes: tuple[NDArray[np.float64], ...] = ()


@dataclass(frozen=True, slots=True)
class Deposit:
    """One contiguous deposit of one section (several polygons only where a joining gap above 0 joined them).

    id counts from 1, the largest first. diameter_um is the maximum Feret diameter, corrected for the
    model's dilation, diameter_uncertainty_um its expanded uncertainty (about 95 %); endpoints_um are the two (x, y)
    that span it. probability_* is None for a deposit that was measured from a mask. cells: None where they were not
    counted. class_given: a reader gave the class, so it doesn't depend on the size.
    cut_off: it ends where nobody looked, so it may be larger. piece: the number of the piece of tissue that it lies in;
    None if that isn't known, so that it may lie in any.
    """

    id: int
    diameter_um: Micrometers
    diameter_uncertainty_um: Micrometers
    endpoints_um: tuple[tuple[float, float], tuple[float, float]]
    area_um2: SquareMicrometers
    centre_um: tuple[float, float]
    metastasis: Metastasis
    outline: tuple[Polygon, ...]
    probability_mean: float | None = None
    probability_max: float | None = None
    cells: CellCount | None = None
    class_given: bool = False
    cut_off: bool = False
    piece: int | None = None

    @property
    def class_measured(self) -> Metastasis:
        """The class by its size and its cells, even if a reader gave another."""
        return classify(self.diameter_um, cells=self.cells)

    @property
    def shortest_um(self) -> Micrometers:
        """The smallest size within its uncertainty, always above 0: a deposit that was found has a size."""
        return Micrometers(max(self.diameter_um - self.diameter_uncertainty_um, 1e-3))

    @property
    def longest_um(self) -> Micrometers:
        """The largest size within its uncertainty."""
        return Micrometers(self.diameter_um + self.diameter_uncertainty_um)

    @property
    def borderline(self) -> bool:
        """Whether its size, within the uncertainty, could change its class; not where cells or a reader decided."""
        settled = self.raised_by_cells or self.class_given
        return is_borderline(self.diameter_um, self.diameter_uncertainty_um) and not settled

    @property
    def size_at_least(self) -> bool:
        """Whether its size and class are lower bounds because it is cut off; never if a reader gave its class."""
        return self.cut_off and not self.class_given

    @property
    def raised_by_cells(self) -> bool:
        """Whether it is a micrometastasis by the number of its cells, and not by its size or a reader's word."""
        if self.cells is None or self.class_given:
            return False
        return self.metastasis is Metastasis.MICRO and self.diameter_um <= ITC_LIMIT_UM

    @property
    def count_near_limit(self) -> bool:
        """Whether its count is too uncertain to say if it holds more than 200 cells; never if a reader gave its
        class."""
        if self.cells is None or self.class_given or self.metastasis is not Metastasis.ITC:
            return False
        return self.cells.near_limit


def largest_class(deposits: Iterable[Deposit]) -> Metastasis:
    """The largest class of any deposit, NONE where there are none."""
    return max((deposit.metastasis for deposit in deposits), default=Metastasis.NONE)


def pieces_with(deposits: Iterable[Deposit]) -> tuple[int, ...]:
    """The pieces of tissue that deposits are known to lie in, each once."""
    return tuple(sorted({deposit.piece for deposit in deposits if deposit.piece is not None}))


def by_piece(deposits: Sequence[Deposit]) -> tuple[tuple[Deposit, ...], ...]:
    """The deposits that may lie in one section: those of each piece of tissue, and with them those of no known piece.

    Where no piece is known, all of them.
    """
    pieces = pieces_with(deposits)
    groups = [tuple(one for one in deposits if one.piece in (piece, None)) for piece in pieces]
    return tuple(groups) if groups else (tuple(deposits),)


@dataclass(frozen=True, slots=True)
class Detection:
    """One point for the CAMELYON lesion task: where tumour is likeliest, in um from the canvas' top left."""

    confidence: float
    x_um: float
    y_um: float
