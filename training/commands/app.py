"""Train networks that find tumour, export them for nodescan, choose their thresholds, and evaluate them.

fit and validate are commands of Lightning: see python -m training fit --help
"""

import typer

from training.commands import card, composites, models, slides

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
for _name, _command in (
    ("download", slides.download_command),
    ("prepare", slides.prepare_command),
    ("sample", slides.sample_command),
    ("mine", slides.mine_command),
    ("export", models.export_command),
    ("average", models.average_command),
    ("tune", models.tune_command),
    ("know-tissue", models.know_tissue_command),
    ("evaluate-patches", models.evaluate_patches_command),
    ("evaluate-masks", models.evaluate_masks_command),
    ("measure-discs", models.measure_discs_command),
    ("make-composites", composites.make_composites_command),
    ("evaluate-composites", composites.evaluate_composites_command),
    ("model-card", card.model_card_command),
    ("ablate", card.ablate_command),
):
    app.command(_name)(_command)
