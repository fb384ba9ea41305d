"""A fault case that is a story of its own."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.room import Room

LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Scene:
    """act: makes the fault, asserts what must hold, and says in one line what happened."""

    name: str
    must: str
    act: Callable[[Room], str]
    limit_s: float = LIMIT_S
