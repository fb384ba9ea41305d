"""Tissue is kept down to small and pale fragments, and what is left out is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodescan.domain.maps import TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.tissue import find_tissue, large_exclusions
from tests.imaging.views import DAB, TISSUE, absorb, disc, glass, nuclei_and_matrix, real_tissue

SPACING = Spacing.square(8.0)


def stained(view: np.ndarray, where: np.ndarray, strength: float = 1.0) -> np.ndarray:
    return absorb(view, where, nuclei_and_matrix(int(where.sum()), strength))


def density(red: int, green: int, blue: int) -> np.ndarray:
    return -np.log10(np.array([red, green, blue]) / 242.0)


def share(mask: TissueMask, where: np.ndarray) -> float:
    return float(mask.tissue[where].mean())


@pytest.mark.parametrize("area_mm2", [0.01, 0.02, 0.05, 0.2])
@pytest.mark.parametrize("strength", [0.2, 1.0, 2.0])
@pytest.mark.parametrize("colour", [(242, 242, 242), (215, 215, 218), (238, 232, 205), (255, 255, 255)])
def test_a_fragment_is_kept_whole(area_mm2: float, strength: float, colour: tuple[int, int, int]) -> None:
    """A fragment of 0.01 mm2 or more is kept whole, pale or dark, on white, grey and yellow glass."""
    where = disc((200, 200), (101.3, 97.8), (area_mm2 * 1e6 / np.pi) ** 0.5 / 8)
    mask = find_tissue(stained(glass(200, 200, colour=colour), where, strength), SPACING, TISSUE)
    assert share(mask, where) > 0.99


def test_the_rim_around_tissue_is_as_wide_as_stated() -> None:
    """The mask goes beyond a fragment by the margin, within two working pixels, and no farther."""
    shape, radius = (240, 240), 50.0
    mask = find_tissue(stained(glass(*shape), disc(shape, (120, 120), radius)), SPACING, TISSUE)
    beyond = (TISSUE.margin_um + 2 * TISSUE.working_um) / 8
    assert share(mask, disc(shape, (120, 120), radius + 1)) == 1
    assert share(mask, ~disc(shape, (120, 120), radius + 2**0.5 * beyond)) == 0


@pytest.mark.parametrize("colour", [(210, 196, 166), (190, 178, 166), (160, 150, 130)])
@pytest.mark.parametrize("noise", [0.0, 1.5])
def test_dim_tinted_glass_is_glass(colour: tuple[int, int, int], noise: float) -> None:
    """An old mountant and a dim lamp: all was tissue, and the node's own area a third of it."""
    where = disc((300, 300), (150, 150), 60)
    mask = find_tissue(stained(glass(300, 300, colour=colour, noise=noise), where), SPACING, TISSUE)
    assert mask.glass == pytest.approx(colour, abs=1.5)
    assert share(mask, where) > 0.99
    assert mask.tissue.mean() < 0.16
    assert mask.cut is None


def test_tinted_grey_is_no_glass_where_there_is_lighter() -> None:
    """Tissue or a marker may be as dim as that; glass is what is lighter."""
    view = glass(300, 300, colour=(242, 240, 244))
    view[:200] = (166, 160, 150)
    mask = find_tissue(view, SPACING, TISSUE)
    assert mask.glass == pytest.approx((242, 240, 244), abs=1)


@pytest.mark.parametrize("side", [np.s_[:, -1], np.s_[:, 0], np.s_[0], np.s_[-1]])
def test_a_line_along_the_border_is_no_tissue(side: tuple[slice, int] | int) -> None:
    """JPEG's last column shares its colour with what fills up its tile: (213, 209, 246) on a real slide's glass."""
    view = glass(300, 300, colour=(231, 228, 235))
    where = disc((300, 300), (150, 150), 60)
    alone = find_tissue(stained(view, where), Spacing.square(16.0), TISSUE)
    view[side] = (213, 209, 246)
    mask = find_tissue(stained(view, where), Spacing.square(16.0), TISSUE)
    assert mask.cut is None
    assert np.array_equal(mask.tissue, alone.tissue)


@pytest.mark.parametrize("noise", [0.0, 1.5, 4.0])
@pytest.mark.parametrize(
    "colour", [(255, 255, 255), (242, 242, 242), (200, 200, 200), (238, 232, 205), (231, 228, 235)]
)
def test_empty_glass_holds_no_tissue(noise: float, colour: tuple[int, int, int]) -> None:
    """An empty slide gives an empty mask and leaves nothing out worth a flag."""
    mask = find_tissue(glass(300, 320, colour=colour, noise=noise), SPACING, TISSUE)
    assert not mask.tissue.any()
    assert large_exclusions(mask, TISSUE) == ()


def test_coloured_noise_is_not_tissue() -> None:
    """Noise that differs between the channels, 2.5 levels each, gives no tissue either."""
    noise = np.random.default_rng(1).normal(242, 2.5, (400, 400, 3))
    assert not find_tissue(np.clip(noise, 0, 255).astype(np.uint8), SPACING, TISSUE).tissue.any()


def test_noisy_glass_hides_no_stain_beyond_the_limit() -> None:
    """Noise of 9 levels asks for more colour than stain of 0.026 has, so noise counts as tissue rather than that."""
    where = disc((300, 300), (150, 150), 40)
    noise = np.random.default_rng(5).normal(0, 1, (300, 300, 3)) * np.where(where, 0.3, 9.0)[..., None]
    view = np.clip(np.where(where[..., None], (222, 209, 222), 222) + noise, 0, 255).astype(np.uint8)
    assert share(find_tissue(view, Spacing.square(TISSUE.working_um), TISSUE), where) == 1


@pytest.mark.parametrize("strength", [0.3, 1.0, 2.0])
def test_a_view_without_glass_is_all_tissue(strength: float) -> None:
    """Where there is no glass to calibrate on, full tissue comes out as full tissue."""
    mask = find_tissue(stained(glass(150, 150), np.ones((150, 150), bool), strength), SPACING, TISSUE)
    assert mask.tissue.all()


def test_fat_within_a_node_belongs_to_it() -> None:
    """Empty fat cells of 100 um between thin septa, and a fat lobule of 0.5 mm2, are within reach."""
    shape = (300, 300)
    node = disc(shape, (150, 150), 120)
    rows, columns = np.ogrid[:300, :300]
    cells = ((rows % 14) > 1) & ((columns % 14) > 1) & disc(shape, (150, 150), 100)
    lobule = disc(shape, (150, 150), 50)
    view = stained(glass(*shape), node & ~cells)
    assert share(find_tissue(view, SPACING, TISSUE), node) == 1
    assert share(find_tissue(stained(glass(*shape), node & ~lobule), SPACING, TISSUE), node) == 1


@pytest.mark.parametrize(
    "ink",
    [(40, 60, 160), (70, 90, 190), (30, 140, 80), (20, 110, 120), (25, 25, 28), (200, 30, 40), (225, 60, 60)],
    ids=["blue", "light blue", "green", "teal", "black", "red", "light red"],
)
def test_pen_marks_are_left_out_and_named(ink: tuple[int, int, int]) -> None:
    """A stroke of ink on glass is not tissue, stands under "pen" with its area, and takes no tissue beside it away."""
    shape = (300, 400)
    node, stroke = disc(shape, (190, 200), 90), np.zeros(shape, bool)
    stroke[20:70, 30:370] = True
    view = absorb(stained(glass(*shape), node), stroke, density(*ink))
    mask = find_tissue(view, SPACING, TISSUE)
    assert share(mask, stroke) == 0
    assert share(mask, node) == 1
    assert mask.excluded_area_um2("pen") >= stroke.sum() * 64
    assert mask.excluded_area_um2("pen") <= 1.15 * stroke.sum() * 64
    assert [reason for reason, _ in large_exclusions(mask, TISSUE)] == ["pen"]


@pytest.mark.parametrize("width", [40, 120, 240], ids=["0.3 mm", "1 mm", "2 mm"])
@pytest.mark.parametrize("across", [True, False], ids=["stroke", "dot"])
def test_tissue_that_goes_on_under_ink_is_hidden(across: bool, width: int) -> None:
    """Between tissue on both sides, or within it: wanted, not seen, and not under "pen". Markers are 1 to 2 mm wide."""
    shape = (600, 800)
    node, mark = disc(shape, (300, 400), 240), np.zeros(shape, bool)
    mark[0 if across else 220 : 600 if across else 380, 400 - width // 2 : 400 + width // 2] = True
    view = stained(glass(*shape), node)
    view[mark] = (40, 60, 160)  # a felt pen covers what it marks
    mask = find_tissue(view, SPACING, TISSUE)
    assert mask.hidden is not None
    assert mask.hidden[node & mark].mean() > (0.97 if width < 240 else 0.9)  # a node's rim bulges out of a broad stroke
    assert mask.wanted[node].mean() > (0.99 if width < 240 else 0.93)
    assert share(mask, mark) == 0
    pen = dict(mask.excluded).get("pen", np.zeros(shape, bool))
    assert not (pen & mask.wanted).any()
    assert pen.any() == across


@pytest.mark.parametrize("ink", [(40, 60, 160), (30, 140, 80), (25, 25, 28), (200, 30, 40)])
@pytest.mark.parametrize(("gap_um", "meets"), [(-40, True), (0, True), (200, False)])
def test_a_node_that_runs_into_ink_is_told_however_small_the_mark(
    ink: tuple[int, int, int], gap_um: int, meets: bool
) -> None:
    """A dot of 0.3 mm2 over a node's edge, or up to it, may hide some of it; one beside it doesn't."""
    shape = (300, 400)
    node, dot = disc(shape, (150, 150), 90), disc(shape, (150, 150 + 90 + 40 + gap_um / 8), 40)
    view = stained(glass(*shape), node)
    view[dot] = ink
    mask = find_tissue(view, SPACING, TISSUE)
    assert large_exclusions(mask, TISSUE) == ()
    assert (mask.inked is not None) == meets
    if mask.inked is not None:
        assert not (mask.inked & mask.tissue).any()
        assert mask.inked[disc(shape, (150, 150), 100)].sum() > 0.5 * mask.inked.sum()


@pytest.mark.parametrize("grey", [75, 100, 130])
@pytest.mark.parametrize(("gap_um", "meets"), [(-40, True), (200, False)])
def test_a_node_that_runs_into_a_worn_mark_is_told(grey: int, gap_um: int, meets: bool) -> None:
    """Worn black ink is lighter than ink and hides as much: whether it counts as ink or as dirt is no matter."""
    shape = (300, 400)
    node, dot = disc(shape, (150, 150), 90), disc(shape, (150, 150 + 90 + 40 + gap_um / 8), 40)
    view = stained(glass(*shape), node)
    view[dot] = np.clip(grey + np.random.default_rng(3).normal(0, 6, (int(dot.sum()), 1)), 0, 255)
    assert (find_tissue(view, SPACING, TISSUE).inked is not None) == meets


@pytest.mark.parametrize("grey", [175, 190, 210])
def test_a_grey_edge_is_not_the_glass_of_a_white_slide(grey: int) -> None:
    """Where glass came out pure white, a strip of glue is the only thing that looks like glass: pale tissue stays."""
    shape = (400, 500)
    view = glass(*shape, colour=(255, 255, 255), noise=0.0)
    view[:, :20] = (grey, grey, grey - 2)
    node = disc(shape, (200, 260), 90)
    view[node] = (228, 190, 212)
    mask = find_tissue(view, SPACING, TISSUE)
    assert share(mask, node) > 0.99
    assert mask.glass == (255.0, 255.0, 255.0)


@pytest.mark.parametrize("red_per_green", [0.11, 0.15, 0.29])
@pytest.mark.parametrize("beside", [True, False], ids=["beside a node", "in a node"])
def test_blood_and_dense_collagen_are_no_red_ink(red_per_green: float, beside: bool) -> None:
    """Of 14,676 real patches the reddest take up 0.11 to 0.30 as much red as green, and nearly as much blue."""
    shape = (300, 400)
    node, piece = disc(shape, (150, 130), 80), disc(shape, (150, 330 if beside else 130), 30)
    view = stained(glass(*shape), node)
    view[piece] = (242 * 10.0 ** -(0.5 * np.array([red_per_green, 1.0, 0.85]))).astype(np.uint8)
    mask = find_tissue(view, SPACING, TISSUE)
    assert share(mask, piece) == 1
    assert mask.hidden is None


@pytest.mark.parametrize(
    "light", [(0.95, 0.2, 0.17), (0.08, 0.17, 0.62), (0.06, 0.1, 0.3), (0.35, 0.1, 0.5), (0.1, 0.1, 0.1)]
)
@pytest.mark.parametrize("radius", [32, 60], ids=["0.5 mm", "1 mm"])
def test_translucent_ink_over_tissue_hides_it(light: tuple[float, float, float], radius: int) -> None:
    """Red, blue, navy, purple, black: the tissue's own density makes them unlike ink; a dot on glass hides nothing."""
    shape = (400, 600)
    node, dot, beside = disc(shape, (200, 200), 150), disc(shape, (200, 200), radius), disc(shape, (200, 480), radius)
    view = absorb(stained(glass(*shape), node), dot | beside, -np.log10(np.array(light)))
    mask = find_tissue(view, SPACING, TISSUE)
    assert mask.hidden is not None
    assert mask.hidden[dot].mean() > 0.85
    assert not mask.hidden[beside].any()
    assert mask.wanted[node].all()
    assert not any((mask.hidden & area).any() for _, area in mask.excluded)


def test_a_node_that_runs_into_translucent_ink_is_told() -> None:
    """Of what a dot over a node's edge hides, part is judged as tissue: there may be more of it."""
    shape = (300, 400)
    view = stained(glass(*shape), disc(shape, (150, 150), 90))
    marked = absorb(view, disc(shape, (150, 250), 50), -np.log10(np.array((0.35, 0.1, 0.5))))
    assert find_tissue(marked, SPACING, TISSUE).inked is not None
    apart = absorb(view, disc(shape, (150, 340), 50), -np.log10(np.array((0.35, 0.1, 0.5))))
    assert find_tissue(apart, SPACING, TISSUE).inked is None


@pytest.mark.parametrize(("layers", "width_um"), [(2, 140), (3, 140)])
def test_folds_hide_nothing(layers: int, width_um: int, shared: Path) -> None:
    """Of 35 real regions, stained 1.3 times as strongly, twice or three times over each other."""
    for name, region in real_tissue(shared).items():
        density_ = 1.3 * np.log10(242 / np.maximum(np.tile(region, (2, 2, 1)), 1))
        middle = slice(512 - width_um // 2, 512 + width_um // 2)
        density_[middle] *= layers
        folded = np.clip(242 * 10**-density_, 0, 255).astype(np.uint8).reshape(128, 8, 128, 8, 3).mean(axis=(1, 3))
        view = glass(228, 228)
        view[50:178, 50:178] = folded
        assert find_tissue(view, SPACING, TISSUE).hidden is None, name


def test_pigment_inside_a_node_is_kept() -> None:
    """Black within tissue on all sides is pigment or a fold, not ink."""
    shape = (300, 300)
    view = stained(glass(*shape), disc(shape, (150, 150), 120))
    pigment = disc(shape, (150, 150), 15)
    assert share(find_tissue(absorb(view, pigment, density(20, 20, 22)), SPACING, TISSUE), pigment) == 1


@pytest.mark.parametrize("level", [0, 20, 45])
@pytest.mark.parametrize("radius", [45, 80, 150])
def test_what_black_hides_within_a_node_is_no_debris(level: int, radius: int) -> None:
    """A part painted black, an opaque dot or a fold, 0.7 to 2.4 mm wide: wanted, and not seen.

    What is as dark as a dot of a pen is hidden however small a hole it fills; less is, if larger than a hole.

    Grains as black on glass, 0.1 mm wide, are debris or ink all the same, and hide nothing.
    """
    shape = (600, 800)
    node, mark = disc(shape, (300, 400), 240), disc(shape, (300, 400), radius)
    view = stained(glass(*shape), node)
    view[mark] = level
    view[disc(shape, (50, 700), 6)] = level
    mask = find_tissue(view, SPACING, TISSUE)
    assert mask.wanted[node].all()
    assert (mask.hidden is not None) == (radius > 70 or level <= 20)
    if mask.hidden is not None:
        assert mask.hidden[mark].mean() > 0.9
        assert not (mask.hidden & mask.tissue).any()
        assert not any((mask.hidden & area).any() for _, area in mask.excluded)
    assert not mask.wanted[disc(shape, (50, 700), 6)].any()


def test_worn_ink_across_a_node_hides_it_and_a_grain_between_nodes_nothing() -> None:
    """A grey stroke is too pale for ink and was a slide's edge; dust that no tissue runs into lies on glass."""
    shape = (400, 600)
    node = disc(shape, (200, 180), 120) | disc(shape, (200, 460), 100)
    stroke, grain = np.zeros(shape, bool), disc(shape, (200, 330), 10)
    stroke[:, 160:200] = True
    view = stained(glass(*shape), node)
    grey = np.random.default_rng(0).normal(110, 4, (*shape, 1)).repeat(3, axis=2).astype(np.uint8)
    view[stroke | grain] = grey[stroke | grain]
    mask = find_tissue(view, SPACING, TISSUE)
    assert mask.hidden is not None
    assert mask.hidden[stroke & node].mean() > 0.97
    assert not mask.hidden[disc(shape, (200, 330), 20)].any()


def test_brown_tissue_is_tissue() -> None:
    """An immunostained slide still has tissue: that it can't be judged is said elsewhere."""
    where = disc((200, 200), (100, 100), 60)
    assert share(find_tissue(absorb(glass(200, 200), where, 0.4 * DAB), SPACING, TISSUE), where) == 1


def test_slide_edges_and_dust_are_left_out_by_reason() -> None:
    """A grey coverslip line is an "edge", a grey smear "debris", a stained speck "small"; none is tissue."""
    shape = (400, 400)
    line, smear, speck = np.zeros(shape, bool), disc(shape, (300, 100), 40), np.zeros(shape, bool)
    line[100:104, 50:350] = True
    speck[300:304, 300:304] = True
    view = absorb(glass(*shape, colour=(240, 238, 232)), line | smear, density(170, 170, 170))
    view = absorb(view, speck, density(150, 60, 140))
    mask = find_tissue(view, SPACING, TISSUE)
    assert not mask.tissue.any()
    found = dict(mask.excluded)
    assert found["edge"][line].all()
    assert found["debris"][disc(shape, (300, 100), 37)].all()
    assert found["small"][speck].all()
    assert [reason for reason, _ in large_exclusions(mask, TISSUE)] == ["debris"]
    larger = replace(TISSUE, flag_piece_mm2=0.5)
    assert large_exclusions(mask, larger) == ()
    assert [reason for reason, _ in large_exclusions(mask, replace(larger, flag_area_mm2=0.3))] == ["debris"]


@pytest.mark.parametrize("fill", [0, 255])
def test_padding_changes_nothing(fill: int) -> None:
    """Black or white filling around the scanned part gives the same mask inside and nothing outside."""
    shape = (240, 240)
    view = stained(glass(*shape), disc(shape, (120, 120), 80))
    padded = np.pad(view, ((80, 80), (80, 80), (0, 0)), constant_values=fill)
    mask = find_tissue(padded, SPACING, TISSUE)
    np.testing.assert_array_equal(mask.tissue[80:-80, 80:-80], find_tissue(view, SPACING, TISSUE).tissue)
    assert mask.tissue.sum() == mask.tissue[80:-80, 80:-80].sum()
    assert large_exclusions(mask, TISSUE) == ()


def test_a_greyscale_scan_keeps_its_tissue() -> None:
    """Where a scan has no colour at all, density alone decides."""
    where = disc((200, 200), (100, 100), 60)
    grey = stained(glass(200, 200), where).mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, axis=2)
    assert share(find_tissue(grey, SPACING, TISSUE), where) == 1


def test_tissue_and_excluded_share_no_pixel() -> None:
    """No pixel is both tissue and left out, and none is left out for two reasons; odd sizes keep their shape."""
    shape = (301, 399)
    stroke = np.zeros(shape, bool)
    stroke[100:140] = True
    view = absorb(stained(glass(*shape), disc(shape, (150, 150), 90)), stroke, density(25, 25, 28))
    mask = find_tissue(view, SPACING, TISSUE)
    layers = np.stack([mask.tissue, *(area for _, area in mask.excluded)])
    assert layers.shape[1:] == shape
    assert layers.sum(axis=0).max() == 1


def test_a_flag_starts_above_half_a_square_millimetre() -> None:
    """0.5 mm2 left out is no flag, one pixel more is."""
    area = np.zeros((200, 200), bool)
    spacing = Spacing.square(10.0)
    area[:50, :100] = True
    mask = TissueMask(np.zeros_like(area), spacing, (("pen", area),))
    assert large_exclusions(mask, TISSUE) == ()
    area[199, 199] = True
    assert large_exclusions(mask, TISSUE) == (("pen", pytest.approx(0.5001)),)


def test_a_colourless_piece_is_told_above_a_tenth_of_a_square_millimetre() -> None:
    """It may be tissue without stain; much dust in small pieces isn't told, nor what is left out for other reasons."""
    spacing, shape = Spacing.square(10.0), (200, 200)
    piece = np.zeros(shape, bool)
    piece[:20, :50] = True
    dust = piece.copy()
    dust[40::20, 10::20] = True
    apart = TissueMask(np.zeros(shape, bool), spacing, (("debris", dust),))
    assert apart.excluded_area_um2("debris") > 0.1e6
    assert large_exclusions(apart, TISSUE) == ()
    piece[20, 0] = True
    found = large_exclusions(replace(apart, excluded=(("debris", piece),)), TISSUE)
    assert found == (("debris", pytest.approx(0.1001)),)
    assert large_exclusions(replace(apart, excluded=(("edge", piece), ("small", piece), ("pen", piece))), TISSUE) == ()


def test_a_grey_picture_array_is_refused() -> None:
    """An array that is no RGB picture is refused with what was expected."""
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
        find_tissue(np.zeros((10, 10), np.uint8), SPACING, TISSUE)


def test_the_five_centres_are_all_tissue(shared: Path) -> None:
    """Crops full of tissue of five scanners and stains come out almost all tissue."""
    paths = sorted((shared / "data" / "regions").glob("centre_*.jpeg"))
    assert len(paths) == 5
    for path in paths:
        with Image.open(path) as picture:
            view = np.asarray(picture.convert("RGB").reduce(32))
        assert find_tissue(view, Spacing.square(0.243 * 32), TISSUE).tissue.mean() > 0.99, path.name


def test_a_real_slide_is_found_as_the_eye_finds_it(shared: Path) -> None:
    """On test_016 every dark pixel within the nodes is kept, the empty corners are empty, and tissue is 50 to 70 %;
    its dust is no reason for a flag."""
    with Image.open(shared / "data" / "regions" / "test_016_thumb_x64.png") as picture:
        view = np.asarray(picture.convert("RGB"))
    mask = find_tissue(view, Spacing.square(15.5), TISSUE)
    purple = (view[..., 1] < 130) & (view.max(axis=2) - view.min(axis=2) > 40)
    assert mask.tissue[purple].mean() > 0.999
    assert 0.5 < mask.tissue.mean() < 0.7
    for corner in (np.s_[:60, :700], np.s_[1100:, :300], np.s_[1420:, :1100]):
        assert mask.tissue[corner].mean() < 0.01
    assert large_exclusions(mask, TISSUE) == ()


@pytest.mark.parametrize(
    ("colour", "is_glass"),
    [
        ((170, 170, 170), True),
        ((169, 169, 169), False),
        ((240, 232, 240), True),
        ((241, 232, 241), True),
        ((220, 200, 220), True),
        ((221, 200, 221), False),
        ((219, 199, 219), False),
        ((240, 240, 195), True),
        ((240, 240, 194), False),
    ],
    ids=["dark", "too dark", "pale pink", "pinker", "pink", "too pink", "too dark a pink", "yellow", "too yellow"],
)
def test_what_may_be_glass_ends_at_a_colour(colour: tuple[int, int, int], is_glass: bool) -> None:
    """Darker than 170, or more magenta or tinted than a slide and its mounting medium are, it may be tissue."""
    view = np.full((60, 60, 3), colour, np.uint8)
    assert find_tissue(view, Spacing.square(16.0), TISSUE).glass == (tuple(map(float, colour)) if is_glass else None)


@pytest.mark.parametrize("colour", [(240, 222, 234), (244, 226, 238), (245, 222, 236)])
def test_pink_glass_is_glass_where_it_is_a_tenth_of_the_view(colour: tuple[int, int, int]) -> None:
    """A piece of tissue on it is all the tissue; where there is little of it, or other glass too, it may be eosin."""
    shape, pixel = (200, 260), Spacing.square(16.0)
    node = disc(shape, (100, 130), 60)
    mask = find_tissue(stained(glass(*shape, colour=colour), node), pixel, TISSUE)
    assert mask.glass is not None
    assert np.abs(np.subtract(mask.glass, colour)).max() < 2
    assert share(mask, node) > 0.99
    assert mask.tissue.sum() < 1.2 * node.sum()
    full = stained(glass(*shape, colour=colour), disc(shape, (100, 130), 400) & ~disc(shape, (100, 130), 20))
    assert find_tissue(full, pixel, TISSUE).glass is None
    beside = glass(*shape)
    beside[:, :130] = glass(200, 130, colour=colour)
    assert find_tissue(beside, pixel, TISSUE).tissue[:, :120].all()


def test_pale_stroma_and_fat_alone_are_no_glass(shared: Path) -> None:
    """Of 35 real regions, as they are and faded, none is taken for pink glass."""
    for fade in (1.0, 0.6, 0.35):
        for name, region in real_tissue(shared).items():
            faded = 242 * (np.maximum(region, 1) / 242) ** fade
            view = np.clip(faded, 0, 255).astype(np.uint8).reshape(32, 16, 32, 16, 3).mean(axis=(1, 3)).astype(np.uint8)
            found = find_tissue(view, Spacing.square(16.0), TISSUE).glass
            assert found is None or (found[0] + found[2]) / 2 - found[1] < 9, name  # 8, and rounding


@pytest.mark.parametrize(("green", "found"), [(234, True), (235, False)])
def test_on_noisy_glass_stain_begins_at_five_sigma_of_the_noise(green: int, found: bool) -> None:
    """3.2 times the median difference between channels, here 2.4 grey levels in blue: 0.0141 of density."""
    shape = (200, 200)
    view = np.full((*shape, 3), 242, np.uint8)
    view[np.indices(shape).sum(axis=0) % 5 > 1, 2] = 236  # in three pixels of five
    piece = disc(shape, (100, 100), 25)
    view[piece] = (242, green, 242)
    mask = find_tissue(view, Spacing.square(16.0), TISSUE)
    assert mask.glass == pytest.approx((242, 242, 238.4), abs=0.05)
    assert share(mask, piece) == (1 if found else 0)


@pytest.mark.parametrize(("side", "hidden"), [(3, False), (6, True)])
def test_ink_on_less_than_a_fragment_of_tissue_hides_nothing(side: int, hidden: bool) -> None:
    """A dot within tissue, 0.002 mm2 large, is taken for it; of 0.009 mm2 it is wanted and not seen."""
    shape, spacing = (120, 120), Spacing.square(16.0)
    node, dot = disc(shape, (60, 60), 45), np.zeros(shape, bool)
    dot[60 : 60 + side, 60 : 60 + side] = True
    view = stained(glass(*shape), node)
    view[dot] = (40, 60, 160)
    settings = replace(TISSUE, ink=replace(TISSUE.ink, stroke_um=32.0))
    mask = find_tissue(view, spacing, settings)
    assert (mask.hidden is not None) is hidden
    assert mask.wanted[dot].all()
    assert mask.tissue[dot].any() is np.bool_(not hidden)
