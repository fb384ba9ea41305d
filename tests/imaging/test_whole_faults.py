"""Faults that lie over a whole scan are measured as strong as they are; a sound scan has none of them."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from nodescan.imaging.places import FIELD_PX
from nodescan.imaging.whole_faults import (
    LEAST_FINE,
    MOST_ACROSS_LINES,
    MOST_COLOUR_SHIFT_UM,
    MOST_CUT_OFF,
    MOST_GHOST,
    MOST_GRID,
    MOST_ROWS_OFF,
    WholeFaults,
    has_texture,
    measure_faults,
)
from nodescan.slides.resampling import Axis, resample

View = NDArray[np.uint8]

NEAREST, LINEAR, CUBIC = Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC
LANCZOS = Image.Resampling.LANCZOS

GLASS, WHITE = (242.0, 242.0, 242.0), (255.0, 255.0, 255.0)


@pytest.fixture(scope="module")
def view(phantom: Path) -> View:
    """uint8 (1920, 2688, 3) at 0.5 um/px, out of the middle of a sound scan."""
    whole = tifffile.imread(phantom)
    top, left = (side // 2 - half for side, half in zip(whole.shape, (960, 1344), strict=False))
    return whole[top : top + 1920, left : left + 2688]


def halved(view: View) -> View:
    return np.asarray(Image.fromarray(view).reduce(2))


def fields_of(view: View) -> tuple[View, NDArray[np.intp]]:
    """48 fields with texture of a view at 1 um/px, and their corners: of the first 72."""
    wide = view.shape[1] // FIELD_PX
    high = min(view.shape[0] // FIELD_PX, 72 // wide)
    corners = np.argwhere(np.ones((high, wide), bool)) * FIELD_PX
    fields = np.stack([view[y : y + FIELD_PX, x : x + FIELD_PX] for y, x in corners.tolist()])
    clear = np.flatnonzero(has_texture(fields))[:48]
    assert len(clear) == 48
    return fields[clear], corners[clear]


def measured(view: View, glass: tuple[float, float, float] = GLASS) -> WholeFaults:
    return measure_faults(*fields_of(view), 1.0, glass)


def told(found: WholeFaults) -> set[str]:
    beyond = {
        "colours": found.colour_shift_um > MOST_COLOUR_SHIFT_UM,
        "ghost": found.ghost > MOST_GHOST,
        "rows": found.rows_off > MOST_ROWS_OFF,
        "far rows": found.across_lines > MOST_ACROSS_LINES,
        "cut off": found.cut_off > MOST_CUT_OFF,
        "no detail": found.fine_share < LEAST_FINE,
        **{f"grid of {period}": found.grid[period] > most for period, most in MOST_GRID.items()},
    }
    return {name for name, holds in beyond.items() if holds}


def ghosted(view: View, weight: float) -> View:
    """A second picture 12 um away."""
    second = np.roll(view, (12, 21), (0, 1)).astype(np.float32)
    return np.round((1 - weight) * view + weight * second).astype(np.uint8)


def stored(view: View, quality: int) -> View:
    file = io.BytesIO()
    Image.fromarray(view).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def enlarged(view: View, times: float, how: Image.Resampling) -> View:
    small = Image.fromarray(view).resize((round(view.shape[1] / times), round(view.shape[0] / times)), LANCZOS)
    return np.asarray(small.resize((view.shape[1], view.shape[0]), how))


def read_at(view: View, step: float) -> View:
    """As nodescan reads a level at a coarser spacing."""
    rows, columns = (Axis(0, int(side / step) - 1, step) for side in view.shape[:2])
    return resample(view[: rows.source_count, : columns.source_count], rows, columns)


def lit(view: View, times: float) -> View:
    return np.clip(view * times + 0.5, 0, 255).astype(np.uint8)


def test_a_sound_scan_has_no_fault_also_where_its_glass_is_white(view: View) -> None:
    assert told(measured(halved(view), WHITE)) == set()
    assert told(measured(view[:, :1920])) == set(), "read at a spacing that the file states twice too coarse"


@pytest.mark.parametrize("apart_px", [2, 4])
def test_colours_apart_are_measured_in_um(view: View, apart_px: int) -> None:
    """1 and 2 um. Red and blue lie on either side of green."""
    red, green, blue = np.moveaxis(view, 2, 0)
    apart = np.stack([np.roll(red, apart_px // 2, 1), green, np.roll(blue, -apart_px // 2, 1)], axis=2)
    found = measured(stored(halved(apart), 75))
    assert told(found) == {"colours"}
    assert found.colour_shift_um == pytest.approx(apart_px / 2, rel=0.35)


@pytest.mark.parametrize("apart_px", [(0, 8), (-15, 15), (40, 0)])
def test_colours_far_apart_are_measured_too(view: View, apart_px: tuple[int, int]) -> None:
    """One colour alone, by 8 to 40 um."""
    apart = halved(view).copy()
    apart[..., 0] = np.roll(apart[..., 0], apart_px, (0, 1))
    assert measured(stored(apart, 75)).colour_shift_um == pytest.approx(np.hypot(*apart_px), abs=0.5)


def test_colours_that_lie_off_in_all_directions_are_no_fault(view: View) -> None:
    """As nuclei lie off their eosin."""
    fields, corners = fields_of(halved(view))
    ways = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    fields = fields.copy()
    for number, field in enumerate(fields):
        field[..., 0] = np.roll(field[..., 0], ways[number % 4], (0, 1))
    assert measure_faults(fields, corners, 1.0, GLASS).colour_shift_um < MOST_COLOUR_SHIFT_UM


def test_a_second_picture_is_told_from_a_weight_of_0_15_on(view: View) -> None:
    assert [told(measured(halved(ghosted(view, weight)))) for weight in (0.05, 0.15, 0.5)] == [
        set(),
        {"ghost"},
        {"ghost"},
    ]


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_and_columns_out_of_place_are_told(view: View, axis: int) -> None:
    """At random by 2 um (SD), in lines of 1 um; a quarter of a pixel is no fault."""
    moved = np.moveaxis(view, axis, 0).copy()
    for row, off in zip(range(0, len(moved), 2), np.random.default_rng(0).normal(0, 4, len(moved)), strict=False):
        moved[row : row + 2] = np.roll(moved[row : row + 2], round(off), 1)
    assert told(measured(halved(np.moveaxis(moved, 0, axis)))) == {"rows"}


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("apart_px", "name"), [(2, "rows"), (12, "rows"), (24, "far rows"), (40, "far rows")])
def test_every_second_row_out_of_place_is_told_however_far_off(view: View, apart_px: int, name: str, axis: int) -> None:
    moved = np.moveaxis(halved(view), axis, 0).copy()
    moved[1::2] = np.roll(moved[1::2], apart_px, 1)
    assert name in told(measured(stored(np.moveaxis(moved, 0, axis), 75)))


@pytest.mark.parametrize("axis", [0, 1])
def test_fibres_that_run_in_one_direction_are_no_fault_of_rows_or_colours(axis: int) -> None:
    """Drawn at an angle at which each row looks like the one above it, displaced by 2 to 4 px."""
    y, x = np.mgrid[:768, :864].astype(np.float32)
    noise = ndimage.gaussian_filter1d(np.random.default_rng(0).normal(0, 1, 4000), 1.5)
    along = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 1, x.shape), 12)
    at = (x + 3 * y) / 3 + 25 * along / along.std()
    fibres = ndimage.map_coordinates(noise / noise.std(), [at % 4000], order=1)
    grey = (150 + 30 * fibres).clip(0, 255).astype(np.uint8)
    picture = stored(np.repeat((grey if axis == 0 else grey.T)[..., None], 3, axis=2), 85)
    assert not told(measured(picture)) & {"rows", "far rows", "ghost", "colours"}


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (1, 4)])
def test_tissue_that_is_stretched_in_one_direction_has_no_second_picture(view: View, shape: tuple[int, int]) -> None:
    """Two or three pixels of each are interpolated, and that alone is told."""
    small = Image.fromarray(halved(view)[:480, :480])
    found = told(measured(np.asarray(small.resize((480 * shape[1], 480 * shape[0]), CUBIC))))
    assert not found & {"rows", "far rows", "ghost", "colours"}


@pytest.mark.parametrize("corner", [0, 3])
def test_strong_compression_is_told_wherever_the_grid_of_its_blocks_begins(view: View, corner: int) -> None:
    """At a quality of 8, not of 30; here the fields' corners lie off the blocks'."""
    small = halved(view)
    assert "grid of 8" in told(measured(stored(small, 8)[corner:, corner:]))
    assert told(measured(stored(small, 30)[corner:, corner:])) == set()


@pytest.mark.parametrize("step", [93, 96])
def test_the_phase_of_a_grid_is_that_of_the_frame_and_not_of_the_fields(view: View, step: int) -> None:
    """Fields that begin anywhere on the blocks of one JPEG show them as clearly as fields that begin with them."""
    small = stored(halved(view), 8)
    corners = np.argwhere(np.ones(tuple(side // step for side in small.shape[:2]), bool)) * step
    corners = corners[(corners + FIELD_PX <= small.shape[:2]).all(axis=1)]
    fields = np.stack([small[y : y + FIELD_PX, x : x + FIELD_PX] for y, x in corners.tolist()])
    clear = has_texture(fields)
    assert measure_faults(fields[clear], corners[clear], 1.0, GLASS).grid[8] > MOST_GRID[8]


@pytest.mark.parametrize(
    ("how", "times"),
    [
        *((NEAREST, times) for times in (1.5, 2, 2.5, 3, 4.02, 7)),
        *((LINEAR, times) for times in (2, 3)),
        *((CUBIC, times) for times in (2, 2.5, 3.3, 5)),
    ],
)
def test_enlarged_pictures_are_told_whatever_the_factor(view: View, how: Image.Resampling, times: float) -> None:
    """By repeated pixels or between them, also where the factor is no whole number."""
    found = told(measured(stored(enlarged(halved(view), times, how), 75)))
    assert found & {"grid of 2", "grid of 3", "no detail"}


@pytest.mark.parametrize("step", [1.26, 1.3, 1.4, 1.6])
def test_a_level_that_is_resampled_to_be_read_is_no_enlarged_picture(view: View, step: float) -> None:
    """Means over 1 and 2 pixels by turns have a period, too."""
    small = Image.fromarray(view)
    level = small.resize((round(view.shape[1] * step / 2), round(view.shape[0] * step / 2)), LANCZOS)
    assert told(measured(read_at(stored(np.asarray(level), 75), step))) == set()


def test_too_much_light_is_told_by_red_that_is_cut_off_in_tissue(view: View) -> None:
    """Where the glass is white alone: no slide is overexposed whose glass is not."""
    small = halved(view)
    bright = lit(small, 1.6)
    assert told(measured(bright, WHITE)) == {"cut off"}
    assert told(measured(bright, GLASS)) == set()
    assert measured(bright).cut_off == 0.0
    assert measure_faults(*fields_of(bright), 1.0, None).cut_off == 0.0


def test_fields_without_structure_tell_nothing(view: View) -> None:
    """Glass with its noise, and flat paint."""
    noisy = np.random.default_rng(0).normal(242, 1.5, (3, FIELD_PX, FIELD_PX, 1)).astype(np.uint8).repeat(3, axis=3)
    flat = np.full((3, FIELD_PX, FIELD_PX, 3), (175, 98, 150), np.uint8)
    assert not has_texture(np.concatenate([noisy, flat])).any()
