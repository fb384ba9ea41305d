"""Curves and scatter plots as inline SVG: no script, no library, sharp in print."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.classification import ITC_LIMIT_UM, MICRO_LIMIT_UM
from nodescan.domain.lengths import millimetres
from nodescan.evaluation.froc import FALSE_POSITIVES, FrocCurve
from nodescan.evaluation.pairing import LesionMatch
from nodescan.evaluation.size_figures import SizeAgreement
from nodescan.evaluation.slide_auc import RocCurve
from nodescan.reports.palette import CLASS_COLOURS, INK

WIDTH, HEIGHT = 520, 400
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 14, 52
_ACCENT, _GRID, _SOFT = "#0f766e", "#e4e9ef", "#4a5768"
_MOST_POINTS = 2000


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis. ticks: values where it is marked; logarithmic: equal ratios are equally long."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, from 0 to 1; what lies outside is drawn at the edge."""
        inside = min(max(value, self.low), self.high)
        if self.logarithmic:
            return math.log(inside / self.low) / math.log(self.high / self.low)
        return (inside - self.low) / (self.high - self.low)


_UNIT_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def roc_plot(curve: RocCurve) -> str:
    """The ROC curve over the diagonal of chance."""
    plot = _Plot(Axis("False-positive rate", 0, 1, _UNIT_TICKS), Axis("True-positive rate", 0, 1, _UNIT_TICKS))
    chance = plot.line([(0, 0), (1, 1)], f'stroke="{_SOFT}" stroke-dasharray="4 4" stroke-width="1"')
    points = _pairs(curve.false_positive, curve.true_positive)
    return plot.svg("ROC curve", chance + plot.line(points, f'stroke="{_ACCENT}" stroke-width="2.5"'))


def froc_plot(curve: FrocCurve, sensitivities: Sequence[float | None], *, steps: bool) -> str:
    """The FROC curve on a logarithmic axis, the six points it is read at marked. steps: no line between points."""
    x = Axis("False positives per slide", 0.125, 16, (0.125, *FALSE_POSITIVES, 16), logarithmic=True)
    plot = _Plot(x, Axis("Lesion sensitivity", 0, 1, _UNIT_TICKS))
    grid = np.geomspace(x.low, x.high, 400)
    if steps:
        values = curve.sensitivity[np.searchsorted(curve.false_positives, grid, side="right") - 1]
    else:
        values = np.interp(grid, curve.false_positives, curve.sensitivity)
    line = plot.line(_pairs(grid, values), f'stroke="{_ACCENT}" stroke-width="2.5"')
    dots = "".join(
        plot.dot((at, value), _ACCENT, f"{at:g} false positives per slide: {value:.3f}")
        for at, value in zip(FALSE_POSITIVES, sensitivities, strict=True)
        if value is not None
    )
    return plot.svg("FROC curve", line + dots)


def bland_altman_plot(lesions: Sequence[LesionMatch], agreement: SizeAgreement) -> str:
    """Differences against means of matched sizes, with bias, limits of agreement and the class limits."""
    pairs = [(m, m.measured_um) for m in lesions if m.measured_um is not None]
    means = [(m.true_um + measured) / 2 for m, measured in pairs]
    named = ((agreement.bias, "bias"), (agreement.upper, "upper limit"), (agreement.lower, "lower limit"))
    lines = [(found.value, words) for found, words in named if found.value is not None]
    reach = _round_up(max(*(abs(measured - m.true_um) for m, measured in pairs), *(abs(v) for v, _ in lines[1:])) * 1.1)
    x = Axis("Mean of true and measured size (µm)", *_decades(means), logarithmic=True)
    plot = _Plot(x, Axis("Measured less true (µm)", -reach, reach, (-reach, -reach / 2, 0.0, reach / 2, reach)))
    dotted = f'stroke="{_SOFT}" stroke-dasharray="1 4" stroke-width="1.2"'
    limits = [limit for limit in (ITC_LIMIT_UM, MICRO_LIMIT_UM) if x.low < limit < x.high]
    parts = [plot.line([(limit, -reach), (limit, reach)], dotted) for limit in limits]
    for value, words in lines:
        dash = "none" if words == "bias" else "6 4"
        style = f'stroke="{_ACCENT}" stroke-width="1.8" stroke-dasharray="{dash}"'
        parts.append(plot.line([(x.low, value), (x.high, value)], style))
    for mean, (m, measured) in zip(means, pairs, strict=True):
        words = f"{m.slide_id}: {millimetres(m.true_um)} mm, measured {millimetres(measured)} mm"
        parts.append(plot.dot((mean, measured - m.true_um), CLASS_COLOURS[m.true_class].css, words))
    parts += [plot.note((x.high, value), f"{words} {value:+.0f}") for value, words in lines]
    return plot.svg("Bland-Altman plot", "".join(parts))


def _decades(values: Sequence[float]) -> tuple[float, float, tuple[float, ...]]:
    """Low, high and ticks of a logarithmic axis in steps of 1, 2, 5."""
    steps = [factor * 10.0**power for power in range(0, 6) for factor in (1, 2, 5)]
    low = max((step for step in steps if step <= min(values)), default=steps[0])
    high = min((step for step in steps if step >= max(values)), default=steps[-1])
    if low == high:
        high = low * 2
    return low, high, tuple(step for step in steps if low <= step <= high)


def _round_up(value: float) -> float:
    """The next 1, 2, 4 or 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(value, 1e-6)))
    return next(factor * power for factor in (1, 2, 4, 10) if factor * power >= value)


def _pairs(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[tuple[float, float]]:
    return list(zip(x.tolist(), y.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Plot:
    """Two axes, and what is drawn by them, as SVG."""

    x: Axis
    y: Axis

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """Where a point is drawn, from the top left."""
        x, y = self.x.share(point[0]) * (WIDTH - LEFT - RIGHT), self.y.share(point[1]) * (HEIGHT - TOP - BOTTOM)
        return round(LEFT + x, 2), round(HEIGHT - BOTTOM - y, 2)

    def line(self, points: Sequence[tuple[float, float]], style: str) -> str:
        step = max(1, math.ceil(len(points) / _MOST_POINTS))
        path = " ".join(f"{x},{y}" for x, y in map(self.at, [*points[::step], points[-1]]))
        return f'<polyline points="{path}" fill="none" stroke-linejoin="round" {style}/>'

    def dot(self, point: tuple[float, float], colour: str, words: str) -> str:
        x, y = self.at(point)
        title = f"<title>{escape(words)}</title>"
        return f'<circle cx="{x}" cy="{y}" r="4.2" fill="{colour}" fill-opacity=".8" stroke="#fff">{title}</circle>'

    def note(self, point: tuple[float, float], words: str) -> str:
        x, y = self.at(point)
        halo = 'paint-order="stroke" stroke="#fff" stroke-width="4"'
        place = f'x="{x - 4}" y="{y - 5}" text-anchor="end"'
        return f'<text {place} fill="{_ACCENT}" {halo}>{escape(words)}</text>'

    def svg(self, title: str, inner: str) -> str:
        """The whole picture: grid, ticks and labels under what is drawn."""
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        parts = [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
            f'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="12">'
        ]
        for tick in self.x.ticks:
            at, _ = self.at((tick, self.y.low))
            parts.append(f'<line x1="{at}" y1="{TOP}" x2="{at}" y2="{bottom}" stroke="{_GRID}"/>')
            parts.append(f'<text x="{at}" y="{bottom + 17}" text-anchor="middle" fill="{_SOFT}">{tick:g}</text>')
        for tick in self.y.ticks:
            _, at = self.at((self.x.low, tick))
            parts.append(f'<line x1="{LEFT}" y1="{at}" x2="{right}" y2="{at}" stroke="{_GRID}"/>')
            parts.append(f'<text x="{LEFT - 7}" y="{at + 4}" text-anchor="end" fill="{_SOFT}">{tick:g}</text>')
        middle = (TOP + bottom) / 2
        centred = f'text-anchor="middle" fill="{INK.css}"'
        parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 10}" {centred}>{escape(self.x.label)}</text>')
        parts.append(f'<text transform="translate(15 {middle}) rotate(-90)" {centred}>{escape(self.y.label)}</text>')
        return "".join([*parts, inner, "</svg>"])
