"""Work in threads of its own, and what becomes of it where the system refuses them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from nodescan.errors import WorkerError

_Result = TypeVar("_Result")

_REFUSED = "can't start new thread"
"""Python's words: it has no exception of its own for it."""


@contextmanager
def thread_errors() -> Iterator[None]:
    """Around what starts threads. Raises WorkerError where the system gives no more."""
    try:
        yield
    except RuntimeError as error:
        if _REFUSED not in str(error):
            raise
        remedy = "end other programs, or raise the limit of processes (ulimit -u)"
        raise WorkerError(f"no thread can be started; {remedy}") from error


def start_in_thread(name: str, work: Callable[..., _Result], *given: object) -> Callable[[], _Result]:
    """Begins `work` in a thread of that name; what it returns waits for the result, and raises what `work` raised.

    Raises WorkerError where the system gives no thread.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix=name)
    with thread_errors():
        coming = thread.submit(work, *given)
    thread.shutdown(wait=False)
    return coming.result
