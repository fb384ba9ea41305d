"""A command's --help with its options in groups, as plain text that can be searched and copied."""

from typing import Any

from typer.core import TyperCommand

SCAN, PIXEL_SIZE, MODEL, RESULTS = "What to scan", "Pixel size", "Model and settings", "Results"
SPEED, LARGE, SCORED, SCORING = "Speed", "Large batches", "What to score", "How to score"

ORDER = (SCAN, PIXEL_SIZE, MODEL, SCORED, SCORING, RESULTS, SPEED, LARGE)
"""The order in which the groups are shown. Options without a group follow at the end, as "Options"."""


class GroupedCommand(TyperCommand):
    """A command that shows its arguments and options under the headings that they name as `rich_help_panel`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one section per group. Both arguments are typer's, which keeps their classes in a private module."""
        groups: dict[str, list[tuple[str, str]]] = {name: [] for name in (*ORDER, "Options")}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None:
                groups[getattr(parameter, "rich_help_panel", None) or "Options"].append(row)
        for name, rows in groups.items():
            if rows:
                with formatter.section(name):
                    formatter.write_dl(rows)
