"""The commands of python -m training that write the repository's model card and the ablation's table."""

from pathlib import Path
from typing import Annotated

import typer

from training.options import Model

RECIPE = tuple(Path(f"configs/train/{name}.yaml") for name in ("pcam", "pcam-second", "pcam-third"))
"""The released model's configurations, in order; docs/recipe.sh runs them."""


def model_card_command(
    patches: Annotated[Path, typer.Option(help="Labelled validation patches.")],
    masks: Annotated[Path, typer.Option(help="Folder of pictures, each with a _mask.png beside it.")],
    model: Model = None,
    composites: Annotated[Path | None, typer.Option(help="Output of evaluate-composites --json.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for pictures of the worst answers.")] = None,
    recipe: Annotated[
        list[Path] | None,
        typer.Option(
            help="A configuration the model was trained with. Repeat the option for several, in order.",
            show_default="the recipe of the released model, for that model",
        ),
    ] = None,
    hours: Annotated[str, typer.Option(help="How long training took on two cores, in words.")] = "not stated",
    history: Annotated[
        Path | None,
        typer.Option(help="Markdown file: what was examined before the figures were final, and with what result."),
    ] = None,
    commands: Annotated[Path | None, typer.Option(help="Text file: the commands that trained the model.")] = None,
    to: Annotated[Path, typer.Option(help="The file to write.")] = Path("MODEL_CARD.md"),
) -> None:
    """Measure a model on validation data and write its card: data, recipe, figures with intervals, and failures."""
    from nodescan.evaluation.bootstrap import number_words
    from nodescan.inference.card import find_model, load_card
    from training.model_cards.model_card import CardSources, write_model_card
    from training.provenance import is_released

    folder = find_model(model)
    parts = tuple(recipe or (RECIPE if is_released(load_card(folder)) else ()))
    sources = CardSources(folder, patches, masks, composites, pictures, parts, hours, history, commands)
    measured = write_model_card(sources, to)
    patches_auc, cells_auc = (number_words(scores.auc, places=4) for scores in (measured.lone, measured.masks))
    typer.echo(f"{to}: AUC of patches {patches_auc}, of cells {cells_auc}")


def ablate_command(
    config: Annotated[Path, typer.Option(help="The list of settings.")] = Path("configs/train/ablation.yaml"),
    only: Annotated[str | None, typer.Option(help="Run only this setting.")] = None,
    table: Annotated[
        bool, typer.Option("--table", help="Write the table of the finished settings and run nothing.")
    ] = False,
) -> None:
    """Train and score every unfinished setting of an ablation. The table is written after each setting."""
    from training.model_cards.ablation import ablate, read_plan

    plan = read_plan(config)
    ablate(plan, only=only, run=not table, tell=typer.echo)
