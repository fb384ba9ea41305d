"""The pictures show what was planted, where it was planted."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from nodescan import slide_flags
from nodescan.domain.report import ModelIdentity, SlideResult
from nodescan.domain.units import Micrometers
from nodescan.reports.drawing import Canvas
from nodescan.reports.heat_legend import with_legend
from nodescan.reports.legend import legend
from nodescan.reports.palette import CLASS_COLOURS, CLASS_STROKES, EXCLUDED_COLOURS, PLACE, deposit_strokes
from nodescan.reports.pictures import draw_close_up, draw_heatmap, draw_overview, shows_hatching
from nodescan.reports.wording import WITH_TUMOUR
from tests.reports.factory import BOUNDS, CELL_UM, ITC, MACRO, VARIANTS, ellipse, result


def _near(pixels: np.ndarray, colour: tuple[int, int, int], reach: int = 40) -> np.ndarray:
    """Where a picture (H, W, 3) has about this colour."""
    return (np.abs(pixels.astype(int) - colour) < reach).all(axis=-1)


def _um_per_px(image: Image.Image) -> float:
    return BOUNDS.width / image.width


def _pixel(point_um: Sequence[float], image: Image.Image) -> tuple[int, int]:
    """Column and row of a place on the canvas: pictures show the scanned part only."""
    left, top = (np.asarray(point_um) - [BOUNDS.left, BOUNDS.top]) / _um_per_px(image)
    return round(left), round(top)


@pytest.mark.parametrize("draw", [draw_overview, draw_heatmap])
def test_a_slide_is_shown_as_far_as_it_was_scanned(draw: Callable[[SlideResult], Image.Image | None]) -> None:
    """The canvas of a MIRAX slide is many times as large as what was scanned: shown whole, a node is a dot."""
    image = draw(VARIANTS["macro"]())
    assert image.height * _um_per_px(image) == pytest.approx(BOUNDS.height, rel=0.005)


def test_the_overview_outlines_a_deposit_in_its_class_colour(macro_folder: Path) -> None:
    """The crimson pixels span the planted macrometastasis and nothing far from it."""
    image = Image.open(macro_folder / "overview.jpg")
    rows, columns = np.nonzero(_near(np.asarray(image), CLASS_COLOURS[MACRO.metastasis]))
    outline = (MACRO.outline[0].exterior - [BOUNDS.left, BOUNDS.top]) / _um_per_px(image)
    assert columns.min() == pytest.approx(outline[:, 0].min(), abs=5)
    assert rows.max() == pytest.approx(outline[:, 1].max(), abs=5)


def test_the_legend_shows_each_class_by_its_kind_of_line() -> None:
    """Each class has another one; what was not judged has no class, and so one kind for all."""
    shown = [(swatch.kind, swatch.colour) for swatch in legend(VARIANTS["macro"](), hatched=False)[:3]]
    assert shown == [(CLASS_STROKES[found], CLASS_COLOURS[found].css) for found in WITH_TUMOUR]
    assert len({kind for kind, _ in shown}) == 3
    assert legend(VARIANTS["not_he"](), hatched=False)[0].kind == "single"
    assert set(deposit_strokes(VARIANTS["not_he"]().report).values()) == {"single"}


def test_the_overview_marks_the_likeliest_places_of_a_slide_without_deposits() -> None:
    """Dark pixels lie around each, and the legend says what they mean; nothing is marked beside deposits."""
    clean, found = VARIANTS["negative"](), VARIANTS["itc"]()
    for place in clean.report.detections:
        for result_, marked in ((clean, True), (found, False)):
            image = draw_overview(result_)
            x, y = _pixel((place.x_um, place.y_um), image)
            dark = _near(np.asarray(image), PLACE)[y - 20 : y + 20, x - 20 : x + 20]
            assert bool(dark.sum() > 40) is marked
    assert [any("Likeliest places" in line.words for line in legend(one, hatched=False)) for one in (clean, found)] == [
        True,
        False,
    ]


def test_no_outline_runs_through_the_scale_bar_of_a_close_up() -> None:
    """A deposit beside the one that is shown lies in the lower left corner, as the bar does."""
    picture = (VARIANTS["macro"]().close_ups or {})[MACRO.id]
    height, width = (
        side * step for side, step in zip(picture.pixels.shape[:2], (picture.spacing.y, picture.spacing.x), strict=True)
    )
    corner = picture.left_um + 0.1 * width, picture.top_um + 0.94 * height
    beside = ellipse(2, corner, 0.12 * width)
    without, with_other = (
        np.asarray(draw_close_up(MACRO, picture, result(shown).report)).astype(int)
        for shown in ((MACRO,), (MACRO, beside))
    )
    assert (without != with_other).any()
    bar = np.s_[-50:-25, 30:120]
    assert np.abs(without[bar] - with_other[bar]).max() == 0


def test_a_deposit_too_small_to_see_gets_a_circle() -> None:
    """Blue pixels lie around a 20 um deposit, well outside it."""
    small = replace(ITC, diameter_um=Micrometers(20.0), outline=ellipse(1, ITC.centre_um, 20.0).outline)
    image = draw_overview(result((small,)))
    blue = _near(np.asarray(image), CLASS_COLOURS[ITC.metastasis])
    x, y = _pixel(ITC.centre_um, image)
    assert blue[y - 14 : y + 14, x - 14 : x - 6].any()


def test_the_heat_map_is_dark_where_tumour_is_probable_only(macro_folder: Path) -> None:
    """Deep purple inside the deposit, grey elsewhere; the legend lies below the slide."""
    image = Image.open(macro_folder / "heatmap.png")
    pixels = np.asarray(image.convert("RGB")).astype(int)
    x, y = _pixel(MACRO.centre_um, image)
    inside, elsewhere = pixels[y - 20, x + 20], pixels[y + 170, x]
    assert inside[2] - inside[1] > 40
    assert np.ptp(elsewhere) < 4
    assert image.height > BOUNDS.height / _um_per_px(image) + 40


@pytest.mark.parametrize("wide", [1800, 1170, 900, 594, 225, 112])
@pytest.mark.parametrize("threshold", [0.05, 0.42, 0.7])
def test_the_legend_of_a_heat_map_is_whole_however_narrow_the_slide(wide: int, threshold: float) -> None:
    """Nothing is cut off at the right: what doesn't fit stands on a line of its own, a sliver's on a wider sheet."""
    model = ModelIdentity("m", "a", "ab" * 32, threshold, smoothing_um=40.0)
    sheet = with_legend(Image.new("RGB", (wide, 1800), "white"), model, text_px=43, hatched=True)
    ink = (np.asarray(sheet)[1800:] != 255).any(axis=-1)
    assert ink.any()
    assert not ink[:, -2:].any()


@pytest.mark.parametrize(("wide", "lines"), [(1800, 0), (1300, 0), (900, 2), (594, 2)])
def test_what_does_not_fit_beside_the_ramp_stands_below(wide: int, lines: int) -> None:
    """A slide as wide as most has the strip of one line."""
    model = ModelIdentity("m", "a", "ab" * 32, 0.7, smoothing_um=40.0)
    sheet = with_legend(Image.new("RGB", (wide, 1800), "white"), model, text_px=43, hatched=True)
    assert sheet.height == 1800 + round(43 * (5 + 1.7 * lines))


@pytest.mark.parametrize("wide", [900, 1800])
def test_words_of_the_strip_do_not_touch(wide: int) -> None:
    """Right of the ramp, a blank row parts what the outline means from the hatching's words."""
    model = ModelIdentity("m", "a", "ab" * 32, 0.7, smoothing_um=40.0)
    bare, hatched = (
        np.asarray(with_legend(Image.new("RGB", (wide, 1800), "white"), model, text_px=wide // 41, hatched=hatched))
        for hatched in (False, True)
    )
    columns = np.s_[1800:, round(wide * 0.48) :]
    words = (bare[columns] != 255).any(axis=(1, 2))
    more = (bare[columns] != hatched[columns]).any(axis=(1, 2))
    assert words.any()
    assert np.flatnonzero(more).min() > np.flatnonzero(words).max() + 1


def test_one_hot_cell_is_not_lost_between_pixels() -> None:
    """Where cells are finer than the picture's pixels the highest answer is shown."""
    whole = result(())
    whole.probability.values[150, 151] = 1.0
    image = draw_heatmap(whole)
    column, row = _pixel([(index + 0.5) * CELL_UM for index in (151, 150)], image)
    around = np.asarray(image).astype(int)[row - 2 : row + 3, column - 2 : column + 3]
    assert (around[..., 2] - around[..., 1]).max() > 40


def test_tissue_that_was_not_examined_is_hatched() -> None:
    """The unread corner differs from the same slide read whole; the rest of the tissue doesn't."""
    unread, read = (draw_overview(VARIANTS[name]()) for name in ("incomplete_nothing", "negative"))
    assert [shows_hatching(VARIANTS[name]()) for name in ("incomplete_nothing", "negative")] == [True, False]
    changed = np.abs(np.asarray(unread).astype(int) - np.asarray(read)).max(axis=-1) > 30
    (left, top), (right, bottom) = _pixel((9600, 5800), read), _pixel((11_000, 7400), read)
    assert changed[top:bottom, left:right].mean() > 0.5
    assert not changed[:, : _pixel((8000, 0), read)[0]].any()


@pytest.mark.parametrize("draw", [draw_overview, draw_heatmap])
def test_the_scale_bar_lies_over_the_hatching(draw: Callable[[SlideResult], Image.Image | None]) -> None:
    """Of a slide that is tissue up to its corner, none of it examined, the bar's plate is as of one read whole."""
    seen = VARIANTS["negative"]()
    everywhere = np.ones_like(seen.tissue.tissue)
    unseen = replace(seen.probability, examined=~everywhere)
    hatched = replace(seen, tissue=replace(seen.tissue, tissue=everywhere), probability=unseen)
    whole, missed = (draw(shown) for shown in (seen, hatched))
    differ = np.abs(np.asarray(whole).astype(int) - np.asarray(missed)).max(axis=-1)
    assert differ[-64:-20, 20:170].max() < 40
    assert differ[-164:-120, 20:170].max() > 100


def test_tissue_that_was_examined_is_not_hatched_where_the_scan_ends() -> None:
    """Tissue at the border of the picture isn't; what it runs into was never scanned, and is."""
    whole = VARIANTS["negative"]()
    at_edge = np.zeros_like(whole.tissue.tissue)
    at_edge[250:300, 250:300] = True
    plain, cut, away, beside = (
        draw_overview(replace(whole, tissue=replace(whole.tissue, cut=ends, unscanned=nothing)))
        for ends, nothing in ((None, None), (at_edge, None), (at_edge, ~at_edge), (at_edge, at_edge))
    )
    assert plain == cut == away
    assert plain != beside


def test_a_close_up_draws_the_diameter_between_its_ends() -> None:
    """Along the line from end to end the picture is dark or white, where the tissue alone is neither."""
    whole = result((MACRO,))
    picture = whole.close_ups[1]
    image = draw_close_up(MACRO, picture, whole.report)
    scale = picture.pixels.shape[1] * picture.spacing.x / image.width
    start, end = (np.array(point) for point in MACRO.endpoints_um)
    for share in (0.05, 0.2, 0.9):
        x, y = (start + (end - start) * share - [picture.left_um, picture.top_um]) / scale
        around = np.asarray(image.convert("L"))[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
        assert around.min() < 60


@pytest.mark.parametrize("diameter_um", [60.0, 150.0, 640.0])
def test_a_close_up_hides_no_cell_under_the_size(diameter_um: float) -> None:
    """Inside the outline there is no plate of text: all but the drawn line is tissue."""
    deposit = ellipse(1, ITC.centre_um, diameter_um)
    whole = result((deposit,))
    image = draw_close_up(deposit, whole.close_ups[1], whole.report)
    scale = whole.close_ups[1].pixels.shape[1] * whole.close_ups[1].spacing.x / image.width
    y, x = np.mgrid[: image.height, : image.width]
    inside = np.hypot(x - image.width / 2, y - image.height / 2) < 0.9 * diameter_um / 2 / scale
    start, end = (np.asarray(point) - deposit.centre_um for point in deposit.endpoints_um)
    along = (end - start) / diameter_um
    off_line = np.abs((x - image.width / 2) * along[1] - (y - image.height / 2) * along[0]) > 8
    white = (np.asarray(image) > 225).all(axis=-1)
    assert not white[inside & off_line].any()


def test_a_slide_that_never_opened_has_no_pictures() -> None:
    """No picture is made up."""
    assert draw_overview(VARIANTS["failed"]()) is None
    assert draw_heatmap(VARIANTS["failed_thumbnail"]()) is None


def test_what_was_left_out_has_the_colour_of_its_reason() -> None:
    """Specks are drawn alike, in the picture and its legend, whether or not there is ink on the slide, too."""
    whole = VARIANTS["negative"]()
    (_, area), *_ = whole.tissue.excluded
    nothing = np.zeros_like(area)
    for excluded in ((("small", area),), (("pen", nothing), ("edge", nothing), ("small", area))):
        shown = replace(whole, tissue=replace(whole.tissue, excluded=excluded))
        drawn = draw_overview(shown)
        colour = EXCLUDED_COLOURS["small"]
        assert _near(np.asarray(drawn), colour, 12).sum() > 100
        assert [one.colour for one in legend(shown, hatched=False) if one.kind == "dashed"] == [colour.css]
    assert EXCLUDED_COLOURS.keys() == slide_flags._LEFT_OUT.keys()
    assert len(set(EXCLUDED_COLOURS.values())) == len(EXCLUDED_COLOURS)


_COLOUR_BLIND = {
    "protanopia": [(0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)],
    "deuteranopia": [(0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)],
    "tritanopia": [(1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)],
}
"""What linear red, green and blue look like: Machado, Oliveira and Fernandes 2009, severity 1."""


@pytest.mark.parametrize("kind", _COLOUR_BLIND)
def test_reasons_to_leave_out_differ_for_colour_blind_eyes(kind: str) -> None:
    """Their lines are all dashed, so only the colours tell them apart."""
    linear = ((np.array(list(EXCLUDED_COLOURS.values())) / 255 + 0.055) / 1.055) ** 2.4
    seen = np.clip(linear @ np.transpose(_COLOUR_BLIND[kind]), 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055))
    assert min(deltaE_ciede2000(one, other) for one, other in combinations(lab, 2)) > 10


def test_labels_of_the_overview_can_be_read_on_a_phone_and_on_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone shows it 300 px wide, an A4 sheet 85 mm: letters of 7 px, and of 2 mm."""
    letters: list[int] = []

    class Seen(Canvas):
        def scale_bar(self) -> None:
            letters.append(self.text_px)

    monkeypatch.setattr("nodescan.reports.pictures.Canvas", Seen)
    for draw in (draw_overview, draw_heatmap):
        drawn = draw(VARIANTS["macro"]())
        assert letters[-1] * 300 / max(drawn.size) >= 7
        assert letters[-1] * 85 / max(drawn.size) >= 2
    assert len(letters) == 2
