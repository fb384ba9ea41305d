"""Where slides run."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from threading import Condition, current_thread, main_thread

import pytest

from nodescan.batch.executors import died_twice, finished
from nodescan.batch.tools import ThisProcess
from nodescan.errors import DiedTwiceError, SlideError, StalledError, WorkerDiedError
from tests.batch.run_tools import slide_tools
from tests.waiting import until

HERE = ThisProcess(slide_tools(Path("unused")))


def square(number: int) -> int:
    return number * number


def never(number: int, error: SlideError) -> int:
    raise AssertionError(number, error)


@pytest.mark.parametrize("executor", [HERE, ThreadPoolExecutor(2)])
@pytest.mark.parametrize("pending", [1, 3, 50])
def test_every_item_is_answered_once(executor: Executor, pending: int) -> None:
    """Whatever runs the work, and however much of it waits, each item comes back once."""
    answers = finished(executor, square, range(20), lost=never, pending=pending)
    assert sorted(answers) == [n * n for n in range(20)]


def test_results_are_seen_while_others_wait() -> None:
    """The first result is handed over before the second item is even taken: a run that is killed keeps its rows."""
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(3):
            taken.append(number)
            yield number

    results = finished(HERE, square, items(), lost=never)
    assert next(results) == 0
    assert taken == [0]


def test_interrupt_leaves_at_once() -> None:
    """An interrupt inside the work isn't kept for later."""

    def stop(_: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(finished(HERE, stop, range(3), lost=never))


def test_no_wait_for_slides_is_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one that is tried once more neither: on Windows, Python before 3.14 hears Ctrl-C between waits alone."""
    waits: list[float | None] = []
    wait = Condition.wait

    def watched(condition: Condition, timeout: float | None = None) -> bool:
        if current_thread() is main_thread():
            waits.append(timeout)
        return wait(condition, timeout)

    def work(tries: list[int]) -> str:
        tries.append(len(waits))
        until(lambda: None in waits or len(waits) > tries[-1])
        if len(tries) == 1:
            raise WorkerDiedError("a.svs", "the process that read it was ended by SIGSEGV")
        return "read"

    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()  # its thread is there
        monkeypatch.setattr(Condition, "wait", watched)
        assert list(finished(pool, work, [list[int]()], lost=lambda _, error: str(error))) == ["read"]
        assert None not in waits


def test_item_whose_process_dies_is_tried_once_more_after_the_others_and_alone() -> None:
    """0 dies always, 1 once, 2 stalls: 0 and 1 are tried twice, 2 once, and each has one result."""
    tried: list[int] = []
    running: Counter[int] = Counter()

    def work(number: int) -> str:
        running[number] += 1
        again = number in tried
        tried.append(number)
        if again:
            assert sum(running.values()) == 1
            assert set(tried) == set(range(6))
        running[number] -= 1
        if number == 0 or (number == 1 and not again):
            raise WorkerDiedError(f"{number}.svs", "the process that read it was ended by SIGSEGV")
        if number == 2:
            raise StalledError(f"{number}.svs", "it made no progress for 10 min and was stopped")
        return f"{number} read"

    def lost(number: int, error: SlideError) -> str:
        return f"{number} {type(error).__name__}"

    answers = list(finished(ThreadPoolExecutor(2), work, range(6), lost=lost, pending=3))
    assert sorted(answers) == ["0 DiedTwiceError", "1 read", "2 StalledError", "3 read", "4 read", "5 read"]
    assert Counter(tried) == {0: 2, 1: 2, 2: 1, 3: 1, 4: 1, 5: 1}


def test_item_that_is_given_up_is_not_tried_again() -> None:
    """Where the executor tried it twice itself, and where a worker can't have it: each has a result all the same."""
    errors = [DiedTwiceError("0.svs", "lost twice"), SlideError("1.svs", "the worker on b has no such file")]
    tried: list[int] = []

    def work(number: int) -> str:
        tried.append(number)
        raise errors[number]

    answers = finished(ThreadPoolExecutor(1), work, range(2), lost=lambda _, error: str(error))
    assert list(answers) == ["0.svs: lost twice", "1.svs: the worker on b has no such file"]
    assert tried == [0, 1]


def test_two_deaths_are_told_in_one_sentence() -> None:
    """The signal, whether it was another one alone, and what to do, which differs for want of memory."""
    killed = WorkerDiedError("a.svs", "the process that read it was ended by SIGKILL")
    crashed = WorkerDiedError("a.svs", "the process that read it was ended by SIGSEGV")
    assert str(died_twice(killed, killed)) == (
        "a.svs: the process that read it was ended by SIGKILL twice, the second time with no other slide running; "
        "if memory ran out, run it on a machine with more"
    )
    assert str(died_twice(killed, crashed)) == (
        "a.svs: the process that read it was ended by SIGKILL; tried again alone, the process that read it was ended "
        "by SIGSEGV; the file may be damaged: export it from the scanner again"
    )
    memory = WorkerDiedError("a.svs", "the process that read it was ended by error 0xC0000017 of Windows")
    assert str(died_twice(memory, memory)).endswith("; if memory ran out, run it on a machine with more")
