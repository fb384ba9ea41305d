"""Which level serves a spacing, and that boxes of one frame agree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodescan.domain.geometry import PixelBox
from nodescan.domain.units import MicronsPerPixel, Spacing
from nodescan.errors import UnmeasurableError
from nodescan.slides.frame import PIECE_PX, Level, Pyramid, place_levels, read_frame
from tests.slides.made_files import noise


def placed(
    sizes_px: tuple[tuple[int, int], ...],
    downsamples: tuple[float, ...],
    tiles_px: tuple[tuple[int, int] | None, ...] = (),
) -> tuple[Level, ...]:
    """As place_levels(), of a file that may hold one scan alone. tiles_px: (): none is known."""
    return place_levels(sizes_px, downsamples, tiles_px or (None,) * len(sizes_px), whole_only=False)


def pyramid(x_um: float, y_um: float, *downsamples: int, size_px: int = 100_000) -> Pyramid:
    sizes = tuple((size_px // downsample, size_px // downsample) for downsample in downsamples)
    spacing = Spacing(MicronsPerPixel(x_um), MicronsPerPixel(y_um))
    return Pyramid("s.svs", spacing, placed(sizes, tuple(map(float, downsamples))))


@pytest.mark.parametrize(
    ("slide", "expected_um", "level", "step"),
    [
        (pyramid(0.25, 0.25, 1, 4, 16), (1.0, 1.0), 1, 1),  # a level as it is
        (pyramid(0.499, 0.499, 1, 4), (0.998, 0.998), 0, 2),  # a level reduced by a whole number
        (pyramid(0.2325, 0.2325, 1, 2, 4), (0.93, 0.93), 2, 1),  # the coarsest of three that would do
        (pyramid(0.225, 0.225, 1), (0.9, 0.9), 0, 4),  # exactly at the limit, which 4 * 0.225 misses in floats
        (pyramid(0.1, 0.1, 1), (0.9, 0.9), 0, 9),  # two whole numbers fit
        (pyramid(0.243, 0.245, 1, 4), (0.972, 0.98), 1, 1),  # x and y within 1 % stay as they are
        (pyramid(0.243, 0.252, 1, 4), (0.95, 0.95), 0, 0.95 / 0.243),  # beyond 1 % they are made square
        (pyramid(0.28, 0.28, 1), (0.95, 0.95), 0, 0.95 / 0.28),  # no whole number fits
        (pyramid(1.02, 1.02, 1), (0.95, 0.95), 0, 0.95 / 1.02),  # enlarged by 1.07
        (pyramid(1.08, 1.08, 1), (1.08 / 1.1,) * 2, 0, 1 / 1.1),  # enlarged by no more than 1.1, inside the range
    ],
)
def test_the_frame_uses_a_level_as_it_is_where_it_can(slide: Pyramid, expected_um: tuple, level: int, step: float):
    """For a model of 0.90 to 1.00 um/px: levels and whole reductions first, resampling only without any."""
    spacing = slide.frame_spacing(0.9, 1.0)
    assert (spacing.x, spacing.y) == pytest.approx(expected_um)
    sampling = slide.sampling(spacing)
    assert sampling.level.index == level
    assert sampling.step_x == pytest.approx(step)
    assert sampling.step_x.is_integer() == sampling.step_y.is_integer() == float(step).is_integer()


def test_a_slide_that_would_need_more_enlargement_is_refused_with_the_reason():
    """1.12 um/px for a model that takes up to 1.0 would be enlarged 1.12 times."""
    with pytest.raises(UnmeasurableError, match=r"^s.svs: scanned at 1.12 um/px, too coarse for 1 um/px .*1.12 times"):
        pyramid(1.12, 1.12, 1).frame_spacing(0.9, 1.0)
    with pytest.raises(UnmeasurableError, match=r"enlarged 1\.1002 times, the limit is 1\.1\)"):
        pyramid(1.0999, 1.1002, 1).frame_spacing(0.9, 1.0)
    with pytest.raises(UnmeasurableError, match=r"limit is 1\.1"):
        pyramid(0.5, 0.5, 1).sampling(Spacing.square(0.45))


@settings(deadline=None)
@given(st.floats(0.1, 1.1), st.floats(0.99, 1.01), st.sampled_from([(1,), (1, 4, 16), (1, 2, 4, 8), (1, 3)]))
def test_the_frames_spacing_is_always_in_the_models_range(x_um: float, aspect: float, downsamples: tuple[int, ...]):
    """And never finer than a tenth below the scan's."""
    slide = pyramid(x_um, min(x_um * aspect, 1.1), *downsamples)
    spacing = slide.frame_spacing(0.9, 1.0)
    assert 0.9 - 1e-8 <= min(spacing.x, spacing.y) <= max(spacing.x, spacing.y) <= 1.0 + 1e-8
    assert min(spacing.x / slide.spacing.x, spacing.y / slide.spacing.y) >= 1 / 1.1 - 1e-6


def test_levels_cut_to_whole_pixels_keep_their_whole_factor():
    """A downsample reported as 3.9995 or 2.0005 because of a dropped or padded row is 4 or 2; one of 3.7 stays 3.7."""
    floored, padded = placed(((4443, 3567), (2221, 1783), (1111, 892)), (1.0, 2.0005, 3.9990))[1:]
    assert (floored.factor_x, floored.factor_y, padded.factor_x, padded.factor_y) == (2.0, 2.0, 4.0, 4.0)
    odd = placed(((3700, 7400), (1000, 2000)), (1.0, 3.7))[1]
    assert (odd.factor_x, odd.factor_y) == (3.7, 3.7)


def test_a_level_squeezed_by_less_than_a_percent_keeps_its_true_size():
    """24,876 px for 100,000 is 4.02, not 4: taken as 4, the far end would lie 124 px of the level off."""
    level = placed(((100_000, 100_000), (24_876, 24_876)), (1.0, 4.0199))[1]
    assert level.factor_x == pytest.approx(100_000 / 24_876)


def test_a_level_of_another_shape_is_no_part_of_the_pyramid():
    """A picture of the label or the whole glass among the reduced images: squeezed, tissue would be sought on it."""
    levels = placed(((4608, 4096), (2304, 2048), (700, 500), (288, 256)), (1.0, 2.0, 7.39, 16.0))
    assert [level.index for level in levels] == [0, 1, 3]
    square = placed(((4096, 2048), (2048, 1024), (512, 512)), (1.0, 2.0, 6.0))  # OpenSlide: the mean of 8 and 4
    assert [level.index for level in square] == [0, 1]
    padded = placed(((4096, 2048), (1536, 1024)), (1.0, 4.0))[1]
    assert (padded.factor_x, padded.factor_y) == (4.0, 4.0)


@pytest.mark.parametrize(("height_px", "kept"), [(143, True), (147, True), (142, False), (148, False)])
def test_a_small_level_may_be_two_of_its_own_pixels_off_the_canvas_shape(height_px: int, kept: bool):
    """1 % of a small level is less than what its sides are rounded or padded by."""
    _, *levels = placed(((10_000, 5_000), (290, height_px)), (1.0, 33.9))
    found = [(level.factor_x, level.factor_y) for level in levels]
    assert found == [(10_000 / 290, 5_000 / height_px)] * kept


def test_of_levels_that_are_reduced_alike_none_is_believed():
    """One of them shows something else; the others and the finest stay."""
    sizes = ((4000, 3000), (2000, 1500), (2000, 1500), (1000, 750), (993, 744))
    levels = placed(sizes, (1.0, 2.0, 2.0, 4.0, 4.03))
    assert [level.index for level in levels] == [0]
    levels = placed((*sizes[:2], sizes[3]), (1.0, 2.0, 4.0))
    assert [level.index for level in levels] == [0, 1, 2]


def test_a_level_padded_to_whole_tiles_is_not_squeezed():
    """4 x and 8 x of 7,600 px, written as 2,048 and 1,024: taken as squeezed, the far end would lie 500 px off.

    Where several reductions fit, as in a last tile, the level is left out; one that fills no tile is squeezed.
    """
    sizes = tuple((side, side) for side in (7600, 2048, 1024, 256))
    levels = placed(sizes, (1.0, 3.711, 7.422, 29.69), ((256, 256),) * 4)
    assert [(level.index, level.factor_x) for level in levels] == [(0, 1.0), (1, 4.0), (2, 8.0)]
    levels = placed(((7600, 7600), (1900, 1900)), (1.0, 4.0), ((256, 256),) * 2)
    assert [level.factor_x for level in levels] == [1.0, 4.0]
    for canvas, picture, downsample in (  # a label, an overview, a squeezed level: what fits them fits by chance
        ((60_000, 50_000), (1024, 1024), 53.7),
        ((50_000, 37_500), (1024, 768), 48.83),
        ((4118, 4118), (1024, 1024), 4.0215),
    ):
        assert len(placed((canvas, picture), (1.0, downsample), ((256, 256),) * 2)) == 1
    squeezed = placed(((100_000, 100_000), (24_876, 24_876)), (1.0, 4.0199), ((256, 256),) * 2)[1]
    assert squeezed.factor_x == pytest.approx(100_000 / 24_876)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_box_read_in_two_halves_equals_the_box_read_whole(data: st.DataObject):
    """Bit for bit, for whole and other steps, levels, overhanging boxes and cuts anywhere."""
    levels = [noise(301, 257), noise(75, 64, seed=1)]
    mpp_x, mpp_y = data.draw(st.sampled_from([(0.25, 0.25), (0.25, 0.26), (0.3, 0.29)]))
    spacing = Spacing.square(data.draw(st.one_of(st.sampled_from([0.3, 0.5, 0.75, 1.0, 2.0]), st.floats(0.29, 3.0))))
    slide = _planted(levels, mpp_x, mpp_y)
    box = PixelBox(*(data.draw(st.integers(low, high)) for low, high in ((-20, 250), (-20, 250), (2, 90), (2, 90))))
    cut_x, cut_y = data.draw(st.integers(1, box.width - 1)), data.draw(st.integers(1, box.height - 1))
    whole = _read(slide, levels, box, spacing)
    left = _read(slide, levels, PixelBox(box.left, box.top, cut_x, box.height), spacing)
    right = _read(slide, levels, PixelBox(box.left + cut_x, box.top, box.width - cut_x, box.height), spacing)
    upper = _read(slide, levels, PixelBox(box.left, box.top, box.width, cut_y), spacing)
    lower = _read(slide, levels, PixelBox(box.left, box.top + cut_y, box.width, box.height - cut_y), spacing)
    assert np.array_equal(np.hstack([left, right]), whole)
    assert np.array_equal(np.vstack([upper, lower]), whole)


def test_a_box_larger_than_one_piece_equals_the_mean_of_its_blocks():
    """Nothing is lost or doubled where a large read is put together from bounded pieces."""
    pixels = noise(3 * PIECE_PX // 2, 40)
    slide = _planted([pixels], 0.25, 0.25)
    result = _read(slide, [pixels], PixelBox(0, 0, pixels.shape[1] // 2, 20), Spacing.square(0.5))
    truth = pixels.reshape(20, 2, pixels.shape[1] // 2, 2, 3).mean(axis=(1, 3))
    assert np.array_equal(result, np.floor(truth + 0.5).astype(np.uint8))


def test_the_frame_covers_the_canvas_and_its_last_pixels_are_white_beyond():
    """A canvas of 301 px at a step of 2 has 151 px; the last is half black slide, half white."""
    pixels = np.zeros((257, 301, 3), np.uint8)
    slide = _planted([pixels], 0.25, 0.25)
    assert slide.frame_size(Spacing.square(0.5)) == (151, 129)
    assert slide.frame_size(Spacing.square(0.25)) == (301, 257)
    result = _read(slide, [pixels], PixelBox(149, 10, 3, 1), Spacing.square(0.5))
    assert result[0, :, 0].tolist() == [0, 128, 255]


def _planted(levels: list[np.ndarray], x_um: float, y_um: float) -> Pyramid:
    sizes = tuple((level.shape[1], level.shape[0]) for level in levels)
    downsamples = tuple((sizes[0][0] / width + sizes[0][1] / height) / 2 for width, height in sizes)
    return Pyramid("s.tif", Spacing(MicronsPerPixel(x_um), MicronsPerPixel(y_um)), placed(sizes, downsamples))


def _read(slide: Pyramid, levels: list[np.ndarray], box: PixelBox, spacing: Spacing) -> np.ndarray:
    def fetch(index: int, wanted: PixelBox) -> np.ndarray:
        pad = 64
        padded = np.pad(levels[index], ((pad, pad), (pad, pad), (0, 0)), constant_values=255)
        return padded[wanted.top + pad : wanted.bottom + pad, wanted.left + pad : wanted.right + pad]

    return read_frame(slide, fetch, box=box, spacing=spacing)


def test_a_level_squeezed_differently_in_x_and_y_keeps_both():
    """Its pixels are a little wider than high, or the far end of one side would lie off."""
    level = placed(((100_000, 80_000), (24_876, 19_826)), (1.0, 4.0274))[1]
    assert level.factor_x == pytest.approx(100_000 / 24_876)
    assert level.factor_y == pytest.approx(80_000 / 19_826)


def test_pixels_that_are_not_square_are_made_so_from_a_level_that_is_fine_enough_both_ways():
    """A level of 0.94 x 0.98 um is in a model's range, but not square; 0.95 from it would be enlarged along y."""
    slide = pyramid(0.235, 0.245, 1, 4)
    spacing = slide.frame_spacing(0.9, 1.0)
    assert (spacing.x, spacing.y) == pytest.approx((0.95, 0.95))
    sampling = slide.sampling(spacing)
    assert (sampling.level.index, sampling.step_x, sampling.step_y) == (0, 0.95 / 0.235, 0.95 / 0.245)


def test_of_the_whole_numbers_that_fit_the_one_nearest_the_middle_is_taken():
    """0.1 um/px for what takes 0.4 to 0.6: 0.5, and not the finest."""
    assert pyramid(0.1, 0.1, 1).frame_spacing(0.4, 0.6).x == pytest.approx(0.5)


@pytest.mark.parametrize("size_px", [(24_000, 25_000), (25_000, 24_000)])
def test_a_level_that_is_a_fourth_along_one_side_alone_is_no_part_of_the_pyramid(size_px: tuple[int, int]):
    """Taken for a fourth, its far end would lie 1,000 px off."""
    assert len(placed(((100_000, 100_000), size_px), (1.0, (100 / 24 + 4) / 2))) == 1


def test_a_step_that_only_rounding_keeps_from_a_whole_number_is_whole():
    """Pixels are then averaged in blocks, and don't drift over 100,000 of them."""
    sampling = pyramid(0.25, 0.25, 1).sampling(Spacing.square(1 + 4e-7))
    assert (sampling.step_x, sampling.step_y) == (4.0, 4.0)


def way(pair: tuple[float, float], turned: bool) -> tuple[float, float]:
    return pair[::-1] if turned else pair


def oblong(turned: bool) -> Pyramid:
    """4000 x 1500 px of 0.25 x 0.5 um, and a level squeezed by 2.5 and 2.521; or that turned by a quarter."""
    x_um, y_um = way((0.25, 0.5), turned)
    sizes = tuple((int(width), int(height)) for width, height in (way((4000, 1500), turned), way((1600, 595), turned)))
    return Pyramid("s", Spacing(MicronsPerPixel(x_um), MicronsPerPixel(y_um)), placed(sizes, (1.0, 2.51)))


def spaced(pair_um: tuple[float, float], turned: bool) -> Spacing:
    x_um, y_um = way(pair_um, turned)
    return Spacing(MicronsPerPixel(x_um), MicronsPerPixel(y_um))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("spacing_um", "size_px", "level", "steps"),
    [
        ((0.25, 0.5), (4000, 1500), 0, (1.0, 1.0)),
        ((0.5, 0.5), (2000, 1500), 0, (2.0, 1.0)),
        ((0.25, 0.46), (4000, 1631), 0, (1.0, 0.92)),
        ((0.75, 1.5), (1334, 500), 1, (1.2, 1.19)),
        ((0.6, 1.5), (1667, 500), 0, (2.4, 3.0)),  # from the coarser it would be enlarged across
        ((0.75, 1.2), (1334, 625), 0, (3.0, 2.4)),  # and so down
    ],
)
def test_across_and_down_have_their_own_sizes_levels_and_steps(
    spacing_um: tuple[float, float],
    size_px: tuple[int, int],
    level: int,
    steps: tuple[float, float],
    turned: bool,
) -> None:
    """A level serves where neither side would be enlarged."""
    slide, spacing = oblong(turned), spaced(spacing_um, turned)
    assert slide.frame_size(spacing) == way(size_px, turned)
    sampling = slide.sampling(spacing)
    assert sampling.level.index == level
    assert (sampling.step_x, sampling.step_y) == pytest.approx(way(steps, turned))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("spacing_um", [(0.25, 0.45), (0.22, 0.5), (2.0, 0.45), (0.22, 3.0)])
def test_neither_side_is_enlarged_beyond_the_limit(spacing_um: tuple[float, float], turned: bool) -> None:
    """However coarse the other is."""
    with pytest.raises(UnmeasurableError):
        oblong(turned).sampling(spaced(spacing_um, turned))


@pytest.mark.parametrize("range_um", [(1.0, 0.9), (0.0, 1.0), (-1.0, 1.0)])
def test_a_range_that_is_none_is_refused(range_um: tuple[float, float]) -> None:
    """One spacing is a range."""
    with pytest.raises(ValueError, match="a spacing range needs 0 < finest <= coarsest"):
        pyramid(0.25, 0.25, 1).frame_spacing(*range_um)
    assert pyramid(0.25, 0.25, 1).frame_spacing(1.0, 1.0) == Spacing.square(1.0)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("side_um", "other_um"), [(0.25, 0.2524), (0.2245, 0.2265)])
def test_a_whole_number_of_pixels_is_in_the_range_with_both_sides(
    side_um: float, other_um: float, turned: bool
) -> None:
    """Four of them are 1.0 x 1.0096, or 0.898 x 0.906 um: what takes 0.9 to 1.0 is given its middle."""
    assert pyramid(*way((side_um, other_um), turned), 1).frame_spacing(0.9, 1.0) == Spacing.square(0.95)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("size_px", "downsample", "factors"),
    [
        ((1001, 499), 4.0, (4.0, 4.0)),
        ((999, 501), 4.004, (4.0, 4.0)),
        ((1002, 501), 3.992, (4000 / 1002, 2000 / 501)),
        ((1001, 502), 3.99, (4000 / 1001, 2000 / 502)),
        ((1100, 600), 4.0, (4.0, 4.0)),
        ((999, 600), 4.0, (4.0, 4.0)),
        ((1100, 499), 4.0, (4.0, 4.0)),
        ((998, 600), 4.0, None),
        ((1100, 498), 4.0, None),
        ((1100, 600), 4.01, None),
    ],
)
def test_a_pixel_more_or_less_is_cut_and_more_is_padded_or_squeezed(
    size_px: tuple[int, int], downsample: float, factors: tuple[float, float] | None, turned: bool
) -> None:
    """Of 4000 x 2000 px, reduced by four: what is said to be just so, and larger, was padded."""
    sizes = tuple((int(wide), int(high)) for wide, high in (way((4000, 2000), turned), way(size_px, turned)))
    _, *levels = placed(sizes, (1.0, downsample))
    found = [(level.factor_x, level.factor_y) for level in levels]
    assert found == ([] if factors is None else [pytest.approx(way(factors, turned))])


@pytest.mark.parametrize("turned", [False, True])
def test_a_level_that_is_used_as_it_is_has_its_own_spacing_across_and_down(turned: bool) -> None:
    """Squeezed by 2.5 and 2.49: by the other side's all sizes along one would be off."""
    sizes = tuple((int(wide), int(high)) for wide, high in (way((4000, 3000), turned), way((1600, 1205), turned)))
    slide = Pyramid("s", Spacing.square(0.25), placed(sizes, (1.0, 2.495)))
    found = slide.frame_spacing(0.62, 0.63)
    assert (found.x, found.y) == pytest.approx(way((0.625, 0.25 * 3000 / 1205), turned))
    assert slide.sampling(found).level.index == 1
    assert slide.frame_size(found) == sizes[1]
