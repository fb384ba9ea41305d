"""What every page is made with: one Jinja environment, which escapes everything, and one kind of labelled value."""

from dataclasses import dataclass
from functools import cache

import jinja2


@dataclass(frozen=True, slots=True)
class Fact:
    """One labelled value; note: smaller, under it."""

    label: str
    value: str
    note: str = ""


@cache
def environment(package: str = "nodescan.reports") -> jinja2.Environment:
    """Templates of `package`, and behind them those of the slide's page, whose style sheet all pages share."""
    packages = dict.fromkeys((package, "nodescan.reports"))
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name, "templates") for name in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
