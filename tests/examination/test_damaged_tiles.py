"""Damage costs the cells that see it: neither the rest of its tile, nor fewer."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.config import load_config
from nodescan.domain.geometry import PixelBox, TileGeometry
from nodescan.domain.maps import NotExamined
from nodescan.examination import Examination, examine, tile_pass
from nodescan.examination.damaged_tiles import DamagedTile
from nodescan.examination.tile_batches import TileReader
from nodescan.examination.tile_plan import plan
from nodescan.overview import overview_and_tissue
from tests.fakes import ColourPredictor, Listener
from tests.painted import PaintedSlide, painted

SETTINGS = load_config().settings


class Counter(Listener):
    """Adds up the tiles that it is told of."""

    tiles = 0

    def tiles_done(self, slide_id: str, tiles: int, megapixels: float) -> None:
        self.tiles += tiles


def examined(
    slide: PaintedSlide, predictor: ColourPredictor | None = None, counter: Counter | None = None
) -> Examination:
    told = counter or Counter()
    _, tissue = overview_and_tissue(slide, SETTINGS, told)
    network = predictor or ColourPredictor()
    return examine(TileReader(slide, plan(slide, tissue, network)), predictor=network, settings=SETTINGS, progress=told)


def unread_of(found: Examination) -> NDArray[np.bool_]:
    return found.reasons == NotExamined.UNREAD


def test_a_cell_sees_what_lies_within_its_margin() -> None:
    """Pixel by pixel, at both ends of what it sees."""
    tile = TileGeometry(core_px=64, margin_px=32, stride_px=16)
    rng = np.random.default_rng(3)
    for _ in range(20):
        row, column = rng.integers(0, 128, 2)
        damaged = np.zeros((128, 128), dtype=np.bool_)
        damaged[row, column] = True
        sees = [[16 * i <= row < 16 * i + 80 and 16 * j <= column < 16 * j + 80 for j in range(4)] for i in range(4)]
        found = DamagedTile(np.zeros((128, 128, 3), np.uint8), damaged)
        assert found.damaged_cells(tile, None).tolist() == sees
        core = 32 <= row < 96 and 32 <= column < 96
        blocks = np.zeros((4, 4), dtype=np.bool_)
        if core:
            blocks[(row - 32) // 32 * 2 :, (column - 32) // 32 * 2 :][:2, :2] = True
        assert np.array_equal(found.damaged_cells(tile, 32), np.array(sees) | blocks)


@pytest.mark.parametrize("torn", [PixelBox(300, 300, 10, 10), PixelBox(500, 400, 40, 200), PixelBox(640, 180, 1, 1)])
def test_only_cells_that_see_damage_are_unread(torn: PixelBox) -> None:
    """They, and no more than those about the squares of 64 px that hold it; all others are answered as if whole."""
    counters = Counter(), Counter()
    slides = PaintedSlide(painted(320)), PaintedSlide(painted(320), torn=torn)
    whole, found = (examined(slide, counter=counter) for slide, counter in zip(slides, counters, strict=True))
    rows, columns = np.indices(found.wanted.shape) * 16

    def seen(reach_px: int) -> np.ndarray:
        """Cells whose square, grown so far, meets the damage."""
        below, right = rows + 16 + reach_px > torn.top, columns + 16 + reach_px > torn.left
        return below & right & (rows - reach_px < torn.bottom) & (columns - reach_px < torn.right)

    assert (unread_of(found) | ~found.wanted)[seen(32)].all()
    assert not unread_of(found)[~seen(32 + 64)].any()
    assert np.array_equal(unread_of(found), found.wanted & ~found.probability.examined)
    values = np.where(unread_of(found), np.float32(0), whole.probability.values)
    assert np.array_equal(found.probability.values, values)
    assert counters[0].tiles == counters[1].tiles


def test_a_network_that_pads_answers_whole_tiles() -> None:
    """What it says of a cell may depend on damage anywhere in the tile."""
    predictor = ColourPredictor()
    predictor.geometry = replace(predictor.geometry, padded=True)
    torn = PixelBox(300, 300, 10, 10)
    found, parted = (examined(PaintedSlide(painted(), torn=torn), one) for one in (predictor, None))
    assert unread_of(found).sum() == 16 * 16 > unread_of(parted).sum()


def test_much_damage_is_not_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the tiles that can't be read the first are, in the order of the slide."""
    torn = PixelBox(0, 500, 1024, 10)
    parted = examined(PaintedSlide(painted(), torn=torn))
    monkeypatch.setattr(tile_pass, "MOST_DAMAGED", 1)
    found = examined(PaintedSlide(painted(), torn=torn))
    assert unread_of(found).sum() > unread_of(parted).sum()
    first = (slice(None), slice(0, np.flatnonzero(found.wanted.any(axis=0))[0] + 16))
    assert np.array_equal(unread_of(found)[first], unread_of(parted)[first])


def test_a_block_that_holds_damage_tells_no_focus_of_cells_that_see_none_of_it() -> None:
    """Damage at a corner of a block of 64 px lies 48 px from the cell at the other: beyond its margin of 32."""
    tile = TileGeometry(core_px=128, margin_px=32, stride_px=16)
    damaged = np.zeros((192, 192), dtype=np.bool_)
    damaged[96, 32] = True  # the core's row 64, column 0
    found = DamagedTile(np.zeros((192, 192, 3), np.uint8), damaged)
    assert not found.damaged_cells(tile, None)[7, 3]
    lost = found.damaged_cells(tile, 64)
    assert lost[4:, :4].all()
    assert not lost[:, 4:].any()
    assert not lost[0].any()
