"""python -m training: fit a network with Lightning, export it, tune it, judge it."""

import sys

from nodescan.errors import NodescanError
from nodescan.options import COMPLETE, NOT_COMPLETE, WRONG_USAGE
from training.options import LIGHTNING


def main(arguments: list[str]) -> int:
    """fit and validate are LightningCLI's own; every other command is training.commands'.

    Exit code: 0 done, 1 the training failed, 2 a mistake of the user's, told in one line.
    """
    if not arguments or arguments[0] not in LIGHTNING:
        from training.commands import run  # noqa: PLC0415  each half imports seconds' worth that the other needn't wait for

        return run(arguments)
    from training.fitting import fit  # noqa: PLC0415
    from training.telling import one_line  # noqa: PLC0415

    try:
        fit(arguments)
    except NodescanError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return WRONG_USAGE
    except FloatingPointError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return NOT_COMPLETE
    return COMPLETE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
