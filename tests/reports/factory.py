"""Results that no slide gave: planted numbers, a painted slide, and every way a slide can end."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from math import pi
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.deposits import Deposit, Detection, Polygon
from nodescan.domain.flags import Flag
from nodescan.domain.maps import Picture, ProbabilityMap, TissueMask
from nodescan.domain.report import ModelIdentity, Provenance, SlideReport, SlideResult, Status
from nodescan.domain.slide import BoundsUm, SlideInfo, SlideRef, SpacingSource
from nodescan.domain.units import Micrometers, MicronsPerPixel, Spacing, SquareMicrometers
from nodescan.domain.versions import RELEASED_SETTINGS_SHA256
from nodescan.reports.summary_page import RunFacts

SPACING = Spacing(MicronsPerPixel(0.25), MicronsPerPixel(0.2525))
WIDTH_PX, HEIGHT_PX = 56_000, 40_000
BOUNDS = BoundsUm(Micrometers(500.0), Micrometers(252.5), Micrometers(13_000.0), Micrometers(9_500.0))
OVERVIEW_UM = 16.0
CELL_UM = 32.0
FOLDER = Path("/archive/Jane Doe 1961")
RUN = RunFacts(datetime(2026, 3, 1, 9, 5, tzinfo=UTC), ModelIdentity("pcam", "p4m", "ab" * 32, 0.5, "cd" * 32))


def ellipse(
    number: int, centre_um: tuple[float, float], long_um: float, *, short_um: float | None = None, hole: bool = False
) -> Deposit:
    """A deposit of exactly known diameter, its long axis turned by 30 degrees."""
    short_um = long_um if short_um is None else short_um
    angles = np.linspace(0, 2 * pi, 180, endpoint=False)
    turn = np.array([[np.cos(pi / 6), np.sin(pi / 6)], [-np.sin(pi / 6), np.cos(pi / 6)]])
    ring = np.stack([np.cos(angles) * long_um / 2, np.sin(angles) * short_um / 2], axis=1) @ turn
    axis = np.array([long_um / 2, 0.0]) @ turn
    centre = np.asarray(centre_um)
    holes = (centre + ring[::-1] * 0.2,) if hole else ()
    start, end = centre - axis, centre + axis
    return Deposit(
        id=number,
        diameter_um=Micrometers(long_um),
        diameter_uncertainty_um=Micrometers(12.0 + long_um * 0.01),
        endpoints_um=((float(start[0]), float(start[1])), (float(end[0]), float(end[1]))),
        area_um2=SquareMicrometers(pi / 4 * long_um * short_um * (0.96 if hole else 1.0)),
        centre_um=centre_um,
        metastasis=classify(Micrometers(long_um)),
        outline=(Polygon(centre + ring, holes),),
        probability_mean=0.874,
        probability_max=0.9912,
    )


def read_aloud(html: str) -> str:
    """A page without the marks that keep a size or an option on one line."""
    return re.sub(r'<span class="unbroken">(.*?)</span>', r"\1", html)


MACRO = ellipse(1, (5200.0, 4300.0), 2624.0, short_um=1700.0, hole=True)
MICRO = ellipse(2, (9800.0, 3100.0), 640.0, short_um=420.0)
ITC = ellipse(3, (8600.0, 6500.0), 152.0)


def result(deposits: Sequence[Deposit], *, slide_id: str = "patient-012-node-3", unread: bool = False) -> SlideResult:
    """A complete result with these deposits, or one with an unread corner of tissue."""
    probability, tissue = _maps(tuple(deposits), unread)
    examined = np.count_nonzero(probability.examined) / np.count_nonzero(tissue.tissue)
    found = max((deposit.metastasis for deposit in deposits), default=None if unread else Metastasis.NONE)
    report = SlideReport(
        slide=SlideRef(slide_id, FOLDER / "scan-7731.svs"),
        status=Status.INCOMPLETE if unread else Status.COMPLETE,
        metastasis=found,
        at_least=unread and found is not None,
        deposits=tuple(deposits),
        detections=_detections(deposits),
        tumour_probability=0.983 if deposits else 0.21,
        tissue_area_mm2=tissue.area_um2 / 1e6,
        examined_fraction=examined if unread else 1.0,
        flags=_flags(deposits, unread),
        info=SlideInfo("aperio", "openslide", WIDTH_PX, HEIGHT_PX, SPACING, SpacingSource.FILE, BOUNDS),
        analysis_spacing=Spacing.square(1.0),
        model=ModelIdentity("pcam-fcn", "resnet-narrow-stride8", "4be1" * 16, 0.42),
        provenance=Provenance(
            versions={"nodescan": "0.1.0", "numpy": "2.1.0", "torch": "2.8.0"},
            config_sha256=RELEASED_SETTINGS_SHA256,
            slide_fingerprint="51de" * 16,
            device="cpu (2 threads)",
            precision="float32",
            started="2025-03-14T09:26:53Z",
            seconds=83.4,
        ),
    )
    close_ups = {deposit.id: _close_up(deposit) for deposit in deposits}
    return SlideResult(report, probability, tissue, _painted(tuple(deposits)), close_ups)


def failed(*, thumbnail: bool = False) -> SlideResult:
    """A slide that could not be read; the reason names the folder, as an operating system's message does."""
    message = f"{FOLDER / 'scan-7731.svs'}: the file ends early; copy it again from the scanner, then run again."
    report = SlideReport(
        slide=SlideRef("patient-012-node-3", FOLDER / "scan-7731.svs"),
        status=Status.FAILED,
        metastasis=None,
        at_least=False,
        flags=(Flag("failed", message),),
    )
    return SlideResult(report, overview=_painted(()) if thumbnail else None)


def unmeasurable() -> SlideResult:
    """A slide without spacing."""
    message = "scan-7731.svs: the file states no spacing; give it with --mpp."
    report = replace(failed().report, status=Status.UNMEASURABLE, flags=(Flag("unmeasurable", message),))
    return SlideResult(report)


def no_tissue() -> SlideResult:
    """A slide of glass."""
    whole = result(())
    report = replace(
        whole.report,
        status=Status.INCOMPLETE,
        metastasis=None,
        detections=(),
        tumour_probability=None,
        tissue_area_mm2=0.0,
        examined_fraction=None,
        flags=(Flag("no_tissue", "No tissue was found on this slide; look at the overview."),),
    )
    return SlideResult(report, overview=whole.overview)


def nothing_examined() -> SlideResult:
    """A slide whose tissue is out of focus all over: no number of foci, no largest size "none found"."""
    whole = result((), unread=True)
    flag = Flag("out_of_focus", "100 % of the tissue is out of focus and counts as not examined. Scan the slide again.")
    report = replace(whole.report, detections=(), tumour_probability=None, examined_fraction=0.0, flags=(flag,))
    unseen = replace(whole.probability, examined=np.zeros_like(whole.probability.examined))
    return replace(whole, report=report, probability=unseen)


def not_he() -> SlideResult:
    """A slide of another stain, with something on it that looked like a deposit."""
    whole = result((MICRO,))
    flag = Flag("not_he", "The stain is not H&E (brown DAB): the model was not made for it, so no class is given.")
    return replace(whole, report=replace(whole.report, status=Status.INCOMPLETE, metastasis=None, flags=(flag,)))


def hostile() -> SlideResult:
    """Every text that a stranger may have written tries to break out of its place."""
    whole = result((MICRO,), slide_id="<script>alert(1)</script>")
    attack = "\"><img src=x onerror=alert(2)> & '</style>"
    report = replace(
        whole.report,
        slide=SlideRef("<script>alert(1)</script>", FOLDER / "=cmd|'<b>x</b>'.svs"),
        flags=(Flag("odd_text", attack),),
        info=replace(whole.report.info, format=attack),
        provenance=replace(whole.report.provenance, device=attack, versions={attack: attack}),
    )
    return replace(whole, report=report)


def many() -> SlideResult:
    """More foci than a page has room for."""
    rng = np.random.default_rng(5)
    places = [(1500.0 + 1050.0 * (index % 10), 1900.0 + 1100.0 * (index // 10)) for index in range(45)]
    sizes = np.sort(rng.uniform(40, 420, len(places)))[::-1]
    return result(
        [ellipse(number, at, float(size)) for number, (at, size) in enumerate(zip(places, sizes, strict=True), 1)]
    )


def borderline() -> SlideResult:
    """One deposit whose interval holds the 2 mm limit."""
    return result((ellipse(1, (5200.0, 4300.0), 2010.0, short_um=900.0),))


_MAKERS: dict[str, Callable[[], SlideResult]] = {
    "macro": lambda: result((MACRO, MICRO, ITC)),
    "borderline": borderline,
    "itc": lambda: result((ellipse(1, (8600.0, 6500.0), 152.0),)),
    "negative": lambda: result(()),
    "incomplete_micro": lambda: result((replace(MICRO, id=1),), unread=True),
    "incomplete_nothing": lambda: result((), unread=True),
    "no_tissue": no_tissue,
    "nothing_examined": nothing_examined,
    "not_he": not_he,
    "unmeasurable": unmeasurable,
    "failed": failed,
    "failed_thumbnail": lambda: failed(thumbnail=True),
    "hostile": hostile,
    "many": many,
}

VARIANTS = {name: cache(make) for name, make in _MAKERS.items()}
"""Every way a slide can end, each painted once."""


def _flags(deposits: Sequence[Deposit], unread: bool) -> tuple[Flag, ...]:
    said: list[Flag] = []
    if unread:
        said.append(Flag("unread_tissue", "Part of the tissue could not be read; the class is a lower bound."))
    if any(deposit.borderline for deposit in deposits):
        said.append(Flag("borderline", "The size of a deposit reaches a limit between two classes."))
    if deposits:
        said.append(Flag("cell_count_not_assessed", "Tumour cells were not counted; the class rests on size alone."))
    return tuple(said)


def _detections(deposits: Sequence[Deposit]) -> tuple[Detection, ...]:
    found = [Detection(0.99 - 0.002 * deposit.id, *deposit.centre_um) for deposit in deposits]
    return (Detection(0.0625, 7000.0, 5050.0), *found, Detection(0.21, 4000.0, 6060.0))


def _grid(spacing_um: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x and y of the pixel centres of a map over the whole canvas, in um."""
    rows, columns = np.ceil(HEIGHT_PX * SPACING.y / spacing_um), np.ceil(WIDTH_PX * SPACING.x / spacing_um)
    return (np.arange(columns)[None] + 0.5) * spacing_um, (np.arange(rows)[:, None] + 0.5) * spacing_um


def _tissue_at(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Two pieces of a node and a fragment."""
    pieces = [(5000, 4800, 3300, 3000), (10_100, 4600, 1700, 3300), (12_600, 8300, 300, 240)]
    away: list[NDArray[np.float64]] = []
    for number, (left, top, wide, high) in enumerate(pieces):
        angle = np.arctan2(y - top, x - left)
        waves = 0.05 * np.sin(3 * angle + number) + 0.04 * np.sin(7 * angle) + 0.02 * np.sin(17 * angle)
        away.append(np.hypot((x - left) / wide, (y - top) / high) + waves)
    return np.minimum.reduce(away) < 1


def _beyond(deposit: Deposit, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far outside a deposit's ellipse places lie: 1 on its outline, less inside."""
    ring = deposit.outline[0].exterior - np.asarray(deposit.centre_um)
    (a, b), (c, d) = ring[0], ring[len(ring) // 4]
    dx, dy = x - deposit.centre_um[0], y - deposit.centre_um[1]
    along, across = (dx * a + dy * b) / (a * a + b * b), (dx * c + dy * d) / (c * c + d * d)
    return np.hypot(along, across)


def _maps(deposits: tuple[Deposit, ...], unread: bool) -> tuple[ProbabilityMap, TissueMask]:
    x, y = _grid(CELL_UM)
    tissue = _tissue_at(x, y)
    values = np.full(tissue.shape, 0.004)
    for deposit in deposits:
        excess_um = (_beyond(deposit, x, y) - 1) * deposit.diameter_um / 2
        values = np.maximum(values, 0.97 / (1 + np.exp(np.clip(excess_um / 25, -50, 50))))
    examined = tissue & ~(unread & (x > 9200) & (y > 5600) & (y < 7600))
    pen = (np.hypot(x - 1200, y - 1500) < 420) & ~tissue
    return (
        ProbabilityMap(np.where(examined, values, 0).astype(np.float32), examined, Spacing.square(CELL_UM)),
        TissueMask(tissue, Spacing.square(CELL_UM), (("pen", pen),)),
    )


def _painted(deposits: tuple[Deposit, ...]) -> Picture:
    """The slide at low magnification: glass, purple tissue, paler deposits, a blue pen mark."""
    x, y = _grid(OVERVIEW_UM)
    return Picture(_stained(x, y, deposits), 0.0, 0.0, Spacing.square(OVERVIEW_UM))


def _close_up(deposit: Deposit) -> Picture:
    """The surroundings of a deposit: its size and half as much on each side, at least 300 um."""
    side = max(300.0, deposit.diameter_um * 2)
    left, top = deposit.centre_um[0] - side / 2, deposit.centre_um[1] - side / 2
    steps = (np.arange(160) + 0.5) * side / 160
    pixels = _stained(left + steps[None], top + steps[:, None], (deposit,))
    return Picture(pixels, left, top, Spacing.square(side / 160))


def _stained(x: NDArray[np.float64], y: NDArray[np.float64], deposits: tuple[Deposit, ...]) -> NDArray[np.uint8]:
    """uint8 (rows, columns, 3) RGB at the places x (1, columns) and y (rows, 1) in um."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    pixels = np.full((*shape, 3), 243.0)
    pixels[_tissue_at(x, y)] = (164, 116, 172)
    for deposit in deposits:
        pixels[_beyond(deposit, x, y) < 1] = (205, 150, 184)
    pixels[np.hypot(x - 1200, y - 1500) < 400] = (70, 90, 190)
    grain = gaussian_filter(np.random.default_rng(1).normal(size=shape), 0.8) * 26
    return np.clip(pixels + grain[..., None] * (pixels < 240), 0, 255).astype(np.uint8)
