"""What becomes of work whose threads the system refuses."""

from collections.abc import Iterator
from contextlib import contextmanager

from nodescan.errors import WorkerError

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
