"""A forked process has none of the threads that computed before, and would wait for their answers for ever."""

import os
from functools import cache

from nodescan.errors import ModelError


def check_not_forked() -> None:
    """Called by whatever opens a model, or asks one. Raises ModelError in a process that was forked after a model was
    opened: OpenVINO and torch keep threads and locks from then on."""
    if os.getpid() != _opening_process():
        raise ModelError(
            "a model was opened before this process was forked, so no model can be used here; start processes by "
            "spawn instead of fork, or open models in the child processes alone"
        )


@cache
def _opening_process() -> int:
    """The id of the process that asked first, here or in what this was forked from."""
    return os.getpid()
