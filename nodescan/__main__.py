"""`nodescan`, and `python -m nodescan`: the command line, whose modules are imported where signals are heard."""

import sys

from nodescan.interrupts import INTERRUPTED, STOPPED, ended_like_ctrl_c
from nodescan.streams import say


def main() -> int:
    """Run the command that was typed; its exit code, see cli.py. A signal during the imports is Ctrl-C, too."""
    try:
        with ended_like_ctrl_c():
            from nodescan import cli  # noqa: PLC0415  takes a quarter of a second
    except (KeyboardInterrupt, RuntimeError) as error:
        # Python before 3.12 makes a RuntimeError of it where a class is just being made.
        if isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt):
            say(STOPPED)
            return INTERRUPTED
        raise
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
