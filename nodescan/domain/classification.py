"""The class of a deposit, by clinical-rules 1 (AJCC 8th edition, pN of the breast)."""

import math
from collections.abc import Mapping
from enum import IntEnum

from nodescan.domain.units import Micrometers

ITC_LIMIT_UM = Micrometers(200.0)
"""Exactly 0.2 mm is still isolated tumour cells (AJCC 8th)."""

MICRO_LIMIT_UM = Micrometers(2000.0)
"""Exactly 2.0 mm is still a micrometastasis (AJCC 8th)."""

ITC_CELL_LIMIT = 200
"""More than 200 cells are a micrometastasis, whatever the size (AJCC 8th)."""


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


def classify(diameter_um: Micrometers, *, cells: int | None = None, cells_uncertainty: int = 0) -> Metastasis:
    """Class of one contiguous deposit by its greatest diameter and, where counted, its tumour cells.

    clinical-rules 1: macro above 2.0 mm; micro above 0.2 mm or more than 200 cells; else ITC. Size alone
    never downgrades a focus of more than 200 cells. A count decides only where it is clear: less its uncertainty
    still above the limit. Raises ValueError where the diameter is not positive.
    """
    if not diameter_um > 0:
        raise ValueError(f"a deposit has a positive diameter, not {diameter_um}")
    if diameter_um > MICRO_LIMIT_UM:
        return Metastasis.MACRO
    if diameter_um > ITC_LIMIT_UM or (cells is not None and is_count_above_limit(cells, cells_uncertainty)):
        return Metastasis.MICRO
    return Metastasis.ITC


def is_borderline(diameter_um: Micrometers, uncertainty_um: Micrometers) -> bool:
    """Whether the size's interval holds a limit between two classes (clinical-rules 8); never of a certain size."""
    return uncertainty_um > 0 and any(
        abs(diameter_um - limit) <= uncertainty_um for limit in (ITC_LIMIT_UM, MICRO_LIMIT_UM)
    )


def is_count_above_limit(cells: int, uncertainty: int) -> bool:
    """Whether the count is above the limit, less its uncertainty too."""
    return cells - uncertainty > ITC_CELL_LIMIT


def is_count_near_limit(cells: int, uncertainty: int) -> bool:
    """Whether the count's interval holds the limit, so that the true number may lie on either side of it."""
    return cells - uncertainty <= ITC_CELL_LIMIT < cells + uncertainty
