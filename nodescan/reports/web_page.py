"""What every page is made with: one Jinja environment, which escapes everything, and one kind of labelled value."""

import re
from dataclasses import dataclass
from functools import cache

import jinja2
from markupsafe import Markup, escape

from nodescan.domain.report import NOT_FOR_CLINICAL_USE
from nodescan.streams import shown

_UNBROKEN = re.compile(r"(?<![\w-])--[a-z][a-z-]*|(?<![\w.])(?:x \d[\d.]*, y )?\d[\d.,]*(?: ± [\d.]+)? (?:mm²|mm\b|%)")
"""Options of commands, at whose first hyphen a line would end; and sizes, shares and places with their units."""

_AREA, _PIXEL_SIZE = re.compile(r"(?<=\d )mm2\b"), re.compile(r"\bum/px\b")


@dataclass(frozen=True, slots=True)
class Fact:
    """One labelled value; note: smaller, under it."""

    label: str
    value: str
    note: str = ""


def css_string(text: str) -> Markup:
    """The text as a string of a style sheet inside a page: all but plain letters, digits and blanks as its number."""
    said = "".join(sign if sign.isascii() and (sign.isalnum() or sign == " ") else f"\\{ord(sign):x} " for sign in text)
    return Markup(f'"{said}"')  # nothing of what HTML or CSS obeys is left in it


def unbroken(text: str) -> Markup:
    """The text with what must stand on one line kept whole: the options of commands, numbers with their units.

    Units that messages write in plain letters, as a terminal shows them, stand in a page's own: mm², µm/px.
    """
    said = _PIXEL_SIZE.sub("µm/px", _AREA.sub("mm²", text))
    return Markup(_UNBROKEN.sub(r'<span class="unbroken">\g<0></span>', str(escape(said))))


def _shown(value: object) -> object:
    """What a template puts into a page, with what doesn't print escaped: a report may be somebody else's."""
    if not isinstance(value, str) or (said := shown(value)) == value:
        return value
    return Markup(said) if isinstance(value, Markup) else said


@cache
def environment(package: str = "nodescan.reports") -> jinja2.Environment:
    """Templates of `package`, and behind them those of the slide's page, whose style sheet all pages share."""
    packages = dict.fromkeys((package, "nodescan.reports"))
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name, "templates") for name in packages]),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["css_string"] = css_string
    made.filters["unbroken"] = unbroken
    made.globals["notice"] = NOT_FOR_CLINICAL_USE
    return made
