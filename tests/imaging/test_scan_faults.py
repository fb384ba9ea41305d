"""Stuck lines and areas without light are found; real tissue, slide edges and dark stain are not accused."""

import io
import math
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodescan.domain.units import Spacing
from nodescan.imaging.scan_faults import stuck_lines
from nodescan.imaging.untrusted_areas import LIGHT, dark_cells
from tests.imaging.views import QUALITY, glass, made_shares, real_tissue, shares_in

FAULTS = QUALITY.faults
ANY_SIZE = replace(FAULTS, min_area_mm2=0.0)
CELL = Spacing.square(15.5)

ACRE = math.ceil(0.054e6 / CELL.pixel_area_um2)
"""Cells of the least area that counts."""


def stored(view: np.ndarray, quality: int) -> np.ndarray:
    """uint8 like `view`, as JPEG keeps it."""
    file = io.BytesIO()
    Image.fromarray(view).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def dark(view: np.ndarray) -> np.ndarray:
    """bool (cells, cells) of a square view, all of it tissue, on a slide without glass; small areas, too."""
    shares = shares_in(view)
    return dark_cells(shares, np.ones(shares.shape[:2], bool), CELL, ANY_SIZE)


@pytest.mark.parametrize("quality", [30, 75, None])
@pytest.mark.parametrize("noise", [0.0, 2.0])
@pytest.mark.parametrize("upright", [False, True])
def test_a_line_of_real_tissue_again_and_again_is_found(
    shared: Path, quality: int | None, noise: float, upright: bool
) -> None:
    """Of rows or columns, with the camera's noise on each, or as JPEG keeps them, in 19 blocks of 20 and more."""
    rng, found = np.random.default_rng(0), []
    for view in real_tissue(shared).values():
        line = view[rng.integers(512)][None].repeat(512, axis=0)
        stuck = np.clip(line + rng.normal(0, noise, line.shape), 0, 255).astype(np.uint8)
        stuck = stuck.swapaxes(0, 1) if upright else stuck
        found.append(stuck_lines(stuck if quality is None else stored(stuck, quality), 64, FAULTS))
    assert np.mean(found) > 0.95


def test_real_tissue_has_no_stuck_lines(shared: Path) -> None:
    """None of 2,240 blocks, nor of those of 2,907 patches, some with slide edges and strokes of a knife in them."""
    assert [name for name, view in real_tissue(shared).items() if stuck_lines(view, 64, FAULTS).any()] == []
    with zipfile.ZipFile(shared / "data" / "pcam" / "valid.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        assert len(names) == 2907
        for name in names:
            patch = np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))
            assert not stuck_lines(patch, 96, FAULTS).any()
            assert not stuck_lines(patch, 32, FAULTS).any()


def test_the_block_of_the_stuck_line_is_named() -> None:
    """Row and column of the answer are those of the block."""
    rng = np.random.default_rng(0)
    view = rng.integers(60, 240, (128, 256, 3), dtype=np.uint8)
    view[64:, 192:] = view[64:65, 192:]
    assert np.argwhere(stuck_lines(view, 64, FAULTS)).tolist() == [[1, 3]]


@pytest.mark.parametrize("upright", [False, True])
def test_edges_and_shades_are_no_stuck_lines(upright: bool) -> None:
    """Padding beside the scan, a coverslip's edge and a shade are alike along themselves and turn once or twice."""
    places = np.arange(64)
    for levels in (np.where(places < 40, 20, 240), np.where(abs(places - 30) < 8, 90, 240), 40 + 3 * places):
        view = np.broadcast_to(levels[:, None, None], (64, 64, 3)).astype(np.uint8)
        assert not stuck_lines(view.swapaxes(0, 1) if upright else view, 64, FAULTS).any()


@pytest.mark.parametrize(
    ("places", "counted"),
    [([(1, 1), (1, 3), (3, 1), (3, 3)], True), ([(0, 2), (2, 0), (2, 4), (4, 2)], False)],
    ids=["touching", "apart"],
)
def test_an_edge_counts_where_its_block_touches_a_stuck_line(places: list[tuple[int, int]], counted: bool) -> None:
    """At a corner, too; with a block between them it is an edge of something else."""
    edge, stripes = np.where(np.arange(64) < 40, 20, 240), 40 + 20 * (np.arange(64) // 4 % 8)
    view = np.random.default_rng(0).integers(60, 240, (5, 64, 5, 64), dtype=np.uint8)
    view[2, :, 2] = stripes[:, None]
    for row, column in places:
        view[row, :, column] = edge[:, None]
    found = stuck_lines(np.stack([view.reshape(320, 320)] * 3, axis=-1), 64, FAULTS)
    assert {*zip(*np.nonzero(found), strict=True)} == {(2, 2), *(places if counted else ())}


@pytest.mark.parametrize(("contrast", "found"), [(5, True), (4, False)])
def test_lines_are_compared_from_the_least_contrast_on(contrast: int, found: bool) -> None:
    """Stripes of 8 px in green, 5 levels above and below their mean: less is glass and its noise."""
    view = np.full((64, 64, 3), 200, np.uint8)
    view[..., 1] = (200 + contrast * np.where(np.arange(64) // 8 % 2, 1, -1))[:, None]
    assert stuck_lines(view, 64, FAULTS).item() == found


def test_of_each_cell_the_share_of_light_pixels_is_told() -> None:
    """Over glass of 200, what has a channel above 136 is light; over lighter glass than white, above 166.6."""
    core = np.full((64, 64, 3), 100, np.uint8)
    core[:16, 16:32, 2] = 137
    core[:8, 32:48, 0] = 136
    core[:8, 48:64, 0] = 167
    core[16:32, :16, 1] = 167
    for white, row in (((200.0, 180.0, 190.0), [0, 1, 0, 0.5]), ((255.0, 250.0, 250.0), [0, 0, 0, 0.5])):
        expected = np.zeros((4, 4))
        expected[0], expected[1, 0] = row, 1
        np.testing.assert_array_equal(shares_in(core, white)[..., LIGHT], expected)


@pytest.mark.parametrize("gain", [0.4, 0.5, 0.6, 0.65])
def test_real_tissue_with_too_little_light_is_dark(shared: Path, gain: float) -> None:
    """At 0.5 the released network finds a quarter of the tumour that it finds otherwise: never "negative"."""
    for view in real_tissue(shared).values():
        assert dark(np.rint(view * gain).astype(np.uint8)).all()


@pytest.mark.parametrize("gain", [0.85, 1.0, 1.2])
def test_real_tissue_is_not_dark(shared: Path, gain: float) -> None:
    """Not the darkest of five centres at 0.85 either, where as much tumour is found as ever."""
    views = real_tissue(shared)
    lit = {name: np.clip(np.rint(view * gain), 0, 255).astype(np.uint8) for name, view in views.items()}
    assert [name for name, view in lit.items() if dark(view).any()] == []


def test_a_dark_area_ends_where_light_begins(shared: Path) -> None:
    """To a cell or two, so that what lies along the border isn't called negative."""
    view = real_tissue(shared)["centre_3_patient_066_node_1.jpeg"]
    parts = (np.rint(view * 0.5).astype(np.uint8), view)
    light = np.concatenate([shares_in(part) for part in parts], axis=1)
    found = dark_cells(light, np.ones((32, 64), bool), CELL, ANY_SIZE)
    assert found[:, :31].all()
    assert not found[:, 34:].any()


@pytest.mark.parametrize(("light", "found"), [(1 / 128, True), (1 / 64, False)])
def test_a_square_is_dark_below_the_least_share_of_light(light: float, found: bool) -> None:
    """The share itself is enough."""
    settings = replace(ANY_SIZE, min_light_share=1 / 64)
    shares = made_shares((40, 40), {LIGHT: light})
    assert dark_cells(shares, np.ones((40, 40), bool), CELL, settings).any() == found


@pytest.mark.parametrize(("cells", "found"), [(ACRE, True), (ACRE - 1, False)])
def test_a_dark_area_counts_from_the_least_size_on(cells: int, found: bool) -> None:
    """Smaller ones are let pass: a single square is as large."""
    seen = np.zeros((80, 80), bool)
    seen[:16, :16].flat[:cells] = True
    assert dark_cells(made_shares((80, 80), {}), seen, CELL, FAULTS).any() == found


def test_light_that_was_not_seen_saves_no_square_and_its_lack_makes_none_dark() -> None:
    """Glass beside a piece, or a tile that stands for one not read, is no light within it; a border is no darkness."""
    light, seen = made_shares((40, 40), {}), np.ones((40, 40), bool)
    light[:, 20:], seen[:, 20:] = 1.0, False
    found = dark_cells(light, seen, CELL, ANY_SIZE)
    assert found[:, :20].all()
    assert not found[:, 20:].any()
    assert not dark_cells(made_shares((40, 40), {LIGHT: 0.02}), seen, CELL, ANY_SIZE).any()
    thin = np.zeros((40, 40), bool)
    thin[:, 20:27] = True
    assert not dark_cells(made_shares((40, 40), {}), thin, CELL, ANY_SIZE).any()


def test_glass_is_light() -> None:
    """Within tissue, too: fat."""
    assert not dark(glass(512, 512)).any()
