"""Colours and kinds of line with a meaning, the same in every picture, page and file."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.color import lab2rgb

from nodescan.domain.classification import Metastasis
from nodescan.domain.report import SlideReport


class Colour(NamedTuple):
    """Red, green and blue, each 0 to 255."""

    red: int
    green: int
    blue: int

    @property
    def css(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    def rgba(self, alpha: int) -> tuple[int, int, int, int]:
        """With an opacity of 0 to 255."""
        return self.red, self.green, self.blue, alpha


INK = Colour(22, 32, 46)
PAPER = Colour(255, 255, 255)
TISSUE = Colour(15, 118, 110)
NOT_EXAMINED = Colour(71, 85, 105)

# Blue, orange and crimson differ in hue, also for common colour blindness, and stand out from the pinks and purples of
# H&E once they carry a white casing. Their lightness is about the same (CIE L* 42, 50 and 38): without colour the kind
# of line tells them apart.
CLASS_COLOURS = {
    Metastasis.NONE: Colour(21, 112, 83),
    Metastasis.ITC: Colour(29, 95, 191),
    Metastasis.MICRO: Colour(194, 87, 0),
    Metastasis.MACRO: Colour(179, 18, 48),
}

Stroke = Literal["dotted", "single", "double"]

CLASS_STROKES: Mapping[Metastasis, Stroke] = {
    Metastasis.NONE: "single",
    Metastasis.ITC: "dotted",
    Metastasis.MICRO: "single",
    Metastasis.MACRO: "double",
}

PLACE = INK
"""Of a likely place, which has no class."""

UNJUDGED = NOT_EXAMINED
"""Of what the network marked on a slide that it can't judge."""

EXCLUDED_COLOURS = {
    "pen": Colour(70, 40, 130),
    "edge": Colour(90, 55, 10),
    "debris": Colour(105, 140, 0),
    "small": Colour(190, 50, 150),
}
"""One for each reason to leave an area out, as the tissue search names them (`TissueMask.excluded`). Any two of them
differ for colour-blind eyes, too, by 11 (CIEDE2000) at least: in lightness where they don't in hue."""


def deposit_colours(report: SlideReport) -> Mapping[Metastasis, Colour]:
    """By class; one for all where the slide was not judged, so that no colour gives it a class."""
    return dict.fromkeys(Metastasis, UNJUDGED) if report.not_judged else CLASS_COLOURS


def deposit_strokes(report: SlideReport) -> Mapping[Metastasis, Stroke]:
    """By class; single for all where the slide was not judged."""
    return dict.fromkeys(Metastasis, "single") if report.not_judged else CLASS_STROKES


def heat_ramp() -> NDArray[np.uint8]:
    """Colours of probability 0 to 1: uint8 (256, 3) RGB.

    Lightness falls evenly from pale yellow to deep purple (CIE Lab), so equal steps of probability look equal,
    also in a grey print.
    """
    share = np.linspace(0.0, 1.0, 256)
    lightness = 92.0 - 66.0 * share
    hue = np.radians(95.0 - 150.0 * share)
    chroma = 34.0 + 34.0 * np.sin(np.pi * np.clip(share * 0.9, 0, 1))
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    return np.rint(lab2rgb(lab[None])[0] * 255).astype(np.uint8)
