"""`nodescan`, and `python -m nodescan`: the command line, whose modules are imported where signals are heard."""

import sys

from nodescan.errors import WorkerError
from nodescan.interrupts import INTERRUPTED, STOPPED, ended_like_ctrl_c, raise_if_ended
from nodescan.streams import say


def main() -> int:
    """Run the command that was typed; its exit code, see cli.py. A signal during the imports is Ctrl-C, too."""
    try:
        with ended_like_ctrl_c():
            from nodescan import cli  # noqa: PLC0415  takes a quarter of a second

            raise_if_ended()
    except (KeyboardInterrupt, RuntimeError) as error:
        # Python before 3.12 makes a RuntimeError of it where a class is just being made.
        if isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt):
            say(STOPPED)
            return INTERRUPTED
        raise
    except WorkerError as error:
        say(str(error))
        return 1
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
