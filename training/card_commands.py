"""The commands of python -m training that write the repository's model card and the ablation's table."""

from pathlib import Path
from typing import Annotated

import typer

from training.options import Model

RECIPE = tuple(Path(f"configs/train/{name}.yaml") for name in ("pcam", "pcam-second", "pcam-third"))
"""The released model's configurations, in order; docs/recipe.sh runs them."""


def add_card_commands(app: typer.Typer) -> None:
    """Register model-card and ablate."""
    app.command("model-card")(model_card_command)
    app.command("ablate")(ablate_command)


def model_card_command(
    patches: Annotated[Path, typer.Option(help="labelled validation patches")],
    masks: Annotated[Path, typer.Option(help="folder of pictures with a _mask.png beside them")],
    model: Model = None,
    composites: Annotated[Path | None, typer.Option(help="what evaluate-composites --json printed")] = None,
    pictures: Annotated[Path | None, typer.Option(help="folder for pictures of the worst answers")] = None,
    recipe: Annotated[
        list[Path] | None,
        typer.Option(help="a configuration it was trained with; in order; default: of the released model its own"),
    ] = None,
    hours: Annotated[str, typer.Option(help="how long training took on two cores, in words")] = "not stated",
    history: Annotated[
        Path | None,
        typer.Option(help="Markdown: what was looked at before the figures were final, and what followed"),
    ] = None,
    commands: Annotated[Path | None, typer.Option(help="text: the commands that it was trained with")] = None,
    to: Annotated[Path, typer.Option(help="the file to write")] = Path("MODEL_CARD.md"),
) -> None:
    """Measure a model on validation data and write its card: data, recipe, figures with intervals, failures."""
    from nodescan.inference.card import find_model, load_card
    from training.model_card import CardSources, write_model_card
    from training.provenance import is_released

    folder = find_model(model)
    parts = tuple(recipe or (RECIPE if is_released(load_card(folder)) else ()))
    sources = CardSources(folder, patches, masks, composites, pictures, parts, hours, history, commands)
    measured = write_model_card(sources, to)
    typer.echo(f"{to}: AUC of patches {measured.lone.auc}, of cells {measured.masks.auc}")


def ablate_command(
    config: Annotated[Path, typer.Option(help="the list of settings")] = Path("configs/train/ablation.yaml"),
    only: Annotated[str | None, typer.Option(help="run this setting alone")] = None,
    table: Annotated[bool, typer.Option("--table", help="run nothing: write the table of what is done")] = False,
) -> None:
    """Train and score every setting of an ablation that isn't done yet; the table is written after each."""
    from training.ablation import ablate, read_plan

    plan = read_plan(config)
    ablate(plan, only=only, run=not table, tell=typer.echo)
