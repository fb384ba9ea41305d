"""A worker's stderr: it is kept in a file while the worker runs, and the part that says why it ended is read."""

import os
import re
import subprocess
import tempfile
from typing import IO

from nodescan.errors import more_threads
from nodescan.threads import ran_out_of_threads

_MOST, _EACH = 100_000, 2000
"""Characters that are looked through, from the end; and those kept before a dump of stacks, of it, and at the end."""

_DUMP = "Fatal Python error"
"""Where faulthandler begins to print every thread's stack. What ended the process stands before it."""

_EXCEPTION = re.compile(r"[\w.]*(Error|Exception)\b")


def words_file() -> "IO[bytes] | int":
    """What a process is given as its stderr."""
    try:
        return tempfile.TemporaryFile(prefix="nodescan-worker-")
    except OSError:  # a full disk may not keep slides from being scanned
        return subprocess.DEVNULL


def last_words(said: "IO[bytes] | int") -> str:
    """The end of what was written there; of a dump of stacks also its beginning, and what stands before it."""
    if isinstance(said, int):
        return ""
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - _MOST))
    text = said.read().decode(errors="replace").strip()
    dump = text.rfind(_DUMP)
    if dump < 0:
        return text[-2 * _EACH :]
    tail = max(dump, len(text) - _EACH)
    head = text[max(0, dump - _EACH) : min(dump + _EACH, tail)]
    return head + ("\n...\n" if dump + _EACH < tail else "") + text[tail:]


def last_line(text: str) -> str:
    """The last one that begins with an exception's name, since advice may follow it; else the last before a dump."""
    lines = (text.partition(_DUMP)[0].strip() or text).splitlines() or ["it said nothing"]
    return next((line for line in reversed(lines) if _EXCEPTION.match(line)), lines[-1])


def remedy_in(text: str) -> str:
    """What to do where the words say why the process ended, "" where they don't."""
    return f"no more threads could be started: {more_threads()}" if ran_out_of_threads(text) else ""
