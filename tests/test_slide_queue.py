"""Slides that share a process: who has the network, and how much memory two may take."""

from threading import Event, Thread

import pytest

from nodescan import slide_queue
from nodescan.slide_queue import BESIDE_BYTES, Turn, Turns, alone

SOON_S = 0.3
"""What waits that long is taken to wait for good."""


def begun(wait: object, *given: object) -> tuple[Thread, Event]:
    """A thread that waits, and what tells that it has waited."""
    over = Event()

    def work() -> None:
        assert callable(wait)
        wait(*given)
        over.set()

    thread = Thread(target=work, daemon=True)
    thread.start()
    return thread, over


def use_network(turn: Turn) -> None:
    with turn.network():
        pass


def test_the_network_is_for_one_slide_at_a_time_in_the_order_in_which_they_came() -> None:
    """The second waits for the first, though it is ready before."""
    line = Turns()
    first, second = line.arrive(), line.arrive()
    _, over = begun(use_network, second)
    assert not over.wait(SOON_S)
    use_network(first)
    assert over.wait(5)
    assert second.waited_s >= SOON_S
    assert first.waited_s < SOON_S


def test_a_network_that_broke_gets_no_other_slide_before_the_first_is_done_with() -> None:
    """By then its process may have been ended."""
    line = Turns()
    first, second = line.arrive(), line.arrive()
    with pytest.raises(ZeroDivisionError), first.network():
        raise ZeroDivisionError
    _, over = begun(use_network, second)
    assert not over.wait(SOON_S)
    first.leave()
    assert over.wait(5)


@pytest.mark.parametrize(
    ("free", "first_bytes", "second_bytes", "beside"),
    [
        (None, 1, BESIDE_BYTES - 1, True),
        (None, 2, BESIDE_BYTES, False),
        (200, 1, 100, True),  # half of what is free is left to the first, which may not have taken yet what it needs
        (199, 1, 100, False),
    ],
)
def test_two_overviews_are_in_memory_where_they_fit(
    monkeypatch: pytest.MonkeyPatch, free: int | None, first_bytes: int, second_bytes: int, beside: bool
) -> None:
    """Else the second waits until the first has left; a slide alone is never held up, however large."""
    monkeypatch.setattr(slide_queue, "free_memory_bytes", lambda: free)
    line = Turns()
    first, second = line.arrive(), line.arrive()
    _, over = begun(second.wait_for_room, second_bytes)
    assert not over.wait(SOON_S)  # nobody knows yet how large the first is
    first.wait_for_room(first_bytes)
    assert over.wait(SOON_S) is beside
    first.leave()
    assert over.wait(5)
    alone().wait_for_room(10 * BESIDE_BYTES)


def test_a_slide_remembers_that_it_was_not_alone() -> None:
    """Whoever was beside it may have left since, with the memory that it lacked."""
    line = Turns()
    first = line.arrive()
    assert not first.accompanied
    second = line.arrive()
    second.leave()
    assert first.accompanied
    assert second.accompanied
    assert not alone().accompanied
