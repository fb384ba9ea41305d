"""A picture of a slide to draw on: every place is given in um, lines come out smooth."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage.measure import find_contours

from nodescan.domain.maps import Picture
from nodescan.domain.units import Micrometers, Spacing
from nodescan.imaging.components import window_of
from nodescan.reports.palette import INK, PAPER, Colour, Stroke

_FINER = 2
"""Lines are drawn on a layer this many times finer and reduced, which smooths their edges."""

_UNSEEN = 0.5
"""In pixels of the layer: a line's points are left out where it runs no further off without them. Outlines of masks
turn at each pixel, and joints take most of the time."""

_CASING, _DOTS_APART, _DOUBLED, _BETWEEN = 1.8, 2.1, 2.3, 0.75
"""In widths of a line, but the first: what a casing adds to it; from dot to dot; a double line, and the white in it."""

_FEWEST_DOTS = 6
"""A ring that has room for fewer is drawn as a line: they would fill it."""

_TEXT_PER_LINE = 16
"""Height of text beside which a line of width 1 is one pixel wide."""

_PLATE = PAPER.rgba(232)
"""Behind text: white, with a little of the tissue shining through."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of something drawn, in pixels of the picture."""


class Canvas:
    """A picture with square pixels, `longest_px` along its longer side, and a layer of lines and labels over it.

    text_px: height of labels. Lines grow with it: a width of 1 is a thin line beside text of that size.
    """

    def __init__(self, picture: Picture, longest_px: int, *, text_px: int, base: Image.Image | None = None) -> None:
        """base: the picture at that size, where it was made before."""
        height, width = picture.pixels.shape[:2]
        width_um, height_um = width * picture.spacing.x, height * picture.spacing.y
        self.um_per_px = max(width_um, height_um) / longest_px
        size = max(1, round(width_um / self.um_per_px)), max(1, round(height_um / self.um_per_px))
        self.left_um, self.top_um = picture.left_um, picture.top_um
        self.base = base or Image.fromarray(picture.pixels).resize(size, Image.Resampling.LANCZOS)
        self._layer = Image.new("RGBA", (size[0] * _FINER, size[1] * _FINER), PAPER.rgba(0))
        self._draw = ImageDraw.Draw(self._layer)
        self._taken: list[Box] = []
        self.text_px = text_px
        self._font = ImageFont.load_default(size=self.text_px * _FINER)

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.base.size

    def image(self) -> Image.Image:
        """The picture with everything drawn on it, RGB."""
        image, touched = self.base.copy(), self._layer.getbbox()
        if touched is None:
            return image
        left, top, right, bottom = (
            touched[0] // _FINER,
            touched[1] // _FINER,
            *(-(-end // _FINER) for end in touched[2:]),
        )
        box = (left * _FINER, top * _FINER, right * _FINER, bottom * _FINER)
        drawn = self._layer.crop(box).reduce(_FINER)  # with reduce's own box all of the layer would be converted
        image.paste(drawn.convert("RGB"), (left, top), drawn.getchannel("A"))
        return image

    def sampled(self, values: NDArray[np.generic], spacing: Spacing) -> NDArray[np.generic]:
        """What a map holds at the centre of each pixel of this picture, 0 outside.

        values : any dtype (H, W), pixel (0, 0) at the slide canvas' top left; spacing: of its pixels.
        """
        width, height = self.size_px
        columns = np.floor((self.left_um + (np.arange(width) + 0.5) * self.um_per_px) / spacing.x).astype(int)
        rows = np.floor((self.top_um + (np.arange(height) + 0.5) * self.um_per_px) / spacing.y).astype(int)
        inside_x, inside_y = (columns >= 0) & (columns < values.shape[1]), (rows >= 0) & (rows < values.shape[0])
        found = np.zeros((height, width), dtype=values.dtype)
        shown = values.take(rows[inside_y], axis=0).take(columns[inside_x], axis=1)
        found[_span(inside_y), _span(inside_x)] = shown
        return found

    def outline_ring(
        self, ring_um: NDArray[np.float64], colour: Colour, *, width: float, casing: bool, stroke: Stroke = "single"
    ) -> None:
        """Draw a closed ring. ring_um : float64 (n, 2), x and y in um on the slide canvas; casing: a white edge.

        width: of a single line, of a dot; a double line is wider.
        """
        points = self._to_layer(np.vstack([ring_um, ring_um[:1]]))
        whole = width * _DOUBLED if stroke == "double" else width
        if casing:
            self._line(points, PAPER.rgba(235), whole + _CASING)
        dot = self._thickness(width)
        places = _evenly(points, dot * _DOTS_APART) if stroke == "dotted" else []
        if len(places) < _FEWEST_DOTS:
            self._line(points, colour.rgba(255), whole)
        else:
            for x, y in places:
                self._draw.ellipse((x - dot / 2, y - dot / 2, x + dot / 2, y + dot / 2), fill=colour.rgba(255))
        if stroke == "double":
            self._line(points, PAPER.rgba(255), width * _BETWEEN)

    def outline_mask(self, mask: NDArray[np.bool_], colour: Colour, *, width: float, dashed: bool = False) -> None:
        """Draw the border of a mask. mask : bool, shape of this picture, its pixels."""
        if not mask.any():
            return
        for contour in find_contours(np.pad(mask, 1).astype(np.float32), 0.5):
            points = (contour[:, ::-1] - 0.5) * _FINER
            pieces = _dashes(points, self.text_px * _FINER * 0.55) if dashed else [points]
            for piece in pieces:
                self._line(piece, colour.rgba(255), width)

    def hatch_mask(self, mask: NDArray[np.bool_], colour: Colour) -> None:
        """Fill a mask with diagonal lines. mask : bool, shape of this picture, its pixels."""
        if not mask.any():
            return
        rows, columns = window_of(mask)
        fine = mask[rows, columns].repeat(_FINER, axis=0).repeat(_FINER, axis=1)
        y, x = np.ogrid[: fine.shape[0], : fine.shape[1]]
        period, stroke = round(self.text_px * 0.8) * _FINER, max(1, round(self.text_px * 0.16)) * _FINER
        lines = fine & ((y + x) % period < stroke)
        corner = (columns.start * _FINER, rows.start * _FINER)
        self._layer.paste(PAPER.rgba(150), corner, Image.fromarray((fine & ~lines).astype(np.uint8) * 150))
        self._layer.paste(colour.rgba(230), corner, Image.fromarray(lines.astype(np.uint8) * 255))

    def ring_around(
        self, centre_um: tuple[float, float], radius_px: float, colour: Colour, *, stroke: Stroke = "single"
    ) -> tuple[float, float]:
        """A circle that draws the eye to something too small to see, and that no label lies in; in um, its upper right
        point, to put a label to."""
        angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius_px * self.um_per_px
        width = 2.2 if stroke == "dotted" else 1.6  # smaller dots run together where a page shows the picture
        self.outline_ring(np.asarray(centre_um) + circle, colour, width=width, casing=True, stroke=stroke)
        (x, y), within = self._to_layer(np.asarray([centre_um]))[0] / _FINER, radius_px * math.sqrt(0.5)
        self._taken.append((x - within, y - within, x + within, y + within))
        return centre_um[0] + within * self.um_per_px, centre_um[1] - within * self.um_per_px

    def keep_clear(self, ring_um: NDArray[np.float64]) -> None:
        """No label is put over what the ring encloses, while there is room. ring_um : float64 (n, 2)."""
        corners = self._to_layer(ring_um) / _FINER
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        self._taken.append((float(x0), float(y0), float(x1), float(y1)))

    def diameter(self, ends_um: Sequence[tuple[float, float]], text: str, *, beside_um: NDArray[np.float64]) -> None:
        """A measured line between two points, a bar across each end, and its length where it hides no cell.

        beside_um : float64 (n, 2), an outline that the length is written above or below of, where there is room.
        """
        (x0, y0), (x1, y1) = self._to_layer(np.asarray(ends_um, dtype=np.float64))
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        across = (-(y1 - y0) / length, (x1 - x0) / length)
        half = self.text_px * _FINER * 0.45
        bars = [[(x + across[0] * s, y + across[1] * s) for s in (-half, half)] for x, y in ((x0, y0), (x1, y1))]
        for colour, width in ((PAPER.rgba(245), 4.2), (INK.rgba(255), 1.8)):
            for line in ([(x0, y0), (x1, y1)], *bars):
                self._line(line, colour, width)
        middle = (x0 + x1) / 2 / _FINER, (y0 + y1) / 2 / _FINER
        corners = np.asarray(self._to_layer(beside_um)) / _FINER
        wide, high = self._label_size(text)
        gap = high / 2 + self.text_px * 0.6
        above, below = float(corners[:, 1].min()) - gap, float(corners[:, 1].max()) + gap
        free = [(middle[0] - wide / 2, y - high / 2, middle[0] + wide / 2, y + high / 2) for y in (above, below)]
        room = [box for box in free if box[1] >= 2 and box[3] <= self.size_px[1] - 2]
        self._label(text, [*room, *_beside_line(middle, wide, high, across)], fill=_PLATE, ink=INK)

    def badge(self, anchor_um: tuple[float, float], text: str, colour: Colour) -> None:
        """A small filled label next to a place."""
        x, y = self._to_layer(np.asarray([anchor_um], dtype=np.float64))[0]
        places = _around((x / _FINER, y / _FINER), *self._label_size(text))
        self._label(text, places, fill=colour.rgba(255), ink=PAPER)

    def scale_bar(self) -> None:
        """A bar of a round length, about a fifth of the picture wide, at the lower left; its text smaller where the
        picture is too narrow for it."""
        width, height = self.size_px
        length_um = round_length_um(Micrometers(width * self.um_per_px / 5))
        text, bar = f"{length_um / 1000:g} mm", length_um / self.um_per_px
        wide = self.text_px * 2.6 * 0.7 + max(bar, self._font.getlength(text) / _FINER)
        text_px = self.text_px * min(1.0, (width - 2) / wide)
        font = self._font if text_px == self.text_px else ImageFont.load_default(size=text_px * _FINER)
        pad, text_width = text_px * 0.7, font.getlength(text) / _FINER
        plate = (pad, height - pad * 2.3 - text_px * 1.5, pad + max(bar, text_width) + 1.6 * pad, height - pad)
        self._plate(plate, _PLATE)
        base = plate[3] - pad * 0.7
        left = plate[0] + 0.8 * pad
        self._draw.rectangle(_fine_box((left, base - max(3, text_px * 0.2), left + bar, base)), fill=INK.rgba(255))
        self._draw.text(_fine_point(left, plate[1] + pad * 0.4), text, font=font, fill=INK.rgba(255))

    def _label_size(self, text: str) -> tuple[float, float]:
        """Width and height of text on its plate."""
        pad = self.text_px * 0.35
        return self._font.getlength(text) / _FINER + 2 * pad, self.text_px * 1.15 + 2 * pad

    def _label(self, text: str, places: Sequence[Box], *, fill: tuple[int, int, int, int], ink: Colour) -> None:
        """Text on a plate at the first of the places, each moved into the picture, that is free."""
        boxes = [_inside(place, self.size_px) for place in places]
        box = min(boxes, key=lambda place: sum(_shared(place, taken) for taken in self._taken))  # the first, if free
        self._plate(box, fill)
        middle = _fine_point((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        self._draw.text(middle, text, font=self._font, fill=ink.rgba(255), anchor="mm")

    def _plate(self, box: Box, fill: tuple[int, int, int, int]) -> None:
        self._taken.append(box)
        edge = PAPER.rgba(255)
        self._draw.rounded_rectangle(
            _fine_box(box), radius=self.text_px * 0.3 * _FINER, fill=fill, outline=edge, width=_FINER
        )

    def _line(
        self, points: NDArray[np.float64] | Sequence[Sequence[float]], colour: tuple[int, ...], width: float
    ) -> None:
        """points: float (n, 2), in pixels of the layer."""
        path = shapely.get_coordinates(shapely.simplify(shapely.linestrings(points), _UNSEEN, preserve_topology=False))
        self._draw.line(path.ravel().tolist(), fill=colour, width=self._thickness(width), joint="curve")

    def _thickness(self, width: float) -> int:
        """In pixels of the layer."""
        return max(1, round(width * self.text_px / _TEXT_PER_LINE * _FINER))

    def _to_layer(self, points_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """points_um : float64 (n, 2), um on the slide canvas -> pixels of the layer."""
        return (points_um - np.array([self.left_um, self.top_um])) / self.um_per_px * _FINER


def round_length_um(wanted_um: Micrometers) -> float:
    """The largest 1, 2 or 5 times a power of ten that is no longer than `wanted_um`."""
    power = 10.0 ** math.floor(math.log10(wanted_um))
    return max(step * power for step in (1, 2, 5) if step * power <= wanted_um * (1 + 1e-9))


def _span(inside: NDArray[np.bool_]) -> slice:
    """The run of True in a line of pixels."""
    places = np.flatnonzero(inside)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


def _beside_line(middle: tuple[float, float], wide: float, high: float, across: tuple[float, float]) -> list[Box]:
    """Boxes of one size to both sides of a line. across: of length 1, at a right angle to it."""
    reach = abs(across[0]) * wide / 2 + abs(across[1]) * high / 2 + 6
    return _boxes(middle, wide, high, [(across[0] * side * reach, across[1] * side * reach) for side in (-1, 1)])


def _around(near: tuple[float, float], wide: float, high: float) -> list[Box]:
    """Boxes of one size around a place, in the eight directions, the nearest first."""
    near_x, near_y = wide / 2 + 5, high / 2 + 5
    shifts = [
        (step * sx * near_x, step * sy * near_y)
        for step in (1, 2.2, 3.4)
        for sx, sy in ((1, -1), (-1, -1), (1, 1), (-1, 1), (0, -1), (1, 0), (0, 1), (-1, 0))
    ]
    return _boxes(near, wide, high, shifts)


def _boxes(near: tuple[float, float], wide: float, high: float, shifts: Sequence[tuple[float, float]]) -> list[Box]:
    x, y = near
    return [(x + dx - wide / 2, y + dy - high / 2, x + dx + wide / 2, y + dy + high / 2) for dx, dy in shifts]


def _inside(box: Box, size: tuple[int, int]) -> Box:
    """The box moved into the picture, 2 px from its edge."""
    dx = max(2 - box[0], 0) + min(size[0] - 2 - box[2], 0)
    dy = max(2 - box[1], 0) + min(size[1] - 2 - box[3], 0)
    return box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy


def _shared(one: Box, other: Box) -> float:
    """How much of the other box the one hides, 0 to 1: a small deposit counts as much as a label."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    area = (other[2] - other[0]) * (other[3] - other[1])
    return max(0.0, wide) * max(0.0, high) / area if area else 0.0


def _fine_point(x: float, y: float) -> tuple[float, float]:
    return x * _FINER, y * _FINER


def _fine_box(box: Box) -> Box:
    return box[0] * _FINER, box[1] * _FINER, box[2] * _FINER, box[3] * _FINER


def _evenly(points: NDArray[np.float64], step: float) -> list[list[float]]:
    """Places along a closed line, about a step apart. points : float64 (n, 2)."""
    line = shapely.linestrings(points)
    number = round(float(shapely.length(line)) / step)
    places = shapely.line_interpolate_point(line, np.arange(number) / max(1, number), normalized=True)
    return shapely.get_coordinates(places).tolist()


def _dashes(points: NDArray[np.float64], length: float) -> list[NDArray[np.float64]]:
    """Every second piece of about `length` along a line; points : float64 (n, 2)."""
    walked = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    number = np.floor(walked / length).astype(int)
    ends = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(points) - 1]
    pieces = [points[start : end + 1] for start, end in pairwise(ends)]
    return [piece for piece in pieces[::2] if len(piece) > 1]
