"""Where slides run: for now in this process, one after another, behind the interface of concurrent.futures."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from itertools import islice
from typing import ParamSpec, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
P = ParamSpec("P")


class InProcess(Executor):
    """Runs a call when it is submitted and returns its Future done.

    What the call raises leaves submit() itself: an interrupt stops the batch at once, and the work handed in
    by the batch turns every failure of a slide into a result.
    """

    def submit(self, fn: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> Future[Result]:
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        future.set_result(fn(*args, **kwargs))
        return future


def finished(
    executor: Executor, work: Callable[[Item], Result], items: Iterable[Item], *, pending: int = 1
) -> Iterator[Result]:
    """Each item's result as soon as it is there, with at most `pending` items handed to the executor at a time.

    The bound keeps a long batch from being queued whole: results are seen, and written down, while others run.
    """
    waiting = iter(items)
    running = {executor.submit(work, item) for item in islice(waiting, pending)}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()
        running |= {executor.submit(work, item) for item in islice(waiting, len(done))}
