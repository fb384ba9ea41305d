"""Names and numbers in a sentence that must stay short, and names that are safe in a path."""

import re
from collections.abc import Sequence

SAFE_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")
"""What a slide_id is, as slides/slide_ids.py makes them: never a path, nor a hidden file."""

_MOST_DECIMALS = 8
"""Enough decimals: limits allow for rounding of 1e-9, so a share above a limit is above it by more."""


def how_many(count: int, noun: str) -> str:
    """1 deposit, 2 deposits."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def few(names: Sequence[object], most: int) -> str:
    """The first `most` names, and how many more there are."""
    shown = ", ".join(map(str, names[:most]))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def slide_of_node(node_id: str, slide_id: str) -> str:
    """How notes and pages name a slide of a patient."""
    return f"Node {node_id}, slide {slide_id}"


def percent_above(share: float, limit: float) -> str:
    """A share above a limit, in per cent, with as many decimals as tell it from the limit: 2.04% beside 2 %."""
    written = (f"{share * 100:.{places}f}" for places in range(_MOST_DECIMALS))
    return next((text for text in written if float(text) > limit * 100), f"{share * 100:.{_MOST_DECIMALS}f}") + "%"


def deposits_do(ids: Sequence[int], verb: str) -> str:
    """Deposits and what they do: "Deposit 1 lies", "Deposits 1, 2 lie"."""
    return f"Deposit {ids[0]} {verb}s" if len(ids) == 1 else f"Deposits {few(ids, 8)} {verb}"


def place_words(point_um: tuple[float, float], shown: str) -> str:
    """A place in words, to find it by eye: x and y in um from the top left of what is shown."""
    x_mm, y_mm = point_um[0] / 1000, point_um[1] / 1000
    return f"{x_mm:.2f} mm from the left, {y_mm:.2f} mm from the top of {shown}"
