"""overview.jpg, heatmap.png and the close-ups of deposits: what was looked at, and what was found where."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nodescan.domain.deposits import Deposit
from nodescan.domain.maps import Picture, ProbabilityMap, TissueMask
from nodescan.domain.report import SlideReport, SlideResult, Status
from nodescan.domain.slide import BoundsUm
from nodescan.reports.drawing import Canvas
from nodescan.reports.heat_legend import with_legend
from nodescan.reports.palette import (
    EXCLUDED_COLOURS,
    INK,
    NOT_EXAMINED,
    PLACE,
    TISSUE,
    deposit_colours,
    deposit_strokes,
    heat_ramp,
)
from nodescan.reports.places import LETTERS, marked_places
from nodescan.reports.wording import size_words
from nodescan.whole_files import write_beside

OVERVIEW_JPG = "overview.jpg"
HEATMAP_PNG = "heatmap.png"

_LONGEST_PX = 1800
"""Long side of overview and heat map at most: sharp in print at 18 cm, below 1 MB as JPEG."""

_SHORTEST_PX = 900
"""Long side at least: smaller overviews are enlarged, so that labels don't cover them."""

_CLOSE_UP_PX = 720
"""Long side of a close-up, also of one that has to be enlarged: its labels must stay readable."""

_TEXT_SHARE = 0.024
_CLOSE_UP_TEXT_SHARE = 0.037
"""Height of labels as a share of the long side: readable where the page shows a picture at half its size or less."""

MOST_NUMBERED = 25
"""More numbers than this hide the slide; deposits are numbered by size, so the largest keep theirs."""

_SMALLEST_SEEN = 0.6
"""A deposit that is smaller in the overview than this share of a label's height gets a circle around it."""

_HIDDEN_BY_LABEL = 4.0
"""A deposit smaller than this share of a label's height could lie under one, wholly or for the most part."""

_PLACE_UM = 100.0
"""Radius of the circle around a likely place, where the overview is fine enough to show it."""

_PNG_LEVEL = 1
"""A fifth larger than at zlib's own level 6, in a third of the time."""

_FAINT = 0.02
"""Probabilities below this leave the heat map bare; the colour fills up to _FULL."""

_FULL = 0.3

_Drawn = TypeVar("_Drawn")


@dataclass(frozen=True, slots=True)
class Jpeg:
    """An encoded picture and its size."""

    content: bytes
    width_px: int
    height_px: int

    @staticmethod
    def of(image: Image.Image) -> "Jpeg":
        """The picture without subsampled colour, which would smear thin outlines."""
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=87, subsampling=0)
        return Jpeg(buffer.getvalue(), image.width, image.height)


class SlidePictures:
    """What several writers show of a slide, drawn once; safe to ask from several threads.

    heatmap: without a legend. hatched: whether tissue that was not examined is hatched in them.
    """

    def __init__(self, result: SlideResult) -> None:
        base = _Once(lambda: None if (canvas := _slide_canvas(result)) is None else canvas.base)
        self.overview = _Once(lambda: None if (image := draw_overview(result, base())) is None else Jpeg.of(image))
        self.heatmap = _Once(lambda: draw_heatmap(result, base()))
        self.hatched = _Once(lambda: shows_hatching(result, base()))


class _Once(Generic[_Drawn]):
    def __init__(self, draw: Callable[[], _Drawn]) -> None:
        self._draw, self._lock, self._drawn = draw, Lock(), list[_Drawn]()

    def __call__(self) -> _Drawn:
        with self._lock:
            if not self._drawn:
                self._drawn.append(self._draw())
        return self._drawn[0]


def write_pictures(result: SlideResult, folder: Path, *, pictures: SlidePictures | None = None) -> None:
    """Write overview.jpg, and heatmap.png where there is a map; nothing for a slide that never opened.

    pictures: of this result, where another writer shows them too.
    """
    pictures = pictures or SlidePictures(result)
    overview, heatmap = pictures.overview(), pictures.heatmap()
    if overview is not None:
        write_beside(folder / OVERVIEW_JPG, overview.content)
    if heatmap is not None:
        buffer = io.BytesIO()
        text_px = _text_px(max(heatmap.size))
        sheet = with_legend(heatmap, result.report.model, text_px=text_px, hatched=pictures.hatched())
        sheet.save(buffer, "PNG", compress_level=_PNG_LEVEL)
        write_beside(folder / HEATMAP_PNG, buffer.getvalue())


def draw_overview(result: SlideResult, base: Image.Image | None = None) -> Image.Image | None:
    """The slide with tissue, what was left out or not examined, and numbered deposits; None without a picture.

    base: of SlidePictures, drawn on by others too, so it is left as it is.
    """
    canvas = _slide_canvas(result, base)
    if canvas is None:
        return None
    if result.tissue is not None:
        for reason, mask in result.tissue.excluded:
            sampled = canvas.sampled(mask, result.tissue.spacing).astype(bool)
            canvas.outline_mask(sampled, EXCLUDED_COLOURS[reason], width=1.8, dashed=True)
        tissue = canvas.sampled(result.tissue.wanted, result.tissue.spacing).astype(bool)
        canvas.outline_mask(tissue, TISSUE, width=1.2)
        _draw_not_examined(canvas, result, result.tissue)
    if result.report.status is not Status.UNMEASURABLE:
        canvas.scale_bar()  # over the hatching, which may fill its corner
    _draw_deposits(canvas, result.report)
    _draw_places(canvas, result.report)
    return canvas.image()


def draw_heatmap(result: SlideResult, base: Image.Image | None = None) -> Image.Image | None:
    """Probability over the pale slide; None without a picture or a map. base: as for draw_overview."""
    if result.probability is None or (canvas := _slide_canvas(result, base)) is None:
        return None
    canvas.base = _heated(canvas, result.probability)
    if result.tissue is not None:
        _draw_not_examined(canvas, result, result.tissue)
    canvas.scale_bar()
    for deposit in result.report.deposits:
        for polygon in deposit.outline:
            canvas.outline_ring(polygon.exterior, INK, width=1.0, casing=True)
    return canvas.image()


def draw_close_up(deposit: Deposit, picture: Picture, report: SlideReport) -> Image.Image:
    """The deposit close up, outlined, its greatest diameter drawn; others of the report get a thin outline."""
    canvas = Canvas(picture, _CLOSE_UP_PX, text_px=round(_CLOSE_UP_PX * _CLOSE_UP_TEXT_SHARE))
    for other in report.deposits:
        mine = other.id == deposit.id
        _outline(canvas, other, report, width=3.0 if mine else 1.3, casing=mine)
    canvas.scale_bar()  # over the outlines, before the label that keeps clear of it
    canvas.diameter(deposit.endpoints_um, size_words(deposit), beside_um=_border(deposit))
    return canvas.image()


def draw_place(picture: Picture) -> Image.Image:
    """A likely place close up, in the middle; nothing of it is outlined or measured."""
    canvas = Canvas(picture, _CLOSE_UP_PX, text_px=round(_CLOSE_UP_PX * _CLOSE_UP_TEXT_SHARE))
    canvas.scale_bar()
    return canvas.image()


def shows_hatching(result: SlideResult, base: Image.Image | None = None) -> bool:
    """Whether anything is hatched in the pictures of the whole slide. base: as for draw_overview."""
    canvas = _slide_canvas(result, base)
    return canvas is not None and result.tissue is not None and bool(_missed(canvas, result, result.tissue).any())


def _missed(canvas: Canvas, result: SlideResult, tissue: TissueMask) -> NDArray[np.bool_]:
    """What is hatched, bool, shape of the canvas' picture: tissue that no network answered for, and where tissue runs
    into what was never scanned."""
    missed = canvas.sampled(tissue.wanted, tissue.spacing).astype(bool)
    if result.probability is not None:
        missed &= ~canvas.sampled(result.probability.examined, result.probability.spacing).astype(bool)
    if tissue.cut is not None and tissue.unscanned is not None:  # else it ends with the picture
        missed |= canvas.sampled(tissue.cut & tissue.unscanned, tissue.spacing).astype(bool)
    return missed


def _slide_canvas(result: SlideResult, base: Image.Image | None = None) -> Canvas | None:
    if result.overview is None:
        return None
    info = result.report.info
    overview = result.overview if info is None else _scanned_part(result.overview, info.bounds_um)
    longest_px = min(_LONGEST_PX, max(_SHORTEST_PX, *overview.pixels.shape[:2]))
    return Canvas(overview, longest_px, text_px=_text_px(longest_px), base=base)


def _text_px(longest_px: int) -> int:
    """Height of labels on a picture of the whole slide."""
    return round(longest_px * _TEXT_SHARE)


def _scanned_part(overview: Picture, bounds: BoundsUm) -> Picture:
    """What viewers show of a canvas that was scanned in part; a MIRAX canvas is many times as large."""
    x, y = overview.spacing.x, overview.spacing.y
    left, top = max(0, round((bounds.left - overview.left_um) / x)), max(0, round((bounds.top - overview.top_um) / y))
    right = round((bounds.right - overview.left_um) / x)
    bottom = round((bounds.bottom - overview.top_um) / y)
    pixels = overview.pixels[top:bottom, left:right]
    if not pixels.size:
        return overview
    return Picture(pixels, overview.left_um + left * x, overview.top_um + top * y, overview.spacing)


def _draw_not_examined(canvas: Canvas, result: SlideResult, tissue: TissueMask) -> None:
    missed = _missed(canvas, result, tissue)
    canvas.hatch_mask(missed, NOT_EXAMINED)
    canvas.outline_mask(missed, NOT_EXAMINED, width=1.2)


def _draw_deposits(canvas: Canvas, report: SlideReport) -> None:
    """Outlines first, the largest last, so that no label is drawn over."""
    colours, strokes = deposit_colours(report), deposit_strokes(report)
    anchors: dict[int, tuple[float, float]] = {}
    for deposit in reversed(report.deposits):
        _outline(canvas, deposit, report, width=2.4, casing=True)
        if deposit.diameter_um / canvas.um_per_px < _SMALLEST_SEEN * canvas.text_px:
            radius_px = _SMALLEST_SEEN * canvas.text_px
            colour, stroke = colours[deposit.metastasis], strokes[deposit.metastasis]
            anchors[deposit.id] = canvas.ring_around(deposit.centre_um, radius_px, colour, stroke=stroke)
        elif deposit.diameter_um / canvas.um_per_px < _HIDDEN_BY_LABEL * canvas.text_px:
            canvas.keep_clear(_border(deposit))
    for deposit in report.deposits[:MOST_NUMBERED]:
        canvas.badge(anchors.get(deposit.id) or _upper_right(deposit), str(deposit.id), colours[deposit.metastasis])


def _outline(canvas: Canvas, deposit: Deposit, report: SlideReport, *, width: float, casing: bool) -> None:
    """In the colour and the line of its class, its holes too."""
    colour, stroke = deposit_colours(report)[deposit.metastasis], deposit_strokes(report)[deposit.metastasis]
    for polygon in deposit.outline:
        for ring in (polygon.exterior, *polygon.holes):
            canvas.outline_ring(ring, colour, width=width, casing=casing, stroke=stroke)


def _border(deposit: Deposit) -> NDArray[np.float64]:
    """float64 (n, 2), in um: all points of its outer rings."""
    return np.vstack([polygon.exterior for polygon in deposit.outline])


def _upper_right(deposit: Deposit) -> tuple[float, float]:
    """In um, the point of the outline."""
    points = _border(deposit)
    x, y = points[np.argmax(points[:, 0] - points[:, 1])]
    return float(x), float(y)


def _draw_places(canvas: Canvas, report: SlideReport) -> None:
    """A circle around each marked place, beside it its letter."""
    radius_px = max(_SMALLEST_SEEN * canvas.text_px, _PLACE_UM / canvas.um_per_px)
    anchors = [canvas.ring_around((found.x_um, found.y_um), radius_px, PLACE) for found in marked_places(report)]
    for letter, anchor in zip(LETTERS, anchors, strict=False):
        canvas.badge(anchor, letter, PLACE)


def _heated(canvas: Canvas, probability: ProbabilityMap) -> Image.Image:
    """The pale grey slide, coloured where tumour is probable."""
    pale = canvas.base.convert("L").point([round(255 - (255 - grey) * 0.55) for grey in range(256)]).convert("RGB")
    levels = Image.fromarray(np.rint(_highest_per_pixel(canvas, probability) * 255).astype(np.uint8))
    opacity = np.clip((np.arange(256) / 255 - _FAINT) / (_FULL - _FAINT), 0, 1) * 0.86
    mask = levels.point(np.rint(opacity * 255).astype(int).tolist())
    levels.putpalette(heat_ramp().tobytes())
    pale.paste(levels.convert("RGB"), mask=mask)
    return pale


def _highest_per_pixel(canvas: Canvas, probability: ProbabilityMap) -> NDArray[np.float32]:
    """float32, shape of the canvas' picture, in [0, 1]: the highest answer that falls into a pixel.

    The answer at the pixel's centre alone would drop a small deposit where cells are finer than pixels.
    """
    values = canvas.sampled(probability.values, probability.spacing).astype(np.float32)
    rows, columns = np.nonzero(probability.values > _FAINT)
    x = np.floor(((columns + 0.5) * probability.spacing.x - canvas.left_um) / canvas.um_per_px).astype(int)
    y = np.floor(((rows + 0.5) * probability.spacing.y - canvas.top_um) / canvas.um_per_px).astype(int)
    inside = (x >= 0) & (x < values.shape[1]) & (y >= 0) & (y < values.shape[0])
    np.maximum.at(values, (y[inside], x[inside]), probability.values[rows[inside], columns[inside]])
    return values
