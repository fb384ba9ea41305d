"""Work in separate threads, errors if the system refuses a thread, and work at which threads must take turns."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import RLock
from typing import Literal, TypeVar

from nodescan.errors import no_thread

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_REFUSED = "can't start new thread"
"""Python's words: it has no exception of its own for it."""

_REFUSED_BELOW = "Resource temporarily unavailable"
"""The system's words, EAGAIN: OpenBLAS, OpenMP and C++ print them, and then end the process."""


_WARNINGS_TURN = RLock()


@contextmanager
def own_warnings(
    action: Literal["ignore", "always"], category: type[Warning] = Warning, *, record: bool = False
) -> Iterator[list[warnings.WarningMessage]]:
    """As warnings.catch_warnings, by one thread at a time; what was recorded, [] where nothing is to be.

    Python's filters are the whole process's: two threads that each put back what they found would leave one's for good.
    """
    with _WARNINGS_TURN, warnings.catch_warnings(record=record, action=action, category=category) as said:
        yield [] if said is None else said  # filled meanwhile


def ran_out_of_threads(text: str) -> bool:
    """Whether what a process printed says that the system gave it no more threads."""
    return _REFUSED in text or _REFUSED_BELOW in text


@contextmanager
def thread_errors() -> Iterator[None]:
    """Around what starts threads. Raises WorkerError where the system gives no more."""
    try:
        yield
    except RuntimeError as error:
        if _REFUSED not in str(error):
            raise
        raise no_thread() from error


def start_in_thread(name: str, work: Callable[..., _Result], *given: object) -> Callable[[], _Result]:
    """As start_each, of one piece of work in a thread of its own."""
    (wait,) = start_each(name, lambda each: work(*each), [given], threads=1)
    return wait


def start_each(
    name: str, work: Callable[[_Item], _Result], items: Iterable[_Item], *, threads: int
) -> list[Callable[[], _Result]]:
    """Begins `work` on each in so many threads of that name; what it returns waits for one's result, or raises what
    `work` raised.

    Raises WorkerError where the system gives no thread.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    with thread_errors():
        waits: list[Callable[[], _Result]] = [pool.submit(work, item).result for item in items]
    pool.shutdown(wait=False)
    return waits
