"""What runs in a worker: `python -m nodescan.batch.worker_process`, told what to do on stdin, telling on stdout.

Both directions are lines of JSON. stdin: first the job, then slides, the next one while one is scanned. stdout:
"ready", then each slide's events for a viewer, with the slide's number, and "slide_finished" with its report; on an
error, "raised" instead. If stdin is closed, the run is gone, and the process ends at once, even in the middle of a
slide or while it still loads its libraries.
"""

import faulthandler
import os
import pkgutil
import queue
import signal
import sys
import traceback
from threading import Thread
from typing import IO, NoReturn

WORK = "nodescan.batch.worker_task:work"
"""By name: loading it takes seconds, in which stdin is listened to already."""


def main() -> NoReturn:
    """Scan what is asked until nobody asks any more."""
    asked, out = _private_streams()
    faulthandler.enable()
    for name in ("SIGINT", "SIGBREAK"):  # Ctrl-C and Ctrl-Break are for the supervisor, who ends this process
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    Thread(target=_listen, args=(asked, heard), name="listen", daemon=True).start()
    try:
        pkgutil.resolve_name(WORK)(heard, out)
    except BrokenPipeError:
        pass
    except BaseException:  # an orderly end would wait for the slide of another thread
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    _end()


def _private_streams() -> tuple[IO[bytes], IO[bytes]]:
    """stdin and stdout for the messages alone: what a library prints goes to stderr, what it reads is empty."""
    asked, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return asked, out


def _listen(asked: IO[bytes], heard: "queue.SimpleQueue[bytes]") -> None:
    for line in asked:
        heard.put(line)
    _end()


def _end() -> NoReturn:
    """Leave at once, with all that was started here; what is half written is cleared away by the next run."""
    sys.stderr.flush()
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
