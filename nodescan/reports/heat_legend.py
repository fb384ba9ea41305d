"""The strip below heatmap.png: colours of probability with the threshold, and the hatching's meaning."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nodescan.domain.report import ModelIdentity
from nodescan.reports.palette import INK, NOT_EXAMINED, PAPER, heat_ramp

_TITLE, _HATCHED = "Tumour probability", "tissue not examined"

_STRIP, _LINE = 5.0, 1.7
"""Height of the strip, and of each further line of it, in heights of text."""

_NARROWEST = 13.25
"""Width of the strip at least, in heights of text: each part fits on a line of its own."""

_SWATCH = 2.3
"""From the left of the hatched box to its words, in heights of text."""


def with_legend(heatmap: Image.Image, model: ModelIdentity | None, *, text_px: int, hatched: bool) -> Image.Image:
    """The heat map, RGB, with the strip below; what doesn't fit beside the rest stands on a line of its own.

    A sliver has blank paper on its right. text_px: height of text; hatched: whether any of the picture is.
    """
    text = text_px
    wide, high = max(heatmap.width, round(text * _NARROWEST)), heatmap.height
    whole, short = _outline_words(model)
    font = ImageFont.load_default(size=text)
    left, top, length = text, high + round(text * 2.2), min(round(wide * 0.42), text * 24)
    box = left + length + text * 2, top + text * 0.45  # clear of the words above
    hatched_below = hatched and box[0] + text * _SWATCH + font.getlength(_HATCHED) > wide
    if hatched_below:
        length = min(wide - 2 * text, text * 24)
    mark = None if model is None else left + model.threshold * length
    where = (0.0 if mark is None else mark + text * 0.3, top - text * 0.15)
    outline_below = bool(short) and (
        where[0] < left + font.getlength(_TITLE) or where[0] + font.getlength(short) > wide - text * 0.5
    )
    lines = [high + text * (_STRIP + _LINE * (number + 0.3)) for number in range(outline_below + hatched_below)]
    sheet = Image.new("RGB", (wide, high + round(text * (_STRIP + _LINE * len(lines)))), PAPER)
    sheet.paste(heatmap, (0, 0))
    draw = ImageDraw.Draw(sheet)
    ramp = heat_ramp()[np.linspace(0, 255, length).astype(int)]
    sheet.paste(Image.fromarray(np.repeat(ramp[None], round(text * 0.9), axis=0)), (left, top))
    draw.text((left, high + text * 0.7), _TITLE, font=font, fill=INK)
    for share in (0.0, 0.5, 1.0):
        draw.text((left + share * length, top + text * 1.1), f"{share:g}", font=font, fill=INK, anchor="ma")
    if mark is not None:
        draw.line([(mark, top - text * 0.3), (mark, top + text * 1.2)], fill=INK, width=max(2, text // 9))
        end = wide
        if outline_below:
            where, end = (left, lines[0] + text * 0.35), wide - text
        draw.text(where, whole if where[0] + font.getlength(whole) < end else short, font=font, fill=INK, anchor="ls")
    if hatched_below:
        box = left, lines[-1] - text * 0.5
    if hatched:
        _hatched_swatch(draw, box, text)
        draw.text((box[0] + text * _SWATCH, box[1] + text * 0.5), _HATCHED, font=font, fill=INK, anchor="lm")
    return sheet


def _outline_words(model: ModelIdentity | None) -> tuple[str, str]:
    """What the mark on the ramp means, in full and as short as it may be; "" without a model."""
    if model is None:
        return "", ""
    short = f"outline at {model.threshold:.2f}"
    return (f"{short} of the smoothed map" if model.smoothing_um else short), short


def _hatched_swatch(draw: ImageDraw.ImageDraw, corner: tuple[float, float], text_px: int) -> None:
    """A small hatched box."""
    left, top = corner
    wide, high = text_px * 1.8, text_px
    for shift in range(round(-high), round(wide), max(4, round(text_px * 0.45))):
        start, end = max(shift, 0), min(shift + high, wide)
        if end > start:
            ends = [(left + start, top + high - (start - shift)), (left + end, top + high - (end - shift))]
            draw.line(ends, fill=NOT_EXAMINED, width=2)
    draw.rectangle((left, top, left + wide, top + high), outline=NOT_EXAMINED, width=2)
