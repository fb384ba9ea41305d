"""Heavy blur is found and sharp tissue isn't accused; slides that aren't H&E are flagged and H&E isn't."""

import io
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from nodescan.domain.maps import TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.quality import Stain, out_of_focus, stain_of, without_specks
from nodescan.imaging.tissue import find_tissue
from tests.imaging.views import (
    DAB,
    EOSIN,
    HAEMATOXYLIN,
    QUALITY,
    TISSUE,
    absorb,
    disc,
    glass,
    nuclei_and_matrix,
    real_tissue,
)

SPACING = Spacing.square(8.0)
SHAPE = (200, 200)


@cache
def lymphocytes(size: int, seed: int = 0) -> np.ndarray:
    """uint8 (size, size, 3) at 1 um/px, to be read alone: dark nuclei of 7 px on a pink ground, with sharp borders."""
    rng = np.random.default_rng(seed)
    view = np.full((size, size, 3), (205, 150, 190), np.uint8)
    rows, columns = np.ogrid[:size, :size]
    for row, column in rng.uniform(0, size, (size * size // 90, 2)):
        view[np.hypot(rows - row, columns - column) < 3.5] = (95, 60, 140)
    view = np.clip(view + rng.normal(0, 2, view.shape), 0, 255).astype(np.uint8)
    view.setflags(write=False)
    return view


def blurred(view: np.ndarray, sigma_px: float) -> np.ndarray:
    return ndimage.gaussian_filter(view, (sigma_px, sigma_px, 0))


def whole(view: np.ndarray) -> TissueMask:
    return TissueMask(np.ones(view.shape[:2], bool), SPACING)


@pytest.mark.parametrize("strength", [0.3, 1.0])
@pytest.mark.parametrize("sigma_px", [4.0, 5.0, 6.0])
def test_heavy_blur_is_found_whatever_the_stain(sigma_px: float, strength: float) -> None:
    """Blur of 4 px and more is found in every block, on full stain and on pale."""
    view = blurred((255 * (lymphocytes(256) / 255) ** strength).astype(np.uint8), sigma_px)
    assert out_of_focus(view, 128, QUALITY, None).all()


@pytest.mark.parametrize("strength", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("sigma_px", [0.0, 1.0, 1.5])
def test_sharp_tissue_is_not_accused(sigma_px: float, strength: float) -> None:
    """Sharp tissue, and tissue as soft as a scanner's optics make it, is in focus in every block, over-stained too."""
    view = (255 * (lymphocytes(256) / 255) ** strength).astype(np.uint8)
    assert not out_of_focus(blurred(view, sigma_px), 64, QUALITY, None).any()


@pytest.mark.parametrize("turned", [False, True])
def test_fibres_are_in_focus_whichever_way_they_run(turned: bool) -> None:
    """All their detail is along one axis."""
    stripes = np.repeat(np.random.default_rng(2).uniform(90, 190, 64), 2)
    view = np.full((128, 128, 3), (200, 0, 220), dtype=np.uint8)
    view[..., 1] = stripes[None, :] if turned else stripes[:, None]
    assert not out_of_focus(view, 64, QUALITY, None).any()


def test_dark_stain_is_judged_by_its_density() -> None:
    """A step of density is few grey levels where little light comes through: even then even stain is blur."""
    rng = np.random.default_rng(0)
    density = ndimage.gaussian_filter(rng.normal(0, 1, (256, 256)), 2)
    density = 0.85 + 0.06 * density / density.std()
    dark = np.repeat((245 * 10**-density)[..., None], 3, axis=2).astype(np.uint8)
    assert 25 < dark.mean() < 45
    assert not out_of_focus(dark, 64, QUALITY, None).any()
    assert out_of_focus(blurred(dark, 12), 64, QUALITY, None).all()


@pytest.mark.parametrize("level", [195, 185, 172])
def test_dark_glass_is_not_out_of_focus(level: int) -> None:
    """What an underexposed scan shows between fat cells holds nothing to focus on."""
    flat = glass(128, 128, colour=(level,) * 3, noise=0.0)
    assert not out_of_focus(flat, 64, QUALITY, (float(level),) * 3).any()


def test_the_blurred_block_is_the_one_named() -> None:
    """Row and column of the answer are those of the blurred block."""
    view = np.concatenate([lymphocytes(128), lymphocytes(128, 1)], axis=1)
    view[:64, 192:] = blurred(view, 5)[:64, 192:]
    expected = np.zeros((2, 4), bool)
    expected[0, 3] = True
    np.testing.assert_array_equal(out_of_focus(view, 64, QUALITY, None), expected)


@pytest.mark.parametrize("sigma_px", [8.0, 12.0, 16.0, 32.0])
@pytest.mark.parametrize("quality", [None, 75])
def test_blur_that_leaves_no_contrast_is_found(shared: Path, sigma_px: float, quality: int | None) -> None:
    """Tissue smeared beyond recognition holds nothing to focus on, but it was not examined: never "negative"."""
    found: list[np.ndarray] = []
    for sharp in (view for name, view in real_tissue(shared).items() if name.startswith("centre_")):
        view = blurred(sharp, sigma_px)
        if quality is not None:
            stored = io.BytesIO()
            Image.fromarray(view).save(stored, "JPEG", quality=quality)
            view = np.asarray(Image.open(stored))
        found.append(out_of_focus(view, 64, QUALITY, None))
    assert np.mean(found) > 0.97


def test_real_tiles_in_focus_are_not_accused(shared: Path) -> None:
    """Of 1,920 blocks of 30 real tiles and of 320 blocks of five centres none is out of focus."""
    assert sum(int(out_of_focus(view, 64, QUALITY, None).sum()) for view in real_tissue(shared).values()) == 0


@pytest.mark.parametrize("level", [200, 242, 255])
@pytest.mark.parametrize("noise", [0.0, 1.5])
def test_flat_blocks_are_not_out_of_focus(level: int, noise: float) -> None:
    """Where there is no stain there is nothing to focus on, and nothing is out of focus."""
    assert not out_of_focus(glass(128, 128, colour=(level,) * 3, noise=noise), 64, QUALITY, None).any()


@pytest.mark.parametrize(("level", "blurred_away"), [(195, False), (194, True)])
def test_a_flat_block_is_out_of_focus_from_the_least_density_of_stain_on(level: int, blurred_away: bool) -> None:
    """A tenth over white, 245, is 194.6: what is lighter and flat is glass or fat."""
    assert out_of_focus(np.full((64, 64, 3), level, np.uint8), 64, QUALITY, None).item() is blurred_away


@pytest.mark.parametrize(("contrast", "compared"), [(3.99, True), (4.0, False)])
def test_fine_steps_are_compared_with_coarse_ones_above_the_least_contrast(contrast: float, compared: bool) -> None:
    """A slope of 4 levels over 8 px both ways, without anything finer, is blur; with less nothing is told."""
    rows, columns = np.indices((64, 64))
    slope = np.repeat((180 + rows // 2 + columns // 2)[..., None], 3, axis=2).astype(np.uint8)
    assert out_of_focus(slope, 64, replace(QUALITY, min_contrast=contrast), None).item() is compared


@pytest.mark.parametrize(("step", "even"), [(4, True), (5, False)])
def test_stain_is_even_below_a_share_of_its_density(step: int, even: bool) -> None:
    """At a grey level of 152 density amounts to 72.6 levels; of that 6 %, 4.4, are the least step over 8 px."""
    rows, columns = np.indices((64, 64)) // 8
    board = np.repeat((150 + step * ((rows + columns) % 2))[..., None], 3, axis=2).astype(np.uint8)
    assert out_of_focus(board, 64, QUALITY, None).item() is even


@pytest.mark.parametrize("block_px", [16, 36, 100])
def test_blocks_that_do_not_fit_are_refused(block_px: int) -> None:
    """A block size that doesn't cut the picture whole is an error, not a crop."""
    with pytest.raises(ValueError, match="can't be cut"):
        out_of_focus(np.zeros((128, 128, 3), np.uint8), block_px, QUALITY, None)


def test_real_patches_in_and_out_of_focus(shared: Path) -> None:
    """Of 400 real patches at most 2 are accused as they are, and at least 97 % are found at a blur of 4 px."""
    with zipfile.ZipFile(shared / "data" / "pcam" / "valid.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][::7][:400]
        patches = [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names]
    tissue = [patch for patch in patches if patch[..., 1].mean() < 200]
    assert sum(out_of_focus(patch, 96, QUALITY, None).sum() for patch in patches) <= 2
    assert np.mean([out_of_focus(blurred(patch, 4), 96, QUALITY, None) for patch in tissue]) > 0.97
    # All of them as one slide at low magnification are H&E.
    small = np.concatenate([np.asarray(Image.fromarray(patch).reduce(8)) for patch in patches])
    assert stain_of(small, whole(small), QUALITY) is Stain.HE


@pytest.mark.parametrize("colour", [(242, 242, 242), (245, 235, 205), (225, 235, 245)])
@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_h_and_e_is_not_flagged(strength: float, colour: tuple[int, int, int]) -> None:
    """Haematoxylin and eosin, pale or dark, on clear, warm or cold glass, is no reason for a flag."""
    where = disc(SHAPE, (100, 100), 80)
    view = absorb(glass(*SHAPE, colour=colour), where, nuclei_and_matrix(int(where.sum()), strength))
    mask = find_tissue(view, SPACING, TISSUE)
    assert mask.tissue[where].all()
    assert stain_of(view, mask, QUALITY) is Stain.HE


@pytest.mark.parametrize("colour", [(242, 242, 242), (245, 235, 205), (225, 235, 245)])
@pytest.mark.parametrize("strength", [0.1, 0.2, 0.3])
def test_stain_too_pale_for_any_network_is_flagged(strength: float, colour: tuple[int, int, int]) -> None:
    """Of real tumour so faded the released model finds less than half: nothing found there is not negative."""
    where = disc(SHAPE, (100, 100), 80)
    view = absorb(glass(*SHAPE, colour=colour), where, nuclei_and_matrix(int(where.sum()), strength))
    assert stain_of(view, find_tissue(view, SPACING, TISSUE), QUALITY) is Stain.PALE


def test_what_could_not_be_seen_is_not_pale() -> None:
    """It counts as tissue and is white on the overview, whatever is there."""
    everywhere = np.ones(SHAPE, bool)
    view = np.full((*SHAPE, 3), 255, np.uint8)
    assert stain_of(view, TissueMask(everywhere, SPACING, unseen=everywhere), QUALITY) is Stain.HE
    corner = np.zeros(SHAPE, bool)
    corner[:18, :18] = True  # 0.02 mm2: too little to judge
    view[corner] = absorb(glass(*SHAPE), corner, nuclei_and_matrix(int(corner.sum()), 1.0))[corner]
    assert stain_of(view, TissueMask(everywhere, SPACING, unseen=~corner), QUALITY) is Stain.HE


def test_a_node_in_much_fat_is_not_pale() -> None:
    """A fiftieth of the tissue that is stained well is enough; too small a piece says nothing."""
    where, node = disc(SHAPE, (100, 100), 90), disc(SHAPE, (100, 100), 16)
    view = absorb(glass(*SHAPE), where, nuclei_and_matrix(int(where.sum()), 0.2))
    view[node] = absorb(glass(*SHAPE), node, nuclei_and_matrix(int(node.sum()), 1.0))[node]
    assert stain_of(view, whole(view), QUALITY) is Stain.HE
    piece = disc(SHAPE, (100, 100), 15)
    view = absorb(glass(*SHAPE), piece, nuclei_and_matrix(int(piece.sum()), 0.2))
    assert stain_of(view, TissueMask(piece, SPACING), QUALITY) is Stain.HE


@pytest.mark.parametrize("colour", [(242, 242, 242), (245, 235, 205), (225, 235, 245)])
@pytest.mark.parametrize("dab_share", [0.0, 0.01, 0.05, 0.2, 0.6])
def test_an_immunostain_is_flagged(dab_share: float, colour: tuple[int, int, int]) -> None:
    """DAB over a haematoxylin counterstain is flagged at any share of DAB, also where nothing took it up."""
    rng = np.random.default_rng(0)
    where = disc(SHAPE, (100, 100), 80)
    count = int(where.sum())
    density = rng.uniform(0.1, 0.6, (count, 1)) * HAEMATOXYLIN
    density += (rng.random((count, 1)) < dab_share) * rng.uniform(0.3, 0.7, (count, 1)) * DAB
    view = absorb(glass(*SHAPE, colour=colour), where, density)
    stain = stain_of(view, find_tissue(view, SPACING, TISSUE), QUALITY)
    assert stain is not Stain.HE
    assert stain is Stain.BROWN or dab_share < 0.05


@pytest.mark.parametrize("colour", [(242, 242, 242), (245, 235, 205), (225, 235, 245)])
@pytest.mark.parametrize("nuclei", [False, True])
def test_eosin_without_haematoxylin_is_flagged(nuclei: bool, colour: tuple[int, int, int]) -> None:
    """Where nothing shows nuclei the network can't find tumour, also after JPEG; a tenth that holds them is enough."""
    rng = np.random.default_rng(0)
    where, nest = disc(SHAPE, (100, 100), 80), disc(SHAPE, (100, 100), 26)
    view = absorb(glass(*SHAPE, colour=colour), where, rng.uniform(0.3, 0.9, (int(where.sum()), 1)) * EOSIN)
    if nuclei:
        view = absorb(view, nest, rng.uniform(0.3, 0.7, (int(nest.sum()), 1)) * HAEMATOXYLIN)
    file = io.BytesIO()
    Image.fromarray(view).save(file, "JPEG", quality=85)
    view = np.asarray(Image.open(file))
    stain = stain_of(view, find_tissue(view, SPACING, TISSUE), QUALITY)
    assert stain is (Stain.HE if nuclei else Stain.NO_HAEMATOXYLIN)


def test_brown_within_h_and_e_is_found() -> None:
    """Where eosin is there too, brown alone is enough."""
    where = disc(SHAPE, (100, 100), 80)
    density = nuclei_and_matrix(int(where.sum()), 0.6)
    density[::10] = 0.5 * DAB
    view = absorb(glass(*SHAPE), where, density)
    assert stain_of(view, find_tissue(view, SPACING, TISSUE), QUALITY) is Stain.BROWN


@pytest.mark.parametrize(
    "ink", [(25, 25, 28), (30, 140, 80), (200, 30, 40), (40, 60, 160)], ids=["black", "green", "red", "blue"]
)
def test_a_circle_of_ink_around_a_small_biopsy_says_nothing_of_its_stain(ink: tuple[int, int, int]) -> None:
    """There is more ink than tissue on such a slide, and it is H&E."""
    shape = (400, 400)
    where, ring = disc(shape, (200, 200), 40), disc(shape, (200, 200), 150) & ~disc(shape, (200, 200), 120)
    view = absorb(glass(*shape), where, nuclei_and_matrix(int(where.sum()), 1.0))
    view[ring] = ink
    mask = find_tissue(view, SPACING, TISSUE)
    assert dict(mask.excluded)["pen"].sum() > mask.tissue.sum()
    assert stain_of(view, mask, QUALITY) is Stain.HE


@pytest.mark.parametrize("colour", [(225, 205, 150), (200, 160, 90), (150, 110, 60)])
def test_glue_beside_the_tissue_is_no_immunostain(colour: tuple[int, int, int]) -> None:
    """Yellow-brown mounting medium along a coverslip's edge lies by itself; DAB lies within tissue."""
    shape = (400, 600)
    where = disc(shape, (200, 350), 120)
    view = absorb(glass(*shape), where, nuclei_and_matrix(int(where.sum()), 1.0))
    view[:, 20:40] = colour
    assert stain_of(view, find_tissue(view, SPACING, TISSUE), QUALITY) is Stain.HE


def test_a_greyscale_scan_is_flagged() -> None:
    """A scan without colour is not H&E."""
    where = disc(SHAPE, (100, 100), 80)
    view = absorb(glass(*SHAPE), where, nuclei_and_matrix(int(where.sum()), 1.0))
    grey = view.mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, axis=2)
    assert stain_of(grey, find_tissue(grey, SPACING, TISSUE), QUALITY) is Stain.COLOURLESS


def test_a_fluorescence_scan_is_flagged() -> None:
    """Glowing nuclei on a dark ground are not H&E, whatever the mask says."""
    view = np.clip(np.random.default_rng(0).normal(10, 2, (*SHAPE, 3)), 0, 255).astype(np.uint8)
    view[60:120, 60:120, 2] = 180
    assert stain_of(view, find_tissue(view, SPACING, TISSUE), QUALITY) is Stain.DARK_GROUND


def test_a_slide_without_tissue_is_not_blamed_for_its_stain() -> None:
    """Of an empty slide nothing is said about its stain, black padding around it or not."""
    view = np.pad(glass(100, 100), ((100, 100), (100, 100), (0, 0)))
    assert stain_of(view, find_tissue(view, SPACING, TISSUE), QUALITY) is Stain.HE


def test_real_slides_are_h_and_e(shared: Path) -> None:
    """Five centres' stains and test_016 are not flagged."""
    folder = shared / "data" / "regions"
    centres = sorted(folder.glob("centre_*.jpeg"))
    assert len(centres) == 5
    for path in [*centres, folder / "test_016_thumb_x64.png"]:
        factor, um_per_px = (32, 0.243 * 32) if path.suffix == ".jpeg" else (1, 15.5)
        with Image.open(path) as picture:
            view = np.asarray(picture.convert("RGB").reduce(factor))
        mask = find_tissue(view, Spacing.square(um_per_px), TISSUE)
        assert stain_of(view, mask, QUALITY) is Stain.HE, path.name


def cells(*sides: tuple[int, int, int, int], shape: tuple[int, int] = (400, 400)) -> np.ndarray:
    """bool `shape`, at 16 um a cell: rectangles from (row, column) on, so many cells high and wide."""
    found = np.zeros(shape, bool)
    for row, column, height, width in sides:
        found[row : row + height, column : column + width] = True
    return found


def test_one_or_two_blurred_blocks_pass_and_three_do_not() -> None:
    """Blocks of 64 px are four cells wide: two joined are 0.008 mm2, three 0.012; corners join, gaps don't."""
    tissue, cell = np.ones((400, 400), bool), Spacing.square(16.0)
    specks = cells((0, 0, 4, 4), (40, 40, 4, 8), (80, 80, 4, 4), (84, 84, 4, 4), (120, 120, 4, 4), (120, 125, 4, 8))
    area = cells((200, 200, 4, 12), (300, 300, 4, 4), (304, 304, 4, 4), (308, 308, 4, 4))
    assert np.array_equal(without_specks(specks | area, tissue, cell), area)
    assert np.array_equal(without_specks(area, area[::-1], cell), area & area[::-1])


@pytest.mark.parametrize(
    ("side", "most"), [(100, 12), (240, 61), (640, 128)], ids=["2 %", "0.25 mm2", "0.5 % of a large slide"]
)
def test_many_blurred_specks_count_together(side: int, most: int) -> None:
    """Weak blur, told in places alone, leaves them: 2 % of the tissue, 0.25 mm2, or 0.5 % of it is the most."""
    tissue, cell = np.ones((side, side), bool), Spacing.square(16.0)
    places = [(row, column, 4, 4) for row in range(0, side - 4, 8) for column in range(0, side - 4, 8)]
    few, many = (cells(*places[:count], shape=(side, side)) for count in (most, most + 1))
    assert not without_specks(few, tissue, cell).any()
    assert np.array_equal(without_specks(many, tissue, cell), many)
