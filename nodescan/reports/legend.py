"""The legend below the pictures of a slide's page."""

from dataclasses import dataclass

import numpy as np

from nodescan.domain.report import SlideResult
from nodescan.reports.palette import (
    CLASS_COLOURS,
    CLASS_STROKES,
    EXCLUDED_COLOURS,
    NOT_EXAMINED,
    PLACE,
    TISSUE,
    UNJUDGED,
    Colour,
    heat_ramp,
)
from nodescan.reports.pictures import MOST_NUMBERED
from nodescan.reports.places import marked_places
from nodescan.reports.wording import CLASS_WORDS, TILE_RULES, WITH_TUMOUR, left_out_words


@dataclass(frozen=True, slots=True)
class Swatch:
    """One line of the legend. kind: of an outline its `Stroke`; else "place", "line", "dashed", "hatch", or "note"
    for words alone."""

    kind: str
    colour: str
    words: str


def legend(result: SlideResult, *, hatched: bool) -> tuple[Swatch, ...]:
    """What the lines in the overview mean: only those that are there.

    hatched: whether any of it is.
    """
    if result.overview is None:
        return ()
    lines: list[Swatch] = []
    if result.report.deposits and result.report.not_judged:
        lines.append(Swatch("single", UNJUDGED.css, "Marked by the network, not judged"))
    elif result.report.deposits:
        drawn = {deposit.metastasis for deposit in result.report.deposits}
        lines += [
            Swatch(CLASS_STROKES[found], CLASS_COLOURS[found].css, f"{CLASS_WORDS[found]}, {TILE_RULES[found]}")
            for found in WITH_TUMOUR
            if found in drawn
        ]
    if marked_places(result.report):
        lines.append(Swatch("place", PLACE.css, "Likeliest places, not taken for deposits"))
    if result.report.n_foci > MOST_NUMBERED:
        lines.append(Swatch("note", "", f"Numbered: the {MOST_NUMBERED} largest of {result.report.n_foci}"))
    if result.tissue is not None:
        lines.append(Swatch("line", TISSUE.css, "Tissue"))
        if hatched:
            lines.append(Swatch("hatch", NOT_EXAMINED.css, "Tissue not examined"))
        lines += [
            Swatch("dashed", EXCLUDED_COLOURS[reason].css, f"Left out: {left_out_words(reason)}")
            for reason, mask in result.tissue.excluded
            if mask.any()
        ]
    return tuple(lines)


def heat_gradient() -> str:
    """The heat map's colours from 0 to 1, as a CSS gradient."""
    stops = heat_ramp()[np.linspace(0, 255, 9).astype(int)]
    return "linear-gradient(90deg, " + ", ".join(Colour(*map(int, stop)).css for stop in stops) + ")"
