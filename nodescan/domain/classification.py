"""The class of a deposit, by clinical-rules 1 (AJCC 8th edition, pN of the breast)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from nodescan.domain.units import Micrometers

ITC_LIMIT_UM = Micrometers(200.0)
"""Exactly 0.2 mm is still isolated tumour cells (AJCC 8th)."""

MICRO_LIMIT_UM = Micrometers(2000.0)
"""Exactly 2.0 mm is still a micrometastasis (AJCC 8th)."""

ITC_CELL_LIMIT = 200
"""More than 200 cells are a micrometastasis, whatever the size (CAP synoptic; AJCC 8th says approximately 200)."""


class Metastasis(IntEnum):
    """What a section holds, in clinical order."""

    NONE = 0
    ITC = 1
    MICRO = 2
    MACRO = 3

    @property
    def word(self) -> str:
        """The word used in reports: negative, itc, micro or macro."""
        return ("negative", "itc", "micro", "macro")[self]

    @property
    def longest_um(self) -> Micrometers:
        """How long a deposit of this class may be (clinical-rules 1)."""
        return (Micrometers(0.0), ITC_LIMIT_UM, MICRO_LIMIT_UM, Micrometers(math.inf))[self]


CLASS_OF: Mapping[str, Metastasis] = {found.word: found for found in Metastasis}
"""The class that a word of reports and tables stands for."""


@dataclass(frozen=True, slots=True)
class CellCount:
    """A number of tumour cells and its uncertainty; None in a report that doesn't state the uncertainty."""

    number: int
    uncertainty: int | None = None

    @property
    def least(self) -> int:
        return self.number - (self.uncertainty or 0)

    @property
    def most(self) -> int:
        return self.number + (self.uncertainty or 0)

    @property
    def above_limit(self) -> bool:
        """Whether it is above the limit even after its uncertainty is subtracted."""
        return self.least > ITC_CELL_LIMIT

    @property
    def near_limit(self) -> bool:
        """Whether the limit lies within the uncertainty, so that the true number may be on either side."""
        return self.least <= ITC_CELL_LIMIT < self.most

    def __str__(self) -> str:
        return f"{self.number} ± {self.uncertainty or 0}"


def total(counts: Iterable[CellCount]) -> CellCount:
    """The sum over foci on one slide. Their uncertainties add up, because they share one stain and one method."""
    each = [(count.number, count.uncertainty or 0) for count in counts]
    return CellCount(sum(number for number, _ in each), sum(uncertainty for _, uncertainty in each))


def classify(diameter_um: Micrometers, *, cells: CellCount | None = None) -> Metastasis:
    """Class of one contiguous deposit by its greatest diameter and, if they were counted, its tumour cells.

    clinical-rules 1: macro above 2.0 mm; micro above 0.2 mm or more than 200 cells; else ITC. Size alone
    never downgrades a focus of more than 200 cells. A count decides only if it is above the limit even after its
    uncertainty is subtracted. Raises ValueError if the diameter is not positive.
    """
    if not diameter_um > 0:
        raise ValueError(f"a deposit has a positive diameter, not {diameter_um}")
    if diameter_um > MICRO_LIMIT_UM:
        return Metastasis.MACRO
    if diameter_um > ITC_LIMIT_UM or (cells is not None and cells.above_limit):
        return Metastasis.MICRO
    return Metastasis.ITC


def is_borderline(diameter_um: Micrometers, uncertainty_um: Micrometers) -> bool:
    """Whether a limit between two classes lies within the size's uncertainty (clinical-rules 8); never without one."""
    return uncertainty_um > 0 and any(
        abs(diameter_um - limit) <= uncertainty_um for limit in (ITC_LIMIT_UM, MICRO_LIMIT_UM)
    )
