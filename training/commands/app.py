"""Train networks that find tumour, export them for nodescan, choose their thresholds, and evaluate them.

fit and validate are commands of Lightning: see python -m training fit --help
"""

import typer

from training.commands.card import add_card_commands
from training.commands.composites import add_composite_commands
from training.commands.models import add_model_commands
from training.commands.slides import add_slide_commands

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
add_slide_commands(app)
add_model_commands(app)
add_composite_commands(app)
add_card_commands(app)
