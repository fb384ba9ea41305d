"""Where slides run."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from nodescan.executors import InProcess, finished


def square(number: int) -> int:
    return number * number


@pytest.mark.parametrize("executor", [InProcess(), ThreadPoolExecutor(2)])
@pytest.mark.parametrize("pending", [1, 3, 50])
def test_every_item_is_answered_once(executor: Executor, pending: int) -> None:
    """Whatever runs the work, and however much of it waits, each item comes back once."""
    assert sorted(finished(executor, square, range(20), pending=pending)) == [n * n for n in range(20)]


def test_results_are_seen_while_others_wait() -> None:
    """The first result is handed over before the second item is even taken: a run that is killed keeps its rows."""
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(3):
            taken.append(number)
            yield number

    results = finished(InProcess(), square, items())
    assert next(results) == 0
    assert taken == [0]


def test_interrupt_leaves_at_once() -> None:
    """An interrupt inside the work isn't kept for later."""

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(finished(InProcess(), stop, range(3)))
