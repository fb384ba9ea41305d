"""Two slides in one process: the next slide's overview is read while the network answers for the slide before it.

Slides stand in line in the order in which they came. A slide waits only for those ahead of it, so none waits for ever.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition

from nodescan.machine import free_memory_bytes

BESIDE_BYTES = 1_400_000_000
"""The most that the overviews of slides in one process may take together, by overview.overview_bytes(). A process has
0.55 GB before its first slide (int8, six phantoms), so that two slides stay below 2 GB, and the tiles of both."""


@dataclass(eq=False, slots=True)
class Turn:
    """One slide's place in the line. needed_bytes: for its overview, None before it is known.

    waited_s: how long it stood still for the slides ahead of it. answered: whether it needs the network no more.
    accompanied: whether another slide stood in the line at any time of it.
    """

    _line: "list[Turn]"
    _changed: Condition
    needed_bytes: int | None = None
    waited_s: float = 0.0
    answered: bool = False
    accompanied: bool = False

    def wait_for_room(self, needed_bytes: int) -> None:
        """Wait until an overview of so many bytes fits beside those of the slides ahead, or none is ahead."""
        self._wait(lambda: self._fits(needed_bytes))
        with self._changed:
            self.needed_bytes = needed_bytes
            self._changed.notify_all()

    @contextmanager
    def network(self) -> Iterator[None]:
        """For the length of the block the network is this slide's alone; those ahead have it first.

        Where the block raises it is kept until leave(): a network that broke may get no other slide.
        """
        self._wait(lambda: all(turn.answered for turn in self._ahead()))
        yield
        with self._changed:
            self.answered = True
            self._changed.notify_all()

    def leave(self) -> None:
        """The slide is done with, however it ended."""
        with self._changed:
            self._line.remove(self)
            self._changed.notify_all()

    def _ahead(self) -> "list[Turn]":
        return self._line[: self._line.index(self)]

    def _fits(self, needed_bytes: int) -> bool:
        """Half of what is free is left to the slides ahead, which may not have taken all that they need."""
        ahead, free = self._ahead(), free_memory_bytes()
        known = [turn.needed_bytes for turn in ahead if turn.needed_bytes is not None]
        beside = len(known) == len(ahead) and sum(known) + needed_bytes <= BESIDE_BYTES
        return not ahead or (beside and (free is None or 2 * needed_bytes <= free))

    def _wait(self, until: Callable[[], bool]) -> None:
        began = time.monotonic()
        with self._changed:
            self._changed.wait_for(until)
        self.waited_s += time.monotonic() - began


@dataclass(slots=True)
class Turns:
    """The line of one process."""

    _line: list[Turn] = field(default_factory=list)
    _changed: Condition = field(default_factory=Condition)

    def arrive(self) -> Turn:
        """A place at the end of the line, until leave()."""
        turn = Turn(self._line, self._changed)
        with self._changed:
            self._line.append(turn)
            if len(self._line) > 1:
                for each in self._line:
                    each.accompanied = True
        return turn


def alone() -> Turn:
    """The turn of a slide that has its process for itself: it never waits."""
    return Turns().arrive()
