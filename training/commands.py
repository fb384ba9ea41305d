"""Trains networks that find tumour, exports them for nodescan, chooses their thresholds, and judges them.

fit and validate are Lightning's own: python -m training fit --help
"""

import typer

from nodescan.commands.options import COMPLETE, INTERRUPTED, STOPPED
from nodescan.errors import NodescanError
from nodescan.interrupts import ended_like_ctrl_c
from nodescan.streams import say
from training.card_commands import add_card_commands
from training.composite_commands import add_composite_commands
from training.model_commands import add_model_commands
from training.slide_commands import add_slide_commands
from training.telling import told, without_package

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
add_slide_commands(app)
add_model_commands(app)
add_composite_commands(app)
add_card_commands(app)


def run(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 or 2 as training.telling.told says, 130 stopped by a signal; all but 0 told in one line."""
    with ended_like_ctrl_c():
        try:
            app(arguments, standalone_mode=True)
        except NodescanError as error:
            return told(error)
        except ModuleNotFoundError as error:
            return told(without_package(error))
        except SystemExit as end:
            if end.code == INTERRUPTED:  # what typer makes of a KeyboardInterrupt
                say(STOPPED)
            raise
    return COMPLETE
