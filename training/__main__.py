"""python -m training: fit a network with Lightning, export it, tune it, judge it."""

import sys

import typer

from nodescan.commands.options import COMPLETE, WRONG_USAGE, check_current_folder, failed_by_files, usage_words
from nodescan.errors import NodescanError, StoppedError, UsageError
from nodescan.interrupts import INTERRUPTED, STOPPED, ended_like_ctrl_c
from nodescan.streams import make_usable
from training.commands.output import told, without_package
from training.options import LIGHTNING

_PROGRAM = "python -m training"


def main(arguments: list[str]) -> int:
    """fit and validate are LightningCLI's own; every other command is training.commands.app's.

    Exit code: 0 done, 1 the training, a GPU, a download, a slide or its outlines failed, or a file can't be written,
    2 what was asked for can't be done (wrong usage, a model or a file that can't be used), 130 stopped by a signal; all
    but 0 told in one line.
    """
    make_usable()
    with ended_like_ctrl_c():
        try:
            check_current_folder()
            # each half imports seconds' worth that the other needn't wait for
            if arguments and arguments[0] in LIGHTNING:
                from training.fitting.lightning_cli import fit  # noqa: PLC0415

                fit(arguments)
            else:
                from training.commands.app import app  # noqa: PLC0415

                if app(arguments, prog_name=_PROGRAM, standalone_mode=False) == INTERRUPTED:
                    raise KeyboardInterrupt
            sys.stdout.flush()
        except (KeyboardInterrupt, typer.Abort):
            return told(StoppedError(STOPPED))
        except (NodescanError, FloatingPointError) as error:
            return told(error)
        except typer.TyperException as error:
            helped = not error.format_message()  # where there was no word at all
            return WRONG_USAGE if helped else told(UsageError(usage_words(error, _PROGRAM)))
        except ModuleNotFoundError as error:
            return told(without_package(error))
        except OSError as error:
            return failed_by_files(error)
    return COMPLETE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
