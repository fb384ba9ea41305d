"""Values of a JSON file that others may have written, each read as what it must be, or refused.

What is something else raises ValueError, or another error of DAMAGE.
"""

import math
import reprlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import shapely

from nodescan.domain.units import MicronsPerPixel, Spacing

_T = TypeVar("_T")

DAMAGE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    shapely.errors.ShapelyError,
)
"""What reading raises over values that nodescan doesn't write: of another kind, too large, nested without end."""

_MOST_WHOLE = 2**53
"""Up to here a float holds every whole number."""


_ROUNDING = 1e-6


def text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{reprlib.repr(value)} is no text")
    return value


def known(value: Any, read: Callable[[Any], _T]) -> _T | None:
    return None if value is None else read(value)


def finite(value: object) -> float:
    """A number of the file; JSON written elsewhere may hold text, NaN or infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{reprlib.repr(value)} is no number")
    return float(value)


def whole(value: object) -> int:
    number = finite(value)
    if number % 1 or abs(number) > _MOST_WHOLE:
        raise ValueError(f"{reprlib.repr(value)} is no whole number")
    return int(number)


def amount(value: object) -> float:
    number = finite(value)
    if number < 0:
        raise ValueError(f"{number:g} is less than nothing")
    return number


def fraction(value: object) -> float:
    """A share or a probability; a mean may be above 1 by rounding."""
    number = finite(value)
    if not 0 <= number <= 1 + _ROUNDING:
        raise ValueError(f"{number:g} is no fraction from 0 to 1")
    return number


def true_or_false(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{reprlib.repr(value)} is neither true nor false")
    return value


def spacing(sides: Sequence[object]) -> Spacing:
    """Of a slide's pixels or a map's cells: from a nanometre to a millimetre."""
    values = [finite(side) for side in sides]
    if any(value > 0 and not 1e-3 <= value <= 1e3 for value in values):
        raise ValueError(f"{values} is no pixel size")
    return Spacing(*map(MicronsPerPixel, values))


def point(pair: Sequence[object]) -> tuple[float, float]:
    x, y = pair
    return finite(x), finite(y)
